/**
 * Takes the byte stream of a quorum connection apart. Packets have no outer length, and after a SNAP comes a raw snapshot, so the
 * only way to find an end is to read up to it:
 *
 *     packet   := type:int32 zxid:int64 data:buf count:int32 { scheme:str id:str }      (count −1: null)
 *     snapshot := count:int32 { sessionId:int64 timeoutMs:int32 }
 *                 count:int32 { aclId:int64 vec<ACL> }
 *                 { path:str data:buf aclId:int64 StatPersisted(60) } str("/") str("BenWasHere")
 */
import { readInt32, readInt64 } from '../../wire/int64.ts'
import { MalformedError, Reader } from '../../wire/reader.ts'
import { snapshotSignature, type QuorumPacket } from '../protocol/quorum.ts'
import { Acl, Id, StatPersisted } from '../protocol/records.ts'

/** Who is told what a snapshot from the leader holds, in the stream's order. */
export interface SnapshotSink {
  session(id: bigint, timeoutMs: number): void
  acl(id: bigint, acl: Acl[]): void
  /** `path` of the root is ''. */
  node(path: string, data: Buffer | null, aclId: bigint, stat: StatPersisted): void
}

const statSize = 60
/** A session may own a great many ephemerals, and its end lists them all. */
export const packetSizeMaxDefault = 64 * 1024 * 1024
const idsMax = 1024
const aclMax = 65_536
const typesKnown = 19

export class QuorumStream {
  /** Bytes taken in so far. */
  received = 0
  readonly #sizeMax: number
  #bytes: Buffer = Buffer.alloc(0)
  #chunks: Buffer[] = []
  #size = 0
  #at = 0
  /** What is known to be needed before it is worth looking again. */
  #needed = 0
  #ids: { readonly bytes: Buffer; readonly ids: Id[] } | undefined
  #snapshot: { stage: 'sessions' | 'acls' | 'nodes' | 'end'; left: number; count: number } | undefined

  constructor(sizeMax = packetSizeMaxDefault) {
    this.#sizeMax = sizeMax
  }

