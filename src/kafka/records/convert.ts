/** Conversion between the formats: up on produce by old clients, down on fetch by them. */
import { codecNames, type CompressionLevels } from './compression.ts'
import { batchesIn, recordsOf } from './decode.ts'
import { encodeBatch } from './encode.ts'
import { encodeMessages } from './legacy.ts'
import type { Record } from './record.ts'

/** One batch of magic 2 with the records of a message set of magic 0 or 1. Magic 0 has no timestamps: −1. */
export function upConvert(records: readonly Record[], codec: number, levels?: CompressionLevels): Buffer {
  return encodeBatch(records, { compression: codecNames[codec], levels })
}

export type DownConversion = { kind: 'converted'; bytes: Buffer } | { kind: 'unsupported'; reason: string }

/**
 * What a client of magic 0 or 1 gets instead of `stored`: control batches dropped, headers lost, records before `fetchOffset`
 * dropped from the first batch. Batches the client can read stay as they are. zstd cannot be said in the old formats.
 */
export function downConvert(stored: Buffer, magic: 0 | 1, fetchOffset: number): DownConversion {
  const pieces: Buffer[] = []
  for (const batch of batchesIn(stored)) {
    if (batch.isControl) continue
    if (batch.magic <= magic) {
      pieces.push(batch.whole)
      continue
    }
    const { codec } = batch
    if (codec === 4) return { kind: 'unsupported', reason: `zstd batches cannot be converted to message format ${magic}; fetch with version 10 or later` }
    const records = recordsOf(batch)
    // Batches before the fetch offset can only be the first; a compressed set read from the middle drops its beginning.
    const wanted = batch.baseOffset < fetchOffset ? records.filter((record) => record.offset >= fetchOffset) : records
    pieces.push(encodeMessages(wanted, { magic, codec, logAppendTime: batch.isLogAppendTime ? batch.maxTimestamp : undefined }))
  }
  return { kind: 'converted', bytes: pieces.length === 1 ? pieces[0] : Buffer.concat(pieces) }
}
