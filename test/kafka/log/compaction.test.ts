/** What the cleaner promises when it is short of memory, of time or of disk, when the log changes under it, and when it meets damage. */
import { describe, expect, test, vi } from 'vitest'
import type { LogFacts } from '../../../src/host/host.ts'
import { silentLogger } from '../../../src/host/logger.ts'
import type { LogConfig } from '../../../src/kafka/log/log-config.ts'
import type { LogSettings } from '../../../src/kafka/log/log-manager.ts'
import { NewestOffsets } from '../../../src/kafka/log/newest-offsets.ts'
import { OffsetMap } from '../../../src/kafka/log/offset-map.ts'
import type { PartitionLog } from '../../../src/kafka/log/partition-log.ts'
import { encodeTransactionMarker } from '../../../src/kafka/records/control.ts'
import { SimulatedDisk } from '../../../src/simulation/disk.ts'
import { seededRandom } from '../../../src/simulation/random.ts'
import { append, hostOn, openOn, produce, readAll, textOf } from './bench.ts'

const config: Partial<LogConfig> = { cleanupPolicy: ['compact'], segmentBytes: 400, minCleanableDirtyRatio: 0.01, deleteRetentionMs: 1000, fileDeleteDelayMs: 10 }
const at = 1_700_000_000_000

async function aLog(changes: Partial<LogConfig> = {}, settings: LogSettings = {}) {
  const disk = new SimulatedDisk()
  const told: [string, LogFacts | undefined][] = []
  const logger = { ...silentLogger, error: (event: string, facts?: LogFacts) => void told.push([event, facts]), named: () => logger }
  const host = hostOn(disk, { logger })
  const opened = await openOn(disk, { ...config, ...changes }, { settings, host })
  return { disk, told, ...opened, log: await opened.manager.create('t', 0) }
}
const put = (log: PartitionLog, key: string, value: string | null, options = {}) => produce(log, [{ key, value, timestamp: at }], options)
const marker = (log: PartitionLog, type: 'commit' | 'abort', producerId: number, producerEpoch = 0) =>
  append(log, encodeTransactionMarker({ type, producerId, producerEpoch, coordinatorEpoch: 0, timestamp: at }), { origin: 'coordinator' })
async function rolled(log: PartitionLog): Promise<void> {
  await log.roll()
  log.setHighWatermark(log.logEndOffset)
}
async function rounds(log: PartitionLog, count = 10): Promise<void> {
  for (let round = 0; round < count; round++) for (const key of ['a', 'b', 'c']) await put(log, key, `${key}${round}`)
  await rolled(log)
}

describe('the map of keys', () => {
  test('tells keys apart whatever their length, and finds each again', () => {
    const keys = Array.from({ length: 4000 }, (_, index) => Buffer.from(`${index}`.padStart(index % 70, 'x')))
    const distinct = new Set(keys.map(String))
    const map = new OffsetMap(distinct.size, Buffer.alloc(16, 7), { loadFactor: 1 })
    keys.forEach((key, index) => map.set(key, index))
    expect(map.count).toBe(distinct.size)
    const newest = new Map(keys.map((key, index) => [String(key), index]))
    for (const [key, index] of newest) expect(map.get(Buffer.from(key))).toBe(index)
    expect(map.get(Buffer.from('not there'))).toBe(-1)
  })
  test('a key and the same with zeros behind it are two, at every length around a block', () => {
    const map = new OffsetMap(100, Buffer.alloc(16, 1))
    for (let length = 0; length < 50; length++) map.set(Buffer.alloc(length), length)
    expect(Array.from({ length: 50 }, (_, length) => map.get(Buffer.alloc(length)))).toEqual(Array.from({ length: 50 }, (_, length) => length))
  })
})

