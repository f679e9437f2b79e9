/**
 * The newest offset of each key while a log is cleaned (SkimpyOffsetMap): 24 bytes a key, however long keys are. Keys are told apart by
 * a keyed 128-bit hash (Chaskey with eight rounds) whose secret nobody outside knows: two keys cannot be made to look like one.
 */
import assert from 'node:assert'

/** Four words of hash and an offset of two. */
export const bytesPerKey = 24
const wordsPerSlot = bytesPerKey / 4
const offsetHigh = 4
const offsetLow = 5
const highUnit = 0x1_0000_0000
/** Keys that are hashed before they are looked up together: in a loop that does nothing else the processor waits for several places in memory at a time. */
const waitingMax = 512

export class OffsetMap {
  /** Keys it takes. */
  readonly countMax: number
  #count = 0
  readonly #slots: number
  /** A slot after the other: the key's hash, then one more than its offset, which is 0 where no key is. */
  readonly #table: Int32Array
  readonly #secret: Int32Array
  /** Secret for a last block that is full, and for one that is not. */
  readonly #whole: Int32Array
  readonly #partial: Int32Array
  readonly #replaced: (offset: number) => void
  /** Hashes and offsets that are not in the table yet; one more hash for a key that is asked for. */
  readonly #hashes = new Int32Array((waitingMax + 1) * 4)
  readonly #offsets = new Float64Array(waitingMax)
  #waiting = 0

  /** Room for `countMax` keys at a load of at most `loadFactor`; `secret`: 16 bytes of chance; `replaced` is told, sooner or later, each offset that another has followed. */
  constructor(countMax: number, secret: Buffer, { loadFactor = 0.9, replaced = () => {} }: { loadFactor?: number; replaced?: (offset: number) => void } = {}) {
    assert(countMax > 0)
    this.countMax = countMax
    this.#replaced = replaced
    this.#slots = Math.ceil(countMax / loadFactor) + 1
    this.#table = new Int32Array(this.#slots * wordsPerSlot)
    this.#secret = Int32Array.from([0, 4, 8, 12], (at) => secret.readInt32LE(at))
    this.#whole = doubled(this.#secret)
    this.#partial = doubled(this.#whole)
  }

  get count(): number {
    this.settle()
    return this.#count
  }
  /** Whether so many keys more would fit, if all were new. */
  hasRoomFor(keys: number): boolean {
    return this.#count + this.#waiting + keys <= this.countMax || this.count + keys <= this.countMax
  }
  /** From now on this is the key's offset. The key may be a part of `bytes`. */
  set(bytes: Uint8Array, offset: number, from = 0, to = bytes.length): void {
    this.#hash(bytes, from, to, this.#waiting * 4)
    this.#offsets[this.#waiting++] = offset
    if (this.#waiting === waitingMax) this.settle()
  }
  /** The newest offset of the key; −1 for one that is not here. */
  get(bytes: Uint8Array, from = 0, to = bytes.length): number {
    this.settle()
    this.#hash(bytes, from, to, waitingMax * 4)
    const at = this.#placeOf(waitingMax * 4)
    return this.#table[at + offsetHigh] * highUnit + (this.#table[at + offsetLow] >>> 0) - 1
  }
  /** All that was set is in the table, and `replaced` has been told. */
  settle(): void {
    const table = this.#table
    const hashes = this.#hashes
    const count = this.#waiting
    this.#waiting = 0
    for (let index = 0; index < count; index++) {
      const at = this.#placeOf(index * 4)
      const before = table[at + offsetHigh] * highUnit + (table[at + offsetLow] >>> 0) - 1
      if (before >= 0) this.#replaced(before)
      else {
        assert(this.#count < this.countMax, 'the map of keys is full')
        this.#count++
        for (let word = 0; word < 4; word++) table[at + word] = hashes[index * 4 + word]
      }
      const next = this.#offsets[index] + 1
      table[at + offsetHigh] = next / highUnit
      table[at + offsetLow] = next
    }
  }

  /** Where the slot of the key with this hash is, or would be. */
  #placeOf(hash: number): number {
    const hashes = this.#hashes
    const a = hashes[hash]
    const b = hashes[hash + 1]
    const c = hashes[hash + 2]
    const d = hashes[hash + 3]
    const table = this.#table
    const end = table.length
    for (let at = ((a >>> 0) % this.#slots) * wordsPerSlot; ; ) {
      if (table[at] === a && table[at + 1] === b && table[at + 2] === c && table[at + 3] === d) return at
      if (table[at + offsetHigh] === 0 && table[at + offsetLow] === 0) return at
      at += wordsPerSlot
      if (at === end) at = 0
    }
  }
  /** Into `#hashes` at `into`. In one piece, without an array for the state: it runs once for each record. */
  #hash(key: Uint8Array, from: number, to: number, into: number): void {
    let a = this.#secret[0]
    let b = this.#secret[1]
    let c = this.#secret[2]
    let d = this.#secret[3]
    for (let at = from; ; at += 16) {
      const left = to - at
      const last = left > 16 ? undefined : left === 16 ? this.#whole : this.#partial
      if (left >= 4) a ^= wordAt(key, at)
      else a ^= restAt(key, at, to)
      if (left >= 8) b ^= wordAt(key, at + 4)
      else if (left >= 4) b ^= restAt(key, at + 4, to)
      if (left >= 12) c ^= wordAt(key, at + 8)
      else if (left >= 8) c ^= restAt(key, at + 8, to)
      if (left >= 16) d ^= wordAt(key, at + 12)
      else if (left >= 12) d ^= restAt(key, at + 12, to)
      if (last) {
        a ^= last[0]
        b ^= last[1]
        c ^= last[2]
        d ^= last[3]
      }
      for (let round = 0; round < 8; round++) {
        a = (a + b) | 0
        b = ((b << 5) | (b >>> 27)) ^ a
        a = (a << 16) | (a >>> 16)
        c = (c + d) | 0
        d = ((d << 8) | (d >>> 24)) ^ c
        a = (a + d) | 0
        d = ((d << 13) | (d >>> 19)) ^ a
        c = (c + b) | 0
        b = ((b << 7) | (b >>> 25)) ^ c
        c = (c << 16) | (c >>> 16)
      }
      if (!last) continue
      const hashes = this.#hashes
      hashes[into] = a ^ last[0]
      hashes[into + 1] = b ^ last[1]
      hashes[into + 2] = c ^ last[2]
      hashes[into + 3] = d ^ last[3]
      return
    }
  }
}

function wordAt(bytes: Uint8Array, at: number): number {
  return bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)
}
/** Fewer than four bytes, closed by a 1. */
function restAt(bytes: Uint8Array, from: number, to: number): number {
  let rest = 1
  for (let byte = to - 1; byte >= from; byte--) rest = (rest << 8) | bytes[byte]
  return rest
}
/** Times x in the field of 2^128 elements. */
function doubled(words: Int32Array): Int32Array {
  const carry = words[3] >>> 31
  return Int32Array.of((words[0] << 1) ^ (carry === 1 ? 0x87 : 0), (words[1] << 1) | (words[0] >>> 31), (words[2] << 1) | (words[1] >>> 31), (words[3] << 1) | (words[2] >>> 31))
}
