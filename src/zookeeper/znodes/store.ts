/** The door between a server and what keeps its transactions: `zookeeper/storage` on disk, `MemoryStore` in tests. */

/** One transaction as it is logged and proposed. */
export interface LoggedTransaction {
  readonly zxid: bigint
  /** TxnHeader, body and, where digests are on, TxnDigest: exactly the bytes of the log's entry. Never changed afterwards. */
  readonly bytes: Buffer
}

/**
 * `openStore(host, options, tree): Promise<TransactionStore>` of `zookeeper/storage` restores the newest valid snapshot into the
 * tree (see "Restoring" in tree.ts), replays the logs with `tree.apply`, and then answers with one of these.
 */
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
   * Called after each batch that the server has applied to the tree, with how many transactions it had: here the store counts
   * towards snapCount, rolls the log and begins a snapshot, fuzzy and in slices of a few milliseconds (`tree.beginSnapshot()`).
   */
  applied(count: number): void
  /** Takes a snapshot now (at most one at a time); resolves with the zxid in its name when it is durable. */
  snapshot(): Promise<bigint>
  /** The latest snapshot on disk, and when it was written. */
  lastSnapshot?(): Promise<{ zxid: bigint; modifiedMs: number } | undefined>
  /** Bytes under dataDir and dataLogDir, for `conf`, `dirs` and the AdminServer. */
  sizes(): Promise<{ dataDir: number; dataLogDir: number }>
  /** Figures for `mntr`, by metric name: fsynctime, snapshottime, startup_txns_loaded and so on. */
  metrics(): Readonly<Record<string, number>>
  /** Makes everything appended durable and closes the files and the folder's lock. */
  close(): Promise<void>
}

/** What a member of an ensemble needs beyond that: its history may be corrected by the leader's. */
export interface ReplicaStore extends TransactionStore {
  /** The latest transactions found at start or by the last `reload`, oldest first. */
  readonly recent: readonly LoggedTransaction[]
  /**
   * The last transaction up to `from` and all behind it, up to `below` (excluded), as the logs hold them; undefined where they do not hold all of
   * that, or it is more than is worth sending.
   */
  history(from: bigint, below: bigint): Promise<readonly LoggedTransaction[] | undefined>
  /** Nothing that is not on its way to the device yet is written before this is settled. */
  hold(until: Promise<unknown>): void
  /** Cuts the logs behind `zxid`, durably, and makes the tree what it was then. Nothing may be appended meanwhile. */
  truncate(zxid: bigint): Promise<void>
  /** The tree has been replaced by a leader's: makes it durable as a snapshot. The next log begins behind it. */
  install(): Promise<void>
  /** Makes the tree what is on disk. */
  reload(): Promise<void>
}
