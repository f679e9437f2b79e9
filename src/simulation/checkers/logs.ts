/**
 * What a broker promises of its logs, whatever happens to it: an offset has one record for ever, what was acknowledged is there once and
 * in order, and neither high watermark nor committed offset ever goes back. Values are unique: `producer.number`.
 * Producers whose name begins with `idempotent` repeat what is not acknowledged until it is.
 */
import { Violation } from './violation.ts'

interface Partition {
  readonly byOffset: Map<number, string>
  readonly acknowledged: Map<string, number>
  readonly attempted: Set<string>
  /** The highest end of what is committed that was told, by leader epoch. */
  readonly ends: Map<number, number>
  /** The highest watermark that any answer has shown. */
  highWatermark: number
}

export class LogLaws {
  readonly #partitions = new Map<number, Partition>()
  readonly #commits = new Map<string, { attempted: number; acknowledged: number }>()
  readonly #watermarksMayLag: boolean
  records = 0

  /** `watermarksMayLag`: a new leader learns late what its predecessor had told to be committed; records stay all the same. */
  constructor({ watermarksMayLag = false }: { watermarksMayLag?: boolean } = {}) {
    this.#watermarksMayLag = watermarksMayLag
  }

  #partition(index: number): Partition {
    let partition = this.#partitions.get(index)
    if (!partition) this.#partitions.set(index, (partition = { byOffset: new Map(), acknowledged: new Map(), attempted: new Set(), ends: new Map(), highWatermark: 0 }))
    return partition
  }

  sends(partition: number, values: readonly string[]): void {
    for (const value of values) this.#partition(partition).attempted.add(value)
  }
  acknowledged(partition: number, values: readonly string[], baseOffset: number): void {
    values.forEach((value, index) => {
      this.#partition(partition).acknowledged.set(value, baseOffset + index)
      this.#at(partition, baseOffset + index, value)
    })
  }
  /** The high watermark that an answer must not fall behind; taken when the request is sent. */
  begins(partition: number): number {
    return this.#partition(partition).highWatermark
  }
  watermark(partition: number, floor: number, highWatermark: number): void {
    if (highWatermark < floor && !this.#watermarksMayLag) throw new Violation('the high watermark never goes back', `partition ${partition} shows ${highWatermark}, and ${floor} had been shown before the request was sent`)
    const known = this.#partition(partition)
    known.highWatermark = Math.max(known.highWatermark, highWatermark)
  }
  /** The committed ends that an answer of this leader epoch must not fall behind; taken when the request is sent. */
  endsKnown(partition: number): ReadonlyMap<number, number> {
    return new Map(this.#partition(partition).ends)
  }
  /** ListOffsets has told where the committed records end (KIP-207: not before a new leader knows it). */
  endTold(partition: number, floors: ReadonlyMap<number, number>, { leaderEpoch, offset }: { leaderEpoch: number; offset: number }): void {
    for (const [epoch, floor] of floors)
      if (epoch <= leaderEpoch && offset < floor) throw new Violation('the end of what is committed never goes back', `partition ${partition} ends at ${offset} in epoch ${leaderEpoch}, and ended at ${floor} in epoch ${epoch} before that was asked`)
    const { ends } = this.#partition(partition)
    ends.set(leaderEpoch, Math.max(ends.get(leaderEpoch) ?? 0, offset))
  }
  fetched(partition: number, from: number, records: readonly { offset: number; value: string }[], highWatermark: number): void {
    let expected = from
    for (const { offset, value } of records) {
      if (offset < from) continue
      if (offset !== expected) throw new Violation('offsets have no gap', `partition ${partition} goes from ${expected - 1} to ${offset}`)
      if (offset >= highWatermark) throw new Violation('nothing is read above the high watermark', `partition ${partition} shows offset ${offset}, and its high watermark is ${highWatermark}`)
      this.#at(partition, offset, value)
      expected++
    }
  }
  #at(partition: number, offset: number, value: string): void {
    this.records++
    const known = this.#partition(partition)
    const before = known.byOffset.get(offset)
    if (before !== undefined && before !== value) throw new Violation('an offset has one record for ever', `partition ${partition} offset ${offset} was '${before}' and is '${value}'`)
    if (!known.attempted.has(value)) throw new Violation('only what was sent is read', `partition ${partition} offset ${offset} is '${value}', which nobody sent`)
    known.byOffset.set(offset, value)
  }

  commits(group: string, offset: number): void {
    const known = this.#commits.get(group) ?? { attempted: -1, acknowledged: -1 }
    this.#commits.set(group, { ...known, attempted: Math.max(known.attempted, offset) })
  }
  committed(group: string, offset: number): void {
    const known = this.#commits.get(group)!
    this.#commits.set(group, { ...known, acknowledged: Math.max(known.acknowledged, offset) })
  }
  /** Groups have one committer each, which only goes forward, and asks when nothing of it is on its way. */
  committedOffset(group: string, offset: number): void {
    const { attempted, acknowledged } = this.#commits.get(group) ?? { attempted: -1, acknowledged: -1 }
    if (offset < acknowledged) throw new Violation('committed offsets never go back', `group ${group} is at ${offset}, and ${acknowledged} was acknowledged`)
    if (offset > attempted) throw new Violation('only what was committed is found', `group ${group} is at ${offset}, and the highest commit was ${attempted}`)
    this.#commits.set(group, { attempted, acknowledged: Math.max(acknowledged, offset) })
  }

  /** All faults are over, and this is the whole partition. */
  whole(partition: number, records: readonly { offset: number; value: string }[]): void {
    const { acknowledged, byOffset } = this.#partition(partition)
    const offsets = new Map<string, number>()
    const last = new Map<string, number>()
    for (const { offset, value } of records) {
      if (offsets.has(value)) throw new Violation('a record is there once', `partition ${partition} has '${value}' at ${offsets.get(value)} and ${offset}`)
      offsets.set(value, offset)
      const [producer, number] = value.split('.')
      // What was given up may come late, where nobody repeats and nobody numbers.
      if (!producer.startsWith('idempotent') && !acknowledged.has(value)) continue
      if (Number(number) <= (last.get(producer) ?? -1)) throw new Violation('records of one producer are in its order', `partition ${partition} has '${value}' after '${producer}.${last.get(producer)}'`)
      last.set(producer, Number(number))
    }
    for (const [value, offset] of acknowledged)
      if (offsets.get(value) !== offset) throw new Violation('what was acknowledged is there', `partition ${partition} has '${value}' at ${offsets.get(value) ?? 'no offset'}; ${offset} was acknowledged`)
    for (const [offset, value] of byOffset)
      if (offsets.get(value) !== offset) throw new Violation('what was shown is there', `partition ${partition} has '${value}' at ${offsets.get(value) ?? 'no offset'}; it was shown at ${offset}`)
  }
}
