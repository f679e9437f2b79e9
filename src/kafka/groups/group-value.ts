/** Between the members of a group and the record they are kept in. */
import { Member, type Members } from './members.ts'
import { UnknownRecordError, type GroupValue } from './offsets-records.ts'
import { subscribedTopics } from './subscription.ts'

const nothing = Buffer.alloc(0)

/** The record of a group: of each member only what it said under the chosen protocol. */
export function groupValueOf(
  members: Members,
  group: { protocolType: string | undefined; protocolName: string | undefined; generation: number; leader: string | undefined; stateTimestamp: number | undefined },
  assignmentOf: (member: Member) => Uint8Array,
): GroupValue {
  const { protocolName } = group
  return {
    protocolType: group.protocolType ?? '', generation: group.generation, protocol: protocolName ?? null, leader: group.leader ?? null,
    currentStateTimestamp: BigInt(group.stateTimestamp ?? -1),
    members: [...members].map((member) => ({
      memberId: member.id, groupInstanceId: member.instanceId, clientId: member.clientId, clientHost: member.clientHost,
      rebalanceTimeout: member.rebalanceTimeoutMs, sessionTimeout: member.sessionTimeoutMs,
      subscription: protocolName === undefined ? nothing : Buffer.from(member.metadataFor(protocolName)), assignment: Buffer.from(assignmentOf(member)),
    })),
  }
}

/** The members in a record; throws when two of them are the same. The oldest records have no rebalance timeout: the session's counts. */
export function membersIn({ protocol, members }: GroupValue): Member[] {
  const names = members.flatMap(({ memberId, groupInstanceId }) => (groupInstanceId === null ? [`m ${memberId}`] : [`m ${memberId}`, `i ${groupInstanceId}`]))
  if (new Set(names).size < names.length) throw new UnknownRecordError('a group in which a member occurs twice')
  return members.map((stored) => {
    const member = new Member(
      stored.memberId,
      { instanceId: stored.groupInstanceId, clientId: stored.clientId, clientHost: stored.clientHost },
      [{ name: protocol ?? '', metadata: stored.subscription }],
      { rebalanceMs: stored.rebalanceTimeout < 0 ? stored.sessionTimeout : stored.rebalanceTimeout, sessionMs: stored.sessionTimeout },
    )
    member.assignment = stored.assignment
    return member
  })
}

/** All topics the members of a consumer group read; undefined when one member's subscription cannot be read. */
export function topicsReadBy(members: Members, protocolName: string | undefined): ReadonlySet<string> | undefined {
  const topics = new Set<string>()
  for (const member of members) {
    const own = protocolName === undefined ? undefined : subscribedTopics(member.metadataFor(protocolName))
    if (own === undefined) return undefined
    for (const topic of own) topics.add(topic)
  }
  return topics
}
