/** Batches and messages: what is built is read, what is walked is what is decoded, what is damaged is named. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Batch, batchHeadSize, sequencePlus } from '../../../src/kafka/records/batch.ts'
import { codecNames } from '../../../src/kafka/records/compression.ts'
import { controlTypeOf, coordinatorEpochOf, encodeTransactionMarker } from '../../../src/kafka/records/control.ts'
import { downConvert } from '../../../src/kafka/records/convert.ts'
import { CorruptBatchError } from '../../../src/kafka/records/corrupt-batch-error.ts'
import { decodeBatches } from '../../../src/kafka/records/decode.ts'
import { encodeBatch } from '../../../src/kafka/records/encode.ts'
import { encodeMessages, readMessage } from '../../../src/kafka/records/legacy.ts'
import { RecordWalk } from '../../../src/kafka/records/walk.ts'

const bytes = fc.oneof(fc.constant(null), fc.uint8Array({ maxLength: 200 }).map((array) => Buffer.from(array)))
const timestamps = fc.oneof(fc.bigInt({ min: -1n, max: 2_000_000_000_000n }), fc.bigInt({ min: -(2n ** 62n), max: 2n ** 62n }))
const record = fc.record({ key: bytes, value: bytes, timestamp: timestamps, headers: fc.array(fc.record({ key: fc.string({ maxLength: 5 }), value: bytes }), { maxLength: 3 }) })
const records = fc.array(record, { minLength: 1, maxLength: 30 })

test('a batch gives back its records, with every codec and the whole range of timestamps', () => {
  fc.assert(
    fc.property(records, fc.constantFrom(...codecNames), fc.integer({ min: 0, max: 2 ** 40 }), (given, compression, baseOffset) => {
      const [{ batch, records: read }] = [...decodeBatches(encodeBatch(given, { compression, baseOffset, producerId: 7, producerEpoch: 1, baseSequence: 0x7fff_fffe, partitionLeaderEpoch: 3 }))]
      expect(read).toEqual(given.map((one, index) => ({ ...one, offset: baseOffset + index, sequence: sequencePlus(0x7fff_fffe, index) })))
      expect([batch.baseOffset, batch.lastOffset, batch.producerId, batch.producerEpoch, batch.partitionLeaderEpoch, batch.recordCount]).toEqual([baseOffset, baseOffset + given.length - 1, 7, 1, 3, given.length])
      expect(batch.maxTimestamp).toBe(given.reduce((max, { timestamp }) => (timestamp > max ? timestamp : max), given[0].timestamp))
    }),
    { numRuns: 200 },
  )
})

test('the walk finds what decoding finds, however the bytes are cut into pieces', () => {
  fc.assert(
    fc.property(records, fc.integer({ min: 1, max: 90 }), (given, pieceSize) => {
      const batch = new Batch(encodeBatch(given))
      const walk = new RecordWalk()
      for (let at = 0; at < batch.recordBytes.length; at += pieceSize) expect(walk.feed(batch.recordBytes.subarray(at, at + pieceSize))).toBe(true)
      expect(walk.finish()).toBe(true)
      expect([walk.count, walk.sequential, walk.hasNullKey, walk.nullKeys]).toEqual([given.length, true, given.some(({ key }) => key === null), given.flatMap(({ key }, index) => (key === null ? [index] : []))])
      const deltas = given.map(({ timestamp }) => timestamp - given[0].timestamp)
      const isWide = deltas.some((delta) => delta > 2n ** 53n - 1n || delta < 1n - 2n ** 53n)
      expect(walk.wide).toBe(isWide)
      if (!isWide) expect([walk.minTimestampDelta, walk.maxTimestampDelta]).toEqual([Math.min(...deltas.map(Number)), Math.max(...deltas.map(Number))])
    }),
    { numRuns: 300 },
  )
})

test('damaged records are found by the walk or leave a batch that decodes as the walk says', () => {
  fc.assert(
    fc.property(records, fc.nat(), fc.integer({ min: 1, max: 255 }), (given, where, change) => {
      const batch = new Batch(encodeBatch(given))
      const part = batch.recordBytes
      part[where % part.length] ^= change
      const walk = new RecordWalk()
      walk.feed(part)
      const isFine = walk.finish() && walk.count === given.length
      let decoded: unknown
      try {
        decoded = [...decodeBatches(batch.bytes, { verify: false })][0].records.length
      } catch (error) {
        expect(error).toBeInstanceOf(CorruptBatchError)
      }
      // The walk may be stricter about lengths that nobody writes, never laxer.
      if (isFine) expect(decoded).toBe(given.length)
    }),
    { numRuns: 3000 },
  )
})

test('noise is no batch, and no reason to allocate', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (noise) => {
      for (const magic of [0, 1, 2, 3]) {
        const changed = Buffer.from(noise)
        if (changed.length > 16) changed[16] = magic
        try {
          expect([...decodeBatches(changed)].length).toBeLessThan(10)
        } catch (error) {
          expect(error).toBeInstanceOf(CorruptBatchError)
        }
      }
    }),
    { numRuns: 3000 },
  )
})

test('a wrong checksum is named with both values; a part of a batch at the end is passed over', () => {
  const batch = encodeBatch([{ key: 'k', value: 'v' }])
  const broken = Buffer.from(batch)
  broken[64] ^= 1
  expect(() => [...decodeBatches(Buffer.concat([batch, broken]))]).toThrow(/corrupt batch at byte 70: checksum \d+ stored, \d+ computed/)
  expect([...decodeBatches(Buffer.concat([batch, batch.subarray(0, 40)]))]).toHaveLength(1)
  expect([...decodeBatches(broken, { verify: false })]).toHaveLength(1)
})

test('base offset and leader epoch may be set without a new checksum, timestamps with one', () => {
  const batch = new Batch(encodeBatch([{ key: 'k', value: 'v', timestamp: 5 }]))
  batch.baseOffset = 2 ** 45 + 7
  batch.partitionLeaderEpoch = 9
  expect([batch.baseOffset, batch.partitionLeaderEpoch, batch.crc]).toEqual([2 ** 45 + 7, 9, batch.computeCrc()])
  batch.setTimestamps({ logAppendTime: true, max: 77n })
  expect([batch.isLogAppendTime, batch.maxTimestamp, batch.crc]).toEqual([true, 77n, batch.computeCrc()])
  expect([...decodeBatches(batch.whole)][0].records[0].timestamp).toBe(77n)
})

test('an empty batch is a head, as compaction leaves it', () => {
  const empty = encodeBatch([], { baseOffset: 5, lastOffsetDelta: 2, producerId: 4, producerEpoch: 0, baseSequence: 8 })
  const [{ batch, records: none }] = [...decodeBatches(empty)]
  expect([empty.length, batch.lastOffset, batch.lastSequence, none]).toEqual([batchHeadSize, 7, 10, []])
})

test('transaction markers', () => {
  const [{ batch, records: [one] }] = [...decodeBatches(encodeTransactionMarker({ type: 'commit', producerId: 6, producerEpoch: 2, coordinatorEpoch: 70_000, timestamp: 9 }))]
  expect([batch.isControl, batch.isTransactional, batch.baseSequence, controlTypeOf(one.key), coordinatorEpochOf(one.value)]).toEqual([true, true, -1, 1, 70_000])
  expect([controlTypeOf(null), controlTypeOf(Buffer.alloc(3)), coordinatorEpochOf(Buffer.alloc(2))]).toEqual([undefined, undefined, undefined])
})

describe.each([0, 1] as const)('magic %i', (magic) => {
  const messages = [4, 5, 7].map((offset) => ({ offset, timestamp: magic === 0 ? -1n : 100n + BigInt(offset), key: offset === 5 ? null : Buffer.from(`k${offset}`), value: Buffer.from(`v${offset}`) }))
  test.each([0, 1, 2, 3])('codec %i: what is built is read', (codec) => {
    const set = encodeMessages(messages, { magic, codec })
    expect([...decodeBatches(set)].flatMap(({ records: read }) => read).map(({ offset, timestamp, key, value }) => ({ offset, timestamp, key, value }))).toEqual(messages)
  })
  test('a damaged message is named', () => {
    const set = encodeMessages(messages, { magic })
    set[set.length - 1] ^= 1
    expect(() => [...decodeBatches(set)]).toThrow(/checksum \d+ stored, \d+ computed/)
    expect(() => readMessage(Buffer.alloc(10))).toThrow(/10 bytes, less than a message/)
  })
  test.each(['none', 'gzip', 'snappy', 'lz4'] as const)('a batch of today with %s comes back in the old format, from the offset asked for', (compression) => {
    const batch = encodeBatch(messages.map(({ key, value, timestamp }) => ({ key, value, timestamp, headers: [{ key: 'h', value: 'lost' }] })), { compression, baseOffset: 4, offsetDeltas: [0, 1, 3] })
    const marker = encodeTransactionMarker({ type: 'abort', producerId: 1, producerEpoch: 0, coordinatorEpoch: 0, timestamp: 1 })
    const converted = downConvert(Buffer.concat([batch, marker]), magic, 5)
    if (converted.kind !== 'converted') throw new Error(converted.reason)
    expect(converted.bytes[16]).toBe(magic)
    expect([...decodeBatches(converted.bytes)].flatMap(({ records: read }) => read).map(({ offset, timestamp, key, value }) => ({ offset, timestamp, key, value }))).toEqual(messages.slice(1))
  })
  test('zstd cannot be said', () => {
    expect(downConvert(encodeBatch([{ key: null, value: 'v' }], { compression: 'zstd' }), magic, 0)).toMatchObject({ kind: 'unsupported', reason: expect.stringMatching(/zstd/) })
  })
})
