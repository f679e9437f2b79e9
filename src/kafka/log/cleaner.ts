/**
 * Compaction of one log (Cleaner, LogCleanerManager; reference §6.10): of each key the newest record stays, at its offset.
 * Tombstones and transaction markers stay for `delete.retention.ms` after the cleaning that first met them.
 */
import { MalformedError } from '../../wire/reader.ts'
import { Batch, batchHeadSize } from '../records/batch.ts'
import { codecNames } from '../records/compression.ts'
import { CompressionError } from '../records/compression-error.ts'
import { CorruptBatchError } from '../records/corrupt-batch-error.ts'
import { cursorOn, recordsOf } from '../records/decode.ts'
import { encodeBatch } from '../records/encode.ts'
import { encodeMessages } from '../records/legacy.ts'
import type { Scratch } from '../records/lz4.ts'
import type { Record } from '../records/record.ts'
import { AbortedBatches } from './aborted-batches.ts'
import type { CleanerPace } from './cleaner-pace.ts'
import type { LogContext } from './log-context.ts'
import { KeptRecords } from './kept-records.ts'
import { cleanedSuffix } from './names.ts'
import { offsetEntrySize } from './offset-index.ts'
import { NewestOffsets } from './newest-offsets.ts'
import { bytesPerKey } from './offset-map.ts'
import type { PartitionLog } from './partition-log.ts'
import { offsetRangeMax, Segment } from './segment.ts'
import { StretchWriter } from './stretch-writer.ts'
import { timeEntrySize } from './time-index.ts'
import type { AbortedTransaction } from './transaction-index.ts'

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
  let uncleanableOffset = log.decidedOffset
  if (config.minCompactionLagMs > 0) {
    const recent = segments.find((segment, index) => segment !== activeSegment && boundOf(segments, index) > firstDirtyOffset && Number(segment.maxTimestamp) > now - config.minCompactionLagMs)
    if (recent) uncleanableOffset = Math.min(uncleanableOffset, recent.baseOffset)
  }
  let clean = 0
  let dirty = 0
  let isOverdue = false
  for (const [index, segment] of segments.entries()) {
    if (segment.baseOffset >= uncleanableOffset) break
    if (boundOf(segments, index) <= firstDirtyOffset) clean += segment.size
    else {
      dirty += segment.size
      if (now - Number(log.firstTimestampOf(segment)) > config.maxCompactionLagMs) isOverdue = true
    }
  }
  return { firstDirtyOffset, uncleanableOffset: Math.max(uncleanableOffset, firstDirtyOffset), dirtyRatio: dirty === 0 ? 0 : dirty / (clean + dirty), isOverdue: isOverdue && dirty > 0 }
}
/** Where the next segment begins. */
function boundOf(segments: readonly Segment[], index: number): number {
  return index + 1 < segments.length ? segments[index + 1].baseOffset : Infinity
}

export interface CleaningLimits {
  pace: CleanerPace
  /** Bytes for the map of keys. */
  keyMemoryMax: number
  keyLoadFactor: number
  now: number
}
/** A segment that another change of the log has replaced or deleted meanwhile: the log is cleaned another time. */
export class SegmentsGoneError extends Error {
  constructor(name: string) {
    super(`segments of ${name} went while they were cleaned`)
    this.name = 'SegmentsGoneError'
  }
}

/** Cleans a log once; returns the offset up to which it is clean. Nothing has changed when it rejects, or only whole groups of segments. */
export async function cleanLog(context: LogContext, log: PartitionLog, { firstDirtyOffset, uncleanableOffset }: Cleanable, limits: CleaningLimits): Promise<number> {
  const { newest, endOffset } = await newestOffsets(context, log, firstDirtyOffset, uncleanableOffset, limits)
  newest.settle()
  if (endOffset <= firstDirtyOffset) return firstDirtyOffset
  const { now, pace } = limits
  // One view of the transactions for all groups: a marker may lie in another one than the records it speaks of.
  const aborted = new AbortedBatches(log.segments, log.segments[0].baseOffset, log.activeSegment.baseOffset)
  const rules: Rules = { newest, endOffset, aborted, pace, now, isLastOfProducer: (batch) => log.isLastOfProducer(batch), kept: new KeptRecords(), scratch: { bytes: Buffer.alloc(0) } }
  // One group goes to the device and takes its place while the next is copied.
  let settling: Promise<void> = Promise.resolve()
  try {
    for (const group of groupsOf(log, endOffset)) {
      const cleaned = await copyGroup(context, log, group, rules)
      const before = settling
      settling = orDiscarded(context, cleaned, () => before.then(() => settle(context, log, cleaned, group)))
      settling.catch(nobody)
      await before
    }
  } finally {
    await settling
  }
  return endOffset
}

