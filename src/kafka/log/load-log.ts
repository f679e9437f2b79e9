/** Opens the directory of one partition: finishes what a crash interrupted, recovers what was not flushed (LogLoader; reference §6.8). */
import type { Disk } from '../../host/host.ts'
import { Batch } from '../records/batch.ts'
import { messageCrc } from '../records/legacy.ts'
import { CorruptFileError } from './corrupt-file-error.ts'
import { LeaderEpochs } from './leader-epochs.ts'
import type { LogConfig } from './log-config.ts'
import type { LogContext } from './log-context.ts'
import { cleanedSuffix, deletedSuffix, fileName, parseFileName, partitionFile, suffix, swapSuffix } from './names.ts'
import { parsePartitionMetadata } from './partition-metadata.ts'
import type { LoadedLog } from './partition-log.ts'
import { encodeSnapshot } from './producer-snapshot.ts'
import { ProducerState } from './producer-state.ts'
import { rebuildProducers } from './rebuild-producers.ts'
import { recoverSegment } from './recover-segment.ts'
import { Segment, type SegmentEnd } from './segment.ts'

export interface LoadWish {
  topic: string
  partition: number
  logDir: string
  directory: string
  config: LogConfig
  /** The log directory was closed in order. */
  isClean: boolean
  /** From the checkpoints; 0 when they say nothing. */
  recoveryPoint: number
  logStartOffset: number
  highWatermark: number
}

