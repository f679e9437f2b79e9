/**
 * Compaction of one log (Cleaner, LogCleanerManager; reference §6.10): of each key the newest record stays, at its offset.
 * Tombstones and transaction markers stay for `delete.retention.ms` after the cleaning that first met them.
 */
import { Batch, batchHeadSize } from '../records/batch.ts'
import { codecNames } from '../records/compression.ts'
import { recordsOf } from '../records/decode.ts'
import { encodeBatch } from '../records/encode.ts'
import { encodeMessages } from '../records/legacy.ts'
import type { Record } from '../records/record.ts'
import { AbortedBatches } from './aborted-batches.ts'
import type { LogContext } from './log-context.ts'
import { cleanedSuffix, swapSuffix } from './names.ts'
import type { PartitionLog } from './partition-log.ts'
import { offsetRangeMax, Segment } from './segment.ts'

/** Rough cost of an entry of the map beside the key itself. */
const entryOverhead = 64

export interface Cleanable {
  firstDirtyOffset: number
  /** Cleaning stops before it: active segment, open transactions, `min.compaction.lag.ms`. */
  uncleanableOffset: number
  dirtyRatio: number
  /** Some record waits longer than `max.compaction.lag.ms`. */
  isOverdue: boolean
}

/** What may be cleaned of a log, when it was cleaned up to `cleanedTo` before. */
export function cleanableOf(log: PartitionLog, cleanedTo: number | undefined, now: number): Cleanable {
  const { config, segments, activeSegment } = log
  // A checkpoint out of the log's range speaks of a log that was truncated or begun anew.
  const isUsable = cleanedTo !== undefined && cleanedTo >= log.logStartOffset && cleanedTo <= log.logEndOffset
  const firstDirtyOffset = isUsable ? cleanedTo : log.logStartOffset
  let uncleanableOffset = Math.min(activeSegment.baseOffset, log.lastStableOffset, log.firstUndecidedOffset)
  if (config.minCompactionLagMs > 0) {
    const recent = segments.find((segment) => segment !== activeSegment && lastOffsetBound(segments, segment) > firstDirtyOffset && Number(segment.maxTimestamp) > now - config.minCompactionLagMs)
    if (recent) uncleanableOffset = Math.min(uncleanableOffset, recent.baseOffset)
  }
  let clean = 0
  let dirty = 0
  let isOverdue = false
  for (const segment of segments) {
    if (segment.baseOffset >= uncleanableOffset) break
    if (lastOffsetBound(segments, segment) <= firstDirtyOffset) clean += segment.size
    else {
      dirty += segment.size
      if (now - Number(segment.firstTimestamp ?? segment.maxTimestamp) > config.maxCompactionLagMs) isOverdue = true
    }
  }
  return { firstDirtyOffset, uncleanableOffset: Math.max(uncleanableOffset, firstDirtyOffset), dirtyRatio: dirty === 0 ? 0 : dirty / (clean + dirty), isOverdue: isOverdue && dirty > 0 }
}
function lastOffsetBound(segments: readonly Segment[], segment: Segment): number {
  const next = segments[segments.indexOf(segment) + 1] as Segment | undefined
  return next ? next.baseOffset : Infinity
}

/** Cleans a log once; returns the offset up to which it is clean. */
export async function cleanLog(context: LogContext, log: PartitionLog, { firstDirtyOffset, uncleanableOffset }: Cleanable, { keyMemoryMax, now }: { keyMemoryMax: number; now: number }): Promise<number> {
  const { newest, endOffset } = await newestOffsets(log, firstDirtyOffset, uncleanableOffset, keyMemoryMax)
  if (endOffset <= firstDirtyOffset) return firstDirtyOffset
  const retained = log.lastProducerOffsets
  for (const group of groupsOf(log, endOffset)) await cleanGroup(context, log, group, { newest, endOffset, retained, now })
  return endOffset
}

