/**
 * One znode. A million of them must fit: the object holds what must be an object, paths are shared with the tree's map, and its numbers and
 * small data lie in slabs outside the heap (slabs.ts).
 */
import type { Writer } from '../../wire/writer.ts'
import type { Stat, StatPersisted } from '../protocol/records.ts'
import { placedDigest } from './digest.ts'
import { placedMax, Slab, type SlabMemory } from './slabs.ts'

/**
 * Data of this size, and more than has a place in a slab, is kept as a string of one byte for each character: 16 bytes more than the data,
 * where a Buffer of its own is 300, and a piece of Node's pool keeps eight KiB of other people's garbage alive.
 */
const packedMax = 16 * 1024
/** Up to so many bytes are copied one by one: calling out of JavaScript costs more. */
const loopMax = 256

/** A znode's numbers in its place: big-endian, the first sixty bytes as its digest takes them. */
const czxidAt = 0
const mzxidAt = 8
const pzxidAt = 16
const ctimeAt = 24
const mtimeAt = 32
const versionAt = 40
const cversionAt = 44
const aversionAt = 48
const ownerAt = 52
const contentAt = 60
const digestAt = 64
const aclAt = 68
/** Where data that has a place in a slab lies there, and how long it is: 16 bits each. */
const dataAt = 76
const dataSizeAt = 78
const numbersSize = 80

export class Znode {
  readonly #slab: Slab
  /** Undefined once the znode is released: whoever looks at it then fails, in place of seeing another's numbers. */
  #view: DataView | undefined
  readonly #at: number
  /** A slab, with the place in the numbers; or what is too large for one; '' where there is none of it, null where there is no data. */
  #data: Slab | string | Buffer | null = null
  /** Full paths: the very strings that are keys of the tree. */
  children: Set<string> | undefined = undefined

  /** Takes places in `memory`, until `release`. Copies `data`, which may be a window on something larger. */
  constructor(memory: SlabMemory, data: Uint8Array | null, aclId: number, stat: StatPersisted) {
    const slab = memory.poolFor(numbersSize).withRoom()
    const at = slab.take()
    const view = slab.view
    this.#slab = slab
    this.#view = view
    this.#at = at
    view.setBigInt64(at + czxidAt, stat.czxid)
    view.setBigInt64(at + mzxidAt, stat.mzxid)
    view.setBigInt64(at + pzxidAt, stat.pzxid)
    setInt64(view, at + ctimeAt, stat.ctime)
    setInt64(view, at + mtimeAt, stat.mtime)
    view.setInt32(at + versionAt, stat.version)
    view.setInt32(at + cversionAt, stat.cversion)
    view.setInt32(at + aversionAt, stat.aversion)
    view.setBigInt64(at + ownerAt, stat.ephemeralOwner)
    view.setInt32(at + contentAt, 0)
    view.setInt32(at + digestAt, 0)
    view.setFloat64(at + aclAt, aclId)
    this.setData(data)
  }
  /** Gives the places back. The znode must not be looked at any more, but for its children. */
  release(): void {
    this.setData(null)
    this.#view = undefined
    this.#slab.give(this.#at)
  }