test('offsets of which none is the newest are known without a look at their keys', () => {
  const random = seededRandom(5)
  const from = 1_000
  const count = 600
  const newest = new NewestOffsets({ from, count, countMax: count, secret: Buffer.alloc(16, 3), loadFactor: 0.9 })
  const keys = Array.from({ length: count }, (_, index) => `${random.below(index < 300 ? 5 : 400)}`)
  keys.forEach((key, index) => newest.note(Buffer.from(key), from + index))
  newest.settle()
  const isOutdated = keys.map((key, index) => keys.lastIndexOf(key) > index)
  const answers = new Set<boolean>()
  for (let run = 0; run < 3_000; run++) {
    const first = random.below(count)
    const last = Math.min(count - 1, first + random.below(40))
    const answer = newest.isAllOutdated(from + first, from + last)
    answers.add(answer)
    expect(answer, `${first} to ${last}`).toBe(isOutdated.slice(first, last + 1).every(Boolean))
  }
  expect(answers.size).toBe(2)
  // What was not noted may hold anything.
  expect(newest.isAllOutdated(from - 1, from)).toBe(false)
  expect(newest.isAllOutdated(from, from + count)).toBe(false)
})
test('a batch of which nothing stays is not dropped when it is damaged', async () => {
  const { log, manager, disk, told } = await aLog({ segmentBytes: 1 << 20 })
  await produce(log, ['a', 'b'].map((key) => ({ key, value: 'old '.repeat(50), timestamp: at })), { compression: 'lz4' })
  const size = log.size
  await produce(log, ['a', 'b'].map((key) => ({ key, value: 'new', timestamp: at })))
  await rolled(log)
  // Between the two walks of the cleaner: what is kept begins to be written with the second.
  const { openSync } = disk
  disk.openSync = (path, mode) => {
    const file = openSync.call(disk, path, mode)
    if (path.endsWith('.log.cleaned')) {
      const whole = disk.peek('/logs/t-0/00000000000000000000.log')
      whole[size - 1] ^= 1
    }
    return file
  }
  await manager.clean()
  expect(manager.uncleanable).toMatchObject([{ partition: 't-0', reason: expect.stringContaining('checksum') }])
  expect(told).toHaveLength(1)
  expect(log.size).toBeGreaterThan(size)
})
test('a partition that takes long does not keep others waiting when there are two threads', async () => {
  const { log, manager, disk } = await aLog({}, { 'log.cleaner.threads': 2 })
  const other = await manager.create('t', 1)
  for (const one of [log, other]) await rounds(one)
  let open: () => void = () => {}
  const gate = new Promise<void>((done) => (open = done))
  const { openSync } = disk
  disk.openSync = (path, mode) => {
    const file = openSync.call(disk, path, mode)
    if (path.includes('/t-0/') && path.endsWith('.log')) {
      const { read } = file
      file.read = (into, position) => gate.then(() => read.call(file, into, position))
    }
    return file
  }
  for (const segment of log.segments) segment.log.close()
  const before = log.size
  const cleaning = manager.clean()
  await vi.waitFor(() => expect(disk.peek('/logs/cleaner-offset-checkpoint').toString()).toContain('t 1 30'), { timeout: 60_000, interval: 5 })
  expect(log.size).toBe(before)
  open()
  await cleaning
  expect(disk.peek('/logs/cleaner-offset-checkpoint').toString()).toContain('t 0 30')
  for (const one of [log, other]) expect(textOf(await readAll(one))).toEqual(['27:a=a9', '28:b=b9', '29:c=c9'])
})
test('without a thread nothing is cleaned', async () => {
  const settings: LogSettings = { 'log.cleaner.threads': 0 }
  const { log, manager } = await aLog({}, settings)
  await rounds(log)
  const before = log.size
  await manager.clean()
  expect(log.size).toBe(before)
  settings['log.cleaner.threads'] = 1
  await manager.clean()
  expect(log.size).toBeLessThan(before)
})
test('with memory for few keys it takes several rounds, and the result is the same', async () => {
  const { log, manager } = await aLog({ segmentBytes: 300 }, { 'log.cleaner.dedupe.buffer.size': 24 * 7 })
  for (let round = 0; round < 4; round++) for (let key = 0; key < 25; key++) await put(log, `k${key}`, `${round}`)
  await rolled(log)
  await manager.clean()
  expect(textOf(await readAll(log))).toEqual(Array.from({ length: 25 }, (_, key) => `${75 + key}:k${key}=3`))
})
test('a key of ten megabytes costs no more memory than another', async () => {
  const { log, manager } = await aLog({ segmentBytes: 64 << 20, maxMessageBytes: 32 << 20 }, { 'log.cleaner.dedupe.buffer.size': 24 * 10 })
  const key = 'k'.repeat(10 << 20)
  for (const value of ['1', '2', '3']) await put(log, key, value)
  await put(log, 'small', 'x')
  await rolled(log)
  await manager.clean()
  expect((await readAll(log, 32 << 20)).map(({ offset, key: found, value }) => [offset, found?.length, String(value)])).toEqual([[2, 10 << 20, '3'], [3, 5, 'x']])
})
test('a commit marker stays while records of its transaction do, though they lie in another group of segments', async () => {
  const { log, manager, host, disk } = await aLog({ segmentBytes: 200 })
  await put(log, 'kept', 'v'.repeat(120), { producerId: 1, producerEpoch: 0, baseSequence: 0, isTransactional: true })
  await put(log, 'other', 'w'.repeat(120))
  await marker(log, 'commit', 1)
  await rolled(log)
  for (let round = 0; round < 3; round++) {
    await manager.clean()
    host.pass(5000)
    await put(log, `again${round}`, 'x')
    await rolled(log)
  }
  // Whoever builds the state of producers from the log alone sees the transaction closed.
  await log.flush()
  for (const path of disk.files()) if (path.endsWith('.snapshot')) await disk.remove(path)
  const again = (await openOn(disk.afterKill(), { ...config, segmentBytes: 200 })).manager.get('t', 0)!
  again.setHighWatermark(again.logEndOffset)
  expect(again.lastStableOffset).toBe(again.logEndOffset)
})
test('an epoch that only a marker tells of outlives the marker', async () => {
  const { log, manager, host, disk } = await aLog({ segmentBytes: 100_000 })
  await put(log, 'a', 'aborted', { producerId: 1, producerEpoch: 3, baseSequence: 0, isTransactional: true })
  await marker(log, 'abort', 1, 4)
  for (let round = 0; round < 4; round++) {
    await put(log, 'b', String(round))
    await rolled(log)
    await manager.clean()
    host.pass(5000)
  }
  await log.flush()
  for (const path of disk.files()) if (path.endsWith('.snapshot')) await disk.remove(path)
  const again = (await openOn(disk.afterKill(), config)).manager.get('t', 0)!
  expect(await put(again, 'a', 'zombie', { producerId: 1, producerEpoch: 3, baseSequence: 1, isTransactional: true })).toMatchObject({ errorCode: 47 })
})
test('segments roll in time for max.compaction.lag.ms, and a record that waited so long is cleaned though little is dirty', async () => {
  const { log, manager, host } = await aLog({ segmentBytes: 100_000, minCleanableDirtyRatio: 1, maxCompactionLagMs: 1000 })
  await put(log, 'a', '1')
  await put(log, 'a', '2')
  await produce(log, [{ key: 'b', value: '1', timestamp: at + 1001 }])
  expect(log.segments).toHaveLength(2)
  log.setHighWatermark(log.logEndOffset)
  await manager.clean()
  expect(await readAll(log)).toHaveLength(3)
  host.pass(1001)
  await manager.clean()
  expect(textOf(await readAll(log))).toEqual(['1:a=2', '2:b=1'])
})
test('a log that was cut and written anew below its checkpoint is cleaned there again', async () => {
  const { log, manager } = await aLog()
  await rounds(log)
  await manager.clean()
  await log.truncateTo(12)
  await rounds(log)
  await manager.clean()
  const read = await readAll(log)
  expect(read.filter(({ offset }) => offset >= 12).map(({ key, value }) => `${key}=${value}`)).toEqual(['a=a9', 'b=b9', 'c=c9'])
  expect(read).toHaveLength(3)
})

