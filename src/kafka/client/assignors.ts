/** How a group's leader shares partitions out, with the results that Java's RangeAssignor and RoundRobinAssignor have. */

export interface Subscriber {
  memberId: string
  groupInstanceId: string | null
  topics: readonly string[]
}
/** Partitions by topic, for each member id. */
export type Shares = Map<string, Map<string, number[]>>
/** `partitionsOf`: how many partitions a topic has; 0 for one that does not exist. */
export type Assignor = (members: readonly Subscriber[], partitionsOf: (topic: string) => number) => Shares

/** Static members first, by instance id; then the others by member id. A static member keeps its share over restarts. */
function ordered(members: readonly Subscriber[]): Subscriber[] {
  return [...members].sort((a, b) => {
    if ((a.groupInstanceId === null) !== (b.groupInstanceId === null)) return a.groupInstanceId === null ? 1 : -1
    const left = a.groupInstanceId ?? a.memberId
    const right = b.groupInstanceId ?? b.memberId
    return left < right ? -1 : left > right ? 1 : 0
  })
}
const topicsOf = (members: readonly Subscriber[]): string[] => [...new Set(members.flatMap(({ topics }) => topics))].sort()
const emptyShares = (members: readonly Subscriber[]): Shares => new Map(members.map(({ memberId }) => [memberId, new Map()]))

/** Topic by topic, consecutive partitions to each subscriber; the first ones get one more where it does not come out even. */
export const range: Assignor = (members, partitionsOf) => {
  const shares = emptyShares(members)
  const sorted = ordered(members)
  for (const topic of topicsOf(members)) {
    const subscribers = sorted.filter(({ topics }) => topics.includes(topic))
    const partitions = partitionsOf(topic)
    const each = Math.floor(partitions / subscribers.length)
    const extra = partitions % subscribers.length
    subscribers.forEach(({ memberId }, index) => {
      const first = each * index + Math.min(index, extra)
      const count = each + (index < extra ? 1 : 0)
      if (count > 0) shares.get(memberId)!.set(topic, Array.from({ length: count }, (_, at) => first + at))
    })
  }
  return shares
}

/** All partitions of all topics in turn to whoever is next and subscribed. */
export const roundRobin: Assignor = (members, partitionsOf) => {
  const shares = emptyShares(members)
  const sorted = ordered(members)
  let next = 0
  for (const topic of topicsOf(members))
    for (let partition = 0; partition < partitionsOf(topic); partition++) {
      while (!sorted[next % sorted.length].topics.includes(topic)) next++
      const share = shares.get(sorted[next++ % sorted.length].memberId)!
      share.set(topic, [...(share.get(topic) ?? []), partition])
    }
  return shares
}

/** By the names that members agree on in JoinGroup. */
export const assignors: Readonly<Record<string, Assignor>> = { range, roundrobin: roundRobin }
