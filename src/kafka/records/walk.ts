/**
 * Walks the records of a batch of magic 2 without decoding them: lengths, offset deltas and timestamps are looked at,
 * keys, values and headers stepped over. The records may lie in several pieces, as a large frame arrives.
 *
 *     record := length:varint attributes:int8 timestampDelta:varlong offsetDelta:varint keyLength:varint key
 *               valueLength:varint value headerCount:varint header*
 *     header := keyLength:varint key valueLength:varint value        (−1: null, not for a header's key)
 */

/** Null keys are listed for the answer only this far. */
const listedMax = 100

export class RecordWalk {
  count = 0
  /** Every record's offset delta is its index. */
  sequential = true
  minTimestampDelta = Infinity
  maxTimestampDelta = -Infinity
  /** Index of the first record with the largest timestamp. */
  indexOfMaxTimestamp = -1
  /** Some delta is beyond 2^53 and known only roughly: decode to be exact. */
  wide = false
  readonly nullKeys: number[] = []
  hasNullKey = false
  /** What is wrong, when something is. */
  problem: string | undefined
  /** A record that began in the piece before. */
  #rest: Buffer | undefined

  /** Takes the next piece. False when something is wrong with it. */
  feed(bytes: Uint8Array): boolean {
    if (this.problem !== undefined) return false
    let piece = bytes
    let at = 0
    if (this.#rest !== undefined) {
      // The record that straddles the border is joined; its length says how much of the new piece it takes.
      const rest = this.#rest
      const head = Buffer.concat([rest, bytes.subarray(0, 5)])
      const missing = recordSize(head) - rest.length
      if (Number.isNaN(missing)) return this.#fail('a record with a malformed length')
      if (missing > bytes.length) {
        this.#rest = Buffer.concat([rest, bytes])
        return true
      }
      piece = Buffer.concat([rest, bytes.subarray(0, missing)])
      this.#rest = undefined
      if (this.#walk(piece, 0, piece.length) !== piece.length) return this.problem === undefined ? this.#fail('a record longer than its length') : false
      piece = bytes
      at = missing
    }
    const end = this.#walk(piece, at, piece.length)
    if (this.problem !== undefined) return false
    if (end < piece.length) this.#rest = Buffer.from(piece.subarray(end))
    return true
  }
  /** To be called after the last piece. */
  finish(): boolean {
    if (this.problem === undefined && this.#rest !== undefined) this.#fail(`${this.#rest.length} bytes too few for record ${this.count}`)
    return this.problem === undefined
  }
  #fail(problem: string): false {
    this.problem = problem
    return false
  }

  /** Walks complete records in [at, end); returns where the first incomplete one begins. */
  #walk(b: Uint8Array, from: number, end: number): number {
    let at = from
    let count = this.count
    let min = this.minTimestampDelta
    let max = this.maxTimestampDelta
    let maxIndex = this.indexOfMaxTimestamp
    let sequential = this.sequential
    while (at < end) {
      const start = at
      // Every varint below is read as one or two bytes here, else by `varint`.
      let length = b[at++]
      if (length > 0x7f) {
        const second = at < end ? b[at] : 0xff
        if (second < 0x80) {
          length = (length & 0x7f) | (second << 7)
          at++
        } else {
          length = varint(b, at - 1, end)
          if (length < 0) {
            if (end - start >= 5) this.problem = `record ${count} has a malformed length`
            this.#keep(count, min, max, maxIndex, sequential)
            return start
          }
          while (b[at++] > 0x7f);
        }
      }
      const size = (length >>> 1) ^ -(length & 1)
      if (size < 6) {
        this.problem = `record ${count} claims ${size} bytes`
        break
      }
      const recordEnd = at + size
      if (recordEnd > end) {
        this.#keep(count, min, max, maxIndex, sequential)
        return start
      }
      at++ // attributes: none are defined
      let delta: number
      const first = b[at]
      if (first < 0x80) {
        delta = (first >>> 1) ^ -(first & 1)
        at++
      } else if (b[at + 1] < 0x80) {
        const raw = (first & 0x7f) | (b[at + 1] << 7)
        delta = (raw >>> 1) ^ -(raw & 1)
        at += 2
      } else {
        const size = varlongSize(b, at, recordEnd)
        if (size < 0) {
          this.problem = `record ${count} has a malformed timestamp`
          break
        }
        delta = varlong(b, at, size)
        if (!Number.isSafeInteger(delta)) this.wide = true
        at += size
      }
      if (delta > max) {
        max = delta
        maxIndex = count
      }
      if (delta < min) min = delta
      let raw = b[at++]
      if (raw > 0x7f) {
        if (b[at] < 0x80) raw = (raw & 0x7f) | (b[at++] << 7)
        else {
          raw = varint(b, at - 1, recordEnd)
          while (b[at++] > 0x7f);
        }
      }
      if (raw < 0) {
        this.problem = `record ${count} has a malformed offset`
        break
      }
      if (raw !== count * 2) sequential = false
      // Key and value: a length, −1 for null, and that many bytes.
      for (let part = 0; part < 2; part++) {
        raw = at < recordEnd ? b[at++] : -1
        if (raw > 0x7f) {
          if (b[at] < 0x80) raw = (raw & 0x7f) | (b[at++] << 7)
          else {
            raw = varint(b, at - 1, recordEnd)
            while (b[at++] > 0x7f);
          }
        }
        if (raw < 0) break
        if (raw === 1) {
          if (part === 0) {
            this.hasNullKey = true
            if (this.nullKeys.length < listedMax) this.nullKeys.push(count)
          }
        } else if ((raw & 1) === 1) {
          raw = -1
          break
        } else at += raw >>> 1
      }
      if (raw >= 0 && at < recordEnd) {
        if (b[at] === 0) at++
        else at = skipHeaders(b, at, recordEnd)
      } else at = -1
      if (at !== recordEnd) {
        this.problem = `the parts of record ${count} do not fill its ${size} bytes`
        break
      }
      count++
    }
    this.#keep(count, min, max, maxIndex, sequential)
    return at
  }
  #keep(count: number, min: number, max: number, maxIndex: number, sequential: boolean): void {
    this.count = count
    this.minTimestampDelta = min
    this.maxTimestampDelta = max
    this.indexOfMaxTimestamp = maxIndex
    this.sequential = sequential
  }
}

