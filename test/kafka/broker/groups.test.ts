/** The APIs of consumer groups on a running broker, each over its whole range of versions. */
import { afterEach, expect, test } from 'vitest'
import { CreateTopics } from '../../../src/kafka/protocol/create-topics.ts'
import { DeleteGroups } from '../../../src/kafka/protocol/delete-groups.ts'
import { DescribeGroups } from '../../../src/kafka/protocol/describe-groups.ts'
import { errors } from '../../../src/kafka/protocol/errors.ts'
import { FindCoordinator } from '../../../src/kafka/protocol/find-coordinator.ts'
import { Heartbeat } from '../../../src/kafka/protocol/heartbeat.ts'
import { JoinGroup } from '../../../src/kafka/protocol/join-group.ts'
import { LeaveGroup } from '../../../src/kafka/protocol/leave-group.ts'
import { ListGroups } from '../../../src/kafka/protocol/list-groups.ts'
import { OffsetCommit } from '../../../src/kafka/protocol/offset-commit.ts'
import { OffsetDelete } from '../../../src/kafka/protocol/offset-delete.ts'
import { OffsetFetch } from '../../../src/kafka/protocol/offset-fetch.ts'
import { SyncGroup } from '../../../src/kafka/protocol/sync-group.ts'
import { startBroker, versionsOf, type BrokerUnderTest } from './broker-under-test.ts'

let broker: BrokerUnderTest
afterEach(() => broker.stop())
const ask: BrokerUnderTest['ask'] = (api, version, request) => broker.ask(api, version, request)

/** A broker with topic t of two partitions, whose coordinator has loaded its groups. */
async function started(config: Readonly<Record<string, string>> = {}): Promise<void> {
  broker = await startBroker(config)
  await ask(CreateTopics, 7, { topics: [{ name: 't', numPartitions: 2, replicationFactor: 1, assignments: [], configs: [] }], timeoutMs: 10_000, validateOnly: false })
  await ask(FindCoordinator, 2, { key: 'g', keyType: 0 })
  await expect.poll(async () => (await ask(ListGroups, 5, { statesFilter: [], typesFilter: [] })).errorCode).toBe(0)
  await expect.poll(async () => (await ask(OffsetFetch, 7, { groupId: 'g', topics: null, groups: [], requireStable: false })).errorCode).toBe(0)
}
const joinRequest = (groupId: string, memberId: string, groupInstanceId: string | null = null) => ({
  groupId, memberId, groupInstanceId, sessionTimeoutMs: 10_000, rebalanceTimeoutMs: 10_000, protocolType: 'consumer', protocols: [{ name: 'range', metadata: Buffer.from('m') }],
})
async function join(version: number, groupId: string, instanceId: string | null = null) {
  const first = await ask(JoinGroup, version, joinRequest(groupId, '', instanceId))
  if (first.errorCode !== errors.memberIdRequired.code) return first
  return ask(JoinGroup, version, joinRequest(groupId, first.memberId, instanceId))
}
const commitRequest = (groupId: string, offset: number, member: { memberId: string; generationId: number } = { memberId: '', generationId: -1 }) => ({
  groupId, memberId: member.memberId, generationIdOrMemberEpoch: member.generationId,
  topics: [
    { name: 't', partitions: [{ partitionIndex: 1, committedOffset: offset, committedLeaderEpoch: 3, committedMetadata: `note ${offset}` }, { partitionIndex: 9, committedOffset: 1, committedMetadata: null }] },
    { name: 'unknown', partitions: [{ partitionIndex: 0, committedOffset: 1, committedMetadata: null }] },
  ],
})
const wishes = [{ name: 't', partitionIndexes: [0, 1] }]
async function fetchOffsets(version: number, groupId: string, topics: typeof wishes | null = wishes, requireStable = false) {
  const answer = await ask(OffsetFetch, version, version >= 8 ? { topics: null, groups: [{ groupId, topics }], requireStable } : { groupId, topics, groups: [], requireStable })
  return version >= 8 ? answer.groups[0] : { errorCode: answer.errorCode, topics: answer.topics }
}

test('FindCoordinator makes the topic of offsets and names this broker, in every version', async () => {
  broker = await startBroker()
  const [host, port] = broker.ottla.bootstrapServers.split(':')
  const here = { nodeId: 0, host, port: Number(port), errorCode: 0 }
  for (const version of versionsOf(FindCoordinator)) {
    const answer = await ask(FindCoordinator, version, version >= 4 ? { key: '', keyType: 0, coordinatorKeys: ['a', 'b'] } : { key: 'a', keyType: 0, coordinatorKeys: [] })
    if (version >= 4) expect(answer.coordinators).toEqual(['a', 'b'].map((key) => ({ key, ...here, errorMessage: '' })))
    else expect(answer).toMatchObject({ ...here, ...(version >= 1 && { errorMessage: 'NONE' }) })
  }
  const other = await ask(FindCoordinator, 6, { key: '', keyType: 2, coordinatorKeys: ['a'] })
  expect(other.coordinators[0]).toMatchObject({ nodeId: -1, host: '', port: -1, errorCode: errors.coordinatorNotAvailable.code })
  expect((await ask(FindCoordinator, 3, { key: 'a', keyType: 7, coordinatorKeys: [] })).errorCode).toBe(errors.invalidRequest.code)
})

