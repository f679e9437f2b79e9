/** A number that only grows, and can be waited for. One timer serves all who wait: most are told long before their time is over. */
import assert from 'node:assert'
import type { Clock, Timer, Timers } from '../../host/host.ts'

interface Waiting {
  readonly offset: number
  /** Monotonic ms. */
  readonly deadline: number
  readonly finished: (errorCode: number) => void
}

export class Watermark {
  readonly #clock: Clock
  readonly #timers: Timers
  readonly #late: number
  #value: number
  /** Ascending by offset. */
  #waiting: Waiting[] = []
  /** Set for the first deadline, or for an earlier one that nobody has any more. */
  #timer: Timer | undefined
  #timerAt = Infinity

  /** `late`: the error code for who has waited for too long. */
  constructor(value: number, { clock, timers, late }: { clock: Clock; timers: Timers; late: number }) {
    this.#value = value
    this.#clock = clock
    this.#timers = timers
    this.#late = late
  }
  get value(): number {
    return this.#value
  }
  /** Who waited for it is told `errorCode`. A lower value is a bug in the caller, not news. */
  advance(to: number, errorCode: number): void {
    assert(to >= this.#value, `a watermark went back from ${this.#value} to ${to}`)
    this.#value = to
    let reached = 0
    while (reached < this.#waiting.length && this.#waiting[reached].offset <= to) reached++
    if (reached === 0) return
    for (const { finished } of this.#waiting.splice(0, reached)) finished(errorCode)
  }
  /** Leadership began anew: the value may be lower than before. Nobody waits then. */
  reset(to: number): void {
    assert(this.#waiting.length === 0)
    this.#value = to
  }
  /** Tells `finished` once: what `advance` says when the value is at least `offset`, or `giveUp`, or `late` after `timeoutMs`. */
  wait(offset: number, timeoutMs: number, finished: (errorCode: number) => void): void {
    assert(offset > this.#value)
    const deadline = this.#clock.monotonic() + timeoutMs
    let at = this.#waiting.length
    while (at > 0 && this.#waiting[at - 1].offset > offset) at--
    const waiting: Waiting = { offset, deadline, finished }
    if (at === this.#waiting.length) this.#waiting.push(waiting)
    else this.#waiting.splice(at, 0, waiting)
    if (deadline < this.#timerAt) this.#arm(deadline)
  }
  /** Nobody waits any more. */
  giveUp(errorCode: number): void {
    this.#timer?.cancel()
    this.#timer = undefined
    this.#timerAt = Infinity
    const waiting = this.#waiting
    this.#waiting = []
    for (const { finished } of waiting) finished(errorCode)
  }

  #arm(at: number): void {
    this.#timer?.cancel()
    this.#timerAt = at
    this.#timer = this.#timers.set(Math.max(1, Math.ceil(at - this.#clock.monotonic())), () => this.#expire())
  }
  #expire(): void {
    this.#timer = undefined
    this.#timerAt = Infinity
    const now = this.#clock.monotonic()
    const due: Waiting[] = []
    const rest: Waiting[] = []
    let next = Infinity
    for (const waiting of this.#waiting) {
      if (waiting.deadline <= now) due.push(waiting)
      else {
        rest.push(waiting)
        next = Math.min(next, waiting.deadline)
      }
    }
    this.#waiting = rest
    if (next < Infinity) this.#arm(next)
    for (const { finished } of due) finished(this.#late)
  }
}
