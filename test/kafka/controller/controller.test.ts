import { afterEach, expect, test } from 'vitest'
import { assigned } from '../../../src/kafka/metadata/topic-znode.ts'
import { paths } from '../../../src/kafka/metadata/znode-paths.ts'
import type { KafkaZooKeeper } from '../../../src/kafka/metadata/kafka-zookeeper.ts'
import { errors } from '../../../src/kafka/protocol/errors.ts'
import { eventually } from '../../zookeeper/client/service.ts'
import { TestCluster, type TestMember } from './cluster.ts'

let cluster: TestCluster
afterEach(() => cluster.stop())

const topicId = 'l6eYaCzdRvid3t-1JT-3_g'
const createTopic = (zookeeper: KafkaZooKeeper, name: string, replicas: number[][]): Promise<boolean> =>
  zookeeper.createTopic(name, { topicId, partitions: new Map(replicas.map((each, index) => [index, assigned(each)])) }, {})
/** Brokers 1 and 2, known to each other; 1 governs. */
async function two(): Promise<TestMember> {
  cluster = await TestCluster.start()
  const first = await cluster.add(1)
  await cluster.add(2)
  await eventually('both are known', () => cluster.broker(1).metadata.brokers.size === 2)
  return first
}
const leaders = (id: number, topic: string): number[] => (cluster.broker(id).metadata.topic(topic)?.partitions ?? []).map((partition) => partition?.leader ?? -9)

test('the first broker becomes controller with epoch 1, and every broker hears who lives before anything else', async () => {
  cluster = await TestCluster.start()
  const { controller, zookeeper } = await cluster.add(1)
  expect(controller.isActive).toBe(true)
  expect(controller.epoch).toBe(1)
  expect((await zookeeper.controller())?.node).toMatchObject({ brokerId: 1, kraftControllerEpoch: -1 })
  await eventually('broker 1 knows itself', () => cluster.broker(1).metadata.brokers.has(1))
  expect(cluster.broker(1).told[0].api).toBe('UpdateMetadata')
  expect(cluster.broker(1).metadata.controllerId).toBe(1)
  const second = await cluster.add(2)
  expect(second.controller.isActive).toBe(false)
})

test('a new topic gets leaders: LeaderAndIsr as new before UpdateMetadata, states in ZooKeeper', async () => {
  cluster = await TestCluster.start()
  const { zookeeper } = await cluster.add(1)
  expect(await createTopic(zookeeper, 't', [[1], [1], [1]])).toBe(true)
  await eventually('the topic has leaders', () => leaders(1, 't').join() === '1,1,1')
  const told = cluster.broker(1).told.filter(({ api, request }) => api === 'LeaderAndIsr' || (request as { topicStates: unknown[] }).topicStates.length > 0)
  expect(told.map(({ api }) => api)).toEqual(['LeaderAndIsr', 'UpdateMetadata'])
  expect(told[0].request).toMatchObject({ controllerId: 1, controllerEpoch: 1, topicStates: [{ topicName: 't', topicId, partitionStates: [{ partitionIndex: 0, leader: 1, leaderEpoch: 0, isr: [1], isNew: true }, {}, {}] }] })
  expect(await zookeeper.partitionState('t', 2)).toEqual({ leader: 1, leaderEpoch: 0, isr: [1], leaderRecoveryState: 0, controllerEpoch: 1, partitionEpoch: 0 })
  expect(await createTopic(zookeeper, 't', [[1]])).toBe(false)
})

test('partitions added to a topic get leaders too', async () => {
  cluster = await TestCluster.start()
  const { zookeeper } = await cluster.add(1)
  await createTopic(zookeeper, 't', [[1]])
  await eventually('the topic has a leader', () => leaders(1, 't').join() === '1')
  await zookeeper.setTopicAssignment('t', { topicId, partitions: new Map([[0, assigned([1])], [1, assigned([1])]]) })
  await eventually('the new partition has a leader', () => leaders(1, 't').join() === '1,1')
})

