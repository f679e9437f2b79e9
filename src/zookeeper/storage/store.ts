/** Keeps a server's transactions on disk: opens the folder, restores the tree, appends, takes snapshots, purges. */
import { join } from 'node:path'
import type { Host, Lock, Logger, Timer } from '../../host/host.ts'
import { InUseError } from '../../host/host.ts'
import { digestVersion } from '../znodes/digest.ts'
import type { LoggedTransaction, ReplicaStore } from '../znodes/store.ts'
import type { ZnodeTree } from '../znodes/tree.ts'
import { foldersOf, hexZxid, listZxidFiles, prepareFolders, type Folders } from './folders.ts'
import { readHistory } from './history.ts'
import { forgetInstalled, readInstalled, writeInstalled } from './installed.ts'
import { LogWriter } from './log-write.ts'
import { purge } from './purge.ts'
import { recover, type Restored } from './recovery.ts'
import { snapshotSlices } from './snapshot-slices.ts'
import { SnapshotWriter } from './snapshot-write.ts'
import { StorageError } from './storage-error.ts'
import { truncateHistory } from './truncate.ts'

export interface StoreConfig {
  readonly dataDir: string
  /** Where the logs go; default: dataDir. */
  readonly dataLogDir?: string | undefined
  /** A snapshot is taken after snapCount/2 to snapCount transactions, at random, so that the members of an ensemble do not do it together. */
  readonly snapCount: number
  /** The same for bytes of transactions (`snapSizeLimitInKb`); 0 or less: no limit. */
  readonly snapSizeLimit: number
  /** A log larger than this is closed and a new one begun (`txnLogSizeLimitInKb`); 0 or less: only snapshots do that. */
  readonly logSizeLimit: number
  /** Bytes by which a log grows ahead (`preAllocSize`, in KiB there). */
  readonly preallocSize: number
  readonly forceSync: boolean
  readonly fsyncWarningMs: number
  readonly autopurge: { readonly retainCount: number; readonly intervalHours: number }
  readonly trustEmptySnapshot: boolean
  readonly datadirAutocreate: boolean
  readonly dbAutocreate: boolean
  /** Digests in snapshots (`digest.enabled`). */
  readonly digestEnabled: boolean
  /** How many of the latest transactions are kept in memory for other members of an ensemble (`commitLogCount`); 0: none. */
  readonly recentMax: number
  /** How many bytes of logs may be read for another member, in sizes of the newest snapshot (`snapshotSizeFactor`); 0: any number, below: none. */
  readonly snapshotSizeFactor: number
  /**
   * Whether what the logs held at start is put into a snapshot at once. Not in an ensemble: there the end of the log may never have been
   * committed, and the leader may want it cut.
   */
  readonly snapshotAtStart: boolean
}

/** Apache's defaults. */
export const storeDefaults: Omit<StoreConfig, 'dataDir'> = {
  snapCount: 100_000,
  snapSizeLimit: 4 * 1024 * 1024 * 1024,
  logSizeLimit: -1,
  preallocSize: 64 * 1024 * 1024,
  forceSync: true,
  fsyncWarningMs: 1000,
  autopurge: { retainCount: 3, intervalHours: 0 },
  trustEmptySnapshot: false,
  datadirAutocreate: true,
  dbAutocreate: true,
  digestEnabled: true,
  recentMax: 0,
  snapshotSizeFactor: 0.33,
  snapshotAtStart: true,
}

/**
 * Locks the folder, restores the newest readable snapshot and the logs behind it into `tree`, and answers with the store.
 * Rejects with a StorageError that names file and position where something durable is missing or damaged, and with an
 * InUseError where another process has the folder. The snapshot of the start is taken at the end of the loop's turn, so that the caller may
 * still put the tree in order.
 */
export async function openStore(host: Host, config: Partial<StoreConfig> & { readonly dataDir: string }, tree: ZnodeTree): Promise<DiskStore> {
  const whole: StoreConfig = { ...storeDefaults, ...config }
  const folders = foldersOf(whole.dataDir, whole.dataLogDir)
  const locks: Lock[] = []
  try {
    await prepareFolders(host.disk, folders, { create: whole.datadirAutocreate })
    for (const folder of new Set([folders.snapshots, folders.logs])) locks.push(await host.disk.lock(join(folder, '.lock')))
    for (const name of await host.disk.list(folders.snapshots)) if (/^snapshot\..*\.tmp$/.test(name)) await host.disk.remove(join(folders.snapshots, name))
    const restored = await recover(host, folders, whole, tree)
    const store = new DiskStore(host, whole, folders, tree, restored, locks)
    await store.begin()
    return store
  } catch (error) {
    for (const lock of locks) await lock.release()
    throw error instanceof StorageError || error instanceof InUseError ? error : explained(error, folders)
  }
}

