/**
 * The tree: every znode, who owns the ephemeral ones, the sessions, the ACL lists, the quotas. It changes by transactions alone,
 * in order of zxid; applying one twice leaves what applying it once left, because snapshots are fuzzy (reference §3.3).
 *
 * Restoring: `clear()`, then `restoreSession`, `restoreAcl` and `restoreNode` for what a snapshot holds, then `finishRestore(zxid)`,
 * then `apply` for what the logs hold beyond it. `beginSnapshot()` gives what a snapshot has to hold.
 */
import { lowOf } from '../../wire/int64.ts'
import type { Acl, Stat, StatPersisted } from '../protocol/records.ts'
import { errorCode } from '../protocol/errors.ts'
import { op } from '../protocol/op-codes.ts'
import type { SimpleBody, Transaction, TxnHeader } from '../protocol/transactions.ts'
import { AclCache, openAcl, openAclId } from './acl-cache.ts'
import { contentDigest, DigestSum, isDigested } from './digest.ts'
import { containerOwner, lifetimeOf, ownerOfTTL, type ExtendedTypes, type Lifetime } from './owner.ts'
import { parentOf, reserved } from './paths.ts'
import { formatStats, limitsName, parseQuota, QuotaPaths, quotaPathOf, statsName, statsPath } from './quota.ts'
import { SlabMemory } from './slabs.ts'
import { Watches } from './watches.ts'
import { statOf, Znode } from './znode.ts'

/** What became of a transaction, or of one operation of a multi. */
export interface Applied {
  readonly type: number
  /** An error code; 0 where the tree has changed as asked. */
  readonly err: number
  readonly path: string
  /** After this operation; undefined where the reply needs none. */
  readonly stat: Stat | undefined
  readonly operations: readonly Applied[] | undefined
  /** Of a reconfiguration: the new configuration. */
  readonly data?: Buffer | null
}

/** A snapshot in the making. While it is open, the tree remembers what the snapshot must not see. */
export interface TreeSnapshot {
  /** The snapshot holds everything up to here; replay begins after it. */
  readonly zxid: bigint
  readonly sessionCount: number
  /** Numbers, not objects: there may be a hundred thousand. */
  readonly sessionIds: BigInt64Array
  readonly sessionTimeouts: Int32Array
  readonly acls: readonly { readonly id: number; readonly acl: readonly Acl[] }[]
  walk(): TreeWalk
  /** Must be called, whatever happened. */
  close(): void
}
/** Over all znodes, parents before children, the root ('') first, in as many slices as wanted: transactions applied in between are tolerated. */
export interface TreeWalk {
  /**
   * To the next znode. `passed`: only such that the snapshot must not see, `passedMax` of them, and there may be more. After `end` comes `end`.
   */
  next(): 'znode' | 'passed' | 'end'
  /** Of the last `znode`; before the next transaction is applied. */
  readonly path: string
  readonly node: Znode
  readonly aclId: number
}
/** A walk tells after so many znodes in a row that are too young, so that it can be interrupted there too. */
export const passedMax = 256

const noStat: StatPersisted = { czxid: 0n, mzxid: 0n, ctime: 0, mtime: 0, version: 0, cversion: 0, aversion: 0, ephemeralOwner: 0n, pzxid: 0n }
const configAcl: readonly Acl[] = [{ perms: 1, id: { scheme: 'world', id: 'anyone' } }]
const noPaths: ReadonlySet<string> = new Set()

export class ZnodeTree {
  readonly watches = new Watches()
  readonly acls = new AclCache()
  /** Live sessions and their timeouts in ms: those whose creation is applied and whose end is not. */
  readonly sessions = new Map<bigint, number>()
  readonly quotas = new QuotaPaths()
  readonly types: ExtendedTypes
  readonly digestSum = new DigestSum()
  lastProcessedZxid = 0n
  /** Digest of the tree after the transactions whose zxid is divisible by 128, the last 1,024 of them: what `hash` shows. */
  readonly digestLog: { zxid: bigint; digest: bigint }[] = []
  readonly #nodes = new Map<string, Znode>()
  readonly #ephemerals = new Map<bigint, Set<string>>()
  readonly #containers = new Set<string>()
  readonly #ttls = new Set<string>()
  #memory = new SlabMemory()
  #snapshots = 0
  /** For open snapshots: the ACL that a znode had before it was changed. */
  readonly #aclBefore = new Map<string, number>()
  #dataSize = 0
  #ephemeralCount = 0

