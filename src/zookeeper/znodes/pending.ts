/** What prepared but unapplied writes will have made of the tree: the newest version of each znode they touch. */
import type { Acl } from '../protocol/records.ts'
import type { Digested } from './digest.ts'
import type { ZnodeTree } from './tree.ts'

/** A znode as it will be. */
export class PendingNode implements Digested {
  readonly path: string
  exists = true
  childCount: number
  acl: readonly Acl[]
  /** CRC over path and data, and the znode's digest: see digest.ts. */
  content: number
  digest: number
  czxid: bigint
  mzxid: bigint
  pzxid: bigint
  ctime: number
  mtime: number
  version: number
  cversion: number
  aversion: number
  ephemeralOwner: bigint
  /** The last transaction that changes it; 0 until it is added. */
  changedBy = 0n

  constructor(path: string, acl: readonly Acl[], stat: Digested, { content, digest, childCount }: { content: number; digest: number; childCount: number }) {
    this.path = path
    this.childCount = childCount
    this.acl = acl
    this.content = content
    this.digest = digest
    this.czxid = stat.czxid
    this.mzxid = stat.mzxid
    this.pzxid = stat.pzxid
    this.ctime = stat.ctime
    this.mtime = stat.mtime
    this.version = stat.version
    this.cversion = stat.cversion
    this.aversion = stat.aversion
    this.ephemeralOwner = stat.ephemeralOwner
  }
}

export class PendingChanges {
  readonly #tree: ZnodeTree
  readonly #newest = new Map<string, PendingNode>()
  /** One entry of both lists for each change. A znode that is changed in place stands there several times. */
  #nodes: PendingNode[] = []
  #zxids: bigint[] = []
  /** Changes before this one are applied; the lists are cut from time to time. */
  #applied = 0
  /** While a transaction may still be taken back: what each change since `#undoFrom` replaced. */
  #undo: (PendingNode | undefined)[] | undefined
  #undoFrom = 0

  constructor(tree: ZnodeTree) {
    this.#tree = tree
  }
  get size(): number {
    return this.#nodes.length - this.#applied
  }

  /** The znode as it will be; undefined where there will be none. To be changed: `writable` first, `add` afterwards. */
  find(path: string): PendingNode | undefined {
    const key = path === '/' ? '' : path
    const pending = this.#newest.get(key)
    if (pending) return pending.exists ? pending : undefined
    const node = this.#tree.get(path)
    return node && new PendingNode(key, this.#tree.aclOf(node), node, { content: node.content, digest: node.digest >>> 0, childCount: node.childCount })
  }
  /** `node`, or a copy of it where the change may have to be taken back. */
  writable(node: PendingNode): PendingNode {
    return this.#undo && node.changedBy !== 0n ? new PendingNode(node.path, node.acl, node, node) : node
  }
  add(zxid: bigint, node: PendingNode): void {
    this.#undo?.push(this.#newest.get(node.path))
    this.#nodes.push(node)
    this.#zxids.push(zxid)
    if (node.changedBy === 0n) this.#newest.set(node.path, node)
    node.changedBy = zxid
  }
  /** From here to `commit`, changes can be taken back by `rollback`. */
  begin(): void {
    this.#undo = []
    this.#undoFrom = this.#nodes.length
  }
  /** Takes back every change since `begin`, if there was one. */
  rollback(): void {
    if (!this.#undo) return
    while (this.#nodes.length > this.#undoFrom) {
      const { path } = this.#nodes.pop() as PendingNode
      this.#zxids.pop()
      const before = this.#undo.pop()
      if (before) this.#newest.set(path, before)
      else this.#newest.delete(path)
    }
  }
  /** The changes stay: nothing needs to know any more what they replaced. */
  commit(): void {
    this.#undo = undefined
  }
  /** The tree holds everything up to `zxid`: forget what said so in advance. */
  appliedUpTo(zxid: bigint): void {
    const nodes = this.#nodes
    const zxids = this.#zxids
    while (this.#applied < nodes.length && zxids[this.#applied] <= zxid) {
      const node = nodes[this.#applied++]
      if (node.changedBy <= zxid && this.#newest.get(node.path) === node) this.#newest.delete(node.path)
    }
    if (this.#applied === nodes.length) {
      this.#nodes = []
      this.#zxids = []
      this.#applied = 0
    } else if (this.#applied > 4096) {
      this.#nodes = nodes.slice(this.#applied)
      this.#zxids = zxids.slice(this.#applied)
      this.#applied = 0
    }
  }
  *[Symbol.iterator](): Iterator<PendingNode> {
    for (let at = this.#applied; at < this.#nodes.length; at++) yield this.#nodes[at]
  }
}
