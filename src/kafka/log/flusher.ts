/**
 * What of one log is on the device. Flushes are shared: all who ask while one is under way get the next. Appends that have to be
 * on the device are told in order when they are; those behind them wait behind them.
 */
import type { AppendDone } from './append.ts'
import type { LogContext } from './log-context.ts'
import { PooledFile } from './open-files.ts'
import type { Segment } from './segment.ts'
import type { Written } from './write-queue.ts'

/** What the flusher needs of its log. */
export interface Flushed {
  readonly directory: string
  readonly logDir: string
  readonly segments: readonly Segment[]
  readonly nextOffset: number
  readonly logEndOffset: number
  /** The log is closed or being deleted: its files may be gone. */
  readonly isClosed: boolean
  /** Written, and flushed where that was asked for. */
  publish(endOffset: number, dones: readonly AppendDone[]): void
  failed(what: string, cause: Error): Error
  /** The leader epochs of what is written are on the device, or the log has failed. */
  readonly saved: Promise<void>
}

export class Flusher {
  /** First offset not known to be on the device. */
  recoveryPoint: number
  readonly #context: LogContext
  readonly #log: Flushed
  #failure: Error | undefined
  /** Appends that are written and wait, in order. */
  #waiting: { endOffset: number; done: AppendDone; flush: boolean }[] = []
  /** How many the flush under way will tell. */
  #beingFlushed = 0
  #running: Promise<void> | undefined
  #next: Promise<void> | undefined
  #lastMs: number
  /** Names in the directory may not be on the device yet; nor its own name. */
  #namesChanged: boolean
  #isNew: boolean
  #snapshots: string[] = []
  /** What was flushed says nothing about what was written anew over it. */
  #truncations = 0

  constructor(context: LogContext, log: Flushed, { recoveryPoint, isNew }: { recoveryPoint: number; isNew: boolean }) {
    this.#context = context
    this.#log = log
    this.recoveryPoint = recoveryPoint
    this.#namesChanged = this.#isNew = isNew
    this.#lastMs = context.host.clock.now()
  }

  get isRunning(): boolean {
    return this.#running !== undefined
  }
  /** The log's directory has another name: the one above it is to be flushed, too. */
  renamed(): void {
    this.#snapshots = this.#snapshots.map((path) => `${this.#log.directory}${path.slice(path.lastIndexOf('/'))}`)
    this.#namesChanged = this.#isNew = true
  }
  namesChanged(): void {
    this.#namesChanged = true
  }
  snapshotWritten(path: string): void {
    this.#snapshots.push(path)
    this.#namesChanged = true
  }
  truncatedTo(offset: number): void {
    this.#truncations++
    this.recoveryPoint = Math.min(this.recoveryPoint, offset)
  }
  afterWrite({ endOffset, dones, flush }: Written): void {
    if (!flush && this.#waiting.length === 0 && this.#beingFlushed === 0) return this.#log.publish(endOffset, dones)
    for (const done of dones) this.#waiting.push({ endOffset, done, flush })
    if (flush) this.flush().catch(nobody)
  }
  /** Tells all who wait. */
  fail(failure: Error): void {
    this.#failure = failure
    const waiting = this.#waiting
    this.#waiting = []
    for (const { done } of waiting) done(failure)
  }
  /** Resolves when no flush is under way. */
  async settled(): Promise<void> {
    await this.#running?.catch(nobody)
  }
  async flushIfDue(now: number, flushMs: number): Promise<void> {
    if (this.#failure || this.recoveryPoint >= this.#log.logEndOffset) return
    if (now - this.#lastMs >= flushMs) await this.flush()
  }

  /** Everything written when this is called is on the device when it resolves. */
  flush(): Promise<void> {
    const last = this.#waiting[this.#waiting.length - 1] as { endOffset: number } | undefined
    return this.flushTo(last ? Math.max(last.endOffset, this.#log.logEndOffset) : this.#log.logEndOffset)
  }
  /** The same for what is known to be written up to `target`. */
  flushTo(target: number): Promise<void> {
    if (this.#failure) return Promise.reject(this.#failure)
    if (this.#running) {
      // The one under way may have begun before the last write.
      this.#next ??= this.#running.catch(nobody).then(() => {
        this.#next = undefined
        return this.flush()
      })
      return this.#next
    }
    const running = this.#run(target).finally(() => (this.#running = undefined))
    this.#running = running
    return running
  }
  async #run(target: number): Promise<void> {
    const log = this.#log
    const active = log.segments[log.segments.length - 1]
    const segments = log.segments.filter((segment) => (segment === active ? !segment.isDataSynced : !segment.isSynced))
    const waiting = this.#waiting
    this.#waiting = []
    this.#beingFlushed = waiting.length
    const snapshots = this.#snapshots
    this.#snapshots = []
    const truncations = this.#truncations
    try {
      if (segments.length > 0 || snapshots.length > 0 || this.#namesChanged)
        await this.#context.syncs.run(async () => {
          for (const segment of segments) await this.#syncSegment(segment, segment === active)
          for (const path of snapshots) await this.#syncSnapshot(path)
          await this.#syncNames()
        })
    } catch (error) {
      this.#beingFlushed = 0
      // A log that is being deleted has no files to flush.
      const failure = log.isClosed ? undefined : log.failed('flush', error as Error)
      for (const { done } of waiting) done(failure ?? (error as Error))
      if (failure) throw failure
      return
    }
    this.#lastMs = this.#context.host.clock.now()
    for (const { endOffset, done } of waiting) log.publish(endOffset, [done])
    this.#beingFlushed = 0
    while (this.#waiting.length > 0 && !this.#waiting[0].flush) {
      const { endOffset, done } = this.#waiting.shift()!
      log.publish(endOffset, [done])
    }
    // Recovery finds the epochs of batches from the recovery point on; those before it are in their file.
    await log.saved
    if (truncations === this.#truncations && target > this.recoveryPoint) this.recoveryPoint = Math.min(target, log.nextOffset)
  }
  async #syncSegment(segment: Segment, isActive: boolean): Promise<void> {
    const size = segment.writtenSize
    try {
      // Recovery rebuilds the indexes of the segment that takes appends; only its data has to be safe.
      if (isActive) await segment.log.with((file) => file.sync())
      else await segment.sync()
    } catch (error) {
      // What truncation or retention took away meanwhile needs no flush.
      if (this.#log.segments.includes(segment)) throw error
      return
    }
    if (segment.writtenSize !== size || segment.size !== size) return
    segment.isDataSynced = true
    if (!isActive) segment.isSynced = true
  }
  async #syncSnapshot(path: string): Promise<void> {
    const { files } = this.#context
    if (!(await files.disk.facts(path))) return
    const snapshot = new PooledFile(files, path)
    await snapshot.with((file) => file.sync()).finally(() => snapshot.close())
  }
  async #syncNames(): Promise<void> {
    if (!this.#namesChanged) return
    this.#namesChanged = false
    const { disk } = this.#context.files
    if (this.#isNew) await disk.syncDirectory(this.#log.logDir)
    this.#isNew = false
    await disk.syncDirectory(this.#log.directory)
  }
}
const nobody = (): void => {}
