/**
 * Big-endian int64 as bigints. Node's own readBigInt64BE and writeBigInt64BE put the value together from bigints of its halves, which costs four
 * times as long and as much garbage; here it goes through eight bytes that are written and read within one call.
 */
const whole = new BigInt64Array(1)
const halves = new Int32Array(whole.buffer)
const isLittleEndian = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1
const low = isLittleEndian ? 0 : 1
const high = 1 - low

/** The int64 at `at`; the eight bytes must be there. */
export function readInt64(bytes: Uint8Array, at: number): bigint {
  halves[high] = (bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3]
  halves[low] = (bytes[at + 4] << 24) | (bytes[at + 5] << 16) | (bytes[at + 6] << 8) | bytes[at + 7]
  return whole[0]
}
/** Writes `value` modulo 2^64 at `at`; there must be room. */
export function writeInt64(bytes: Uint8Array, at: number, value: bigint): void {
  whole[0] = value
  const upper = halves[high]
  const lower = halves[low]
  bytes[at] = upper >> 24
  bytes[at + 1] = upper >> 16
  bytes[at + 2] = upper >> 8
  bytes[at + 3] = upper
  bytes[at + 4] = lower >> 24
  bytes[at + 5] = lower >> 16
  bytes[at + 6] = lower >> 8
  bytes[at + 7] = lower
}
export function writeInt32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >> 24
  bytes[at + 1] = value >> 16
  bytes[at + 2] = value >> 8
  bytes[at + 3] = value
}
export function readInt32(bytes: Uint8Array, at: number): number {
  return (bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3]
}
/** The upper and the lower half of `value` modulo 2^64, signed. */
export function highOf(value: bigint): number {
  whole[0] = value
  return halves[high]
}
export function lowOf(value: bigint): number {
  whole[0] = value
  return halves[low]
}
/** The int64 of these halves. */
export function int64Of(upper: number, lower: number): bigint {
  halves[high] = upper
  halves[low] = lower
  return whole[0]
}
