/** The door between a server and what keeps its transactions: `zookeeper/storage` on disk, `MemoryStore` in tests. */
import type { TxnDigest } from '../protocol/transactions.ts'
import type { Sessions } from './sessions.ts'
import type { ZnodeTree } from './tree.ts'

/** One transaction as it is logged and proposed. */
export interface LoggedTransaction {
  readonly zxid: bigint
  /** TxnHeader, body and, where digests are on, TxnDigest: exactly the bytes of the log's entry. Never changed afterwards. */
  readonly bytes: Buffer
}

export interface TransactionStore {
  /** Zxid of the last transaction appended or, before the first, restored. */
  readonly lastZxid: bigint
  /** Queues in order of zxid; returns at once. */
  append(transaction: LoggedTransaction): void
  /**
   * Resolves when everything appended before the call is durable: one write and one fdatasync for all of it. Rejects when
   * the disk refused; nothing may be acknowledged afterwards, and the server has to stop.
   */
  flushed(): Promise<void>
  /**
   * To be called with every transaction the server has applied, in order, right after it: this is where the store counts towards
   * snapCount, rolls the log and begins a snapshot, fuzzy and in slices of a few milliseconds.
   */
  applied(transaction: LoggedTransaction): void
  /** Takes a snapshot now (at most one at a time); resolves with the zxid in its name when it is durable. */
  snapshot(): Promise<bigint>
  /** Sizes in bytes of what `conf`, `dirs` and the AdminServer report. */
  sizes(): Promise<{ dataDir: number; dataLogDir: number }>
  /** Counters for `mntr`, by metric name: fsynctime, snapshottime, startup_txns_loaded and so on. */
  metrics(): Readonly<Record<string, number>>
  /** Makes everything appended durable and closes the files and the folder's lock. */
  close(): Promise<void>
}

/** What a store restores into, and what its snapshots are taken of. */
export interface Restorable {
  readonly tree: ZnodeTree
  readonly sessions: Sessions
}

/** Told of digests found in logs and snapshots that do not fit the tree: never fatal (reference §3.4). */
export interface DigestMismatch {
  readonly zxid: bigint
  readonly expected: TxnDigest
  readonly found: bigint
}