test('a member joins, syncs, beats, commits and leaves, in every version', async () => {
  await started()
  for (const version of versionsOf(JoinGroup)) {
    const groupId = `life-${version}`
    const joined = await join(version, groupId)
    expect(joined).toMatchObject({ errorCode: 0, generationId: 1, protocolName: 'range', leader: joined.memberId, protocolType: version >= 7 ? 'consumer' : null, skipAssignment: false })
    expect(joined.members.map(({ memberId, metadata }) => [memberId, String(metadata)])).toEqual([[joined.memberId, 'm']])
    const { memberId, generationId } = joined
    const syncVersion = Math.min(version, 5)
    const synced = await ask(SyncGroup, syncVersion, {
      groupId, memberId, generationId, assignments: [{ memberId, assignment: Buffer.from('mine') }], protocolType: 'consumer', protocolName: 'range',
    })
    expect(synced).toMatchObject({ errorCode: 0, assignment: Buffer.from('mine'), protocolType: syncVersion >= 5 ? 'consumer' : null })
    expect((await ask(Heartbeat, Math.min(version, 4), { groupId, memberId, generationId })).errorCode).toBe(0)
    const commit = await ask(OffsetCommit, Math.max(1, version), commitRequest(groupId, 40 + version, { memberId, generationId }))
    expect(commit.topics.map(({ name, partitions }) => [name, ...partitions.map(({ errorCode }) => errorCode)])).toEqual([['t', 0, 3], ['unknown', 3]])
    const left = await ask(LeaveGroup, Math.min(version, 5), { groupId, memberId, members: [{ memberId }] })
    expect(left).toMatchObject({ errorCode: 0, members: version >= 3 ? [{ memberId, errorCode: 0 }] : [] })
    expect((await ask(Heartbeat, Math.min(version, 4), { groupId, memberId, generationId })).errorCode).toBe(errors.unknownMemberId.code)
  }
})

test('what is committed in any version is read in any other; null topics mean all', async () => {
  await started()
  for (const commitVersion of versionsOf(OffsetCommit).slice(1)) {
    await ask(OffsetCommit, commitVersion, commitRequest('g', 100 + commitVersion))
    for (const version of versionsOf(OffsetFetch).slice(1)) {
      const known = { partitionIndex: 1, committedOffset: 100 + commitVersion, committedLeaderEpoch: version >= 5 && commitVersion >= 6 ? 3 : -1, metadata: `note ${100 + commitVersion}`, errorCode: 0 }
      const never = { partitionIndex: 0, committedOffset: -1, committedLeaderEpoch: -1, metadata: '', errorCode: 0 }
      expect(await fetchOffsets(version, 'g')).toMatchObject({ errorCode: 0, topics: [{ name: 't', partitions: [never, known] }] })
      if (version >= 2) expect(await fetchOffsets(version, 'g', null)).toMatchObject({ errorCode: 0, topics: [{ name: 't', partitions: [known] }] })
    }
  }
})

test('version 0 keeps offsets in ZooKeeper, apart from those of later versions', async () => {
  await started()
  expect(await fetchOffsets(0, 'old')).toMatchObject({ topics: [{ partitions: [{ committedOffset: -1, errorCode: 3 }, { committedOffset: -1, errorCode: 3 }] }] })
  expect((await ask(OffsetCommit, 0, commitRequest('old', 7))).topics.map(({ partitions }) => partitions.map(({ errorCode }) => errorCode))).toEqual([[0, 3], [3]])
  expect(await fetchOffsets(0, 'old')).toMatchObject({ topics: [{ partitions: [{ errorCode: 3 }, { partitionIndex: 1, committedOffset: 7, metadata: '', errorCode: 0 }] }] })
  expect(await fetchOffsets(1, 'old')).toMatchObject({ topics: [{ partitions: [{ errorCode: 0 }, { committedOffset: -1, errorCode: 0 }] }] })
})

