import { crc32 as zlibCrc32 } from 'node:zlib'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { adler32 } from '../../src/wire/adler32.ts'
import { crc32, crc32OfText, crc32Word, crc32Words } from '../../src/wire/crc32.ts'
import { crc32c, crc32cScript } from '../../src/wire/crc32c.ts'

test('CRC-32C gives the vectors of RFC 3720, appendix B.4', () => {
  expect(crc32c(Buffer.alloc(32))).toBe(0x8a9136aa)
  expect(crc32c(Buffer.alloc(32, 0xff))).toBe(0x62a8ab43)
  expect(crc32c(Buffer.from(Array.from({ length: 32 }, (_, index) => index)))).toBe(0x46dd794e)
  expect(crc32c(Buffer.from('123456789'))).toBe(0xe3069283)
})
test('the script and the native library agree, in one piece and in several', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 2000 }), fc.nat(2000), (bytes, at) => {
      expect(crc32c(bytes)).toBe(crc32cScript(bytes))
      expect(crc32c(bytes.subarray(at), crc32c(bytes.subarray(0, at)))).toBe(crc32cScript(bytes))
    }),
  )
})
test('Adler-32 of known texts, whole and continued', () => {
  expect(adler32(Buffer.from('Wikipedia'))).toBe(0x11e60398)
  expect(adler32(Buffer.alloc(0))).toBe(1)
  const long = Buffer.alloc(20_000, 0xff)
  expect(adler32(long.subarray(7000), adler32(long.subarray(0, 7000)))).toBe(adler32(long))
})
test('CRC-32 of bytes, texts and words is zlib\'s, whole and continued', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 600 }), fc.nat(600), (bytes, at) => {
      expect(crc32(bytes) >>> 0).toBe(zlibCrc32(bytes))
      expect(crc32(bytes.subarray(at), crc32(bytes.subarray(0, at))) >>> 0).toBe(zlibCrc32(bytes))
    }),
  )
  fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (text) => {
    expect(crc32OfText(text) >>> 0).toBe(zlibCrc32(text))
  }))
  fc.assert(
    fc.property(fc.integer(), fc.integer(), fc.integer(), (previous, first, second) => {
      const bytes = Buffer.alloc(8)
      bytes.writeInt32BE(first)
      bytes.writeInt32BE(second, 4)
      expect(~crc32Words(~previous, first, second) >>> 0).toBe(zlibCrc32(bytes, previous >>> 0))
      expect(~crc32Word(~previous, first) >>> 0).toBe(zlibCrc32(bytes.subarray(0, 4), previous >>> 0))
    }),
  )
})