export async function loadLog(context: LogContext, wish: LoadWish): Promise<LoadedLog> {
  const { host, files } = context
  const { disk } = host
  const { directory, config } = wish
  const log = host.logger.named('kafka.log')
  await finishInterrupted(context, directory, config)

  const topicId = await readTopicId(disk, directory)
  const stored = await readEpochs(context, directory)
  let epochsFit = stored !== undefined
  let epochs = stored ?? new LeaderEpochs()
  const epochsRead = stored?.toText()
  // They decide what is cut to agree with a leader, and what followers are told to cut.
  const checkEpochs = (end: SegmentEnd | undefined): void => {
    if (!end?.last || end.last.leaderEpoch < 0 || epochs.at(end.last.baseOffset) === end.last.leaderEpoch) return
    if (epochsFit) log.warn('the leader epochs do not fit the log; they are taken from its batches', { directory, offset: end.last.baseOffset, stored: epochs.at(end.last.baseOffset), inBatch: end.last.leaderEpoch })
    epochsFit = false
  }
  const names = await disk.list(directory)
  const bases = new Set<number>()
  const snapshotOffsets: number[] = []
  const hasIndex = new Set<number>()
  for (const name of names) {
    const parsed = parseFileName(name)
    if (parsed?.state !== '') continue
    if (parsed.kind === suffix.log) bases.add(parsed.offset)
    if (parsed.kind === suffix.index) hasIndex.add(parsed.offset)
    if (parsed.kind === suffix.snapshot) snapshotOffsets.push(parsed.offset)
  }
  for (const name of names) {
    const parsed = parseFileName(name)
    if (parsed?.state === '' && parsed.kind !== suffix.log && parsed.kind !== suffix.snapshot && !bases.has(parsed.offset)) await disk.remove(`${directory}/${name}`)
  }

  let segments: Segment[] = []
  const damaged = new Set<Segment>()
  for (const base of [...bases].sort((a, b) => a - b)) {
    let segment: Segment
    try {
      segment = await Segment.open(files, directory, base, { indexSizeMax: config.segmentIndexBytes })
    } catch (error) {
      if (!(error instanceof CorruptFileError)) throw error
      log.warn('a transaction index is built anew', { error })
      await disk.remove(error.path)
      segment = await Segment.open(files, directory, base, { indexSizeMax: config.segmentIndexBytes })
      damaged.add(segment)
    }
    if (!hasIndex.has(base)) damaged.add(segment)
    segments.push(segment)
  }
  let last = segments[segments.length - 1] as Segment | undefined
  // The marker says that all is in order; the last stretch is looked at nevertheless, because the log's end comes from there.
  let end = wish.isClean && last && !damaged.has(last) ? await last.end() : undefined
  if (wish.isClean && last && end === undefined) damaged.add(last)

  const firstToRecover = wish.isClean ? Infinity : (segments.findLast((segment) => segment.baseOffset <= wish.recoveryPoint)?.baseOffset ?? segments[0]?.baseOffset ?? 0)
  let lostFrom: Segment | undefined
  let recoveredBefore = false
  // Only compaction, here or where these records were copied from, leaves out offsets.
  const hasNoGaps = !config.cleanupPolicy.includes('compact')
  for (const [index, segment] of segments.entries()) {
    if (lostFrom) {
      // Behind a gap nothing can be offered any more.
      for (const path of segment.paths) await disk.remove(path)
      segment.close()
      continue
    }
    if (segment.baseOffset < firstToRecover && !damaged.has(segment)) {
      segment.isSynced = segment.isDataSynced = true
      continue
    }
    // What is recovered tells of its own epochs: those before have to be right by themselves.
    if (index > 0 && !recoveredBefore) checkEpochs(await segments[index - 1].end())
    recoveredBefore = true
    const producers = new ProducerState()
    await rebuildProducers(context, producers, { directory, segments: segments.slice(0, index), snapshotOffsets, logStartOffset: wish.logStartOffset, endOffset: segment.baseOffset, damaged: forget(snapshotOffsets) })
    const keepTail = wish.isClean || segment.baseOffset < firstToRecover ? (position: number, size: number) => setTailAside(context, segment, position, size) : undefined
    const recovered = await recoverSegment(segment, { producers, epochs, indexIntervalBytes: config.indexIntervalBytes, keepTail })
    if (recovered.cut > 0) {
      log.warn('a segment was cut where it is not whole', { file: segment.log.path, position: segment.size, bytes: recovered.cut, reason: recovered.reason })
      if (index < segments.length - 1) lostFrom = segment
    }
    const next = segments[index + 1] as Segment | undefined
    // After a power cut a segment may be there that was written later than what an older one has lost. Apache's broker offers it, with the gap.
    // An empty one behind it tells of no compaction, only of an end that is no longer there.
    const isGap = next !== undefined && next.baseOffset > recovered.nextOffset && (hasNoGaps || (next.size === 0 && index === segments.length - 2))
    if (!lostFrom && isGap && segment.baseOffset >= firstToRecover) {
      lostFrom = segment
      log.warn('a segment ends where more was written before the power went', { file: segment.log.path, nextOffset: recovered.nextOffset, nextSegment: next.baseOffset })
    }
    if (index === segments.length - 1 || lostFrom) end = recovered
  }
  if (lostFrom) {
    const lost = segments.slice(segments.indexOf(lostFrom) + 1)
    log.warn('segments behind a cut one are removed', { directory, bases: lost.map((segment) => segment.baseOffset) })
    segments = segments.slice(0, segments.indexOf(lostFrom) + 1)
  }
  last = segments[segments.length - 1]
  end ??= await last?.end()
  let endOffset = end?.nextOffset ?? last?.baseOffset ?? wish.logStartOffset
  checkEpochs(end)
  if (!epochsFit) epochs = await epochsOf(segments)

  if (endOffset < wish.logStartOffset && segments.length > 0) {
    log.warn('the log ends before its start; it begins anew there', { directory, endOffset, logStartOffset: wish.logStartOffset })
    for (const segment of segments) {
      segment.close()
      for (const path of segment.paths) await disk.remove(path)
    }
    segments = []
  }
  let directoryChanged = !wish.isClean
  if (segments.length === 0) {
    segments = [Segment.create(files, directory, wish.logStartOffset, { indexSizeMax: config.segmentIndexBytes, createdMs: host.clock.now() })]
    endOffset = wish.logStartOffset
    directoryChanged = true
  }
  const logStartOffset = Math.max(wish.logStartOffset, segments[0].baseOffset)
  epochs.truncateEnd(endOffset)
  epochs.truncateStart(logStartOffset)
  // Each file that has to be durable holds up the start; of thousands of logs most are as they were.
  if (epochs.toText() !== epochsRead) await saveEpochs(disk, directory, epochs)

  const kept = await removeStraySnapshots(disk, directory, snapshotOffsets, new Set(segments.map((segment) => segment.baseOffset)), endOffset)
  const producers = new ProducerState()
  if (kept.length > 0 || !wish.isClean) await rebuildProducers(context, producers, { directory, segments, snapshotOffsets: kept, logStartOffset, endOffset, damaged: forget(kept) })
  // Closed in order and without any snapshot: written before there were producers to know.
  else producers.endOffset = endOffset
  const snapshotsToSync: string[] = []
  if (!wish.isClean && endOffset > logStartOffset && !kept.includes(endOffset)) {
    const path = `${directory}/${fileName(endOffset, suffix.snapshot)}`
    await disk.replaceFile(path, encodeSnapshot(producers.toSnapshot()), { durable: false })
    kept.push(endOffset)
    snapshotsToSync.push(path)
  }
  return {
    topic: wish.topic,
    partition: wish.partition,
    topicId,
    directory,
    logDir: wish.logDir,
    segments,
    producers,
    epochs,
    snapshotOffsets: kept,
    logStartOffset,
    recoveryPoint: wish.isClean ? endOffset : Math.min(wish.recoveryPoint, endOffset),
    highWatermark: wish.highWatermark,
    directoryChanged,
    snapshotsToSync,
  }
}

