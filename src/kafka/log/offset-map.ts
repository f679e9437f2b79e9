/**
 * The newest offset of each key while a log is cleaned (SkimpyOffsetMap): 24 bytes a key, however long keys are. Keys are told apart by
 * a keyed 128-bit hash (Chaskey with eight rounds) whose secret nobody outside knows: two keys cannot be made to look like one.
 */
import assert from 'node:assert'

/** Four words of hash and an offset. */
export const bytesPerKey = 24
const emptyMark = 0

export class OffsetMap {
  /** Keys it takes. */
  readonly countMax: number
  count = 0
  readonly #slots: number
  readonly #hashes: Int32Array
  /** One more than the offset; 0 where no key is. */
  readonly #offsets: Float64Array
  readonly #secret: Int32Array
  /** Secret for a last block that is full, and for one that is not. */
  readonly #whole: Int32Array
  readonly #partial: Int32Array
  readonly #state = new Int32Array(4)

  /** Room for `countMax` keys at a load of at most `loadFactor`; `secret`: 16 bytes of chance. */
  constructor(countMax: number, secret: Buffer, loadFactor = 0.9) {
    assert(countMax > 0)
    this.countMax = countMax
    this.#slots = Math.ceil(countMax / loadFactor) + 1
    this.#hashes = new Int32Array(this.#slots * 4)
    this.#offsets = new Float64Array(this.#slots)
    this.#secret = Int32Array.from([0, 4, 8, 12], (at) => secret.readInt32LE(at))
    this.#whole = doubled(this.#secret)
    this.#partial = doubled(this.#whole)
  }

  set(key: Uint8Array, offset: number): void {
    const slot = this.#slotOf(key)
    if (this.#offsets[slot] === emptyMark) {
      assert(this.count < this.countMax, 'the map of keys is full')
      this.count++
      this.#hashes.set(this.#state, slot * 4)
    }
    this.#offsets[slot] = offset + 1
  }
  /** The newest offset of the key; −1 for one that is not here. */
  get(key: Uint8Array): number {
    return this.#offsets[this.#slotOf(key)] - 1
  }

  /** Where the key is, or would be put; its hash is in `#state` afterwards. */
  #slotOf(key: Uint8Array): number {
    this.#hash(key)
    const state = this.#state
    const hashes = this.#hashes
    const slots = this.#slots
    let slot = (state[0] >>> 0) % slots
    for (;;) {
      if (this.#offsets[slot] === emptyMark) return slot
      const at = slot * 4
      if (hashes[at] === state[0] && hashes[at + 1] === state[1] && hashes[at + 2] === state[2] && hashes[at + 3] === state[3]) return slot
      slot = slot + 1 === slots ? 0 : slot + 1
    }
  }
  #hash(key: Uint8Array): void {
    const state = this.#state
    state.set(this.#secret)
    let at = 0
    for (; key.length - at > 16; at += 16) {
      for (let word = 0; word < 4; word++) state[word] ^= wordAt(key, at + word * 4)
      permute(state)
    }
    const isWhole = key.length - at === 16
    const last = isWhole ? this.#whole : this.#partial
    if (isWhole) for (let word = 0; word < 4; word++) state[word] ^= wordAt(key, at + word * 4)
    else {
      let index = 0
      for (; at < key.length; at++, index++) state[index >> 2] ^= key[at] << ((index & 3) * 8)
      state[index >> 2] ^= 1 << ((index & 3) * 8)
    }
    for (let word = 0; word < 4; word++) state[word] ^= last[word]
    permute(state)
    for (let word = 0; word < 4; word++) state[word] ^= last[word]
  }
}

function wordAt(bytes: Uint8Array, at: number): number {
  return bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)
}
/** Times x in the field of 2^128 elements. */
function doubled(words: Int32Array): Int32Array {
  const carry = words[3] >>> 31
  return Int32Array.of((words[0] << 1) ^ (carry === 1 ? 0x87 : 0), (words[1] << 1) | (words[0] >>> 31), (words[2] << 1) | (words[1] >>> 31), (words[3] << 1) | (words[2] >>> 31))
}
function permute(state: Int32Array): void {
  let [a, b, c, d] = [state[0], state[1], state[2], state[3]]
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
  state[0] = a
  state[1] = b
  state[2] = c
  state[3] = d
}
