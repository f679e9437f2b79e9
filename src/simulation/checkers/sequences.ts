/** Sequential names: never twice, and increasing as real time has them. */
import { Violation } from './violation.ts'

export class Sequences {
  readonly #names = new Set<string>()
  readonly #highest = new Map<string, number>()

  get names(): Iterable<string> {
    return this.#names
  }
  /** The highest number that any answer under this prefix had when the creation began. */
  begins(prefix: string): number {
    return this.#highest.get(prefix) ?? -1
  }
  created(prefix: string, floor: number, name: string): void {
    const number = Number(name.slice(-10))
    if (this.#names.has(name)) throw new Violation('a sequential name is given once', `${name} was given twice`)
    if (number <= floor) throw new Violation('sequential names increase', `${name} was given after ${prefix}${floor} had been`)
    this.#names.add(name)
    this.#highest.set(prefix, Math.max(this.begins(prefix), number))
  }
  /** Nothing of them is ever deleted. */
  listed(names: ReadonlySet<string>): void {
    for (const name of this.#names) if (!names.has(name)) throw new Violation('what was acknowledged is there', `${name} is gone`)
  }
}