  push(chunk: Buffer): void {
    this.#chunks.push(chunk)
    this.#size += chunk.length
    this.received += chunk.length
  }
  /** The next packet, whose data is a window on what came; undefined: more bytes are needed. Throws MalformedError for what is none. */
  packet(): QuorumPacket | undefined {
    if (!this.#gather(20)) return undefined
    const type = this.#int32(0)
    if (type < 1 || type > typesKnown) throw new MalformedError(`a packet of unknown type ${type}: not a ZooKeeper server, or not on this port`, this.#at)
    let size = 16 + this.#length(12, 'data')
    if (!this.#gather(size + 4)) return undefined
    const count = this.#int32(size)
    if (count < -1 || count > idsMax) throw new MalformedError(`${count} ids in a packet`, this.#at + size)
    size += 4
    for (let left = count * 2; left > 0; left--) {
      if (!this.#gather(size + 4)) return undefined
      size += 4 + this.#length(size, 'an id')
    }
    if (!this.#gather(size)) return undefined
    const bytes = this.#bytes
    const at = this.#at
    this.#at += size
    const dataSize = readInt32(bytes, at + 12)
    const dataEnd = at + 16 + Math.max(0, dataSize)
    return {
      type, zxid: readInt64(bytes, at + 4), data: dataSize < 0 ? null : bytes.subarray(at + 16, dataEnd),
      authinfo: count < 0 ? null : count === 0 ? [] : this.#idsAt(dataEnd + 4, at + size),
    }
  }
  /** Requests of one client after the other come with the same few ids. */
  #idsAt(start: number, end: number): Id[] {
    const known = this.#ids
    if (known && known.bytes.length === end - start && known.bytes.compare(this.#bytes, start, end) === 0) return known.ids
    const reader = new Reader(this.#bytes, start, end)
    const ids: Id[] = []
    while (reader.remaining > 0) ids.push(Id.read(reader))
    this.#ids = { bytes: Buffer.from(this.#bytes.subarray(start, end)), ids }
    return ids
  }
  /** From here on comes a snapshot: to be called after a SNAP packet. */
  beginSnapshot(): void {
    this.#snapshot = { stage: 'sessions', left: -1, count: 0 }
  }
  /** Tells what has arrived; true once the snapshot is complete. Throws MalformedError where the stream is none. */
  snapshot(sink: SnapshotSink): boolean {
    const state = this.#snapshot
    if (!state) throw new Error('no snapshot has been announced')
    for (;;) {
      if (state.stage === 'end') {
        if (!this.#gather(4 + snapshotSignature.length)) return false
        const text = this.#bytes.toString('latin1', this.#at + 4, this.#at + 4 + snapshotSignature.length)
        if (this.#bytes.readInt32BE(this.#at) !== snapshotSignature.length || text !== snapshotSignature)
          throw new MalformedError(`a snapshot ends with "${snapshotSignature}", and this one with ${JSON.stringify(text)}`, this.#at)
        this.#at += 4 + snapshotSignature.length
        this.#snapshot = undefined
        return true
      }
      if (state.stage === 'nodes') {
        if (!this.#node(sink, state)) return false
        continue
      }
      if (state.left < 0) {
        if (!this.#gather(4)) return false
        state.left = this.#bytes.readInt32BE(this.#at)
        if (state.left < 0) throw new MalformedError(`a snapshot with ${state.left} ${state.stage}`, this.#at)
        this.#at += 4
      }
      if (state.left === 0) {
        state.left = -1
        state.stage = state.stage === 'sessions' ? 'acls' : 'nodes'
        continue
      }
      if (state.stage === 'sessions') {
        if (!this.#gather(12)) return false
        sink.session(this.#bytes.readBigInt64BE(this.#at), this.#bytes.readInt32BE(this.#at + 8))
        this.#at += 12
      } else if (!this.#acl(sink)) return false
      state.left--
    }
  }

  #acl(sink: SnapshotSink): boolean {
    if (!this.#gather(12)) return false
    const count = this.#int32(8)
    if (count < -1 || count > aclMax) throw new MalformedError(`an access control list of ${count} entries`, this.#at)
    let size = 12
    for (let left = count; left > 0; left--) {
      // perms and scheme, then the id.
      for (const before of [4, 0]) {
        if (!this.#gather(size + before + 4)) return false
        size += before + 4 + this.#length(size + before, 'an access control list')
      }
    }
    if (!this.#gather(size)) return false
    const reader = new Reader(this.#bytes, this.#at, this.#at + size)
    const id = reader.bigint64()
    reader.int32()
    const acl: Acl[] = []
    for (let left = count; left > 0; left--) acl.push(Acl.read(reader))
    this.#at += size
    sink.acl(id, acl)
    return true
  }
  #node(sink: SnapshotSink, state: { stage: string; count: number }): boolean {
    if (!this.#gather(4)) return false
    const pathSize = this.#length(0, 'a path')
    if (!this.#gather(8 + pathSize)) return false
    if (pathSize === 1 && this.#bytes[this.#at + 4] === 0x2f) {
      this.#at += 5
      state.stage = 'end'
      return true
    }
    const dataSize = this.#length(4 + pathSize, 'data')
    const size = 16 + pathSize + dataSize + statSize
    if (!this.#gather(size)) return false
    const bytes = this.#bytes
    const path = bytes.toString('utf8', this.#at + 4, this.#at + 4 + pathSize)
    if (state.count++ === 0 ? path !== '' : path[0] !== '/') throw new MalformedError(`a znode called ${JSON.stringify(path.slice(0, 100))}`, this.#at)
    const dataAt = this.#at + 8 + pathSize
    const data = bytes.readInt32BE(dataAt - 4) < 0 ? null : Buffer.from(bytes.subarray(dataAt, dataAt + dataSize))
    const aclId = bytes.readBigInt64BE(dataAt + dataSize)
    const stat = StatPersisted.read(new Reader(bytes, dataAt + dataSize + 8, this.#at + size))
    this.#at += size
    sink.node(path, data, aclId, stat)
    return true
  }

  /** An int32 `offset` bytes ahead, which must be gathered. */
  #int32(offset: number): number {
    return readInt32(this.#bytes, this.#at + offset)
  }
  /** A length `offset` bytes ahead, which must be gathered; null counts as 0. */
  #length(offset: number, what: string): number {
    const size = this.#int32(offset)
    if (size < -1 || size > this.#sizeMax) throw new MalformedError(`${what} of ${size} bytes`, this.#at + offset)
    return Math.max(0, size)
  }
  /** Whether `size` bytes stand at the current position, in one piece. */
  #gather(size: number): boolean {
    const held = this.#bytes.length - this.#at
    if (held >= size) return true
    if (held + this.#size < size || held + this.#size < this.#needed) {
      this.#needed = Math.max(this.#needed, size)
      return false
    }
    this.#needed = 0
    this.#bytes = held === 0 && this.#chunks.length === 1 ? this.#chunks[0] : Buffer.concat([this.#bytes.subarray(this.#at), ...this.#chunks])
    this.#at = 0
    this.#chunks = []
    this.#size = 0
    return this.#bytes.length >= size
  }
}
