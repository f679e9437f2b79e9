/** What a log keeps and lets go: rolling, retention, truncation, deletion, lookups by time, compaction. */
import { describe, expect, test } from 'vitest'
import type { LogConfig } from '../../../src/kafka/log/log-config.ts'
import { encodeTransactionMarker } from '../../../src/kafka/records/control.ts'
import { decodeBatches } from '../../../src/kafka/records/decode.ts'
import { encodeBatch } from '../../../src/kafka/records/encode.ts'
import { SimulatedDisk } from '../../../src/simulation/disk.ts'
import { append, hostOn, numbered, openOn, produce, readAll, textOf } from './bench.ts'

async function aLog(config: Partial<LogConfig> = {}) {
  const disk = new SimulatedDisk()
  const opened = await openOn(disk, config)
  return { disk, ...opened, log: await opened.manager.create('t', 0) }
}
const names = (disk: SimulatedDisk, ending: string) => disk.files().filter((path) => path.endsWith(ending)).map((path) => path.slice(path.lastIndexOf('/') + 1))

describe('rolling', () => {
  test('by size: before the append that would not fit', async () => {
    const { log } = await aLog({ segmentBytes: 400 })
    for (let index = 0; index < 6; index++) await produce(log, numbered(index, 3))
    expect(log.segments.map(({ size }) => size <= 400)).not.toContain(false)
    expect(log.segments.length).toBeGreaterThan(1)
    expect(log.segments.map(({ baseOffset }) => baseOffset)).toEqual(log.segments.map((_, index) => log.segments[0].baseOffset + index * (log.segments[1].baseOffset - log.segments[0].baseOffset)))
  })
  test('by the age of the first record, in records’ time', async () => {
    const { log } = await aLog({ segmentMs: 1000 })
    await produce(log, numbered(0, 1, 5000))
    await produce(log, numbered(0, 1, 6000))
    await produce(log, numbered(0, 1, 6001))
    expect(log.segments.map(({ baseOffset }) => baseOffset)).toEqual([0, 2])
  })
  test('by the clock when records have no time', async () => {
    const { log, host } = await aLog({ segmentMs: 1000 })
    await produce(log, [{ key: 'k', value: 'v' }])
    host.pass(1001)
    await produce(log, [{ key: 'k', value: 'v' }])
    expect(log.segments.map(({ baseOffset }) => baseOffset)).toEqual([0, 1])
  })
  test('when an index is full; indexes are cut to their entries then', async () => {
    const { log, disk } = await aLog({ segmentIndexBytes: 36, indexIntervalBytes: 0 })
    for (let index = 0; index < 9; index++) await produce(log, numbered(index, 1))
    expect(log.segments.length).toBeGreaterThan(2)
    for (const segment of log.segments.slice(0, -1)) {
      expect(disk.peek(segment.offsetIndex.path).length % 8).toBe(0)
      expect(disk.peek(segment.offsetIndex.path).length).toBeLessThan(36)
      expect(disk.peek(segment.timeIndex.path).length).toBeLessThanOrEqual(36)
    }
    expect(disk.peek(log.activeSegment.offsetIndex.path).length).toBe(32)
  })
  test('preallocate gives a segment its whole size until it is closed, also by a crash', async () => {
    const { log, disk, manager } = await aLog({ segmentBytes: 400, preallocate: true })
    for (let index = 0; index < 5; index++) await produce(log, numbered(index, 3))
    expect(disk.peek(log.activeSegment.log.path).length).toBe(400)
    expect(disk.peek(log.segments[0].log.path).length).toBe(log.segments[0].size)
    const crashed = await openOn(disk.afterKill(), { segmentBytes: 400, preallocate: true })
    expect(await readAll(crashed.manager.get('t', 0)!)).toHaveLength(15)
    await manager.close()
    expect(disk.peek(log.activeSegment.log.path).length).toBe(log.activeSegment.size)
  })
  test('flushes what it closes, and the recovery point follows', async () => {
    const { log } = await aLog({ segmentBytes: 400 })
    for (let index = 0; index < 8; index++) await produce(log, numbered(index, 3))
    await log.flush()
    expect(log.recoveryPoint).toBe(log.logEndOffset)
  })
})

