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
  readonly #outdated: Uint8Array
  readonly #bits: number

  /** `count` offsets from `from` on will be noted, with at most `countMax` keys. */
  constructor({ from, count, countMax, secret, loadFactor }: { from: number; count: number; countMax: number; secret: Buffer; loadFactor: number }) {
    this.#from = from
    const bits = (this.#bits = count <= bitsMax ? count : 0)
    const outdated = (this.#outdated = new Uint8Array(bits > 0 ? (bits >>> 3) + 1 : 0))
    this.#map = new OffsetMap(countMax, secret, {
      loadFactor,
      replaced: (offset) => {
        const bit = offset - from
        if (bit >= 0 && bit < bits) outdated[bit >>> 3] |= 1 << (bit & 7)
      },
    })
  }
  /** Whether so many keys more would fit, if all were new. */
  hasRoomFor(keys: number): boolean {
    return this.#map.hasRoomFor(keys)
  }
  get isEmpty(): boolean {
    return this.#map.count === 0
  }
  /** A record of the key lies at `offset`, behind all noted so far. */
  note(bytes: Uint8Array, offset: number, from?: number, to?: number): void {
    this.#map.set(bytes, offset, from, to)
  }
  /** Comes when all is noted, before what follows is asked. */
  settle(): void {
    this.#map.settle()
  }
  /** Whether each offset in [from, to] was noted and is no longer its key's newest. */
  isAllOutdated(from: number, to: number): boolean {
    const first = from - this.#from
    const last = to - this.#from
    if (first < 0 || last < first || last >= this.#bits) return false
    const outdated = this.#outdated
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
    if (bit >= 0 && bit < this.#bits) return (this.#outdated[bit >>> 3] & (1 << (bit & 7))) === 0
    return offset >= this.#map.get(bytes, from, to)
  }
}
