import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { hexOf, MalformedError, Reader } from '../../src/wire/reader.ts'
import { Writer } from '../../src/wire/writer.ts'

const written = (write: (w: Writer) => void, sizeHint = 1) => {
  const writer = new Writer(sizeHint)
  write(writer)
  return writer.toBuffer()
}
const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })

describe('what is written is read back', () => {
  const law = <T>(name: string, values: fc.Arbitrary<T>, write: (w: Writer, value: T) => void, read: (r: Reader) => T) =>
    test(name, () =>
      fc.assert(
        fc.property(values, (value) => {
          const reader = new Reader(written((w) => write(w, value)))
          expect(read(reader)).toEqual(value)
          expect(reader.remaining).toBe(0)
        }),
      ))
  law('int8', fc.integer({ min: -128, max: 127 }), (w, v) => w.int8(v), (r) => r.int8())
  law('int16', fc.integer({ min: -0x8000, max: 0x7fff }), (w, v) => w.int16(v), (r) => r.int16())
  law('uint16', fc.integer({ min: 0, max: 0xffff }), (w, v) => w.uint16(v), (r) => r.uint16())
  law('int32', fc.integer(), (w, v) => w.int32(v), (r) => r.int32())
  law('uint32', fc.integer({ min: 0, max: 0xffff_ffff }), (w, v) => w.uint32(v), (r) => r.uint32())
  law('int64', fc.maxSafeInteger(), (w, v) => w.int64(v), (r) => r.int64())
  law('bigint64', int64, (w, v) => w.bigint64(v), (r) => r.bigint64())
  law('float64', fc.double(), (w, v) => w.float64(v), (r) => r.float64())
  law('bool', fc.boolean(), (w, v) => w.bool(v), (r) => r.bool())
  law('uvarint', fc.integer({ min: 0, max: 0xffff_ffff }), (w, v) => w.uvarint(v), (r) => r.uvarint())
  law('varint', fc.integer(), (w, v) => w.varint(v), (r) => r.varint())
  law('varlong', fc.maxSafeInteger(), (w, v) => w.varlong(v), (r) => r.varlong())
  law('bigvarlong', int64, (w, v) => w.bigvarlong(v), (r) => r.bigvarlong())
  law('utf8', fc.string({ unit: 'binary' }), (w, v) => void (w.uvarint(Buffer.byteLength(v)), w.utf8(v)), (r) => r.utf8(r.uvarint()))
  law('both varlongs agree', fc.maxSafeInteger(), (w, v) => w.bigvarlong(BigInt(v)), (r) => r.varlong())
})

describe('the writer', () => {
  test('grows between any two bytes without losing one', () => {
    for (let hint = 1; hint < 40; hint++) {
      const bytes = written((w) => {
        for (let value = 0; value < 300; value++) w.uint8(value & 0xff)
        w.bool(true)
        w.uvarint(300)
      }, hint)
      expect(bytes.toString('hex')).toBe(Buffer.from([...Array.from({ length: 300 }, (_, value) => value & 0xff), 1, 0xac, 2]).toString('hex'))
    }
  })
  test('puts the size before a text, whatever it is made of', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 70 }), fc.integer({ min: 1, max: 20 }), (text, hint) => {
      const reader = new Reader(written((w) => {
        w.int8(1)
        w.sized(text)
        w.int8(2)
      }, hint))
      expect(reader.int8()).toBe(1)
      expect(reader.utf8(reader.int32())).toBe(Buffer.from(text).toString())
      expect(reader.int8()).toBe(2)
      expect(reader.remaining).toBe(0)
    }))
  })
  test('splices large pieces in without copying, and puts the size of the whole before them', () => {
    const large = Buffer.alloc(5000, 7)
    const writer = new Writer()
    writer.int32(0)
    writer.int16(1)
    writer.raw(large)
    writer.int16(2)
    const pieces = writer.finishFrame()
    expect(pieces).toHaveLength(3)
    expect(pieces[1]).toBe(large)
    expect(Buffer.from(pieces[0]).readInt32BE(0)).toBe(5004)
    expect(writer.size).toBe(0)
  })
  test('is used again for the next message without touching the last one', () => {
    const writer = new Writer()
    writer.int32(1)
    const [first] = writer.finish()
    for (let value = 0; value < 100; value++) writer.int32(value)
    writer.finish()
    expect(Buffer.from(first).toString('hex')).toBe('00000001')
  })
  test('puts a section behind its size, whatever width that takes', () => {
    for (const size of [0, 1, 127, 128, 16_383, 16_384]) {
      const bytes = written((w) => {
        w.uint8(9)
        const mark = w.beginSized()
        for (let index = 0; index < size; index++) w.uint8(5)
        w.endSized(mark)
        w.uint8(8)
      })
      const reader = new Reader(bytes)
      expect(reader.uint8()).toBe(9)
      expect(reader.uvarint()).toBe(size)
      expect(reader.view(size).every((byte) => byte === 5)).toBe(true)
      expect(reader.uint8()).toBe(8)
      expect(reader.remaining).toBe(0)
    }
  })
  test('refuses what the wire cannot hold', () => {
    expect(() => written((w) => w.int64(2 ** 53))).toThrow(/within 2\^53/)
    expect(() => written((w) => w.uuid('short'))).toThrow(/not a uuid/)
  })
})

