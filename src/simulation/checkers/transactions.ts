/**
 * What transactions promise: all of one is seen or nothing, nothing before its commit was asked for, nothing of what was aborted; its
 * offsets go with it; none hangs for ever; who has been replaced writes and decides nothing any more. Values: `producer.transaction.record`.
 */
import { Violation } from './violation.ts'

/** `asked`: a commit was asked for and its outcome is not known. */
type Fate = 'open' | 'asked' | 'committed' | 'aborted'
interface Known {
  fate: Fate
  readonly values: string[]
  hasOffset: boolean
}

export class TransactionLaws {
  readonly counts = new Map<string, number>()
  committed = 0
  readonly #known = new Map<string, Map<number, Known>>()

  #look(law: string, isKept: boolean, broken: () => string): void {
    this.counts.set(law, (this.counts.get(law) ?? 0) + 1)
    if (!isKept) throw new Violation(law, broken())
  }
  #of(producer: string): Map<number, Known> {
    let known = this.#known.get(producer)
    if (!known) this.#known.set(producer, (known = new Map()))
    return known
  }
  begins(producer: string, number: number): void {
    this.#of(producer).set(number, { fate: 'open', values: [], hasOffset: false })
  }
  /** Appended, as far as the producer knows. */
  wrote(producer: string, number: number, values: readonly string[]): void {
    this.#of(producer).get(number)!.values.push(...values)
  }
  committedOffset(producer: string, number: number): void {
    this.#of(producer).get(number)!.hasOffset = true
  }
  asks(producer: string, number: number, fate: 'asked' | 'aborted'): void {
    this.#of(producer).get(number)!.fate = fate
  }
  isCommitted(producer: string, number: number): void {
    this.#of(producer).get(number)!.fate = 'committed'
    this.committed++
  }
  /** A new instance has its epoch: what no commit was asked for never comes. */
  replaced(producer: string): void {
    for (const known of this.#of(producer).values()) if (known.fate === 'open') known.fate = 'aborted'
  }
  zombie(producer: string, what: string, errorCode: number): void {
    this.#look('a zombie is fenced', errorCode !== 0, () => `${producer} has been replaced, and was told that its ${what} succeeded`)
  }
  readCommitted(partition: number, offset: number, value: string): void {
    const [producer, number] = value.split('.')
    const fate = this.#of(producer).get(Number(number))?.fate
    this.#look('only what is committed is read committed', fate === 'asked' || fate === 'committed', () => `partition ${partition} offset ${offset} shows '${value}', whose transaction is ${fate ?? 'unknown'}`)
  }
  stable(partition: number, lastStableOffset: number, highWatermark: number): void {
    this.#look('no transaction hangs', lastStableOffset === highWatermark, () => `partition ${partition} is stable up to ${lastStableOffset} of ${highWatermark}, and nothing has failed for a while`)
  }
  /** Everything that is read committed once all is settled, and where each producer's group is. */
  settled(values: readonly string[], offsets: ReadonlyMap<string, number>): void {
    const seen = new Set(values)
    this.#look('a committed record is read once', seen.size === values.length, () => `${values.length - seen.size} records are there twice`)
    for (const [producer, transactions] of this.#known) {
      let last = -1
      for (const [number, known] of transactions) {
        const visible = known.values.filter((value) => seen.has(value)).length
        const isCommitted = known.fate === 'committed' || (known.fate === 'asked' && visible > 0)
        const name = `transaction ${producer}.${number} (${known.fate})`
        this.#look('all of a transaction is seen or nothing', visible === (isCommitted ? known.values.length : 0), () => `${visible} of ${known.values.length} records of ${name} are read committed`)
        if (isCommitted && known.hasOffset) last = number
      }
      const offset = offsets.get(producer) ?? -1
      this.#look('offsets are committed with their transaction or not at all', offset === last, () => `the group of ${producer} is at ${offset}; the last transaction that is committed had ${last}`)
    }
  }
}
