/** Checks what a client or coordinator wants to append and makes it what is stored (LogValidator; reference §8.2–8.5). Offsets are set later. */
import { crc32c } from '../../wire/crc32c.ts'
import { attribute, Batch, batchHeadSize, field, headProblem, noTimestamp, setInt32 } from '../records/batch.ts'
import { codecId, compress, decompress, type CodecName } from '../records/compression.ts'
import { CompressionError } from '../records/compression-error.ts'
import { CorruptBatchError } from '../records/corrupt-batch-error.ts'
import { batchesIn, recordsOf } from '../records/decode.ts'
import { encodeBatch, sealBatch } from '../records/encode.ts'
import { upConvert } from '../records/convert.ts'
import type { Record } from '../records/record.ts'
import { RecordWalk } from '../records/walk.ts'
import { codes, refusal, type AppendFacts, type RecordError, type Refused } from './append.ts'
import type { LogConfig } from './log-config.ts'

/** A batch ready to be stored but for base offset and leader epoch, which lie outside its checksum. */
export interface Prepared {
  /** View on the head, in the first piece. */
  batch: Batch
  pieces: Buffer[]
  size: number
}
export interface ValidationContext {
  config: LogConfig
  /** `topic-partition`, for messages. */
  name: string
  now: number
}

const asBuffer = (bytes: Uint8Array): Buffer => (Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength))

/** Prepared batches in order, or why they are refused. */
export function prepare(given: readonly Uint8Array[], facts: AppendFacts, context: ValidationContext): Prepared[] | Refused {
  try {
    const { produceVersion } = facts
    if (produceVersion !== undefined && produceVersion < 3) return prepareOld(joined(given), produceVersion, context)
    const pieces = given.map(asBuffer)
    // Everything below reads the head in the first piece.
    if (pieces.length > 1 && pieces[0].length < batchHeadSize) return prepareAll([Buffer.concat(pieces)], facts, context)
    return prepareAll(pieces, facts, context)
  } catch (cause) {
    if (cause instanceof CorruptBatchError) return refusal(codes.corruptMessage, `records for ${context.name} are damaged: ${cause.message}`)
    if (cause instanceof CompressionError) return compressionRefusal(cause, context)
    throw cause
  }
}
const joined = (pieces: readonly Uint8Array[]): Buffer => (pieces.length === 1 ? asBuffer(pieces[0]) : Buffer.concat(pieces))

function compressionRefusal(cause: CompressionError, { name }: ValidationContext): Refused {
  const code = cause.kind === 'unsupported' ? codes.unsupportedCompressionType : cause.kind === 'tooLarge' ? codes.messageTooLarge : codes.invalidRecord
  return refusal(code, `records for ${name}: ${cause.message}`)
}

function prepareAll(pieces: Buffer[], facts: AppendFacts, context: ValidationContext): Prepared[] | Refused {
  const { name } = context
  const single = facts.produceVersion !== undefined
  let size = 0
  for (const piece of pieces) size += piece.length
  if (size < batchHeadSize) return refusal(codes.invalidRecord, `records for ${name}: ${size} bytes hold no batch; a Produce request of version 3 and later has exactly one in each partition`)
  const wrong = headProblem(pieces[0], 0, size)
  if (wrong !== undefined) return refusal(codes.corruptMessage, `records for ${name}: ${wrong}`)
  const batch = new Batch(pieces[0])
  if (batch.magic !== 2) return refusal(codes.invalidRecord, `records for ${name} have magic ${batch.magic}; this request may carry magic 2 only`)
  const batchSize = batch.size
  if (batchSize > size) return refusal(codes.invalidRecord, `records for ${name}: a batch claims ${batchSize} bytes, ${size} came`)
  if (batchSize === size) {
    const prepared = prepareBatch(batch, pieces, facts, context)
    return isPrepared(prepared) ? [prepared] : prepared
  }
  if (single) {
    if (size - batchSize >= batchHeadSize) return refusal(codes.invalidRecord, `records for ${name} hold more than one batch; a Produce request of version 3 and later has exactly one in each partition`)
    // A rest too short for a batch is cut off, as Apache's broker does.
    const prepared = prepareBatch(batch, [joined(pieces).subarray(0, batchSize)], facts, context)
    return isPrepared(prepared) ? [prepared] : prepared
  }
  const all: Prepared[] = []
  for (const each of batchesIn(joined(pieces))) {
    const prepared = prepareBatch(new Batch(each.whole), [each.whole], facts, context)
    if (!isPrepared(prepared)) return prepared
    all.push(prepared)
  }
  return all
}
const isPrepared = (value: Prepared | Refused): value is Prepared => 'pieces' in value