/** The newest offset of each key in [from, to), or in as much of it as the memory for keys holds. */
async function newestOffsets({ host }: LogContext, log: PartitionLog, from: number, to: number, { pace, keyMemoryMax, keyLoadFactor }: CleaningLimits): Promise<{ newest: NewestOffsets; endOffset: number }> {
  const countMax = Math.max(1, Math.floor((keyMemoryMax / bytesPerKey) * keyLoadFactor))
  const secret = host.random.bytes(16)
  // No more keys than offsets.
  const mapFor = (keys: number) => new NewestOffsets({ from, count: Math.max(0, to - from), countMax: Math.max(1, keys), secret, loadFactor: keyLoadFactor })
  let newest = mapFor(Math.min(countMax, to - from))
  let endOffset = from
  const scratch = { bytes: Buffer.alloc(0) }
  const aborted = new AbortedBatches(log.segments, from, to)
  for (const [index, segment] of log.segments.entries()) {
    if (boundOf(log.segments, index) <= from) continue
    if (segment.baseOffset >= to) break
    for await (const { bytes, end, position } of stretchesOf(segment, segment.offsetIndex.positionFor(from))) {
      await pace.moved(end)
      for (let at = 0; at < end; ) {
        const batch = new Batch(bytes, at)
        const place = position + at
        at += batch.size
        if (batch.lastOffset < from) continue
        if (batch.baseOffset >= to) return { newest, endOffset: Math.max(endOffset, Math.min(to, batch.baseOffset)) }
        if (batch.isControl) aborted.marker(batch)
        else if (!aborted.holds(batch)) {
          const records = batch.isLegacy ? checkedRecords(segment, batch, place) : undefined
          const count = records?.length ?? batch.recordCount
          if (!newest.hasRoomFor(count)) {
            // Whole batches only; at least one, so that every cleaning gets on.
            if (!newest.isEmpty) return { newest, endOffset }
            newest = mapFor(count)
          }
          if (records) {
            for (const { key, offset } of records) if (key !== null && offset >= from) newest.note(key, offset)
          } else if (count > 0) noteKeys(newest, segment, batch, { place, from, scratch })
        }
        endOffset = batch.nextOffset
      }
    }
  }
  return { newest, endOffset: Math.max(endOffset, Math.min(to, log.activeSegment.baseOffset)) }
}
/** All batches of a segment from a position on, in stretches that are read over and over into the same memory. */
const stretchesOf = (segment: Segment, from: number) =>
  segment.stretches(from, segment.writtenSize, {
    sizeAbout: readSize, reuse: true, problem: (at, reason) => {
      throw segment.corrupt(at, reason)
    },
  })
function noteKeys(newest: NewestOffsets, segment: Segment, batch: Batch, { place, from, scratch }: { place: number; from: number; scratch: Scratch }): void {
  const { baseOffset } = batch
  checked(segment, batch, place, () => {
    const cursor = cursorOn(batch, { scratch })
    while (cursor.next()) {
      const offset = baseOffset + cursor.offsetDelta
      if (cursor.keySize >= 0 && offset >= from) newest.note(cursor.bytes, offset, cursor.keyFrom, cursor.keyFrom + cursor.keySize)
    }
  })
}
/** Batches that are decided upon: a damaged one must neither push out what is whole nor get a checksum that makes it look whole. */
function checked<T>(segment: Segment, batch: Batch, position: number, look: () => T): T {
  if (!batch.isLegacy) {
    const crc = batch.computeCrc()
    if (crc !== batch.crc) throw segment.corrupt(position, `checksum ${batch.crc} stored, ${crc} computed`)
  }
  try {
    return look()
  } catch (cause) {
    if (!(cause instanceof MalformedError || cause instanceof CompressionError || cause instanceof CorruptBatchError)) throw cause
    throw segment.corrupt(position, cause.message, cause)
  }
}
const checkedRecords = (segment: Segment, batch: Batch, position: number): Record[] => checked(segment, batch, position, () => recordsOf(batch))

