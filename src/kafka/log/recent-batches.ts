/**
 * The newest batches of the logs that others copy, as they lie in memory anyway: followers read what was just written, and need not have
 * it read back from the file. Bounded over all logs; the oldest go first.
 */

interface Recent {
  readonly baseOffset: number
  readonly nextOffset: number
  readonly size: number
  /** What is counted for it. */
  readonly cost: number
  /** Several batches, which may not be given out to somebody who has room for the first only. */
  readonly isJoined: boolean
  /** Empty once forgotten. */
  pieces: readonly Uint8Array[]
  /** Who looks at the bytes: the write to the file at first, then those who were given them and have not said that they are done. */
  uses: number
  /** Runs when it is forgotten and nobody looks at the bytes any more. */
  readonly free: (() => void) | undefined
  readonly of: RecentBatches
}

/** Smaller batches are remembered together, as the write of a turn puts them into one buffer. */
const rememberedMin = 16 * 1024
/** Counted for such a buffer beside its bytes: it may keep alive the whole of the memory that Node cuts small buffers from. */
const joinedOverhead = Buffer.poolSize
/** A batch keeps alive the frame it came with; one that is a small part of its frame is not worth that. */
const frameShareMin = 1 / 4

/** What all logs of a broker remember. */
export class RecentMemory {
  readonly #bytesMax: number
  /** In the order of appends; what was forgotten meanwhile is skipped. */
  #queue: (Recent | undefined)[] = []
  #from = 0
  #bytes = 0
  /** How many in the queue their logs have forgotten. */
  #forgotten = 0

  constructor(bytesMax = 32 * 1024 * 1024) {
    this.#bytesMax = bytesMax
  }
  get bytes(): number {
    return this.#bytes
  }
  /** How many it knows of, those that are forgotten included. */
  get length(): number {
    return this.#queue.length - this.#from
  }
  add(recent: Recent): void {
    this.#queue.push(recent)
    this.#bytes += recent.cost
    while (this.#bytes > this.#bytesMax) {
      const oldest = this.#queue[this.#from]
      this.#queue[this.#from++] = undefined
      if (oldest && oldest.of.dropOldest(oldest)) this.#bytes -= oldest.cost
      else this.#forgotten--
    }
    if (this.#from > 1024 && this.#from * 2 > this.#queue.length) {
      this.#queue = this.#queue.slice(this.#from)
      this.#from = 0
    }
  }
  forgotten(bytes: number, count: number): void {
    this.#bytes -= bytes
    this.#forgotten += count
    if (this.#forgotten * 2 < this.#queue.length - this.#from) return
    this.#queue = this.#queue.filter((recent) => recent && recent.pieces.length > 0)
    this.#from = 0
    this.#forgotten = 0
  }
}

/** What one log remembers: ascending by offset, not always without gaps. */
export class RecentBatches {
  readonly #memory: RecentMemory
  #batches: Recent[] = []
  /** Those before it are forgotten. */
  #from = 0

  constructor(memory: RecentMemory) {
    this.#memory = memory
  }
  /**
   * When the bytes are remembered they must not change any more, until what `keep` gave has run. What this returns then is to be called when they
   * have been written.
   */
  add(baseOffset: number, nextOffset: number, size: number, pieces: readonly Uint8Array[], keep?: () => () => void): (() => void) | undefined {
    if (size < rememberedMin || pieces.some(({ buffer }) => size < buffer.byteLength * frameShareMin)) return undefined
    const recent: Recent = { baseOffset, nextOffset, size, cost: size, isJoined: false, pieces, uses: 1, free: keep?.(), of: this }
    this.#add(recent)
    return () => letGo(recent)
  }
  /** Batches that were put together for one write. Those that come behind later ones, or with one that is remembered already, are not remembered. */
  addJoined(baseOffset: number, nextOffset: number, joined: Buffer): void {
    const last = this.#batches[this.#batches.length - 1] as Recent | undefined
    if (last && last.nextOffset > baseOffset) return
    this.#add({ baseOffset, nextOffset, size: joined.length, cost: joined.length + joinedOverhead, isJoined: true, pieces: [joined], uses: 0, free: undefined, of: this })
  }
  #add(recent: Recent): void {
    this.#batches.push(recent)
    this.#memory.add(recent)
  }
  /** For the memory: true when it was remembered here until now. */
  dropOldest(oldest: Recent): boolean {
    if (this.#batches[this.#from] !== oldest) return false
    forget(oldest)
    this.#from++
    if (this.#from * 2 > this.#batches.length) {
      this.#batches = this.#batches.slice(this.#from)
      this.#from = 0
    }
    return true
  }
  /** The log has been cut, replaced or closed. */
  clear(): void {
    let bytes = 0
    const forgotten = this.#batches.slice(this.#from)
    for (const batch of forgotten) {
      bytes += batch.cost
      forget(batch)
    }
    this.#batches = []
    this.#from = 0
    if (bytes > 0) this.#memory.forgotten(bytes, forgotten.length)
  }

  /**
   * Whole batches from the one that begins exactly at `offset`, as long as one follows the other and ends at or before `end`; undefined when
   * there is none. The bytes do not change before `done` has run; who does not run it may keep them.
   */
  read(offset: number, { maxBytes, minOneBatch, end }: { maxBytes: number; minOneBatch: boolean; end: number }): { slices: Buffer[]; size: number; done: () => void } | undefined {
    let index = this.#indexOf(offset)
    if (index < 0) return undefined
    const slices: Buffer[] = []
    const used: Recent[] = []
    let size = 0
    for (let next = offset; index < this.#batches.length; index++) {
      const batch = this.#batches[index]
      if (batch.baseOffset !== next || batch.nextOffset > end) break
      if (size + batch.size > maxBytes && !(size === 0 && minOneBatch && !batch.isJoined)) break
      for (const { buffer, byteOffset, byteLength } of batch.pieces) slices.push(Buffer.from(buffer, byteOffset, byteLength))
      batch.uses++
      used.push(batch)
      size += batch.size
      next = batch.nextOffset
    }
    if (size === 0) return undefined
    // Once: who is done is so for good.
    const done = (): void => {
      for (const batch of used.splice(0)) letGo(batch)
    }
    return { slices, size, done }
  }
  #indexOf(offset: number): number {
    let low = this.#from
    let high = this.#batches.length - 1
    while (low <= high) {
      const middle = (low + high) >> 1
      const { baseOffset } = this.#batches[middle]
      if (baseOffset === offset) return middle
      if (baseOffset < offset) low = middle + 1
      else high = middle - 1
    }
    return -1
  }
}

function letGo(recent: Recent): void {
  if (--recent.uses === 0 && recent.pieces.length === 0) recent.free?.()
}
function forget(recent: Recent): void {
  recent.pieces = []
  if (recent.uses === 0) recent.free?.()
}
