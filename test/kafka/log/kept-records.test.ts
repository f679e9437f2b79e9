import { expect, test } from 'vitest'
import { KeptRecords } from '../../../src/kafka/log/kept-records.ts'
import { Batch } from '../../../src/kafka/records/batch.ts'
import { cursorOn, recordsOf } from '../../../src/kafka/records/decode.ts'
import { encodeBatch, type BatchOptions } from '../../../src/kafka/records/encode.ts'
import type { NewRecord } from '../../../src/kafka/records/record.ts'
import { seededRandom } from '../../../src/simulation/random.ts'

const at = 1_700_000_000_000
const identity = { baseOffset: 1_000, partitionLeaderEpoch: 3, producerId: 9, producerEpoch: 1, baseSequence: 5, isTransactional: true }
const kept = new KeptRecords()
/** By copying, and by decoding and encoding again. */
function both(records: readonly NewRecord[], stays: (index: number) => boolean, options: BatchOptions = {}, horizon?: bigint) {
  const batch = new Batch(encodeBatch(records, { ...identity, ...options }))
  const cursor = cursorOn(batch)
  kept.begin()
  for (let index = 0; cursor.next(); index++) if (stays(index)) kept.add(cursor)
  const left = recordsOf(batch).filter((_, index) => stays(index))
  return {
    copied: kept.batchOf(batch, cursor.bytes, horizon),
    encoded: encodeBatch(left, { ...identity, compression: options.compression, lastOffsetDelta: records.length - 1, offsetDeltas: left.map(({ offset }) => offset - 1_000), deleteHorizonMs: horizon }),
  }
}

test.each(['none', 'gzip', 'snappy', 'lz4'] as const)('copied records make the same batch, byte for byte, as encoded ones: %s', (compression) => {
  const random = seededRandom(3)
  for (let round = 0; round < 60; round++) {
    const records = Array.from({ length: 1 + random.below(700) }, (_, index): NewRecord => ({
      key: `k${index}`.repeat(1 + random.below(4)), value: random.chance(0.1) ? null : 'v'.repeat(random.below(round % 10 === 0 ? 400 : 40)),
      timestamp: at + random.below([1, 50, 10_000, 3_000_000_000][round % 4]) - random.below(90), headers: random.chance(0.1) ? [{ key: 'h', value: null }] : [],
    }))
    const part = random.next()
    const chosen = records.map(() => random.chance(part))
    chosen[random.below(records.length)] = true
    const { copied, encoded } = both(records, (index) => chosen[index], { compression }, round % 3 === 0 ? BigInt(at + 86_400_000) : undefined)
    expect(copied?.equals(encoded)).toBe(true)
  }
})
test('timestamps that cannot be moved by copying are left to decoding', () => {
  const far = [{ key: 'a', value: 'x', timestamp: 0n }, { key: 'b', value: 'x', timestamp: 1n << 61n }]
  expect(both(far, (index) => index === 1).copied).toBeUndefined()
  expect(both([{ key: 'a', value: 'x' }], () => true, { timestampType: 'logAppendTime', timestamp: at }).copied).toBeUndefined()
})