/** An unsigned varint of at most 31 bits, or −1. */
function varint(b: Uint8Array, from: number, end: number): number {
  let value = 0
  for (let at = from, shift = 0; at < end && shift < 35; at++, shift += 7) {
    value += (b[at] & 0x7f) * 2 ** shift
    if (b[at] < 0x80) return value <= 0xffff_ffff ? (value > 0x7fff_ffff ? -1 : value) : -1
  }
  return -1
}
function varlongSize(b: Uint8Array, from: number, end: number): number {
  for (let at = from; at < end && at < from + 10; at++) if (b[at] < 0x80) return at - from + 1
  return -1
}
function varlong(b: Uint8Array, from: number, size: number): number {
  let value = 0
  for (let index = size - 1; index >= 0; index--) value = value * 128 + (b[from + index] & 0x7f)
  if (value > Number.MAX_SAFE_INTEGER) return exactVarlong(b, from, size)
  return value % 2 === 0 ? value / 2 : -(value + 1) / 2
}
/** Rounded to a double at the end only, so that its sign and size are right. */
function exactVarlong(b: Uint8Array, from: number, size: number): number {
  let value = 0n
  for (let index = size - 1; index >= 0; index--) value = (value << 7n) | BigInt(b[from + index] & 0x7f)
  value = BigInt.asUintN(64, value)
  return Number((value >> 1n) ^ -(value & 1n))
}
/** The size of the record that begins here, its length included; NaN when malformed. */
function recordSize(head: Uint8Array): number {
  const raw = varint(head, 0, head.length)
  if (raw < 0 || (raw & 1) === 1) return NaN
  let at = 0
  while (head[at++] > 0x7f);
  return at + (raw >>> 1)
}
/** The end of the headers, or −1. */
function skipHeaders(b: Uint8Array, from: number, end: number): number {
  let at = from
  const next = (): number => {
    const raw = varint(b, at, end)
    if (raw < 0) return NaN
    // A length may be written with more bytes than it needs; step over what is there.
    while (b[at++] > 0x7f);
    return (raw >>> 1) ^ -(raw & 1)
  }
  const count = next()
  if (!(count >= 0) || count > (end - at) / 2) return -1
  for (let index = 0; index < count; index++) {
    const keySize = next()
    if (!(keySize >= 0)) return -1
    at += keySize
    if (at > end) return -1
    const valueSize = next()
    if (!(valueSize >= -1)) return -1
    at += Math.max(valueSize, 0)
    if (at > end) return -1
  }
  return at
}
