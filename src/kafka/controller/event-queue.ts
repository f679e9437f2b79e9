/** One event at a time, in order; an event that waits already is not queued twice. */

export class EventQueue {
  readonly #waiting: { key: string | undefined; run: () => Promise<void> }[] = []
  readonly #keys = new Set<string>()
  readonly #failed: (error: unknown) => void
  #running: Promise<void> | undefined

  constructor(failed: (error: unknown) => void) {
    this.#failed = failed
  }
  /** For news whose handler reads everything itself: one waiting handler serves all. */
  putOnce(key: string, run: () => Promise<void>): void {
    if (this.#keys.has(key)) return
    this.#keys.add(key)
    this.#put(key, run)
  }
  /** For questions: the promise settles with the handler. */
  ask<T>(run: () => Promise<T>): Promise<T> {
    return new Promise((done, failed) => this.#put(undefined, () => run().then(done, failed)))
  }
  put(run: () => Promise<void>): void {
    this.#put(undefined, run)
  }
  #put(key: string | undefined, run: () => Promise<void>): void {
    this.#waiting.push({ key, run })
    this.#running ??= this.#drain()
  }
  async #drain(): Promise<void> {
    // An event is put by somebody who may not be done: begin in a turn of its own.
    await Promise.resolve()
    for (let event = this.#waiting.shift(); event; event = this.#waiting.shift()) {
      if (event.key !== undefined) this.#keys.delete(event.key)
      try {
        await event.run()
      } catch (error) {
        this.#failed(error)
      }
    }
    // In the same step as the last look: what is put later starts a new run.
    this.#running = undefined
  }
  /** Resolves when nothing runs or waits. */
  async idle(): Promise<void> {
    while (this.#running) await this.#running
  }
}
