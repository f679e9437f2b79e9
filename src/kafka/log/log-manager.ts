/** All logs of a broker, in one or more log directories. See README for its door. */
import assert from 'node:assert'
import { type Host, InUseError, type Timer } from '../../host/host.ts'
import { BufferPool } from '../../wire/buffer-pool.ts'
import { InTheWayError, isInTheWay, withRemedy } from './directory-trouble.ts'
import { LeaderEpochs } from './leader-epochs.ts'
import { loadLog } from './load-log.ts'
import type { LogConfig } from './log-config.ts'
import { SyncGate, type LogContext } from './log-context.ts'
import { LogCleaner } from './log-cleaner.ts'
import { LogDirectory } from './log-directory.ts'
import { directoryNameToDelete, futureDirectoryName, partitionFile } from './names.ts'
import { OpenFiles } from './open-files.ts'
import { PartitionLog } from './partition-log.ts'
import { ProducerState } from './producer-state.ts'
import { RecentMemory } from './recent-batches.ts'
import { Segment } from './segment.ts'
import { TurnWrites } from './turn-writes.ts'
import { syncSizeMax } from './write-queue.ts'

/** Broker settings this room looks at, under Kafka's names; what is not given has Kafka's default. */
export interface LogSettings {
  'log.retention.check.interval.ms'?: number
  'log.initial.task.delay.ms'?: number
  'log.flush.scheduler.interval.ms'?: number
  'log.flush.offset.checkpoint.interval.ms'?: number
  'log.flush.start.offset.checkpoint.interval.ms'?: number
  'replica.high.watermark.checkpoint.interval.ms'?: number
  'log.cleaner.enable'?: boolean
  'log.cleaner.threads'?: number
  'log.cleaner.backoff.ms'?: number
  'log.cleaner.dedupe.buffer.size'?: number
  'log.cleaner.io.buffer.load.factor'?: number
  'log.cleaner.io.max.bytes.per.second'?: number
  'producer.id.expiration.ms'?: number
  'producer.id.expiration.check.interval.ms'?: number
  'num.recovery.threads.per.data.dir'?: number
}
export interface LogManagerOptions {
  logDirs: readonly string[]
  /** Must be what the directories say, if they say something. */
  brokerId?: number
  /** Asked when neither options nor directories name a broker id. */
  generateBrokerId?: () => Promise<number>
  clusterId: string
  defaults: LogConfig
  configOf: (topic: string) => LogConfig
  settings?: LogSettings
  /** What the cleaner looks at each time, because it may change; default `settings`. */
  settingsNow?: () => LogSettings
}
export interface DirectoryFacts {
  path: string
  failure: Error | undefined
  totalBytes: number
  usableBytes: number
  partitions: { topic: string; partition: number; size: number; isFuture: boolean }[]
}

/** Kept for the next large reads: some followers' and consumers' at a time. */
const readRoomsBytesMax = 8 * 1024 * 1024
const defaults = {
  'log.retention.check.interval.ms': 300_000,
  'log.initial.task.delay.ms': 30_000,
  'log.flush.offset.checkpoint.interval.ms': 60_000,
  'replica.high.watermark.checkpoint.interval.ms': 5_000,
  'log.cleaner.enable': true,
  'producer.id.expiration.ms': 86_400_000,
  'producer.id.expiration.check.interval.ms': 600_000,
} as const
/** `flush.ms` of a topic is looked at this often, or more often when the broker's setting says so. */
const flushCheckMs = 1_000

export class LogManager {
  readonly brokerId: number
  readonly clusterId: string
  readonly #host: Host
  readonly #options: LogManagerOptions
  readonly #directories: LogDirectory[]
  readonly #context: LogContext
  readonly #logs = new Map<string, PartitionLog>()
  /** Replicas on their way to another log directory. */
  readonly #futures = new Map<string, PartitionLog>()
  /** Where partitions that are not here yet are to be made, by `topic-partition`. */
  readonly #preferred = new Map<string, string>()
  readonly #failureHandlers: ((directory: string, failure: Error) => void)[] = []
  readonly #timers: Timer[] = []
  readonly #cleaner: LogCleaner
  readonly #turnWrites: TurnWrites
  #tasks: Promise<void> = Promise.resolve()
  #isClosed = false
  /** One change of the set of logs at a time for each partition. */
  readonly #changes = new Map<string, Promise<unknown>>()

