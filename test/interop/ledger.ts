/** A ledger of a topic under faults: what producers were told and what every reader saw, judged when the faults are over. */
import { LogLaws } from '../../src/simulation/checkers/logs.ts'
import { Violation } from '../../src/simulation/checkers/violation.ts'

/** Partition, offset and value, where a reader found it. */
export type Entry = readonly [partition: number, offset: number, value: string]

/**
 * Values are `producer.number`, each producer's numbers increasing. A producer whose name begins with `idempotent` repeats what is not
 * acknowledged until it is: its records must be there once and in its order.
 */
export interface Ledger {
  readonly partitions: number
  readonly sent: readonly Entry[]
  /** With the offset that the producer was told. */
  readonly acknowledged: readonly Entry[]
  /** What members of each group were given, in the order in which they were. */
  readonly groups: Readonly<Record<string, readonly Entry[]>>
  /** The topic from its beginning to its end, by each client that read it when all was over. */
  readonly whole: Readonly<Record<string, readonly Entry[]>>
}

export interface Tally {
  readonly acknowledged: number
  readonly records: number
  /** Given to a member more than once, as at-least-once allows after a coordinator's death. */
  readonly repeated: number
}

/** @throws Violation that names the first broken law, the partition and the record. */
export function judgeLedger({ partitions, sent, acknowledged, groups, whole }: Ledger): Tally {
  let repeated = 0
  const laws = new LogLaws({ watermarksMayLag: true })
  for (const [partition, , value] of sent) laws.sends(partition, [value])
  for (const [partition, offset, value] of acknowledged) laws.acknowledged(partition, [value], offset)
  for (const [group, entries] of Object.entries(groups)) {
    const seen = new Set<string>()
    for (const [partition, offset, value] of entries) {
      laws.fetched(partition, offset, [{ offset, value }], Infinity)
      const place = `${partition}/${offset}`
      if (seen.has(place)) repeated++
      seen.add(place)
    }
    for (const [partition, offset, value] of acknowledged)
      if (!seen.has(`${partition}/${offset}`)) throw new Violation('a group is given every record', `group ${group} was never given '${value}' of partition ${partition} at ${offset}`)
  }
  const readers = Object.entries(whole)
  for (const [reader, entries] of readers)
    for (let partition = 0; partition < partitions; partition++) {
      const records = entries.flatMap(([of, offset, value]) => (of === partition ? [{ offset, value }] : []))
      laws.fetched(partition, 0, records, Infinity)
      laws.whole(partition, records)
      for (let at = 1; at < records.length; at++)
        if (records[at].offset <= records[at - 1].offset) throw new Violation('a reader sees offsets in order', `${reader} saw ${records[at].offset} of partition ${partition} after ${records[at - 1].offset}`)
    }
  return { acknowledged: acknowledged.length, records: readers[0]?.[1].length ?? 0, repeated }
}
