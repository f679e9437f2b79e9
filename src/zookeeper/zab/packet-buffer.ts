/** Packets on their way out of one connection, written one behind the other: the hundreds of a turn cost neither a buffer nor a write each. */
import { writeInt32, writeInt64 } from '../../wire/int64.ts'
import type { QuorumPacket } from '../protocol/quorum.ts'

const chunkSize = 32 * 1024
/** Data larger than this goes out as it is, without being copied. */
const spliceMin = 8 * 1024
/** type:int32 zxid:int64 size of data:int32, and behind the data count of ids:int32. */
const fixedSize = 20
const none = Buffer.alloc(0)

export class PacketBuffer {
  #chunk: Buffer = none
  /** What of the chunk is not handed over yet. */
  #start = 0
  #at = 0
  #pieces: Uint8Array[] = []
  #piecesSize = 0

  /** Bytes that `take` would give. */
  get size(): number {
    return this.#piecesSize + this.#at - this.#start
  }
  /** The data must not change until the packet is sent. */
  packet({ type, zxid, data, authinfo }: QuorumPacket): void {
    const dataSize = data === null ? 0 : data.length
    const isSpliced = dataSize >= spliceMin
    this.#room(fixedSize + (isSpliced ? 0 : dataSize))
    const chunk = this.#chunk
    const start = this.#at
    writeInt32(chunk, start, type)
    writeInt64(chunk, start + 4, zxid)
    writeInt32(chunk, start + 12, data === null ? -1 : dataSize)
    const at = start + 16
    if (isSpliced) {
      this.#at = at
      this.#cut()
      this.#pieces.push(data as Buffer)
      this.#piecesSize += dataSize
    } else {
      if (data !== null) chunk.set(data, at)
      this.#at = at + dataSize
    }
    this.#int32(authinfo === null ? -1 : authinfo.length)
    if (authinfo === null) return
    for (const { scheme, id } of authinfo) {
      this.#string(scheme)
      this.#string(id)
    }
  }
  /** Everything so far, in order. */
  take(): Uint8Array[] {
    this.#cut()
    const pieces = this.#pieces
    this.#pieces = []
    this.#piecesSize = 0
    return pieces
  }

  #string(text: string): void {
    const size = Buffer.byteLength(text)
    this.#int32(size)
    this.#room(size)
    this.#chunk.write(text, this.#at, 'utf8')
    this.#at += size
  }
  #int32(value: number): void {
    this.#room(4)
    writeInt32(this.#chunk, this.#at, value)
    this.#at += 4
  }
  #room(size: number): void {
    if (this.#at + size <= this.#chunk.length) return
    this.#cut()
    this.#chunk = Buffer.allocUnsafeSlow(Math.max(chunkSize, size))
    this.#start = this.#at = 0
  }
  #cut(): void {
    if (this.#at === this.#start) return
    this.#pieces.push(this.#chunk.subarray(this.#start, this.#at))
    this.#piecesSize += this.#at - this.#start
    this.#start = this.#at
  }
}
