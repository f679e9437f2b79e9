/** One znode. A million of them must fit: numbers V8 keeps unboxed, bigints shared, paths shared with the tree's map. */
import type { Writer } from '../../wire/writer.ts'
import type { Stat, StatPersisted } from '../protocol/records.ts'

export class Znode {
  /** Never changed in place: a reply or a snapshot may still be looking at it. */
  data: Buffer | null
  aclId: number
  czxid: bigint
  mzxid: bigint
  pzxid: bigint
  ctime: number
  mtime: number
  version: number
  /** Counts creations of children alone; what clients see follows from it: see `shownCversion`. */
  cversion: number
  aversion: number
  /** As it is stored: 0, a session, or the mark of a container or a TTL (owner.ts). */
  ephemeralOwner: bigint
  /** Full paths: the very strings that are keys of the tree. */
  children: Set<string> | undefined = undefined
  /** CRC-32 over path and data, signed; and the znode's whole digest, signed. See digest.ts. */
  content = 0
  digest = 0

  constructor(data: Buffer | null, aclId: number, stat: StatPersisted) {
    this.data = data
    this.aclId = aclId
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

  get dataLength(): number {
    return this.data === null ? 0 : this.data.length
  }
  get childCount(): number {
    return this.children === undefined ? 0 : this.children.size
  }
  /** Clients see creations and deletions counted. */
  get shownCversion(): number {
    return (this.cversion * 2 - this.childCount) | 0
  }
}

/** What a client sees. `shownOwner`: containers and TTL znodes show 0. */
export function statOf(node: Znode, shownOwner: bigint): Stat {
  return {
    czxid: node.czxid, mzxid: node.mzxid, ctime: node.ctime, mtime: node.mtime, version: node.version, cversion: node.shownCversion,
    aversion: node.aversion, ephemeralOwner: shownOwner, dataLength: node.dataLength, numChildren: node.childCount, pzxid: node.pzxid,
  }
}
/** The 68 bytes of a Stat without an object in between: reads are the hot path. */
export function writeStat(writer: Writer, node: Znode, shownOwner: bigint): void {
  writer.bigint64(node.czxid)
  writer.bigint64(node.mzxid)
  writer.int64(node.ctime)
  writer.int64(node.mtime)
  writer.int32(node.version)
  writer.int32(node.shownCversion)
  writer.int32(node.aversion)
  writer.bigint64(shownOwner)
  writer.int32(node.dataLength)
  writer.int32(node.childCount)
  writer.bigint64(node.pzxid)
}
