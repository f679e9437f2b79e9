/** Large buffers that are used again: fresh memory costs more than most of what is done with it. */

/** Smaller ones are not worth it. */
const sizeMin = 64 * 1024
/** Larger ones are made for one use. */
const sizeMax = 4 * 1024 * 1024

export class BufferPool {
  readonly #bytesMax: number
  readonly #free = new Map<number, Buffer[]>()
  #freeBytes = 0
  /** What is in use and may come back. */
  readonly #lent = new WeakSet<ArrayBufferLike>()

  /** `bytesMax`: of what is kept while nobody uses it. */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }
  /** A buffer of `size` bytes, whatever they are; give it back with `reuse` when nobody looks at it any more, or leave it to the garbage collector. */
  take(size: number): Buffer {
    if (size > sizeMax) return Buffer.allocUnsafeSlow(size)
    const sizeClass = sizeClassOf(size)
    let buffer = this.#free.get(sizeClass)?.pop()
    if (buffer) this.#freeBytes -= sizeClass
    else buffer = Buffer.allocUnsafeSlow(sizeClass)
    this.#lent.add(buffer.buffer)
    return buffer.subarray(0, size)
  }
  /** Its bytes may be overwritten from now on. Buffers that are not from here, or are back already, are left alone. */
  reuse({ buffer }: Buffer): void {
    if (!this.#lent.delete(buffer)) return
    const sizeClass = buffer.byteLength
    if (this.#freeBytes + sizeClass > this.#bytesMax) return
    const free = this.#free.get(sizeClass) ?? []
    this.#free.set(sizeClass, free)
    free.push(Buffer.from(buffer))
    this.#freeBytes += sizeClass
  }
}

const sizeClassOf = (size: number): number => Math.max(sizeMin, 2 ** Math.ceil(Math.log2(size)))
