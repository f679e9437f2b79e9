/** From files to a tree: the newest snapshot that can be read, then every transaction behind it, with no gap unnoticed. */
import { join } from 'node:path'
import type { Disk, Host, Logger } from '../../host/host.ts'
import { MalformedError } from '../../wire/reader.ts'
import { decodeTransaction, type Transaction } from '../protocol/transactions.ts'
import type { LoggedTransaction } from '../znodes/store.ts'
import type { ZnodeTree } from '../znodes/tree.ts'
import { digestVersion } from '../znodes/digest.ts'
import { hexZxid, listZxidFiles, type Folders, type ZxidFile } from './folders.ts'
import { follows } from './history.ts'
import { readInstalled } from './installed.ts'
import { logHeaderSize } from './log-format.ts'
import { readLog, type LogEnd } from './log-read.ts'
import type { SnapshotDigest } from './snapshot-format.ts'
import { readSnapshot, snapshotRefusal } from './snapshot-read.ts'
import { StorageError } from './storage-error.ts'

/** Apache looks at no more snapshots either. */
const snapshotsTriedMax = 100

export interface RecoveryConfig {
  /** How many of the latest transactions are kept in memory (`commitLogCount`); 0: none. */
  readonly recentMax: number
  /** Accept logs without any snapshot (`snapshot.trust.empty`): a folder of 3.4 may have them. */
  readonly trustEmptySnapshot: boolean
  /** Without it, a folder without data is refused unless the marker `initialize` is in it (`zookeeper.db.autocreate`). */
  readonly dbAutocreate: boolean
  /** Whether acknowledged transactions had to be on the device (`forceSync`). */
  readonly forceSync: boolean
}

/** What was found at start. */
export interface Restored {
  /** Zxid of the snapshot loaded; undefined: there was none. */
  readonly snapshotZxid: bigint | undefined
  readonly snapshotLoadMs: number
  readonly transactionCount: number
  readonly transactionLoadMs: number
  readonly lastZxid: bigint
  /** The latest transactions of the logs, oldest first: at most `recentMax`. */
  readonly recent: readonly LoggedTransaction[]
  /** Digests in snapshot and logs that do not fit the tree: 0 unless somebody's server has a bug. */
  readonly digestMismatchCount: number
  /** Something had to be skipped or cut, and a snapshot should make good for it. */
  readonly repaired: boolean
}

export async function recover(host: Host, folders: Folders, config: RecoveryConfig, tree: ZnodeTree): Promise<Restored> {
  return new Recovery(host, folders, config, tree).run()
}

class Recovery {
  readonly #disk: Disk
  readonly #host: Host
  readonly #logger: Logger
  readonly #folders: Folders
  readonly #config: RecoveryConfig
  readonly #tree: ZnodeTree
  #repaired = false
  #transactionCount = 0
  #recent: LoggedTransaction[] = []
  #digestMismatchCount = 0
  /** Until replay has reached this digest's zxid, a fuzzy snapshot's tree fits no digest. */
  #snapshotDigest: SnapshotDigest | undefined
  #digestsFit = false
  /** Zxid of the last snapshot that a leader sent. */
  #installed = -1n
  #skipped: readonly ZxidFile[] = []

  constructor(host: Host, folders: Folders, config: RecoveryConfig, tree: ZnodeTree) {
    this.#host = host
    this.#disk = host.disk
    this.#logger = host.logger.named('zookeeper.storage')
    this.#folders = folders
    this.#config = config
    this.#tree = tree
  }