test('groups are listed, described and deleted, in every version', async () => {
  await started()
  const joined = await join(9, 'active', 'i')
  await ask(SyncGroup, 3, { groupId: 'active', memberId: joined.memberId, generationId: 1, groupInstanceId: 'i', assignments: [{ memberId: joined.memberId, assignment: Buffer.from('a') }] })
  await ask(OffsetCommit, 8, commitRequest('simple', 1))
  for (const version of versionsOf(ListGroups)) {
    const { groups } = await ask(ListGroups, version, version >= 4 ? { statesFilter: ['stable', 'EMPTY'] } : {})
    expect(new Map(groups.map(({ groupId, protocolType, groupState }) => [groupId, [protocolType, groupState]]))).toEqual(
      new Map([['active', ['consumer', version >= 4 ? 'Stable' : '']], ['simple', ['', version >= 4 ? 'Empty' : '']]]))
  }
  expect((await ask(ListGroups, 5, { typesFilter: ['consumer'] })).groups).toEqual([])
  for (const version of versionsOf(DescribeGroups)) {
    const { groups } = await ask(DescribeGroups, version, { groups: ['active', 'simple', 'none'], includeAuthorizedOperations: version >= 3 })
    expect(groups.map(({ errorCode, groupState, protocolData }) => [errorCode, groupState, protocolData])).toEqual([[0, 'Stable', 'range'], [0, 'Empty', ''], [0, 'Dead', '']])
    expect(groups[0].members).toMatchObject([{ memberId: joined.memberId, groupInstanceId: version >= 4 ? 'i' : null, clientId: 'test', clientHost: '/127.0.0.1', memberAssignment: Buffer.from('a') }])
    expect(groups[0].authorizedOperations).toBe(version >= 3 ? (1 << 3) | (1 << 6) | (1 << 8) : -0x8000_0000)
  }
  for (const version of versionsOf(DeleteGroups)) {
    await ask(OffsetCommit, 8, commitRequest('simple', 1))
    const { results } = await ask(DeleteGroups, version, { groupsNames: ['active', 'simple', 'none'] })
    expect(results.map(({ errorCode }) => errorCode)).toEqual([errors.nonEmptyGroup.code, 0, errors.groupIdNotFound.code])
  }
})

test('OffsetDelete forgets single partitions', async () => {
  await started()
  await ask(OffsetCommit, 8, commitRequest('g', 5))
  const partitions = [{ partitionIndex: 0 }, { partitionIndex: 1 }]
  const answer = await ask(OffsetDelete, 0, { groupId: 'g', topics: [{ name: 'unknown', partitions: [{ partitionIndex: 0 }] }, { name: 't', partitions }] })
  expect(answer).toMatchObject({ errorCode: 0, topics: [{ name: 'unknown', partitions: [{ errorCode: 3 }] }, { name: 't', partitions: [{ errorCode: 0 }, { errorCode: 0 }] }] })
  expect((await ask(OffsetDelete, 0, { groupId: 'g', topics: [{ name: 't', partitions }] })).errorCode).toBe(errors.groupIdNotFound.code)
})

test('errors have the form of their version', async () => {
  await started()
  const refused = await ask(JoinGroup, 5, joinRequest('g', ''))
  expect(refused).toMatchObject({ errorCode: errors.memberIdRequired.code, generationId: -1, leader: '', protocolName: '' })
  expect(await ask(JoinGroup, 9, joinRequest('g', ''))).toMatchObject({ errorCode: errors.memberIdRequired.code, protocolName: null, protocolType: null })
  expect((await ask(JoinGroup, 9, joinRequest('', ''))).errorCode).toBe(errors.invalidGroupId.code)
  expect((await ask(JoinGroup, 9, { ...joinRequest('g', ''), sessionTimeoutMs: 1 })).errorCode).toBe(errors.invalidSessionTimeout.code)
  expect((await ask(SyncGroup, 5, { groupId: 'g', memberId: 'm', generationId: 1, assignments: [] })).errorCode).toBe(errors.inconsistentGroupProtocol.code)
  expect((await ask(OffsetCommit, 8, { ...commitRequest('new', 1), generationIdOrMemberEpoch: 4 })).topics[0].partitions[0].errorCode).toBe(errors.illegalGeneration.code)
})

test('the broker comes back with its groups: members go on beating, offsets are there', async () => {
  await started()
  const joined = await join(9, 'g', 'i')
  const member = { groupId: 'g', memberId: joined.memberId, generationId: 1, groupInstanceId: 'i' }
  await ask(SyncGroup, 3, { ...member, assignments: [{ memberId: joined.memberId, assignment: Buffer.from('a') }] })
  await ask(OffsetCommit, 8, { ...commitRequest('g', 12, joined), groupInstanceId: 'i' })
  // As after a move of the partition: unloaded, and read again from the log.
  const { groups } = broker.ottla.broker.services
  groups.resigned(groups.partitionFor('g'), 100)
  expect((await ask(Heartbeat, 4, member)).errorCode).toBe(errors.notCoordinator.code)
  await groups.elected(groups.partitionFor('g'), 101)
  expect((await ask(Heartbeat, 4, member)).errorCode).toBe(0)
  expect(await fetchOffsets(8, 'g')).toMatchObject({ topics: [{ partitions: [{ committedOffset: -1 }, { committedOffset: 12 }] }] })
  expect((await ask(SyncGroup, 3, { ...member, assignments: [] })).assignment).toEqual(Buffer.from('a'))
})
