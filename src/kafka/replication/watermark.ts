/** A number that only grows, and can be waited for. */
import assert from 'node:assert'

interface Waiting {
  offset: number
  reached: (() => void) | undefined
}

export class Watermark {
  #value: number
  /** Ascending by offset. */
  #waiting: Waiting[] = []

  constructor(value: number) {
    this.#value = value
  }
  get value(): number {
    return this.#value
  }
  /** A lower value is a bug in the caller, not news. */
  advance(to: number): void {
    assert(to >= this.#value, `a watermark went back from ${this.#value} to ${to}`)
    this.#value = to
    if (this.#waiting.length === 0 || this.#waiting[0].offset > to) return
    let reached = 0
    while (reached < this.#waiting.length && this.#waiting[reached].offset <= to) reached++
    for (const { reached: run } of this.#waiting.splice(0, reached)) run?.()
  }
  /** Leadership began anew: the value may be lower than before. Nobody waits then. */
  reset(to: number): void {
    assert(this.#waiting.length === 0)
    this.#value = to
  }
  /** Runs `reached` once the value is at least `offset`, at once when it is already. Returns what takes the wish back. */
  whenReached(offset: number, reached: () => void): () => void {
    if (offset <= this.#value) {
      reached()
      return () => {}
    }
    const waiting: Waiting = { offset, reached }
    let at = this.#waiting.length
    while (at > 0 && this.#waiting[at - 1].offset > offset) at--
    this.#waiting.splice(at, 0, waiting)
    return () => {
      waiting.reached = undefined
    }
  }
  /** Forgets everybody who waits; they must have been told otherwise. */
  forgetAll(): void {
    this.#waiting = []
  }
}