  private constructor(host: Host, options: LogManagerOptions, made: { directories: LogDirectory[]; brokerId: number; context: LogContext; logs: PartitionLog[]; futures: PartitionLog[]; turnWrites: TurnWrites }) {
    this.#host = host
    this.#options = options
    this.#directories = made.directories
    this.#context = made.context
    this.#turnWrites = made.turnWrites
    this.brokerId = made.brokerId
    this.clusterId = options.clusterId
    for (const log of made.logs) this.#logs.set(log.name, log)
    for (const log of made.futures) this.#futures.set(log.name, log)
    this.#cleaner = new LogCleaner(made.context, {
      logs: () => this.all(),
      directoryOf: (log) => this.#directoryOf(log),
      save: (directory, work) => this.#inDirectory(directory, work),
      settings: options.settingsNow ?? (() => options.settings ?? {}),
    })
  }

  /** Locks, checks and loads the directories; rejects when one belongs to somebody else or none can be used. */
  static async open(host: Host, options: LogManagerOptions): Promise<LogManager> {
    assert(options.logDirs.length > 0, 'at least one log directory')
    const log = host.logger.named('kafka.log')
    const directories = [...new Set(options.logDirs.map(withoutSlash))].map((path) => new LogDirectory(host, path))
    try {
      await guarded(directories, log, async (directory) => {
        await directory.lock()
        await directory.readMeta()
      })
      const brokerId = await agreedBrokerId(directories, options)
      let manager: LogManager | undefined
      const turnWrites = new TurnWrites(host.timers)
      const context: LogContext = {
        host,
        files: new OpenFiles(host.disk),
        recent: new RecentMemory(),
        syncs: new SyncGate(),
        writeRoom: Buffer.allocUnsafeSlow(syncSizeMax),
        readRooms: new BufferPool(readRoomsBytesMax),
        producerIdExpirationMs: options.settings?.['producer.id.expiration.ms'] ?? defaults['producer.id.expiration.ms'],
        writeAtEndOfTurn: (write, isFirst) => turnWrites.add(write, isFirst),
        directoryFailed: (path, failure) => manager?.failDirectory(path, failure),
      }
      const { logs, futures } = await loadAll(context, directories, options)
      await guarded(directories, log, (directory) => directory.writeMeta(brokerId, options.clusterId))
      const live = directories.filter(({ failure }) => !failure)
      if (live.length === 0) throw new Error(`no log directory can be used: ${directories.map(({ failure }) => failure?.message).join('; ')}`)
      const isLive = ({ logDir }: PartitionLog): boolean => live.some(({ path }) => path === logDir)
      manager = new LogManager(host, options, { directories, brokerId, context, logs: logs.filter(isLive), futures: futures.filter(isLive), turnWrites })
      manager.#startTasks()
      return manager
    } catch (error) {
      for (const directory of directories) await directory.unlock().catch(() => {})
      throw error
    }
  }

  get(topic: string, partition: number): PartitionLog | undefined {
    return this.#logs.get(`${topic}-${partition}`)
  }
  all(): PartitionLog[] {
    return [...this.#logs.values()]
  }
  /** The replica on its way to another log directory. */
  future(topic: string, partition: number): PartitionLog | undefined {
    return this.#futures.get(`${topic}-${partition}`)
  }
  #allWithFutures(): PartitionLog[] {
    return [...this.#logs.values(), ...this.#futures.values()]
  }
  /** The log directories that work, in the order of the configuration. */
  get livePaths(): string[] {
    return this.#live().map(({ path }) => path)
  }
  /** As configured, without a slash at the end; undefined for a path that is no log directory of this broker. */
  directoryState(path: string): { path: string; failure: Error | undefined } | undefined {
    const wanted = withoutSlash(path)
    return this.#directories.find((directory) => directory.path === wanted)
  }
  /** A partition that is not here yet is to be made there. */
  prefer(topic: string, partition: number, path: string): void {
    if (!this.get(topic, partition)) this.#preferred.set(`${topic}-${partition}`, withoutSlash(path))
  }
  /** Every log directory has failed: a broker has nothing left to do. */
  get hasFailed(): boolean {
    return this.#directories.every(({ failure }) => failure)
  }
  onDirectoryFailure(handler: (directory: string, failure: Error) => void): void {
    this.#failureHandlers.push(handler)
  }

  /**
   * Makes the log of a partition in the directory with the fewest, or the preferred one; an existing one is given back. One that is not
   * new is refused while a directory is offline: it may lie there. One that is new and cannot be made in one directory is made in another;
   * what only lies in its way is no reason to take a directory offline.
   */
  create(topic: string, partition: number, { topicId, isNew = true }: { topicId?: string; isNew?: boolean } = {}): Promise<PartitionLog> {
    return this.#change(topic, partition, async () => {
      const existing = this.get(topic, partition)
      if (existing) {
        if (topicId !== undefined && existing.topicId === undefined) await existing.setTopicId(topicId)
        return existing
      }
      const offline = this.#directories.filter(({ failure }) => failure)
      if (!isNew && offline.length > 0) throw new Error(`${topic}-${partition} may lie in ${offline.map(({ path }) => path).join(', ')}, which is offline; it is not made anew elsewhere`)
      const wanted = this.#preferred.get(`${topic}-${partition}`)
      const preferred = this.#directories.find(({ path, failure }) => path === wanted && !failure)
      const log = await this.#makeInOneOf(preferred ? [preferred] : this.#directoriesForNew(isNew), topic, partition)
      this.#logs.set(log.name, log)
      this.#preferred.delete(log.name)
      // Nobody has to wait for it: a failure takes the directory offline.
      if (topicId !== undefined) log.setTopicId(topicId).catch(() => {})
      return log
    })
  }
  async #makeInOneOf(directories: readonly LogDirectory[], topic: string, partition: number): Promise<PartitionLog> {
    let trouble: Error | undefined
    for (const directory of directories) {
      try {
        return await this.#make({ topic, partition, directory, path: `${directory.path}/${topic}-${partition}`, startOffset: 0 })
      } catch (error) {
        trouble ??= error as Error
      }
    }
    throw trouble as Error
  }
  async #make({ topic, partition, directory, path, startOffset }: { topic: string; partition: number; directory: LogDirectory; path: string; startOffset: number }): Promise<PartitionLog> {
    const config = this.#options.configOf(topic)
    try {
      const { disk, clock } = this.#host
      try {
        await disk.makeDirectory(path)
      } catch (error) {
        // Unless it is the log directory that is gone.
        throw isInTheWay(error) && (await disk.facts(directory.path))?.kind === 'directory' ? new InTheWayError(path, error as Error) : error
      }
      const producers = new ProducerState()
      producers.endOffset = startOffset
      return new PartitionLog(
        this.#context,
        {
          topic,
          partition,
          topicId: undefined,
          directory: path,
          logDir: directory.path,
          segments: [Segment.create(this.#context.files, path, startOffset, { indexSizeMax: config.segmentIndexBytes, createdMs: clock.now(), preallocatedSize: config.preallocate ? config.segmentBytes : 0 })],
          producers,
          epochs: new LeaderEpochs(),
          snapshotOffsets: [],
          logStartOffset: startOffset,
          recoveryPoint: startOffset,
          highWatermark: startOffset,
          directoryChanged: true,
        },
        config,
      )
    } catch (cause) {
      if (cause instanceof InTheWayError) throw cause
      const failure = withRemedy(new Error(`${path} cannot be made: ${(cause as Error).message}`, { cause }))
      this.failDirectory(directory.path, failure)
      throw failure
    }
  }

  // Moves between log directories

  /** Begins the copy of a replica in another log directory, empty, at the replica's log start; one that is there already is given back. */
  createFuture(log: PartitionLog, path: string): Promise<PartitionLog> {
    const { topic, partition } = log
    return this.#change(topic, partition, async () => {
      const existing = this.future(topic, partition)
      if (existing) return existing
      const directory = this.#directories.find((each) => each.path === withoutSlash(path))
      if (!directory || directory.failure) throw new Error(`${path} is no log directory that works`)
      const name = futureDirectoryName(topic, partition, this.#host.random.bytes(16).toString('hex'))
      const future = await this.#make({ topic, partition, directory, path: `${directory.path}/${name}`, startOffset: log.logStartOffset })
      this.#futures.set(future.name, future)
      if (log.topicId !== undefined) await future.setTopicId(log.topicId)
      await tellSource(this.#host, future, log)
      return future
    })
  }
  /** The move is given up: what was copied goes. */
  async dropFuture(topic: string, partition: number): Promise<void> {
    const future = this.future(topic, partition)
    if (!future) return
    this.#futures.delete(future.name)
    await this.#change(topic, partition, () => this.#discard(future))
  }
  /**
   * The copy takes the place of the replica, at once, when both end at the same offset and nothing is under way in either; else nothing
   * happens, and false is answered. What was the replica is deleted when the copy is on the device. A crash at any moment leaves one that is whole:
   * while both are there, the copy says where it comes from.
   */
  replaceByFuture(log: PartitionLog, future: PartitionLog): boolean {
    if (this.#futures.get(log.name) !== future || this.#logs.get(log.name) !== log || this.#isClosed) return false
    if (!log.isQuiet || !future.isQuiet || log.failure || future.failure || log.logEndOffset !== future.logEndOffset) return false
    try {
      future.rename(`${future.logDir}/${log.name}`)
    } catch (cause) {
      this.failDirectory(future.logDir, new Error(`${future.directory} cannot be renamed: ${(cause as Error).message}`, { cause }))
      return false
    }
    future.setHighWatermark(log.highWatermark)
    // A leader's epoch without records is in no batch that was copied.
    if (log.latestEpoch > future.latestEpoch) future.assignLeaderEpoch(log.latestEpoch)
    this.#futures.delete(log.name)
    this.#logs.set(log.name, future)
    this.#host.logger.named('kafka.log').info('a replica has moved', { partition: log.name, from: log.logDir, to: future.logDir })
    void this.#change(log.topic, log.partition, async () => {
      await future.flush()
      await this.#discard(log)
      await this.#host.disk.syncDirectory(log.logDir)
      await this.#host.disk.remove(`${future.directory}/${partitionFile.movedFrom}`)
    }).catch((error: Error) => this.#host.logger.named('kafka.log').error('what is left of a moved replica could not be removed', { partition: log.name, error }))
    return true
  }
  /** Those that work, the one with the fewest logs first; one that is not new has its place in the first alone. */
  #directoriesForNew(isNew: boolean): LogDirectory[] {
    const live = this.#live()
    if (live.length === 0) throw new Error(`no log directory can be used: ${this.#directories.map(({ path, failure }) => `${path}: ${failure?.message}`).join('; ')}`)
    const counts = new Map(live.map(({ path }) => [path, 0]))
    for (const { logDir } of this.#logs.values()) counts.set(logDir, (counts.get(logDir) ?? 0) + 1)
    const sorted = live.sort((a, b) => (counts.get(a.path) ?? 0) - (counts.get(b.path) ?? 0))
    return isNew ? sorted : sorted.slice(0, 1)
  }
  /** The log is gone at once; its files after `file.delete.delay.ms`. Nothing happens when there is none. */
  delete(topic: string, partition: number): Promise<void> {
    return this.#change(topic, partition, async () => {
      this.#preferred.delete(`${topic}-${partition}`)
      const future = this.future(topic, partition)
      if (future) {
        this.#futures.delete(future.name)
        await this.#discard(future)
      }
      const log = this.get(topic, partition)
      if (!log) return
      this.#logs.delete(log.name)
      await this.#discard(log)
    })
  }
  /** Lets go of the log and renames its directory for deletion. */
  async #discard(log: PartitionLog): Promise<void> {
    const { topic, partition } = log
    await log.abandon()
    const directory = this.#directories.find(({ path }) => path === log.logDir)
    if (directory?.failure) return
    directory?.cleanedTo.delete(log.name)
    const target = `${log.logDir}/${directoryNameToDelete(topic, partition, this.#host.random.bytes(16).toString('hex'))}`
    try {
      await this.#host.disk.rename(log.directory, target)
      log.movedTo(target)
    } catch (cause) {
      const failure = new Error(`${log.directory} cannot be deleted: ${(cause as Error).message}`, { cause })
      this.failDirectory(log.logDir, failure)
      throw failure
    }
    this.#host.timers.set(log.config.fileDeleteDelayMs, () => {
      this.#host.disk.removeTree(target).catch((error: Error) => this.#host.logger.named('kafka.log').warn('a deleted partition could not be removed', { directory: target, error }))
    })
  }
  #change<T>(topic: string, partition: number, work: () => Promise<T>): Promise<T> {
    const name = `${topic}-${partition}`
    const done = (this.#changes.get(name) ?? Promise.resolve()).then(work, work)
    const settled = done.then(
      () => {},
      () => {},
    )
    this.#changes.set(name, settled)
    void settled.then(() => {
      if (this.#changes.get(name) === settled) this.#changes.delete(name)
    })
    return done
  }
  updateConfig(topic: string, config: LogConfig): void {
    for (const log of this.#allWithFutures()) if (log.topic === topic) log.config = config
  }
  async directories(): Promise<DirectoryFacts[]> {
    return Promise.all(
      this.#directories.map(async ({ path, failure }) => {
        const space = failure ? { total: -1, usable: -1 } : await this.#host.disk.space(path).catch(() => ({ total: -1, usable: -1 }))
        const partitions = this.#allWithFutures()
          .filter(({ logDir }) => logDir === path)
          .map((log) => ({ topic: log.topic, partition: log.partition, size: log.size, isFuture: this.#futures.get(log.name) === log }))
        return { path, failure, totalBytes: space.total, usableBytes: space.usable, partitions }
      }),
    )
  }

  /** Writes what the appends of this turn gathered; else it happens at the end of the turn. */
  writePending(): void {
    this.#turnWrites.run()
  }

  /** Takes a directory offline with all its logs. */
  failDirectory(path: string, cause: Error): void {
    const directory = this.#directories.find((each) => each.path === path)
    if (!directory || directory.failure) return
    const failure = (directory.failure = withRemedy(cause))
    this.#host.logger.named('kafka.log').error('log directory offline', { directory: path, error: failure })
    for (const log of this.#allWithFutures()) if (log.logDir === path) log.goOffline(failure)
    for (const [name, future] of this.#futures) if (future.logDir === path) this.#futures.delete(name)
    for (const handler of this.#failureHandlers) handler(path, failure)
  }

  /** Writes high watermarks, recovery points and log starts. */
  async checkpoint(): Promise<void> {
    for (const directory of this.#live()) {
      const logs = this.#allWithFutures().filter(({ logDir, failure }) => logDir === directory.path && !failure)
      const entry = ({ topic, partition }: PartitionLog, offset: number) => ({ topic, partition, offset })
      await this.#inDirectory(directory, () =>
        directory.writeCheckpoints({
          recoveryPoints: logs.map((log) => entry(log, log.recoveryPoint)),
          logStarts: logs.filter((log) => log.logStartOffset > log.segments[0].baseOffset).map((log) => entry(log, log.logStartOffset)),
          highWatermarks: logs.map((log) => entry(log, log.highWatermark)),
        }),
      )
    }
  }
  #live(): LogDirectory[] {
    return this.#directories.filter(({ failure }) => !failure)
  }
  async #inDirectory(directory: LogDirectory, work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      this.failDirectory(directory.path, error as Error)
    }
  }

  // Tasks that repeat

  #startTasks(): void {
    const setting = <K extends keyof typeof defaults>(name: K): (typeof defaults)[K] | number | boolean => this.#options.settings?.[name] ?? defaults[name]
    const delay = Number(setting('log.initial.task.delay.ms'))
    const every = (ms: number, first: number, work: () => Promise<void>): void => {
      this.#timers.push(
        this.#host.timers.set(first, () => {
          this.#run(work)
          this.#timers.push(this.#host.timers.every(Math.max(1, ms), () => this.#run(work)))
        }),
      )
    }
    const checkpoints = Math.min(Number(setting('log.flush.offset.checkpoint.interval.ms')), this.#options.settings?.['log.flush.start.offset.checkpoint.interval.ms'] ?? Infinity)
    every(Number(setting('log.retention.check.interval.ms')), delay, () => this.applyRetention())
    every(checkpoints, delay, () => this.checkpoint())
    const highWatermarks = Number(setting('replica.high.watermark.checkpoint.interval.ms'))
    every(highWatermarks, highWatermarks, () => this.#checkpointHighWatermarks())
    const flushMs = Math.min(flushCheckMs, this.#options.settings?.['log.flush.scheduler.interval.ms'] ?? Infinity)
    every(flushMs, flushMs, () => this.#flushDue())
    const expiry = Number(setting('producer.id.expiration.check.interval.ms'))
    every(expiry, expiry, async () => {
      for (const log of this.#logs.values()) log.expireProducers(this.#host.clock.now())
    })
    if (setting('log.cleaner.enable') === true) this.#cleaner.start()
  }
  /** One task at a time: they share the disk. A task that is still waiting is not queued twice. */
  readonly #queued = new Set<() => Promise<void>>()
  #run(work: () => Promise<void>): void {
    if (this.#isClosed || this.#queued.has(work)) return
    this.#queued.add(work)
    this.#tasks = this.#tasks.then(async () => {
      this.#queued.delete(work)
      if (this.#isClosed) return
      try {
        await work()
      } catch (error) {
        this.#host.logger.named('kafka.log').error('a periodic task of the logs failed', { error })
      }
    })
  }
  async #checkpointHighWatermarks(): Promise<void> {
    for (const directory of this.#live()) {
      const logs = this.#allWithFutures().filter(({ logDir, failure }) => logDir === directory.path && !failure)
      await this.#inDirectory(directory, () => directory.writeHighWatermarks(logs.map(({ topic, partition, highWatermark }) => ({ topic, partition, offset: highWatermark }))))
    }
  }
  async #flushDue(): Promise<void> {
    const now = this.#host.clock.now()
    for (const log of this.all()) await log.flushIfDue(now).catch(() => {})
  }
  /** Deletes segments that retention or the log start has passed. */
  async applyRetention(): Promise<void> {
    const now = this.#host.clock.now()
    for (const log of this.all())
      if (!log.failure)
        await log.applyRetention(now).catch((error: Error) => this.#host.logger.named('kafka.log').error('retention failed', { partition: log.name, error: withRemedy(error) }))
  }
  /** Compacts what is dirty enough, the dirtiest first. */
  clean(): Promise<void> {
    return this.#cleaner.clean()
  }
  /** Partitions that compaction passes over, because of what it met in them, until the broker starts again. */
  get uncleanable(): { partition: string; reason: string }[] {
    return this.#cleaner.uncleanable
  }
  #directoryOf(log: PartitionLog): LogDirectory | undefined {
    return this.#directories.find(({ path }) => path === log.logDir)
  }

  /** A clean stop: everything on the device, indexes cut to size, checkpoints, and last the marker that says so. */
  async close({ brokerEpoch = -1n }: { brokerEpoch?: bigint } = {}): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    for (const timer of this.#timers) timer.cancel()
    this.writePending()
    await this.#cleaner.stop()
    await this.#tasks
    await Promise.all(this.#changes.values())
    await Promise.all(
      this.#allWithFutures().map(async (log) => {
        try {
          await log.close()
        } catch (error) {
          this.failDirectory(log.logDir, error as Error)
        }
      }),
    )
    await this.checkpoint()
    for (const directory of this.#directories) {
      if (!directory.failure) await this.#inDirectory(directory, () => directory.writeMarker(brokerEpoch))
      await directory.unlock()
    }
  }
}

