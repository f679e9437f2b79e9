/** Adler-32, the checksum of ZooKeeper's snapshots and transaction logs. */

const modulus = 65521
/** Longest run, of eights, whose sums stay below 2^31, so that they are small integers all along: zlib's NMAX is that for 2^32. */
const runMax = 3800

/** Adler-32 as an unsigned number; `previous` continues an earlier part (1 to begin). */
export function adler32(bytes: Uint8Array, previous = 1): number {
  let a = previous & 0xffff
  let b = previous >>> 16
  for (let at = 0; at < bytes.length; ) {
    const end = Math.min(at + runMax, bytes.length)
    // Eight bytes at a time: each sum then waits for the one before it once, not eight times.
    for (const whole = end - 7; at < whole; at += 8) {
      const b0 = bytes[at]
      const b1 = bytes[at + 1]
      const b2 = bytes[at + 2]
      const b3 = bytes[at + 3]
      const b4 = bytes[at + 4]
      const b5 = bytes[at + 5]
      const b6 = bytes[at + 6]
      const b7 = bytes[at + 7]
      b += a * 8 + b0 * 8 + b1 * 7 + b2 * 6 + b3 * 5 + b4 * 4 + b5 * 3 + b6 * 2 + b7
      a += b0 + b1 + b2 + b3 + b4 + b5 + b6 + b7
    }
    for (; at < end; at++) {
      a += bytes[at]
      b += a
    }
    a %= modulus
    b %= modulus
  }
  return ((b << 16) | a) >>> 0
}