function prepareBatch(batch: Batch, pieces: Buffer[], facts: AppendFacts, context: ValidationContext): Prepared | Refused {
  const { config, name, now } = context
  const fromClient = facts.origin === 'client'
  const { size, codec, recordCount, isControl, isLogAppendTime } = batch
  if (size > config.maxMessageBytes) return refusal(codes.messageTooLarge, `a batch of ${size} bytes for ${name}; max.message.bytes allows ${config.maxMessageBytes}`)
  if (fromClient) {
    const refused = checkClientHead(batch, pieces, facts, context)
    if (refused) return refused
  }
  const targetCodec = config.compressionType === 'producer' || isControl ? codec : codecId(config.compressionType === 'uncompressed' ? 'none' : (config.compressionType as CodecName))
  const logAppendTime = config.messageTimestampType === 'LogAppendTime' && !isControl
  if (!fromClient && targetCodec === codec && !logAppendTime) return { batch, pieces, size }

  // Compressed records are looked at in the clear; plain ones where they lie.
  const plain = codec === 0 ? undefined : decompress(codec, joined(pieces).subarray(batchHeadSize))
  const walk = new RecordWalk()
  if (plain) walk.feed(plain)
  else pieces.forEach((piece, index) => walk.feed(index === 0 ? piece.subarray(batchHeadSize) : piece))
  if (!walk.finish()) return refusal(codes.invalidRecord, `a batch for ${name}: ${walk.problem}`)
  if (walk.count !== recordCount) return refusal(codes.invalidRecord, `a batch for ${name} announces ${recordCount} records and holds ${walk.count}`)
  if (walk.hasNullKey && fromClient && config.cleanupPolicy.includes('compact'))
    return refusal(
      codes.invalidRecord,
      'One or more records have been rejected',
      walk.nullKeys.map((batchIndex) => ({ batchIndex, batchIndexErrorMessage: `Compacted topic cannot accept message without key in topic partition ${name}.` })),
    )

  const exact = (): Record[] => recordsOf(new Batch(plain ? sealBatch(plain, headOf(batch, { attributes: batch.attributes & ~attribute.codec })) : joined(pieces)))
  if (!logAppendTime && fromClient) {
    const refused = checkTimestamps(batch, walk, exact, context)
    if (refused) return refused
  } else if (logAppendTime && fromClient && isLogAppendTime) {
    return refusal(codes.invalidTimestamp, `a batch for ${name} is marked LogAppendTime; only the broker sets that`)
  }
  let maxTimestamp: bigint
  if (logAppendTime) maxTimestamp = BigInt(now)
  else if (!walk.wide) maxTimestamp = batch.baseTimestamp + BigInt(walk.maxTimestampDelta)
  else maxTimestamp = exact().reduce((max, { timestamp }) => (timestamp > max ? timestamp : max), noTimestamp)
  if (!logAppendTime && !fromClient) maxTimestamp = batch.maxTimestamp

  if (targetCodec !== codec || !walk.sequential) {
    const levels = { gzip: config.compressionGzipLevel, zstd: config.compressionZstdLevel }
    const attributes = (batch.attributes & ~(attribute.codec | attribute.logAppendTime)) | targetCodec | (logAppendTime ? attribute.logAppendTime : 0)
    const records = plain ?? joined(pieces).subarray(batchHeadSize)
    // Records do not change with the codec; only wrong offset deltas make it necessary to write them anew.
    const stored = walk.sequential ? records : encodeBatch(exact().map((record) => ({ ...record })), {}).subarray(batchHeadSize)
    const baseTimestamp = walk.sequential || recordCount === 0 ? batch.baseTimestamp : (exact()[0]?.timestamp ?? batch.baseTimestamp)
    const rebuilt = sealBatch(compress(targetCodec, stored, { levels }), { ...headOf(batch, { attributes }), baseTimestamp, maxTimestamp })
    if (rebuilt.length > config.maxMessageBytes) return refusal(codes.messageTooLarge, `a batch of ${rebuilt.length} bytes for ${name} after compression; max.message.bytes allows ${config.maxMessageBytes}`)
    return { batch: new Batch(rebuilt), pieces: [rebuilt], size: rebuilt.length }
  }
  if (maxTimestamp !== batch.maxTimestamp || logAppendTime !== isLogAppendTime) setTimestamps(batch, pieces, { logAppendTime, maxTimestamp })
  return { batch, pieces, size }
}

