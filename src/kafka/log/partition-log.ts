/** The log of one partition: a row of segments, the newest taking appends. See README for its door. */
import assert from 'node:assert'
import { Seldom } from '../../host/logger.ts'
import { Batch } from '../records/batch.ts'
import { CorruptBatchError } from '../records/corrupt-batch-error.ts'
import { batchesIn } from '../records/decode.ts'
import { codes, refusal, type AppendDone, type AppendFacts, type AppendOutcome, type Pieces, type Refused } from './append.ts'
import { CorruptFileError } from './corrupt-file-error.ts'
import { Flusher } from './flusher.ts'
import type { EpochEnd, LeaderEpochs } from './leader-epochs.ts'
import type { LogConfig } from './log-config.ts'
import type { LogContext } from './log-context.ts'
import { cleanedSuffix, deletedSuffix, partitionFile, swapSuffix } from './names.ts'
import { partitionMetadataText } from './partition-metadata.ts'
import type { ProducerFacts, ProducerState } from './producer-state.ts'
import { emptyRead, type ReadOutcome, type ReadResult, readSegments, type ReadWish, segmentIndexFor } from './read-segments.ts'
import { rebuildProducers } from './rebuild-producers.ts'
import { RecentBatches } from './recent-batches.ts'
import { offsetRangeMax, Segment } from './segment.ts'
import { SnapshotFiles } from './snapshot-files.ts'
import { firstRecordAt, latestRecord, type OffsetAndTimestamp } from './time-lookup.ts'
import { prepare, type Prepared } from './validate.ts'
import { WriteQueue, type Written } from './write-queue.ts'

export type { ReadOutcome, ReadResult, ReadWish }
/** Everything a log needs that was read from disk before. */
export interface LoadedLog {
  topic: string
  partition: number
  topicId: string | undefined
  directory: string
  logDir: string
  segments: Segment[]
  producers: ProducerState
  epochs: LeaderEpochs
  snapshotOffsets: number[]
  logStartOffset: number
  recoveryPoint: number
  highWatermark: number
  /** Names in the directory are not on the device yet. */
  directoryChanged: boolean
  /** Snapshots that the next flush brings to the device. One that a power cut damages before is left out when the log is recovered again. */
  snapshotsToSync?: readonly string[]
}

export class PartitionLog {
  readonly topic: string
  readonly partition: number
  /** `topic-partition` */
  readonly name: string
  readonly logDir: string
  readonly #context: LogContext
  readonly #queue: WriteQueue
  readonly #flusher: Flusher
  #readTroubles: Seldom | undefined
  #refusals: Seldom | undefined
  #handlers: readonly (() => void)[] = []
  readonly #producers: ProducerState
  readonly #epochs: LeaderEpochs
  readonly #recent: RecentBatches
  #directory: string
  #topicId: string | undefined
  #config: LogConfig
  #segments: Segment[]
  readonly #snapshots: SnapshotFiles
  #logStartOffset: number
  #nextOffset: number
  #logEndOffset: number
  #highWatermark: number
  #failure: Error | undefined
  #isClosed = false
  #isCopied = false
  #writeScheduled: 'yes' | 'first' | undefined
  #saving: Promise<void> = Promise.resolve()
  #savings = 0
  /** Changes of the set of segments, one at a time; `#changesWaiting` counts those that are not done. */
  #changes: Promise<unknown> = Promise.resolve()
  #changesWaiting = 0
  #truncatedTo: number | undefined

