/**
 * Steps over the records of a batch of magic 2 and says where their parts lie, without an object for each: for compaction and for
 * coordinators that load. What is malformed throws, as decoding it would.
 *
 *     record := length:varint attributes:int8 timestampDelta:varlong offsetDelta:varint keyLength:varint key
 *               valueLength:varint value headerCount:varint header*
 *     header := keyLength:varint key valueLength:varint value        (−1: null, not for a header's key)
 */
import { MalformedError } from '../../wire/reader.ts'

export class RecordCursor {
  /** What it steps over; parts are positions in it. */
  bytes: Buffer
  /** The record with its length. */
  from = 0
  /** Behind the record, where the next begins. */
  to: number
  timestampFrom = 0
  /** Behind the timestamp delta. */
  timestampTo = 0
  /** Not a safe integer where the delta is beyond them: decode the record to know it. */
  timestampDelta = 0
  offsetDelta = 0
  keyFrom = 0
  /** −1 for null. */
  keySize = -1
  valueFrom = 0
  /** −1 for null. */
  valueSize = -1
  #at = 0
  #end: number
  #left: number

  /** On `count` records in [from, end) of `bytes`, before the first. */
  constructor(bytes: Buffer, from: number, end: number, count: number) {
    this.bytes = bytes
    this.to = from
    this.#end = end
    this.#left = count
    // Six bytes is the least a record takes, so more cannot be here.
    if (count < 0 || count * 6 > end - from) throw new MalformedError(`${count} records in ${end - from} bytes`, from)
  }

  /** Moves to the next record; false behind the last. */
  next(): boolean {
    const bytes = this.bytes
    const from = (this.from = this.to)
    if (this.#left === 0) {
      if (from !== this.#end) throw new MalformedError(`${this.#end - from} bytes behind the last record`, from)
      return false
    }
    this.#left--
    this.#at = from
    const size = this.#varint(this.#end)
    const to = this.#at + size
    if (size < 6 || to > this.#end) throw new MalformedError(`a record of ${size} bytes, ${this.#end - this.#at} left`, from)
    this.to = to
    let at = (this.timestampFrom = this.#at + 1)
    let byte = bytes[at++]
    let raw = byte & 0x7f
    for (let unit = 0x80; byte > 0x7f; unit *= 0x80) {
      if (at - this.timestampFrom > 9) throw new MalformedError('a varint of more than ten bytes', at)
      byte = bytes[at++]
      raw += (byte & 0x7f) * unit
    }
    this.timestampDelta = raw > Number.MAX_SAFE_INTEGER ? Infinity : raw % 2 === 0 ? raw / 2 : -(raw + 1) / 2
    this.timestampTo = this.#at = at
    this.offsetDelta = this.#varint(to)
    this.keySize = this.#varint(to)
    this.keyFrom = this.#at
    if (this.keySize > 0) this.#at += this.keySize
    this.valueSize = this.#varint(to)
    this.valueFrom = this.#at
    if (this.valueSize > 0) this.#at += this.valueSize
    if (this.keySize < -1 || this.valueSize < -1) throw new MalformedError(`a key of ${this.keySize} and a value of ${this.valueSize} bytes`, from)
    if (this.#at < to && bytes[this.#at] === 0) this.#at++
    else this.#headers(to)
    if (this.#at !== to) throw new MalformedError(`a record's parts end at byte ${this.#at}, the record at ${to}`, this.#at)
    return true
  }
  #headers(to: number): void {
    const count = this.#varint(to)
    if (count < 0 || count * 2 > to - this.#at) throw new MalformedError(`${count} headers in ${to - this.#at} bytes`, this.#at)
    for (let index = 0; index < count; index++) {
      const keySize = this.#varint(to)
      if (keySize < 0) throw new MalformedError('a header without key', this.#at)
      this.#at += keySize
      const valueSize = this.#varint(to)
      if (valueSize < -1) throw new MalformedError(`a header's value of ${valueSize} bytes`, this.#at)
      if (valueSize > 0) this.#at += valueSize
    }
  }
  /** Zigzag, of at most five bytes, before `to`. */
  #varint(to: number): number {
    const bytes = this.bytes
    let at = this.#at
    if (at >= to) throw new MalformedError(`a varint wanted, ${to - at} bytes left`, at)
    let byte = bytes[at++]
    let raw = byte & 0x7f
    for (let shift = 7; byte > 0x7f; shift += 7) {
      if (at >= to) throw new MalformedError('a varint that does not end', at)
      if (shift > 28) throw new MalformedError('a varint of more than five bytes', at)
      byte = bytes[at++]
      if (shift === 28 && byte > 0x0f) throw new MalformedError('a varint beyond 32 bits', at)
      raw |= (byte & 0x7f) << shift
    }
    this.#at = at
    return (raw >>> 1) ^ -(raw & 1)
  }
}
