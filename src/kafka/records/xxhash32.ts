/** xxHash-32, the checksum inside LZ4 frames. */

const p1 = 0x9e3779b1 | 0
const p2 = 0x85ebca77 | 0
const p3 = 0xc2b2ae3d | 0
const p4 = 0x27d4eb2f
const p5 = 0x165667b1

const rotate = (value: number, by: number): number => (value << by) | (value >>> (32 - by))
const word = (b: Uint8Array, at: number): number => b[at] | (b[at + 1] << 8) | (b[at + 2] << 16) | (b[at + 3] << 24)
const round = (lane: number, input: number): number => Math.imul(rotate((lane + Math.imul(input, p2)) | 0, 13), p1)

/** As an unsigned number, with seed 0. */
export function xxhash32(bytes: Uint8Array): number {
  const end = bytes.length
  let at = 0
  let hash: number
  if (end >= 16) {
    let a = (p1 + p2) | 0
    let b = p2
    let c = 0
    let d = -p1 | 0
    for (const last = end - 16; at <= last; at += 16) {
      a = round(a, word(bytes, at))
      b = round(b, word(bytes, at + 4))
      c = round(c, word(bytes, at + 8))
      d = round(d, word(bytes, at + 12))
    }
    hash = (rotate(a, 1) + rotate(b, 7) + rotate(c, 12) + rotate(d, 18)) | 0
  } else hash = p5
  hash = (hash + end) | 0
  for (; at + 4 <= end; at += 4) hash = Math.imul(rotate((hash + Math.imul(word(bytes, at), p3)) | 0, 17), p4)
  for (; at < end; at++) hash = Math.imul(rotate((hash + Math.imul(bytes[at], p5)) | 0, 11), p1)
  hash = Math.imul(hash ^ (hash >>> 15), p2)
  hash = Math.imul(hash ^ (hash >>> 13), p3)
  return (hash ^ (hash >>> 16)) >>> 0
}
