/**
 * The newest batches of the logs that others copy, as they lie in memory anyway: followers read what was just written, and need not have
 * it read back from the file. Bounded over all logs; the oldest go first.
 */

interface Recent {
  readonly baseOffset: number
  readonly nextOffset: number
  readonly size: number
  /** Empty once forgotten. */
  pieces: readonly Uint8Array[]
  readonly of: RecentBatches
}

/** Smaller batches are as quickly read from the file. */
const rememberedMin = 16 * 1024
/** A batch keeps alive the frame it came with; one that is a small part of its frame is not worth that. */
const frameShareMin = 1 / 4

/** What all logs of a broker remember. */
export class RecentMemory {
  readonly #bytesMax: number
  /** In the order of appends; what was forgotten meanwhile is skipped. */
  #queue: (Recent | undefined)[] = []
  #from = 0
  #bytes = 0

  constructor(bytesMax = 32 * 1024 * 1024) {
    this.#bytesMax = bytesMax
  }
  get bytes(): number {
    return this.#bytes
  }
  add(recent: Recent): void {
    this.#queue.push(recent)
    this.#bytes += recent.size
    while (this.#bytes > this.#bytesMax) {
      const oldest = this.#queue[this.#from]
      this.#queue[this.#from++] = undefined
      if (oldest && oldest.of.dropOldest(oldest)) this.#bytes -= oldest.size
    }
    if (this.#from > 1024 && this.#from * 2 > this.#queue.length) {
      this.#queue = this.#queue.slice(this.#from)
      this.#from = 0
    }
  }
  forgotten(bytes: number): void {
    this.#bytes -= bytes
    if (this.#bytes > 0) return
    this.#queue = []
    this.#from = 0
  }
}

/** What one log remembers: ascending by offset, not always without gaps. */
export class RecentBatches {
  readonly #memory: RecentMemory
  #batches: Recent[] = []

  constructor(memory: RecentMemory) {
    this.#memory = memory
  }
  /** Whether the bytes are remembered: then they must not change any more. */
  add(baseOffset: number, nextOffset: number, size: number, pieces: readonly Uint8Array[]): boolean {
    if (size < rememberedMin || pieces.some(({ buffer }) => size < buffer.byteLength * frameShareMin)) return false
    const recent: Recent = { baseOffset, nextOffset, size, pieces, of: this }
    this.#batches.push(recent)
    this.#memory.add(recent)
    return true
  }
  /** For the memory: true when it was remembered here until now. */
  dropOldest(oldest: Recent): boolean {
    if (this.#batches[0] !== oldest) return false
    this.#batches.shift()
    return true
  }
  /** The log has been cut, replaced or closed. */
  clear(): void {
    let bytes = 0
    for (const batch of this.#batches) {
      bytes += batch.size
      batch.pieces = []
    }
    this.#batches = []
    if (bytes > 0) this.#memory.forgotten(bytes)
  }

  /** Whole batches from the one that begins exactly at `offset`, as long as one follows the other and ends at or before `end`; undefined when there is none. */
  read(offset: number, { maxBytes, minOneBatch, end }: { maxBytes: number; minOneBatch: boolean; end: number }): { slices: Buffer[]; size: number } | undefined {
    let index = this.#indexOf(offset)
    if (index < 0) return undefined
    const slices: Buffer[] = []
    let size = 0
    for (let next = offset; index < this.#batches.length; index++) {
      const batch = this.#batches[index]
      if (batch.baseOffset !== next || batch.nextOffset > end) break
      if (size + batch.size > maxBytes && !(size === 0 && minOneBatch)) break
      for (const { buffer, byteOffset, byteLength } of batch.pieces) slices.push(Buffer.from(buffer, byteOffset, byteLength))
      size += batch.size
      next = batch.nextOffset
    }
    return size === 0 ? undefined : { slices, size }
  }
  #indexOf(offset: number): number {
    let low = 0
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
