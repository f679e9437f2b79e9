/** CRC-32 (IEEE, zlib's): slice-by-8 for what is short, where a call out of JavaScript costs more than the checksum, and zlib's for the rest. */
import { crc32 as crc32Native } from 'node:zlib'
import { crcTables } from './crc-tables.ts'

const [t0, t1, t2, t3, t4, t5, t6, t7] = crcTables(0xedb88320)

const nativeMin = 256

/** The checksum as a signed number; `previous` continues an earlier part. */
export function crc32(bytes: Uint8Array, previous = 0): number {
  const end = bytes.length
  if (end >= nativeMin) return crc32Native(bytes, previous >>> 0) | 0
  let crc = ~previous
  let at = 0
  for (const whole = end - 7; at < whole; at += 8) {
    crc =
      t7[(crc ^ bytes[at]) & 0xff] ^ t6[((crc >>> 8) ^ bytes[at + 1]) & 0xff] ^ t5[((crc >>> 16) ^ bytes[at + 2]) & 0xff] ^ t4[(crc >>> 24) ^ bytes[at + 3]] ^
      t3[bytes[at + 4]] ^ t2[bytes[at + 5]] ^ t1[bytes[at + 6]] ^ t0[bytes[at + 7]]
  }
  for (; at < end; at++) crc = (crc >>> 8) ^ t0[(crc ^ bytes[at]) & 0xff]
  return ~crc
}
/** The checksum of a text's UTF-8, signed. */
export function crc32OfText(text: string): number {
  const end = text.length
  if (end >= nativeMin) return crc32Native(text) | 0
  let crc = -1
  for (let at = 0; at < end; at++) {
    const unit = text.charCodeAt(at)
    if (unit > 0x7f) return crc32Native(text) | 0
    crc = (crc >>> 8) ^ t0[(crc ^ unit) & 0xff]
  }
  return ~crc
}

/** Continues a checksum's inverse, `~crc`, by two big-endian int32s; returns the inverse. */
export function crc32Words(state: number, first: number, second: number): number {
  return (
    t7[(state & 0xff) ^ (first >>> 24)] ^ t6[((state >>> 8) & 0xff) ^ ((first >>> 16) & 0xff)] ^ t5[((state >>> 16) & 0xff) ^ ((first >>> 8) & 0xff)] ^ t4[(state >>> 24) ^ (first & 0xff)] ^
    t3[second >>> 24] ^ t2[(second >>> 16) & 0xff] ^ t1[(second >>> 8) & 0xff] ^ t0[second & 0xff]
  )
}
/** The same by one. */
export function crc32Word(state: number, word: number): number {
  return t3[(state & 0xff) ^ (word >>> 24)] ^ t2[((state >>> 8) & 0xff) ^ ((word >>> 16) & 0xff)] ^ t1[((state >>> 16) & 0xff) ^ ((word >>> 8) & 0xff)] ^ t0[(state >>> 24) ^ (word & 0xff)]
}