describe('the reader refuses, naming position and reason', () => {
  const refused = (hex: string, read: (r: Reader) => unknown) => expect(() => read(new Reader(Buffer.from(hex, 'hex'))))
  test('what is cut off', () => {
    refused('0001', (r) => r.int32()).toThrow(new MalformedError('4 bytes wanted, 2 left', 0))
    refused('000102', (r) => (r.int8(), r.view(3))).toThrow(new MalformedError('3 bytes wanted, 2 left', 1))
    refused('00', (r) => r.copy(-1)).toThrow(MalformedError)
  })
  test('varints that are too long', () => {
    refused('ffffffffff01', (r) => r.uvarint()).toThrow(/more than five bytes/)
    refused('ffffffff1f', (r) => r.uvarint()).toThrow(/beyond 32 bits/)
    refused('ffffffffffffffffffff01', (r) => r.bigvarlong()).toThrow(/more than ten bytes/)
    refused('feffffffffffffffff01', (r) => r.varlong()).toThrow(/beyond 2\^53/)
  })
  test('an int64 beyond 2^53, which bigint64 takes', () => {
    refused('7fffffffffffffff', (r) => r.int64()).toThrow(/beyond 2\^53/)
    expect(new Reader(Buffer.from('7fffffffffffffff', 'hex')).bigint64()).toBe(2n ** 63n - 1n)
  })
  test('tags that claim more than there is', () => {
    refused('ffffffff0f', (r) => r.skipTags()).toThrow(MalformedError)
    refused('010005aa', (r) => r.skipTags()).toThrow(MalformedError)
  })
})
test('what is taken from a writer stays as it is while the writer goes on, and messages lie one behind the other', () => {
  const writer = new Writer(16)
  const taken: { bytes: Buffer; expected: Buffer }[] = []
  for (let count = 0; count < 200; count++) {
    const expected = Buffer.alloc(1 + ((count * 37) % 300), count)
    writer.raw(expected)
    taken.push({ bytes: writer.take(), expected })
  }
  const spliced = Buffer.alloc(5000, 7)
  writer.int8(1)
  writer.raw(spliced)
  taken.push({ bytes: writer.take(), expected: Buffer.concat([Buffer.from([1]), spliced]) })
  expect(writer.size).toBe(0)
  for (const { bytes, expected } of taken) expect(bytes.equals(expected)).toBe(true)
})
test('unexpected bytes are shown in hex, cut short', () => {
  expect(hexOf(Buffer.from('GET / HTTP/1.1'), 5)).toBe('474554202f…')
  expect(hexOf(Buffer.from([1, 2]))).toBe('0102')
})
