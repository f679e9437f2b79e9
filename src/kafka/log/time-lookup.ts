/** Records by their time: through the time indexes, then batch by batch. */
import { recordsOf } from '../records/decode.ts'
import type { Segment } from './segment.ts'

export interface OffsetAndTimestamp {
  offset: number
  timestamp: bigint
  /** −1 when unknown. */
  leaderEpoch: number
}

/** The first record at or behind `logStartOffset` whose timestamp is at least `timestamp`. */
export async function firstRecordAt(segments: readonly Segment[], logStartOffset: number, timestamp: bigint): Promise<OffsetAndTimestamp | undefined> {
  for (const segment of segments) {
    if (segment.maxTimestamp >= 0n && segment.maxTimestamp < timestamp) continue
    const from = Math.max(segment.timeIndex.offsetFor(timestamp), logStartOffset)
    for await (const { batch } of segment.batches(segment.offsetIndex.positionFor(from), segment.writtenSize)) {
      if (batch.maxTimestamp < timestamp) continue
      for (const record of recordsOf(batch))
        if (record.timestamp >= timestamp && record.offset >= logStartOffset) return { offset: record.offset, timestamp: record.timestamp, leaderEpoch: batch.partitionLeaderEpoch }
    }
  }
  return undefined
}

/** The first record with the largest timestamp of all. */
export async function latestRecord(segments: readonly Segment[]): Promise<OffsetAndTimestamp | undefined> {
  let best: Segment | undefined
  for (const segment of segments) if (segment.size > 0 && (!best || segment.maxTimestamp > best.maxTimestamp)) best = segment
  if (!best) return undefined
  const { maxTimestamp, offsetOfMaxTimestamp } = best
  for await (const { batch } of best.batches(best.offsetIndex.positionFor(offsetOfMaxTimestamp), best.writtenSize)) {
    if (batch.maxTimestamp !== maxTimestamp) continue
    for (const { timestamp, offset } of recordsOf(batch)) if (timestamp === maxTimestamp) return { offset, timestamp, leaderEpoch: batch.partitionLeaderEpoch }
  }
  return undefined
}
