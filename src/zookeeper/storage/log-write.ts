/** Appends transactions: one write and one fdatasync for all that wait, in files preallocated as Apache's. */
import { dirname, join } from 'node:path'
import type { DiskFile, Host, Logger } from '../../host/host.ts'
import { entryExtraSize, logHeader, logHeaderSize, writeEntry } from './log-format.ts'
import { hexZxid } from './folders.ts'
import { StorageError } from './storage-error.ts'

export interface LogWriterConfig {
  /** Size in bytes by which a file grows ahead of its content (`preAllocSize`, given in KiB there); 0 turns it off. */
  readonly preallocSize: number
  /** `forceSync=no` leaves durability to the operating system. */
  readonly forceSync: boolean
  /** An fsync slower than this is logged (`fsync.warningthresholdms`). */
  readonly fsyncWarningMs: number
}

export interface LogMetrics {
  fsyncCount: number
  fsyncMsSum: number
  fsyncMsMin: number
  fsyncMsMax: number
  fsyncSlowCount: number
  batchCount: number
  batchMax: number
  transactionCount: number
}

/** Below this a synchronous write, which ends in the page cache, is cheaper than a way through the thread pool. */
const writeSyncMax = 1024 * 1024
/** Entries of a larger group are handed over one by one; a buffer this large is kept. */
const scratchMax = 4 * 1024 * 1024
const scratchKept = 256 * 1024
/**
 * A disk that once took longer than this for a synchronous write gets asynchronous ones for a while: not for long, as it may have been
 * the processor that was busy, and each of them costs a group of writes two changes of thread.
 */
const slowWriteMs = 10
const slowWritesKept = 100

interface Waiter {
  readonly resolve: () => void
  readonly reject: (cause: unknown) => void
}

export class LogWriter {
  readonly #host: Host
  readonly #logger: Logger
  readonly #folder: string
  readonly #config: LogWriterConfig
  #file: DiskFile | undefined
  #position = 0
  #fileSize = 0
  /** Not yet handed to the disk, with the size of their entries. */
  #waiting: Buffer[] = []
  #waitingSize = 0
  #firstZxid: bigint | undefined
  #waiters: Waiter[] = []
  /** Who waits for the group that is on its way to the device. */
  #flying: Waiter[] = []
  #flushing: Promise<void> | undefined
  #rollWanted = false
  #held: Promise<void> | undefined
  #failure: unknown
  #asynchronous = 0
  #scratch = Buffer.alloc(0)
  readonly metrics: LogMetrics = { fsyncCount: 0, fsyncMsSum: 0, fsyncMsMin: 0, fsyncMsMax: 0, fsyncSlowCount: 0, batchCount: 0, batchMax: 0, transactionCount: 0 }

  constructor(host: Host, folder: string, config: LogWriterConfig) {
    this.#host = host
    this.#logger = host.logger.named('zookeeper.storage')
    this.#folder = folder
    this.#config = config
  }

  /** Queues one transaction: `bytes` as logged, kept until it is written. */
  append(zxid: bigint, bytes: Buffer): void {
    this.#firstZxid ??= zxid
    this.#waiting.push(bytes)
    this.#waitingSize += bytes.length + entryExtraSize
    this.metrics.transactionCount++
  }

  /** Nothing that waits, or is appended meanwhile, is written before this is settled. */
  hold(until: Promise<unknown>): void {
    const held = until.then(() => {}, () => {}).then(() => {
      if (this.#held === held) this.#held = undefined
    })
    this.#held = held
  }

  /** Resolves when everything appended so far is durable. The first failure is final: every later call rejects with it. */
  flushed(): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure as Error)
    if (this.#waiting.length === 0 && !this.#flushing) return Promise.resolve()
    // Where nothing waits, the group on its way is the last that matters.
    const waiters = this.#waiting.length === 0 ? this.#flying : this.#waiters
    const done = new Promise<void>((resolve, reject) => waiters.push({ resolve, reject }))
    this.#flushing ??= this.#flushAll()
    return done
  }

  /** The next transaction begins a new file. */
  roll(): void {
    this.#rollWanted = true
  }

  /** Writes what waits, cuts the preallocated rest off, so that the next start finds the end at once, and closes the file. */
  async close(): Promise<void> {
    try {
      await this.flushed()
    } finally {
      await this.#closeFile()
    }
  }

  /** Writes what waits and closes the file as `close` does; the next transaction begins a new one. */
  async rest(): Promise<void> {
    await this.flushed()
    this.#rollWanted = false
    await this.#closeFile()
  }

