/** Writes one snapshot file piece by piece; between pieces other work gets its turn. */
import type { DiskFile } from '../../host/host.ts'
import { adler32 } from '../../wire/adler32.ts'
import { Writer } from '../../wire/writer.ts'
import { Acl } from '../protocol/records.ts'
import type { Znode } from '../znodes/znode.ts'
import { snapshotHeaderSize, snapshotMagic, snapshotVersion, statSize, type SnapshotDigest } from './snapshot-format.ts'

/** How much is gathered before it is written. */
const pieceSize = 128 * 1024
/** Room is left for the znode that comes last, so that it seldom needs a piece of its own. */
const fullSize = pieceSize - 16 * 1024
/**
 * What a snapshot has written and not synced, at most. Where a file system's journal is one for all files (ext4), the sync of a transaction waits until
 * all of it is on the device, and a client with it.
 */
const unsyncedMax = 1024 * 1024

export class SnapshotWriter {
  readonly #file: DiskFile
  /** The piece being filled, used again once it is written: a new one each time would be a reason for V8 to mark the whole heap. */
  #piece = Buffer.allocUnsafeSlow(pieceSize)
  #view = viewOf(this.#piece)
  /** What of the piece is not in `#ready` yet: from `#start` to `#filled`. Data larger than the piece goes into the file without being copied. */
  #start = 0
  #filled = 0
  #ready: Uint8Array[] = []
  #readySize = 0
  #position = 0
  #syncedTo = 0
  #adler = 1

  constructor(file: DiskFile) {
    this.#file = file
  }

  /** Enough has been gathered that it should be written with `flush`, before more is added. */
  get full(): boolean {
    return this.#readySize + this.#filled - this.#start >= fullSize
  }
  /** Size of the file so far. */
  get size(): number {
    return this.#position + this.#readySize + this.#filled - this.#start
  }

  /** The header. Then come `sessions`, each `session`, `acls`, each `acl`, each `node`, and `end`. */
  begin(): void {
    const at = this.#room(snapshotHeaderSize)
    this.#view.setUint32(at, snapshotMagic)
    this.#view.setInt32(at + 4, snapshotVersion)
    this.#view.setBigInt64(at + 8, -1n)
  }
  sessions(count: number): void {
    const at = this.#room(4)
    this.#view.setInt32(at, count)
  }
  session(id: bigint, timeoutMs: number): void {
    const at = this.#room(12)
    this.#view.setBigInt64(at, id)
    this.#view.setInt32(at + 8, timeoutMs)
  }
  acls(count: number): void {
    const at = this.#room(4)
    this.#view.setInt32(at, count)
  }
  acl(id: number | bigint, acl: readonly Acl[]): void {
    const writer = new Writer()
    writer.bigint64(BigInt(id))
    writer.int32(acl.length)
    for (const entry of acl) Acl.write(writer, entry)
    this.#add(writer.toBuffer())
  }

  /** One znode; the root's path is ''. Parents go before their children. */
  node(path: string, aclId: number, node: Znode): void {
    const { length } = path
    const dataSize = node.dataLength
    const apart = dataSize > pieceSize / 4
    // A character is three bytes at most.
    const at = this.#room(16 + length * 3 + statSize + (apart ? 0 : dataSize))
    let next = at + 4
    const piece = this.#piece
    for (let index = 0; index < length; index++) {
      const unit = path.charCodeAt(index)
      if (unit > 0x7f) {
        next = at + 4 + piece.utf8Write(path, at + 4)
        break
      }
      piece[next++] = unit
    }
    this.#view.setInt32(at, next - at - 4)
    if (apart) {
      // Large data is never changed in place, and waits for being written as it is.
      const data = node.data!
      this.#view.setInt32(next, dataSize)
      this.#filled = next + 4
      this.#cut()
      this.#adler = adler32(data, this.#adler)
      this.#ready.push(data)
      this.#readySize += dataSize
      next = this.#room(8 + statSize)
    } else next = node.copyData(piece, next)
    const view = this.#view
    view.setInt32(next, Math.floor(aclId / 0x1_0000_0000))
    view.setInt32(next + 4, aclId | 0)
    node.copyPersisted(view, next + 8)
    this.#filled = next + 8 + statSize
  }

  /** Ends the znodes and seals the file. */
  end(digest: SnapshotDigest | undefined, lastZxid?: bigint): void {
    const root = Buffer.from([0, 0, 0, 1, 0x2f])
    this.#add(root)
    this.#seal()
    if (digest) {
      const section = Buffer.alloc(20)
      section.writeBigInt64BE(digest.zxid, 0)
      section.writeInt32BE(digest.version, 8)
      section.writeBigInt64BE(digest.digest, 12)
      this.#add(section)
      this.#seal()
    }
    if (lastZxid !== undefined) {
      const section = Buffer.alloc(8)
      section.writeBigInt64BE(lastZxid, 0)
      this.#add(section)
      this.#seal()
    }
  }

  /** Writes what has been gathered, and now and then syncs; nothing may be added meanwhile. The file's end is for the caller to sync. */
  async flush(): Promise<void> {
    this.#cut()
    const ready = this.#ready
    const position = this.#position
    this.#ready = []
    this.#position += this.#readySize
    this.#readySize = 0
    if (ready.length > 0) await this.#file.write(ready, position)
    if (this.#position - this.#syncedTo >= unsyncedMax) {
      await this.#file.sync()
      this.#syncedTo = this.#position
    }
    this.#start = this.#filled = 0
  }

  #seal(): void {
    this.#cut()
    const seal = Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0x2f])
    seal.writeUInt32BE(this.#adler, 4)
    this.#add(seal)
  }
  #add(bytes: Buffer): void {
    const at = this.#room(bytes.length)
    this.#piece.set(bytes, at)
  }
  /** Takes `size` bytes; who needs fewer sets `#filled` back. */
  #room(size: number): number {
    if (this.#filled + size > this.#piece.length) {
      this.#cut()
      // What is ready still lies in the old one.
      this.#piece = Buffer.allocUnsafeSlow(Math.max(pieceSize, size))
      this.#view = viewOf(this.#piece)
      this.#start = this.#filled = 0
    }
    const at = this.#filled
    this.#filled = at + size
    return at
  }
  /** Closes what has been filled. */
  #cut(): void {
    if (this.#filled === this.#start) return
    const piece = this.#piece.subarray(this.#start, this.#filled)
    this.#adler = adler32(piece, this.#adler)
    this.#ready.push(piece)
    this.#readySize += piece.length
    this.#start = this.#filled
  }
}

function viewOf(piece: Buffer): DataView {
  return new DataView(piece.buffer, piece.byteOffset, piece.length)
}