  get #numbers(): DataView {
    const view = this.#view
    if (view === undefined) throw new Error('a znode that has been deleted was looked at')
    return view
  }
  get czxid(): bigint {
    return this.#numbers.getBigInt64(this.#at + czxidAt)
  }
  get mzxid(): bigint {
    return this.#numbers.getBigInt64(this.#at + mzxidAt)
  }
  set mzxid(zxid: bigint) {
    this.#numbers.setBigInt64(this.#at + mzxidAt, zxid)
  }
  get pzxid(): bigint {
    return this.#numbers.getBigInt64(this.#at + pzxidAt)
  }
  set pzxid(zxid: bigint) {
    this.#numbers.setBigInt64(this.#at + pzxidAt, zxid)
  }
  get ctime(): number {
    return getInt64(this.#numbers, this.#at + ctimeAt)
  }
  get mtime(): number {
    return getInt64(this.#numbers, this.#at + mtimeAt)
  }
  set mtime(time: number) {
    setInt64(this.#numbers, this.#at + mtimeAt, time)
  }
  get version(): number {
    return this.#numbers.getInt32(this.#at + versionAt)
  }
  set version(version: number) {
    this.#numbers.setInt32(this.#at + versionAt, version)
  }
  /** Counts creations of children alone; what clients see follows from it: see `shownCversion`. */
  get cversion(): number {
    return this.#numbers.getInt32(this.#at + cversionAt)
  }
  set cversion(cversion: number) {
    this.#numbers.setInt32(this.#at + cversionAt, cversion)
  }
  get aversion(): number {
    return this.#numbers.getInt32(this.#at + aversionAt)
  }
  set aversion(aversion: number) {
    this.#numbers.setInt32(this.#at + aversionAt, aversion)
  }
  /** As it is stored: 0, a session, or the mark of a container or a TTL (owner.ts). */
  get ephemeralOwner(): bigint {
    return this.#numbers.getBigInt64(this.#at + ownerAt)
  }
  /** Whether it is owned by nobody, which is most often so, without a bigint. */
  get isPersistent(): boolean {
    const view = this.#numbers
    return view.getInt32(this.#at + ownerAt) === 0 && view.getInt32(this.#at + ownerAt + 4) === 0
  }
  /** CRC-32 over path and data, signed; and the znode's whole digest, signed. See digest.ts. */
  get content(): number {
    return this.#numbers.getInt32(this.#at + contentAt)
  }
  set content(content: number) {
    this.#numbers.setInt32(this.#at + contentAt, content)
  }
  get digest(): number {
    return this.#numbers.getInt32(this.#at + digestAt)
  }
  set digest(digest: number) {
    this.#numbers.setInt32(this.#at + digestAt, digest)
  }
  get aclId(): number {
    return this.#numbers.getFloat64(this.#at + aclAt)
  }
  set aclId(id: number) {
    this.#numbers.setFloat64(this.#at + aclAt, id)
  }
  /** Whether it was created after the transaction whose zxid has these halves: signed the high one, unsigned the low one. */
  isYoungerThan(high: number, low: number): boolean {
    const view = this.#numbers
    const own = view.getInt32(this.#at + czxidAt)
    return own > high || (own === high && view.getUint32(this.#at + czxidAt + 4) > low)
  }
  /** The digest of what it holds now. */
  digestNow(): number {
    return placedDigest(this.content, this.#numbers, this.#at)
  }

  /** A copy, where it is small; a large one must not be changed in place: a reply or a snapshot may still be looking at it. */
  get data(): Buffer | null {
    const data = this.#data
    if (typeof data === 'string') return Buffer.from(data, 'latin1')
    if (!(data instanceof Slab)) return data
    const at = this.#numbers.getUint16(this.#at + dataAt)
    return Buffer.from(data.bytes.subarray(at, at + this.dataSize))
  }
  /** Copies what it is given, which may be a window on something larger. */
  setData(data: Uint8Array | null): void {
    const view = this.#numbers
    const at = this.#at
    const size = data === null ? -1 : data.length
    const before = this.#data
    if (size > 0 && size <= placedMax) {
      const pool = this.#slab.memory.poolFor(size)
      let slab: Slab
      let place: number
      if (before instanceof Slab && before.pool === pool) {
        slab = before
        place = view.getUint16(at + dataAt)
      } else {
        if (before instanceof Slab) before.give(view.getUint16(at + dataAt))
        slab = pool.withRoom()
        place = slab.take()
        this.#data = slab
        view.setUint16(at + dataAt, place)
      }
      view.setUint16(at + dataSizeAt, size)
      const { bytes } = slab
      if (size <= loopMax) for (let index = 0; index < size; index++) bytes[place + index] = data![index]
      else bytes.set(data!, place)
      return
    }
    if (before instanceof Slab) before.give(view.getUint16(at + dataAt))
    this.#data = size < 0 ? null : size === 0 ? '' : size <= packedMax ? latin1(data!) : Buffer.from(data!)
  }

  /** The data as it stands in records: length, then bytes. Small data is copied, as it is changed in place. */
  writeData(writer: Writer): void {
    const data = this.#data
    if (data instanceof Slab) {
      const size = this.dataSize
      writer.int32(size)
      writer.copy(data.bytes, this.#numbers.getUint16(this.#at + dataAt), size)
      return
    }
    writer.int32(this.dataSize)
    if (typeof data === 'string') writer.latin1(data)
    else if (data !== null) writer.raw(data)
  }
  /** The same into `bytes` from `at` on; answers where it ends. Only where the data is no more than there is room for. */
  copyData(bytes: Buffer, at: number): number {
    const data = this.#data
    const size = this.dataSize
    let next = bytes.writeInt32BE(size, at)
    if (data instanceof Slab) {
      const from = this.#numbers.getUint16(this.#at + dataAt)
      const source = data.bytes
      if (size > loopMax) bytes.set(source.subarray(from, from + size), next)
      else for (let index = 0; index < size; index++) bytes[next + index] = source[from + index]
      next += size
    } else if (typeof data === 'string') next += bytes.latin1Write(data, next)
    else if (data !== null) {
      bytes.set(data, next)
      next += data.length
    }
    return next
  }
  /** Bytes of data; −1 where there is none, which is not the same as none of it. */
  get dataSize(): number {
    const data = this.#data
    return data instanceof Slab ? this.#numbers.getUint16(this.#at + dataSizeAt) : data === null ? -1 : data.length
  }
  get dataLength(): number {
    return Math.max(0, this.dataSize)
  }
  get childCount(): number {
    return this.children === undefined ? 0 : this.children.size
  }
  /** Clients see creations and deletions counted. */
  get shownCversion(): number {
    return (this.cversion * 2 - this.childCount) | 0
  }

  /** The 68 bytes of a Stat without an object in between: reads are the hot path. `shownOwner`: containers and TTL znodes show 0. */
  writeStat(writer: Writer, showsOwner: boolean): void {
    const view = this.#numbers
    const at = this.#at
    writer.words(view, at + czxidAt, 4)
    writer.words(view, at + ctimeAt, 5)
    writer.int32(this.shownCversion)
    writer.int32(view.getInt32(at + aversionAt))
    if (showsOwner) writer.words(view, at + ownerAt, 2)
    else writer.words(zeros, 0, 2)
    writer.int32(this.dataLength)
    writer.int32(this.childCount)
    writer.words(view, at + pzxidAt, 2)
  }
  /** The sixty bytes of a StatPersisted, to `to`. */
  copyPersisted(into: DataView, to: number): void {
    const view = this.#numbers
    const at = this.#at
    for (let offset = 0; offset < 16; offset += 4) into.setInt32(to + offset, view.getInt32(at + czxidAt + offset))
    for (let offset = 0; offset < 36; offset += 4) into.setInt32(to + 16 + offset, view.getInt32(at + ctimeAt + offset))
    for (let offset = 0; offset < 8; offset += 4) into.setInt32(to + 52 + offset, view.getInt32(at + pzxidAt + offset))
  }
  writePersisted(writer: Writer): void {
    const view = this.#numbers
    const at = this.#at
    writer.words(view, at + czxidAt, 4)
    writer.words(view, at + ctimeAt, 9)
    writer.words(view, at + pzxidAt, 2)
  }
}
const zeros = new DataView(new ArrayBuffer(8))

/** What a client sees. `shownOwner`: containers and TTL znodes show 0. */
export function statOf(node: Znode, shownOwner: bigint): Stat {
  return {
    czxid: node.czxid, mzxid: node.mzxid, ctime: node.ctime, mtime: node.mtime, version: node.version, cversion: node.shownCversion,
    aversion: node.aversion, ephemeralOwner: shownOwner, dataLength: node.dataLength, numChildren: node.childCount, pzxid: node.pzxid,
  }
}

function latin1(data: Uint8Array): string {
  return Buffer.from(data.buffer, data.byteOffset, data.length).latin1Slice(0, data.length)
}
function getInt64(view: DataView, at: number): number {
  return view.getInt32(at) * 0x1_0000_0000 + view.getUint32(at + 4)
}
function setInt64(view: DataView, at: number, value: number): void {
  view.setInt32(at, Math.floor(value / 0x1_0000_0000))
  view.setInt32(at + 4, value | 0)
}

declare global {
  interface Buffer {
    latin1Slice(start?: number, end?: number): string
  }
}
