/**
 * Turns a write into a transaction: checks it against the tree and everything prepared before it, numbers it, computes the digest
 * after it (reference §1.10–1.13). A refused write is a transaction too, of type error: it consumes a zxid like any other.
 * In an ensemble the leader alone prepares; everybody applies.
 */
import type { Message } from '../../wire/codec.ts'
import { MalformedError, Reader } from '../../wire/reader.ts'
import { errorCode } from '../protocol/errors.ts'
import { readMultiRequest, type MultiWriteOperation } from '../protocol/multi.ts'
import { readCreateRequest } from '../protocol/open-acl.ts'
import { createMode, op, permission } from '../protocol/op-codes.ts'
import {
  CheckVersionRequest, CreateTTLRequest, DeleteContainerRequest, DeleteRequest, ReconfigRequest, SetACLRequest, SetDataRequest, type Acl, type Id,
} from '../protocol/records.ts'
import type { SimpleBody, Transaction, TxnBody } from '../protocol/transactions.ts'
import { builtInSchemes, fixedAcl, isAllowed, type Schemes } from './acl.ts'
import { contentDigest, digestVersion, DigestSum, isDigested, znodeDigest } from './digest.ts'
import { containerOwner, isTTL, lifetimeOf, ownerOfTTL } from './owner.ts'
import { isReserved, parentOf, pathFault, reserved, sequenceSuffix } from './paths.ts'
import { PendingChanges, PendingNode } from './pending.ts'
import { limitsPath, parseQuota, statsPath, type Quota } from './quota.ts'
import type { ZnodeTree } from './tree.ts'

export interface WriteRequest {
  readonly sessionId: bigint
  readonly cxid: number
  readonly type: number
  /** The request's record, without its header. */
  readonly body: Buffer
  /** By what the connection is known, its address first. */
  readonly ids: readonly Id[]
  /** Set where the session may not write: expired, or moved to another server. */
  readonly refusal?: number
}
export interface PreparationOptions {
  readonly schemes?: Schemes
  readonly skipACL?: boolean
  readonly enforceQuota?: boolean
  readonly digests?: boolean
  readonly reconfigEnabled?: boolean
  /** At a leader: the text of the configuration that is asked for and gets this zxid, or the error code that refuses it. */
  readonly reconfigure?: (request: Message<typeof ReconfigRequest>, zxid: bigint) => Buffer | number
  /** closeSessionTxn.enabled: whether the end of a session lists what dies with it. */
  readonly closeSessionPaths?: boolean
}

/** A check that failed: internal, always answered as an error transaction. No Error, whose stack would cost more than the check. */
class Refusal {
  readonly code: number
  constructor(code: number) {
    this.code = code
  }
}
const refuse = (code: number): never => {
  throw new Refusal(code)
}

export class Preparation {
  readonly #tree: ZnodeTree
  readonly #pending: PendingChanges
  readonly #sum = new DigestSum()
  readonly #before = new DigestSum()
  readonly #schemes: Schemes
  readonly #options: PreparationOptions
  #zxid: bigint

  constructor(tree: ZnodeTree, options: PreparationOptions = {}) {
    this.#tree = tree
    this.#pending = new PendingChanges(tree)
    this.#schemes = options.schemes ?? builtInSchemes
    this.#options = options
    this.#zxid = tree.lastProcessedZxid
    this.#sum.copyFrom(tree.digestSum)
  }

  /** The zxid given last. */
  get lastZxid(): bigint {
    return this.#zxid
  }
  /** A leader's first zxid is that of its epoch. */
  beginEpoch(zxid: bigint): void {
    this.#zxid = zxid
  }
  /** How many changes are prepared and not applied. */
  get outstanding(): number {
    return this.#pending.size
  }
  appliedUpTo(zxid: bigint): void {
    this.#pending.appliedUpTo(zxid)
  }

