/** CRC-32C (Castagnoli), as Kafka's record batches use it: slice-by-8 here, the native one for large inputs where it is installed. */
import { crcTables } from './crc-tables.ts'
import { optionalLibrary } from './optional-library.ts'

const [t0, t1, t2, t3, t4, t5, t6, t7] = crcTables(0x82f63b78)

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

/** Wanted in exactly 1.10.7 (package.json): 1.10.8 calls a function for each eight bytes and takes four times as long. */
type Native = (bytes: Uint8Array, previous?: number) => number
const native = optionalLibrary<{ crc32c: Native }>('@node-rs/crc32')

/** Below this, a call into the native library costs more than it saves. */
const nativeMin = 256

/** CRC-32C as an unsigned number; `previous` continues an earlier part. */
export function crc32c(bytes: Uint8Array, previous = 0): number {
  return bytes.length >= nativeMin ? (native()?.crc32c(bytes, previous) ?? crc32cScript(bytes, previous)) : crc32cScript(bytes, previous)
}