  constructor(types: ExtendedTypes = { extendedTypes: false, emulate353: false }) {
    this.types = types
    this.clear()
    this.#addReserved()
  }

  // ---- looking

  get(path: string): Znode | undefined {
    return this.#nodes.get(path === '/' ? '' : path)
  }
  /** As Apache counts: the root counts twice. */
  get nodeCount(): number {
    return this.#nodes.size + 1
  }
  get ephemeralCount(): number {
    return this.#ephemeralCount
  }
  /** Bytes of all paths and data. */
  get approximateDataSize(): number {
    return this.#dataSize
  }
  get digest(): bigint {
    return this.digestSum.value
  }
  aclOf(node: Znode): readonly Acl[] {
    return this.acls.get(node.aclId) ?? openAcl
  }
  lifetimeOf(node: Znode): Lifetime {
    return node.isPersistent ? 'persistent' : lifetimeOf(node.ephemeralOwner, this.types)
  }
  /** Whether clients may see the owner: containers and TTL znodes have none. */
  showsOwner(node: Znode): boolean {
    return node.isPersistent || this.lifetimeOf(node) === 'ephemeral'
  }
  statOf(node: Znode): Stat {
    return statOf(node, this.showsOwner(node) ? node.ephemeralOwner : 0n)
  }
  /** Names, without their parent. */
  childrenOf(node: Znode, path: string): string[] {
    if (!node.children) return []
    const from = path === '/' ? 1 : path.length + 1
    const names: string[] = []
    for (const child of node.children) names.push(child.slice(from))
    return names
  }
  /** Znodes below `path`; the root counts like Apache's: all but two of the tree. */
  descendantCount(path: string): number {
    if (path === '/') return this.nodeCount - 2
    let count = 0
    const walk = [...(this.get(path)?.children ?? [])]
    for (let child = walk.pop(); child !== undefined; child = walk.pop()) {
      count++
      const below = this.#nodes.get(child)?.children
      if (below) walk.push(...below)
    }
    return count
  }
  ephemeralsOf(session: bigint): ReadonlySet<string> {
    return this.#ephemerals.get(session) ?? noPaths
  }
  ephemerals(): ReadonlyMap<bigint, ReadonlySet<string>> {
    return this.#ephemerals
  }
  containers(): ReadonlySet<string> {
    return this.#containers
  }
  ttls(): ReadonlySet<string> {
    return this.#ttls
  }

  // ---- applying

  /** Changes the tree and tells the watches. Never throws for what a transaction says: replay may find half of it done. */
  apply({ header, body }: Transaction): Applied {
    let applied: Applied
    switch (body.type) {
      case op.createSession:
        this.sessions.set(header.clientId, body.timeOut)
        applied = plain(op.createSession)
        break
      case op.closeSession:
        this.#closeSession(header, body.paths2Delete)
        applied = plain(op.closeSession)
        break
      case op.multi:
        applied = this.#applyMulti(body.operations, header)
        break
      default:
        applied = this.#applySimple(body, header)
    }
    if (header.zxid > this.lastProcessedZxid) this.lastProcessedZxid = header.zxid
    if ((lowOf(header.zxid) & 127) === 0) {
      this.digestLog.push({ zxid: header.zxid, digest: this.digest })
      if (this.digestLog.length > 1024) this.digestLog.shift()
    }
    return applied
  }

  /** Writes the ensemble's members into /zookeeper/config: every server for itself, by no transaction. `version`: of the configuration; `time`: wall clock, ms. */
  configure(text: Buffer, { version, time }: { version: bigint; time: number }): void {
    const node = this.#nodes.get(reserved.config)
    if (!node || (node.mzxid === version && node.version === -1 && node.data?.equals(text))) return
    this.#replaceData(node, reserved.config, text)
    node.version = -1
    node.mzxid = version
    node.mtime = time
    this.watches.changed(reserved.config, version, this.aclOf(node))
  }