/** Node's errors name a file and a code; what to do about it is for us to say. */
function explained(error: unknown, folders: Folders): unknown {
  const { code, path } = error as NodeJS.ErrnoException
  const advice: Record<string, string> = {
    EACCES: 'permission denied to this user; correct the owner or the mode, or choose another dataDir',
    EPERM: 'permission denied to this user; correct the owner or the mode, or choose another dataDir',
    EROFS: 'the file system is read-only; choose another dataDir',
    ENOSPC: 'the device is full; free some space or choose another dataDir',
    ENOTDIR: 'a part of the path is not a folder; correct dataDir',
  }
  return code && advice[code] ? new StorageError(path ?? folders.snapshots, undefined, advice[code], { cause: error }) : error
}

interface Summary {
  count: number
  sum: number
  min: number
  max: number
}

export class DiskStore implements ReplicaStore {
  restored: Restored
  readonly #host: Host
  readonly #logger: Logger
  readonly #config: StoreConfig
  readonly #folders: Folders
  readonly #tree: ZnodeTree
  readonly #locks: readonly Lock[]
  readonly #log: LogWriter
  #lastZxid: bigint
  #countSinceSnapshot = 0
  #sizeSinceSnapshot = 0
  #sizeSinceRoll = 0
  #countLimit = 0
  #sizeLimit = 0
  #snapshotZxid: bigint | undefined
  #snapshotting: Promise<bigint> | undefined
  #purging: Promise<void> = Promise.resolve()
  #purgeTimer: Timer | undefined
  #closing = false
  #snapshotErrorCount = 0
  readonly #snapshotMs: Summary = { count: 0, sum: 0, min: 0, max: 0 }

  constructor(host: Host, config: StoreConfig, folders: Folders, tree: ZnodeTree, restored: Restored, locks: readonly Lock[]) {
    this.#host = host
    this.#logger = host.logger.named('zookeeper.storage')
    this.#config = config
    this.#folders = folders
    this.#tree = tree
    this.#locks = locks
    this.restored = restored
    this.#lastZxid = restored.lastZxid
    this.#snapshotZxid = restored.snapshotZxid
    this.#log = new LogWriter(host, folders.logs, { preallocSize: config.preallocSize, forceSync: config.forceSync, fsyncWarningMs: config.fsyncWarningMs })
    this.#chooseLimits()
  }

