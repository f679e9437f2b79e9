/** What is kept in memory for those who copy a log is what lies in its file. */
import { describe, expect, test } from 'vitest'
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
  for (let index = 0; index < 4; index++) await append(log, large(index))
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

test('small batches are remembered as their turn has written them, and reading goes on behind them', async () => {
  const { disk, log, read } = await aCopiedLog()
  await append(log, large(0))
  await Promise.all([append(log, small()), append(log, small())])
  await append(log, small())
  await append(log, large(4))
  let reads = 0
  disk.failure = ({ kind }) => void (kind === 'read' && reads++)
  expect(await read(0)).toEqual([0, 1, 2, 3, 4])
  expect(await read(3)).toEqual([3, 4])
  expect(reads).toBe(0)
  // Neither beginning in the midst of them nor cutting them where there is room for some.
  expect((await read(2))[0]).toBe(2)
  expect(await read(1, 10)).toEqual([1])
  expect(reads).toBeGreaterThan(0)
})

test('what clients lend is not kept: a small batch may be overwritten once it is written', async () => {
  const { log, read } = await aCopiedLog()
  const bytes = small()
  await append(log, bytes)
  bytes.fill(0)
  expect(await read(0)).toEqual([0])
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
  for (let index = 0; index < 4; index++) expect(logs[index % 2].add(index, index + 1, 30_000, bytes())).toBeDefined()
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

test('what a log has forgotten does not gather in the memory of all', () => {
  const memory = new RecentMemory(1 << 20)
  const [kept, changing] = [new RecentBatches(memory), new RecentBatches(memory)]
  kept.addJoined(0, 1, Buffer.alloc(100))
  const { bytes } = memory
  for (let round = 0; round < 50; round++) {
    for (let index = 0; index < 10; index++) changing.addJoined(index, index + 1, Buffer.alloc(100))
    expect(memory.bytes).toBe(11 * bytes)
    changing.clear()
    expect(memory.bytes).toBe(bytes)
    expect(memory.length).toBeLessThan(25)
  }
  expect(kept.read(0, { maxBytes: 1 << 20, minOneBatch: true, end: 1 })?.size).toBe(100)
})

test('a batch that is a small part of its frame does not keep the frame alive', () => {
  const recent = new RecentBatches(new RecentMemory())
  expect(recent.add(0, 1, 20_000, [Buffer.alloc(1 << 20).subarray(0, 20_000)])).toBeUndefined()
})

describe('bytes that were lent', () => {
  const wish = { maxBytes: 1 << 20, minOneBatch: true, end: 100 }
  /** A batch of a client's frame, remembered; `freed` tells whether the frame may be used again. */
  function remembered() {
    const recent = new RecentBatches(new RecentMemory(50_000))
    let freed = 0
    const add = (offset: number, keep?: () => () => void) => recent.add(offset, offset + 1, 30_000, [Buffer.alloc(30_000)], keep)!
    const written = add(0, () => () => void freed++)
    return { recent, written, forget: () => add(1)(), freed: () => freed }
  }

  test('are free when they are forgotten and written', () => {
    const { written, forget, freed } = remembered()
    written()
    expect(freed()).toBe(0)
    forget()
    expect(freed()).toBe(1)
  })
  test('are not free while they are being written', () => {
    const { written, forget, freed } = remembered()
    forget()
    expect(freed()).toBe(0)
    written()
    expect(freed()).toBe(1)
  })
  test('are not free before the last who was given them is done, who may say so twice', () => {
    const { recent, written, forget, freed } = remembered()
    written()
    const [one, other] = [recent.read(0, wish)!, recent.read(0, wish)!]
    forget()
    one.done()
    one.done()
    expect(freed()).toBe(0)
    other.done()
    expect(freed()).toBe(1)
  })
  test('stay as they are for somebody who never says that he is done', () => {
    const { recent, written, freed } = remembered()
    written()
    recent.read(0, wish)
    recent.clear()
    expect(freed()).toBe(0)
  })
})

test('a log tells when it does not need what it was lent any more, and not when it could not be written', async () => {
  const { disk, log } = await aCopiedLog()
  const freed: number[] = []
  const appendLent = (index: number): Promise<Error | undefined> =>
    new Promise((done) => log.append(large(index), { leaderEpoch: 0, origin: 'client', keep: () => () => freed.push(index) }, done))
  expect(await appendLent(0)).toBeUndefined()
  const reading = await log.read({ offset: 0, maxBytes: 1 << 20, minOneBatch: true, upTo: 1 })
  expect(await appendLent(1)).toBeUndefined()
  expect(freed).toEqual([])
  log.isCopied = false
  expect(freed).toEqual([1])
  if ('done' in reading) reading.done!()
  expect(freed).toEqual([1, 0])
  log.isCopied = true
  disk.failure = ({ kind }) => (kind === 'write' ? 'ENOSPC' : undefined)
  expect(await appendLent(2)).toBeInstanceOf(Error)
  log.isCopied = false
  expect(freed).toEqual([1, 0])
})
