/** Members of one group, who join, share partitions, commit what they have come to, leave, fall silent and come back. */
import { errors, RefusedError } from '../kafka/protocol/errors.ts'
import { Heartbeat } from '../kafka/protocol/heartbeat.ts'
import { JoinGroup } from '../kafka/protocol/join-group.ts'
import { LeaveGroup } from '../kafka/protocol/leave-group.ts'
import { OffsetCommit } from '../kafka/protocol/offset-commit.ts'
import { OffsetFetch } from '../kafka/protocol/offset-fetch.ts'
import { SyncGroup } from '../kafka/protocol/sync-group.ts'
import type { KafkaConnection } from '../kafka/client/connection.ts'
import type { GroupLaws } from './checkers/groups.ts'
import { Actor, topic, type KafkaClientFacts } from './kafka-clients.ts'

const group = 'shared'
const target = { kind: 'coordinator', of: 'group', key: group } as const
const protocol = 'by chance'
const sessionTimeoutMs = 2_000

export class GroupMember extends Actor {
  readonly #laws: GroupLaws
  #memberId = ''
  /** −1: to be joined. */
  #generation = -1
  /** The generation before, which this member was part of under the id it still has; −1: none. */
  #former = -1
  readonly #next = new Map<number, number>()

  constructor(facts: KafkaClientFacts, laws: GroupLaws) {
    super(facts)
    this.#laws = laws
  }
  protected async step(): Promise<void> {
    const connection = await this.#coordinator()
    if (this.#generation < 0) return this.#join(connection)
    if (this.random.chance(0.01)) return this.#leave(connection)
    // Silent for longer than its session; it goes on as the member that it is no more.
    if (this.random.chance(0.01)) return this.facts.world.sleep(this.facts.world.between(sessionTimeoutMs, 3 * sessionTimeoutMs))
    const partitions = [...this.#next.keys()]
    if (this.#former >= 0 && partitions.length > 0 && this.random.chance(0.05)) return this.#commitLate(connection, partitions[this.random.below(partitions.length)])
    if (partitions.length > 0 && this.random.chance(0.6)) return this.#commit(connection, partitions[this.random.below(partitions.length)])
    const { errorCode } = await connection.send(Heartbeat, { groupId: group, generationId: this.#generation, memberId: this.#memberId })
    this.#judge(errorCode)
  }
  async #coordinator(): Promise<KafkaConnection> {
    try {
      return await this.client.connectionTo(target)
    } catch (error) {
      this.client.forget(target)
      throw error
    }
  }
  /** What an answer means for the membership. Throws what passes, or what nobody expects. */
  #judge(errorCode: number): void {
    if (errorCode === 0) return
    this.client.forget(target)
    if (errorCode === errors.unknownMemberId.code) {
      this.#memberId = ''
      this.#former = -1
    }
    const isOver = [errors.unknownMemberId, errors.illegalGeneration, errors.rebalanceInProgress].some(({ code }) => code === errorCode)
    if (!isOver) throw new RefusedError(errorCode)
    if (this.#memberId !== '' && this.#generation >= 0) this.#former = this.#generation
    this.#generation = -1
  }
  async #join(connection: KafkaConnection): Promise<void> {
    this.#next.clear()
    const asked = { groupId: group, sessionTimeoutMs, rebalanceTimeoutMs: 2_000, memberId: this.#memberId, protocolType: 'consumer', protocols: [{ name: protocol, metadata: Buffer.alloc(0) }] }
    const joined = await connection.send(JoinGroup, asked, { version: 5 })
    if (joined.errorCode === errors.memberIdRequired.code) {
      this.#memberId = joined.memberId
      return
    }
    if (joined.errorCode !== 0) return this.#judge(joined.errorCode)
    this.#memberId = joined.memberId
    const shares = new Map<string, number[]>()
    if (joined.leader === joined.memberId)
      for (let partition = 0; partition < this.facts.partitionCount; partition++) {
        const { memberId } = joined.members[this.random.below(joined.members.length)]
        shares.set(memberId, [...(shares.get(memberId) ?? []), partition])
      }
    const synced = await connection.send(SyncGroup, {
      groupId: group, generationId: joined.generationId, memberId: joined.memberId,
      assignments: [...shares].map(([memberId, partitions]) => ({ memberId, assignment: Buffer.from(JSON.stringify(partitions)) })),
    }, { version: 3 })
    if (synced.errorCode !== 0) return this.#judge(synced.errorCode)
    const share = synced.assignment.length === 0 ? [] : (JSON.parse(String(synced.assignment)) as number[])
    this.#laws.assigned(group, joined.generationId, joined.memberId, share)
    this.#generation = joined.generationId
    if (share.length > 0) await this.#begin(connection, share)
  }
  async #begin(connection: KafkaConnection, share: readonly number[]): Promise<void> {
    const floors = new Map(share.map((partition) => [partition, this.#laws.floor(group, partition)]))
    const answer = await connection.send(OffsetFetch, { groupId: group, topics: [{ name: topic, partitionIndexes: share }] }, { version: 5 })
    if (answer.errorCode !== 0) return this.#judge(answer.errorCode)
    for (const { partitionIndex, committedOffset, errorCode } of answer.topics[0].partitions) {
      if (errorCode !== 0) return this.#judge(errorCode)
      this.#laws.found(group, partitionIndex, committedOffset, floors.get(partitionIndex)!)
      this.#next.set(partitionIndex, committedOffset + 1)
    }
  }
  async #commit(connection: KafkaConnection, partitionIndex: number): Promise<void> {
    const offset = this.#next.get(partitionIndex)!
    const generation = this.#generation
    const newest = this.#laws.newest(group)
    this.#laws.commits(group, partitionIndex, offset)
    const answer = await connection.send(OffsetCommit, {
      groupId: group, generationIdOrMemberEpoch: generation, memberId: this.#memberId, topics: [{ name: topic, partitions: [{ partitionIndex, committedOffset: offset, committedMetadata: '' }] }],
    }, { version: 7 })
    const { errorCode } = answer.topics[0].partitions[0]
    if (errorCode !== 0) return this.#judge(errorCode)
    this.#laws.committed(group, partitionIndex, offset, { generation, newest })
    this.#next.set(partitionIndex, offset + 1)
  }
  /** A commit that comes after its generation: the member is still one, what it speaks for is over. */
  async #commitLate(connection: KafkaConnection, partitionIndex: number): Promise<void> {
    const generation = this.#former
    const offset = this.#next.get(partitionIndex)!
    const newest = this.#laws.newest(group)
    this.#laws.commits(group, partitionIndex, offset)
    const answer = await connection.send(OffsetCommit, {
      groupId: group, generationIdOrMemberEpoch: generation, memberId: this.#memberId, topics: [{ name: topic, partitions: [{ partitionIndex, committedOffset: offset, committedMetadata: '' }] }],
    }, { version: 7 })
    if (answer.topics[0].partitions[0].errorCode === 0) this.#laws.committed(group, partitionIndex, offset, { generation, newest })
  }
  async #leave(connection: KafkaConnection): Promise<void> {
    const memberId = this.#memberId
    this.#memberId = ''
    this.#former = -1
    this.#generation = -1
    await connection.send(LeaveGroup, { groupId: group, members: [{ memberId }] }, { version: 3 })
  }
}