/** The newest offset of each key in [from, to), or in as much of it as the memory for keys holds. */
async function newestOffsets(log: PartitionLog, from: number, to: number, memoryMax: number): Promise<{ newest: Map<string, number>; endOffset: number }> {
  const newest = new Map<string, number>()
  let memory = 0
  let endOffset = from
  const aborted = new AbortedBatches(log.segments, from, to)
  for (const segment of log.segments) {
    if (lastOffsetBound(log.segments, segment) <= from) continue
    if (segment.baseOffset >= to) break
    for await (const { batch } of segment.batches(segment.offsetIndex.positionFor(from), segment.writtenSize)) {
      if (batch.lastOffset < from) continue
      if (batch.baseOffset >= to) return { newest, endOffset: Math.max(endOffset, Math.min(to, batch.baseOffset)) }
      if (batch.isControl) aborted.marker(batch)
      else if (!aborted.holds(batch))
        for (const { key, offset } of recordsOf(batch)) {
          if (key === null || offset < from) continue
          const name = key.toString('latin1')
          if (!newest.has(name)) memory += name.length + entryOverhead
          newest.set(name, offset)
        }
      // Whole batches only; at least one, so that every cleaning gets on.
      endOffset = batch.nextOffset
      if (memory > memoryMax) return { newest, endOffset }
    }
  }
  return { newest, endOffset: Math.max(endOffset, Math.min(to, log.activeSegment.baseOffset)) }
}

/** Neighbouring segments that fit into one, up to the segment that holds `endOffset`. */
function groupsOf(log: PartitionLog, endOffset: number): Segment[][] {
  const groups: Segment[][] = []
  let group: Segment[] = []
  let size = 0
  for (const segment of log.segments) {
    if (segment === log.activeSegment || segment.baseOffset >= endOffset) break
    const last = lastOffsetBound(log.segments, segment) - 1
    if (group.length > 0 && (size + segment.size > log.config.segmentBytes || last - group[0].baseOffset > offsetRangeMax)) {
      groups.push(group)
      group = []
      size = 0
    }
    group.push(segment)
    size += segment.size
  }
  if (group.length > 0) groups.push(group)
  return groups
}

interface Rules {
  newest: Map<string, number>
  endOffset: number
  /** Last data offsets of producers that are known still. */
  retained: ReadonlySet<number>
  now: number
}

async function cleanGroup(context: LogContext, log: PartitionLog, group: readonly Segment[], rules: Rules): Promise<void> {
  const { disk } = context.host
  const { config, directory } = log
  const cleaned = Segment.create(context.files, directory, group[0].baseOffset, { indexSizeMax: config.segmentIndexBytes, createdMs: group[0].createdMs, ending: cleanedSuffix })
  cleaned.prepareForAppends(config.segmentIndexBytes)
  const last = group[group.length - 1]
  const aborted = new AbortedBatches(log.segments, group[0].baseOffset, lastOffsetBound(log.segments, last))
  for (const segment of group) {
    const modifiedMs = (await disk.facts(segment.log.path))?.modifiedMs ?? 0
    for await (const { batch } of segment.batches(0, segment.writtenSize, (position, reason) => {
      throw segment.corrupt(position, reason)
    })) {
      const kept = cleanBatch(batch, aborted, rules, { deleteRetentionMs: config.deleteRetentionMs, modifiedMs, addAborted: (entry) => cleaned.txnIndex.add(entry) })
      if (!kept) continue
      const position = cleaned.size
      const view = new Batch(kept)
      cleaned.appended({ size: kept.length, lastOffset: view.lastOffset, maxTimestamp: view.maxTimestamp, offsetOfMaxTimestamp: view.lastOffset, indexIntervalBytes: config.indexIntervalBytes })
      await cleaned.log.with((file) => file.write([kept], position))
      cleaned.writtenSize = cleaned.size
    }
  }
  cleaned.seal()
  await context.syncs.run(() => cleaned.sync())
  cleaned.isSynced = cleaned.isDataSynced = true
  const modifiedMs = (await disk.facts(last.log.path))?.modifiedMs
  if (modifiedMs !== undefined) await disk.setModified(cleaned.log.path, modifiedMs)
  await cleaned.rename(cleanedSuffix, swapSuffix)
  await disk.syncDirectory(directory)
  // From here on a crash finishes the swap: the log's files are replaced by what bears the suffix.
  await log.removeSegments(group, { snapshots: false })
  await cleaned.rename(swapSuffix, '')
  await disk.syncDirectory(directory)
  log.replaceSegments([cleaned], group)
}

