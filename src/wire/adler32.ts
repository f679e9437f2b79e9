/** Adler-32, the checksum of ZooKeeper's snapshots and transaction logs. */

const modulus = 65521
/** Longest run whose sums stay below 2^32 (zlib's NMAX). */
const runMax = 5552

/** Adler-32 as an unsigned number; `previous` continues an earlier part (1 to begin). */
export function adler32(bytes: Uint8Array, previous = 1): number {
  let a = previous & 0xffff
  let b = previous >>> 16
  for (let at = 0; at < bytes.length; ) {
    const end = Math.min(at + runMax, bytes.length)
    for (; at < end; at++) {
      a += bytes[at]
      b += a
    }
    a %= modulus
    b %= modulus
  }
  return ((b << 16) | a) >>> 0
}
