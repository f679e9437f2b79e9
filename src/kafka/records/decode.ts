/** Decodes batches of any format into records. */
import { MalformedError, Reader } from '../../wire/reader.ts'
import { Batch, batchHeadSize, headProblem, sequencePlus } from './batch.ts'
import { decompress, decompressedSizeMax } from './compression.ts'
import { CompressionError } from './compression-error.ts'
import { CorruptBatchError } from './corrupt-batch-error.ts'
import { readMessage } from './legacy.ts'
import type { Scratch } from './lz4.ts'
import { readRecord, type Record } from './record.ts'
import { RecordCursor } from './record-cursor.ts'

export interface DecodedBatch {
  batch: Batch
  records: Record[]
}

/** The batches that lie whole in `bytes`; a part of one at the end, which a fetch may leave, is passed over. Throws `CorruptBatchError`. */
export function* batchesIn(bytes: Buffer): Generator<Batch> {
  for (let at = 0; bytes.length - at > 17; ) {
    const problem = headProblem(bytes, at, bytes.length - at)
    if (problem !== undefined) throw new CorruptBatchError(at, problem)
    const batch = new Batch(bytes, at)
    const size = batch.size
    if (size > bytes.length - at) return
    yield batch
    at += size
  }
}

/** Batches with their records. Checksums are verified unless told otherwise. Keys and values are views where nothing was compressed. */
export function* decodeBatches(bytes: Buffer, { verify = true, sizeMax = decompressedSizeMax }: { verify?: boolean; sizeMax?: number } = {}): Generator<DecodedBatch> {
  for (const batch of batchesIn(bytes)) {
    if (verify && !batch.isLegacy) {
      const crc = batch.computeCrc()
      if (crc !== batch.crc) throw new CorruptBatchError(batch.at, `checksum ${batch.crc} stored, ${crc} computed`)
    }
    yield { batch, records: recordsOf(batch, sizeMax) }
  }
}

/** The records of one batch that lies whole in its buffer. */
export function recordsOf(batch: Batch, sizeMax = decompressedSizeMax): Record[] {
  try {
    return batch.isLegacy ? readMessage(batch.bytes.subarray(0, batch.at + batch.size), batch.at, sizeMax) : recordsOfV2(batch, sizeMax)
  } catch (cause) {
    if (cause instanceof MalformedError || cause instanceof CompressionError) throw new CorruptBatchError(batch.at, cause.message, { cause })
    throw cause
  }
}

/** Where the records of one batch of magic 2 lie, before the first; its `next` throws `MalformedError`. With `scratch` it is valid until that is used again. */
export function cursorOn(batch: Batch, { sizeMax = decompressedSizeMax, scratch }: { sizeMax?: number; scratch?: Scratch } = {}): RecordCursor {
  if (batch.codec === 0) return new RecordCursor(batch.bytes, batch.at + batchHeadSize, batch.at + batch.size, batch.recordCount)
  const bytes = decompress(batch.codec, batch.recordBytes, { sizeMax, scratch })
  return new RecordCursor(bytes, 0, bytes.length, batch.recordCount)
}

function recordsOfV2(batch: Batch, sizeMax: number): Record[] {
  const bytes = batch.codec === 0 ? batch.bytes : decompress(batch.codec, batch.recordBytes, { sizeMax })
  const reader = batch.codec === 0 ? new Reader(bytes, batch.at + batchHeadSize, batch.at + batch.size) : new Reader(bytes)
  const count = batch.recordCount
  reader.claim(count, 6)
  const { baseOffset, baseTimestamp, baseSequence, isLogAppendTime, maxTimestamp } = batch
  const records: Record[] = []
  for (let index = 0; index < count; index++) {
    const { timestampDelta, offsetDelta, key, value, headers } = readRecord(reader)
    records.push({
      offset: baseOffset + offsetDelta,
      timestamp: isLogAppendTime ? maxTimestamp : BigInt.asIntN(64, baseTimestamp + timestampDelta),
      key,
      value,
      headers,
      sequence: baseSequence < 0 ? -1 : sequencePlus(baseSequence, offsetDelta),
    })
  }
  if (reader.remaining > 0) throw new CorruptBatchError(batch.at, `${reader.remaining} bytes behind the last of ${count} records`)
  return records
}