describe('retention', () => {
  test('by time: the oldest segments, as long as each is old, never above the high watermark', async () => {
    const { log, manager, host, disk } = await aLog({ segmentBytes: 300, retentionMs: 10_000, fileDeleteDelayMs: 60_000 })
    const now = host.clock.now()
    for (let index = 0; index < 6; index++) await produce(log, numbered(0, 2, now - 20_000 + index * 4000))
    await manager.applyRetention()
    expect(log.logStartOffset).toBe(0)
    log.setHighWatermark(log.logEndOffset)
    await manager.applyRetention()
    expect(log.logStartOffset).toBe(log.segments[0].baseOffset)
    expect(log.logStartOffset).toBeGreaterThan(0)
    expect(Number(log.segments[0].maxTimestamp)).toBeGreaterThanOrEqual(now - 10_000)
    expect(names(disk, '.log.deleted').length).toBeGreaterThan(0)
    host.pass(60_000)
    await Promise.resolve()
    expect(names(disk, '.deleted')).toEqual([])
  })
  test('everything old: the log is empty and begins at its end', async () => {
    const { log, manager, host, disk } = await aLog({ retentionMs: 1000 })
    await produce(log, numbered(0, 5, host.clock.now() - 5000))
    log.setHighWatermark(5)
    await manager.applyRetention()
    expect([log.logStartOffset, log.logEndOffset, log.size]).toEqual([5, 5, 0])
    await manager.close()
    const again = (await openOn(disk)).manager.get('t', 0)!
    expect([again.logStartOffset, again.logEndOffset]).toEqual([5, 5])
    expect((await produce(again, numbered(0, 1))).errorCode).toBe(0)
  })
  test('by size: as much as keeps the log at or above the limit', async () => {
    const { log, manager } = await aLog({ segmentBytes: 300, retentionBytes: 700, retentionMs: -1 })
    for (let index = 0; index < 12; index++) await produce(log, numbered(0, 2))
    log.setHighWatermark(log.logEndOffset)
    await manager.applyRetention()
    expect(log.size).toBeGreaterThanOrEqual(700)
    expect(log.size - log.segments[0].size).toBeLessThan(700)
  })
  test('deleted records: the log start is kept over a restart, segments below it go', async () => {
    const { log, manager, disk } = await aLog({ segmentBytes: 300, retentionMs: -1 })
    for (let index = 0; index < 12; index++) await produce(log, numbered(index * 2, 2))
    log.setHighWatermark(log.logEndOffset)
    expect(await log.deleteRecords(9)).toBe(9)
    await expect(log.deleteRecords(99)).rejects.toThrow(/high watermark is 24/)
    await manager.applyRetention()
    expect(log.segments[0].baseOffset).toBeLessThanOrEqual(9)
    expect(log.segments[1].baseOffset).toBeGreaterThan(9)
    expect(await log.read({ offset: 8, maxBytes: 100, minOneBatch: true, upTo: 24 })).toMatchObject({ errorCode: 1 })
    await manager.close()
    const again = (await openOn(disk)).manager.get('t', 0)!
    expect([again.logStartOffset, (await readAll(again))[0].offset]).toEqual([9, 9])
  })
})

test('truncation: records, indexes, epochs and producers are those of the kept part', async () => {
  const { log, manager, disk } = await aLog({ segmentBytes: 500, indexIntervalBytes: 60 })
  for (let index = 0; index < 10; index++) {
    if (index === 7) log.assignLeaderEpoch(2)
    await produce(log, numbered(index * 3, 3), { producerId: 1, producerEpoch: 0, baseSequence: index * 3 })
  }
  await log.truncateTo(12)
  expect([log.logEndOffset, log.latestEpoch, log.producers()[0].lastSequence]).toEqual([12, 0, 11])
  expect(await produce(log, numbered(12, 3), { producerId: 1, producerEpoch: 0, baseSequence: 12 })).toMatchObject({ baseOffset: 12 })
  for (let index = 5; index < 12; index++) await produce(log, numbered(index * 3, 3))
  const texts = textOf(await readAll(log))
  expect(texts).toHaveLength(36)
  await manager.close()
  expect(textOf(await readAll((await openOn(disk)).manager.get('t', 0)!))).toEqual(texts)
  await expect(log.truncateTo(1)).rejects.toThrow(/closed/)
})

