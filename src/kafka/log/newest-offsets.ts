/**
 * What the first walk of a cleaning has found out: the newest offset of each key, and which offsets of the range it went over are newest, so that
 * the second walk has to look up only the keys of what was clean before.
 */
import { OffsetMap } from './offset-map.ts'

/** Offsets a bit is kept for; a range with more (a log that was cleaned often) is looked up by keys. */
const bitsMax = 1 << 27

export class NewestOffsets {
  readonly #map: OffsetMap
  readonly #from: number
  /** A bit for each offset from `#from` on that is no longer its key's newest. */
  readonly #outdated: Uint8Array | undefined
  readonly #bits: number

  /** `count` offsets from `from` on will be noted, with at most `countMax` keys. */
  constructor({ from, count, countMax, secret, loadFactor }: { from: number; count: number; countMax: number; secret: Buffer; loadFactor: number }) {
    this.#map = new OffsetMap(countMax, secret, loadFactor)
    this.#from = from
    this.#bits = count <= bitsMax ? count : 0
    this.#outdated = this.#bits > 0 ? new Uint8Array((count >>> 3) + 1) : undefined
  }
  get count(): number {
    return this.#map.count
  }
  get countMax(): number {
    return this.#map.countMax
  }
  /** A record of the key lies at `offset`, behind all noted so far. */
  note(bytes: Uint8Array, offset: number, from?: number, to?: number): void {
    const before = this.#map.set(bytes, offset, from, to) - this.#from
    if (before >= 0 && before < this.#bits) this.#outdated![before >>> 3] |= 1 << (before & 7)
  }
  /** Whether each offset in [from, to] was noted and is no longer its key's newest. */
  isAllOutdated(from: number, to: number): boolean {
    const first = from - this.#from
    const last = to - this.#from
    if (first < 0 || last < first || last >= this.#bits) return false
    const outdated = this.#outdated!
    for (let bit = first; bit <= last; ) {
      const byte = outdated[bit >>> 3]
      if ((bit & 7) === 0 && byte === 0xff && bit + 7 <= last) bit += 8
      else if ((byte & (1 << (bit & 7))) === 0) return false
      else bit++
    }
    return true
  }
  /** Whether no newer record of the key, which lies at `offset`, was noted. */
  isNewest(bytes: Uint8Array, offset: number, from?: number, to?: number): boolean {
    const bit = offset - this.#from
    if (bit >= 0 && bit < this.#bits) return (this.#outdated![bit >>> 3] & (1 << (bit & 7))) === 0
    return offset >= this.#map.get(bytes, from, to)
  }
}
