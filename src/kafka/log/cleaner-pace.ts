/** How fast the cleaner may read and write (`log.cleaner.io.max.bytes.per.second`), and whether it is to stop. */
import type { Host } from '../../host/host.ts'

/** The broker stops: what was cleaned of the log so far is thrown away. */
export class CleaningStoppedError extends Error {
  constructor() {
    super('the cleaner is being stopped')
    this.name = 'CleaningStoppedError'
  }
}

/** A stop is noticed within this time. */
const waitMsMax = 250
/** Bytes moved this recently may make up for one another. */
const windowMs = 300

export class CleanerPace {
  readonly #host: Pick<Host, 'clock' | 'timers'>
  readonly #bytesPerSecond: () => number
  #isStopped = false
  /** Monotonic time at which all bytes so far are within the limit. */
  #paidUntil = -Infinity

  /** The rate is asked each time: it may change while a log is cleaned. */
  constructor(host: Pick<Host, 'clock' | 'timers'>, bytesPerSecond: () => number) {
    this.#host = host
    this.#bytesPerSecond = bytesPerSecond
  }
  get isStopped(): boolean {
    return this.#isStopped
  }
  stop(): void {
    this.#isStopped = true
  }

  /** Waits until `bytes` more have been within the limit. Rejects with a `CleaningStoppedError` once it is stopped. */
  async moved(bytes: number): Promise<void> {
    if (this.#isStopped) throw new CleaningStoppedError()
    const { clock, timers } = this.#host
    const now = clock.monotonic()
    this.#paidUntil = Math.max(this.#paidUntil, now - windowMs) + (bytes / Math.max(1, this.#bytesPerSecond())) * 1000
    for (let left = this.#paidUntil - now; left > 0; left = this.#paidUntil - clock.monotonic()) {
      await timers.sleep(Math.min(left, waitMsMax))
      if (this.#isStopped) throw new CleaningStoppedError()
    }
  }
}