/** Does `work` for every directory that is well; one that fails is marked and the others go on. Somebody else's lock stops all. */
async function guarded(directories: readonly LogDirectory[], log: Host['logger'], work: (directory: LogDirectory) => Promise<void>): Promise<void> {
  for (const directory of directories) {
    if (directory.failure) continue
    try {
      await work(directory)
    } catch (error) {
      if (error instanceof InUseError) throw error
      directory.failure = withRemedy(error as Error)
      log.error('log directory offline', { directory: directory.path, error: directory.failure })
    }
  }
  if (directories.every(({ failure }) => failure)) {
    const [first] = directories
    throw directories.length === 1 && first.failure
      ? new Error(`log directory ${first.path} cannot be used: ${first.failure.message}`, { cause: first.failure })
      : new Error(`no log directory can be used: ${directories.map(({ path, failure }) => `${path}: ${failure?.message}`).join('; ')}`)
  }
}

async function agreedBrokerId(directories: readonly LogDirectory[], options: LogManagerOptions): Promise<number> {
  let stored: { brokerId: number; path: string } | undefined
  for (const { meta, path, failure } of directories) {
    if (!meta || failure) continue
    if (meta.clusterId !== undefined && meta.clusterId !== options.clusterId)
      throw new Error(
        `${path} belongs to cluster ${meta.clusterId}, this ZooKeeper to cluster ${options.clusterId}. Correct zookeeper.connect or log.dirs; or, if the data is meant for this cluster, remove ${path}/meta.properties`,
      )
    if (meta.brokerId === undefined) continue
    if (stored && stored.brokerId !== meta.brokerId) throw new Error(`${path} belongs to broker ${meta.brokerId} and ${stored.path} to broker ${stored.brokerId}; one broker cannot use both`)
    stored = { brokerId: meta.brokerId, path }
  }
  if (options.brokerId !== undefined) {
    if (stored && stored.brokerId !== options.brokerId)
      throw new Error(`${stored.path} belongs to broker ${stored.brokerId}; this broker has broker.id=${options.brokerId}. Correct broker.id or log.dirs`)
    return options.brokerId
  }
  if (stored) return stored.brokerId
  if (!options.generateBrokerId) throw new Error('no broker.id is configured, none is stored, and none can be generated')
  return options.generateBrokerId()
}

