/** What prepared but unapplied writes will have made of the tree: the newest version of each znode they touch. */
import type { Acl } from '../protocol/records.ts'
import type { Digested } from './digest.ts'
import type { ZnodeTree } from './tree.ts'

/** A znode as it will be. Replaced by a copy for each change, never changed after it has been added. */
export interface PendingNode extends Digested {
  readonly path: string
  exists: boolean
  childCount: number
  acl: readonly Acl[]
  /** CRC over path and data, and the znode's digest: see digest.ts. */
  content: number
  digest: number
}
interface Change {
  readonly zxid: bigint
  readonly node: PendingNode
  /** What the change replaced, for taking it back; kept until its transaction is complete. */
  before: PendingNode | undefined
}

export class PendingChanges {
  readonly #tree: ZnodeTree
  readonly #newest = new Map<string, PendingNode>()
  #changes: Change[] = []
  /** Changes before this one are applied; the list is cut from time to time. */
  #applied = 0

  constructor(tree: ZnodeTree) {
    this.#tree = tree
  }
  get size(): number {
    return this.#changes.length - this.#applied
  }

  /** The znode as it will be; undefined where there will be none. Not to be changed: see `copyOf`. */
  find(path: string): PendingNode | undefined {
    const pending = this.#newest.get(path === '/' ? '' : path)
    if (pending) return pending.exists ? pending : undefined
    const node = this.#tree.get(path)
    if (!node) return undefined
    return {
      path: path === '/' ? '' : path, exists: true, childCount: node.childCount, acl: this.#tree.aclOf(node), content: node.content, digest: node.digest >>> 0,
      czxid: node.czxid, mzxid: node.mzxid, pzxid: node.pzxid, ctime: node.ctime, mtime: node.mtime, version: node.version,
      cversion: node.cversion, aversion: node.aversion, ephemeralOwner: node.ephemeralOwner,
    }
  }
  add(zxid: bigint, node: PendingNode): void {
    this.#changes.push({ zxid, node, before: this.#newest.get(node.path) })
    this.#newest.set(node.path, node)
  }
  /** Where the list stands, for `rollback` and `commit`. */
  mark(): number {
    return this.#changes.length
  }
  /** Takes back every change since the mark. */
  rollback(mark: number): void {
    while (this.#changes.length > mark) {
      const { node, before } = this.#changes.pop() as Change
      if (before) this.#newest.set(node.path, before)
      else this.#newest.delete(node.path)
    }
  }
  /** The changes since the mark stay: nothing needs to know any more what they replaced. */
  commit(mark: number): void {
    for (let at = mark; at < this.#changes.length; at++) this.#changes[at].before = undefined
  }
  /** The tree holds everything up to `zxid`: forget what said so in advance. */
  appliedUpTo(zxid: bigint): void {
    while (this.#applied < this.#changes.length && this.#changes[this.#applied].zxid <= zxid) {
      const { node } = this.#changes[this.#applied++]
      if (this.#newest.get(node.path) === node) this.#newest.delete(node.path)
    }
    if (this.#applied === this.#changes.length) {
      this.#changes = []
      this.#applied = 0
    } else if (this.#applied > 4096) {
      this.#changes = this.#changes.slice(this.#applied)
      this.#applied = 0
    }
  }
  *[Symbol.iterator](): Iterator<PendingNode> {
    for (let at = this.#applied; at < this.#changes.length; at++) yield this.#changes[at].node
  }
}
