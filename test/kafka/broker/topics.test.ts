import { afterEach, expect, test } from 'vitest'
import { CreatePartitions } from '../../../src/kafka/protocol/create-partitions.ts'
import { CreateTopics } from '../../../src/kafka/protocol/create-topics.ts'
import { DeleteTopics } from '../../../src/kafka/protocol/delete-topics.ts'
import { ElectLeaders } from '../../../src/kafka/protocol/elect-leaders.ts'
import { errors } from '../../../src/kafka/protocol/errors.ts'
import { IncrementalAlterConfigs } from '../../../src/kafka/protocol/incremental-alter-configs.ts'
import { Metadata } from '../../../src/kafka/protocol/metadata.ts'
import { Produce } from '../../../src/kafka/protocol/produce.ts'
import { uuidZero } from '../../../src/wire/schema.ts'
import { startBroker, versionsOf, type BrokerUnderTest } from './broker-under-test.ts'

let broker: BrokerUnderTest
afterEach(() => broker.stop())

const wish = (name: string, more: Partial<{ numPartitions: number; replicationFactor: number; assignments: { partitionIndex: number; brokerIds: number[] }[]; configs: { name: string; value: string | null }[] }> = {}) => ({
  name, numPartitions: 1, replicationFactor: 1, assignments: [], configs: [], ...more,
})
const create = async (version: number, topics: ReturnType<typeof wish>[], more: { validateOnly?: boolean; timeoutMs?: number } = {}) =>
  (await broker.ask(CreateTopics, version, { topics, timeoutMs: 60_000, validateOnly: false, ...more })).topics

test('CreateTopics makes a topic that can be used at once, in every version', async () => {
  broker = await startBroker()
  for (const version of versionsOf(CreateTopics)) {
    const name = `t${version}`
    const [created] = await create(version, [wish(name, { numPartitions: 3, configs: [{ name: 'retention.ms', value: '1000' }] })])
    expect(created).toMatchObject({ name, errorCode: 0, errorMessage: version >= 1 ? null : expect.anything() })
    if (version >= 5) {
      expect(created).toMatchObject({ numPartitions: 3, replicationFactor: 1 })
      expect(created.configs?.find((config) => config.name === 'retention.ms')).toEqual({ name: 'retention.ms', value: '1000', readOnly: false, configSource: 1, isSensitive: false })
      expect(created.configs?.length).toBeGreaterThan(25)
    }
    const [partition] = (await broker.ask(Metadata, 12, { topics: [{ name }] })).topics
    expect(partition.partitions.map(({ errorCode, leaderId }) => [errorCode, leaderId])).toEqual([[0, 0], [0, 0], [0, 0]])
    if (version >= 7) expect(created.topicId).toBe(partition.topicId)
    // The log is there: an empty set of records is refused for what it is, not for a missing leader.
    const answer = await broker.ask(Produce, 9, { transactionalId: null, acks: 1, timeoutMs: 60_000, topicData: [{ name, partitionData: [{ index: 2, records: Buffer.alloc(0) }] }] })
    expect([errors.notLeaderOrFollower.code, errors.unknownTopicOrPartition.code]).not.toContain(answer.responses[0].partitionResponses[0].errorCode)
  }
})