const withoutSlash = (path: string): string => path.replace(/(.)\/+$/, '$1')

async function loadAll(context: LogContext, directories: readonly LogDirectory[], options: LogManagerOptions): Promise<{ logs: PartitionLog[]; futures: PartitionLog[] }> {
  const { host } = context
  const logs = new Map<string, PartitionLog>()
  const futures = new Map<string, PartitionLog>()
  await guarded(directories, host.logger.named('kafka.log'), async (directory) => {
    const found = await directory.survey()
    const parallel = Math.max(4, options.settings?.['num.recovery.threads.per.data.dir'] ?? 1)
    const began = host.clock.monotonic()
    let next = 0
    const worker = async (): Promise<void> => {
      while (next < found.length) {
        const { topic, partition, directory: path, isFuture } = found[next++]
        const name = `${topic}-${partition}`
        const config = options.configOf(topic)
        const loaded = await loadLog(context, {
          topic,
          partition,
          logDir: directory.path,
          directory: path,
          config,
          isClean: directory.isClean,
          recoveryPoint: directory.recoveryPoints.get(name) ?? 0,
          logStartOffset: directory.logStarts.get(name) ?? 0,
          highWatermark: directory.highWatermarks.get(name) ?? 0,
        })
        const log = new PartitionLog(context, loaded, config)
        const ofKind = isFuture ? futures : logs
        const other = ofKind.get(name)
        ofKind.set(name, other ? await wholeOf(context, log, other) : log)
      }
    }
    await Promise.all(Array.from({ length: parallel }, worker))
    if (found.length > 0) host.logger.named('kafka.log').info('logs loaded', { directory: directory.path, partitions: found.length, clean: directory.isClean, ms: Math.round(host.clock.monotonic() - began) })
  })
  // A copy whose replica is not to be found says nothing about what the replica had.
  for (const [name, future] of futures) {
    const source = logs.get(name)
    if (source) await tellSource(host, future, source)
    else {
      host.logger.named('kafka.log').warn('a moving replica is left alone: what it was copied from is not there', { directory: future.directory })
      await future.abandon()
      futures.delete(name)
    }
  }
  return { logs: [...logs.values()], futures: [...futures.values()] }
}