/** Deletions that were under way are finished, cleanings undone or, when all their files had been renamed to `.swap`, finished. */
async function finishInterrupted({ host, files }: LogContext, directory: string, { cleanupPolicy }: LogConfig): Promise<void> {
  const { disk } = host
  const names = await disk.list(directory)
  let swaps: { name: string; offset: number; kind: string }[] = []
  const cleaned: string[] = []
  let cleanedMin = Infinity
  for (const name of names) {
    const parsed = parseFileName(name)
    if (name.endsWith(deletedSuffix) || name.endsWith('.tmp')) await disk.remove(`${directory}/${name}`)
    else if (parsed?.state === cleanedSuffix) {
      cleaned.push(name)
      cleanedMin = Math.min(cleanedMin, parsed.offset)
    } else if (parsed?.state === swapSuffix) swaps.push({ name, offset: parsed.offset, kind: parsed.kind })
  }
  for (const { name, offset } of swaps) if (offset >= cleanedMin) await disk.remove(`${directory}/${name}`)
  for (const name of cleaned) await disk.remove(`${directory}/${name}`)
  swaps = swaps.filter(({ offset }) => offset < cleanedMin)
  let from = Infinity
  let to = 0
  for (const { offset, name } of swaps.filter(({ kind }) => kind === suffix.log)) {
    const { nextOffset, size, problem: damage } = await readThrough(files, directory, { name, offset })
    const problem = damage ?? (size === 0 && !cleanupPolicy.includes('compact') ? 'it is empty, and the topic is not compacted' : undefined)
    // What it was to replace may be whole, and the newest segment is never compacted. Else it is all there is: recovery keeps what can be read.
    if (problem !== undefined && (names.includes(fileName(offset, suffix.log)) || !names.some((other) => isSegmentBehind(other, offset)))) {
      const aside = `${directory}/${name}.damaged`
      await disk.rename(`${directory}/${name}`, aside)
      for (const other of swaps) if (other.offset === offset && other.name !== name) await disk.remove(`${directory}/${other.name}`)
      swaps = swaps.filter((other) => other.offset !== offset)
      host.logger.named('kafka.log').error('a compacted segment that was to replace others is damaged and is set aside; what is there is kept', { file: `${directory}/${name}`, because: problem, as: aside })
      continue
    }
    from = Math.min(from, offset)
    to = Math.max(to, nextOffset)
  }
  for (const name of from < to ? names : []) {
    const parsed = parseFileName(name)
    if (parsed?.state === '' && parsed.offset >= from && parsed.offset < to) await disk.remove(`${directory}/${name}`)
  }
  for (const { name } of swaps) await disk.rename(`${directory}/${name}`, `${directory}/${name.slice(0, -swapSuffix.length)}`)
}
function isSegmentBehind(name: string, offset: number): boolean {
  const parsed = parseFileName(name)
  return parsed?.kind === suffix.log && parsed.state === '' && parsed.offset > offset
}
/** Where the batches of a `.swap` end, and what is wrong with the first that is not whole. */
async function readThrough(files: LogContext['files'], directory: string, { name, offset }: { name: string; offset: number }): Promise<{ nextOffset: number; size: number; problem: string | undefined }> {
  const facts = await files.disk.facts(`${directory}/${name}`)
  const segment = new Segment(files, directory, offset, { size: facts?.size ?? 0, createdMs: 0, offsetEntries: 0, timeEntries: 0, indexSizeMax: 0, ending: swapSuffix })
  let nextOffset = offset
  let problem: string | undefined
  try {
    for await (const { batch } of segment.batches(0, segment.size, (position, reason) => (problem = `at byte ${position}: ${reason}`))) {
      if ((batch.isLegacy ? messageCrc(batch.bytes, batch.at) : batch.computeCrc()) !== batch.crc) problem ??= `the checksum of the batch at offset ${batch.baseOffset} is wrong`
      nextOffset = Math.max(nextOffset, batch.nextOffset)
    }
  } finally {
    segment.close()
  }
  return { nextOffset, size: segment.size, problem }
}

