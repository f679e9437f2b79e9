/** Compacts the logs of a broker, the dirtiest first and `log.cleaner.threads` of them side by side, remembers how far each is clean and which cannot be cleaned (LogCleaner, LogCleanerManager). */
import type { Timer } from '../../host/host.ts'
import { CorruptBatchError } from '../records/corrupt-batch-error.ts'
import { type Cleanable, cleanableOf, cleanLog, SegmentsGoneError } from './cleaner.ts'
import { CleanerPace, CleaningStoppedError } from './cleaner-pace.ts'
import { CorruptFileError } from './corrupt-file-error.ts'
import type { LogContext } from './log-context.ts'
import type { LogDirectory } from './log-directory.ts'
import type { LogSettings } from './log-manager.ts'
import type { PartitionLog } from './partition-log.ts'

export interface LogCleanerOptions {
  readonly logs: () => readonly PartitionLog[]
  /** Where a log's checkpoint is kept. */
  readonly directoryOf: (log: PartitionLog) => LogDirectory | undefined
  /** Writes into a directory; a failure is the directory's. */
  readonly save: (directory: LogDirectory, work: () => Promise<void>) => Promise<void>
  readonly settings: () => LogSettings
}

const dedupeBufferSize = 134_217_728
const keyLoadFactor = 0.9
const backoffMs = 15_000

export class LogCleaner {
  readonly #context: LogContext
  readonly #options: LogCleanerOptions
  readonly #pace: CleanerPace
  readonly #uncleanable = new Map<PartitionLog, string>()
  #timer: Timer | undefined
  /** Each cleans one log after the other until nothing is dirty. */
  readonly #lanes = new Set<Promise<void>>()
  readonly #atWork = new Set<PartitionLog>()
  #saving: Promise<void> = Promise.resolve()

  constructor(context: LogContext, options: LogCleanerOptions) {
    this.#context = context
    this.#options = options
    this.#pace = new CleanerPace(context.host, () => options.settings()['log.cleaner.io.max.bytes.per.second'] ?? Infinity)
  }

