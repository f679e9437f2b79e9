/** What is kept in memory for those who copy a log is what lies in its file. */
import { expect, test } from 'vitest'
import { RecentBatches, RecentMemory } from '../../../src/kafka/log/recent-batches.ts'
import { decodeBatches } from '../../../src/kafka/records/decode.ts'
import { encodeBatch } from '../../../src/kafka/records/encode.ts'
import { SimulatedDisk } from '../../../src/simulation/disk.ts'
import { append, openOn } from './bench.ts'

const large = (fill: number) => encodeBatch([{ key: null, value: Buffer.alloc(20_000, fill), timestamp: 1 }])
const small = () => encodeBatch([{ key: null, value: Buffer.from('small'), timestamp: 1 }])
async function aCopiedLog() {
  const disk = new SimulatedDisk()
  const { manager } = await openOn(disk)
  const log = await manager.create('t', 0)
  log.isCopied = true
  const read = async (offset: number, maxBytes = 1 << 20) => {
    const outcome = await log.read({ offset, maxBytes, minOneBatch: true, upTo: log.logEndOffset })
    if (!('slices' in outcome)) throw new Error(outcome.message)
    return [...decodeBatches(Buffer.concat(outcome.slices))].map(({ batch }) => batch.baseOffset)
  }
  return { disk, log, read }
}

test('what followers read next is not read back from the file', async () => {
  const { disk, log, read } = await aCopiedLog()
  for (let index = 0; index < 4; index++) expect(await append(log, large(index))).toMatchObject({ keepsBytes: true })
  let reads = 0
  disk.failure = ({ kind }) => void (kind === 'read' && reads++)
  expect(await read(0)).toEqual([0, 1, 2, 3])
  expect(await read(2)).toEqual([2, 3])
  expect(await read(1, 45_000)).toEqual([1, 2])
  expect(await read(3, 10)).toEqual([3])
  expect(reads).toBe(0)
  log.isCopied = false
  expect(await read(2)).toEqual([2, 3])
  expect(reads).toBeGreaterThan(0)
})

test('nothing is given out before it is written', async () => {
  const { log, read } = await aCopiedLog()
  await append(log, large(0))
  const appending = append(log, large(1))
  expect(log.nextOffset).toBe(2)
  expect(await log.read({ offset: 1, maxBytes: 1 << 20, minOneBatch: true, upTo: log.logEndOffset })).toMatchObject({ size: 0 })
  await appending
  expect(await read(0)).toEqual([0, 1])
})

test('small batches in between are read from the file, and reading goes on in memory behind them', async () => {
  const { log, read } = await aCopiedLog()
  await append(log, large(0))
  expect(await append(log, small())).toMatchObject({ keepsBytes: false })
  await append(log, large(2))
  expect(await read(0)).toEqual([0])
  expect((await read(1))[0]).toBe(1)
  expect(await read(2)).toEqual([2])
})

test('a cut log gives out what was written after the cut', async () => {
  const { log } = await aCopiedLog()
  for (let index = 0; index < 3; index++) await append(log, large(index))
  await log.truncateTo(1)
  await append(log, large(9))
  const outcome = await log.read({ offset: 1, maxBytes: 1 << 20, minOneBatch: true, upTo: 2 })
  const [{ records }] = [...decodeBatches(Buffer.concat((outcome as { slices: Buffer[] }).slices))]
  expect(records[0].value?.[0]).toBe(9)
})

test('memory is bounded over all logs, the oldest goes first; what is cleared counts no more', () => {
  const memory = new RecentMemory(100_000)
  const logs = [new RecentBatches(memory), new RecentBatches(memory)]
  const bytes = () => [Buffer.alloc(30_000)]
  for (let index = 0; index < 4; index++) expect(logs[index % 2].add(index, index + 1, 30_000, bytes())).toBe(true)
  const wish = { maxBytes: 1 << 20, minOneBatch: true, end: 100 }
  expect(memory.bytes).toBe(90_000)
  expect(logs[0].read(0, wish)).toBeUndefined()
  expect(logs[1].read(1, wish)?.size).toBe(30_000)
  logs[1].clear()
  expect(memory.bytes).toBe(30_000)
  for (let index = 4; index < 8; index++) logs[0].add(index, index + 1, 30_000, bytes())
  expect(memory.bytes).toBe(90_000)
  expect(logs[0].read(5, wish)?.size).toBe(90_000)
})

test('a batch that is a small part of its frame does not keep the frame alive', () => {
  const recent = new RecentBatches(new RecentMemory())
  expect(recent.add(0, 1, 20_000, [Buffer.alloc(1 << 20).subarray(0, 20_000)])).toBe(false)
})
