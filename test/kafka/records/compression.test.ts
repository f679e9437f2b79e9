/** Every codec gives back what it took, with the native library or without, and bounds what it makes. */
import { createRequire } from 'node:module'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { codecNames, compress, decompress } from '../../../src/kafka/records/compression.ts'
import { CompressionError } from '../../../src/kafka/records/compression-error.ts'
import { compressLz4Script, decompressLz4 } from '../../../src/kafka/records/lz4.ts'
import { compressSnappyScript, decompressSnappy, decompressSnappyScript } from '../../../src/kafka/records/snappy.ts'
import { xxhash32 } from '../../../src/kafka/records/xxhash32.ts'
import { hasZstd, outputBound } from '../../../src/kafka/records/zstd.ts'

const require = createRequire(import.meta.url)
/** Runs, noise and text in turn, up to a few blocks. */
const data = fc
  .array(fc.oneof(fc.tuple(fc.integer({ min: 0, max: 255 }), fc.integer({ min: 1, max: 40_000 })).map(([byte, size]) => Buffer.alloc(size, byte)), fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)), fc.lorem().map((text) => Buffer.from(text))), { maxLength: 8 })
  .map((parts) => Buffer.concat(parts))
const sizeMax = 1 << 24

test('lz4 into memory that is used again: the same bytes, whatever was there before, and no more than asked for', () => {
  const scratch = { bytes: Buffer.alloc(0) }
  fc.assert(fc.property(data, fc.boolean(), (bytes, isScriptOnly) => {
    expect(decompressLz4(compress(3, bytes), sizeMax, { isScriptOnly, scratch }).equals(bytes)).toBe(true)
  }), { numRuns: 60 })
  const large = Buffer.alloc(300_000, 7)
  const room = decompressLz4(compress(3, large), sizeMax, { scratch })
  expect(decompressLz4(compress(3, Buffer.from('small')), sizeMax, { scratch }).buffer).toBe(room.buffer)
  expect(() => decompressLz4(compress(3, large), 200_000, { scratch })).toThrow(CompressionError)
})
test('without a codec bytes are themselves', () => {
  expect(decompress(0, compress(0, Buffer.from('x'))).toString()).toBe('x')
})
describe.each(codecNames.map((name, codec) => ({ name, codec })).slice(1))('$name', ({ codec }) => {
  test('gives back what it took', () => {
    fc.assert(fc.property(data, (bytes) => {
      expect(decompress(codec, compress(codec, bytes)).equals(bytes)).toBe(true)
    }), { numRuns: 60 })
  })
  test('refuses to make more than it may', () => {
    const bomb = compress(codec, Buffer.alloc(3_000_000))
    expect(bomb.length).toBeLessThan(300_000)
    expect(() => decompress(codec, bomb, { sizeMax: 100_000 })).toThrow(/of more than 100000 bytes when decompressed/)
  })
  test('answers damaged bytes with a CompressionError or other bytes, never a crash', () => {
    fc.assert(
      fc.property(data, fc.nat(), fc.integer({ min: 1, max: 255 }), (bytes, where, change) => {
        const packed = Buffer.from(compress(codec, Buffer.concat([bytes, Buffer.from('the end')])))
        packed[where % packed.length] ^= change
        for (const broken of [packed, packed.subarray(0, where % packed.length)])
          try {
            expect(decompress(codec, broken, { sizeMax }).length).toBeLessThanOrEqual(sizeMax)
          } catch (error) {
            expect(error).toBeInstanceOf(CompressionError)
          }
      }),
      { numRuns: 300 },
    )
  })
})

test('the scripts and the native libraries read each other', () => {
  const lz4 = require('lz4-napi') as { compressFrameSync(data: Uint8Array, options?: object): Buffer; decompressFrameSync(data: Buffer): Buffer }
  const snappy = require('snappy') as { compressSync(data: Uint8Array): Buffer; uncompressSync(data: Uint8Array): Buffer }
  fc.assert(
    fc.property(data, (bytes) => {
      const some = Buffer.concat([bytes, Buffer.from('.')])
      expect(Buffer.from(lz4.decompressFrameSync(compressLz4Script(some))).equals(some)).toBe(true)
      for (const options of [{}, { contentChecksum: true, blockChecksums: true }]) expect(decompressLz4(lz4.compressFrameSync(some, options), sizeMax).equals(some)).toBe(true)
      const part = some.subarray(0, 65_536)
      expect(Buffer.from(snappy.uncompressSync(compressSnappyScript(part))).equals(part)).toBe(true)
      const raw = snappy.compressSync(part)
      let at = 0
      while (raw[at++] > 0x7f);
      expect(decompressSnappyScript(raw, at, part.length).equals(part)).toBe(true)
      expect(decompressSnappy(raw, sizeMax).equals(part)).toBe(true)
    }),
    { numRuns: 100 },
  )
})

test('lz4 blocks are the same to the script and to the native library, whole, damaged, and beyond the bound', () => {
  const outcome = (read: () => Buffer) => {
    try {
      return read().toString('latin1')
    } catch (error) {
      return error instanceof CompressionError ? `refused: ${error.message}` : error
    }
  }
  const damage = fc.record({ where: fc.nat(), change: fc.integer({ min: 0, max: 255 }), bound: fc.constantFrom(sizeMax, 50_000, 1_000) })
  let refused = 0
  let read = 0
  fc.assert(
    fc.property(data, damage, (bytes, { where, change, bound }) => {
      const packed = Buffer.from(compress(3, Buffer.concat([Buffer.from(Array.from({ length: 2_000 }, (_, index) => Math.imul(index + 1, 0x9e3779b1) >>> 24)), bytes])))
      packed[where % packed.length] ^= change
      const [whole, script] = [false, true].map((isScriptOnly) => outcome(() => decompressLz4(packed, bound, { isScriptOnly })))
      expect(whole).toBe(script)
      if (typeof script === 'string' && script.startsWith('refused: ')) refused++
      else read++
    }),
    { numRuns: 500 },
  )
  expect(Math.min(refused, read)).toBeGreaterThan(20)
})

test('lz4 of message format 0 has the header checksum that its clients expect (KAFKA-3160)', () => {
  const bytes = Buffer.from('hello')
  const broken = compress(3, bytes, { magic: 0 })
  expect(() => decompress(3, broken)).toThrow(/wrong header checksum/)
  expect(decompress(3, broken, { magic: 0 })).toEqual(bytes)
  expect(decompress(3, compress(3, bytes), { magic: 0 })).toEqual(bytes)
})

test('xxHash-32 has its published values', () => {
  expect([xxhash32(Buffer.from('')), xxhash32(Buffer.from('a')), xxhash32(Buffer.from('abc')), xxhash32(Buffer.from('Nobody inspects the spammish repetition'))]).toEqual([0x02cc5d05, 0x550d7456, 0x32d153ff, 0xe2293b2f])
})

test.runIf(hasZstd())('the bound of zstd frames is known before they are read', () => {
  const packed = compress(4, Buffer.alloc(1_000_000, 'x'))
  expect(outputBound(packed)).toBeGreaterThanOrEqual(1_000_000)
  expect(outputBound(Buffer.concat([packed, packed]))).toBeGreaterThanOrEqual(2_000_000)
  expect(decompress(4, Buffer.concat([packed, packed])).length).toBe(2_000_000)
})

test('unknown codecs are refused by number', () => {
  expect(() => decompress(5, Buffer.alloc(1))).toThrow(/compression codec 5; known are/)
})
