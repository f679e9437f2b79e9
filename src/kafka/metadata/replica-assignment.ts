/** Spreads replicas over brokers as Apache's AdminUtils does: round robin with a shifted second replica, racks alternating. */

export interface AssignableBroker {
  readonly id: number
  readonly rack: string | undefined
}
export interface AssignmentOptions {
  readonly partitions: number
  readonly replicationFactor: number
  /** Where the first partition starts, and how far the second replica is shifted; random unless this continues an existing topic. */
  readonly startIndex: number
  readonly shift: number
  /** Index of the first new partition. */
  readonly firstPartition?: number
}

/** More do not fit into a znode of 1 MiB: each takes nine bytes or more. Known before anything is allocated. */
export const topicPartitionsMax = 100_000

/** Why it cannot be done; undefined when it can. */
export function assignmentFault(brokers: readonly AssignableBroker[], { partitions, replicationFactor }: { partitions: number; replicationFactor: number }): 'partitions' | 'replicationFactor' | undefined {
  if (partitions <= 0 || partitions > topicPartitionsMax) return 'partitions'
  if (replicationFactor <= 0 || replicationFactor > brokers.length) return 'replicationFactor'
  return undefined
}

/** Replicas of each new partition, the preferred leader first. Racks are heeded when every broker has one. */
export function assignReplicas(brokers: readonly AssignableBroker[], options: AssignmentOptions): Map<number, number[]> {
  const sorted = [...brokers].sort((one, other) => one.id - other.id)
  return sorted.length > 0 && sorted.every(({ rack }) => rack !== undefined) ? rackAware(sorted, options) : unaware(sorted, options)
}

function unaware(brokers: readonly AssignableBroker[], { partitions, replicationFactor, startIndex, shift, firstPartition = 0 }: AssignmentOptions): Map<number, number[]> {
  const count = brokers.length
  const assignment = new Map<number, number[]>()
  let shiftNow = shift
  for (let partition = firstPartition; partition < firstPartition + partitions; partition++) {
    if (partition > 0 && partition % count === 0) shiftNow++
    const first = (partition + startIndex) % count
    const replicas = [brokers[first].id]
    for (let index = 0; index < replicationFactor - 1; index++) replicas.push(brokers[replicaIndex(first, shiftNow, index, count)].id)
    assignment.set(partition, replicas)
  }
  return assignment
}
function replicaIndex(first: number, shift: number, index: number, count: number): number {
  return (first + 1 + ((shift + index) % (count - 1))) % count
}

function rackAware(brokers: readonly AssignableBroker[], { partitions, replicationFactor, startIndex, shift, firstPartition = 0 }: AssignmentOptions): Map<number, number[]> {
  const alternating = rackAlternated(brokers)
  const rackOf = new Map(brokers.map(({ id, rack }) => [id, rack as string]))
  const racks = new Set(rackOf.values()).size
  const count = alternating.length
  const assignment = new Map<number, number[]>()
  let shiftNow = shift
  for (let partition = firstPartition; partition < firstPartition + partitions; partition++) {
    if (partition > 0 && partition % count === 0) shiftNow++
    const first = (partition + startIndex) % count
    const replicas = [alternating[first]]
    const racksUsed = new Set([rackOf.get(alternating[first])])
    let step = 0
    while (replicas.length < replicationFactor) {
      const broker = alternating[replicaIndex(first, shiftNow * racks, step++, count)]
      const rack = rackOf.get(broker)
      // A rack is used again only when all have a replica, a broker only when all have one of this partition.
      const rackFree = !racksUsed.has(rack) || racksUsed.size === racks
      const brokerFree = !replicas.includes(broker) || new Set(replicas).size === count
      if (rackFree && brokerFree) {
        replicas.push(broker)
        racksUsed.add(rack)
      }
    }
    assignment.set(partition, replicas)
  }
  return assignment
}
/** One broker of each rack in turn: racks by name, brokers by id. */
function rackAlternated(brokers: readonly AssignableBroker[]): number[] {
  const byRack = new Map<string, number[]>()
  for (const { id, rack = '' } of brokers) byRack.set(rack, [...(byRack.get(rack) ?? []), id])
  const racks = [...byRack.keys()].sort()
  const result: number[] = []
  for (let round = 0; result.length < brokers.length; round++) {
    for (const rack of racks) {
      const id = byRack.get(rack)?.[round]
      if (id !== undefined) result.push(id)
    }
  }
  return result
}
