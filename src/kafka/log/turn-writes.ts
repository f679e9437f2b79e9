/**
 * What the appends of one turn want written, at its end: first what somebody waits for who does nothing else meanwhile (the records of
 * coordinators), whose answers leave before the rest is begun.
 */
import type { Timers } from '../../host/host.ts'

/** One list and the look at it that is due. */
class Writes {
  #waiting: (() => void)[] = []

  get isEmpty(): boolean {
    return this.#waiting.length === 0
  }
  add(write: () => void): void {
    this.#waiting.push(write)
  }
  /** With what they bring about. */
  run(): void {
    while (this.#waiting.length > 0) {
      const writes = this.#waiting
      this.#waiting = []
      for (const write of writes) write()
    }
  }
}

export class TurnWrites {
  readonly #timers: Pick<Timers, 'endOfTurn'>
  readonly #first = new Writes()
  readonly #rest = new Writes()
  #firstIsDue = false
  #restIsDue = false

  constructor(timers: Pick<Timers, 'endOfTurn'>) {
    this.#timers = timers
  }
  add(write: () => void, isFirst: boolean): void {
    ;(isFirst ? this.#first : this.#rest).add(write)
    if (isFirst ? this.#firstIsDue : this.#restIsDue) return
    // Both at once, so that whichever is wanted later the order stays. Between the two promises are followed and answers leave.
    this.#firstIsDue = this.#restIsDue = true
    this.#timers.endOfTurn(() => {
      this.#firstIsDue = false
      this.#first.run()
    })
    this.#timers.endOfTurn(() => {
      this.#restIsDue = false
      this.#rest.run()
    })
  }
  /** Writes all of it now. */
  run(): void {
    while (!this.#first.isEmpty || !this.#rest.isEmpty) {
      this.#first.run()
      this.#rest.run()
    }
  }
}