test('CreateTopics refuses what cannot be, each topic by itself, and says why', async () => {
  broker = await startBroker()
  await create(7, [wish('here'), wish('a.b')])
  const topics = await create(7, [
    wish('here'), wish('a_b'), wish('not valid'), wish('__cluster_metadata'), wish('zero', { numPartitions: 0 }), wish('three', { replicationFactor: 3 }),
    wish('both', { assignments: [{ partitionIndex: 0, brokerIds: [0] }] }), wish('gap', { numPartitions: -1, replicationFactor: -1, assignments: [{ partitionIndex: 1, brokerIds: [0] }] }),
    wish('same', { numPartitions: -1, replicationFactor: -1, assignments: [{ partitionIndex: 0, brokerIds: [0, 0] }] }), wish('odd', { configs: [{ name: 'odd', value: '1' }] }),
    wish('bad', { configs: [{ name: 'retention.ms', value: 'long' }] }), wish('null', { configs: [{ name: 'retention.ms', value: null }] }), wish('twice'), wish('twice'), wish('good', { numPartitions: -1, replicationFactor: -1 }),
  ])
  expect(Object.fromEntries(topics.map(({ name, errorCode }) => [name, errorCode]))).toEqual({
    here: errors.topicAlreadyExists.code, a_b: errors.invalidTopicException.code, 'not valid': errors.invalidTopicException.code, __cluster_metadata: errors.invalidRequest.code,
    zero: errors.invalidPartitions.code, three: errors.invalidReplicationFactor.code, both: errors.invalidRequest.code, gap: errors.invalidReplicaAssignment.code,
    same: errors.invalidReplicaAssignment.code, odd: errors.invalidConfig.code, bad: errors.invalidConfig.code, null: errors.invalidConfig.code, twice: errors.invalidRequest.code, good: 0,
  })
  for (const { name, errorCode, errorMessage } of topics) if (errorCode !== 0) expect(errorMessage, name).toBeTruthy()
  expect(topics.find(({ name }) => name === 'a_b')?.errorMessage).toBe("Topic 'a_b' collides with existing topics: a.b")
})

test.each([100_001, 2_147_483_647])('a topic of %i partitions is refused: ZooKeeper would not take its znode', async (count) => {
  broker = await startBroker()
  await create(7, [wish('small')])
  const [refused] = await create(7, [wish('large', { numPartitions: count })])
  expect(refused).toMatchObject({ errorCode: errors.invalidPartitions.code, errorMessage: expect.stringContaining('at most 100000') })
  const [expansion] = (await broker.ask(CreatePartitions, 3, { topics: [{ name: 'small', count, assignments: null }], timeoutMs: 60_000, validateOnly: false })).results
  expect(expansion).toMatchObject({ errorCode: errors.invalidPartitions.code, errorMessage: expect.stringContaining('100000') })
})
test('partitions and configurations that do not fit into a znode are refused; the session stays', async () => {
  broker = await startBroker()
  const [partitions] = await create(7, [wish('large', { numPartitions: 90_000 })])
  expect(partitions).toMatchObject({ errorCode: errors.invalidPartitions.code, errorMessage: expect.stringContaining('90000 partitions take 1068998 bytes in ZooKeeper') })
  const throttled = Array.from({ length: 200_000 }, (_, index) => `${index}:0`).join()
  const [config] = await create(7, [wish('wordy', { configs: [{ name: 'leader.replication.throttled.replicas', value: throttled }] })])
  expect(config).toMatchObject({ errorCode: errors.invalidConfig.code, errorMessage: expect.stringMatching(/a request of \d+ bytes; ZooKeeper takes 1048575/) })
  await create(7, [wish('wordy')])
  const altered = await broker.ask(IncrementalAlterConfigs, 1, { resources: [{ resourceType: 2, resourceName: 'wordy', configs: [{ name: 'leader.replication.throttled.replicas', configOperation: 0, value: throttled }] }], validateOnly: false })
  expect(altered.responses[0]).toMatchObject({ errorCode: errors.invalidConfig.code, errorMessage: expect.stringContaining('1048575') })
})
test('validateOnly makes nothing; a timeout of 0 says REQUEST_TIMED_OUT although the topic is made', async () => {
  broker = await startBroker()
  expect((await create(7, [wish('maybe')], { validateOnly: true }))[0]).toMatchObject({ errorCode: 0, topicId: uuidZero, numPartitions: 1 })
  expect((await broker.ask(Metadata, 12, { topics: [{ name: 'maybe' }], allowAutoTopicCreation: false })).topics[0].errorCode).toBe(errors.unknownTopicOrPartition.code)
  expect((await create(7, [wish('soon')], { timeoutMs: 0 }))[0].errorCode).toBe(errors.requestTimedOut.code)
  expect((await create(7, [wish('soon')]))[0].errorCode).toBe(errors.topicAlreadyExists.code)
})

