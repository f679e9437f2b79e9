/** Bytes as they came from a socket, handed out as frames. A frame is a window on what came; a large one is joined once. */

const none = Buffer.alloc(0)

export class FrameBuffer {
  #chunk: Buffer = none
  #at = 0
  #more: Buffer[] = []
  #size = 0

  /** Bytes that nobody has taken yet. */
  get size(): number {
    return this.#size
  }
  push(chunk: Buffer): void {
    if (this.#at === this.#chunk.length && this.#more.length === 0) {
      this.#chunk = chunk
      this.#at = 0
    } else this.#more.push(chunk)
    this.#size += chunk.length
  }
  /** The next `size` bytes without taking them; undefined until they are there. */
  peek(size: number): Buffer | undefined {
    if (this.#size < size) return undefined
    if (this.#chunk.length - this.#at < size) {
      this.#chunk = Buffer.concat([this.#chunk.subarray(this.#at), ...this.#more])
      this.#at = 0
      this.#more = []
    }
    return this.#chunk.subarray(this.#at, this.#at + size)
  }
  take(size: number): Buffer | undefined {
    const bytes = this.peek(size)
    if (bytes) {
      this.#at += size
      this.#size -= size
    }
    return bytes
  }
  /** The size that stands before the next frame, without taking it. */
  peekInt32(): number | undefined {
    if (this.#size < 4) return undefined
    if (this.#chunk.length - this.#at < 4) this.peek(4)
    return this.#chunk.readInt32BE(this.#at)
  }
  /** Takes an int32, which must be there. */
  int32(): number {
    const value = this.peekInt32()
    if (value === undefined) throw new RangeError('no int32 is there')
    this.#at += 4
    this.#size -= 4
    return value
  }
  clear(): void {
    this.#chunk = none
    this.#at = 0
    this.#more = []
    this.#size = 0
  }
}