  /** A new folder gets its `snapshot.0` before anything else: logs without any snapshot are taken for a loss. */
  async begin(): Promise<void> {
    if (this.#snapshotZxid === undefined) await this.snapshot()
    else if (this.#config.snapshotAtStart && (this.restored.transactionCount > 0 || this.restored.repaired)) this.#host.timers.endOfTurn(() => this.#snapshotSoon())
    const { intervalHours } = this.#config.autopurge
    if (intervalHours <= 0) return
    this.#purgeSoon()
    this.#purgeTimer = this.#host.timers.every(intervalHours * 3_600_000, () => this.#purgeSoon())
  }

  get lastZxid(): bigint {
    return this.#lastZxid
  }
  hold(until: Promise<unknown>): void {
    this.#log.hold(until)
  }
  append({ zxid, bytes }: LoggedTransaction): void {
    this.#log.append(zxid, bytes)
    this.#lastZxid = zxid
    this.#sizeSinceSnapshot += bytes.length
    this.#sizeSinceRoll += bytes.length
  }
  flushed(): Promise<void> {
    return this.#log.flushed()
  }
  applied(count: number): void {
    this.#countSinceSnapshot += count
    const { logSizeLimit } = this.#config
    if (logSizeLimit > 0 && this.#sizeSinceRoll > logSizeLimit) this.#roll()
    const due = this.#countSinceSnapshot > this.#countLimit || (this.#sizeLimit > 0 && this.#sizeSinceSnapshot > this.#sizeLimit)
    if (due && !this.#snapshotting) this.#snapshotSoon()
  }
  #roll(): void {
    this.#sizeSinceRoll = 0
    this.#log.roll()
  }
  #chooseLimits(): void {
    const { snapCount, snapSizeLimit } = this.#config
    const half = Math.max(1, Math.floor(snapCount / 2))
    this.#countLimit = half + this.#host.random.below(half)
    const halfSize = Math.floor(snapSizeLimit / 2)
    this.#sizeLimit = halfSize > 0 ? halfSize + Math.floor((this.#host.random.below(1024) / 1024) * halfSize) : 0
  }
  #snapshotSoon(): void {
    if (this.#closing || this.#snapshotting) return
    this.snapshot().catch((error: unknown) => {
      if (!this.#closing) this.#logger.error('taking a snapshot failed; nothing is lost, but the next start takes longer', { folder: this.#folders.snapshots, error })
    })
  }

  snapshot(): Promise<bigint> {
    this.#snapshotting ??= this.#takeSnapshot().finally(() => (this.#snapshotting = undefined))
    return this.#snapshotting
  }

  async #takeSnapshot(): Promise<bigint> {
    this.#countSinceSnapshot = 0
    this.#sizeSinceSnapshot = 0
    this.#chooseLimits()
    // The log behind this snapshot begins here, so that purging can drop all before it.
    this.#roll()
    const view = this.#tree.beginSnapshot()
    const path = join(this.#folders.snapshots, `snapshot.${hexZxid(view.zxid)}`)
    const temporary = `${path}.tmp`
    const { disk, clock, timers } = this.#host
    const began = clock.monotonic()
    try {
      if (view.zxid === this.#snapshotZxid && (await disk.facts(path))) return view.zxid
      const file = await disk.open(temporary, 'create')
      try {
        const writer = new SnapshotWriter(file)
        for (const slice of snapshotSlices(view, writer, clock)) {
          if (slice === 'full') await writer.flush()
          else await new Promise<void>((done) => timers.endOfTurn(done))
          if (this.#closing) throw new Error('the store was closed while it took a snapshot')
        }
        const zxid = this.#tree.lastProcessedZxid
        writer.end(this.#config.digestEnabled ? { zxid, version: digestVersion, digest: this.#tree.digest } : undefined)
        await writer.flush()
        await file.sync()
      } finally {
        await file.close()
      }
      // What the snapshot has seen must be in the log before the snapshot counts.
      await this.#log.flushed()
      await disk.rename(temporary, path)
      await disk.syncDirectory(this.#folders.snapshots)
    } catch (error) {
      this.#snapshotErrorCount++
      await disk.remove(temporary).catch(() => {})
      throw error
    } finally {
      view.close()
    }
    this.#snapshotZxid = view.zxid
    note(this.#snapshotMs, clock.monotonic() - began)
    this.#logger.debug('snapshot taken', { file: path, tookMs: Math.round(clock.monotonic() - began) })
    return view.zxid
  }

  get recent(): readonly LoggedTransaction[] {
    return this.restored.recent
  }
  async reload(): Promise<void> {
    await this.#snapshotting?.catch(() => {})
    // Whatever is appended is durable first, so that what comes back is all there was.
    await this.#log.rest()
    this.restored = await recover(this.#host, this.#folders, this.#config, this.#tree)
    this.#lastZxid = this.restored.lastZxid
    this.#snapshotZxid = this.restored.snapshotZxid
    this.#countSinceSnapshot = this.#sizeSinceSnapshot = this.#sizeSinceRoll = 0
  }
  async truncate(zxid: bigint): Promise<void> {
    await this.#snapshotting?.catch(() => {})
    await this.#log.rest()
    await truncateHistory(this.#host, this.#folders, zxid)
    await forgetInstalled(this.#host.disk, this.#folders, zxid)
    await this.reload()
  }
  async install(): Promise<void> {
    await this.#snapshotting?.catch(() => {})
    await this.#log.rest()
    const { lastProcessedZxid } = this.#tree
    // What the logs hold beyond the snapshot is no history of the leader's: it must not be replayed on top of it.
    if (this.#lastZxid > lastProcessedZxid) await truncateHistory(this.#host, this.#folders, lastProcessedZxid)
    this.#lastZxid = lastProcessedZxid
    this.#snapshotZxid = undefined
    await writeInstalled(this.#host.disk, this.#folders, lastProcessedZxid)
    await this.snapshot()
  }
  async history(from: bigint, below: bigint): Promise<readonly LoggedTransaction[] | undefined> {
    const { snapshotSizeFactor } = this.#config
    const { disk } = this.#host
    if (snapshotSizeFactor < 0) return undefined
    const newest = (await listZxidFiles(disk, this.#folders.snapshots, 'snapshot')).at(-1)
    const sizeMax = Math.floor(((newest && (await disk.facts(newest.path))?.size) ?? 0) * snapshotSizeFactor)
    // A factor of 0 allows any size; a snapshot so small that it allows nothing is sent.
    if (snapshotSizeFactor > 0 && sizeMax === 0) return undefined
    return readHistory(disk, this.#folders, { from, below, since: await readInstalled(disk, this.#folders), sizeMax })
  }

  #purgeSoon(): void {
    const { dataDir, dataLogDir, autopurge } = this.#config
    this.#purging = this.#purging
      .then(() => purge(this.#host.disk, { dataDir, dataLogDir, retainCount: autopurge.retainCount }))
      .then((removed) => {
        if (removed.length > 0) this.#logger.info('old snapshots and logs are removed', { count: removed.length, oldest: removed[0] })
      })
      .catch((error: unknown) => this.#logger.error('purging old snapshots and logs failed', { folder: this.#folders.snapshots, error }))
  }

  async lastSnapshot(): Promise<{ zxid: bigint; modifiedMs: number } | undefined> {
    const newest = (await listZxidFiles(this.#host.disk, this.#folders.snapshots, 'snapshot')).at(-1)
    const facts = newest && (await this.#host.disk.facts(newest.path))
    return newest && facts && { zxid: newest.zxid, modifiedMs: facts.modifiedMs }
  }
  async sizes(): Promise<{ dataDir: number; dataLogDir: number }> {
    return { dataDir: await this.#sizeOf(this.#folders.snapshots, 'snapshot'), dataLogDir: await this.#sizeOf(this.#folders.logs, 'log') }
  }
  async #sizeOf(folder: string, prefix: 'log' | 'snapshot'): Promise<number> {
    let size = 0
    for (const { path } of await listZxidFiles(this.#host.disk, folder, prefix)) size += (await this.#host.disk.facts(path))?.size ?? 0
    return size
  }

  metrics(): Readonly<Record<string, number>> {
    const { fsyncCount, fsyncMsSum, fsyncMsMax, fsyncMsMin, fsyncSlowCount, batchCount, transactionCount } = this.#log.metrics
    return {
      ...summary('fsynctime', { count: fsyncCount, sum: fsyncMsSum, min: fsyncMsMin, max: fsyncMsMax }),
      ...summary('snapshottime', this.#snapshotMs),
      ...summary('startup_txns_loaded', once(this.restored.transactionCount)),
      ...summary('startup_txns_load_time', once(this.restored.transactionLoadMs)),
      ...summary('startup_snap_load_time', once(this.restored.snapshotLoadMs)),
      ...summary('sync_processor_batch_size', { count: batchCount, sum: transactionCount, min: 0, max: this.#log.metrics.batchMax }),
      snapshot_error_count: this.#snapshotErrorCount,
      digest_mismatches_count: this.restored.digestMismatchCount,
      fsync_threshold_exceed_count: fsyncSlowCount,
    }
  }

  async close(): Promise<void> {
    if (this.#closing) return
    this.#closing = true
    this.#purgeTimer?.cancel()
    await this.#snapshotting?.catch(() => {})
    await this.#purging
    try {
      await this.#log.close()
    } finally {
      for (const lock of this.#locks) await lock.release()
    }
  }
}

const once = (value: number): Summary => ({ count: 1, sum: value, min: value, max: value })
function note(into: Summary, value: number): void {
  into.min = into.count === 0 ? value : Math.min(into.min, value)
  into.max = Math.max(into.max, value)
  into.sum += value
  into.count++
}
/** Apache's default provider spreads a summary over five figures. */
function summary(name: string, { count, sum, min, max }: Summary): Record<string, number> {
  return { [`avg_${name}`]: count === 0 ? 0 : sum / count, [`min_${name}`]: Math.round(min), [`max_${name}`]: Math.round(max), [`cnt_${name}`]: count, [`sum_${name}`]: Math.round(sum) }
}
