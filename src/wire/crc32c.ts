/** CRC-32C (Castagnoli), as Kafka's record batches use it: slice-by-8 here, the native one for large inputs where it is installed. */
import { optionalLibrary } from './optional-library.ts'

const polynomial = 0x82f63b78
const tables = Array.from({ length: 8 }, () => new Int32Array(256))
for (let byte = 0; byte < 256; byte++) {
  let crc = byte
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ polynomial : crc >>> 1
  tables[0][byte] = crc
}
for (let slice = 1; slice < 8; slice++)
  for (let byte = 0; byte < 256; byte++) tables[slice][byte] = (tables[slice - 1][byte] >>> 8) ^ tables[0][tables[slice - 1][byte] & 0xff]
const [t0, t1, t2, t3, t4, t5, t6, t7] = tables

/** The checksum without the native library. `previous`: the checksum of the bytes before these. */
export function crc32cScript(bytes: Uint8Array, previous = 0): number {
  let crc = ~previous
  let at = 0
  const end = bytes.length
  for (const whole = end - 7; at < whole; at += 8) {
    crc ^= bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)
    crc =
      t7[crc & 0xff] ^ t6[(crc >>> 8) & 0xff] ^ t5[(crc >>> 16) & 0xff] ^ t4[crc >>> 24] ^
      t3[bytes[at + 4]] ^ t2[bytes[at + 5]] ^ t1[bytes[at + 6]] ^ t0[bytes[at + 7]]
  }
  for (; at < end; at++) crc = (crc >>> 8) ^ t0[(crc ^ bytes[at]) & 0xff]
  return ~crc >>> 0
}

type Native = (bytes: Uint8Array, previous?: number) => number
const native = optionalLibrary<{ crc32c: Native }>('@node-rs/crc32')

/** Below this, a call into the native library costs more than it saves. */
const nativeMin = 256

/** CRC-32C as an unsigned number; `previous` continues an earlier part. */
export function crc32c(bytes: Uint8Array, previous = 0): number {
  return bytes.length >= nativeMin ? (native()?.crc32c(bytes, previous) ?? crc32cScript(bytes, previous)) : crc32cScript(bytes, previous)
}
