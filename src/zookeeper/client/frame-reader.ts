/** Cuts what a connection brings into frames: an int32 size, then that many bytes. */
import { MalformedError } from '../../wire/reader.ts'

export class FrameReader {
  readonly #sizeMax: number
  #chunks: Buffer[] = []
  #size = 0
  constructor(sizeMax: number) {
    this.#sizeMax = sizeMax
  }
  /** The frames that are complete now. Throws a MalformedError at a size below zero or above the limit, before waiting for it. */
  *push(chunk: Buffer): Iterable<Buffer> {
    this.#chunks.push(chunk)
    this.#size += chunk.length
    while (this.#size >= 4) {
      if (this.#chunks[0].length < 4) this.#chunks = [Buffer.concat(this.#chunks)]
      const length = this.#chunks[0].readInt32BE(0)
      if (length < 0 || length > this.#sizeMax) throw new MalformedError(`a frame of ${length} bytes (at most ${this.#sizeMax} are taken)`, 0)
      if (this.#size < 4 + length) return
      const all = this.#chunks.length === 1 ? this.#chunks[0] : Buffer.concat(this.#chunks)
      const rest = all.subarray(4 + length)
      this.#chunks = rest.length > 0 ? [rest] : []
      this.#size = rest.length
      yield all.subarray(4, 4 + length)
    }
  }
}
