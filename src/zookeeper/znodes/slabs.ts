/**
 * Places of fixed sizes outside the heap. A million znodes are a million objects fewer for each thing that is kept here: the garbage
 * collector neither marks nor moves them. Who takes a place gives it back, once, and looks at it no more.
 */

/** Large enough that the objects around a slab do not count, small enough that a tree of a few znodes does not pay for it. */
const slabSize = 64 * 1024

/** One buffer, cut into places of one size. */
export class Slab {
  readonly memory: SlabMemory
  readonly pool: SlabPool
  readonly bytes: Buffer
  readonly view: DataView
  /** The place given back last; its first four bytes say which one before it. −1: none. */
  #free = -1
  /** Everything from here on was never taken. */
  #fresh = 0
  used = 0

  constructor(memory: SlabMemory, pool: SlabPool, bytes: Buffer) {
    this.memory = memory
    this.pool = pool
    this.bytes = bytes
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  }
  get isFull(): boolean {
    return this.#free < 0 && this.#fresh + this.pool.size > this.bytes.length
  }
  /** Where the place begins. Its content is whatever was there before. Only where the slab is not full. */
  take(): number {
    let at = this.#free
    if (at >= 0) this.#free = this.view.getInt32(at)
    else {
      at = this.#fresh
      this.#fresh += this.pool.size
    }
    this.used++
    if (this.isFull) this.pool.filled(this)
    return at
  }
  give(at: number): void {
    const wasFull = this.isFull
    this.view.setInt32(at, this.#free)
    this.#free = at
    this.used--
    this.pool.given(this, wasFull)
  }
}

/** All slabs with places of one size. */
export class SlabPool {
  readonly size: number
  readonly #memory: SlabMemory
  /** Those with room; the last one is filled first. */
  readonly #open: Slab[] = []

  constructor(memory: SlabMemory, size: number) {
    this.#memory = memory
    this.size = size
  }
  /** A slab that is not full: to be taken from at once. */
  withRoom(): Slab {
    const { length } = this.#open
    if (length > 0) return this.#open[length - 1]
    const slab = new Slab(this.#memory, this, Buffer.allocUnsafeSlow(Math.floor(slabSize / this.size) * this.size))
    this.#memory.size += slab.bytes.length
    this.#open.push(slab)
    return slab
  }
  filled(slab: Slab): void {
    // Taken from the last one alone.
    if (this.#open.pop() !== slab) throw new Error('a place was taken from a slab that is not the pool’s next')
  }
  given(slab: Slab, wasFull: boolean): void {
    if (wasFull) this.#open.push(slab)
    // An empty one goes, unless it is the only one with room: a znode that comes and goes must not make and drop a slab each time.
    else if (slab.used === 0 && this.#open.length > 1) {
      this.#open.splice(this.#open.indexOf(slab), 1)
      this.#memory.size -= slab.bytes.length
    }
  }
}

/** Data up to this size has a place in a slab. */
export const placedMax = 1024

/** The slabs of one tree. */
export class SlabMemory {
  /** Bytes of all slabs, used or not. */
  size = 0
  /** By size rounded up: in eights up to 128, in sixty-fours beyond. */
  readonly #pools: (SlabPool | undefined)[] = []

  /** The pool for `size` bytes, 1 to `placedMax`. */
  poolFor(size: number): SlabPool {
    const index = size <= 128 ? (size + 7) >> 3 : 14 + ((size + 63) >> 6)
    return (this.#pools[index] ??= new SlabPool(this, size <= 128 ? index << 3 : (index - 14) << 6))
  }
}
