/** A member of a classic consumer group (protocol type "consumer", eager): joins, leads when it is told to, beats, commits, leaves. */
import type { Host, Timer } from '../../host/host.ts'
import { MalformedError } from '../../wire/reader.ts'
import { Assignment, Subscription } from '../protocol/consumer-protocol.ts'
import { errorByCode, errors, RefusedError } from '../protocol/errors.ts'
import { Heartbeat } from '../protocol/heartbeat.ts'
import { JoinGroup, type JoinGroupResponse } from '../protocol/join-group.ts'
import { LeaveGroup } from '../protocol/leave-group.ts'
import { OffsetCommit } from '../protocol/offset-commit.ts'
import { OffsetFetch } from '../protocol/offset-fetch.ts'
import { SyncGroup } from '../protocol/sync-group.ts'
import { assignors, type Subscriber } from './assignors.ts'
import type { KafkaClient, Target } from './client.ts'
import { ConnectionError } from './connection.ts'
import { byTopic, partitionName, type TopicPartition } from './offsets.ts'

export interface GroupMemberOptions {
  host: Host
  client: KafkaClient
  groupId: string
  groupInstanceId?: string | null
  sessionTimeoutMs?: number
  rebalanceTimeoutMs?: number
  heartbeatIntervalMs?: number
  /** Names in `assignors`, the preferred one first. */
  assignorNames?: readonly string[]
}

/** Codes after which the member has lost its place and begins as a new one. */
const lost: ReadonlySet<number> = new Set([errors.unknownMemberId.code, errors.illegalGeneration.code])
const attemptsMax = 1000
/** A commit that does not get through is repeated with a later offset by the caller, so it need not be waited for long. */
const commitTimeoutMs = 10_000

export class GroupMember {
  readonly #options: GroupMemberOptions
  readonly #target: Target
  #memberId = ''
  #generation = -1
  #beating: Timer | undefined
  #beatInFlight = false
  #rejoin = true
  #failure: Error | undefined
  #owned: readonly TopicPartition[] = []

  constructor(options: GroupMemberOptions) {
    this.#options = options
    this.#target = { kind: 'coordinator', of: 'group', key: options.groupId }
  }