test('starting anew at an offset', async () => {
  const { log } = await aLog()
  await produce(log, numbered(0, 3))
  await log.startAt(100)
  expect([log.logStartOffset, log.logEndOffset, log.size]).toEqual([100, 100, 0])
  expect(await produce(log, numbered(0, 1))).toMatchObject({ baseOffset: 100 })
})

test('lookups by time', async () => {
  const { log } = await aLog({ segmentBytes: 500, indexIntervalBytes: 60 })
  for (let index = 0; index < 20; index++) await produce(log, numbered(0, 2, 1000 + index * 10), { compression: index % 2 ? 'lz4' : 'none' })
  log.assignLeaderEpoch(1)
  for (const [time, offset] of [[0, 0], [1000, 0], [1001, 1], [1002, 2], [1100, 20], [1191, 39]]) expect(await log.offsetForTimestamp(BigInt(time)), String(time)).toMatchObject({ offset })
  expect(await log.offsetForTimestamp(1192n)).toBeUndefined()
  expect(await log.offsetOfMaxTimestamp()).toEqual({ offset: 39, timestamp: 1191n, leaderEpoch: 0 })
  log.setHighWatermark(30)
  await log.deleteRecords(25)
  expect(await log.offsetForTimestamp(0n)).toMatchObject({ offset: 25 })
  expect(await log.segmentBaseOffsetsBefore()).toEqual(log.segments.map(({ baseOffset }) => baseOffset))
})

describe('reads', () => {
  test('stop at the bound, return a whole first batch if asked, and none behind it in parts', async () => {
    const { log } = await aLog()
    for (let index = 0; index < 5; index++) await produce(log, numbered(index * 2, 2))
    const read = (wish: object) => log.read({ offset: 0, maxBytes: 1000, minOneBatch: true, upTo: 10, ...wish }) as { size: number }
    const one = read({ maxBytes: 1 }).size
    expect([...decodeBatches(Buffer.concat((read({ maxBytes: 1 }) as unknown as { slices: Buffer[] }).slices))].map(({ batch }) => batch.baseOffset)).toEqual([0])
    expect([read({ maxBytes: 1, minOneBatch: false }).size, read({ maxBytes: one + 10 }).size, read({ upTo: 4 }).size, read({ upTo: 0 }).size, read({ offset: 10 }).size]).toEqual([1, one, one * 2, 0, 0])
    expect(log.read({ offset: 11, maxBytes: 1, minOneBatch: true, upTo: 12 })).toMatchObject({ errorCode: 1 })
  })
  test('go on behind a gap that compaction left, without looking for it from the beginning', async () => {
    const { log } = await aLog({ indexIntervalBytes: 1_000_000 })
    const gap = 10
    for (let index = 0; index < 300; index++) {
      const bytes = encodeBatch(numbered(index, 3), { baseOffset: index * gap })
      await append(log, bytes, { origin: 'replication' })
    }
    const reads: number[] = []
    const { file } = log.activeSegment.log
    const readSync = file.readSync.bind(file)
    file.readSync = (into, position) => {
      reads.push(position)
      return readSync(into, position)
    }
    const at = async (offset: number): Promise<number> => {
      const read = await log.read({ offset, maxBytes: 1, minOneBatch: true, upTo: log.logEndOffset })
      return [...decodeBatches(Buffer.concat((read as { slices: Buffer[] }).slices))][0].batch.baseOffset
    }
    expect(await at(200 * gap)).toBe(200 * gap)
    reads.length = 0
    expect(await at(200 * gap + 3)).toBe(201 * gap)
    expect(reads.length).toBeGreaterThan(0)
    expect(reads).not.toContain(0)
  })
  test('find any offset in any segment', async () => {
    const { log } = await aLog({ segmentBytes: 2000, indexIntervalBytes: 200 })
    for (let index = 0; index < 60; index++) await produce(log, numbered(index * 3, 3))
    for (let offset = 0; offset < 180; offset += 7) {
      const read = await log.read({ offset, maxBytes: 10, minOneBatch: true, upTo: 180 })
      const [{ batch }] = [...decodeBatches(Buffer.concat((read as { slices: Buffer[] }).slices))]
      expect(batch.baseOffset).toBe(offset - (offset % 3))
    }
  })
})

