/** Writes one snapshot file piece by piece; between pieces other work gets its turn. */
import type { DiskFile } from '../../host/host.ts'
import { adler32 } from '../../wire/adler32.ts'
import { Writer } from '../../wire/writer.ts'
import { Acl, type StatPersisted } from '../protocol/records.ts'
import { snapshotHeaderSize, snapshotMagic, snapshotVersion, statSize, type SnapshotDigest } from './snapshot-format.ts'

/** Encoding, checksum and hand-over of one piece take about a millisecond. */
const pieceSize = 128 * 1024

export class SnapshotWriter {
  readonly #file: DiskFile
  /** The piece being filled; data larger than it goes into the file without being copied. */
  #piece = Buffer.allocUnsafe(pieceSize)
  #filled = 0
  #ready: Uint8Array[] = []
  #readySize = 0
  #position = 0
  #adler = 1

  constructor(file: DiskFile) {
    this.#file = file
  }

  /** Enough has been gathered that it should be written with `flush`, before more is added. */
  get full(): boolean {
    return this.#readySize + this.#filled >= pieceSize
  }
  /** Size of the file so far. */
  get size(): number {
    return this.#position + this.#readySize + this.#filled
  }

  /** Header, sessions and the table of access control lists. */
  begin(sessions: readonly { id: bigint; timeoutMs: number }[], acls: readonly { id: number | bigint; acl: readonly Acl[] }[]): void {
    const writer = new Writer(1024 + sessions.length * 12)
    writer.uint32(snapshotMagic)
    writer.int32(snapshotVersion)
    writer.bigint64(-1n)
    if (writer.size !== snapshotHeaderSize) throw new Error('the header of a snapshot has changed its size')
    writer.int32(sessions.length)
    for (const { id, timeoutMs } of sessions) {
      writer.bigint64(id)
      writer.int32(timeoutMs)
    }
    writer.int32(acls.length)
    for (const { id, acl } of acls) {
      writer.bigint64(BigInt(id))
      writer.int32(acl.length)
      for (const entry of acl) Acl.write(writer, entry)
    }
    this.#add(writer.toBuffer())
  }

  /** One znode; the root's path is ''. Parents go before their children. */
  node(path: string, data: Uint8Array | null, aclId: number | bigint, stat: StatPersisted): void {
    const pathSize = Buffer.byteLength(path)
    const dataSize = data?.length ?? 0
    const apart = dataSize > pieceSize / 4
    const at = this.#room(16 + pathSize + statSize + (apart ? 0 : dataSize))
    const piece = this.#piece
    piece.writeInt32BE(pathSize, at)
    piece.write(path, at + 4, 'utf8')
    let next = at + 4 + pathSize
    piece.writeInt32BE(data ? dataSize : -1, next)
    next += 4
    if (apart) {
      this.#filled = next
      this.#cut()
      this.#ready.push(data!)
      this.#readySize += dataSize
      this.#adler = adler32(data!, this.#adler)
      next = this.#room(8 + statSize)
    } else if (data) {
      piece.set(data, next)
      next += dataSize
    }
    next = this.#piece.writeBigInt64BE(BigInt(aclId), next)
    next = this.#piece.writeBigInt64BE(stat.czxid, next)
    next = this.#piece.writeBigInt64BE(stat.mzxid, next)
    next = writeInt64(this.#piece, stat.ctime, next)
    next = writeInt64(this.#piece, stat.mtime, next)
    next = this.#piece.writeInt32BE(stat.version, next)
    next = this.#piece.writeInt32BE(stat.cversion, next)
    next = this.#piece.writeInt32BE(stat.aversion, next)
    next = this.#piece.writeBigInt64BE(stat.ephemeralOwner, next)
    this.#filled = this.#piece.writeBigInt64BE(stat.pzxid, next)
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

  /** Writes what has been gathered. */
  async flush(): Promise<void> {
    this.#cut()
    const ready = this.#ready
    const position = this.#position
    this.#ready = []
    this.#position += this.#readySize
    this.#readySize = 0
    if (ready.length > 0) await this.#file.write(ready, position)
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
    this.#filled = at + bytes.length
  }
  /** Where `size` bytes can be put; the caller moves `#filled`. */
  #room(size: number): number {
    if (this.#filled + size > this.#piece.length) {
      this.#cut()
      if (size > this.#piece.length) this.#piece = Buffer.allocUnsafe(size)
    }
    return this.#filled
  }
  /** Closes the piece being filled. */
  #cut(): void {
    if (this.#filled === 0) return
    const piece = this.#piece.subarray(0, this.#filled)
    this.#adler = adler32(piece, this.#adler)
    this.#ready.push(piece)
    this.#readySize += this.#filled
    this.#piece = Buffer.allocUnsafe(pieceSize)
    this.#filled = 0
  }
}

function writeInt64(into: Buffer, value: number, at: number): number {
  into.writeInt32BE(Math.floor(value / 0x1_0000_0000), at)
  return into.writeInt32BE(value | 0, at + 4)
}
