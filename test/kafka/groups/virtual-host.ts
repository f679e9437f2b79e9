/** A host whose time is turned by hand and whose chance is counted; no disk, no network. */
import type { Disk, Host, Network, Timer } from '../../../src/host/host.ts'
import { silentLogger } from '../../../src/host/logger.ts'

export class VirtualHost implements Host {
  now = 1_700_000_000_000
  readonly logger = silentLogger
  readonly disk = undefined as unknown as Disk
  readonly network = undefined as unknown as Network
  readonly #timers = new Set<{ at: number; every: number | undefined; fire: () => void }>()
  #random = 0
  readonly clock = { now: () => this.now, monotonic: () => this.now - 1_600_000_000_000 }
  readonly random = {
    bytes: (size: number) => {
      const bytes = Buffer.alloc(size)
      bytes.writeUInt32BE(++this.#random, size - 4)
      return bytes
    },
    below: (limit: number) => ++this.#random % limit,
  }
  readonly timers = {
    set: (ms: number, then: () => void): Timer => this.#set(ms, undefined, then),
    every: (ms: number, then: () => void): Timer => this.#set(ms, ms, then),
    endOfTurn: (then: () => void) => queueMicrotask(then),
    afterPromises: (then: () => void) => process.nextTick(then),
    sleep: (ms: number) => new Promise<void>((resolve) => this.#set(ms, undefined, resolve)),
  }
  get timerCount(): number {
    return this.#timers.size
  }
  #set(ms: number, every: number | undefined, then: () => void): Timer {
    const timer = { at: this.now + ms, every, fire: then }
    this.#timers.add(timer)
    return { cancel: () => void this.#timers.delete(timer) }
  }
  /** Lets promises settle, then fires what falls due, in order. */
  async pass(ms: number): Promise<void> {
    const until = this.now + ms
    for (;;) {
      for (let turn = 0; turn < 20; turn++) await Promise.resolve()
      const [next] = [...this.#timers].filter(({ at }) => at <= until).sort((a, b) => a.at - b.at)
      if (!next) break
      this.now = Math.max(this.now, next.at)
      if (next.every === undefined) this.#timers.delete(next)
      else next.at = this.now + next.every
      next.fire()
    }
    this.now = until
  }
}