test('DeleteTopics answers when the topic is gone and its name is free, in every version, by name and by id', async () => {
  broker = await startBroker()
  for (const version of versionsOf(DeleteTopics)) {
    for (let round = 0; round < 3; round++) {
      const [{ topicId, errorCode }] = await create(7, [wish('t', { numPartitions: 4 })])
      expect(errorCode).toBe(0)
      const asked = version < 6 ? { topicNames: ['t', 'nope'] } : { topics: [round === 0 ? { name: 't', topicId: uuidZero } : { name: null, topicId }, { name: 'nope', topicId: uuidZero }] }
      const { responses } = await broker.ask(DeleteTopics, version, { timeoutMs: 60_000, ...asked })
      expect(responses.map((response) => [response.name, response.errorCode])).toEqual([['t', 0], ['nope', errors.unknownTopicOrPartition.code]])
      if (version >= 6) expect(responses[0].topicId).toBe(round === 0 ? uuidZero : topicId)
      expect((await broker.ask(Metadata, 12, { topics: null })).topics.map(({ name }) => name)).not.toContain('t')
    }
  }
  const strange = await broker.ask(DeleteTopics, 6, { timeoutMs: 60_000, topics: [{ name: null, topicId: 'w9kn2776QcC5HpZLtF_HjA' }, { name: 'x', topicId: 'w9kn2776QcC5HpZLtF_HjA' }] })
  expect(strange.responses.map(({ errorCode }) => errorCode)).toEqual([errors.unknownTopicId.code, errors.invalidRequest.code])
})

test('with delete.topic.enable=false deletion is refused, by an older code before v3', async () => {
  broker = await startBroker({ 'delete.topic.enable': 'false' })
  await create(7, [wish('t')])
  for (const version of versionsOf(DeleteTopics)) {
    const { responses } = await broker.ask(DeleteTopics, version, { timeoutMs: 60_000, ...(version < 6 ? { topicNames: ['t'] } : { topics: [{ name: 't', topicId: uuidZero }] }) })
    expect(responses[0].errorCode).toBe(version < 3 ? errors.invalidRequest.code : errors.topicDeletionDisabled.code)
  }
})

test('CreatePartitions raises the total in every version; what is no raise is refused', async () => {
  broker = await startBroker()
  await create(7, [wish('t')])
  const expand = async (version: number, name: string, count: number, assignments: { brokerIds: number[] }[] | null = null, validateOnly = false) =>
    (await broker.ask(CreatePartitions, version, { topics: [{ name, count, assignments }], timeoutMs: 60_000, validateOnly })).results[0]
  let count = 1
  for (const version of versionsOf(CreatePartitions)) {
    expect(await expand(version, 't', ++count)).toEqual({ name: 't', errorCode: 0, errorMessage: null })
    const [topic] = (await broker.ask(Metadata, 12, { topics: [{ name: 't' }] })).topics
    expect(topic.partitions.map(({ leaderId }) => leaderId)).toEqual(Array.from({ length: count }, () => 0))
  }
  expect(await expand(3, 't', count)).toMatchObject({ errorCode: errors.invalidPartitions.code, errorMessage: `Topic already has ${count} partitions.` })
  expect(await expand(3, 't', 1)).toMatchObject({ errorCode: errors.invalidPartitions.code, errorMessage: `Topic currently has ${count} partitions, which is higher than the requested 1.` })
  expect(await expand(3, 'nope', 3)).toMatchObject({ errorCode: errors.unknownTopicOrPartition.code })
  expect(await expand(3, 't', 9, [{ brokerIds: [0] }])).toMatchObject({ errorCode: errors.invalidReplicaAssignment.code })
  expect(await expand(3, 't', count + 1, [{ brokerIds: [9] }])).toMatchObject({ errorCode: errors.invalidReplicaAssignment.code, errorMessage: 'Unknown broker(s) in replica assignment: 9.' })
  expect(await expand(3, 't', count + 1, [{ brokerIds: [0] }], true)).toMatchObject({ errorCode: 0 })
  expect(await expand(3, 't', count + 1, [{ brokerIds: [0] }])).toMatchObject({ errorCode: 0 })
  const { results } = await broker.ask(CreatePartitions, 3, { topics: [{ name: 't', count: 20, assignments: null }, { name: 't', count: 21, assignments: null }], timeoutMs: 1, validateOnly: false })
  expect(results).toMatchObject([{ name: 't', errorCode: errors.invalidRequest.code }])
})

