/** What is known of a consumer group: state, members, and where it is in every partition. */
import type { KafkaClient } from '../kafka/client/client.ts'
import { committedOffsets } from '../kafka/client/group-member.ts'
import { latest, listOffsets, partitionName, type TopicPartition } from '../kafka/client/offsets.ts'
import { Assignment } from '../kafka/protocol/consumer-protocol.ts'
import { DescribeGroups } from '../kafka/protocol/describe-groups.ts'
import { RefusedError } from '../kafka/protocol/errors.ts'
import { MalformedError } from '../wire/reader.ts'

export interface GroupMemberFacts {
  consumerId: string
  instanceId: string | null
  host: string
  clientId: string
  assignment: TopicPartition[]
}
export interface GroupFacts {
  groupId: string
  /** `Dead`: there is no such group. */
  state: string
  assignor: string
  members: GroupMemberFacts[]
}
export interface OffsetRow {
  at: TopicPartition | undefined
  committed: number | undefined
  end: number | undefined
  member: GroupMemberFacts | undefined
}

export async function groupFacts(client: KafkaClient, groupId: string): Promise<GroupFacts> {
  const answer = await client.call({ kind: 'coordinator', of: 'group', key: groupId }, DescribeGroups, { groups: [groupId] }, { errorsIn: (response) => response.groups })
  const group = answer.groups[0]
  if (!group) throw new Error(`the coordinator of group '${groupId}' answered DescribeGroups with nothing`)
  if (group.protocolType !== '' && group.protocolType !== 'consumer')
    throw new Error(`Group '${groupId}' is not a consumer group: its protocol type is '${group.protocolType}'`)
  const members = group.members.map(({ memberId, groupInstanceId, clientId, clientHost, memberAssignment }) => ({
    consumerId: memberId,
    instanceId: groupInstanceId,
    host: clientHost,
    clientId,
    assignment: partitionsIn(memberAssignment),
  }))
  return { groupId, state: group.groupState, assignor: group.protocolData, members }
}
function partitionsIn(assignment: Buffer): TopicPartition[] {
  if (assignment.length === 0) return []
  try {
    return Assignment.decode(assignment).assignedPartitions.flatMap(({ topic, partitions }) => partitions.map((partition) => ({ topic, partition }))).sort(inOrder)
  } catch (error) {
    if (error instanceof MalformedError) return []
    throw error
  }
}
const inOrder = (a: TopicPartition, b: TopicPartition): number => (a.topic < b.topic ? -1 : a.topic > b.topic ? 1 : a.partition - b.partition)

/** Every partition that is assigned or has a committed offset, in order; then members without any. */
export async function offsetRows(client: KafkaClient, { groupId, members }: GroupFacts): Promise<OffsetRow[]> {
  const committed = await committedOffsets(client, groupId, null)
  const rows = new Map<string, OffsetRow & { at: TopicPartition }>()
  for (const member of members)
    for (const at of member.assignment) rows.set(partitionName(at), { at, member, committed: committed.get(partitionName(at)), end: undefined })
  for (const [name, offset] of committed) {
    if (rows.has(name)) continue
    const dash = name.lastIndexOf('-')
    rows.set(name, { at: { topic: name.slice(0, dash), partition: Number(name.slice(dash + 1)) }, member: undefined, committed: offset, end: undefined })
  }
  const sorted = [...rows.values()].sort((a, b) => inOrder(a.at, b.at))
  const ends = await endOffsets(client, sorted.map(({ at }) => at))
  for (const row of sorted) row.end = ends.get(partitionName(row.at))
  return [...sorted, ...members.filter(({ assignment }) => assignment.length === 0).map((member) => ({ at: undefined, committed: undefined, end: undefined, member }))]
}
/** Ends of the logs; absent for partitions that do not exist any more or have no leader. */
async function endOffsets(client: KafkaClient, partitions: readonly TopicPartition[]): Promise<Map<string, number>> {
  const names = [...new Set(partitions.map(({ topic }) => topic))]
  if (names.length === 0) return new Map()
  const { topics } = await client.retrying('Metadata', () => client.metadata(names))
  const led = new Set(topics.flatMap(({ name, partitions: all }) => all.filter(({ leaderId }) => leaderId >= 0).map(({ partitionIndex }) => partitionName({ topic: name!, partition: partitionIndex }))))
  const wanted = partitions.filter((one) => led.has(partitionName(one)))
  try {
    return await listOffsets(client, wanted.map((one) => ({ ...one, timestamp: latest })))
  } catch (error) {
    if (error instanceof RefusedError && error.error.retriable) return new Map()
    throw error
  }
}