describe('what goes wrong', () => {
  const isWrite = (kind: string) => ['create', 'write', 'truncate'].includes(kind)
  test('a damaged batch: the partition is named and passed over, nothing of it is written anew, the others are cleaned', async () => {
    const { log, manager, disk, told } = await aLog()
    const other = await manager.create('u', 0)
    await rounds(log)
    await rounds(other)
    const { path } = log.segments[1].log
    const bytes = Buffer.from(disk.peek(path))
    bytes[bytes.length - 2] ^= 1
    const file = await disk.open(path, 'write')
    await file.write([bytes], 0)
    const before = textOf(await readAll(log).catch(() => []))
    await manager.clean()
    await manager.clean()
    expect(told.map(([event, facts]) => [event, facts?.partition])).toEqual([['a partition cannot be compacted: it is left as it is until this broker starts again', 't-0']])
    expect(manager.uncleanable).toEqual([{ partition: 't-0', reason: expect.stringContaining('00000000000000000005.log is corrupt at') as string }])
    expect(textOf(await readAll(log).catch(() => []))).toEqual(before)
    expect(disk.files().filter((name) => name.endsWith('.cleaned'))).toEqual([])
    expect(textOf(await readAll(other))).toEqual(['27:a=a9', '28:b=b9', '29:c=c9'])
  })
  test('a full disk: whichever write fails, everything stays readable and the log is cleaned when there is room', async () => {
    let writes = 0
    {
      const { log, manager, disk } = await aLog()
      await rounds(log)
      disk.failure = ({ kind, path }) => (path.includes('.cleaned') && isWrite(kind) && writes++ < 0 ? 'ENOSPC' : undefined)
      await manager.clean()
    }
    expect(writes).toBeGreaterThan(3)
    for (let fails = 0; fails < writes; fails++) {
      const { log, manager, disk } = await aLog()
      await rounds(log)
      let seen = 0
      disk.failure = ({ kind, path }) => (path.includes('.cleaned') && isWrite(kind) && seen++ >= fails ? 'ENOSPC' : undefined)
      await manager.clean()
      expect(log.failure, `write ${fails}`).toBeUndefined()
      expect((await readAll(log)).slice(-3).map(({ value }) => String(value)), `write ${fails}`).toEqual(['a9', 'b9', 'c9'])
      disk.failure = () => undefined
      await manager.clean()
      expect(textOf(await readAll(log)), `write ${fails}`).toEqual(['27:a=a9', '28:b=b9', '29:c=c9'])
    }
  })
  test('truncation, retention and deletion meet the cleaner at any moment: nothing that was there before comes back', async () => {
    for (let steps = 0; steps < 60; steps++) {
      const { log, manager, disk } = await aLog()
      await rounds(log)
      const cleaning = manager.clean()
      for (let step = 0; step < steps; step++) await Promise.resolve()
      await log.startAt(50)
      await cleaning
      await put(log, 'new', 'x')
      expect(textOf(await readAll(log)), `after ${steps} steps`).toEqual(['50:new=x'])
      expect(log.failure).toBeUndefined()
      await manager.close()
      const again = (await openOn(disk, config)).manager.get('t', 0)!
      expect(textOf(await readAll(again)), `after ${steps} steps and a restart`).toEqual(['50:new=x'])
    }
  })
  test('a stop does not wait for what is being cleaned slowly', async () => {
    const { log, manager, disk } = await aLog({}, { 'log.cleaner.io.max.bytes.per.second': 1 })
    await rounds(log)
    const cleaning = manager.clean()
    await manager.close()
    await cleaning
    expect(disk.files().filter((name) => name.endsWith('.cleaned'))).toEqual([])
    expect(await readAll((await openOn(disk, config)).manager.get('t', 0)!)).toHaveLength(30)
  })
})
test('the limit on its bytes is kept, and may change meanwhile', async () => {
  const settings: LogSettings = { 'log.cleaner.io.max.bytes.per.second': 1000 }
  const { log, manager, host } = await aLog({}, settings)
  await rounds(log)
  const bytes = log.size
  const began = host.clock.monotonic()
  await manager.clean()
  const slow = host.clock.monotonic() - began
  // Once read for the keys, once read and partly written again, less what may be made up for.
  expect(slow).toBeGreaterThan((bytes * 2 * 1000) / 1000 - 600)
  expect(slow).toBeLessThan((bytes * 3 * 1000) / 1000)
  settings['log.cleaner.io.max.bytes.per.second'] = 1e9
  await rounds(log)
  const then = host.clock.monotonic()
  await manager.clean()
  expect(host.clock.monotonic() - then).toBeLessThan(100)
})
