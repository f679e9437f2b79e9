/** Compacts the logs of a broker in turn, the dirtiest first, remembers how far each is clean and which cannot be cleaned (LogCleaner, LogCleanerManager). */
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
  #running: Promise<void> = Promise.resolve()

  constructor(context: LogContext, options: LogCleanerOptions) {
    this.#context = context
    this.#options = options
    this.#pace = new CleanerPace(context.host, () => options.settings()['log.cleaner.io.max.bytes.per.second'] ?? Infinity)
  }

  /** Cleans now and then from now on: `log.cleaner.backoff.ms` after everything was clean. */
  start(): void {
    if (this.#pace.isStopped) return
    this.#timer = this.#context.host.timers.set(Math.max(1, this.#options.settings()['log.cleaner.backoff.ms'] ?? backoffMs), () => {
      void this.clean().then(() => this.start())
    })
  }
  /** What is being cleaned is left as it was. */
  async stop(): Promise<void> {
    this.#pace.stop()
    this.#timer?.cancel()
    await this.#running
  }
  /** Partitions that are passed over because of what was met in them. */
  get uncleanable(): { partition: string; reason: string }[] {
    return [...this.#uncleanable].map(([{ name }, reason]) => ({ partition: name, reason }))
  }

  /** Compacts what is dirty enough, until nothing is. Never rejects. */
  clean(): Promise<void> {
    return (this.#running = this.#running.then(() => this.#clean()))
  }
  async #clean(): Promise<void> {
    const logs = new Set(this.#options.logs())
    for (const log of this.#uncleanable.keys()) if (!logs.has(log)) this.#uncleanable.delete(log)
    for (const done = new Set<PartitionLog>(); !this.#pace.isStopped; ) {
      const best = this.#dirtiest(done)
      if (!best || !(await this.#cleanOne(best.log, best.cleanable))) {
        if (!best) return
        done.add(best.log)
      }
    }
  }
  #dirtiest(done: ReadonlySet<PartitionLog>): { log: PartitionLog; cleanable: Cleanable } | undefined {
    const now = this.#context.host.clock.now()
    let best: { log: PartitionLog; cleanable: Cleanable } | undefined
    for (const log of this.#options.logs()) {
      if (log.failure || done.has(log) || this.#uncleanable.has(log) || !log.config.cleanupPolicy.includes('compact')) continue
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
        keyMemoryMax: settings['log.cleaner.dedupe.buffer.size'] ?? dedupeBufferSize,
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
    await this.#options.save(directory, () =>
      directory.writeCleaned([...directory.cleanedTo].map(([name, offset]) => ({ topic: name.slice(0, name.lastIndexOf('-')), partition: Number(name.slice(name.lastIndexOf('-') + 1)), offset }))),
    )
  }
}