function checkClientHead(batch: Batch, pieces: readonly Buffer[], facts: AppendFacts, { name }: ValidationContext): Refused | undefined {
  const { baseOffset, codec, recordCount, lastOffsetDelta, producerId, baseSequence } = batch
  if (baseOffset !== 0) return refusal(codes.invalidRecord, `a batch for ${name} has base offset ${baseOffset}; a producer sends 0`)
  const crc = crcOf(pieces)
  if (crc !== batch.crc) return refusal(codes.corruptMessage, `a batch for ${name} has checksum ${batch.crc}, its bytes give ${crc}: it was damaged on the way`)
  if (batch.isControl) return refusal(codes.invalidRecord, `a batch for ${name} is a control batch; clients may not write those`)
  if (recordCount <= 0) return refusal(codes.invalidRecord, `a batch for ${name} announces ${recordCount} records`)
  if (lastOffsetDelta !== recordCount - 1) return refusal(codes.invalidRecord, `a batch for ${name} of ${recordCount} records has last offset delta ${lastOffsetDelta}`)
  if (producerId >= 0 && baseSequence < 0) return refusal(codes.invalidRecord, `a batch for ${name} of producer ${producerId} has base sequence ${baseSequence}`)
  if (codec === 4 && facts.produceVersion !== undefined && facts.produceVersion < 7)
    return refusal(codes.unsupportedCompressionType, `a zstd batch for ${name} in Produce version ${facts.produceVersion}; zstd begins with version 7`)
  return undefined
}

/** CRC-32C of a batch in pieces whose head lies in the first. */
function crcOf(pieces: readonly Buffer[]): number {
  let crc = crc32c(pieces[0].subarray(field.attributes))
  for (let index = 1; index < pieces.length; index++) crc = crc32c(pieces[index], crc)
  return crc
}
function setTimestamps(batch: Batch, pieces: readonly Buffer[], { logAppendTime, maxTimestamp }: { logAppendTime: boolean; maxTimestamp: bigint }): void {
  const low = batch.at + field.attributes + 1
  batch.bytes[low] = logAppendTime ? batch.bytes[low] | attribute.logAppendTime : batch.bytes[low] & ~attribute.logAppendTime
  batch.bytes.writeBigInt64BE(maxTimestamp, batch.at + field.maxTimestamp)
  setInt32(batch.bytes, batch.at + field.crc, crcOf(pieces) | 0)
}
function headOf(batch: Batch, { attributes }: { attributes: number }) {
  const { baseOffset, partitionLeaderEpoch, lastOffsetDelta, baseTimestamp, maxTimestamp, producerId, producerEpoch, baseSequence, recordCount } = batch
  return { attributes, baseOffset, partitionLeaderEpoch, lastOffsetDelta, baseTimestamp, maxTimestamp, producerId, producerEpoch, baseSequence, recordCount }
}

