/** Builds batches of magic 2 from records. */
import { crc32c } from '../../wire/crc32c.ts'
import { Writer } from '../../wire/writer.ts'
import { attribute, batchHeadSize, field, setInt32, setInt64 } from './batch.ts'
import { codecId, compress, type CodecName, type CompressionLevels } from './compression.ts'
import type { NewRecord } from './record.ts'

export interface BatchOptions {
  baseOffset?: number
  partitionLeaderEpoch?: number
  compression?: CodecName
  levels?: CompressionLevels
  /** For every record without a timestamp of its own, in ms; −1 (none) by default. */
  timestamp?: bigint | number
  /** With `logAppendTime` all records have `timestamp`. */
  timestampType?: 'createTime' | 'logAppendTime'
  producerId?: number
  producerEpoch?: number
  baseSequence?: number
  isTransactional?: boolean
  isControl?: boolean
  /** Offset deltas when they are not 0, 1, 2 … (after compaction). */
  offsetDeltas?: readonly number[]
  /** When it is larger than the last record's (after compaction). */
  lastOffsetDelta?: number
  deleteHorizonMs?: bigint
  /** When it is larger than any record's (after compaction). */
  maxTimestamp?: bigint
}

/** One batch with these records; offsets 0, 1, 2 … unless said otherwise. An empty list makes an empty batch, as compaction leaves behind. */
export function encodeBatch(records: readonly NewRecord[], options: BatchOptions = {}): Buffer {
  const { compression = 'none', timestampType = 'createTime', offsetDeltas } = options
  const fallback = BigInt(options.timestamp ?? -1)
  const timestampOf = (record: NewRecord): bigint => (timestampType === 'logAppendTime' || record.timestamp === undefined ? fallback : BigInt(record.timestamp))
  const baseTimestamp = options.deleteHorizonMs ?? (records.length > 0 ? timestampOf(records[0]) : (options.maxTimestamp ?? fallback))
  let max = options.maxTimestamp ?? (records.length > 0 ? timestampOf(records[0]) : fallback)
  const writer = new Writer(records.length * 64 + 64)
  records.forEach((record, index) => {
    const timestamp = timestampOf(record)
    if (timestamp > max) max = timestamp
    writeRecord(writer, record, timestamp - baseTimestamp, offsetDeltas ? offsetDeltas[index] : index)
  })
  const attributes =
    codecId(compression) |
    (timestampType === 'logAppendTime' ? attribute.logAppendTime : 0) |
    (options.isTransactional ? attribute.transactional : 0) |
    (options.isControl ? attribute.control : 0) |
    (options.deleteHorizonMs === undefined ? 0 : attribute.deleteHorizon)
  return sealBatch(compress(codecId(compression), writer.toBuffer(), { levels: options.levels }), {
    attributes,
    baseOffset: options.baseOffset ?? 0,
    partitionLeaderEpoch: options.partitionLeaderEpoch ?? -1,
    lastOffsetDelta: options.lastOffsetDelta ?? (offsetDeltas ? (offsetDeltas[offsetDeltas.length - 1] ?? 0) : records.length - 1),
    baseTimestamp,
    maxTimestamp: max,
    producerId: options.producerId ?? -1,
    producerEpoch: options.producerEpoch ?? -1,
    baseSequence: options.baseSequence ?? -1,
    recordCount: records.length,
  })
}

export interface BatchHead {
  attributes: number
  baseOffset: number
  partitionLeaderEpoch: number
  lastOffsetDelta: number
  baseTimestamp: bigint
  maxTimestamp: bigint
  producerId: number
  producerEpoch: number
  baseSequence: number
  recordCount: number
}

/** Puts a head with its checksum before records that are in their stored form already. */
export function sealBatch(stored: Uint8Array, head: BatchHead): Buffer {
  const batch = Buffer.allocUnsafe(batchHeadSize + stored.length)
  setInt64(batch, field.baseOffset, head.baseOffset)
  setInt32(batch, field.batchLength, batch.length - 12)
  setInt32(batch, field.partitionLeaderEpoch, head.partitionLeaderEpoch)
  batch[field.magic] = 2
  batch.writeInt16BE(head.attributes, field.attributes)
  setInt32(batch, field.lastOffsetDelta, head.lastOffsetDelta)
  batch.writeBigInt64BE(head.baseTimestamp, field.baseTimestamp)
  batch.writeBigInt64BE(head.maxTimestamp, field.maxTimestamp)
  setInt64(batch, field.producerId, head.producerId)
  batch.writeInt16BE(head.producerEpoch, field.producerEpoch)
  setInt32(batch, field.baseSequence, head.baseSequence)
  setInt32(batch, field.recordCount, head.recordCount)
  batch.set(stored, batchHeadSize)
  setInt32(batch, field.crc, crc32c(batch.subarray(field.attributes)) | 0)
  return batch
}

function writeRecord(writer: Writer, record: NewRecord, timestampDelta: bigint, offsetDelta: number): void {
  const key = bytesOf(record.key)
  const value = bytesOf(record.value)
  const headers = (record.headers ?? []).map((header) => ({ key: Buffer.from(header.key), value: bytesOf(header.value) }))
  const delta = timestampDelta >= -0x4000_0000n && timestampDelta < 0x4000_0000n ? Number(timestampDelta) : undefined
  let size = 1 + (delta === undefined ? bigvarlongSize(timestampDelta) : varintSize(delta)) + varintSize(offsetDelta) + sizedSize(key) + sizedSize(value) + varintSize(headers.length)
  for (const header of headers) size += sizedSize(header.key) + sizedSize(header.value)
  writer.varint(size)
  writer.int8(0)
  if (delta === undefined) writer.bigvarlong(timestampDelta)
  else writer.varint(delta)
  writer.varint(offsetDelta)
  writeSized(writer, key)
  writeSized(writer, value)
  writer.varint(headers.length)
  for (const header of headers) {
    writeSized(writer, header.key)
    writeSized(writer, header.value)
  }
}
const bytesOf = (value: Uint8Array | string | null): Uint8Array | null => (typeof value === 'string' ? Buffer.from(value) : value)
const sizedSize = (bytes: Uint8Array | null): number => (bytes === null ? 1 : varintSize(bytes.length) + bytes.length)
function writeSized(writer: Writer, bytes: Uint8Array | null): void {
  if (bytes === null) return writer.varint(-1)
  writer.varint(bytes.length)
  writer.raw(bytes)
}
function varintSize(value: number): number {
  const raw = ((value << 1) ^ (value >> 31)) >>> 0
  return raw < 0x80 ? 1 : raw < 0x4000 ? 2 : raw < 0x20_0000 ? 3 : raw < 0x1000_0000 ? 4 : 5
}
function bigvarlongSize(value: bigint): number {
  let rest = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n))
  let size = 1
  for (; rest > 0x7fn; rest >>= 7n) size++
  return size
}