/** Neighbouring segments that fit into one with its indexes, up to the segment that holds `endOffset`. */
function groupsOf(log: PartitionLog, endOffset: number): Segment[][] {
  const { segmentBytes, segmentIndexBytes } = log.config
  const groups: Segment[][] = []
  let group: Segment[] = []
  let size = 0
  let indexSize = 0
  for (const [index, segment] of log.segments.entries()) {
    if (segment === log.activeSegment || segment.baseOffset >= endOffset) break
    const last = boundOf(log.segments, index) - 1
    const itsIndex = Math.max(segment.offsetIndex.count * offsetEntrySize, segment.timeIndex.count * timeEntrySize)
    if (group.length > 0 && (size + segment.size > segmentBytes || indexSize + itsIndex > segmentIndexBytes || last - group[0].baseOffset > offsetRangeMax)) {
      groups.push(group)
      group = []
      size = indexSize = 0
    }
    group.push(segment)
    size += segment.size
    indexSize += itsIndex
  }
  if (group.length > 0) groups.push(group)
  return groups
}

interface Rules {
  newest: NewestOffsets
  endOffset: number
  aborted: AbortedBatches
  /** Whether the batch holds the last that is known of a producer that is known still. */
  isLastOfProducer: (batch: Batch) => boolean
  pace: CleanerPace
  now: number
  /** What stays of one batch after the other. */
  kept: KeptRecords
  scratch: Scratch
}
/** A log is read in pieces of this size, each dealt with before the loop gets its turn: one of small records takes some milliseconds. */
const readSize = 256 * 1024
/** A new segment with what stays of the group, under names that a start removes, not yet on the device. */
async function copyGroup(context: LogContext, log: PartitionLog, group: readonly Segment[], rules: Rules): Promise<Segment> {
  const { disk } = context.host
  const { config, directory } = log
  const cleaned = Segment.create(context.files, directory, group[0].baseOffset, { indexSizeMax: config.segmentIndexBytes, createdMs: group[0].createdMs, ending: cleanedSuffix })
  return orDiscarded(context, cleaned, async () => {
    cleaned.prepareForAppends(config.segmentIndexBytes)
    const writer = new StretchWriter(cleaned, rules.pace)
    try {
      for (const segment of group) {
        const modifiedMs = (await disk.facts(segment.log.path))?.modifiedMs ?? 0
        const facts = { segment, deleteRetentionMs: config.deleteRetentionMs, modifiedMs, addAborted: (entry: AbortedTransaction) => cleaned.txnIndex.add(entry) }
        for await (const { bytes, end, position } of stretchesOf(segment, 0)) {
          await rules.pace.moved(end)
          for (let at = 0; at < end; ) {
            const batch = new Batch(bytes, at)
            const kept = cleanBatch(batch, position + at, rules, facts)
            at += batch.size
            if (!kept) continue
            const view = new Batch(kept)
            cleaned.appended({ size: kept.length, lastOffset: view.lastOffset, maxTimestamp: view.maxTimestamp, offsetOfMaxTimestamp: view.lastOffset, indexIntervalBytes: config.indexIntervalBytes })
            const isFull = writer.add(kept)
            if (isFull) await isFull
          }
        }
      }
      await writer.flush()
    } finally {
      await writer.settled()
    }
    cleaned.seal()
    return cleaned
  })
}
/** Puts the new segment into the place of the group. */
async function settle(context: LogContext, log: PartitionLog, cleaned: Segment, group: readonly Segment[]): Promise<void> {
  const { disk } = context.host
  await context.syncs.run(() => cleaned.sync())
  cleaned.isSynced = cleaned.isDataSynced = true
  const modifiedMs = (await disk.facts(group[group.length - 1].log.path))?.modifiedMs
  if (modifiedMs !== undefined) await disk.setModified(cleaned.log.path, modifiedMs)
  // Written over before; a longer one of a cleaning that was cut off must not end this one.
  if (!cleaned.txnIndex.exists) await disk.remove(cleaned.txnIndex.path)
  if (!(await log.replaceSegments(cleaned, group))) throw new SegmentsGoneError(log.name)
}
/** When the work fails, the new segment goes. */
async function orDiscarded<T>({ host }: LogContext, cleaned: Segment, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    cleaned.close()
    // After a swap has begun its files no longer bear these names: what is left of it is finished at the next start.
    for (const path of cleaned.paths) if (path.endsWith(cleanedSuffix)) await host.disk.remove(path).catch(nobody)
    throw error
  }
}
const nobody = (): void => {}

