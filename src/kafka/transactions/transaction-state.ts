/** What is on record of a transactional id (TransactionMetadata), and the states it goes through. */

/** By the number that stands in a record. */
export const stateNames = ['Empty', 'Ongoing', 'PrepareCommit', 'PrepareAbort', 'CompleteCommit', 'CompleteAbort', 'Dead', 'PrepareEpochFence'] as const
export type StateName = (typeof stateNames)[number]

export interface TopicPartition {
  readonly topic: string
  readonly partition: number
}
/** Partitions by topic, in the order in which they were added. */
export type Partitions = ReadonlyMap<string, ReadonlySet<number>>
export const noPartitions = (): Partitions => new Map()

export interface TransactionValue {
  readonly producerId: number
  readonly producerEpoch: number
  readonly timeoutMs: number
  readonly state: StateName
  /** Empty without a transaction that is open or being ended. */
  readonly partitions: Partitions
  /** ms since 1970. */
  readonly lastUpdateMs: number
  /** ms since 1970; −1 before the first transaction of a producer. */
  readonly startMs: number
}

/** A producer with this epoch gets no higher one: the last int16 is kept for fencing it. */
const lastEpochOfProducers = 0x7ffe
export const epochMax = 0x7fff
export const isExhausted = (epoch: number): boolean => epoch >= lastEpochOfProducers

const before: Readonly<Record<StateName, readonly StateName[]>> = {
  Empty: ['Empty', 'CompleteCommit', 'CompleteAbort'],
  Ongoing: ['Ongoing', 'Empty', 'CompleteCommit', 'CompleteAbort'],
  PrepareCommit: ['Ongoing'],
  // By way of PrepareEpochFence, too, which is never put on record.
  PrepareAbort: ['Ongoing', 'PrepareEpochFence'],
  CompleteCommit: ['PrepareCommit'],
  CompleteAbort: ['PrepareAbort'],
  Dead: ['Empty', 'CompleteCommit', 'CompleteAbort'],
  PrepareEpochFence: ['Ongoing'],
}
export const mayFollow = (from: StateName, to: StateName): boolean => before[to].includes(from)

export function hasPartition(partitions: Partitions, { topic, partition }: TopicPartition): boolean {
  return partitions.get(topic)?.has(partition) ?? false
}
export function withPartitions(partitions: Partitions, more: readonly TopicPartition[]): Partitions {
  const all = new Map(partitions)
  const fresh = new Map<string, Set<number>>()
  for (const { topic, partition } of more) {
    let indexes = fresh.get(topic)
    if (!indexes) {
      fresh.set(topic, (indexes = new Set(all.get(topic))))
      all.set(topic, indexes)
    }
    indexes.add(partition)
  }
  return all
}
export function* eachOf(partitions: Partitions): Generator<TopicPartition> {
  for (const [topic, indexes] of partitions) for (const partition of indexes) yield { topic, partition }
}