test('a topic that was changed meanwhile is not expanded by what was decided before', async () => {
  cluster = await TestCluster.start()
  const { zookeeper } = await cluster.add(1)
  const from = { topicId, partitions: new Map([[0, assigned([1])]]) }
  const to = { topicId, partitions: new Map([[0, assigned([1])], [1, assigned([1])]]) }
  await createTopic(zookeeper, 't', [[1]])
  const moving = { topicId, partitions: new Map([[0, { replicas: [2, 1], adding: [2], removing: [1] }]]) }
  await zookeeper.setTopicAssignment('t', moving)
  expect(await zookeeper.replaceTopicAssignment('t', from, to)).toBe(false)
  expect(await zookeeper.topic('t')).toEqual(moving)
  await zookeeper.setTopicAssignment('t', from)
  expect(await zookeeper.replaceTopicAssignment('t', from, to)).toBe(true)
  expect(await zookeeper.topic('t')).toEqual(to)
  expect(await zookeeper.replaceTopicAssignment('gone', from, to)).toBe(false)
})

test('leaderships go back to preferred replicas by themselves when too many have left them, and only then', async () => {
  cluster = await TestCluster.start()
  const settings = { 'leader.imbalance.per.broker.percentage': '50', 'leader.imbalance.check.interval.seconds': '1' }
  const { controller, zookeeper } = await cluster.add(1, { settings })
  await cluster.add(2, { settings })
  await eventually('both are known', () => cluster.broker(1).metadata.brokers.size === 2)
  // One of three led by another than 2 is no imbalance, two of two led by another than 1 are.
  await createTopic(zookeeper, 't', [[2, 1], [2, 1], [2, 1]])
  await createTopic(zookeeper, 'u', [[1, 2], [1, 2]])
  await eventually('leaders', () => leaders(1, 't').join() === '2,2,2' && leaders(1, 'u').join() === '1,1')
  const led = async (topic: string, index: number, leader: number): Promise<void> => {
    const { partitionEpoch: _, ...state } = (await zookeeper.partitionState(topic, index))!
    await zookeeper.run((zk) => zk.setData(paths.partitionState(topic, index), JSON.stringify({ controller_epoch: state.controllerEpoch, leader, version: 1, leader_epoch: state.leaderEpoch + 1, isr: [1, 2] })))
    await zookeeper.run((zk) => zk.create(`${paths.isrChanges}/isr_change_`, JSON.stringify({ version: 1, partitions: [{ topic, partition: index }] }), { mode: 'persistentSequential' }))
  }
  await led('t', 0, 1)
  await led('u', 0, 2)
  await led('u', 1, 2)
  await eventually('1 leads again what it is preferred for', () => leaders(1, 'u').join() === '1,1')
  expect(leaders(1, 't')).toEqual([1, 2, 2])
  expect(controller.isActive).toBe(true)
})

test('a topic is deleted: leader −2 to all, replicas stopped and deleted, every znode gone, and the name is free again', async () => {
  cluster = await TestCluster.start()
  const { zookeeper, controller } = await cluster.add(1)
  await createTopic(zookeeper, 't', [[1], [1]])
  await eventually('the topic has leaders', () => leaders(1, 't').join() === '1,1')
  await zookeeper.markForDeletion('t')
  await eventually('the topic has left the view', () => cluster.broker(1).metadata.topic('t') === undefined)
  await controller.whenDeleted(['t'], 5_000)
  expect(await zookeeper.topic('t')).toBeUndefined()
  expect(await zookeeper.isMarkedForDeletion('t')).toBe(false)
  expect(await zookeeper.entityNames('topics')).toEqual([])
  const stops = cluster.broker(1).told.filter(({ api }) => api === 'StopReplica').map(({ request }) => (request as { topicStates: { partitionStates: { deletePartition: boolean; leaderEpoch: number }[] }[] }).topicStates[0].partitionStates)
  expect(stops.map(([{ deletePartition, leaderEpoch }]) => [deletePartition, leaderEpoch])).toEqual([[false, -2], [true, -2]])
  expect(await createTopic(zookeeper, 't', [[1]])).toBe(true)
  await eventually('the new topic has a leader', () => leaders(1, 't').join() === '1')
})

test('a topic with a replica on a broker that is away leaves the view at once; its znodes wait for the broker', async () => {
  const { zookeeper, controller } = await two()
  await createTopic(zookeeper, 't', [[1, 2]])
  await eventually('the topic has a leader', () => leaders(1, 't').join() === '1')
  await cluster.remove(2)
  await eventually('2 has left the ISR', async () => (await zookeeper.partitionState('t', 0))?.isr.join() === '1')
  await zookeeper.markForDeletion('t')
  await eventually('the topic has left the view', () => cluster.broker(1).metadata.topic('t') === undefined)
  await eventually('1 is told to delete its replica', () => cluster.broker(1).told.some(({ api, request }) => api === 'StopReplica' && (request as { topicStates: { partitionStates: { deletePartition: boolean }[] }[] }).topicStates[0].partitionStates[0].deletePartition))
  expect(await zookeeper.isMarkedForDeletion('t')).toBe(true)
  expect(await zookeeper.topic('t')).toBeDefined()
  for (const kind of ['preferred', 'unclean'] as const) {
    expect(await controller.electLeaders(kind, undefined)).toEqual([])
    expect(await controller.electLeaders(kind, [{ topic: 't', partition: 0 }])).toMatchObject([{ errorCode: errors.invalidTopicException.code }])
  }
  await cluster.add(2)
  await controller.whenDeleted(['t'], 30_000)
  expect(await zookeeper.topic('t')).toBeUndefined()
})