interface SegmentFacts {
  segment: Segment
  deleteRetentionMs: number
  modifiedMs: number
  addAborted: (entry: AbortedTransaction) => void
}
/** The batch as it stays, undefined when nothing of it does. */
function cleanBatch(batch: Batch, place: number, rules: Rules, { segment, deleteRetentionMs, modifiedMs, addAborted }: SegmentFacts): Buffer | undefined {
  const { aborted, now, isLastOfProducer } = rules
  const horizon = batch.hasDeleteHorizon ? batch.baseTimestamp : undefined
  const isPastHorizon = horizon !== undefined && BigInt(now) >= horizon
  if (batch.isControl) {
    const { isDone, aborted: entry } = aborted.marker(batch)
    if (entry) addAborted(entry)
    if (!isDone) return batch.whole
    if (isPastHorizon) return isLastOfProducer(batch) ? emptied(batch) : undefined
    // Its transaction is gone: the marker's days are counted from now.
    return horizon === undefined ? rewritten(batch, checkedRecords(segment, batch, place), BigInt(now + deleteRetentionMs)) : batch.whole
  }
  if (aborted.holds(batch)) return isLastOfProducer(batch) ? emptied(batch) : undefined
  const mayDropTombstones = batch.isLegacy ? modifiedMs + deleteRetentionMs <= now : isPastHorizon
  if (batch.isLegacy) {
    const records = checkedRecords(segment, batch, place)
    const kept = records.filter((record) => stays(record, rules, mayDropTombstones))
    if (kept.length === 0) return undefined
    if (kept.length === records.length) return batch.whole
    return encodeMessages(kept, { magic: batch.magic as 0 | 1, codec: batch.codec, logAppendTime: batch.isLogAppendTime ? batch.maxTimestamp : undefined })
  }
  const { kept } = rules
  const bytes = checked(segment, batch, place, () => keep(batch, rules, mayDropTombstones))
  if (kept.count === 0) return isLastOfProducer(batch) ? emptied(batch) : undefined
  const setsHorizon = horizon === undefined && kept.hasTombstone
  if (kept.count === batch.recordCount && !setsHorizon) return batch.whole
  const newHorizon = setsHorizon ? BigInt(now + deleteRetentionMs) : horizon
  return kept.batchOf(batch, bytes, newHorizon) ?? rewritten(batch, checkedRecords(segment, batch, place).filter((record) => stays(record, rules, mayDropTombstones)), newHorizon)
}
function stays({ key, value, offset }: Record, { newest, endOffset }: Rules, mayDropTombstones: boolean): boolean {
  if (offset >= endOffset) return true
  if (key === null || !newest.isNewest(key, offset)) return false
  return value !== null || !mayDropTombstones
}
/** The same for all records of a batch, which `kept` holds afterwards; the bytes they lie in. */
function keep(batch: Batch, { newest, endOffset, kept, scratch }: Rules, mayDropTombstones: boolean): Buffer {
  const { baseOffset } = batch
  kept.begin()
  if (newest.isAllOutdated(baseOffset, batch.lastOffset)) return batch.bytes
  const cursor = cursorOn(batch, { scratch })
  const { bytes } = cursor
  while (cursor.next()) {
    const offset = baseOffset + cursor.offsetDelta
    if (offset < endOffset) {
      const { keyFrom, keySize } = cursor
      if (keySize < 0 || (cursor.valueSize < 0 && mayDropTombstones) || !newest.isNewest(bytes, offset, keyFrom, keyFrom + keySize)) continue
    }
    kept.add(cursor)
  }
  return bytes
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