async function readTopicId(disk: Disk, directory: string): Promise<string | undefined> {
  const path = `${directory}/${partitionFile.metadata}`
  const facts = await disk.facts(path)
  // Creation cut off by a crash leaves an empty file; the id comes again with the next LeaderAndIsr.
  if (!facts || facts.size === 0) return undefined
  return parsePartitionMetadata(path, (await disk.readFile(path)).toString('utf8'))
}
/** Undefined when they cannot be read. */
async function readEpochs({ host }: LogContext, directory: string): Promise<LeaderEpochs | undefined> {
  const path = `${directory}/${partitionFile.epochs}`
  if (!(await host.disk.facts(path))) return new LeaderEpochs()
  try {
    return LeaderEpochs.parse(path, (await host.disk.readFile(path)).toString('utf8'))
  } catch (error) {
    if (!(error instanceof CorruptFileError)) throw error
    host.logger.named('kafka.log').warn('leader epochs cannot be read; they are taken from the batches of the log', { error })
    return undefined
  }
}
async function epochsOf(segments: readonly Segment[]): Promise<LeaderEpochs> {
  const epochs = new LeaderEpochs()
  for (const segment of segments)
    for await (const { bytes, end } of segment.stretches(0, segment.writtenSize, { sizeAbout: 1 << 20, reuse: true }))
      for (let at = 0; at < end; ) {
        const batch = new Batch(bytes, at)
        if (batch.partitionLeaderEpoch > epochs.latest) epochs.assign(batch.partitionLeaderEpoch, batch.baseOffset)
        at += batch.size
      }
  return epochs
}
const forget = (offsets: number[]) => (offset: number): void => void offsets.splice(offsets.indexOf(offset), 1)
const saveEpochs = (disk: Disk, directory: string, epochs: LeaderEpochs): Promise<void> => disk.replaceFile(`${directory}/${partitionFile.epochs}`, epochs.toText())

/** Keeps the snapshots of segments and the newest; returns their offsets. */
async function removeStraySnapshots(disk: Disk, directory: string, offsets: readonly number[], bases: ReadonlySet<number>, endOffset: number): Promise<number[]> {
  const newest = Math.max(...offsets.filter((offset) => offset <= endOffset))
  const kept: number[] = []
  for (const offset of offsets) {
    if (offset <= endOffset && (offset === newest || bases.has(offset))) kept.push(offset)
    else await disk.remove(`${directory}/${fileName(offset, suffix.snapshot)}`)
  }
  return kept
}
/** Bytes that were once acknowledged are not thrown away: they go to a file beside, whose name no broker looks at. */
async function setTailAside({ host }: LogContext, segment: Segment, position: number, size: number): Promise<void> {
  const path = `${segment.log.path}.damaged-from-${position}`
  const target = await host.disk.open(path, 'create')
  try {
    const chunk = Buffer.allocUnsafe(Math.min(size, 1 << 20))
    for (let done = 0; done < size; ) {
      const at = position + done
      const read = await segment.log.with((file) => file.read(chunk.subarray(0, Math.min(chunk.length, size - done)), at))
      if (read === 0) break
      await target.write([chunk.subarray(0, read)], done)
      done += read
    }
    await target.sync()
  } finally {
    await target.close()
  }
  host.logger.named('kafka.log').error('damaged bytes of a log that was closed in order are set aside', { file: segment.log.path, position, bytes: size, as: path })
}