test('with delete.topic.enable=false the wish is taken back and the topic stays', async () => {
  cluster = await TestCluster.start()
  const { zookeeper } = await cluster.add(1, { settings: { 'delete.topic.enable': 'false' } })
  await createTopic(zookeeper, 't', [[1]])
  await eventually('the topic has a leader', () => leaders(1, 't').join() === '1')
  await zookeeper.markForDeletion('t')
  await eventually('the mark is gone', async () => !(await zookeeper.isMarkedForDeletion('t')))
  expect(await zookeeper.topic('t')).toBeDefined()
})

test('a leader that dies is followed by the next in sync, leaves the ISR, and comes back as a follower', async () => {
  cluster = await TestCluster.start()
  const { zookeeper } = await cluster.add(1)
  await cluster.add(2)
  await cluster.add(3)
  await eventually('all three are known', () => cluster.broker(1).metadata.brokers.size === 3)
  await createTopic(zookeeper, 't', [[2, 3, 1]])
  await eventually('2 leads', () => leaders(1, 't').join() === '2')
  await cluster.remove(2)
  await eventually('3 leads', () => leaders(1, 't').join() === '3')
  await eventually('2 has left the ISR', async () => (await zookeeper.partitionState('t', 0))?.isr.join() === '3,1')
  expect(cluster.broker(1).metadata.brokers.has(2)).toBe(false)
  const before = (await zookeeper.partitionState('t', 0))?.leaderEpoch ?? 0
  expect(before).toBeGreaterThan(0)
  cluster.broker(2).told.length = 0
  await cluster.add(2)
  await eventually('2 is told to follow', () => cluster.broker(2).partitions('LeaderAndIsr').includes('t-0'))
  expect((await zookeeper.partitionState('t', 0))?.leader).toBe(3)
})

test('the last in sync keeps its place in the ISR when it dies: nobody unclean leads, and it leads again when it is back', async () => {
  const { zookeeper } = await two()
  await createTopic(zookeeper, 't', [[2]])
  await eventually('2 leads', () => leaders(1, 't').join() === '2')
  await cluster.remove(2)
  await eventually('nobody leads', async () => (await zookeeper.partitionState('t', 0))?.leader === -1)
  expect((await zookeeper.partitionState('t', 0))?.isr).toEqual([2])
  await cluster.add(2)
  await eventually('2 leads again', () => leaders(1, 't').join() === '2')
})

test('states that somebody else has touched, damaged or deleted keep neither themselves nor their neighbours from a new leader', async () => {
  const { zookeeper } = await two()
  await createTopic(zookeeper, 't', Array.from({ length: 40 }, () => [2, 1]))
  await eventually('2 leads all', () => leaders(1, 't').join() === Array.from({ length: 40 }, () => 2).join())
  const state = (change: object): string => JSON.stringify({ controller_epoch: 1, leader: 2, version: 1, leader_epoch: 0, isr: [2, 1], ...change })
  // The controller does not know these versions: written together they are refused together.
  for (const [index, text] of [[3, state({})], [7, '{"vers'], [9, state({ controller_epoch: 1_000_000 })], [11, state({ leader: 77, leader_epoch: -5 })], [13, state({ isr: [] })], [15, state({ leader_epoch: 2_147_483_647 })], [17, '']] as const)
    await zookeeper.run((zk) => zk.setData(paths.partitionState('t', index), text))
  await zookeeper.run((zk) => zk.delete(paths.partitionState('t', 5)))
  await zookeeper.run((zk) => zk.deleteTree(paths.partition('t', 6)))
  await cluster.remove(2)
  await eventually('1 leads all', () => leaders(1, 't').join() === Array.from({ length: 40 }, () => 1).join())
  for (const index of [3, 5, 6, 7, 9, 11, 13, 15, 17]) expect(await zookeeper.partitionState('t', index)).toMatchObject({ leader: 1, isr: [1], leaderEpoch: 1, controllerEpoch: 1 })
})