test('a deleted log is gone at once, its name free, its files later', async () => {
  const { log, manager, host, disk } = await aLog({ fileDeleteDelayMs: 1000 })
  await produce(log, numbered(0, 3))
  await manager.delete('t', 0)
  expect(manager.get('t', 0)).toBeUndefined()
  expect(disk.files().filter((path) => path.endsWith('.log'))).toEqual([expect.stringMatching(/^\/logs\/t-0\.[0-9a-f]{32}-delete\/0{20}\.log$/)])
  const again = await manager.create('t', 0)
  expect(again.logEndOffset).toBe(0)
  host.pass(1000)
  await Promise.resolve()
  expect(disk.files().filter((path) => path.includes('-delete'))).toEqual([])
  await manager.delete('t', 5)
})

test('more segments than a process may have open: all can be read', async () => {
  const { log, disk } = await aLog({ segmentBytes: 200 })
  for (let index = 0; index < 40; index++) await produce(log, numbered(index, 2))
  // From now on the process has no descriptor left whenever it opens one more than it closed.
  let left = 3
  disk.failure = ({ kind }) => (kind === 'open' && left-- % 4 === 0 ? 'EMFILE' : undefined)
  expect(await readAll(log)).toHaveLength(80)
  expect(log.failure).toBeUndefined()
})

test('a new log goes to the directory with the fewest', async () => {
  const disk = new SimulatedDisk()
  const { manager } = await openOn(disk, {}, { logDirs: ['/a', '/b'] })
  for (let partition = 0; partition < 4; partition++) await manager.create('t', partition)
  expect(manager.all().map(({ logDir }) => logDir)).toEqual(['/a', '/b', '/a', '/b'])
  expect((await manager.directories()).map(({ partitions }) => partitions.length)).toEqual([2, 2])
})