/** The batch as it stays, undefined when nothing of it does. */
function cleanBatch(
  batch: Batch,
  aborted: AbortedBatches,
  rules: Rules,
  { deleteRetentionMs, modifiedMs, addAborted }: { deleteRetentionMs: number; modifiedMs: number; addAborted: (entry: NonNullable<ReturnType<AbortedBatches['marker']>['aborted']>) => void },
): Buffer | undefined {
  const horizon = batch.hasDeleteHorizon ? batch.baseTimestamp : undefined
  const isPastHorizon = horizon !== undefined && BigInt(rules.now) >= horizon
  const isLastOfProducer = batch.producerId >= 0 && rules.retained.has(batch.lastOffset)
  if (batch.isControl) {
    const { isDone, aborted: entry } = aborted.marker(batch)
    if (entry) addAborted(entry)
    if (!isDone) return Buffer.from(batch.whole)
    if (isPastHorizon) return isLastOfProducer ? emptied(batch) : undefined
    // Its transaction is gone: the marker's days are counted from now.
    return horizon === undefined ? rewritten(batch, recordsOf(batch), BigInt(rules.now + deleteRetentionMs)) : Buffer.from(batch.whole)
  }
  if (aborted.holds(batch)) return isLastOfProducer ? emptied(batch) : undefined
  const records = recordsOf(batch)
  const mayDropTombstones = batch.isLegacy ? modifiedMs + deleteRetentionMs <= rules.now : isPastHorizon
  const kept = records.filter(({ key, value, offset }) => {
    if (offset >= rules.endOffset) return true
    if (key === null) return false
    const newest = rules.newest.get(key.toString('latin1'))
    if (newest !== undefined && offset < newest) return false
    return value !== null || !mayDropTombstones
  })
  if (kept.length === 0) return isLastOfProducer ? emptied(batch) : undefined
  const setsHorizon = !batch.isLegacy && horizon === undefined && kept.some(({ value }) => value === null)
  if (kept.length === records.length && !setsHorizon) return Buffer.from(batch.whole)
  if (batch.isLegacy) return encodeMessages(kept, { magic: batch.magic as 0 | 1, codec: batch.codec, logAppendTime: batch.isLogAppendTime ? batch.maxTimestamp : undefined })
  return rewritten(batch, kept, setsHorizon ? BigInt(rules.now + deleteRetentionMs) : horizon)
}
/** The same batch, its offsets and producer kept, with these records. */
function rewritten(batch: Batch, records: readonly Record[], deleteHorizonMs: bigint | undefined): Buffer {
  return encodeBatch(records, {
    ...identity(batch),
    compression: codecNames[batch.codec],
    ...(batch.isLogAppendTime ? { timestampType: 'logAppendTime' as const, timestamp: batch.maxTimestamp } : {}),
    offsetDeltas: records.map(({ offset }) => offset - batch.baseOffset),
    deleteHorizonMs,
  })
}
/** A head without records: the state of its producer survives in it. */
function emptied(batch: Batch): Buffer {
  return encodeBatch([], { ...identity(batch), timestampType: batch.isLogAppendTime ? 'logAppendTime' : 'createTime', timestamp: -1n, maxTimestamp: batch.maxTimestamp }).subarray(0, batchHeadSize)
}
function identity(batch: Batch) {
  const { baseOffset, partitionLeaderEpoch, producerId, producerEpoch, baseSequence, lastOffsetDelta, isTransactional, isControl } = batch
  return { baseOffset, partitionLeaderEpoch, producerId, producerEpoch, baseSequence, lastOffsetDelta, isTransactional, isControl }
}