test('a state from which a controller begins does not forbid elections by an epoch that no controller has had', async () => {
  const { zookeeper } = await two()
  await createTopic(zookeeper, 't', [[2, 1]])
  await eventually('2 leads', () => leaders(1, 't').join() === '2')
  await zookeeper.run((zk) => zk.setData(paths.partitionState('t', 0), '{"controller_epoch":1000000,"leader":2,"version":1,"leader_epoch":0,"isr":[2,1]}'))
  await cluster.members.get(1)!.zookeeper.run((zk) => zk.delete(paths.controller))
  await eventually('another controllership has begun', () => cluster.broker(1).controllerEpoch > 1)
  await cluster.remove(2)
  await eventually('1 leads', () => leaders(1, 't').join() === '1')
})

test('with unclean elections allowed for the topic, a live replica out of sync leads and has to recover', async () => {
  const { zookeeper } = await two()
  await createTopic(zookeeper, 't', [[2, 1]])
  await zookeeper.setEntityConfig('topics', 't', { 'unclean.leader.election.enable': 'true' })
  await eventually('2 leads', () => leaders(1, 't').join() === '2')
  const state = await zookeeper.partitionState('t', 0)
  const { controller } = cluster.members.get(1)!
  const epoch = (await zookeeper.broker(2))!.epoch
  const shrunk = await controller.alterPartition(
    { brokerId: 2, brokerEpoch: epoch, topics: [{ topicName: '', topicId, partitions: [{ partitionIndex: 0, leaderEpoch: state!.leaderEpoch, newIsr: [], newIsrWithEpochs: [{ brokerId: 2, brokerEpoch: -1n }], leaderRecoveryState: 0, partitionEpoch: state!.partitionEpoch }] }] },
    3,
  )
  expect(shrunk.topics?.[0].partitions[0]).toMatchObject({ errorCode: 0, leaderId: 2, isr: [2], partitionEpoch: 1 })
  await cluster.remove(2)
  await eventually('1 leads', () => leaders(1, 't').join() === '1')
  expect(await zookeeper.partitionState('t', 0)).toMatchObject({ leader: 1, isr: [1], leaderRecoveryState: 1 })
})

test('another ISR is taken from the leader of this life alone, of replicas alone; forged proposals change nothing', async () => {
  cluster = await TestCluster.start()
  const { controller, registrar, zookeeper } = await cluster.add(1)
  const second = await cluster.add(2)
  const third = await cluster.add(3)
  await eventually('all are known', () => cluster.broker(1).metadata.brokers.size === 3)
  await createTopic(zookeeper, 't', [[1, 2]])
  await eventually('1 leads', () => leaders(1, 't').join() === '1')
  const state = (await zookeeper.partitionState('t', 0))!
  const propose = async (more: { brokerId?: number; brokerEpoch?: bigint; topicId?: string; leaderEpoch?: number; partitionEpoch?: number; isr?: number[] }): Promise<number> => {
    const { brokerId = 1, brokerEpoch = registrar.epoch, isr = [1], leaderEpoch = state.leaderEpoch, partitionEpoch = state.partitionEpoch, topicId: id = topicId } = more
    const newIsrWithEpochs = isr.map((member) => ({ brokerId: member, brokerEpoch: -1n }))
    const answer = await controller.alterPartition({ brokerId, brokerEpoch, topics: [{ topicName: '', topicId: id, partitions: [{ partitionIndex: 0, leaderEpoch, newIsr: [], newIsrWithEpochs, leaderRecoveryState: 0, partitionEpoch }] }] }, 3)
    return answer.errorCode || answer.topics![0].partitions[0].errorCode!
  }
  for (const [forged, error] of [
    [{ brokerEpoch: registrar.epoch - 1n }, errors.staleBrokerEpoch],
    [{ brokerId: 9 }, errors.staleBrokerEpoch],
    [{ brokerId: 2, brokerEpoch: second.registrar.epoch, isr: [2] }, errors.invalidRequest],
    [{ brokerId: 3, brokerEpoch: third.registrar.epoch, isr: [3] }, errors.invalidRequest],
    [{ isr: [] }, errors.invalidRequest],
    [{ isr: [2] }, errors.invalidRequest],
    [{ isr: [1, 3] }, errors.ineligibleReplica],
    [{ isr: [1, 99] }, errors.ineligibleReplica],
    [{ leaderEpoch: state.leaderEpoch - 1 }, errors.fencedLeaderEpoch],
    [{ leaderEpoch: state.leaderEpoch + 1 }, errors.notController],
    [{ partitionEpoch: state.partitionEpoch + 1 }, errors.notController],
    [{ partitionEpoch: state.partitionEpoch - 1 }, errors.invalidUpdateVersion],
    [{ topicId: 'xtzWWN4bTjitpL3kfd9s5g' }, errors.unknownTopicId],
  ] as const)
    expect(await propose({ ...forged, isr: 'isr' in forged ? [...forged.isr] : undefined }), JSON.stringify(forged, (_, value) => (typeof value === 'bigint' ? String(value) : value))).toBe(error.code)
  expect(await zookeeper.partitionState('t', 0)).toEqual(state)
  expect(await propose({})).toBe(0)
  expect((await zookeeper.partitionState('t', 0))?.isr).toEqual([1])
})

