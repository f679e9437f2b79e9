import { expect, test } from 'vitest'
import { AbortedBatches } from '../../src/kafka/log/aborted-batches.ts'
import type { LogConfig } from '../../src/kafka/log/log-config.ts'
import { OffsetMap } from '../../src/kafka/log/offset-map.ts'
import { PartitionLog } from '../../src/kafka/log/partition-log.ts'
import { Segment } from '../../src/kafka/log/segment.ts'
import { runCompaction } from '../../src/simulation/compaction-run.ts'
import type { RunOptions } from '../../src/simulation/run.ts'
import { lawBroken, withBug } from './planted.ts'

const patient = { timeout: 240_000 }

test('compaction keeps what it promises to every reader, whoever fails in the middle of it', patient, async () => {
  for (const seed of [1, 2]) {
    const report = await runCompaction({ seed, faultyMs: 4_000 }).catch((error: Error) => {
      throw new Error(`npm run simulate -- compaction --seed ${seed} --seconds 4: ${error.message}`, { cause: error })
    })
    expect(report.facts['cleanings']).toBeGreaterThan(10)
    expect(report.laws?.get('of each key the newest value is there')).toBeGreaterThan(100)
  }
})

const find = (options: Partial<RunOptions> = {}, seeds = 14) => (): Promise<string> => lawBroken(runCompaction, seeds, { scenario: 'one', faultyMs: 4_000, kinds: ['reset'], ...options })
const planted = (bug: string, run: () => Promise<void>): void => test(`planted: ${bug}`, patient, run)

planted('a tombstone goes with the cleaning after the one that met it', async () => {
  const law = await withBug(PartitionLog.prototype, 'config', (config) => function (this: never) {
    return { ...(config.call(this) as LogConfig), deleteRetentionMs: 0 }
  }, find({ kinds: [], faultyMs: 10_000 }))
  expect(law).toBe('a tombstone stays for whoever has seen what it deletes')
})
planted('two keys are taken for one', async () => {
  const law = await withBug(OffsetMap.prototype, 'set', (set) => function (this: never, bytes: Uint8Array, offset: number, from = 0, to = bytes.length) {
    return set.call(this, bytes as never, offset as never, from as never, (to - 1) as never)
  } as never, () => withBug(OffsetMap.prototype, 'get', (get) => function (this: never, bytes: Uint8Array, from = 0, to = bytes.length) {
    return get.call(this, bytes as never, from as never, (to - 1) as never)
  } as never, find()))
  expect(law).toBe('of each key the newest value is there')
})
planted('the oldest offset of a key is remembered', async () => {
  const law = await withBug(OffsetMap.prototype, 'set', (set) => function (this: OffsetMap, bytes: Uint8Array, offset: number, from = 0, to = bytes.length) {
    return this.get(bytes, from, to) < 0 ? set.call(this as never, bytes as never, offset as never, from as never, to as never) : -1
  } as never, find())
  expect(law).toBe('what is clean has each key once')
})
planted('the cleaner forgets what was aborted', async () => {
  const law = await withBug(AbortedBatches.prototype, 'holds', () => () => false, () => withBug(AbortedBatches.prototype, 'marker', () => () => ({ isDone: true }), find()))
  expect(law).toBe('what is aborted never comes back')
})
planted('markers go before what they mark', async () => {
  const law = await withBug(AbortedBatches.prototype, 'marker', (marker) => function (this: never, batch: never) {
    return { ...(marker.call(this, batch) as object), isDone: true }
  } as never, find({ faultyMs: 6_000 }))
  expect(law).toMatch(/a marker stays as long as what it marks|a marker says|no transaction hangs/)
})
planted('what is undecided is cleaned, too', async () => {
  const law = await withBug(PartitionLog.prototype, 'decidedOffset', () => function (this: PartitionLog) {
    return Math.min(this.activeSegment.baseOffset, this.highWatermark)
  } as never, find())
  expect(law).toMatch(/of each key the newest value is there|what is aborted never comes back|no transaction hangs/)
})
planted('a compacted segment takes its place before it is on the device', async () => {
  const law = await withBug(Segment.prototype, 'sync', (sync) => function (this: Segment) {
    return this.log.path.endsWith('.cleaned') ? Promise.resolve() : sync.call(this as never)
  } as never, find({ kinds: ['swap', 'powerCut'] }))
  expect(law).toMatch(/of each key the newest value is there|a tombstone stays|no producer is forgotten|is answered|was shown|can be read/)
})
planted('the last batch of a producer goes like any other', async () => {
  const law = await withBug(PartitionLog.prototype, 'isLastOfProducer', () => () => false, find())
  expect(law).toMatch(/no producer is forgotten|is answered/)
})