test('ElectLeaders: nothing to do where the preferred replica leads', async () => {
  broker = await startBroker()
  await create(7, [wish('t', { numPartitions: 2 })])
  for (const version of versionsOf(ElectLeaders)) {
    const some = await broker.ask(ElectLeaders, version, { electionType: 0, topicPartitions: [{ topic: 't', partitions: [0, 7] }], timeoutMs: 60_000 })
    expect(some.replicaElectionResults).toMatchObject([{ topic: 't', partitionResult: [{ partitionId: 7, errorCode: errors.unknownTopicOrPartition.code }, { partitionId: 0, errorCode: errors.electionNotNeeded.code }].sort((one, other) => one.partitionId - other.partitionId) }])
    expect((await broker.ask(ElectLeaders, version, { electionType: 0, topicPartitions: null, timeoutMs: 60_000 })).replicaElectionResults).toEqual([])
  }
  expect((await broker.ask(ElectLeaders, 2, { electionType: 5, topicPartitions: null, timeoutMs: 60_000 })).errorCode).toBe(errors.invalidRequest.code)
})

test('a topic comes into being when a client asks for it, unless that is off', async () => {
  broker = await startBroker({ 'num.partitions': '2' })
  const ask = async (name: string, allowAutoTopicCreation: boolean) => (await broker.ask(Metadata, 12, { topics: [{ name }], allowAutoTopicCreation })).topics[0]
  expect((await ask('auto', false)).errorCode).toBe(errors.unknownTopicOrPartition.code)
  expect((await ask('not valid', true)).errorCode).toBe(errors.invalidTopicException.code)
  // As Apache's: whoever mentions it first is told to ask again, at once.
  const made = await ask('auto', true)
  expect([made.errorCode, made.partitions.length]).toEqual([errors.leaderNotAvailable.code, 0])
  const once = async (name: string) => {
    for (;;) {
      const found = await ask(name, true)
      if (found.errorCode === 0) return found
      expect(found.errorCode).toBe(errors.leaderNotAvailable.code)
    }
  }
  expect((await once('auto')).partitions.length).toBe(2)
  // The coordinators' topics come whatever the configuration says.
  expect((await ask('__transaction_state', true)).errorCode).toBe(errors.leaderNotAvailable.code)
  expect((await once('__transaction_state')).partitions.length).toBe(50)
})

test('many topics at once', async () => {
  broker = await startBroker()
  const names = Array.from({ length: 60 }, (_, index) => `many-${index}`)
  const topics = await create(7, names.map((name) => wish(name, { numPartitions: 2 })), { timeoutMs: 60_000 })
  expect(topics.filter(({ errorCode }) => errorCode !== 0)).toEqual([])
  const { responses } = await broker.ask(DeleteTopics, 5, { topicNames: names, timeoutMs: 60_000 })
  expect(responses.filter(({ errorCode }) => errorCode !== 0)).toEqual([])
  expect((await broker.ask(Metadata, 12, { topics: null })).topics).toEqual([])
})