test('when the controller dies another takes over with the next epoch, and the old one can write no more', async () => {
  cluster = await TestCluster.start()
  await cluster.add(1)
  const second = await cluster.add(2)
  await cluster.remove(1)
  await eventually('2 is controller', () => second.controller.isActive)
  expect(second.controller.epoch).toBe(2)
  await eventually('2 knows itself alone', () => cluster.broker(2).metadata.brokers.size === 1)
})

test('a session that expires ends the controllership at once; the new session registers with a new epoch and is elected anew', async () => {
  cluster = await TestCluster.start()
  const { controller, registrar, zookeeper } = await cluster.add(1)
  await createTopic(zookeeper, 't', [[1]])
  await eventually('the topic has a leader', () => leaders(1, 't').join() === '1')
  const before = registrar.epoch
  const { id, password } = zookeeper.sessions.client.session
  // Somebody who knows the session ends it: for its owner that is an expiry.
  const thief = await cluster.service.client({ session: { id, password } })
  await thief.close()
  await eventually('elected again', () => controller.epoch === 2)
  expect(registrar.epoch).toBeGreaterThan(before)
  await createTopic(zookeeper, 'u', [[1]])
  await eventually('the next topic has a leader', () => leaders(1, 'u').join() === '1')
})

test('a broker that shuts down in a controlled way gives its leaderships away; what has one replica is not counted', async () => {
  cluster = await TestCluster.start()
  const { controller, zookeeper } = await cluster.add(1)
  const { registrar } = await cluster.add(2)
  await eventually('both are known', () => cluster.broker(1).metadata.brokers.size === 2)
  await createTopic(zookeeper, 't', [[2, 1], [2]])
  await eventually('2 leads both', () => leaders(1, 't').join() === '2,2')
  expect(await controller.controlledShutdown({ brokerId: 2, brokerEpoch: registrar.epoch - 1n })).toMatchObject({ errorCode: errors.staleBrokerEpoch.code })
  expect(await controller.controlledShutdown({ brokerId: 2, brokerEpoch: registrar.epoch })).toEqual({ errorCode: 0, remainingPartitions: [] })
  await eventually('1 leads what it can', () => leaders(1, 't').join() === '1,2')
  expect(await cluster.members.get(2)!.controller.controlledShutdown({ brokerId: 2, brokerEpoch: -1n })).toMatchObject({ errorCode: errors.staleControllerEpoch.code })
})

test('producer ids come in blocks of a thousand, to registered brokers of this life alone', async () => {
  cluster = await TestCluster.start()
  const { controller, registrar } = await cluster.add(1)
  expect(await controller.allocateProducerIds(1, registrar.epoch)).toEqual({ start: 0, length: 1_000 })
  expect(await controller.allocateProducerIds(1, registrar.epoch)).toEqual({ start: 1_000, length: 1_000 })
  expect(await controller.answerAllocateProducerIds({ brokerId: 1, brokerEpoch: 0n })).toMatchObject({ errorCode: errors.staleBrokerEpoch.code })
  expect(await controller.answerAllocateProducerIds({ brokerId: 7, brokerEpoch: 0n })).toMatchObject({ errorCode: errors.brokerIdNotRegistered.code })
})

