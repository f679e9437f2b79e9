/** Gathers what is to stand at the end of a segment, and writes it in large pieces: one is on its way while the next is gathered. */
import type { CleanerPace } from './cleaner-pace.ts'
import type { Segment } from './segment.ts'

const pieceSize = 512 * 1024

export class StretchWriter {
  readonly #segment: Segment
  readonly #pace: CleanerPace
  #gathered = Buffer.allocUnsafe(pieceSize)
  /** What is being written, or was. */
  #other = Buffer.allocUnsafe(pieceSize)
  #size = 0
  #writing: Promise<void> = Promise.resolve()

  constructor(segment: Segment, pace: CleanerPace) {
    this.#segment = segment
    this.#pace = pace
  }
  /** The bytes are copied, at once or when what it answers resolves. */
  add(bytes: Buffer): Promise<void> | undefined {
    if (this.#size > 0 && this.#size + bytes.length > pieceSize) return this.flush().then(() => this.#take(bytes))
    this.#take(bytes)
    return undefined
  }
  #take(bytes: Buffer): void {
    if (bytes.length > this.#gathered.length) this.#gathered = Buffer.allocUnsafe(bytes.length)
    this.#size += bytes.copy(this.#gathered, this.#size)
  }
  /** Begins to write what was gathered, once what was begun before is written; within the pace. Rejects with the failure of either. */
  async flush(): Promise<void> {
    await this.#writing
    if (this.#size === 0) return
    const bytes = this.#gathered.subarray(0, this.#size)
    ;[this.#gathered, this.#other] = [this.#other, this.#gathered]
    this.#size = 0
    const segment = this.#segment
    const position = segment.writtenSize
    segment.writtenSize += bytes.length
    this.#writing = segment.log.with((file) => file.write([bytes], position))
    this.#writing.catch(() => {})
    await this.#pace.moved(bytes.length)
  }
  /** Resolves when nothing is on its way any more; rejects when it failed. */
  settled(): Promise<void> {
    return this.#writing
  }
}
