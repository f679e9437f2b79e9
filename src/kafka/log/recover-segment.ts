/** Reads a segment from its first byte, keeps what is whole and right, cuts the rest, and builds its indexes anew (LogSegment.recover). */
import { messageCrc } from '../records/legacy.ts'
import type { LeaderEpochs } from './leader-epochs.ts'
import type { ProducerState } from './producer-state.ts'
import { offsetRangeMax, type Segment, type SegmentEnd } from './segment.ts'

/** The end is that of what was kept. */
export interface Recovered extends SegmentEnd {
  /** Bytes cut off. */
  cut: number
  /** Why, when bytes were cut. */
  reason: string | undefined
}

/** `producers` stands at the segment's base offset and is brought to its end. `keepTail` is told what would be cut before it is. */
export async function recoverSegment(
  segment: Segment,
  { producers, epochs, indexIntervalBytes, keepTail }: { producers: ProducerState; epochs: LeaderEpochs; indexIntervalBytes: number; keepTail?: (position: number, size: number) => Promise<void> },
): Promise<Recovered> {
  const { size, baseOffset } = segment
  segment.resetIndexes()
  let reason: string | undefined
  let nextOffset = baseOffset
  let end = 0
  let last: SegmentEnd['last']
  for await (const { batch, position } of segment.batches(0, size, (_, problem) => (reason = problem))) {
    const { baseOffset: first, lastOffset } = batch
    const crc = batch.isLegacy ? messageCrc(batch.bytes, batch.at) : batch.computeCrc()
    if (crc !== batch.crc) reason = `checksum ${batch.crc} stored, ${crc} computed`
    else if (lastOffset < first || lastOffset < nextOffset || first < baseOffset) reason = `offsets ${first} to ${lastOffset} where ${nextOffset} comes next`
    else if (lastOffset - baseOffset > offsetRangeMax) reason = `offset ${lastOffset} in a segment from ${baseOffset}`
    if (reason !== undefined) break
    // Each batch counts as an append of its own.
    segment.appended({ size: batch.size, lastOffset, maxTimestamp: batch.maxTimestamp, offsetOfMaxTimestamp: lastOffset, indexIntervalBytes })
    if (batch.partitionLeaderEpoch > epochs.latest) epochs.assign(batch.partitionLeaderEpoch, first)
    const completed = producers.appended(batch)
    if (completed) {
      if (completed.isAborted) segment.txnIndex.add({ ...completed, lastStableOffset: producers.lastStableOffsetAfter(completed) })
      producers.complete(completed)
    }
    nextOffset = lastOffset + 1
    end = position + batch.size
    last = { baseOffset: first, leaderEpoch: batch.partitionLeaderEpoch }
  }
  if (end < size) {
    await keepTail?.(end, size - end)
    segment.log.file.truncateSync(end)
  }
  segment.size = segment.writtenSize = end
  segment.bytesSinceIndexEntry = 0
  segment.seal()
  return { nextOffset, last, cut: size - end, reason }
}
