/** This server's history, tree and clients, as ZAB sees them: what is logged and not applied, what was committed last, and the epoch files. */
import type { Host } from '../../host/host.ts'
import { Writer } from '../../wire/writer.ts'
import { Acl } from '../protocol/records.ts'
import { decodeTransaction, type Transaction } from '../protocol/transactions.ts'
import { readEpoch, writeEpoch } from '../storage/epoch-files.ts'
import { StorageError } from '../storage/storage-error.ts'
import { CommittedLog, type CommittedTransaction } from '../zab/committed-log.ts'
import type { SnapshotSink } from '../zab/quorum-stream.ts'
import type { Replica, ServingRole } from '../zab/replica.ts'
import { digestVersion } from '../znodes/digest.ts'
import type { ReplicaStore } from '../znodes/store.ts'
import type { Applied, ZnodeTree } from '../znodes/tree.ts'
import type { WhenApplied } from './write-path.ts'

/** The server around it. */
export interface ReplicaOwner {
  serve(role: ServingRole): void
  serveReadOnly(): void
  stopServing(): void
  /** Right after a transaction was applied. `whenApplied`: whose client waits for it, if the leader is here. */
  applied(applied: Applied, transaction: Transaction, whenApplied: WhenApplied | undefined): void
  /** After a group of them; `zxid`: the last. */
  appliedGroup(count: number, zxid: bigint): void
}

interface Pending {
  readonly transaction: Transaction
  readonly bytes: Buffer
  readonly whenApplied: WhenApplied | undefined
}

const pieceSize = 64 * 1024

export class EnsembleReplica implements Replica {
  readonly #host: Host
  readonly #tree: ZnodeTree
  readonly #store: ReplicaStore
  readonly #folder: string
  readonly #owner: ReplicaOwner
  readonly #committedLog: CommittedLog
  #pending: Pending[] = []
  #pendingAt = 0
  #group = 0
  /** Whether the tree is the one that digests are of; a snapshot that was taken during writes fits none until it is caught up with. */
  #digestsFit = true
  #mismatchCount = 0

  /** `folder`: of the epoch files. */
  constructor(host: Host, facts: { tree: ZnodeTree; store: ReplicaStore; folder: string; commitLogCount: number; owner: ReplicaOwner }) {
    this.#host = host
    this.#tree = facts.tree
    this.#store = facts.store
    this.#folder = facts.folder
    this.#owner = facts.owner
    this.#committedLog = new CommittedLog(facts.commitLogCount)
    this.#reloaded()
  }

  get lastProcessed(): bigint {
    return this.#tree.lastProcessedZxid
  }
  get committed(): readonly CommittedTransaction[] {
    return this.#committedLog.entries
  }
  /** Logged and not applied. */
  get outstanding(): number {
    return this.#pending.length - this.#pendingAt
  }

  // ---- epochs

