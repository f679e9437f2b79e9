/** Reads big-endian values from one received frame. Every length is checked before anything is allocated. */
import { readInt64 } from './int64.ts'

/** The bytes are not what the schema says: the sender's fault, or corruption. Names position and expectation. */
export class MalformedError extends Error {
  readonly position: number
  constructor(reason: string, position: number) {
    super(`${reason} at byte ${position}`)
    this.name = 'MalformedError'
    this.position = position
  }
}

/** A frame of 100 MiB may claim a hundred million one-byte elements; as objects they would be gigabytes. */
const elementsMaxDefault = 4_000_000

const hex = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

export class Reader {
  readonly bytes: Buffer
  offset: number
  readonly end: number
  #elementsLeft: number

  constructor(bytes: Uint8Array, offset = 0, end = bytes.length, elementsMax = elementsMaxDefault) {
    this.bytes = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.offset = offset
    this.end = end
    this.#elementsLeft = elementsMax
  }

  get remaining(): number {
    return this.end - this.offset
  }

  malformed(reason: string): MalformedError {
    return new MalformedError(reason, this.offset)
  }

  /** Moves over `size` bytes and returns where they began. */
  skip(size: number): number {
    const start = this.offset
    if (size < 0 || size > this.end - start) throw this.malformed(`${size} bytes wanted, ${this.end - start} left`)
    this.offset = start + size
    return start
  }

  /** Allows `count` elements of at least `sizeMin` bytes each, or throws. */
  claim(count: number, sizeMin: number): number {
    if (count < 0) throw this.malformed(`an array of ${count} elements`)
    if (count * sizeMin > this.end - this.offset) throw this.malformed(`an array of ${count} elements in ${this.remaining} bytes`)
    this.#elementsLeft -= count
    if (this.#elementsLeft < 0) throw this.malformed('more array elements than one message may have')
    return count
  }

  int8(): number {
    return (this.bytes[this.skip(1)] << 24) >> 24
  }
  uint8(): number {
    return this.bytes[this.skip(1)]
  }
  bool(): boolean {
    return this.bytes[this.skip(1)] !== 0
  }
  int16(): number {
    const at = this.skip(2)
    return ((this.bytes[at] << 24) >> 16) | this.bytes[at + 1]
  }
  uint16(): number {
    const at = this.skip(2)
    return (this.bytes[at] << 8) | this.bytes[at + 1]
  }
  int32(): number {
    const at = this.skip(4)
    const b = this.bytes
    return (b[at] << 24) | (b[at + 1] << 16) | (b[at + 2] << 8) | b[at + 3]
  }
  uint32(): number {
    return this.int32() >>> 0
  }
  /** An int64 that has to fit a safe integer: offsets and producer ids never exceed 2^53. */
  int64(): number {
    const high = this.int32()
    const value = high * 0x1_0000_0000 + this.uint32()
    if (!Number.isSafeInteger(value)) throw new MalformedError(`an int64 of ${high * 0x1_0000_0000} is beyond 2^53`, this.offset - 8)
    return value
  }
  /** The whole range of int64: timestamps, session ids, zxids, broker epochs. */
  bigint64(): bigint {
    return readInt64(this.bytes, this.skip(8))
  }
  float64(): number {
    return this.bytes.readDoubleBE(this.skip(8))
  }
  /** Unsigned varint of at most five bytes. */
  uvarint(): number {
    let value = 0
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.bytes[this.skip(1)]
      value |= (byte & 0x7f) << shift
      if (byte < 0x80) {
        if (shift === 28 && byte > 0x0f) throw this.malformed('a varint beyond 32 bits')
        return value >>> 0
      }
    }
    throw this.malformed('a varint of more than five bytes')
  }
  /** Zigzag varint, int32. */
  varint(): number {
    const raw = this.uvarint()
    return (raw >>> 1) ^ -(raw & 1)
  }
  /** Zigzag varlong that has to fit a safe integer. */
  varlong(): number {
    let low = 0
    let high = 0
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = this.bytes[this.skip(1)]
      const bits = byte & 0x7f
      if (shift < 28) low |= bits << shift
      else if (shift === 28) {
        low |= bits << 28
        high |= bits >>> 4
      } else high |= bits << (shift - 32)
      if (byte < 0x80) {
        const sign = low & 1
        const magnitude = (((low >>> 1) | (high << 31)) >>> 0) + (high >>> 1) * 0x1_0000_0000
        const value = sign ? -magnitude - 1 : magnitude
        if (!Number.isSafeInteger(value)) throw this.malformed('a varlong beyond 2^53')
        return value
      }
    }
    throw this.malformed('a varint of more than ten bytes')
  }
  /** Zigzag varlong, the whole int64 range. */
  bigvarlong(): bigint {
    let value = 0n
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.bytes[this.skip(1)]
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) {
        value = BigInt.asUintN(64, value)
        return BigInt.asIntN(64, (value >> 1n) ^ -(value & 1n))
      }
    }
    throw this.malformed('a varint of more than ten bytes')
  }
  uuid(): string {
    const at = this.skip(16)
    return this.bytes.toString('base64url', at, at + 16)
  }
  utf8(size: number): string {
    const at = this.skip(size)
    return this.bytes.toString('utf8', at, at + size)
  }
  /** A window on the frame: it keeps the whole frame alive. */
  view(size: number): Buffer {
    const at = this.skip(size)
    return this.bytes.subarray(at, at + size)
  }
  /** A copy, free to outlive the frame. */
  copy(size: number): Buffer {
    const at = this.skip(size)
    return Buffer.from(this.bytes.subarray(at, at + size))
  }
  /** Skips a section of tagged fields that nobody asked for. */
  skipTags(): void {
    for (let count = this.uvarint(); count > 0; count--) {
      this.uvarint()
      this.skip(this.uvarint())
    }
  }
}

/** For messages: the first bytes of something unexpected, in hex. */
export function hexOf(bytes: Uint8Array, sizeMax = 16): string {
  let text = ''
  for (let index = 0; index < bytes.length && index < sizeMax; index++) text += hex[bytes[index]]
  return bytes.length > sizeMax ? `${text}…` : text
}
