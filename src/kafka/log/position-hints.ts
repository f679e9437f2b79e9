/**
 * Where the offsets of the last few writes begin: whoever read up to one of them reads on from there. A ring, written over without
 * anything new for the garbage collector, and searched from its newest end, where most readers are.
 */
const countMax = 64

export class PositionHints {
  /** Offset and position in turns; made with the first. */
  #ring: Float64Array | undefined
  #count = 0
  #next = 0

  add(offset: number, position: number): void {
    const ring = (this.#ring ??= new Float64Array(2 * countMax))
    ring[2 * this.#next] = offset
    ring[2 * this.#next + 1] = position
    this.#next = (this.#next + 1) % countMax
    if (this.#count < countMax) this.#count++
  }
  /** The position that was said last for exactly this offset. */
  get(offset: number): number | undefined {
    const ring = this.#ring
    if (ring === undefined) return undefined
    for (let back = 1; back <= this.#count; back++) {
      const at = 2 * ((this.#next - back + countMax) % countMax)
      if (ring[at] === offset) return ring[at + 1]
    }
    return undefined
  }
  clear(): void {
    this.#count = this.#next = 0
  }
}
