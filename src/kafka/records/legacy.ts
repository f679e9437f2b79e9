/**
 * Message sets of the formats before record batches: magic 0 (Kafka before 0.10) and 1 (before 0.11).
 *
 *     message := offset:int64 size:int32 crc:uint32 magic:int8 attributes:int8 [timestamp:int64 if magic 1] key value
 *     key, value := length:int32 (−1 null) bytes
 *
 * The checksum is CRC-32 (IEEE) from `magic` on. A compressed set is the value of a wrapper message whose offset is that of
 * its last inner message; inner offsets are absolute in magic 0, relative to the first in magic 1.
 */
import { crc32 } from './crc32.ts'
import { Batch, int32At, messageSizeMin, noTimestamp, setInt32, setInt64 } from './batch.ts'
import { compress, decompress, decompressedSizeMax } from './compression.ts'
import { CorruptBatchError } from './corrupt-batch-error.ts'
import { noHeaders, type Record } from './record.ts'

export interface Message {
  offset: number
  timestamp: bigint
  key: Uint8Array | null
  value: Uint8Array | null
}

/** The checksum of the message at `at`, which lies whole in `bytes`. */
export function messageCrc(bytes: Uint8Array, at: number): number {
  return crc32(bytes.subarray(at + 16, at + 12 + int32At(bytes, at + 8)))
}

/** The records of one message, which is a wrapper when it is compressed. Checks every checksum inside. */
export function readMessage(bytes: Buffer, at = 0, sizeMax = decompressedSizeMax): Record[] {
  const batch = new Batch(bytes, at)
  const message = parse(bytes, at, bytes.length)
  const codec = batch.codec
  if (codec === 0) return [{ offset: batch.baseOffset, timestamp: batch.maxTimestamp, key: message.key, value: message.value, headers: noHeaders, sequence: -1 }]
  if (message.value === null) throw new CorruptBatchError(at, 'a compressed message without value')
  const inner = decompress(codec, message.value, { sizeMax, magic: batch.magic })
  const records: Record[] = []
  for (let position = 0; position < inner.length; ) {
    const { size, key, value } = parse(inner, position, inner.length)
    const innerBatch = new Batch(inner, position)
    if (innerBatch.magic !== batch.magic) throw new CorruptBatchError(at, `a message of magic ${innerBatch.magic} in a wrapper of magic ${batch.magic}`)
    if (innerBatch.codec !== 0) throw new CorruptBatchError(at, 'a compressed message inside a compressed one')
    const timestamp = batch.isLogAppendTime ? batch.maxTimestamp : innerBatch.maxTimestamp
    records.push({ offset: innerBatch.baseOffset, timestamp, key, value, headers: noHeaders, sequence: -1 })
    position += size
  }
  if (records.length === 0) throw new CorruptBatchError(at, 'an empty compressed message')
  if (batch.magic === 1) {
    // Offsets as old producers wrote them are 0, 1, …; the wrapper has the last one's.
    const base = batch.baseOffset - records[records.length - 1].offset
    for (const record of records) record.offset += base
  }
  return records
}

function parse(bytes: Buffer, at: number, end: number): { size: number; key: Buffer | null; value: Buffer | null } {
  if (end - at < messageSizeMin) throw new CorruptBatchError(at, `${end - at} bytes, less than a message`)
  const size = 12 + int32At(bytes, at + 8)
  const magic = bytes[at + 16]
  if (magic > 1) throw new CorruptBatchError(at, `magic ${magic} in an old message set`)
  const keyAt = at + (magic === 1 ? 26 : 18)
  if (size < keyAt - at + 8 || size > end - at) throw new CorruptBatchError(at, `a message of ${size} bytes, ${end - at} left`)
  const crc = messageCrc(bytes, at)
  const stored = int32At(bytes, at + 12) >>> 0
  if (crc !== stored) throw new CorruptBatchError(at, `checksum ${stored} stored, ${crc} computed`)
  const keySize = int32At(bytes, keyAt)
  if (keySize < -1 || keySize > at + size - keyAt - 8) throw new CorruptBatchError(at, `a key of ${keySize} bytes`)
  const valueAt = keyAt + 4 + Math.max(keySize, 0)
  const valueSize = int32At(bytes, valueAt)
  if (valueSize < -1 || valueAt + 4 + Math.max(valueSize, 0) !== at + size) throw new CorruptBatchError(at, `a value of ${valueSize} bytes`)
  return {
    size,
    key: keySize < 0 ? null : bytes.subarray(keyAt + 4, keyAt + 4 + keySize),
    value: valueSize < 0 ? null : bytes.subarray(valueAt + 4, valueAt + 4 + valueSize),
  }
}

/** A message set of magic 0 or 1, compressed as one wrapper when a codec is given. */
export function encodeMessages(messages: readonly Message[], { magic, codec = 0, logAppendTime }: { magic: 0 | 1; codec?: number; logAppendTime?: bigint }): Buffer {
  if (messages.length === 0) return Buffer.alloc(0)
  const type = logAppendTime === undefined || magic === 0 ? 0 : 0x08
  if (codec === 0) return Buffer.concat(messages.map((message) => encodeMessage({ ...message, magic, attributes: type, timestamp: logAppendTime ?? message.timestamp })))
  const first = messages[0].offset
  const inner = Buffer.concat(messages.map((message) => encodeMessage({ ...message, offset: magic === 1 ? message.offset - first : message.offset, magic, attributes: 0 })))
  let timestamp = logAppendTime ?? noTimestamp
  if (logAppendTime === undefined) for (const message of messages) if (message.timestamp > timestamp) timestamp = message.timestamp
  return encodeMessage({ offset: messages[messages.length - 1].offset, timestamp, key: null, value: compress(codec, inner, { magic }), magic, attributes: codec | type })
}

function encodeMessage({ offset, timestamp, key, value, magic, attributes }: Message & { magic: 0 | 1; attributes: number }): Buffer {
  const headSize = magic === 1 ? 26 : 18
  const bytes = Buffer.allocUnsafe(headSize + 8 + (key?.length ?? 0) + (value?.length ?? 0))
  setInt64(bytes, 0, offset)
  setInt32(bytes, 8, bytes.length - 12)
  bytes[16] = magic
  bytes[17] = attributes
  if (magic === 1) bytes.writeBigInt64BE(timestamp, 18)
  let at = writeSized(bytes, headSize, key)
  at = writeSized(bytes, at, value)
  setInt32(bytes, 12, messageCrc(bytes, 0) | 0)
  return bytes.subarray(0, at)
}
function writeSized(bytes: Buffer, at: number, part: Uint8Array | null): number {
  setInt32(bytes, at, part === null ? -1 : part.length)
  if (part !== null) bytes.set(part, at + 4)
  return at + 4 + (part?.length ?? 0)
}
