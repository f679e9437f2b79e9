/** Which partition a key belongs to, as Java's and librdkafka's (murmur2) producers decide it. */

const seed = 0x9747b28c | 0
const m = 0x5bd1e995
const r = 24

/** MurmurHash2, 32 bits, as a signed number. */
export function murmur2(bytes: Uint8Array): number {
  const whole = bytes.length & ~3
  let h = seed ^ bytes.length
  for (let at = 0; at < whole; at += 4) {
    let k = bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)
    k = Math.imul(k, m)
    k ^= k >>> r
    h = Math.imul(h, m) ^ Math.imul(k, m)
  }
  const left = bytes.length - whole
  if (left === 3) h ^= bytes[whole + 2] << 16
  if (left >= 2) h ^= bytes[whole + 1] << 8
  if (left >= 1) h = Math.imul(h ^ bytes[whole], m)
  h ^= h >>> 13
  h = Math.imul(h, m)
  return h ^ (h >>> 15)
}

/** The partition of a key among `partitions`. The mask, not an absolute value, is what makes the hash positive there. */
export function partitionOfKey(key: Uint8Array, partitions: number): number {
  return (murmur2(key) & 0x7fff_ffff) % partitions
}
