/**
 * Cuts what a connection receives into frames: int32 size, then that many bytes. It also says where bytes are to be received: those of a
 * large frame go straight to their place in it.
 */
import { hexOf, MalformedError } from '../../wire/reader.ts'

/** Small frames are received here and copied out; of a large one this is the most that has to be copied. */
const scratchSize = 64 * 1024
/** A buffer up to this size is kept for the next large frame. */
const keptSizeMax = 16 * 1024 * 1024

export class FrameReceiver {
  readonly #sizeMax: number
  readonly #reusesRoom: boolean
  /** Begins with a frame's size; what of it is filled belongs to frames that are not whole yet. */
  #scratch: Buffer | undefined
  #scratchFilled = 0
  /** A large frame that is being received, without its size. */
  #large: Buffer | undefined
  #largeFilled = 0
  #kept: Buffer | undefined

  constructor({ sizeMax, reusesRoom }: { sizeMax: number; reusesRoom: boolean }) {
    this.#sizeMax = sizeMax
    this.#reusesRoom = reusesRoom
  }

  /** Where the next bytes should go; never empty. */
  room(): Uint8Array {
    if (this.#large) return this.#large.subarray(this.#largeFilled)
    return (this.#scratch ??= Buffer.allocUnsafeSlow(scratchSize)).subarray(this.#scratchFilled)
  }
  /** Takes bytes, from the room or from elsewhere, and hands over each frame that is whole. Throws MalformedError at a size that cannot be. */
  received(chunk: Buffer, take: (frame: Buffer) => void): void {
    for (let rest = chunk; rest.length > 0; ) {
      rest = this.#large ? this.#fillLarge(this.#large, rest, take) : this.#fillScratch(rest)
      if (!this.#large) this.#cut(take)
    }
  }

  #fillLarge(large: Buffer, chunk: Buffer, take: (frame: Buffer) => void): Buffer {
    const size = Math.min(chunk.length, large.length - this.#largeFilled)
    if (!liesAt(chunk, large, this.#largeFilled)) chunk.copy(large, this.#largeFilled, 0, size)
    this.#largeFilled += size
    if (this.#largeFilled === large.length) {
      this.#large = undefined
      take(large)
    }
    return chunk.subarray(size)
  }
  #fillScratch(chunk: Buffer): Buffer {
    const scratch = (this.#scratch ??= Buffer.allocUnsafeSlow(scratchSize))
    const size = Math.min(chunk.length, scratch.length - this.#scratchFilled)
    if (!liesAt(chunk, scratch, this.#scratchFilled)) chunk.copy(scratch, this.#scratchFilled, 0, size)
    this.#scratchFilled += size
    return chunk.subarray(size)
  }
  /** Frames in the scratch; afterwards it is less than full, so that there is always room. */
  #cut(take: (frame: Buffer) => void): void {
    const scratch = this.#scratch
    if (!scratch) return
    let at = 0
    while (this.#scratchFilled - at >= 4) {
      const size = scratch.readInt32BE(at)
      if (size < 4 || size > this.#sizeMax) throw new MalformedError(`a frame of ${size} bytes, at most ${this.#sizeMax} are taken${foreignText(scratch.subarray(at, this.#scratchFilled))};`, 0)
      const here = this.#scratchFilled - at - 4
      if (here >= size) {
        take(Buffer.from(scratch.subarray(at + 4, at + 4 + size)))
        at += 4 + size
      } else if (size + 4 > scratch.length) {
        this.#large = this.#largeBuffer(size)
        this.#largeFilled = scratch.copy(this.#large, 0, at + 4, this.#scratchFilled)
        at = this.#scratchFilled
      } else break
    }
    if (at > 0) scratch.copyWithin(0, at, this.#scratchFilled)
    this.#scratchFilled -= at
  }
  #largeBuffer(size: number): Buffer {
    if (!this.#reusesRoom || size > keptSizeMax) return Buffer.allocUnsafeSlow(size)
    if (!this.#kept || this.#kept.length < size) this.#kept = Buffer.allocUnsafeSlow(Math.min(keptSizeMax, 2 ** Math.ceil(Math.log2(size))))
    return this.#kept.subarray(0, size)
  }
}

/** Whether the bytes are where they belong already. */
const liesAt = (chunk: Buffer, buffer: Buffer, at: number): boolean => chunk.buffer === buffer.buffer && chunk.byteOffset === buffer.byteOffset + at

/** Whose language the first bytes are in, where that can be told. */
function foreignText(bytes: Buffer): string {
  if (bytes.toString('latin1', 0, 5) === 'HTTP/') return ' (this is an HTTP server)'
  if (bytes[0] === 0x15 && bytes[1] === 0x03) return ' (this is a TLS listener)'
  return ` (it begins with ${hexOf(bytes, 8)})`
}
