import fc from 'fast-check'
import { expect, test } from 'vitest'
import { highOf, int64Of, lowOf, readInt32, readInt64, writeInt32, writeInt64 } from '../../src/wire/int64.ts'

const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })

test('int64s are written and read as Node does it', () => {
  fc.assert(
    fc.property(int64, fc.nat(5), (value, at) => {
      const bytes = Buffer.alloc(16, 0xaa)
      const expected = Buffer.alloc(16, 0xaa)
      writeInt64(bytes, at, value)
      expected.writeBigInt64BE(value, at)
      expect(bytes).toEqual(expected)
      expect(readInt64(bytes, at)).toBe(value)
    }),
  )
})
test('what does not fit is taken modulo 2^64', () => {
  const bytes = Buffer.alloc(8)
  writeInt64(bytes, 0, 2n ** 64n - 1n)
  expect(readInt64(bytes, 0)).toBe(-1n)
  writeInt64(bytes, 0, 2n ** 64n + 5n)
  expect(readInt64(bytes, 0)).toBe(5n)
})
test('halves are the int32s of the bytes', () => {
  fc.assert(
    fc.property(int64, (value) => {
      const bytes = Buffer.alloc(8)
      bytes.writeBigInt64BE(value)
      expect([highOf(value), lowOf(value)]).toEqual([bytes.readInt32BE(0), bytes.readInt32BE(4)])
      expect(int64Of(highOf(value), lowOf(value))).toBe(value)
    }),
  )
})
test('int32s are written and read as Node does it', () => {
  fc.assert(
    fc.property(fc.integer(), (value) => {
      const bytes = Buffer.alloc(6)
      const expected = Buffer.alloc(6)
      writeInt32(bytes, 1, value)
      expected.writeInt32BE(value, 1)
      expect(bytes).toEqual(expected)
      expect(readInt32(bytes, 1)).toBe(value)
    }),
  )
})
