/**
 * Registers that are written and read by many: their history must be one order that real time agrees with (linearizable). Every value is
 * written once, and every answer tells the number of the write it shows, so the order is known and nothing needs to be searched: it is
 * enough that each number has one value, that a read shows nothing older than what any answer had shown before the read began, and that
 * a write is numbered above all that had been answered before it began. A crash must not take back what an answer has shown.
 */
import { Violation } from './violation.ts'

interface Register {
  readonly values: Map<bigint, string>
  /** Values whose writing has begun; true once it is known that the write was refused. */
  readonly begun: Map<string, boolean>
  /** The latest write that any answer has shown. */
  latest: bigint
}
/** What an operation must not fall behind, taken when it begins. */
export interface Floor {
  readonly path: string
  readonly latest: bigint
  readonly latestOfAll: bigint
}

export class Registers {
  readonly #byPath = new Map<string, Register>()
  #latestOfAll = 0n
  answers = 0

  get paths(): string[] {
    return [...this.#byPath.keys()]
  }
  begins(path: string): Floor {
    return { path, latest: this.#register(path).latest, latestOfAll: this.#latestOfAll }
  }
  writeBegins(path: string, value: string): Floor {
    this.#register(path).begun.set(value, false)
    return this.begins(path)
  }
  /** It can never be seen: the answer says that nothing was written. */
  writeRefused(floor: Floor, value: string): void {
    this.#register(floor.path).begun.set(value, true)
  }
  written(floor: Floor, value: string, zxid: bigint): void {
    if (zxid <= floor.latestOfAll) throw new Violation('writes are ordered as real time has them', `writing ${floor.path} got ${zxid}, and ${floor.latestOfAll} had been answered before it began`)
    this.#seen(floor.path, value, zxid)
  }
  read(floor: Floor, value: string, zxid: bigint): void {
    if (zxid < floor.latest) throw new Violation('what was acknowledged is there', `${floor.path} shows write ${zxid} ('${value}'), and ${floor.latest} had been shown before the read began`)
    this.#seen(floor.path, value, zxid)
  }
  missing(floor: Floor): void {
    if (floor.latest > 0n) throw new Violation('what was acknowledged is there', `${floor.path} does not exist, and write ${floor.latest} had been shown before the read began`)
  }

  #register(path: string): Register {
    let register = this.#byPath.get(path)
    if (!register) this.#byPath.set(path, (register = { values: new Map(), begun: new Map(), latest: 0n }))
    return register
  }
  #seen(path: string, value: string, zxid: bigint): void {
    this.answers++
    const register = this.#register(path)
    const refused = register.begun.get(value)
    if (refused === undefined) throw new Violation('only what was written is read', `${path} shows '${value}', which nobody wrote`)
    if (refused) throw new Violation('a refused write has no effect', `${path} shows '${value}', whose write was refused`)
    const known = register.values.get(zxid)
    if (known !== undefined && known !== value) throw new Violation('one write has one value', `${path} at ${zxid} was '${known}' and is '${value}'`)
    register.values.set(zxid, value)
    if (zxid > register.latest) register.latest = zxid
    if (zxid > this.#latestOfAll) this.#latestOfAll = zxid
  }
}