  /** `time`: wall clock in ms, which becomes ctime and mtime everywhere. */
  prepare(request: WriteRequest, time: number): Transaction {
    const zxid = ++this.#zxid
    this.#before.copyFrom(this.#sum)
    let body: TxnBody
    let digested = this.#options.digests !== false
    try {
      if (request.refusal !== undefined) refuse(request.refusal)
      body = this.#body(request, zxid, time)
    } catch (error) {
      this.#pending.rollback()
      this.#sum.copyFrom(this.#before)
      // Anything else is a bug: there is no transaction, and the number is not used up.
      if (!(error instanceof Refusal || error instanceof MalformedError)) this.#zxid--
      body = { type: op.error, err: codeOf(error) }
      digested = false
    }
    this.#pending.commit()
    return {
      header: { clientId: request.sessionId, cxid: request.cxid, zxid, time, type: body.type },
      body,
      digest: digested ? { version: digestVersion, treeDigest: this.#sum.value } : undefined,
    }
  }

  #body(request: WriteRequest, zxid: bigint, time: number): TxnBody {
    const reader = new Reader(request.body)
    switch (request.type) {
      case op.createSession: return { type: op.createSession, timeOut: reader.int32() }
      case op.closeSession: return this.#closeSession(request.sessionId, zxid)
      case op.multi: return this.#multi(readMultiRequest(reader), request, zxid, time)
      case op.create: case op.create2: case op.createContainer:
        return this.#create(request.type, readCreateRequest(reader), request, zxid, time)
      case op.createTTL: return this.#create(request.type, CreateTTLRequest.read(reader), request, zxid, time)
      case op.delete: return this.#delete(DeleteRequest.read(reader), request, zxid)
      case op.deleteContainer: return this.#deleteContainer(DeleteContainerRequest.read(reader).path, zxid)
      case op.setData: return this.#setData(SetDataRequest.read(reader), request, zxid, time)
      case op.setACL: return this.#setACL(SetACLRequest.read(reader), request, zxid)
      case op.check: return this.#check(CheckVersionRequest.read(reader), request)
      case op.reconfig: return this.#reconfigure(ReconfigRequest.read(reader), request, zxid, time)
      default: return refuse(errorCode.unimplemented)
    }
  }
  #operation(operation: MultiWriteOperation, request: WriteRequest, zxid: bigint, time: number): SimpleBody {
    switch (operation.type) {
      case op.create: case op.create2: case op.createContainer: case op.createTTL: return this.#create(operation.type, operation, request, zxid, time)
      case op.delete: return this.#delete(operation, request, zxid)
      case op.setData: return this.#setData(operation, request, zxid, time)
      case op.check: return this.#check(operation, request)
      default: return operation satisfies never
    }
  }

  /** All or nothing: after a failure the operations stay in the log, the failing one and those after it as errors. */
  #multi(operations: readonly MultiWriteOperation[], request: WriteRequest, zxid: bigint, time: number): TxnBody {
    this.#pending.begin()
    let failed = false
    const bodies = operations.map((operation): SimpleBody => {
      if (failed) return { type: op.error, err: errorCode.runtimeInconsistency }
      try {
        return this.#operation(operation, request, zxid, time)
      } catch (error) {
        failed = true
        this.#pending.rollback()
        this.#sum.copyFrom(this.#before)
        return { type: op.error, err: codeOf(error) }
      }
    })
    return { type: op.multi, operations: bodies }
  }

  #create(
    type: typeof op.create | typeof op.create2 | typeof op.createContainer | typeof op.createTTL, asked: { path: string; data: Buffer | null; acl: Acl[] | null; flags: number; ttl?: bigint },
    { sessionId, ids }: WriteRequest, zxid: bigint, time: number,
  ): SimpleBody {
    const { flags, data } = asked
    if (flags < createMode.persistent || flags > createMode.persistentSequentialWithTTL) refuse(errorCode.badArguments)
    const hasTTL = flags === createMode.persistentWithTTL || flags === createMode.persistentSequentialWithTTL
    const ttl = asked.ttl ?? -1n
    if (hasTTL && !this.#tree.types.extendedTypes) refuse(errorCode.unimplemented)
    // The op code alone makes a TTL znode too: without a valid one its owner would be nonsense (Apache's server ends on it).
    if (hasTTL || type === op.createTTL ? !isTTL(ttl) || !hasTTL : ttl >= 0n) refuse(errorCode.badArguments)
    if (asked.path.lastIndexOf('/') < 0 || asked.path.includes('\0')) refuse(errorCode.badArguments)
    const acl = fixedAcl(asked.acl, ids, this.#schemes) ?? refuse(errorCode.invalidACL)
    const parent = this.#pending.find(parentOf(asked.path)) ?? refuse(errorCode.noNode)
    this.#allow(parent, permission.create, ids)
    const sequential = flags === createMode.persistentSequential || flags === createMode.ephemeralSequential || flags === createMode.persistentSequentialWithTTL
    const path = sequential ? asked.path + sequenceSuffix(parent.cversion) : asked.path
    if (pathFault(path) !== undefined) refuse(errorCode.badArguments)
    if (this.#pending.find(path)) refuse(errorCode.nodeExists)
    if (lifetimeOf(parent.ephemeralOwner, this.#tree.types) === 'ephemeral') refuse(errorCode.noChildrenForEphemerals)
    this.#allowQuota(path, data === null ? 0 : data.length, 1)
    // The op code decides about containers and TTLs, as it does when the transaction is applied.
    const ephemeral = (type === op.create || type === op.create2) && (flags === createMode.ephemeral || flags === createMode.ephemeralSequential)
    const owner = type === op.createContainer ? containerOwner : type === op.createTTL ? ownerOfTTL(ttl, this.#tree.types) : ephemeral ? sessionId : 0n
    const parentCVersion = (parent.cversion + 1) | 0
    // As applying will do it: after 2^31 creations the count does not go back.
    const raised = parentCVersion > parent.cversion
    const content = contentDigest(path, data)
    const changed = this.#change(parent)
    changed.childCount++
    if (raised) {
      changed.cversion = parentCVersion
      changed.pzxid = zxid
    }
    this.#add(zxid, changed)
    const stat = { czxid: zxid, mzxid: zxid, pzxid: zxid, ctime: time, mtime: time, version: 0, cversion: 0, aversion: 0, ephemeralOwner: owner }
    this.#add(zxid, new PendingNode(path, acl, stat, { content, digest: 0, childCount: 0 }))
    switch (type) {
      case op.createContainer: return { type, path, data, acl, parentCVersion }
      case op.createTTL: return { type, path, data, acl, parentCVersion, ttl }
      default: return { type, path, data, acl, ephemeral, parentCVersion, content }
    }
  }
  #delete({ path, version }: { path: string; version: number }, { ids }: WriteRequest, zxid: bigint): SimpleBody {
    if (path.lastIndexOf('/') < 0 || path.includes('\0') || isReserved(path)) refuse(errorCode.badArguments)
    const parent = this.#pending.find(parentOf(path)) ?? refuse(errorCode.noNode)
    this.#allow(parent, permission.delete, ids)
    const node = this.#pending.find(path) ?? refuse(errorCode.noNode)
    nextVersion(node.version, version)
    if (node.childCount > 0) refuse(errorCode.notEmpty)
    this.#remove(zxid, node, parent)
    return { type: op.delete, path }
  }
  /** The server's own request, for an empty container or a TTL that ran out. */
  #deleteContainer(path: string, zxid: bigint): SimpleBody {
    if (path.lastIndexOf('/') < 0 || isReserved(path)) refuse(errorCode.badArguments)
    const parent = this.#pending.find(parentOf(path)) ?? refuse(errorCode.noNode)
    const node = this.#pending.find(path) ?? refuse(errorCode.noNode)
    if (node.childCount > 0) refuse(errorCode.notEmpty)
    const lifetime = lifetimeOf(node.ephemeralOwner, this.#tree.types)
    if (lifetime !== 'container' && lifetime !== 'ttl') refuse(errorCode.badVersion)
    this.#remove(zxid, node, parent)
    return { type: op.deleteContainer, path }
  }
  #setData({ path, data, version }: { path: string; data: Buffer | null; version: number }, { ids }: WriteRequest, zxid: bigint, time: number): SimpleBody {
    if (pathFault(path) !== undefined) refuse(errorCode.badArguments)
    const node = this.#pending.find(path) ?? refuse(errorCode.noNode)
    this.#allow(node, permission.write, ids)
    if (this.#options.enforceQuota) this.#allowQuota(path, (data?.length ?? 0) - (this.#tree.get(path)?.dataLength ?? 0), 0)
    const next = nextVersion(node.version, version)
    const content = this.#newData(zxid, node, { data, version: next, time })
    return { type: op.setData, path, data, version: next, content }
  }
  #reconfigure(asked: Message<typeof ReconfigRequest>, { ids }: WriteRequest, zxid: bigint, time: number): SimpleBody {
    const { reconfigEnabled, reconfigure } = this.#options
    if (!reconfigEnabled) refuse(errorCode.reconfigDisabled)
    // A standalone server has no members to change.
    const data = reconfigure ? reconfigure(asked, zxid) : errorCode.unimplemented
    if (typeof data === 'number') return refuse(data)
    const node = this.#pending.find(reserved.config) ?? refuse(errorCode.noNode)
    this.#allow(node, permission.write, ids)
    this.#newData(zxid, node, { data, version: -1, time })
    return { type: op.reconfig, path: reserved.config, data, version: -1 }
  }
  #setACL({ path, acl: asked, version }: { path: string; acl: Acl[] | null; version: number }, { ids }: WriteRequest, zxid: bigint): SimpleBody {
    if (pathFault(path) !== undefined) refuse(errorCode.badArguments)
    const acl = fixedAcl(asked, ids, this.#schemes) ?? refuse(errorCode.invalidACL)
    const node = this.#pending.find(path) ?? refuse(errorCode.noNode)
    this.#allow(node, permission.admin, ids)
    const next = nextVersion(node.aversion, version)
    const changed = this.#change(node)
    changed.aversion = next
    changed.acl = acl
    this.#add(zxid, changed)
    return { type: op.setACL, path, acl, version: next }
  }
  #check({ path, version }: { path: string; version: number }, { ids }: WriteRequest): SimpleBody {
    if (pathFault(path) !== undefined) refuse(errorCode.badArguments)
    const node = this.#pending.find(path) ?? refuse(errorCode.noNode)
    this.#allow(node, permission.read, ids)
    // Apache logs the version after the one checked.
    return { type: op.check, path, version: nextVersion(node.version, version) }
  }
  /** What the session owns dies with it, also what is prepared and not applied yet. */
  #closeSession(sessionId: bigint, zxid: bigint): TxnBody {
    const owned = new Set(this.#tree.ephemeralsOf(sessionId))
    for (const { path, exists, ephemeralOwner } of this.#pending) {
      if (!exists) owned.delete(path)
      else if (ephemeralOwner === sessionId) owned.add(path)
    }
    const paths = [...owned]
    for (const path of paths) {
      const parent = this.#pending.find(parentOf(path))
      const node = this.#pending.find(path)
      if (parent && node) this.#remove(zxid, node, parent)
    }
    return { type: op.closeSession, paths2Delete: this.#options.closeSessionPaths === false ? null : paths }
  }

  #allow(node: PendingNode, wanted: number, ids: readonly Id[]): void {
    if (!this.#options.skipACL && !isAllowed(node.acl, wanted, ids, this.#schemes)) refuse(errorCode.noAuth)
  }
  /** Checked against what is applied, as Apache does: quotas are no exact limit. */
  #allowQuota(path: string, bytes: number, nodes: number): void {
    if (!this.#options.enforceQuota || path.startsWith('/zookeeper')) return
    const covering = this.#tree.quotas.covering(path)
    if (covering === undefined) return
    const limits = parseQuota(this.#tree.get(limitsPath(covering))?.data ?? null)
    const used = parseQuota(this.#tree.get(statsPath(covering))?.data ?? null)
    if (isBeyond(limits.byteHardLimit, used, 'bytes', bytes) || isBeyond(limits.countHardLimit, used, 'count', nodes)) refuse(errorCode.quotaExceeded)
  }

  #remove(zxid: bigint, node: PendingNode, parent: PendingNode): void {
    const changed = this.#change(parent)
    changed.childCount--
    if (zxid > changed.pzxid) changed.pzxid = zxid
    this.#add(zxid, changed)
    const gone = this.#change(node)
    gone.exists = false
    this.#pending.add(zxid, gone)
  }
  #newData(zxid: bigint, node: PendingNode, { data, version, time }: { data: Buffer | null; version: number; time: number }): number {
    const content = contentDigest(node.path, data)
    const changed = this.#change(node)
    changed.content = content
    changed.version = version
    changed.mtime = time
    changed.mzxid = zxid
    this.#add(zxid, changed)
    return content
  }
  /** The node to change, or a copy, not counted in the digest until it is added. From here on nothing may refuse the operation, nor fail. */
  #change(node: PendingNode): PendingNode {
    if (isDigested(node.path)) this.#sum.subtract(node.digest)
    return this.#pending.writable(node)
  }
  #add(zxid: bigint, node: PendingNode): void {
    if (isDigested(node.path)) {
      node.digest = znodeDigest(node.content, node)
      this.#sum.add(node.digest)
    }
    this.#pending.add(zxid, node)
  }
}

/** −1 asks for no version. The count wraps like any int32; followers take the number from the transaction. */
function nextVersion(current: number, asked: number): number {
  if (asked !== -1 && asked !== current) refuse(errorCode.badVersion)
  return (current + 1) | 0
}
function isBeyond(limit: number, used: Quota, what: 'bytes' | 'count', more: number): boolean {
  return limit > -1 && more > 0 && used[what] + more > limit
}
function codeOf(error: unknown): number {
  if (error instanceof Refusal) return error.code
  if (error instanceof MalformedError) return errorCode.marshallingError
  throw error
}