  async epochs(): Promise<{ acceptedEpoch: number; currentEpoch: number }> {
    const { disk } = this.#host
    const epochOfLog = Number(this.#tree.lastProcessedZxid >> 32n)
    const found = await readEpoch(disk, this.#folder, 'currentEpoch')
    let currentEpoch = found ?? epochOfLog
    let acceptedEpoch = await readEpoch(disk, this.#folder, 'acceptedEpoch')
    if (epochOfLog > currentEpoch) {
      // A synchronization that was cut off: transactions of an epoch follow everything that its leader began with, so the log holds all of that.
      if (acceptedEpoch === undefined || acceptedEpoch < epochOfLog)
        throw new StorageError(`${this.#folder}/currentEpoch`, undefined, `says ${currentEpoch}, and the log holds a transaction of epoch ${epochOfLog}, which this server has never accepted: one of them comes from another server or another time. Restore both from one copy, or move this folder's content away and let the leader send everything`)
      currentEpoch = epochOfLog
    }
    const isNew = acceptedEpoch === undefined
    acceptedEpoch ??= currentEpoch
    if (acceptedEpoch < currentEpoch)
      throw new StorageError(`${this.#folder}/acceptedEpoch`, undefined, `says ${acceptedEpoch}, and currentEpoch ${currentEpoch}: no server serves in an epoch that it has not accepted. Restore both files from one copy`)
    if (isNew) await writeEpoch(disk, this.#folder, 'acceptedEpoch', acceptedEpoch)
    if (currentEpoch !== found) await writeEpoch(disk, this.#folder, 'currentEpoch', currentEpoch)
    return { acceptedEpoch, currentEpoch }
  }
  writeEpoch(name: 'acceptedEpoch' | 'currentEpoch', epoch: number): Promise<void> {
    return writeEpoch(this.#host.disk, this.#folder, name, epoch)
  }

  // ---- log and tree

  append({ zxid, bytes }: CommittedTransaction): void {
    this.appendOwn(decodeTransaction(bytes), bytes, undefined, zxid)
  }
  appendOwn(transaction: Transaction, bytes: Buffer, whenApplied: WhenApplied | undefined, zxid = transaction.header.zxid): void {
    if (zxid !== transaction.header.zxid) throw new RangeError(`proposal 0x${zxid.toString(16)} holds transaction 0x${transaction.header.zxid.toString(16)}`)
    this.#store.append({ zxid, bytes })
    this.#pending.push({ transaction, bytes, whenApplied })
  }
  hold(until: Promise<unknown>): void {
    this.#store.hold(until)
  }
  async flushed(): Promise<bigint> {
    const zxid = this.#store.lastZxid
    await this.#store.flushed()
    return zxid
  }
  commit(zxid: bigint): void {
    const pending = this.#pending[this.#pendingAt]
    if (pending?.transaction.header.zxid !== zxid) throw new Error(`0x${zxid.toString(16)} is committed and is not the oldest transaction that waits`)
    this.#take(pending)
    this.#group++
  }
  committedGroup(): void {
    const count = this.#group
    if (count === 0) return
    this.#group = 0
    this.#store.applied(count)
    this.#owner.appliedGroup(count, this.#tree.lastProcessedZxid)
  }
  #take({ transaction, bytes, whenApplied }: Pending): void {
    this.#pendingAt++
    if (this.#pendingAt === this.#pending.length) {
      this.#pending = []
      this.#pendingAt = 0
    } else if (this.#pendingAt > 4096) {
      this.#pending = this.#pending.slice(this.#pendingAt)
      this.#pendingAt = 0
    }
    const applied = this.#tree.apply(transaction)
    this.#compare(transaction)
    this.#committedLog.add({ zxid: transaction.header.zxid, bytes })
    this.#owner.applied(applied, transaction, whenApplied)
  }
  /** Every transaction says what the tree has to be after it. */
  #compare({ header, digest }: Transaction): void {
    if (!digest || digest.version !== digestVersion) return
    if (digest.treeDigest === this.#tree.digest) {
      this.#digestsFit = true
      return
    }
    // Every later one follows from the first.
    if (!this.#digestsFit || this.#mismatchCount++ > 0) return
    this.#host.logger.error(
      "what this server holds is not what the leader's transactions build on: its files come from another ensemble or another time, or one of the servers has a bug. " +
        "Stop this server, move the files of its folder away and start it: the leader then sends everything",
      { folder: this.#folder, zxid: `0x${header.zxid.toString(16)}`, said: String(digest.treeDigest), found: String(this.#tree.digest) },
    )
  }
  get digestMismatchCount(): number {
    return this.#mismatchCount
  }
  /** After the tree was read from disk. */
  #reloaded(): void {
    this.#digestsFit = true
    this.#committedLog.clear()
    for (const transaction of this.#store.recent) this.#committedLog.add(transaction)
  }

  // ---- synchronization

  history(from: bigint, below: bigint): Promise<readonly CommittedTransaction[] | undefined> {
    return this.#store.history(from, below)
  }
  async truncate(zxid: bigint): Promise<void> {
    await this.#store.truncate(zxid)
    this.#reloaded()
    if (this.#tree.lastProcessedZxid > zxid) throw new StorageError(this.#folder, undefined, `could not be cut behind 0x${zxid.toString(16)}`)
  }
  beginInstall(): SnapshotSink {
    const tree = this.#tree
    tree.clear()
    this.#committedLog.clear()
    this.#digestsFit = false
    return {
      session: (id, timeoutMs) => tree.restoreSession(id, timeoutMs),
      acl: (id, acl) => tree.restoreAcl(Number(id), acl),
      node: (path, data, aclId, stat) => tree.restoreNode(path, data, Number(aclId), stat),
    }
  }
  async finishInstall(zxid: bigint): Promise<void> {
    this.#tree.finishRestore(zxid)
    await this.#store.install()
  }
  async abandonInstall(): Promise<void> {
    await this.#store.reload()
    this.#reloaded()
  }
  beginSnapshot(): { readonly pieces: Iterable<Uint8Array>; close(): void } {
    const view = this.#tree.beginSnapshot()
    return { close: () => view.close(), pieces: snapshotPieces(view) }
  }

  // ---- roles

  serve(role: ServingRole): void {
    if (role.kind === 'leader') this.#tree.lastProcessedZxid = role.zxid
    this.#owner.serve(role)
  }
  serveReadOnly(): void {
    this.#owner.serveReadOnly()
  }
  async stopServing(): Promise<void> {
    this.#group = 0
    this.#owner.stopServing()
    // What is logged may have been acknowledged, and then counts as this server's history when it votes.
    await this.#store.flushed()
    while (this.#pendingAt < this.#pending.length) this.#take({ ...this.#pending[this.#pendingAt], whenApplied: undefined })
    this.#group = 0
  }
}

/** Sessions, lists and znodes as they stand in a snapshot file, without header and seals. */
function* snapshotPieces(view: ReturnType<ZnodeTree['beginSnapshot']>): Generator<Uint8Array> {
  const writer = new Writer(pieceSize)
  writer.int32(view.sessionCount)
  for (let index = 0; index < view.sessionCount; index++) {
    writer.bigint64(view.sessionIds[index])
    writer.int32(view.sessionTimeouts[index])
    if (writer.size >= pieceSize) yield writer.toBuffer()
  }
  writer.int32(view.acls.length)
  for (const { id, acl } of view.acls) {
    writer.bigint64(BigInt(id))
    writer.int32(acl.length)
    for (const entry of acl) Acl.write(writer, entry)
    if (writer.size >= pieceSize) yield writer.toBuffer()
  }
  const walk = view.walk()
  for (let step = walk.next(); step !== 'end'; step = walk.next()) {
    if (step === 'znode') {
      writer.int32(Buffer.byteLength(walk.path))
      writer.utf8(walk.path)
      walk.node.writeData(writer)
      writer.bigint64(BigInt(walk.aclId))
      walk.node.writePersisted(writer)
    }
    if (writer.size >= pieceSize || step === 'passed') yield writer.toBuffer()
  }
  writer.int32(1)
  writer.utf8('/')
  yield writer.toBuffer()
}