describe('compaction', () => {
  const config: Partial<LogConfig> = { cleanupPolicy: ['compact'], segmentBytes: 400, minCleanableDirtyRatio: 0.01, deleteRetentionMs: 1000, fileDeleteDelayMs: 10 }
  const put = (log: Parameters<typeof produce>[0], key: string, value: string | null, options = {}) => produce(log, [{ key, value, timestamp: 1_700_000_000_000 }], options)

  test('keeps the newest record of each key at its offset; tombstones go after their time', async () => {
    const { log, manager, host, disk } = await aLog(config)
    for (let round = 0; round < 10; round++) for (const key of ['a', 'b', 'c']) await put(log, key, `${key}${round}`)
    await put(log, 'b', null)
    await log.roll()
    log.setHighWatermark(log.logEndOffset)
    await manager.clean()
    expect(textOf(await readAll(log))).toEqual(['27:a=a9', '29:c=c9', '30:b=null'])
    expect(disk.peek('/logs/cleaner-offset-checkpoint').toString()).toBe('0\n1\nt 0 31\n')
    await put(log, 'a', 'x')
    await log.roll()
    log.setHighWatermark(log.logEndOffset)
    host.pass(1001)
    await manager.clean()
    expect(textOf(await readAll(log))).toEqual(['29:c=c9', '31:a=x'])
    await manager.close()
    const again = (await openOn(disk, config)).manager.get('t', 0)!
    expect(textOf(await readAll(again))).toEqual(['29:c=c9', '31:a=x'])
    expect(again.logEndOffset).toBe(32)
  })
  test('leaves open transactions and the active segment alone, drops aborted data, and keeps the last batch of a producer as an empty head', async () => {
    const { log, manager } = await aLog({ ...config, segmentBytes: 100_000 })
    await put(log, 'a', 'old')
    await put(log, 'a', 'aborted', { producerId: 1, producerEpoch: 0, baseSequence: 0, isTransactional: true })
    await append(log, encodeTransactionMarker({ type: 'abort', producerId: 1, producerEpoch: 0, coordinatorEpoch: 0, timestamp: 1_700_000_000_000 }), { origin: 'coordinator' })
    await put(log, 'b', 'first', { producerId: 2, producerEpoch: 0, baseSequence: 0 })
    await put(log, 'b', 'second')
    await log.roll()
    await put(log, 'c', 'open', { producerId: 3, producerEpoch: 0, baseSequence: 0, isTransactional: true })
    await put(log, 'b', 'third')
    await log.roll()
    log.setHighWatermark(log.logEndOffset)
    await manager.clean()
    const read = await log.read({ offset: 0, maxBytes: 10_000, minOneBatch: true, upTo: log.logEndOffset })
    const batches = [...decodeBatches(Buffer.concat((read as { slices: Buffer[] }).slices))]
    expect(batches.map(({ batch, records }) => [batch.baseOffset, batch.producerId, batch.isControl ? 'marker' : textOf(records).join()])).toEqual([
      [0, -1, '0:a=old'],
      [1, 1, ''],
      [2, 1, 'marker'],
      [3, 2, ''],
      [4, -1, '4:b=second'],
    ])
    expect(textOf(await readAll(log)).at(-1)).toBe('6:b=third')
  })
  test('many keys, all codecs: what a reader sees is the newest value of each key', async () => {
    const { log, manager } = await aLog({ ...config, segmentBytes: 3000 })
    const expected = new Map<string, string>()
    for (let round = 0; round < 60; round++) {
      const records = Array.from({ length: 5 }, (_, index) => ({ key: `key ${(round * 7 + index * 3) % 40}`, value: `value ${round}.${index}`, timestamp: 1_700_000_000_000 + round }))
      await produce(log, records, { compression: (['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const)[round % 5] })
      for (const { key, value } of records) expected.set(key, value)
    }
    await log.roll()
    log.setHighWatermark(log.logEndOffset)
    const before = log.size
    await manager.clean()
    const records = await readAll(log)
    expect(log.size).toBeLessThan(before / 2)
    expect(new Map(records.map(({ key, value }) => [String(key), String(value)]))).toEqual(expected)
    expect(records).toHaveLength(expected.size)
  })
  test('whatever moment the power is cut while cleaning, the newest value of each key is there', async () => {
    const prepare = async (disk: SimulatedDisk) => {
      const host = hostOn(disk)
      const { manager } = await openOn(disk, config, { host })
      const log = await manager.create('t', 0)
      for (let round = 0; round < 8; round++) for (const key of ['a', 'b', 'c']) await put(log, key, `${key}${round}`)
      await log.roll()
      await log.flush()
      log.setHighWatermark(log.logEndOffset)
      await manager.checkpoint()
      return { manager, host }
    }
    const whole = new SimulatedDisk()
    const { manager, host } = await prepare(whole)
    const begun = whole.changes
    await manager.clean()
    host.pass(10)
    await Promise.resolve()
    const changes = whole.changes - begun
    expect(changes).toBeGreaterThan(20)
    for (let cut = 0; cut <= changes; cut++) {
      const disk = new SimulatedDisk()
      const run = await prepare(disk)
      disk.powerCutAt = disk.changes + cut
      await run.manager.clean().catch(() => {})
      run.host.pass(10)
      for (const seed of [1, 2, 3]) {
        const found = disk.afterPowerCut({ seed: cut * 10 + seed, keep: seed === 1 ? 'synced' : 'some' })
        const again = (await openOn(found, config)).manager.get('t', 0)!
        const newest = new Map((await readAll(again)).map(({ key, value }) => [String(key), String(value)]))
        expect([...newest].sort(), `cut ${cut} of ${changes}, seed ${seed}`).toEqual([['a', 'a7'], ['b', 'b7'], ['c', 'c7']])
        expect(again.logEndOffset, `cut ${cut}, seed ${seed}`).toBe(24)
      }
    }
  })
})