  /** Cleans now and then from now on: every `log.cleaner.backoff.ms` it is looked whether there is more to do than is being done. */
  start(): void {
    if (this.#pace.isStopped) return
    this.#timer = this.#context.host.timers.set(Math.max(1, this.#options.settings()['log.cleaner.backoff.ms'] ?? backoffMs), () => {
      this.#begin()
      this.start()
    })
  }
  /** What is being cleaned is left as it was. */
  async stop(): Promise<void> {
    this.#pace.stop()
    this.#timer?.cancel()
    await this.#idle()
  }
  /** Partitions that are passed over because of what was met in them. */
  get uncleanable(): { partition: string; reason: string }[] {
    return [...this.#uncleanable].map(([{ name }, reason]) => ({ partition: name, reason }))
  }

  /** Compacts what is dirty enough, until nothing is. Never rejects. */
  async clean(): Promise<void> {
    await this.#idle()
    this.#begin()
    await this.#idle()
  }
  async #idle(): Promise<void> {
    while (this.#lanes.size > 0) await Promise.all(this.#lanes)
  }
  get #lanesMax(): number {
    return this.#options.settings()['log.cleaner.threads'] ?? 1
  }
  #begin(): void {
    if (this.#lanes.size >= this.#lanesMax) return
    // It is counted before it begins.
    const lane: Promise<void> = Promise.resolve().then(() => this.#work()).finally(() => this.#lanes.delete(lane))
    this.#lanes.add(lane)
  }
  async #work(): Promise<void> {
    const logs = new Set(this.#options.logs())
    for (const log of this.#uncleanable.keys()) if (!logs.has(log)) this.#uncleanable.delete(log)
    for (const done = new Set<PartitionLog>(); !this.#pace.isStopped; ) {
      const best = this.#dirtiest(done)
      if (!best) return
      this.#atWork.add(best.log)
      const cleaning = this.#cleanOne(best.log, best.cleanable)
      // Another may see whether there is more.
      this.#begin()
      if (!(await cleaning)) done.add(best.log)
      this.#atWork.delete(best.log)
    }
  }
  #dirtiest(done: ReadonlySet<PartitionLog>): { log: PartitionLog; cleanable: Cleanable } | undefined {
    const now = this.#context.host.clock.now()
    let best: { log: PartitionLog; cleanable: Cleanable } | undefined
    for (const log of this.#options.logs()) {
      if (log.failure || done.has(log) || this.#atWork.has(log) || this.#uncleanable.has(log) || !log.config.cleanupPolicy.includes('compact')) continue
      const cleanable = cleanableOf(log, this.#cleanedTo(log), now)
      if (cleanable.dirtyRatio === 0 || (cleanable.dirtyRatio <= log.config.minCleanableDirtyRatio && !cleanable.isOverdue)) continue
      if (!best || cleanable.dirtyRatio > best.cleanable.dirtyRatio) best = { log, cleanable }
    }
    return best
  }
  /** The checkpoint; what was cut off and written anew is not clean. */
  #cleanedTo(log: PartitionLog): number | undefined {
    const cleanedTo = this.#options.directoryOf(log)?.cleanedTo
    const before = cleanedTo?.get(log.name)
    const truncation = log.takeTruncation()
    if (before === undefined || truncation === undefined || truncation >= before) return before
    cleanedTo?.set(log.name, truncation)
    return truncation
  }

  /** Whether it got on. */
  async #cleanOne(log: PartitionLog, cleanable: Cleanable): Promise<boolean> {
    const { host } = this.#context
    const settings = this.#options.settings()
    const logger = host.logger.named('kafka.log')
    const bytesBefore = log.size
    const since = host.clock.monotonic()
    try {
      const cleanedTo = await cleanLog(this.#context, log, cleanable, {
        pace: this.#pace,
        keyMemoryMax: (settings['log.cleaner.dedupe.buffer.size'] ?? dedupeBufferSize) / Math.max(1, this.#lanesMax),
        // Any number is taken as a configuration; a table can be neither empty nor more than full.
        keyLoadFactor: Math.min(1, Math.max(0.05, settings['log.cleaner.io.buffer.load.factor'] ?? keyLoadFactor)),
        now: host.clock.now(),
      })
      if (cleanedTo <= cleanable.firstDirtyOffset) return false
      logger.info('compacted', { partition: log.name, from: cleanable.firstDirtyOffset, to: cleanedTo, bytesBefore, bytesAfter: log.size, ms: Math.round(host.clock.monotonic() - since) })
      await this.#saveCheckpoint(log, cleanedTo)
      return true
    } catch (error) {
      if (log.failure || error instanceof CleaningStoppedError) return false
      if (error instanceof CorruptFileError || error instanceof CorruptBatchError) {
        this.#uncleanable.set(log, error.message)
        logger.error('a partition cannot be compacted: it is left as it is until this broker starts again', { partition: log.name, error })
      } else if (error instanceof SegmentsGoneError || !this.#options.logs().includes(log)) logger.info('compaction given up: the log changed meanwhile', { partition: log.name })
      // A full disk, say: nothing of the log is lost, and it may go next time.
      else logger.error('compaction failed; it is tried again', { partition: log.name, error })
      return false
    }
  }
  async #saveCheckpoint(log: PartitionLog, cleanedTo: number): Promise<void> {
    const directory = this.#options.directoryOf(log)
    if (!directory || directory.failure || !this.#options.logs().includes(log)) return
    directory.cleanedTo.set(log.name, cleanedTo)
    // One at a time: a file has one temporary name.
    await (this.#saving = this.#saving.then(() => this.#options.save(directory, () =>
      directory.writeCleaned([...directory.cleanedTo].map(([name, offset]) => ({ topic: name.slice(0, name.lastIndexOf('-')), partition: Number(name.slice(name.lastIndexOf('-') + 1)), offset }))),
    )))
  }
}
