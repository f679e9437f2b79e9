import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Batch } from '../../../src/kafka/records/batch.ts'
import { controlRecordOf, controlTypeOf, coordinatorEpochOf, encodeTransactionMarker } from '../../../src/kafka/records/control.ts'
import { recordsOf } from '../../../src/kafka/records/decode.ts'
import { encodeBatch } from '../../../src/kafka/records/encode.ts'

/** By way of the general decoder. */
function decoded(batch: Batch) {
  const [{ key, value, offset, timestamp }] = recordsOf(batch)
  return { type: controlTypeOf(key), coordinatorEpoch: coordinatorEpochOf(value), offset, timestamp }
}

test('a marker is read as the general decoder reads it, wherever it lies', () => {
  fc.assert(
    fc.property(fc.constantFrom('commit' as const, 'abort' as const), fc.nat(0x7fff_ffff), fc.maxSafeNat(), fc.nat(200), (type, coordinatorEpoch, baseOffset, before) => {
      const marker = encodeTransactionMarker({ type, producerId: 7, producerEpoch: 1, coordinatorEpoch, timestamp: 1_700_000_000_000 })
      const batch = new Batch(Buffer.concat([Buffer.alloc(before, 1), marker, Buffer.from([9])]), before)
      batch.baseOffset = baseOffset
      expect(controlRecordOf(batch)).toEqual(decoded(batch))
      expect(controlRecordOf(batch)).toMatchObject({ type: type === 'commit' ? 1 : 0, coordinatorEpoch, offset: baseOffset })
    }),
  )
})
test.each([
  ['a longer value', { key: Buffer.from([0, 0, 0, 1]), value: Buffer.from([0, 0, 0, 0, 0, 5, 1]) }],
  ['a shorter value', { key: Buffer.from([0, 0, 0, 1]), value: Buffer.from([0, 0]) }],
  ['no value, a key that makes up for it', { key: Buffer.from([0, 0, 0, 2, 0, 0, 0, 0, 0, 0]), value: null }],
  ['another timestamp', { key: Buffer.from([0, 0, 0, 0]), value: Buffer.from([0, 0, 0, 0, 0, 5]), timestamp: 99 }],
  ['a header', { key: Buffer.from([0, 0, 0, 1]), value: Buffer.from([0, 0, 0, 0, 0, 5]), headers: [{ key: 'h', value: null }] }],
])('other control records are read, too: %s', (_, record) => {
  const batch = new Batch(encodeBatch([record], { timestamp: 5, producerId: 7, isTransactional: true, isControl: true }))
  expect(controlRecordOf(batch)).toEqual(decoded(batch))
})
test('what compaction left without records has none', () => {
  expect(controlRecordOf(new Batch(encodeBatch([], { timestamp: 5, isTransactional: true, isControl: true })))).toBeUndefined()
})
