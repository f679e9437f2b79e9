/**
 * One batch as a view on its bytes: accessors, the checksum, and the few fields a broker patches in place.
 *
 *     batch := baseOffset:int64 batchLength:int32 partitionLeaderEpoch:int32 magic:int8=2 crc:uint32 attributes:int16
 *              lastOffsetDelta:int32 baseTimestamp:int64 maxTimestamp:int64 producerId:int64 producerEpoch:int16
 *              baseSequence:int32 recordCount:int32 records
 *     message := offset:int64 size:int32 crc:uint32 magic:int8=0|1 attributes:int8 [timestamp:int64] key value   (old formats)
 *
 * `batchLength` counts the bytes behind itself. The checksum is CRC-32C of everything from `attributes` on, so base offset
 * and leader epoch may change without it. Magic stands at byte 16 in all formats.
 */
import { crc32c } from '../../wire/crc32c.ts'

/** Bytes before what `batchLength` counts. */
export const lengthEnd = 12
/** Bytes before the records of a batch of magic 2. */
export const batchHeadSize = 61
/** The smallest message of magic 0: offset, size, crc, magic, attributes, two lengths. */
export const messageSizeMin = 26

export const field = {
  baseOffset: 0,
  batchLength: 8,
  partitionLeaderEpoch: 12,
  magic: 16,
  crc: 17,
  attributes: 21,
  lastOffsetDelta: 23,
  baseTimestamp: 27,
  maxTimestamp: 35,
  producerId: 43,
  producerEpoch: 51,
  baseSequence: 53,
  recordCount: 57,
  records: 61,
} as const

export const attribute = { codec: 0x07, logAppendTime: 0x08, transactional: 0x10, control: 0x20, deleteHorizon: 0x40 } as const
export const noTimestamp = -1n
export const noProducerId = -1
export const noSequence = -1

export const int32At = (b: Uint8Array, at: number): number => (b[at] << 24) | (b[at + 1] << 16) | (b[at + 2] << 8) | b[at + 3]
export function setInt32(b: Uint8Array, at: number, value: number): void {
  b[at] = value >> 24
  b[at + 1] = value >> 16
  b[at + 2] = value >> 8
  b[at + 3] = value
}
/** An int64 that is known to be an offset or a producer id; larger ones lose precision and are caught by whoever compares them. */
export const int64At = (b: Uint8Array, at: number): number => int32At(b, at) * 0x1_0000_0000 + (int32At(b, at + 4) >>> 0)
export function setInt64(b: Uint8Array, at: number, value: number): void {
  setInt32(b, at, Math.floor(value / 0x1_0000_0000))
  setInt32(b, at + 4, value | 0)
}

/** A view on a batch of any format that begins at `at` and whose head lies in `bytes`. */
export class Batch {
  readonly bytes: Buffer
  readonly at: number
  constructor(bytes: Buffer, at = 0) {
    this.bytes = bytes
    this.at = at
  }