  constructor(context: LogContext, loaded: LoadedLog, config: LogConfig) {
    this.#context = context
    this.topic = loaded.topic
    this.partition = loaded.partition
    this.name = `${loaded.topic}-${loaded.partition}`
    this.logDir = loaded.logDir
    this.#directory = loaded.directory
    this.#topicId = loaded.topicId
    this.#segments = loaded.segments
    this.#producers = loaded.producers
    this.#epochs = loaded.epochs
    this.#recent = new RecentBatches(context.recent)
    this.#snapshots = new SnapshotFiles(context.files, loaded.snapshotOffsets, (path) => this.#flusher.snapshotWritten(path))
    this.#logStartOffset = loaded.logStartOffset
    this.#config = config
    this.#nextOffset = this.#logEndOffset = loaded.producers.endOffset
    this.#highWatermark = Math.min(Math.max(loaded.highWatermark, loaded.logStartOffset), this.#logEndOffset)
    this.#producers.replicatedTo(this.#highWatermark)
    this.#queue = new WriteQueue({
      clock: context.host.clock,
      room: (size) => (this.#isCopied ? Buffer.allocUnsafe(size) : context.writeRoom.subarray(0, size)),
      written: (written) => this.#written(written),
      failed: (failure) => this.#fail('write', failure),
    })
    this.#flusher = new Flusher(context, this, { recoveryPoint: Math.min(loaded.recoveryPoint, this.#logEndOffset), isNew: loaded.directoryChanged })
    for (const path of loaded.snapshotsToSync ?? []) this.#flusher.snapshotWritten(path)
  }

  get directory(): string {
    return this.#directory
  }
  /** base64url, as on the wire. */
  get topicId(): string | undefined {
    return this.#topicId
  }
  get config(): LogConfig {
    return this.#config
  }
  set config(config: LogConfig) {
    this.#config = config
  }
  get failure(): Error | undefined {
    return this.#failure
  }
  get logStartOffset(): number {
    return this.#logStartOffset
  }
  /** The offset behind the last record that is written (and flushed, where each append has to be). */
  get logEndOffset(): number {
    return this.#logEndOffset
  }
  /** The offset the next record gets. */
  get nextOffset(): number {
    return this.#nextOffset
  }
  get highWatermark(): number {
    return this.#highWatermark
  }
  get lastStableOffset(): number {
    const first = this.#producers.firstUnstableOffset
    return first === undefined ? this.#highWatermark : Math.min(this.#highWatermark, first)
  }
  /** First offset not known to be on the device. */
  get recoveryPoint(): number {
    return this.#flusher.recoveryPoint
  }
  get latestEpoch(): number {
    return this.#epochs.latest
  }
  /** Bytes of all segments. */
  get size(): number {
    let size = 0
    for (const segment of this.#segments) size += segment.size
    return size
  }
  get segments(): readonly Segment[] {
    return this.#segments
  }
  get activeSegment(): Segment {
    return this.#segments[this.#segments.length - 1]
  }
  /** What compaction must not pass: nothing of an open transaction, of what may still be cut off, or of what takes appends. */
  get decidedOffset(): number {
    return Math.min(this.activeSegment.baseOffset, this.lastStableOffset)
  }
  /** Whether the batch holds the last that is known of its producer: compaction keeps its head. */
  isLastOfProducer(batch: Batch): boolean {
    return this.#producers.isLast(batch)
  }
  /** Largest timestamp of a segment's first batch; −1 without. */
  firstTimestampOf(segment: Segment): bigint {
    return (segment.firstTimestamp ??= this.#firstTimestamp(segment))
  }
  /** The lowest offset the log was cut at since this was asked last; undefined when it was not. */
  takeTruncation(): number | undefined {
    const offset = this.#truncatedTo
    this.#truncatedTo = undefined
    return offset
  }

  /** Told after each write, synchronously; the returned function ends that. */
  onAppend(handler: () => void): () => void {
    this.#handlers = [...this.#handlers, handler]
    return () => (this.#handlers = this.#handlers.filter((each) => each !== handler))
  }

  /** Others copy this log: what was appended last is kept in memory for them. */
  set isCopied(copied: boolean) {
    this.#isCopied = copied
    if (!copied) this.#recent.clear()
  }

  // Appending

  /**
   * Checks and places records; offsets are assigned when this returns, in the order of the calls. `done` follows, never before
   * the return, when they are written (and flushed if `flush.messages` asks). After a refusal nothing has changed and `done` is not called.
   */
  append(pieces: Pieces, facts: AppendFacts, done: AppendDone = nobody): AppendOutcome {
    if (this.#failure) return this.#offline()
    assert(!this.#isClosed, `${this.name} is closed`)
    const given = pieces instanceof Uint8Array ? [pieces] : pieces
    if (facts.origin === 'replication') return this.#appendReplicated(given, done)
    const now = this.#context.host.clock.now()
    const prepared = prepare(given, facts, { config: this.#config, name: this.name, now })
    if (!Array.isArray(prepared)) return prepared
    let size = 0
    let offset = this.#nextOffset
    for (const { batch, size: batchSize } of prepared) {
      const outcome = this.#checkProducer(batch, facts, done)
      if (outcome) return outcome
      batch.baseOffset = offset
      batch.partitionLeaderEpoch = facts.leaderEpoch
      offset = batch.nextOffset
      size += batchSize
    }
    if (size > this.#config.segmentBytes)
      return refusal(codes.recordListTooLarge, `${size} bytes for ${this.name} in one append; segment.bytes allows ${this.#config.segmentBytes}`)
    return this.#place(prepared, size, { done, keep: facts.keep, isFirst: facts.isFirst }, this.#config.messageTimestampType === 'LogAppendTime' ? BigInt(now) : -1n)
  }
  #offline(): Refused {
    return refusal(codes.kafkaStorageError, `the log directory ${this.logDir} of ${this.name} is offline: ${this.#failure?.message}`)
  }
  #checkProducer(batch: Batch, facts: AppendFacts, done: AppendDone): AppendOutcome | undefined {
    const { origin } = facts
    const { producerId } = batch
    if (producerId < 0) return undefined
    if (batch.isControl) return this.#producers.checkMarker(batch, origin)
    if (origin === 'client') {
      const duplicate = this.#producers.duplicateOf(producerId, batch.producerEpoch, batch.baseSequence, batch.lastSequence)
      if (duplicate) {
        // The answer must not overtake the first one's write.
        this.#queue.afterAll(done, this.activeSegment, this.#nextOffset)
        this.#scheduleWrite()
        const { firstOffset, lastOffset, timestamp } = duplicate
        return { errorCode: 0, baseOffset: firstOffset, lastOffset, logAppendTimeMs: timestamp, logStartOffset: this.#logStartOffset, duplicate: true }
      }
    }
    const refused = this.#producers.check(batch, origin)
    if (refused) this.#sayRefused(producerId, facts.leaderEpoch, refused)
    return refused
  }
  /** Who keeps the rules meets this after a failure only, and what went before it is in the logs of several brokers. */
  #sayRefused(producerId: number, leaderEpoch: number, { message }: Refused): void {
    this.#refusals ??= new Seldom(this.#context.host.clock, 1_000)
    const repeated = this.#refusals.due(String(producerId))
    if (repeated) this.#context.host.logger.named('kafka.log').warn('a producer is refused', { partition: this.name, leaderEpoch, nextOffset: this.#nextOffset, because: message, ...repeated })
  }
  #appendReplicated(given: readonly Uint8Array[], done: AppendDone): AppendOutcome {
    const bytes = given.length === 1 ? Buffer.from(given[0].buffer, given[0].byteOffset, given[0].byteLength) : Buffer.concat(given)
    const prepared: Prepared[] = []
    let size = 0
    let next = this.#nextOffset
    try {
      for (const batch of batchesIn(bytes)) {
        if (batch.baseOffset < next && batch.lastOffset < next)
          return refusal(codes.corruptMessage, `the leader of ${this.name} sent a batch up to offset ${batch.lastOffset}; ${next} was asked for`)
        if (batch.magic === 2 && batch.computeCrc() !== batch.crc)
          return refusal(codes.corruptMessage, `the leader of ${this.name} sent a batch at offset ${batch.baseOffset} whose checksum is wrong. Where it comes again its copy is damaged: give another replica in sync the leadership (kafka-leader-election.sh, kafka-reassign-partitions.sh), stop that broker, delete the directory of the partition there, and start it`)
        next = batch.nextOffset
        size += batch.size
        prepared.push({ batch, pieces: [batch.whole], size: batch.size })
      }
    } catch (error) {
      if (error instanceof CorruptBatchError) return refusal(codes.corruptMessage, `the leader of ${this.name} sent damaged records: ${error.message}`)
      throw error
    }
    if (prepared.length === 0) {
      this.#queue.afterAll(done, this.activeSegment, this.#nextOffset)
      this.#scheduleWrite()
      return { errorCode: 0, baseOffset: this.#nextOffset, lastOffset: this.#nextOffset - 1, logAppendTimeMs: -1n, logStartOffset: this.#logStartOffset, duplicate: false }
    }
    return this.#place(prepared, size, { done }, -1n, bytes.subarray(0, size))
  }

  /** Gives prepared batches, whose offsets are set, their place. `whole`: all of them, where they lie in one piece. */
  #place(prepared: readonly Prepared[], size: number, { done, keep, isFirst = false }: { done: AppendDone; keep?: () => () => void; isFirst?: boolean }, logAppendTimeMs: bigint, whole?: Buffer): AppendOutcome {
    const firstOffset = prepared[0].batch.baseOffset
    const lastOffset = prepared[prepared.length - 1].batch.lastOffset
    let maxTimestamp = -1n
    let offsetOfMaxTimestamp = lastOffset
    for (const { batch } of prepared) {
      const timestamp = batch.maxTimestamp
      if (timestamp > maxTimestamp) {
        maxTimestamp = timestamp
        offsetOfMaxTimestamp = batch.lastOffset
      }
    }
    let segment: Segment
    try {
      segment = this.#segmentFor(size, firstOffset, lastOffset, maxTimestamp)
      if (!segment.isPrepared) segment.prepareForAppends(this.#config.segmentIndexBytes)
    } catch (error) {
      this.#fail('roll', error as Error)
      return this.#offline()
    }
    const position = segment.size
    segment.appended({ size, lastOffset, maxTimestamp, offsetOfMaxTimestamp, indexIntervalBytes: this.#config.indexIntervalBytes })
    let whenDone = done
    for (const { batch, pieces: itsPieces, size: itsSize } of prepared) {
      const written = this.#isCopied ? this.#recent.add(batch.baseOffset, batch.nextOffset, itsSize, itsPieces, keep) : undefined
      if (written) whenDone = alsoWhenWritten(whenDone, written)
      if (batch.partitionLeaderEpoch > this.#epochs.latest && this.#epochs.assign(batch.partitionLeaderEpoch, batch.baseOffset)) this.#saveEpochs().catch(nobody)
      const completed = this.#producers.appended(batch)
      if (completed) {
        if (completed.isAborted) segment.txnIndex.add({ ...completed, lastStableOffset: this.#producers.lastStableOffsetAfter(completed) })
        this.#producers.complete(completed)
      }
    }
    this.#nextOffset = lastOffset + 1
    const pieces = whole ? [whole] : prepared.length === 1 ? prepared[0].pieces : prepared.flatMap((each) => each.pieces)
    const flush = this.#nextOffset - this.#flusher.recoveryPoint >= this.#config.flushMessages
    this.#queue.place(segment, pieces, { position, startOffset: firstOffset, size, endOffset: this.#nextOffset, done: whenDone, flush })
    this.#scheduleWrite(isFirst)
    return { errorCode: 0, baseOffset: firstOffset, lastOffset, logAppendTimeMs, logStartOffset: this.#logStartOffset, duplicate: false }
  }
  #scheduleWrite(isFirst = false): void {
    if (this.#writeScheduled === 'first' || (this.#writeScheduled && !isFirst)) return
    this.#writeScheduled = isFirst ? 'first' : 'yes'
    this.#context.writeAtEndOfTurn(this.#write, isFirst)
  }
  readonly #write = (): void => {
    this.#writeScheduled = undefined
    this.#queue.write()
  }
  #written(written: Written): void {
    if (written.joined && this.#isCopied) this.#recent.addJoined(written.startOffset, written.endOffset, written.joined)
    this.#flusher.afterWrite(written)
  }
  /** For the flusher: these are as durable as they have to be. */
  publish(endOffset: number, dones: readonly AppendDone[]): void {
    if (endOffset > this.#logEndOffset) this.#logEndOffset = endOffset
    for (const handler of this.#handlers) handler()
    for (const done of dones) done()
  }

  // Rolling

  #segmentFor(size: number, firstOffset: number, lastOffset: number, maxTimestamp: bigint): Segment {
    const segment = this.activeSegment
    const { config } = this
    // What has to be compacted by then must not lie in the active segment any more.
    const agedMs = config.cleanupPolicy.includes('compact') ? Math.min(config.segmentMs, config.maxCompactionLagMs) : config.segmentMs
    const isOld = segment.size > 0 && this.#age(segment, maxTimestamp) > agedMs - segment.jitterMs
    const isFull = segment.size > config.segmentBytes - size || segment.offsetIndex.isFull || segment.timeIndex.isFull
    if ((segment.size > 0 && (isOld || isFull)) || lastOffset - segment.baseOffset > offsetRangeMax) return this.#roll(Math.max(this.#nextOffset, firstOffset))
    return segment
  }
  /** How long ago, in records' time, the first append was; by the wall clock when records have no timestamps. */
  #age(segment: Segment, timestamp: bigint): number {
    const first = this.firstTimestampOf(segment)
    if (first >= 0n && timestamp >= 0n) return Number(timestamp - first)
    return this.#context.host.clock.now() - segment.createdMs
  }
  #firstTimestamp(segment: Segment): bigint {
    const head = Buffer.alloc(61)
    const size = segment.log.file.readSync(head.subarray(0, Math.min(61, segment.writtenSize)), 0)
    return size < 34 || (head[16] === 2 && size < 61) ? -1n : new Batch(head).maxTimestamp
  }
  /** Begins a new segment at `baseOffset`; the old one is closed when its last write is done. */
  #roll(baseOffset: number): Segment {
    const { host } = this.#context
    const old = this.activeSegment
    if (old.baseOffset === baseOffset && old.size === 0) {
      // An empty segment of this offset is used as it is; only its age begins anew.
      old.createdMs = host.clock.now()
      return old
    }
    this.#queue.writeAhead()
    const segment = Segment.create(this.#context.files, this.#directory, baseOffset, {
      indexSizeMax: this.#config.segmentIndexBytes,
      createdMs: host.clock.now(),
      preallocatedSize: this.#config.preallocate ? this.#config.segmentBytes : 0,
    })
    segment.jitterMs = this.#config.segmentJitterMs > 0 ? host.random.below(Math.min(this.#config.segmentJitterMs, this.#config.segmentMs, 2 ** 47)) : 0
    this.#segments.push(segment)
    this.#flusher.namesChanged()
    this.#snapshots.write(this.#directory, baseOffset, this.#producers)
    const rollOffset = this.#nextOffset
    this.#queue.closing(old, () => {
      old.seal()
      // On the device soon, so that recovery need not begin before the new segment.
      const flushed = this.#flusher.flushTo(rollOffset)
      if (this.#config.segmentsInOrder) return flushed
      flushed.catch(nobody)
      return undefined
    })
    return segment
  }
  /** Closes the active segment and begins the next. */
  async roll(): Promise<void> {
    await this.#queue.drained()
    this.#guard()
    this.#try('roll', () => this.#roll(this.#nextOffset))
    await this.#queue.drained()
  }

  // Durability

  /** Everything written when this is called is on the device when it resolves. Calls share flushes. */
  flush(): Promise<void> {
    return this.#flusher.flush()
  }
  /** Flushes when `flush.ms` says that it is time. */
  async flushIfDue(now: number): Promise<void> {
    if (!this.#failure && !this.#isClosed) await this.#flusher.flushIfDue(now, this.#config.flushMs)
  }

  #guard(): void {
    if (this.#failure) throw this.#failure
    assert(!this.#isClosed, `${this.name} is closed`)
  }
  #try<T>(what: string, work: () => T): T {
    try {
      return work()
    } catch (error) {
      this.#fail(what, error as Error)
      throw error
    }
  }
  /** For the flusher. */
  failed(what: string, cause: Error): Error {
    return this.#fail(what, cause)
  }
  get isClosed(): boolean {
    return this.#isClosed
  }
  #fail(what: string, cause: Error): Error {
    if (this.#failure || this.#isClosed) return this.#failure ?? cause
    const failure = new Error(`${what} failed in ${this.#directory}: ${cause.message}`, { cause })
    this.goOffline(failure)
    this.#context.directoryFailed(this.logDir, failure)
    return failure
  }
  /** Refuses everything from now on: the directory has failed, here or for another of its logs. */
  goOffline(failure: Error): void {
    if (this.#failure) return
    this.#failure = failure
    this.#recent.clear()
    this.#queue.fail(failure)
    this.#flusher.fail(failure)
    for (const segment of this.#segments) segment.close()
  }

  // Reading

  /** Whole batches from the one that holds `offset` on. At once when they are likely to be in memory. */
  read({ offset, maxBytes, minOneBatch, upTo }: ReadWish): ReadOutcome | Promise<ReadOutcome> {
    if (this.#failure) return this.#offline()
    if (offset < this.#logStartOffset || offset > this.#logEndOffset)
      return refusal(codes.offsetOutOfRange, `offset ${offset} of ${this.name} was asked for; it has ${this.#logStartOffset} to ${this.#logEndOffset}`)
    const end = Math.min(upTo, this.#logEndOffset)
    if (offset >= end) return emptyRead
    const recent = this.#recent.read(offset, { maxBytes, minOneBatch, end })
    if (recent) return { errorCode: 0, ...recent }
    try {
      const read = readSegments(this.#segments, { offset, maxBytes, minOneBatch, upTo: end }, this.#context.readRooms)
      return read instanceof Promise ? read.catch((error: Error) => this.#readFailed(error)) : read
    } catch (error) {
      return this.#readFailed(error as Error)
    }
  }
  #readFailed(error: Error): Refused {
    if (error instanceof CorruptFileError) {
      // Whoever wants these records asks again and again.
      this.#readTroubles ??= new Seldom(this.#context.host.clock)
      const repeated = this.#readTroubles.due(`${error.path} ${error.position}`)
      if (repeated) this.#context.host.logger.named('kafka.log').error('a segment is damaged and cannot be read. Where another replica in sync has it whole, give that the leadership (kafka-leader-election.sh, kafka-reassign-partitions.sh), stop this broker, delete the directory of the partition here, and start it: the records are copied again', { error, ...repeated })
      return refusal(codes.kafkaStorageError, error.message)
    }
    // Truncation or closing may have come in between.
    if (!this.#isClosed) this.#fail('read', error)
    return refusal(codes.kafkaStorageError, `reading ${this.name} failed: ${error.message}`)
  }

  /** Base offsets of the segments, ascending; with a timestamp only of those whose last change is not after it (ListOffsets v0). */
  async segmentBaseOffsetsBefore(timestamp?: bigint): Promise<number[]> {
    const bases: number[] = []
    for (const segment of this.#segments) {
      const modified = timestamp === undefined ? 0 : ((await this.#context.files.disk.facts(segment.log.path))?.modifiedMs ?? 0)
      if (timestamp === undefined || BigInt(Math.floor(modified)) <= timestamp) bases.push(segment.baseOffset)
    }
    return bases
  }
  /** The first record whose timestamp is at least `timestamp`. */
  async offsetForTimestamp(timestamp: bigint): Promise<OffsetAndTimestamp | undefined> {
    this.#guard()
    return firstRecordAt(this.#segments, this.#logStartOffset, timestamp)
  }
  /** The first record with the largest timestamp of all. */
  async offsetOfMaxTimestamp(): Promise<OffsetAndTimestamp | undefined> {
    this.#guard()
    return latestRecord(this.#segments)
  }
  /** The largest epoch not above `epoch` and where it ends; −1, −1 when unknown. */
  endOffsetForEpoch(epoch: number): EpochEnd {
    return this.#epochs.endOf(epoch, this.#logEndOffset)
  }
  /** The leader epoch of the record at `offset`; −1 when unknown. */
  epochOf(offset: number): number {
    return this.#epochs.at(offset)
  }
  /** Aborted transactions that a reader of [from, to) has to skip. */
  abortedTransactions(from: number, to: number): { producerId: number; firstOffset: number }[] {
    const aborted: { producerId: number; firstOffset: number }[] = []
    for (let index = segmentIndexFor(this.#segments, from); index < this.#segments.length; index++)
      for (const entry of this.#segments[index].txnIndex.entries) {
        if (entry.lastOffset >= from && entry.firstOffset < to) aborted.push({ producerId: entry.producerId, firstOffset: entry.firstOffset })
        if (entry.lastStableOffset >= to) return aborted
      }
    return aborted
  }
  producers(): ProducerFacts[] {
    return this.#producers.describe()
  }
  /** Whether the producer has written to this partition in a transaction that is not ended here yet. */
  hasOpenTransaction(producerId: number, epoch: number): boolean {
    return this.#producers.hasOpenTransaction(producerId, epoch)
  }
  expireProducers(now: number): void {
    this.#producers.expire(now, this.#context.producerIdExpirationMs)
  }

  // What others decide

  /** Below it everything is committed. May be lowered only by a new leader's truncation. */
  setHighWatermark(offset: number): void {
    this.#highWatermark = Math.min(Math.max(offset, this.#logStartOffset), this.#nextOffset)
    this.#producers.replicatedTo(this.#highWatermark)
  }
  /**
   * A new leader's epoch begins at the log's end. Nobody waits for its file: an entry without records goes at the next start anyway, and
   * what is behind the recovery point, which waits for the file, gets its entries back from the batches.
   */
  assignLeaderEpoch(epoch: number): void {
    this.#guard()
    if (this.#epochs.assign(epoch, this.#nextOffset)) this.#saveEpochs().catch(nobody)
  }
  #saveEpochs(): Promise<void> {
    return this.#save(partitionFile.epochs, this.#epochs.toText())
  }
  /** The small files as they are now are on the device, or the log has failed. */
  get saved(): Promise<void> {
    return this.#saving
  }
  /** The small files are written one after the other, off the path of appends. */
  #save(file: string, text: string): Promise<void> {
    const { syncs, files } = this.#context
    const saving = this.#saving.then(() => {
      if (!this.#failure && !this.#isClosed) return syncs.run(() => files.disk.replaceFile(`${this.#directory}/${file}`, text))
    })
    this.#savings++
    this.#saving = saving.catch((error: Error) => void this.#fail(`saving ${file}`, error)).finally(() => this.#savings--)
    return this.#saving.then(() => {
      if (this.#failure) throw this.#failure
    })
  }
  async setTopicId(topicId: string): Promise<void> {
    assert(this.#topicId === undefined || this.#topicId === topicId, `${this.name} has topic id ${this.#topicId}`)
    this.#topicId = topicId
    await this.#save(partitionFile.metadata, partitionMetadataText(topicId))
  }

  // Shrinking

  /** Raises the log start to `before`, which must not be beyond the high watermark; segments below it go with the next retention. Returns the log start. */
  async deleteRecords(before: number): Promise<number> {
    this.#guard()
    if (before > this.#highWatermark) throw new RangeError(`records of ${this.name} before ${before} were to be deleted; its high watermark is ${this.#highWatermark}`)
    this.#raiseLogStart(before)
    return this.#logStartOffset
  }
  #raiseLogStart(to: number): void {
    if (to <= this.#logStartOffset) return
    this.#logStartOffset = to
    if (this.#highWatermark < to) this.setHighWatermark(to)
    this.#producers.startsAt(to)
    if (this.#epochs.truncateStart(to)) this.#saveEpochs().catch(nobody)
  }

  /** Deletes what retention allows; returns how many segments went (reference §6.7). */
  async applyRetention(now: number): Promise<number> {
    return this.#alone(() => this.#applyRetention(now))
  }
  async #applyRetention(now: number): Promise<number> {
    if (this.#failure || this.#isClosed) return 0
    const { config } = this
    const deletes = config.cleanupPolicy.includes('delete')
    let surplus = deletes && config.retentionBytes >= 0 ? this.size - config.retentionBytes : -1
    let count = 0
    for (const [index, segment] of this.#segments.entries()) {
      const next = this.#segments[index + 1] as Segment | undefined
      const upperBound = next ? next.baseOffset : this.#nextOffset
      if (this.#highWatermark < upperBound || (!next && segment.size === 0)) break
      const isBelowStart = next !== undefined && next.baseOffset <= this.#logStartOffset
      const isOld = deletes && config.retentionMs >= 0 && now - (await this.#lastTimeOf(segment)) > config.retentionMs
      const isSurplus = surplus >= 0 && surplus - segment.size >= 0
      if (!isBelowStart && !isOld && !isSurplus) break
      surplus -= segment.size
      count++
    }
    if (count === 0) return 0
    if (count === this.#segments.length) await this.roll()
    const gone = this.#segments.slice(0, count)
    const newStart = this.#segments[count].baseOffset
    if (newStart > this.#logStartOffset) this.#raiseLogStart(newStart)
    this.#segments = this.#segments.slice(count)
    this.#context.host.logger.named('kafka.log').info('segments deleted', { partition: this.name, bases: gone.map((segment) => segment.baseOffset), logStartOffset: this.#logStartOffset })
    await this.removeSegments(gone)
    return count
  }
  async #lastTimeOf(segment: Segment): Promise<number> {
    if (segment.maxTimestamp >= 0n) return Number(segment.maxTimestamp)
    return (await this.#context.files.disk.facts(segment.log.path))?.modifiedMs ?? 0
  }
  /** Renames files of segments that are out of use and removes them after `file.delete.delay.ms`. */
  async removeSegments(gone: readonly Segment[], { snapshots = true } = {}): Promise<void> {
    const { disk } = this.#context.files
    try {
      const paths: string[] = []
      for (const segment of gone) {
        await segment.rename('', deletedSuffix)
        paths.push(...segment.paths)
        const snapshot = snapshots ? await this.#snapshots.retire(this.#directory, segment.baseOffset) : undefined
        if (snapshot !== undefined) paths.push(snapshot)
      }
      this.#context.host.timers.set(this.#config.fileDeleteDelayMs, () => {
        for (const segment of gone) segment.close()
        for (const path of paths) disk.remove(path).catch(nobody)
      })
    } catch (error) {
      this.#fail('deleting segments', error as Error)
      throw error
    }
  }

  /** Cuts the log so that `offset` is the next to be written. When it is not beyond, only an epoch that begins there, and has no records yet, goes. */
  async truncateTo(offset: number): Promise<void> {
    await this.#alone(() => this.#truncateTo(offset))
  }
  /** Segments come and go one change at a time: compaction, retention and truncation must not meet. */
  #alone<T>(change: () => Promise<T>): Promise<T> {
    this.#changesWaiting++
    const done = this.#changes.then(change).finally(() => this.#changesWaiting--)
    this.#changes = done.catch(nobody)
    return done
  }
  async #truncateTo(offset: number): Promise<void> {
    await this.#queue.drained()
    this.#guard()
    this.#recent.clear()
    if (offset >= this.#nextOffset) {
      if (this.#epochs.truncateEnd(offset)) await this.#saveEpochs()
      return
    }
    if (this.#segments[0].baseOffset > offset) return this.#startAt(offset)
    await this.#flusher.settled()
    const keep = segmentIndexFor(this.#segments, offset) + 1
    const gone = this.#segments.slice(keep)
    this.#segments = this.#segments.slice(0, keep)
    // The newest first: a crash in between leaves no gap.
    await this.removeSegments(gone.reverse(), { snapshots: false })
    this.#try('truncate', () => {
      this.activeSegment.prepareForAppends(this.#config.segmentIndexBytes)
      this.activeSegment.truncateTo(offset)
    })
    await this.#endsAt(offset)
  }
  /** Deletes everything; the log is empty and begins at `offset`. */
  async startAt(offset: number): Promise<void> {
    await this.#alone(() => this.#startAt(offset))
  }
  async #startAt(offset: number): Promise<void> {
    await this.#queue.drained()
    this.#guard()
    this.#recent.clear()
    await this.#flusher.settled()
    await this.removeSegments([...this.#segments].reverse(), { snapshots: false })
    this.#try('truncate', () => {
      this.#segments = [Segment.create(this.#context.files, this.#directory, offset, { indexSizeMax: this.#config.segmentIndexBytes, createdMs: this.#context.host.clock.now() })]
    })
    this.#flusher.namesChanged()
    this.#logStartOffset = offset
    this.#producers.clear()
    await this.#endsAt(offset)
  }
  async #endsAt(offset: number): Promise<void> {
    await this.#snapshots.removeBehind(this.#directory, offset)
    this.#nextOffset = this.#logEndOffset = offset
    this.#truncatedTo = Math.min(this.#truncatedTo ?? offset, offset)
    this.#flusher.truncatedTo(offset)
    this.#highWatermark = Math.max(this.#logStartOffset, Math.min(this.#highWatermark, offset))
    await rebuildProducers(this.#context, this.#producers, { directory: this.#directory, segments: this.#segments, snapshotOffsets: this.#snapshots.offsets, logStartOffset: this.#logStartOffset, endOffset: offset })
    this.#producers.replicatedTo(this.#highWatermark)
    if (this.#epochs.truncateEnd(offset)) await this.#saveEpochs()
  }

  /**
   * Puts a compacted segment, whose files end in `.cleaned` and are on the device, in the place of those it was made of; false, and nothing
   * happens, when these are not all part of the log any more. A crash leaves the old ones or the new one.
   */
  replaceSegments(cleaned: Segment, old: readonly Segment[]): Promise<boolean> {
    return this.#alone(async () => {
      const first = this.#segments.indexOf(old[0])
      if (this.#isClosed || this.#failure || first < 0 || old.some((segment, index) => this.#segments[first + index] !== segment)) return false
      const { disk } = this.#context.files
      try {
        await cleaned.rename(cleanedSuffix, swapSuffix)
        await disk.syncDirectory(this.#directory)
        // From here on a crash finishes the swap: the log's files are replaced by what bears the suffix.
        await this.removeSegments(old, { snapshots: false })
        await cleaned.rename(swapSuffix, '')
        await disk.syncDirectory(this.#directory)
      } catch (error) {
        this.#fail('replacing segments by compacted ones', error as Error)
        throw error
      }
      this.#replace(cleaned, old)
      return true
    })
  }
  #replace(cleaned: Segment, old: readonly Segment[]): void {
    const first = this.#segments.indexOf(old[0])
    this.#recent.clear()
    this.#segments = [...this.#segments.slice(0, first), cleaned, ...this.#segments.slice(first + old.length)]
    this.#snapshots.keepOnly(this.#directory, new Set(this.#segments.map((segment) => segment.baseOffset)))
    this.#flusher.namesChanged()
  }

  // The end

  /** Flushes, cuts indexes to size, writes a producer snapshot. Everything is on the device afterwards. */
  async close(): Promise<void> {
    if (this.#isClosed) return
    await this.#changes
    await this.#queue.drained()
    if (this.#failure) return
    await this.#saving
    this.#try('close', () => {
      if (!this.activeSegment.isSynced) this.activeSegment.seal()
      if (this.#nextOffset > this.#logStartOffset) this.#snapshots.write(this.#directory, this.#nextOffset, this.#producers)
    })
    try {
      for (const segment of this.#segments) if (!segment.isSynced) await this.#context.syncs.run(() => segment.sync())
      await this.#flusher.settled()
      await this.flush()
    } catch (error) {
      this.#fail('close', error as Error)
      throw error
    }
    this.#isClosed = true
    this.#recent.clear()
    for (const segment of this.#segments) segment.close()
  }
  /** Lets go of the files without writing anything: the log is to be deleted, from `directory`. */
  async abandon(): Promise<void> {
    if (this.#isClosed) return
    await this.#changes
    await this.#queue.drained()
    await this.#flusher.settled()
    await this.#saving
    this.#isClosed = true
    for (const segment of this.#segments) segment.close()
    this.goOffline(new Error(`${this.name} is being deleted`))
  }
  movedTo(directory: string): void {
    this.#directory = directory
  }
  /** Nothing is being written, saved, flushed or cut at this moment: its directory may be renamed. */
  get isQuiet(): boolean {
    return this.#queue.isEmpty && !this.#flusher.isRunning && this.#savings === 0 && this.#changesWaiting === 0 && this.#nextOffset === this.#logEndOffset
  }
  /** Renames the directory while the log is in use; it must be quiet. */
  rename(directory: string): void {
    assert(this.isQuiet, `${this.name} is at work`)
    this.#context.files.disk.renameSync(this.#directory, directory)
    this.#directory = directory
    for (const segment of this.#segments) segment.movedTo(directory)
    this.#flusher.renamed()
  }
}

/** After a failure nobody knows whether the bytes are still being written. */
const alsoWhenWritten = (done: AppendDone, written: () => void): AppendDone => (failure) => {
  if (!failure) written()
  done(failure)
}
const nobody = (): void => {}