/** Before the copy can take its place: what it is a copy of. */
const tellSource = ({ disk }: Host, future: PartitionLog, source: PartitionLog): Promise<void> => disk.replaceFile(`${future.directory}/${partitionFile.movedFrom}`, source.directory)

/**
 * Two directories of one partition: a crash has come between the two steps at the end of a move. The one that has more is kept, the copy
 * when both have the same; the other is renamed for deletion. Two that know nothing of each other are refused.
 */
async function wholeOf({ host }: LogContext, one: PartitionLog, other: PartitionLog): Promise<PartitionLog> {
  const { disk } = host
  const sourceOf = async ({ directory }: PartitionLog): Promise<string | undefined> => {
    const path = `${directory}/${partitionFile.movedFrom}`
    return (await disk.facts(path)) ? (await disk.readFile(path)).toString('utf8') : undefined
  }
  const pairs: [PartitionLog, PartitionLog][] = [[one, other], [other, one]]
  for (const [copy, source] of pairs) {
    if ((await sourceOf(copy)) !== source.directory) continue
    const [kept, gone] = copy.logEndOffset >= source.logEndOffset ? [copy, source] : [source, copy]
    host.logger.named('kafka.log').warn('a move that was cut off is brought to its end', { partition: copy.name, kept: kept.directory, endOffset: kept.logEndOffset, deleted: gone.directory, itsEndOffset: gone.logEndOffset })
    await gone.abandon()
    await disk.rename(gone.directory, `${gone.logDir}/${directoryNameToDelete(gone.topic, gone.partition, host.random.bytes(16).toString('hex'))}`)
    await disk.syncDirectory(gone.logDir)
    if (kept === copy) await disk.remove(`${copy.directory}/${partitionFile.movedFrom}`)
    return kept
  }
  throw new Error(`${one.name} lies in ${other.directory} and in ${one.directory}; move one of them away`)
}
