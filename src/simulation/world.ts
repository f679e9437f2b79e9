/**
 * Virtual time: one queue of events, one seed. Nothing happens but the events of the queue and the microtasks they cause.
 *
 * Why it is deterministic: an event runs, then the real loop is let go to its next turn once (`endOfTurn` of the real host). Node empties
 * its queue of microtasks before that turn begins, so every promise that the event could settle has been followed to its end before
 * virtual time moves on. Nothing under test may wait for the real world: it has only the virtual host to wait for.
 */
import { crc32 } from 'node:zlib'
import { nodeHost } from '../host/node.ts'
import { seededRandom, type SeededRandom } from './random.ts'

/** A process: events of its own run only while it lives, and later when it is stopped for a while. */
export interface Owner {
  readonly isAlive: boolean
  /** Virtual ms until which it does not run (SIGSTOP, a long collection of garbage). */
  readonly pausedUntil: number
}
export interface Scheduled {
  cancel(): void
}
interface Event {
  at: number
  order: number
  owner: Owner | undefined
  /** Undefined: cancelled. */
  run: (() => void) | undefined
}

export interface WorldOptions {
  readonly seed: number
  /** Gets every line of the trace. */
  readonly onTrace?: ((line: string) => void) | undefined
}

/** An event that never comes: somebody waits for something that nothing will bring about. */
export class NothingLeftError extends Error {}

export class World {
  readonly seed: number
  readonly random: SeededRandom
  /** Virtual ms since the beginning. */
  now = 0
  /** Events run so far. */
  events = 0
  /** A checksum over every line of the trace, in order: two runs of one seed must agree on it. */
  traceSum = 0
  readonly #onTrace: ((line: string) => void) | undefined
  readonly #heap: Event[] = []
  readonly #turn = nodeHost().timers.endOfTurn
  #order = 0

  constructor({ seed, onTrace }: WorldOptions) {
    this.seed = seed
    this.random = seededRandom(Math.imul(seed, 0x9e3779b1) ^ 0x2545f491)
    this.#onTrace = onTrace
  }

  trace(line: string): void {
    const whole = `${this.now.toFixed(3)} ${line}`
    this.traceSum = crc32(whole, this.traceSum)
    this.#onTrace?.(whole)
  }

  /** Events of one moment run in the order in which they were scheduled. */
  schedule(afterMs: number, run: () => void, owner?: Owner): Scheduled {
    const event: Event = { at: this.now + Math.max(0, afterMs), order: this.#order++, owner, run }
    this.#push(event)
    return {
      cancel: () => {
        event.run = undefined
      },
    }
  }
  /** Between `low` and `high` ms. */
  between(low: number, high: number): number {
    return low + this.random.next() * (high - low)
  }
  sleep(ms: number, owner?: Owner): Promise<void> {
    return new Promise((done) => this.schedule(ms, done, owner))
  }

  /** Runs until the promise is settled, and answers as it does. Rejects when virtual time has passed `limitMs`, counted from now. */
  async runUntil<T>(promise: Promise<T>, limitMs: number): Promise<T> {
    let settled = false
    const settle = (): void => {
      settled = true
    }
    promise.then(settle, settle)
    const limit = this.now + limitMs
    for (;;) {
      await new Promise<void>((done) => this.#turn(done))
      if (settled) return promise
      const event = this.#pop()
      if (event === undefined) throw new NothingLeftError(`nothing is left to happen at ${Math.round(this.now)} ms, and somebody still waits`)
      if (event.at > limit) throw new NothingLeftError(`no end in sight after ${limitMs} ms of virtual time`)
      const { owner, run } = event
      if (run === undefined || owner?.isAlive === false) continue
      if (owner && owner.pausedUntil > event.at) {
        event.at = owner.pausedUntil
        this.#push(event)
        continue
      }
      this.now = Math.max(this.now, event.at)
      this.events++
      run()
    }
  }

  #push(event: Event): void {
    const heap = this.#heap
    let at = heap.push(event) - 1
    while (at > 0) {
      const above = (at - 1) >> 1
      if (!before(event, heap[above])) break
      heap[at] = heap[above]
      at = above
    }
    heap[at] = event
  }
  /** The next event that was not cancelled meanwhile. */
  #pop(): Event | undefined {
    const heap = this.#heap
    for (;;) {
      const first = heap[0]
      const last = heap.pop()
      if (first === undefined || last === undefined) return undefined
      if (heap.length > 0) this.#sink(last)
      if (first.run !== undefined && first.owner?.isAlive !== false) return first
    }
  }
  #sink(event: Event): void {
    const heap = this.#heap
    let at = 0
    for (;;) {
      let below = 2 * at + 1
      if (below >= heap.length) break
      if (below + 1 < heap.length && before(heap[below + 1], heap[below])) below++
      if (!before(heap[below], event)) break
      heap[at] = heap[below]
      at = below
    }
    heap[at] = event
  }
}

const before = (one: Event, other: Event): boolean => one.at < other.at || (one.at === other.at && one.order < other.order)
