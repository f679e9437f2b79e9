import { expect, test } from 'vitest'
import { Batch, setInt32, field } from '../../../src/kafka/records/batch.ts'
import { codecNames } from '../../../src/kafka/records/compression.ts'
import { cursorOn, recordsOf } from '../../../src/kafka/records/decode.ts'
import { encodeBatch } from '../../../src/kafka/records/encode.ts'
import { RecordCursor } from '../../../src/kafka/records/record-cursor.ts'
import { MalformedError } from '../../../src/wire/reader.ts'
import { seededRandom } from '../../../src/simulation/random.ts'

const at = 1_700_000_000_000
const records = [
  { key: 'a', value: 'one', timestamp: at },
  { key: null, value: null, timestamp: at - 70 },
  { key: '', value: '', timestamp: at + 5_000_000_000, headers: [{ key: 'h', value: 'x' }, { key: '', value: null }] },
  { key: 'k'.repeat(300), value: 'v'.repeat(70_000), timestamp: at + 1 },
]

test.each(codecNames.filter((codec) => codec !== 'zstd'))('says of every record what decoding it says: %s', (compression) => {
  const batch = new Batch(encodeBatch(records, { compression, baseOffset: 40 }))
  const cursor = cursorOn(batch)
  for (const { key, value, offset, timestamp } of recordsOf(batch)) {
    expect(cursor.next()).toBe(true)
    const part = (from: number, size: number) => (size < 0 ? null : cursor.bytes.subarray(from, from + size))
    expect(part(cursor.keyFrom, cursor.keySize)).toEqual(key)
    expect(part(cursor.valueFrom, cursor.valueSize)).toEqual(value)
    expect(40 + cursor.offsetDelta).toBe(offset)
    expect(BigInt(at + cursor.timestampDelta)).toBe(timestamp)
  }
  expect(cursor.next()).toBe(false)
})

test('a timestamp delta beyond 2^53 is said to be no number', () => {
  const cursor = cursorOn(new Batch(encodeBatch([{ key: 'a', value: 'b', timestamp: 0n }, { key: 'a', value: 'b', timestamp: 1n << 62n }])))
  expect([cursor.next(), cursor.timestampDelta, cursor.next(), Number.isSafeInteger(cursor.timestampDelta)]).toEqual([true, 0, true, false])
})

test('what decoding refuses it refuses, and reads nothing that is not there', () => {
  const random = seededRandom(5)
  const whole = encodeBatch(records.slice(0, 3))
  let refused = 0
  for (let round = 0; round < 3_000; round++) {
    const bytes = Buffer.from(whole)
    for (let change = 0; change < 2; change++) bytes[field.records + Math.floor(random.next() * (bytes.length - field.records))] = Math.floor(random.next() * 256)
    const batch = new Batch(bytes)
    const outcome = (look: () => void) => {
      try {
        look()
        return 'good'
      } catch {
        return 'refused'
      }
    }
    const decoded = outcome(() => recordsOf(batch))
    expect(outcome(() => {
      const cursor = cursorOn(batch)
      while (cursor.next());
    })).toBe(decoded)
    if (decoded === 'refused') refused++
  }
  expect(refused).toBeGreaterThan(100)
})
test('more records than bytes are refused before the first', () => {
  const bytes = encodeBatch(records.slice(0, 1))
  setInt32(bytes, field.recordCount, 1_000_000)
  expect(() => cursorOn(new Batch(bytes))).toThrow(MalformedError)
  expect(() => new RecordCursor(bytes, 0, bytes.length, -1)).toThrow(MalformedError)
})