test('a replica whose log dir has failed is offline, and back when LeaderAndIsr succeeds again', async () => {
  const { zookeeper } = await two()
  await createTopic(zookeeper, 't', [[2, 1]])
  await eventually('2 leads', () => leaders(1, 't').join() === '2')
  cluster.broker(2).errors.set('t-0', errors.kafkaStorageError.code)
  await zookeeper.notifyLogDirFailure(2)
  await eventually('1 leads', () => leaders(1, 't').join() === '1')
  await eventually('the replica of 2 is offline', () => cluster.broker(1).metadata.partition('t', 0)?.offlineReplicas.join() === '2')
  await eventually('the event is gone', async () => (await zookeeper.run((zk) => zk.listChildren(paths.logDirEvents))).length === 0)
})

test('preferred leaders are elected on request; what needs no election is said so only when asked by name', async () => {
  cluster = await TestCluster.start()
  const { controller, zookeeper } = await cluster.add(1, { settings: { 'auto.leader.rebalance.enable': 'false' } })
  await cluster.add(2)
  await eventually('both are known', () => cluster.broker(1).metadata.brokers.size === 2)
  await createTopic(zookeeper, 't', [[2, 1], [1, 2]])
  await eventually('leaders', () => leaders(1, 't').join() === '2,1')
  await cluster.remove(2)
  await eventually('1 leads both', () => leaders(1, 't').join() === '1,1')
  expect(await controller.electLeaders('preferred', undefined)).toMatchObject([{ topic: 't', partition: 0, errorCode: errors.preferredLeaderNotAvailable.code }])
  expect(await controller.electLeaders('preferred', [{ topic: 't', partition: 1 }, { topic: 'x', partition: 0 }])).toMatchObject([
    { topic: 't', partition: 1, errorCode: errors.electionNotNeeded.code },
    { topic: 'x', partition: 0, errorCode: errors.unknownTopicOrPartition.code },
  ])
})

test('a damaged topic is left alone; the others are served', async () => {
  cluster = await TestCluster.start()
  const { zookeeper } = await cluster.add(1)
  await createTopic(zookeeper, 'good', [[1]])
  await createTopic(zookeeper, 'bad', [[1]])
  await eventually('both have leaders', () => leaders(1, 'good').join() === '1' && leaders(1, 'bad').join() === '1')
  await zookeeper.run((zk) => zk.setData(paths.partitionState('bad', 0), 'not json'))
  await zookeeper.run((zk) => zk.create(paths.topic('worse'), '{"partitions":7}'))
  await cluster.remove(1)
  cluster.brokers.clear()
  const again = await cluster.add(1)
  expect(again.controller.isActive).toBe(true)
  await eventually('the good one has its leader', () => leaders(1, 'good').join() === '1')
  expect(cluster.broker(1).metadata.topic('bad')).toBeUndefined()
})

test('without ZooKeeper a stop does not hang', async () => {
  cluster = await TestCluster.start()
  const { controller, zookeeper } = await cluster.add(1)
  await cluster.service.stop()
  const waiting = zookeeper.topicNames().catch((error: unknown) => error)
  const question = controller.electLeaders('preferred', undefined)
  await cluster.remove(1)
  expect(await waiting).toBeInstanceOf(Error)
  await question
})

test('a broker that was restarted while nobody governed leads nothing that others in sync have, and joins the ISR again', async () => {
  cluster = await TestCluster.start()
  const { zookeeper } = await cluster.add(3)
  await cluster.add(2)
  await eventually('both are known', () => cluster.broker(3).metadata.brokers.size === 2)
  await createTopic(zookeeper, 't', [[2, 3], [3, 2], [2]])
  await eventually('leaders', () => leaders(3, 't').join() === '2,3,2')
  // Its process goes on here, which it would know of itself.
  await cluster.members.get(2)!.controller.stop()
  // Registration and office in one transaction: whoever governs next finds the broker living.
  const second = cluster.members.get(2)!.zookeeper
  const { data } = await second.run((zk) => zk.getData(paths.broker(2)))
  await second.run((zk) => zk.multi([{ op: 'delete', path: paths.controller }, { op: 'delete', path: paths.broker(2) }, { op: 'create', path: paths.broker(2), data: data!, mode: 'ephemeral' }]))
  await eventually('the next controller has elected', () => leaders(3, 't').join() === '3,3,2')
  expect((await zookeeper.partitionState('t', 0))?.isr).toEqual([3])
  expect((await zookeeper.partitionState('t', 1))?.isr).toEqual([3])
  expect((await zookeeper.partitionState('t', 2))?.isr).toEqual([2])
  await eventually('the replica that was restarted follows', () => cluster.broker(3).metadata.partition('t', 0)?.offlineReplicas.length === 0)
})
