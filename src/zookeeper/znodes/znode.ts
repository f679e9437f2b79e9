/** One znode. A million of them must fit: numbers V8 keeps unboxed, bigints shared, paths shared with the tree's map. */
import type { Writer } from '../../wire/writer.ts'
import type { Stat, StatPersisted } from '../protocol/records.ts'

/**
 * Data up to this size is kept as a string of one byte for each character: 16 bytes more than the data, where a Buffer of its own is 300,
 * and a piece of Node's pool keeps eight KiB of other people's garbage alive.
 */
const packedMax = 16 * 1024

export class Znode {
  #data: Buffer | string | null = null
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
    // Equal ones are one object: a snapshot that was read has three of each.
    this.mzxid = stat.mzxid === stat.czxid ? stat.czxid : stat.mzxid
    this.pzxid = stat.pzxid === stat.czxid ? stat.czxid : stat.pzxid
    this.ctime = stat.ctime
    this.mtime = stat.mtime
    this.version = stat.version
    this.cversion = stat.cversion
    this.aversion = stat.aversion
    this.ephemeralOwner = stat.ephemeralOwner === 0n ? 0n : stat.ephemeralOwner
  }

  /** A copy, where it is small; a large one must not be changed in place: a reply or a snapshot may still be looking at it. */
  get data(): Buffer | null {
    return typeof this.#data === 'string' ? Buffer.from(this.#data, 'latin1') : this.#data
  }
  /** Copies what it is given, which may be a window on something larger. */
  set data(data: Buffer | null) {
    this.#data = data === null ? null : data.length <= packedMax ? data.latin1Slice(0, data.length) : Buffer.from(data)
  }
  /** The data as it stands in records: length, then bytes. */
  writeData(writer: Writer): void {
    const data = this.#data
    writer.int32(data === null ? -1 : data.length)
    if (typeof data === 'string') writer.latin1(data)
    else if (data !== null) writer.raw(data)
  }
  get dataLength(): number {
    return this.#data === null ? 0 : this.#data.length
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

declare global {
  interface Buffer {
    latin1Slice(start?: number, end?: number): string
  }
}
