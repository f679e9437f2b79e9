/** Writes big-endian values into a buffer that grows; large byte strings are spliced in, never copied. */
import { writeInt64 } from './int64.ts'

/** Below this, copying costs less than one more piece in the list handed to the socket. */
const spliceMin = 2048
/** Up to so many characters are written one by one: calling out of JavaScript costs more. */
const asciiMax = 48
/** The same for bytes. */
const copyMax = 256
/** A new buffer is larger than this only when one piece needs it. */
const chunkMax = 16_384

export class Writer {
  #buffer: Buffer
  #position = 0
  /** Finished pieces before the current buffer, and where in the current buffer the next piece starts. */
  #pieces: Uint8Array[] = []
  #piecesSize = 0
  #start = 0

  constructor(sizeHint = 256) {
    this.#buffer = Buffer.allocUnsafe(sizeHint)
  }

  /** Bytes written so far, splices included. */
  get size(): number {
    return this.#piecesSize + this.#position - this.#start
  }

  /** Makes room and moves behind it. Call it before touching #buffer in the same expression: it may put a larger one there. */
  #room(size: number): number {
    const at = this.#position
    if (at + size > this.#buffer.length) this.#grow(size)
    const start = this.#position
    this.#position = start + size
    return start
  }
  #grow(size: number): void {
    const kept = this.#position - this.#start
    // What was handed out by finish() is gone from here: a writer that is used for years must not double with every message.
    const grown = Buffer.allocUnsafe(Math.max(Math.min(this.#buffer.length * 2, chunkMax), kept * 2, kept + size + 64))
    this.#buffer.copy(grown, 0, this.#start, this.#position)
    this.#buffer = grown
    this.#start = 0
    this.#position = kept
  }

  int8(value: number): void {
    const at = this.#room(1)
    this.#buffer[at] = value
  }
  uint8(value: number): void {
    const at = this.#room(1)
    this.#buffer[at] = value
  }
  bool(value: boolean): void {
    const at = this.#room(1)
    this.#buffer[at] = value ? 1 : 0
  }
  int16(value: number): void {
    const at = this.#room(2)
    this.#buffer[at] = value >> 8
    this.#buffer[at + 1] = value
  }
  uint16(value: number): void {
    this.int16(value)
  }
  int32(value: number): void {
    const at = this.#room(4)
    const b = this.#buffer
    b[at] = value >> 24
    b[at + 1] = value >> 16
    b[at + 2] = value >> 8
    b[at + 3] = value
  }
  uint32(value: number): void {
    this.int32(value | 0)
  }
  int64(value: number): void {
    if (!Number.isSafeInteger(value)) throw new RangeError(`${value} is not an integer within 2^53`)
    this.int32(Math.floor(value / 0x1_0000_0000))
    this.int32(value | 0) // ToInt32 is the value modulo 2^32: its low half
  }
  bigint64(value: bigint): void {
    const at = this.#room(8)
    writeInt64(this.#buffer, at, value)
  }
  float64(value: number): void {
    const at = this.#room(8)
    this.#buffer.writeDoubleBE(value, at)
  }
  uvarint(value: number): void {
    let rest = value >>> 0
    while (rest > 0x7f) {
      this.uint8((rest & 0x7f) | 0x80)
      rest >>>= 7
    }
    this.uint8(rest)
  }
  /** Zigzag varint, int32. */
  varint(value: number): void {
    this.uvarint((value << 1) ^ (value >> 31))
  }
  /** Zigzag varlong of a safe integer. */
  varlong(value: number): void {
    if (value >= -0x4000_0000 && value < 0x4000_0000) this.varint(value)
    else this.bigvarlong(BigInt(value))
  }
  bigvarlong(value: bigint): void {
    let rest = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n))
    while (rest > 0x7fn) {
      this.uint8(Number(rest & 0x7fn) | 0x80)
      rest >>= 7n
    }
    this.uint8(Number(rest))
  }
  /** A uuid as Kafka prints it: 22 characters of base64url. */
  uuid(value: string): void {
    const at = this.#room(16)
    if (this.#buffer.write(value, at, 16, 'base64url') !== 16) throw new RangeError(`'${value}' is not a uuid in base64url`)
  }
  /** UTF-8 without a length; returns its size in bytes. */
  utf8(value: string): void {
    const at = this.#room(Buffer.byteLength(value))
    this.#buffer.utf8Write(value, at)
  }
  /** UTF-8 after its size in bytes, an int32. */
  sized(value: string): void {
    const { length } = value
    // A character is three bytes at most, a surrogate pair four.
    const at = this.#room(4 + length * 3)
    let end = at + 4
    if (length <= asciiMax) {
      const b = this.#buffer
      for (let index = 0; index < length; index++) {
        const unit = value.charCodeAt(index)
        if (unit > 0x7f) {
          end = -1
          break
        }
        b[end++] = unit
      }
      if (end < 0) end = at + 4 + b.utf8Write(value, at + 4)
    } else end += this.#buffer.utf8Write(value, end)
    this.#position = at
    this.int32(end - at - 4)
    this.#position = end
  }
  /** Characters below 128, without a length: for short texts that are known. */
  ascii(value: string): void {
    const at = this.#room(value.length)
    const b = this.#buffer
    for (let index = 0; index < value.length; index++) b[at + index] = value.charCodeAt(index)
  }
  /** One byte for each character, without a length. */
  latin1(value: string): void {
    const at = this.#room(value.length)
    this.#buffer.latin1Write(value, at)
  }
  /** `count` words of four bytes from `at` on, as they stand there. */
  words(from: DataView, at: number, count: number): void {
    for (let index = 0; index < count; index++) this.int32(from.getInt32(at + index * 4))
  }
  /** `size` bytes from `at` on, copied whatever their size: for memory that changes. */
  copy(from: Uint8Array, at: number, size: number): void {
    let to = this.#room(size)
    const b = this.#buffer
    if (size > copyMax) b.set(from.subarray(at, at + size), to)
    else for (const end = at + size; at < end; at++) b[to++] = from[at]
  }
  /** Bytes without a length. Large ones are kept as they are: they must not change until the message is sent. */
  raw(value: Uint8Array): void {
    if (value.length < spliceMin) {
      const at = this.#room(value.length)
      this.#buffer.set(value, at)
      return
    }
    this.#cut()
    this.#pieces.push(value)
    this.#piecesSize += value.length
  }
  #cut(): void {
    if (this.#position === this.#start) return
    this.#pieces.push(this.#buffer.subarray(this.#start, this.#position))
    this.#piecesSize += this.#position - this.#start
    this.#start = this.#position
  }
  /** Begins a section whose size stands before it as an unsigned varint; nothing in it may be spliced. */
  beginSized(): number {
    return this.#position - this.#start
  }
  endSized(mark: number): void {
    const size = this.#position - this.#start - mark
    const width = size < 0x80 ? 1 : size < 0x4000 ? 2 : size < 0x20_0000 ? 3 : size < 0x1000_0000 ? 4 : 5
    this.#room(width)
    const from = this.#start + mark
    this.#buffer.copyWithin(from + width, from, from + size)
    const end = this.#position
    this.#position = from
    this.uvarint(size)
    this.#position = end
  }
  /** Overwrites four bytes at `at`, which is what `size` was when a placeholder for them was written. */
  patchInt32(at: number, value: number): void {
    let buffer: Uint8Array = this.#buffer
    let position = this.#start + at - this.#piecesSize
    if (at < this.#piecesSize) {
      let from = this.#piecesSize
      let index = this.#pieces.length
      do from -= this.#pieces[--index].length
      while (at < from)
      buffer = this.#pieces[index]
      position = at - from
    }
    buffer[position] = value >> 24
    buffer[position + 1] = value >> 16
    buffer[position + 2] = value >> 8
    buffer[position + 3] = value
  }
  /** What was written, in order; the writer may be used again afterwards. */
  finish(): Uint8Array[] {
    this.#cut()
    const pieces = this.#pieces
    this.#pieces = []
    this.#piecesSize = 0
    return pieces
  }
  /** What was written as a frame: the first four bytes, written as an int32 of anything, become the size of the rest. */
  finishFrame(): Uint8Array[] {
    const size = this.size
    const pieces = this.finish()
    const head = pieces[0]
    new DataView(head.buffer, head.byteOffset, 4).setInt32(0, size - 4)
    return pieces
  }
  /** What was written as one window on this writer's memory, which is not written again; the writer may be used again afterwards. */
  take(): Buffer {
    if (this.#pieces.length > 0) return this.toBuffer()
    const taken = this.#buffer.subarray(this.#start, this.#position)
    this.#start = this.#position
    return taken
  }
  /** What was written as one buffer of its own. */
  toBuffer(): Buffer {
    const pieces = this.finish()
    return pieces.length === 1 ? Buffer.from(pieces[0]) : Buffer.concat(pieces)
  }
}

declare global {
  interface Buffer {
    utf8Write(text: string, offset?: number, length?: number): number
    latin1Write(text: string, offset?: number, length?: number): number
  }
}