  get magic(): number {
    return (this.bytes[this.at + field.magic] << 24) >> 24
  }
  get isLegacy(): boolean {
    return this.bytes[this.at + field.magic] < 2
  }
  /** For a message of an old format its own offset. */
  get baseOffset(): number {
    return int64At(this.bytes, this.at)
  }
  set baseOffset(value: number) {
    setInt64(this.bytes, this.at, value)
  }
  /** The whole batch with its first twelve bytes. */
  get size(): number {
    return lengthEnd + int32At(this.bytes, this.at + field.batchLength)
  }
  get lastOffset(): number {
    return this.isLegacy ? this.baseOffset : this.baseOffset + int32At(this.bytes, this.at + field.lastOffsetDelta)
  }
  get nextOffset(): number {
    return this.lastOffset + 1
  }
  get lastOffsetDelta(): number {
    return this.isLegacy ? 0 : int32At(this.bytes, this.at + field.lastOffsetDelta)
  }
  /** −1 when unknown. */
  get partitionLeaderEpoch(): number {
    return this.isLegacy ? -1 : int32At(this.bytes, this.at + field.partitionLeaderEpoch)
  }
  set partitionLeaderEpoch(value: number) {
    setInt32(this.bytes, this.at + field.partitionLeaderEpoch, value)
  }
  get crc(): number {
    return int32At(this.bytes, this.at + (this.isLegacy ? 12 : field.crc)) >>> 0
  }
  get attributes(): number {
    return this.isLegacy ? this.bytes[this.at + 17] : ((this.bytes[this.at + field.attributes] << 24) >> 16) | this.bytes[this.at + field.attributes + 1]
  }
  get codec(): number {
    return this.attributes & attribute.codec
  }
  get isLogAppendTime(): boolean {
    return this.magic > 0 && (this.attributes & attribute.logAppendTime) !== 0
  }
  get isTransactional(): boolean {
    return !this.isLegacy && (this.attributes & attribute.transactional) !== 0
  }
  get isControl(): boolean {
    return !this.isLegacy && (this.attributes & attribute.control) !== 0
  }
  get hasDeleteHorizon(): boolean {
    return !this.isLegacy && (this.attributes & attribute.deleteHorizon) !== 0
  }
  /** ms; the delete horizon when the batch has one. */
  get baseTimestamp(): bigint {
    if (this.isLegacy) return this.maxTimestamp
    return this.bytes.readBigInt64BE(this.at + field.baseTimestamp)
  }
  /** ms, −1 for none. A message of magic 1 has one timestamp, one of magic 0 none. */
  get maxTimestamp(): bigint {
    if (this.magic === 0) return noTimestamp
    return this.bytes.readBigInt64BE(this.at + (this.isLegacy ? 18 : field.maxTimestamp))
  }
  get producerId(): number {
    return this.isLegacy ? noProducerId : int64At(this.bytes, this.at + field.producerId)
  }
  get producerEpoch(): number {
    const at = this.at + field.producerEpoch
    return this.isLegacy ? -1 : ((this.bytes[at] << 24) >> 16) | this.bytes[at + 1]
  }
  get baseSequence(): number {
    return this.isLegacy ? noSequence : int32At(this.bytes, this.at + field.baseSequence)
  }
  /** Sequence numbers wrap from 2^31−1 to 0. */
  get lastSequence(): number {
    const base = this.baseSequence
    return base === noSequence ? noSequence : sequencePlus(base, this.lastOffsetDelta)
  }
  /** −1 when only decoding tells (old formats). */
  get recordCount(): number {
    return this.isLegacy ? -1 : int32At(this.bytes, this.at + field.recordCount)
  }
  /** The bytes of the batch, when all of them lie in this buffer. */
  get whole(): Buffer {
    return this.bytes.subarray(this.at, this.at + this.size)
  }
  /** The records as they are stored, compressed or not (magic 2). */
  get recordBytes(): Buffer {
    return this.bytes.subarray(this.at + batchHeadSize, this.at + this.size)
  }
  /** CRC-32C of a batch of magic 2 whose bytes all lie in this buffer. */
  computeCrc(): number {
    return crc32c(this.bytes.subarray(this.at + field.attributes, this.at + this.size))
  }
  /** Sets type and maximum of the timestamps, and the checksum with them (magic 2). */
  setTimestamps({ logAppendTime, max }: { logAppendTime: boolean; max: bigint }): void {
    const low = this.at + field.attributes + 1
    this.bytes[low] = logAppendTime ? this.bytes[low] | attribute.logAppendTime : this.bytes[low] & ~attribute.logAppendTime
    this.bytes.writeBigInt64BE(max, this.at + field.maxTimestamp)
    setInt32(this.bytes, this.at + field.crc, this.computeCrc() | 0)
  }
}

/** A sequence number `by` further on, wrapped into 0 … 2^31−1. */
export function sequencePlus(sequence: number, by: number): number {
  const sum = sequence + by
  return sum > 0x7fff_ffff ? sum - 0x8000_0000 : sum
}

/** What is wrong with the head of a batch at `at`, judged before anything is allocated; undefined when it may be read. */
export function headProblem(bytes: Buffer, at: number, available: number): string | undefined {
  if (available < lengthEnd + 5) return `${available} bytes, less than the head of a batch`
  const size = lengthEnd + int32At(bytes, at + field.batchLength)
  const magic = bytes[at + field.magic]
  if (magic > 2) return `magic ${magic}; known are 0, 1 and 2`
  const sizeMin = magic === 2 ? batchHeadSize : magic === 1 ? messageSizeMin + 8 : messageSizeMin
  if (size < sizeMin) return `a batch of ${size} bytes; magic ${magic} takes at least ${sizeMin}`
  return undefined
}