  async run(): Promise<Restored> {
    const { clock } = this.#host
    const began = clock.monotonic()
    this.#installed = await readInstalled(this.#disk, this.#folders)
    const { snapshot, skipped } = await this.#loadSnapshot()
    this.#skipped = skipped
    for (const file of skipped) if (file.zxid === this.#installed) throw this.#otherHistory(file.path, undefined, 'this snapshot cannot be read')
    const loaded = clock.monotonic()
    const logs = await listZxidFiles(this.#disk, this.#folders.logs, 'log')
    if (!snapshot) await this.#withoutSnapshot(logs)
    await this.#replay(logs, snapshot)
    const lastZxid = this.#tree.lastProcessedZxid
    for (const file of skipped) this.#mustReach(file, lastZxid)
    return {
      snapshotZxid: snapshot?.zxid,
      snapshotLoadMs: loaded - began,
      transactionCount: this.#transactionCount,
      transactionLoadMs: clock.monotonic() - loaded,
      lastZxid,
      recent: this.#config.recentMax > 0 ? this.#recent.slice(-this.#config.recentMax) : [],
      digestMismatchCount: this.#digestMismatchCount,
      repaired: this.#repaired,
    }
  }

  async #loadSnapshot(): Promise<{ snapshot: ZxidFile | undefined; skipped: ZxidFile[] }> {
    const tree = this.#tree
    const skipped: ZxidFile[] = []
    const reasons: string[] = []
    const newestFirst = (await listZxidFiles(this.#disk, this.#folders.snapshots, 'snapshot')).toReversed().slice(0, snapshotsTriedMax)
    for (const file of newestFirst) {
      let reason = await snapshotRefusal(this.#disk, file.path, file.suffix)
      if (reason === undefined) {
        tree.clear()
        try {
          const { digest } = await readSnapshot(this.#disk, file.path, file.suffix, {
            session: (id, timeoutMs) => tree.restoreSession(id, timeoutMs),
            acl: (id, acl) => tree.restoreAcl(Number(id), acl),
            node: (path, data, aclId, stat) => tree.restoreNode(path, data, Number(aclId), stat),
          })
          tree.finishRestore(file.zxid)
          this.#expectDigest(digest, file.zxid)
          return { snapshot: file, skipped }
        } catch (error) {
          if (!(error instanceof StorageError)) throw error
          reason = error.message
        }
      }
      skipped.push(file)
      reasons.push(`${file.name}: ${reason}`)
      this.#repaired = true
      this.#logger.warn('a snapshot cannot be read and is skipped; an older one and the logs behind it are used', { file: file.path, reason })
    }
    tree.clear()
    if (skipped.length > 0) {
      throw new StorageError(this.#folders.snapshots, undefined, `none of the ${skipped.length} snapshots can be read (${reasons.slice(0, 3).join('; ')}). Restore one of them from a copy, together with the logs behind it`)
    }
    tree.finishRestore(0n)
    this.#digestsFit = true
    return { snapshot: undefined, skipped }
  }

  /** A zxid of 0 is written by `snapshot.0` and by a follower that was fed a snapshot: it says nothing. */
  #expectDigest(digest: SnapshotDigest | undefined, zxid: bigint): void {
    if (!digest || digest.version !== digestVersion || digest.zxid <= 0n || digest.zxid < zxid) {
      this.#digestsFit = zxid === 0n
      return
    }
    this.#snapshotDigest = digest
    this.#checkSnapshotDigest()
  }
  #checkSnapshotDigest(): void {
    const expected = this.#snapshotDigest
    if (!expected || this.#tree.lastProcessedZxid !== expected.zxid) return
    this.#snapshotDigest = undefined
    this.#digestsFit = true
    if (this.#tree.digest !== expected.digest) this.#mismatch(expected.zxid, expected.digest)
  }
  #mismatch(zxid: bigint, expected: bigint): void {
    // Every later one follows from the first.
    if (this.#digestMismatchCount++ === 0) {
      this.#logger.error('the digest of the tree is not the one that was written: another server applied a transaction in another way', {
        zxid: `0x${hexZxid(zxid)}`, written: String(expected), found: String(this.#tree.digest),
      })
    }
  }

  /** Nothing at all is a new folder; logs alone are a folder whose snapshots were lost. */
  async #withoutSnapshot(logs: readonly ZxidFile[]): Promise<void> {
    for (const log of logs) {
      if (!(await this.#hasEntries(log))) continue
      if (this.#config.trustEmptySnapshot) {
        this.#logger.warn('there is no snapshot; the tree is built from the logs alone', { folder: this.#folders.snapshots })
        return
      }
      throw new StorageError(
        this.#folders.snapshots,
        undefined,
        `there is no snapshot, but ${log.path} holds transactions. A snapshot must have been lost: restore it from a copy, or, when this folder comes from ZooKeeper 3.4, start once with snapshot.trust.empty=true`,
      )
    }
    const marker = join(this.#folders.logRoot, 'initialize')
    if (await this.#disk.facts(marker)) await this.#disk.remove(marker)
    else if (!this.#config.dbAutocreate) {
      throw new StorageError(this.#folders.snapshots, undefined, `there are neither snapshots nor logs, and zookeeper.db.autocreate=false forbids to begin with an empty tree; restore the data, or create the file ${marker}`)
    }
  }

  async #hasEntries(log: ZxidFile): Promise<boolean> {
    const file = await this.#disk.open(log.path, 'read')
    try {
      const head = Buffer.alloc(logHeaderSize + 12)
      if ((await file.read(head, 0)) === head.length && head.readInt32BE(logHeaderSize + 8) !== 0) return true
    } finally {
      await file.close()
    }
    // Nothing where the first entry should be: zeros, or a write that never ended, or damage, which throws.
    return (await readLog(this.#disk, log.path, true, () => {})).entryCount > 0
  }

  async #replay(logs: readonly ZxidFile[], snapshot: ZxidFile | undefined): Promise<void> {
    const from = this.#tree.lastProcessedZxid
    // The file that holds the transaction behind the snapshot may have begun long before it.
    const first = Math.max(0, logs.findLastIndex((log) => log.zxid <= from + 1n))
    const needed = logs.slice(first)
    // Files that were opened and never got a durable transaction say nothing about where the others end.
    let newest = needed.length - 1
    while (newest > 0 && !(await this.#hasEntries(needed[newest]))) newest--
    let before: string = snapshot ? snapshot.path : 'the beginning'
    for (const [index, log] of needed.entries()) {
      const end = await readLog(this.#disk, log.path, index >= newest, ({ zxid, transaction, position }) => {
        if (zxid <= this.#tree.lastProcessedZxid) return
        this.#mustFollow(zxid, log, position, before)
        this.#apply(log, position, transaction)
        before = log.path
      })
      await this.#settle(log, end, index >= newest)
    }
  }

  /** Transactions are numbered without a gap; a new epoch begins at 1. */
  #mustFollow(zxid: bigint, log: ZxidFile, position: number, before: string): void {
    const last = this.#tree.lastProcessedZxid
    if (last < this.#installed && zxid > this.#installed) throw this.#otherHistory(log.path, position, `this log goes on behind a snapshot that is missing`)
    const between = this.#skipped.find((file) => file.zxid > last && file.zxid < zxid)
    if (follows(zxid, last) && !between) return
    if (between) throw new StorageError(log.path, position, `transaction 0x${hexZxid(zxid)} follows ${between.name}, which cannot be read, and not 0x${hexZxid(last)}. Restore that snapshot from a copy, or, in an ensemble, move this folder's content away: the leader then sends everything`)
    throw new StorageError(
      log.path,
      position,
      `transaction 0x${hexZxid(zxid)} follows 0x${hexZxid(last)} (from ${before}): what stood between them is missing. A log file was lost or damaged: restore it from a copy, or move ${log.name} and all later logs away to give up what they hold`,
    )
  }
  #otherHistory(path: string, position: number | undefined, what: string): StorageError {
    return new StorageError(
      path, position,
      `${what}. A leader sent snapshot.${hexZxid(this.#installed)}, and what this folder holds of before may differ from what the ensemble committed. Restore that snapshot from a copy, or move this folder's content away: the leader then sends everything`,
    )
  }
  /** A snapshot that could not be read still says how far the logs must reach. */
  #mustReach(snapshot: ZxidFile, lastZxid: bigint): void {
    if (snapshot.zxid <= lastZxid) return
    const text = `the logs end at 0x${hexZxid(lastZxid)}, and this snapshot, which cannot be read, was taken at 0x${hexZxid(snapshot.zxid)}: transactions are missing`
    if (this.#config.forceSync) throw new StorageError(snapshot.path, undefined, `${text}. Restore the snapshot or the logs from a copy, or move the snapshot away to give up what it held`)
    this.#logger.warn(text, { file: snapshot.path })
  }

  #apply(log: ZxidFile, position: number, bytes: Buffer): void {
    let transaction: Transaction
    try {
      transaction = decodeTransaction(bytes)
    } catch (cause) {
      if (!(cause instanceof MalformedError || cause instanceof RangeError)) throw cause
      throw new StorageError(log.path, position, `a transaction that cannot be read although its checksum is right: ${cause.message}`, { cause })
    }
    this.#tree.apply(transaction)
    this.#transactionCount++
    const { recentMax } = this.#config
    if (recentMax > 0) {
      // The bytes are a window that is used again, and the tree has kept nothing of it but copies.
      this.#recent.push({ zxid: transaction.header.zxid, bytes: Buffer.from(bytes) })
      if (this.#recent.length > recentMax * 2) this.#recent = this.#recent.slice(-recentMax)
    }
    const { digest, header } = transaction
    if (this.#snapshotDigest) this.#checkSnapshotDigest()
    else if (this.#digestsFit && digest?.version === digestVersion && digest.treeDigest !== this.#tree.digest) this.#mismatch(header.zxid, digest.treeDigest)
  }

  /** Leaves no half-written tail behind: Apache's server would refuse it, and nothing may ever be appended to it. */
  async #settle(log: ZxidFile, end: LogEnd, newest: boolean): Promise<void> {
    if (end.endMarksDamaged.length > 0) {
      this.#repaired = true
      this.#logger.warn('end marks are damaged; the checksums prove the transactions before them', { file: log.path, positions: end.endMarksDamaged.slice(0, 10).join(',') })
    }
    if (!newest) return
    const cut = end.torn
    if (cut?.laterEntry) {
      // Never acknowledged, as a page before it is missing; kept all the same, so that a person can judge.
      const file = await this.#disk.open(log.path, 'read')
      const piece = Buffer.alloc(cut.size)
      await file.read(piece, end.end)
      await file.close()
      await this.#disk.replaceFile(join(this.#folders.logs, `torn.${log.name}.${end.end}`), piece)
    }
    if (end.entryCount === 0) {
      await this.#disk.remove(log.path)
      await this.#disk.syncDirectory(this.#folders.logs)
      this.#logger.info('a log without transactions is removed: a crash came before the first one', { file: log.path })
    } else {
      if (!cut && !this.#config.forceSync) return
      // A process that was killed may have left transactions that only the page cache holds. From now on they are read and followed by
      // others, so a power cut must not take them away any more.
      const file = await this.#disk.open(log.path, 'write')
      try {
        if (cut) await file.truncate(end.end)
        await file.sync()
      } finally {
        await file.close()
      }
      await this.#disk.syncDirectory(this.#folders.logs)
      if (!cut) return
      this.#logger.warn('a write that a crash interrupted is cut off; nobody was told that it succeeded', { file: log.path, position: end.end, size: cut.size })
    }
    this.#repaired = true
  }
}
