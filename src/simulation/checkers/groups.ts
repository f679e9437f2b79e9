/**
 * What the coordinator of a group promises its members: a generation gives a partition to one of them, what is over commits nothing any
 * more, and nobody begins before the offset that others were told is committed. Members of one group tell what they send and are told.
 */
import { Violation } from './violation.ts'

interface Committed {
  attempted: number
  acknowledged: number
}

export class GroupLaws {
  readonly counts = new Map<string, number>()
  /** Assignments that reached a member. */
  shares = 0
  readonly #owners = new Map<string, string>()
  /** The newest generation that any member has its share of, by group. */
  readonly #newest = new Map<string, number>()
  readonly #committed = new Map<string, Committed>()

  #look(law: string, isKept: boolean, broken: () => string): void {
    this.counts.set(law, (this.counts.get(law) ?? 0) + 1)
    if (!isKept) throw new Violation(law, broken())
  }
  #of(group: string, partition: number): Committed {
    const key = `${group}/${partition}`
    let committed = this.#committed.get(key)
    if (!committed) this.#committed.set(key, (committed = { attempted: -1, acknowledged: -1 }))
    return committed
  }

  /** SyncGroup was answered. */
  assigned(group: string, generation: number, member: string, partitions: readonly number[]): void {
    this.shares++
    for (const partition of partitions) {
      const key = `${group}/${generation}/${partition}`
      const owner = this.#owners.get(key) ?? member
      this.#look('a generation gives a partition to one member', owner === member, () => `group ${group}, generation ${generation}: partition ${partition} belongs to ${owner} and to ${member}`)
      this.#owners.set(key, member)
    }
    this.#newest.set(group, Math.max(this.newest(group), generation))
  }
  /** Taken when a request is sent: what was over by then must not succeed. */
  newest(group: string): number {
    return this.#newest.get(group) ?? -1
  }
  commits(group: string, partition: number, offset: number): void {
    const committed = this.#of(group, partition)
    committed.attempted = Math.max(committed.attempted, offset)
  }
  /** OffsetCommit succeeded. */
  committed(group: string, partition: number, offset: number, { generation, newest }: { generation: number; newest: number }): void {
    this.#look('a generation that is over commits nothing', generation >= newest, () => `group ${group}: generation ${generation} has committed ${offset} of partition ${partition}, and generation ${newest} had begun before it asked`)
    const known = this.#of(group, partition)
    known.acknowledged = Math.max(known.acknowledged, offset)
  }
  /** Taken when OffsetFetch is sent: what it must not fall behind. */
  floor(group: string, partition: number): number {
    return this.#of(group, partition).acknowledged
  }
  /** −1: nothing is committed. */
  found(group: string, partition: number, offset: number, floor: number): void {
    const { attempted } = this.#of(group, partition)
    this.#look('a member begins where its group is', offset >= floor && offset <= attempted, () => `group ${group} is at ${offset} of partition ${partition}; ${floor} was acknowledged, and ${attempted} is the highest that was tried`)
  }
}
