/** Hands out producer ids from blocks that the controller allocates (reference §5.8, KIP-730). */

export interface ProducerIdBlock {
  start: number
  length: number
}

/** The next block is asked for when this share of the current one is used. */
const prefetchShare = 0.9

export class ProducerIds {
  readonly #allocate: () => Promise<ProducerIdBlock>
  #next = 0
  #end = 0
  #prefetchAt = 0
  #coming: ProducerIdBlock | undefined
  #asking: Promise<void> | undefined

  constructor(allocate: () => Promise<ProducerIdBlock>) {
    this.#allocate = allocate
  }

  /** A producer id that no other producer of the cluster has, or undefined when the controller gives none now. */
  async take(): Promise<number | undefined> {
    if (this.#next === this.#end && !this.#coming) await this.#ask().catch(() => undefined)
    if (this.#next === this.#end) {
      if (!this.#coming) return undefined
      this.#next = this.#coming.start
      this.#end = this.#coming.start + this.#coming.length
      this.#prefetchAt = this.#coming.start + Math.floor(this.#coming.length * prefetchShare)
      this.#coming = undefined
    }
    const id = this.#next++
    // A failed prefetch is asked for again by the next taker; nobody waits for this one.
    if (id >= this.#prefetchAt && !this.#coming) this.#ask().catch(() => undefined)
    return id
  }
  #ask(): Promise<void> {
    return (this.#asking ??= this.#allocate()
      .then((block) => {
        this.#coming = block
      })
      .finally(() => {
        this.#asking = undefined
      }))
  }
}