  /** Group after group, until nothing waits. While one is on its way to the device, the next gathers. */
  async #flushAll(): Promise<void> {
    while (this.#waiting.length > 0) {
      if (this.#held) {
        await this.#held
        continue
      }
      const waiting = this.#waiting
      const size = this.#waitingSize
      const waiters = (this.#flying = this.#waiters)
      const firstZxid = this.#firstZxid!
      this.#waiting = []
      this.#waitingSize = 0
      this.#waiters = []
      this.#firstZxid = undefined
      try {
        await this.#writeGroup(waiting, size, firstZxid)
      } catch (cause) {
        this.#failure = new StorageError(this.#file?.path ?? this.#folder, this.#position, `writing ${waiting.length} transactions failed; nothing more is acknowledged until the server has been restarted`, { cause })
        for (const waiter of [...waiters, ...this.#waiters]) waiter.reject(this.#failure)
        this.#waiters = []
        break
      }
      for (const waiter of waiters) waiter.resolve()
    }
    this.#flushing = undefined
  }

  async #writeGroup(transactions: readonly Buffer[], size: number, firstZxid: bigint): Promise<void> {
    if (this.#rollWanted) {
      this.#rollWanted = false
      await this.#closeFile()
    }
    const fresh = this.#file === undefined
    const file = (this.#file ??= await this.#create(firstZxid))
    const pieces = fresh ? [logHeader(), ...this.#entries(transactions, size)] : this.#entries(transactions, size)
    const from = fresh ? 0 : this.#position
    const end = from + size + (fresh ? logHeaderSize : 0)
    const { preallocSize } = this.#config
    // Apache grows the file before the last 4 KiB of it are reached, so that an append seldom changes the file's size.
    if (preallocSize > 0 && end + 4096 >= this.#fileSize) {
      const ahead = fresh ? logHeaderSize + preallocSize : this.#fileSize + preallocSize
      this.#fileSize = end >= ahead ? end + preallocSize - (end % preallocSize) : ahead
      file.truncateSync(this.#fileSize)
    }
    await this.#write(file, pieces, from, size)
    this.#position = end
    this.metrics.batchCount++
    this.metrics.batchMax = Math.max(this.metrics.batchMax, transactions.length)
    if (this.#config.forceSync) await this.#sync(file)
    // A new file that its folder forgets would be a loss after all.
    if (fresh && this.#config.forceSync) await this.#host.disk.syncDirectory(this.#folder)
  }

  async #create(firstZxid: bigint): Promise<DiskFile> {
    const path = join(this.#folder, `log.${hexZxid(firstZxid)}`)
    const file = await this.#host.disk.open(path, 'create')
    if ((await file.size()) > 0) {
      await file.close()
      throw new StorageError(path, undefined, 'exists already, and it would begin with the next transaction; the folder was changed while the server ran')
    }
    this.#position = 0
    this.#fileSize = 0
    return file
  }

  /** Groups are joined in a buffer, which is used again unless it is large; very large ones stay lists of pieces. */
  #entries(transactions: readonly Buffer[], size: number): Buffer[] {
    if (size > scratchMax) {
      return transactions.map((transaction) => {
        const entry = Buffer.allocUnsafe(transaction.length + entryExtraSize)
        writeEntry(transaction, entry, 0)
        return entry
      })
    }
    let into = this.#scratch
    if (into.length < size) {
      into = Buffer.allocUnsafe(size > scratchKept ? size : Math.min(scratchKept, Math.max(4096, size * 2)))
      if (size <= scratchKept) this.#scratch = into
    }
    let at = 0
    for (const transaction of transactions) at = writeEntry(transaction, into, at)
    return [into.subarray(0, at)]
  }

  async #write(file: DiskFile, pieces: readonly Buffer[], position: number, size: number): Promise<void> {
    if (size > writeSyncMax || this.#asynchronous > 0) {
      if (this.#asynchronous > 0) this.#asynchronous--
      return file.write(pieces, position)
    }
    const { clock } = this.#host
    const began = clock.monotonic()
    file.writeSync(pieces, position)
    if (clock.monotonic() - began > slowWriteMs) this.#asynchronous = slowWritesKept
  }

  async #sync(file: DiskFile): Promise<void> {
    const { clock } = this.#host
    const began = clock.monotonic()
    await file.sync()
    const took = clock.monotonic() - began
    this.metrics.fsyncMsMin = this.metrics.fsyncCount === 0 ? took : Math.min(this.metrics.fsyncMsMin, took)
    this.metrics.fsyncCount++
    this.metrics.fsyncMsSum += took
    this.metrics.fsyncMsMax = Math.max(this.metrics.fsyncMsMax, took)
    if (took <= this.#config.fsyncWarningMs) return
    this.metrics.fsyncSlowCount++
    this.#logger.warn('fsync of the transaction log was slow, which delays every write', { path: dirname(file.path), tookMs: Math.round(took), fileSize: this.#fileSize || this.#position })
  }

  async #closeFile(): Promise<void> {
    const file = this.#file
    this.#file = undefined
    if (!file) return
    try {
      if (this.#failure === undefined && this.#fileSize > this.#position) await file.truncate(this.#position)
    } finally {
      await file.close()
    }
  }
}