  #applyMulti(operations: readonly SimpleBody[], header: TxnHeader): Applied {
    const failing = operations.findIndex((operation) => operation.type === op.error)
    const results = operations.map((operation, at): Applied => {
      if (failing < 0) return this.#applySimple(operation, header)
      const code = operation.type === op.error ? operation.err : at < failing ? errorCode.ok : errorCode.runtimeInconsistency
      return failed(op.error, code)
    })
    const err = failing < 0 ? (results.find((result) => result.err !== 0)?.err ?? 0) : results[failing].err
    return { type: op.multi, err, path: '', stat: undefined, operations: results }
  }
  #applySimple(body: SimpleBody, header: TxnHeader): Applied {
    switch (body.type) {
      case op.create: case op.create2:
        return this.#create(body, header, body.ephemeral ? header.clientId : 0n)
      case op.createContainer: return this.#create(body, header, containerOwner)
      case op.createTTL: return this.#create(body, header, ownerOfTTL(body.ttl, this.types))
      case op.delete: case op.deleteContainer: return this.#delete(body.type, body.path, header.zxid)
      case op.setData: case op.reconfig: return this.#setData(body, header)
      case op.setACL: return this.#setACL(body)
      case op.check: return plain(op.check)
      case op.error: return failed(op.error, body.err)
      default: return body satisfies never
    }
  }

  #create(body: { type: number; path: string; data: Buffer | null; acl: Acl[] | null; parentCVersion: number; content?: number }, { zxid, time }: TxnHeader, owner: bigint): Applied {
    const { path } = body
    const parentPath = parentOf(path)
    const parent = this.#nodes.get(parentPath)
    if (!parent) return failed(body.type, errorCode.noNode, path)
    const existing = this.get(path)
    if (existing) {
      // A fuzzy snapshot had it already: its ACL may be newer than the list the snapshot wrote, its parent's counts older.
      this.#changeAcl(existing, body.acl ?? openAcl)
      if (body.type === op.create && body.parentCVersion > parent.cversion) this.#countCreation(parent, parentPath, body.parentCVersion, zxid)
      return failed(body.type, errorCode.nodeExists, path)
    }
    const node = new Znode(this.#memory, body.data, this.acls.use(body.acl ?? openAcl), {
      czxid: zxid, mzxid: zxid, pzxid: zxid, ctime: time, mtime: time, version: 0, cversion: 0, aversion: 0, ephemeralOwner: owner,
    })
    const cversion = body.parentCVersion === -1 ? (parent.cversion + 1) | 0 : body.parentCVersion
    if (cversion > parent.cversion) this.#countCreation(parent, parentPath, cversion, zxid)
    this.#link(path, node, parent, body.content ?? contentDigest(path, body.data))
    if (path.startsWith(reserved.quota)) this.#quotaNodeCreated(path, parentPath)
    this.#count(path, 1, node.dataLength)
    if (!this.watches.isEmpty) this.watches.created(path, zxid, this.aclOf(node), this.aclOf(parent))
    return { type: body.type, err: 0, path, stat: body.type === op.create ? undefined : this.statOf(node), operations: undefined }
  }
  #countCreation(parent: Znode, path: string, cversion: number, zxid: bigint): void {
    parent.cversion = cversion
    parent.pzxid = zxid
    this.#digestStat(parent, path)
  }
  #delete(type: number, path: string, zxid: bigint): Applied {
    const parentPath = parentOf(path)
    const parent = this.#nodes.get(parentPath)
    if (!parent) return failed(type, errorCode.noNode, path)
    // Also where the znode is gone already: a fuzzy snapshot may have seen its end but not its parent's pzxid.
    if (zxid > parent.pzxid) {
      parent.pzxid = zxid
      this.#digestStat(parent, parentPath)
    }
    const node = this.#nodes.get(path)
    if (!node) return failed(type, errorCode.noNode, path)
    const acl = this.aclOf(node)
    const { dataLength } = node
    this.#unlink(path, node, parent)
    if (path.startsWith(reserved.quota) && path.endsWith(`/${limitsName}`)) this.quotas.delete(quotaPathOf(parentPath))
    this.#count(path, -1, -dataLength)
    if (!this.watches.isEmpty) this.watches.deleted(path, zxid, acl, this.aclOf(parent))
    return { type, err: 0, path, stat: undefined, operations: undefined }
  }
  #setData(body: { type: number; path: string; data: Buffer | null; version: number; content?: number }, { zxid, time }: TxnHeader): Applied {
    const { path } = body
    const node = this.get(path)
    if (!node) return failed(body.type, errorCode.noNode, path)
    const before = node.dataLength
    this.#replaceData(node, path, body.data, body.content)
    node.mtime = time
    node.mzxid = zxid
    node.version = body.version
    this.#digestStat(node, path)
    this.#count(path, 0, node.dataLength - before)
    if (!this.watches.isEmpty) this.watches.changed(path, zxid, this.aclOf(node))
    return { type: body.type, err: 0, path, stat: this.statOf(node), operations: undefined, ...(body.type === op.reconfig && { data: body.data }) }
  }
  #setACL(body: { path: string; acl: Acl[] | null; version: number }): Applied {
    const { path } = body
    const node = this.get(path)
    if (!node) return failed(op.setACL, errorCode.noNode, path)
    const key = path === '/' ? '' : path
    if (this.#snapshots > 0 && !this.#aclBefore.has(key)) this.#aclBefore.set(key, node.aclId)
    node.aversion = body.version
    this.#changeAcl(node, body.acl ?? openAcl)
    this.#digestStat(node, path)
    return { type: op.setACL, err: 0, path, stat: this.statOf(node), operations: undefined }
  }
  #changeAcl(node: Znode, acl: readonly Acl[]): void {
    const before = node.aclId
    node.aclId = this.acls.use(acl)
    if (this.#snapshots === 0) this.acls.release(before)
    else this.#released.push(before) // An open snapshot has written this number into its table; it must not be given away.
  }
  readonly #released: number[] = []

  #closeSession({ clientId, zxid }: TxnHeader, paths: readonly string[] | null): void {
    if (paths) for (const path of paths) this.#delete(op.delete, path, zxid)
    // What the session owns beyond that: none, unless the transaction was written without its list.
    for (const path of this.ephemeralsOf(clientId)) this.#delete(op.delete, path, zxid)
    this.sessions.delete(clientId)
  }

  #link(path: string, node: Znode, parent: Znode | undefined, content: number): void {
    this.#nodes.set(path, node)
    if (parent) (parent.children ??= new Set()).add(path)
    this.#dataSize += path.length + node.dataLength
    node.content = content
    node.digest = 0
    this.#digestStat(node, path)
    switch (this.lifetimeOf(node)) {
      case 'ephemeral': {
        const owned = this.#ephemerals.get(node.ephemeralOwner)
        if (owned) owned.add(path)
        else this.#ephemerals.set(node.ephemeralOwner, new Set([path]))
        this.#ephemeralCount++
        break
      }
      case 'container': this.#containers.add(path); break
      case 'ttl': this.#ttls.add(path); break
      case 'persistent':
    }
  }
  #unlink(path: string, node: Znode, parent: Znode): void {
    this.#nodes.delete(path)
    const { children } = parent
    if (children) {
      children.delete(path)
      if (children.size === 0) parent.children = undefined
    }
    this.#dataSize -= path.length + node.dataLength
    if (isDigested(path)) this.digestSum.subtract(node.digest >>> 0)
    if (this.#snapshots === 0) this.acls.release(node.aclId)
    else this.#released.push(node.aclId)
    switch (this.lifetimeOf(node)) {
      case 'ephemeral': {
        const owned = this.#ephemerals.get(node.ephemeralOwner)
        if (owned?.delete(path)) this.#ephemeralCount--
        if (owned?.size === 0) this.#ephemerals.delete(node.ephemeralOwner)
        break
      }
      case 'container': this.#containers.delete(path); break
      case 'ttl': this.#ttls.delete(path); break
      case 'persistent':
    }
    node.release()
  }
  #replaceData(node: Znode, path: string, data: Buffer | null, content = contentDigest(path === '/' ? '' : path, data)): void {
    this.#dataSize -= node.dataLength
    node.setData(data)
    this.#dataSize += node.dataLength
    node.content = content
  }
  /** To be called after every change of a znode's stat or data. */
  #digestStat(node: Znode, path: string): void {
    if (!isDigested(path)) return
    this.digestSum.subtract(node.digest >>> 0)
    node.digest = node.digestNow()
    this.digestSum.add(node.digest >>> 0)
  }

  // ---- quotas

  #quotaNodeCreated(path: string, parentPath: string): void {
    if (path.endsWith(`/${limitsName}`)) this.quotas.add(quotaPathOf(parentPath))
    else if (path.endsWith(`/${statsName}`)) this.#recount(quotaPathOf(parentPath))
  }
  /** Writes what the subtree holds now, itself included, into its stats znode. */
  #recount(quotaPath: string): void {
    const stats = this.#nodes.get(statsPath(quotaPath))
    if (!stats) return
    let count = 0
    let size = 0
    const walk = [quotaPath]
    for (let path = walk.pop(); path !== undefined; path = walk.pop()) {
      const node = this.#nodes.get(path)
      if (!node) continue
      count++
      size += node.dataLength
      if (node.children) walk.push(...node.children)
    }
    this.#replaceData(stats, statsPath(quotaPath), formatStats(count, size))
  }
  /** Adds to the counts of the quota that covers `path`: in place, without version, time or watch. */
  #count(path: string, nodes: number, size: number): void {
    const covering = this.quotas.covering(path)
    if (covering === undefined || (nodes === 0 && size === 0)) return
    const stats = this.#nodes.get(statsPath(covering))
    if (!stats) return
    const counted = parseQuota(stats.data)
    this.#replaceData(stats, statsPath(covering), formatStats(counted.count + nodes, counted.bytes + size))
  }

  // ---- restoring

  clear(): void {
    this.#nodes.clear()
    this.#memory = new SlabMemory()
    this.#ephemerals.clear()
    this.#containers.clear()
    this.#ttls.clear()
    this.sessions.clear()
    this.acls.clear()
    this.quotas.clear()
    this.digestSum.clear()
    this.digestLog.length = 0
    this.lastProcessedZxid = 0n
    this.#dataSize = 0
    this.#ephemeralCount = 0
  }
  restoreSession(id: bigint, timeoutMs: number): void {
    this.sessions.set(id, timeoutMs)
  }
  restoreAcl(id: number, acl: readonly Acl[]): void {
    this.acls.restore(id, acl)
  }
  /** Parents first; the root's path is ''. Throws where the parent or the ACL's number is unknown, or the path is there already. */
  restoreNode(path: string, data: Buffer | null, aclId: number, stat: StatPersisted): void {
    if (this.#nodes.has(path)) throw new Error(`znode ${path || '/'} appears twice`)
    const parent = path === '' ? undefined : this.#nodes.get(parentOf(path))
    if (path !== '' && !parent) throw new Error(`znode ${path} appears before its parent`)
    if (!this.acls.restoreUse(aclId)) throw new Error(`znode ${path || '/'} has the ACL number ${aclId}, which the snapshot's table does not have`)
    this.#link(path, new Znode(this.#memory, data, aclId, stat), parent, contentDigest(path, data))
  }
  /** After the last znode: `zxid` is that of the snapshot's name. */
  finishRestore(zxid: bigint): void {
    this.#addReserved()
    this.acls.purgeUnused()
    this.lastProcessedZxid = zxid
    const walk = [...(this.get(reserved.quota)?.children ?? [])]
    for (let path = walk.pop(); path !== undefined; path = walk.pop()) {
      if (path.endsWith(`/${limitsName}`)) {
        this.quotas.add(quotaPathOf(parentOf(path)))
        this.#recount(quotaPathOf(parentOf(path)))
      }
      const below = this.#nodes.get(path)?.children
      if (below) walk.push(...below)
    }
  }
  #addReserved(): void {
    const add = (path: string, data: Buffer | null, aclId: number, stat = noStat): void => {
      if (!this.#nodes.has(path)) this.#link(path, new Znode(this.#memory, data, aclId, stat), path === '' ? undefined : this.#nodes.get(parentOf(path)), contentDigest(path, data))
    }
    const empty = Buffer.alloc(0)
    add('', empty, openAclId)
    add(reserved.zookeeper, empty, openAclId)
    add(reserved.quota, empty, openAclId)
    if (!this.#nodes.has(reserved.config)) add(reserved.config, empty, this.acls.use(configAcl), { ...noStat, aversion: -1 })
  }

  // ---- snapshots

  beginSnapshot(): TreeSnapshot {
    this.#snapshots++
    const zxid = this.lastProcessedZxid
    const sessionCount = this.sessions.size
    const sessionIds = new BigInt64Array(sessionCount)
    const sessionTimeouts = new Int32Array(sessionCount)
    let index = 0
    for (const [id, timeoutMs] of this.sessions) {
      sessionIds[index] = id
      sessionTimeouts[index++] = timeoutMs
    }
    let open = true
    return {
      zxid, sessionCount, sessionIds, sessionTimeouts,
      acls: this.acls.entries(),
      walk: () => new Walk(this.#nodes, this.#aclBefore, zxid),
      close: () => {
        if (!open) return
        open = false
        if (--this.#snapshots > 0) return
        this.#aclBefore.clear()
        for (const id of this.#released) this.acls.release(id)
        this.#released.length = 0
      },
    }
  }
}

class Walk implements TreeWalk {
  readonly #nodes: ReadonlyMap<string, Znode>
  readonly #aclBefore: ReadonlyMap<string, number>
  readonly #high: number
  readonly #low: number
  /** Walked over as they are, not copied: a znode may have a million children, and whatever comes or goes meanwhile is passed over. */
  readonly #stack: Iterator<string>[] = [[''].values()]
  path = ''
  #node: Znode | undefined

  constructor(nodes: ReadonlyMap<string, Znode>, aclBefore: ReadonlyMap<string, number>, zxid: bigint) {
    this.#nodes = nodes
    this.#aclBefore = aclBefore
    this.#high = Number(BigInt.asIntN(32, zxid >> 32n))
    this.#low = Number(BigInt.asUintN(32, zxid))
  }
  get node(): Znode {
    if (!this.#node) throw new Error('the walk stands on no znode')
    return this.#node
  }
  get aclId(): number {
    return (this.#aclBefore.size > 0 ? this.#aclBefore.get(this.path) : undefined) ?? this.node.aclId
  }
  next(): 'znode' | 'passed' | 'end' {
    // Below the znode of the last step, as it is now: what it has got since is too young, what it has lost is gone.
    const { children } = (this.#node && this.#nodes.get(this.path)) ?? {}
    if (children) this.#stack.push(children.values())
    this.#node = undefined
    for (let passed = 0; passed < passedMax; ) {
      const { length } = this.#stack
      if (length === 0) return 'end'
      const { value: path, done } = this.#stack[length - 1].next()
      if (done) {
        this.#stack.pop()
        continue
      }
      const node = this.#nodes.get(path)
      // Made since, or gone since: replay makes it again, or finds it gone.
      if (!node || node.isYoungerThan(this.#high, this.#low)) {
        passed++
        continue
      }
      this.path = path
      this.#node = node
      return 'znode'
    }
    return 'passed'
  }
}

function plain(type: number): Applied {
  return { type, err: 0, path: '', stat: undefined, operations: undefined }
}
function failed(type: number, err: number, path = ''): Applied {
  return { type, err, path, stat: undefined, operations: undefined }
}