function bounds({ config, now }: ValidationContext): { min: bigint; max: bigint } | undefined {
  const { messageTimestampBeforeMaxMs: before, messageTimestampAfterMaxMs: after } = config
  // Long.MAX as a double is not exact; from 2^62 on there is no limit in practice.
  const unlimited = (ms: number): boolean => ms >= 2 ** 62
  if (unlimited(before) && unlimited(after)) return undefined
  return { min: unlimited(before) ? -(2n ** 63n) : BigInt(now) - BigInt(before), max: unlimited(after) ? 2n ** 63n : BigInt(now) + BigInt(after) }
}
function checkTimestamps(batch: Batch, walk: RecordWalk, exact: () => Record[], context: ValidationContext): Refused | undefined {
  const limits = bounds(context)
  const { isLogAppendTime } = batch
  if (!limits && !isLogAppendTime) return undefined
  if (limits && !isLogAppendTime && !walk.wide) {
    const { baseTimestamp } = batch
    if (baseTimestamp + BigInt(walk.minTimestampDelta) >= limits.min && baseTimestamp + BigInt(walk.maxTimestampDelta) <= limits.max) return undefined
  }
  return refuseTimestamps(exact(), limits, isLogAppendTime, context)
}
function refuseTimestamps(records: readonly Record[], limits: { min: bigint; max: bigint } | undefined, isLogAppendTime: boolean, { name }: ValidationContext): Refused | undefined {
  const recordErrors: RecordError[] = []
  records.forEach(({ timestamp }, batchIndex) => {
    if (timestamp === noTimestamp) {
      if (isLogAppendTime) recordErrors.push({ batchIndex, batchIndexErrorMessage: `Record ${batchIndex} for ${name} is marked LogAppendTime and has no timestamp` })
    } else if (limits && (timestamp < limits.min || timestamp > limits.max))
      recordErrors.push({ batchIndex, batchIndexErrorMessage: `Timestamp ${timestamp} of message with offset ${batchIndex} is out of range. The timestamp should be within [${limits.min}, ${limits.max}]` })
  })
  return recordErrors.length === 0 ? undefined : refusal(codes.invalidTimestamp, 'One or more records have been rejected due to invalid timestamp', recordErrors)
}

/** A message set of Produce 0 to 2 becomes one batch of magic 2. */
function prepareOld(bytes: Buffer, produceVersion: number, context: ValidationContext): Prepared[] | Refused {
  const { config, name, now } = context
  const records: Record[] = []
  let codec = 0
  for (const batch of batchesIn(bytes)) {
    if (batch.magic > 1) return refusal(codes.invalidRecord, `records for ${name} have magic ${batch.magic}; Produce version ${produceVersion} carries magic 0 and 1 only`)
    if (batch.size > config.maxMessageBytes) return refusal(codes.messageTooLarge, `a message of ${batch.size} bytes for ${name}; max.message.bytes allows ${config.maxMessageBytes}`)
    if (batch.codec === 4) return refusal(codes.unsupportedCompressionType, `zstd messages for ${name} in Produce version ${produceVersion}; zstd begins with version 7`)
    if (batch.isLogAppendTime) return refusal(codes.invalidTimestamp, `a message for ${name} is marked LogAppendTime; only the broker sets that`)
    if (batch.codec !== 0) codec = batch.codec
    records.push(...recordsOf(batch))
  }
  if (records.length === 0) return refusal(codes.invalidRecord, `records for ${name}: ${bytes.length} bytes hold no message`)
  if (config.cleanupPolicy.includes('compact')) {
    const errors = records.flatMap(({ key }, batchIndex) => (key === null ? [{ batchIndex, batchIndexErrorMessage: `Compacted topic cannot accept message without key in topic partition ${name}.` }] : []))
    if (errors.length > 0) return refusal(codes.invalidRecord, 'One or more records have been rejected', errors)
  }
  const logAppendTime = config.messageTimestampType === 'LogAppendTime'
  if (!logAppendTime) {
    const limits = bounds(context)
    const refused = limits && refuseTimestamps(records, limits, false, context)
    if (refused) return refused
  }
  if (config.compressionType !== 'producer') codec = codecId(config.compressionType === 'uncompressed' ? 'none' : (config.compressionType as CodecName))
  const stored = upConvert(records, codec, { gzip: config.compressionGzipLevel, zstd: config.compressionZstdLevel })
  const batch = new Batch(stored)
  if (logAppendTime) batch.setTimestamps({ logAppendTime, max: BigInt(now) })
  if (stored.length > config.maxMessageBytes) return refusal(codes.messageTooLarge, `a batch of ${stored.length} bytes for ${name} after conversion; max.message.bytes allows ${config.maxMessageBytes}`)
  return [{ batch, pieces: [stored], size: stored.length }]
}