  get memberId(): string {
    return this.#memberId
  }
  get generation(): number {
    return this.#generation
  }
  /** The group rebalances, or forgot this member: call `join` again, after committing what was taken. */
  get mustJoin(): boolean {
    if (this.#failure) throw this.#failure
    return this.#rejoin
  }

  /** Enters the next generation with these topics and resolves with the partitions that are this member's. */
  async join(topics: readonly string[]): Promise<TopicPartition[]> {
    this.#stopBeating()
    const { client, host } = this.#options
    for (let attempt = 0; attempt < attemptsMax; attempt++) {
      const joined = await this.#joinOnce(topics)
      if (!joined) continue
      this.#memberId = joined.memberId
      this.#generation = joined.generationId
      const leads = joined.leader === joined.memberId && !joined.skipAssignment
      const assigned = await this.#sync(joined, leads ? await this.#shareOut(joined) : [])
      if (!assigned) continue
      this.#owned = assigned
      this.#rejoin = false
      this.#beating = host.timers.every(this.#options.heartbeatIntervalMs ?? 3000, () => this.#beat())
      return assigned
    }
    throw new RefusedError(errors.rebalanceInProgress, `group '${this.#options.groupId}' did not come to rest in ${attemptsMax} attempts to join (${client.clusterId})`)
  }

  async #joinOnce(topics: readonly string[]): Promise<JoinGroupResponse | undefined> {
    const { client, groupId, groupInstanceId = null, sessionTimeoutMs = 45_000, rebalanceTimeoutMs = 300_000, assignorNames = ['range', 'roundrobin'] } = this.#options
    const ownedPartitions = [...byTopic(this.#owned)].map(([topic, list]) => ({ topic, partitions: list.map(({ partition }) => partition) }))
    // Version 1 of the subscription: every client understands it.
    const metadata = Subscription.encode({ topics, ownedPartitions }, 1)
    const answer = await client.call(
      this.#target,
      JoinGroup,
      {
        groupId, sessionTimeoutMs, rebalanceTimeoutMs, memberId: this.#memberId, groupInstanceId, protocolType: 'consumer',
        protocols: assignorNames.map((name) => ({ name, metadata })),
      },
      {
        timeoutMs: rebalanceTimeoutMs + 5000,
                errorsIn: (response) => (response.errorCode === errors.memberIdRequired.code || lost.has(response.errorCode) ? [] : [response]),
      },
    )
    if (answer.errorCode === 0) return answer
    this.#memberId = answer.errorCode === errors.memberIdRequired.code ? answer.memberId : ''
    this.#generation = -1
    return undefined
  }

  /** The leader's work: everybody's subscriptions in, everybody's assignment out. */
  async #shareOut(joined: JoinGroupResponse): Promise<{ memberId: string; assignment: Buffer }[]> {
    const assign = assignors[joined.protocolName ?? '']
    if (!assign) throw new RefusedError(errors.inconsistentGroupProtocol, `the group chose the assignor '${joined.protocolName}', which was not offered`)
    const members: Subscriber[] = joined.members.map(({ memberId, groupInstanceId, metadata }) => ({ memberId, groupInstanceId, topics: topicsIn(metadata) }))
    const counts = new Map<string, number>()
    const names = [...new Set(members.flatMap(({ topics }) => topics))]
    if (names.length > 0)
      for (const topic of (await this.#options.client.metadata(names)).topics) if (topic.name !== null) counts.set(topic.name, topic.partitions.length)
    return [...assign(members, (topic) => counts.get(topic) ?? 0)].map(([memberId, share]) => ({
      memberId,
      assignment: Assignment.encode({ assignedPartitions: [...share].map(([topic, partitions]) => ({ topic, partitions })) }, 1),
    }))
  }
  async #sync({ protocolName }: JoinGroupResponse, assignments: { memberId: string; assignment: Buffer }[]): Promise<TopicPartition[] | undefined> {
    const { client, groupId, groupInstanceId = null, rebalanceTimeoutMs = 300_000 } = this.#options
    const again = (code: number): boolean => lost.has(code) || code === errors.rebalanceInProgress.code
    const answer = await client.call(
      this.#target,
      SyncGroup,
      { groupId, generationId: this.#generation, memberId: this.#memberId, groupInstanceId, protocolType: 'consumer', protocolName, assignments },
      { timeoutMs: rebalanceTimeoutMs + 5000, errorsIn: (response) => (again(response.errorCode) ? [] : [response]) },
    )
    if (again(answer.errorCode)) {
      if (lost.has(answer.errorCode)) this.#memberId = ''
      return undefined
    }
    if (answer.assignment.length === 0) return []
    return Assignment.decode(answer.assignment).assignedPartitions.flatMap(({ topic, partitions }) => partitions.map((partition) => ({ topic, partition })))
  }

  #beat(): void {
    if (this.#beatInFlight || this.#rejoin) return
    this.#beatInFlight = true
    this.#beatOnce().then(
      () => (this.#beatInFlight = false),
      (error: Error) => {
        this.#beatInFlight = false
        // A coordinator that cannot be reached is looked for with the next beat; everything else ends the membership.
        if (error instanceof ConnectionError || (error instanceof RefusedError && error.error.retriable)) this.#options.client.forget(this.#target)
        else this.#failure = error
      },
    )
  }
  async #beatOnce(): Promise<void> {
    const { client, groupId, groupInstanceId = null } = this.#options
    const connection = await client.connectionTo(this.#target)
    const { errorCode } = await connection.send(Heartbeat, { groupId, generationId: this.#generation, memberId: this.#memberId, groupInstanceId })
    if (errorCode === 0) return
    if (errorCode === errors.rebalanceInProgress.code) this.#rejoin = true
    else if (lost.has(errorCode)) this.#forgetPlace()
    else throw new RefusedError(errorCode)
  }
  #forgetPlace(): void {
    this.#memberId = ''
    this.#generation = -1
    this.#owned = []
    this.#rejoin = true
  }
  #stopBeating(): void {
    this.#beating?.cancel()
    this.#beating = undefined
  }

  /** Commits the next offset to read of each partition. False when the group has gone on without this member. */
  async commit(offsets: readonly (TopicPartition & { offset: number })[]): Promise<boolean> {
    if (offsets.length === 0) return true
    const { client, groupId, groupInstanceId = null } = this.#options
    const overtaken = (code: number): boolean => lost.has(code) || code === errors.rebalanceInProgress.code
    const answer = await client.call(
      this.#target,
      OffsetCommit,
      {
        groupId, generationIdOrMemberEpoch: this.#generation, memberId: this.#memberId, groupInstanceId,
        topics: [...byTopic(offsets)].map(([name, list]) => ({
          name,
          partitions: list.map(({ partition, offset }) => ({ partitionIndex: partition, committedOffset: offset, committedMetadata: '' })),
        })),
      },
      { callTimeoutMs: commitTimeoutMs, errorsIn: (response) => response.topics.flatMap(({ partitions }) => partitions).filter(({ errorCode }) => !overtaken(errorCode)) },
    )
    const codes = answer.topics.flatMap(({ partitions }) => partitions.map(({ errorCode }) => errorCode))
    if (codes.some((code) => lost.has(code))) this.#forgetPlace()
    if (codes.includes(errors.rebalanceInProgress.code)) this.#rejoin = true
    return !codes.some(overtaken)
  }

  /** Committed offsets by `partitionName`; absent where nothing is committed. */
  committed(partitions: readonly TopicPartition[]): Promise<Map<string, number>> {
    return committedOffsets(this.#options.client, this.#options.groupId, partitions)
  }

  /** Leaves the group, so that the others take over at once. A static member stays: it is expected back. */
  async leave(): Promise<void> {
    this.#stopBeating()
    const { client, groupId, groupInstanceId = null } = this.#options
    if (this.#memberId === '' || groupInstanceId !== null) return
    const memberId = this.#memberId
    this.#forgetPlace()
    const connection = await client.connectionTo(this.#target)
    await connection.send(LeaveGroup, { groupId, memberId, members: [{ memberId, reason: 'the consumer is being closed' }] }, { timeoutMs: 5000 })
  }
}

/** Committed offsets of a group by `partitionName`, of these partitions or of all (null). */
export async function committedOffsets(client: KafkaClient, groupId: string, partitions: readonly TopicPartition[] | null): Promise<Map<string, number>> {
  const topics = partitions && [...byTopic(partitions)].map(([name, list]) => ({ name, partitionIndexes: list.map(({ partition }) => partition) }))
  const answer = await client.call({ kind: 'coordinator', of: 'group', key: groupId }, OffsetFetch, (version) => (version >= 8 ? { groups: [{ groupId, topics }] } : { groupId, topics }), {
    errorsIn: (response) => [...(response.groups.length > 0 ? response.groups : [response]), ...partsOf(response)],
  })
  return new Map(partsOf(answer).filter(({ offset }) => offset >= 0).map((part) => [partitionName(part), part.offset]))
}
type OffsetFetchAnswer = {
  topics: { name: string; partitions: { partitionIndex: number; committedOffset: number; errorCode: number }[] }[]
  groups: { topics: OffsetFetchAnswer['topics'] }[]
}
function partsOf(answer: OffsetFetchAnswer): (TopicPartition & { offset: number; errorCode: number })[] {
  const topics = answer.groups.length > 0 ? answer.groups[0].topics : answer.topics
  return topics.flatMap(({ name, partitions }) => partitions.map(({ partitionIndex, committedOffset, errorCode }) => ({ topic: name, partition: partitionIndex, offset: committedOffset, errorCode })))
}

function topicsIn(metadata: Buffer): string[] {
  try {
    return Subscription.decode(metadata).topics
  } catch (cause) {
    if (!(cause instanceof MalformedError)) throw cause
    throw new RefusedError(errorByCode(errors.inconsistentGroupProtocol.code), `a member's subscription cannot be read: ${cause.message}`)
  }
}
