import { afterEach, expect, test } from 'vitest'
import { assigned, movedTo, originOf, targetOf, type Assignment } from '../../../src/kafka/metadata/topic-znode.ts'
import { paths } from '../../../src/kafka/metadata/znode-paths.ts'
import { errors } from '../../../src/kafka/protocol/errors.ts'
import type { RequestOf } from '../../../src/kafka/protocol/api.ts'
import type { LeaderAndIsr } from '../../../src/kafka/protocol/leader-and-isr.ts'
import type { StopReplica } from '../../../src/kafka/protocol/stop-replica.ts'
import { eventually } from '../../zookeeper/client/service.ts'
import { TestCluster } from './cluster.ts'

let cluster: TestCluster
afterEach(() => cluster?.stop())

const topicId = 'l6eYaCzdRvid3t-1JT-3_g'
const zookeeper = () => [...cluster.members.values()][0].zookeeper
const controller = () => [...cluster.members.values()].find((member) => member.controller.isActive)!.controller
const assignment = async (topic = 't', index = 0): Promise<Assignment | undefined> => (await zookeeper().topic(topic))?.partitions.get(index)
const view = (id: number, topic = 't', index = 0) => cluster.broker(id).metadata.partition(topic, index)
const answers = async (wishes: [index: number, replicas: number[] | undefined][], topic = 't') => (await controller().alterPartitionReassignments(wishes.map(([partition, replicas]) => ({ topic, partition, replicas }))))!.map(({ errorCode }) => errorCode)
const moving = async (topic?: { topic: string; partition: number }[]) => (await controller().partitionReassignments(topic))!.map(({ topic: name, partition, replicas, adding, removing }) => `${name}-${partition} ${replicas.join()} +${adding.join()} -${removing.join()}`)
/** What `leader` would ask when all of `isr` have caught up. */
async function inSync(isr: number[], index = 0, topic = 't'): Promise<number> {
  const state = (await zookeeper().partitionState(topic, index))!
  const brokerEpoch = (await zookeeper().broker(state.leader))!.epoch
  const members = isr.map((brokerId) => ({ brokerId, brokerEpoch: -1n }))
  const { partitionEpoch, leaderEpoch } = state
  const answer = await controller().alterPartition({ brokerId: state.leader, brokerEpoch, topics: [{ topicName: '', topicId: (await zookeeper().topic(topic))!.topicId!, partitions: [{ partitionIndex: index, leaderEpoch, newIsr: [], newIsrWithEpochs: members, leaderRecoveryState: 0, partitionEpoch }] }] }, 3)
  return answer.topics![0].partitions[0].errorCode!
}
async function start(replicas: number[][], ids = [1, 2, 3, 4]): Promise<void> {
  cluster = await TestCluster.start()
  for (const id of ids) await cluster.add(id)
  await eventually('all are known', () => cluster.broker(1).metadata.brokers.size === ids.length)
  await zookeeper().createTopic('t', { topicId, partitions: new Map(replicas.map((each, index) => [index, assigned(each)])) }, {})
  await eventually('the topic has leaders', () => replicas.every((each, index) => view(1, 't', index)?.leader === each[0]))
}
const told = (id: number, since = 0) => cluster.broker(id).told.slice(since)
const states = (id: number, since = 0) => told(id, since).filter(({ api }) => api === 'LeaderAndIsr').flatMap(({ request }) => (request as RequestOf<typeof LeaderAndIsr>).topicStates.flatMap(({ partitionStates }) => partitionStates))
const stops = (id: number) => told(id).filter(({ api }) => api === 'StopReplica').flatMap(({ request }) => (request as RequestOf<typeof StopReplica>).topicStates.flatMap(({ partitionStates }) => partitionStates.map(({ partitionIndex, deletePartition }) => `${partitionIndex} ${deletePartition}`)))

test('while a partition moves, its replicas are the target and then who leaves; each later wish starts from where it came from', () => {
  const first = movedTo(assigned([1, 2]), [3, 2])
  expect(first).toEqual({ replicas: [3, 2, 1], adding: [3], removing: [1] })
  expect([originOf(first), targetOf(first)]).toEqual([[2, 1], [3, 2]])
  expect(movedTo(first, [4, 1])).toEqual({ replicas: [4, 1, 2], adding: [4], removing: [2] })
  expect(movedTo(first, originOf(first))).toEqual(assigned([2, 1]))
  expect(movedTo(assigned([1, 2]), [2, 1])).toEqual(assigned([2, 1]))
})

test('a partition moves: the new replica is made, and when the target is in sync it takes over and the old one is deleted', async () => {
  await start([[1, 2]])
  const before = cluster.broker(2).told.length
  expect(await answers([[0, [2, 3]]])).toEqual([0])
  expect(await assignment()).toEqual({ replicas: [2, 3, 1], adding: [3], removing: [1] })
  expect(await moving(undefined)).toEqual(['t-0 2,3,1 +3 -1'])
  await eventually('3 is told to follow', () => states(3).length > 0)
  expect(states(3)[0]).toMatchObject({ leader: 1, leaderEpoch: 1, replicas: [2, 3, 1], addingReplicas: [3], removingReplicas: [1], isNew: true })
  expect(states(2, before)[0]).toMatchObject({ leaderEpoch: 1, replicas: [2, 3, 1], isNew: false })
  expect(await inSync([1, 2, 3])).toBe(0)
  await eventually('the move is complete', async () => (await assignment())?.replicas.join() === '2,3')
  expect(await assignment()).toEqual(assigned([2, 3]))
  expect(await zookeeper().partitionState('t', 0)).toMatchObject({ leader: 2, isr: [2, 3], leaderEpoch: 3 })
  await eventually('1 has deleted its copy', () => stops(1).join('; ') === '0 false; 0 true')
  for (const id of [1, 4]) await eventually(`${id} knows`, () => view(id)?.replicas.join() === '2,3' && view(id)?.leader === 2)
  expect(await moving(undefined)).toEqual([])
  expect(states(4)).toEqual([])
})

test('fewer replicas need no copying: the leader stays, who leaves is deleted at once', async () => {
  await start([[1, 2, 3]])
  expect(await answers([[0, [1, 2]]])).toEqual([0])
  expect(await assignment()).toEqual(assigned([1, 2]))
  // One epoch for the new assignment, one for the ISR without 3.
  expect(await zookeeper().partitionState('t', 0)).toMatchObject({ leader: 1, isr: [1, 2], leaderEpoch: 2 })
  await eventually('3 has deleted its copy', () => stops(3).join('; ') === '0 false; 0 true')
})

test('another order of the same replicas changes who is preferred, at once', async () => {
  await start([[1, 2]])
  expect(await answers([[0, [2, 1]]])).toEqual([0])
  expect(await assignment()).toEqual(assigned([2, 1]))
  expect((await zookeeper().partitionState('t', 0))?.leader).toBe(1)
})

test('a move is taken back: what was being added is deleted, the origin stays', async () => {
  await start([[1, 2]])
  expect(await answers([[0, undefined]])).toEqual([errors.noReassignmentInProgress.code])
  await answers([[0, [3, 4]]])
  expect(await assignment()).toEqual({ replicas: [3, 4, 1, 2], adding: [3, 4], removing: [1, 2] })
  expect(await answers([[0, undefined]])).toEqual([0])
  expect(await assignment()).toEqual(assigned([1, 2]))
  for (const id of [3, 4]) await eventually(`${id} has deleted its copy`, () => stops(id).join('; ') === '0 false; 0 true')
  expect(stops(1)).toEqual([])
  expect(await zookeeper().partitionState('t', 0)).toMatchObject({ leader: 1, isr: [1, 2] })
})

test('a second wish takes the place of the first: only what neither needs is deleted', async () => {
  await start([[1, 2]])
  await answers([[0, [2, 3]]])
  expect(await answers([[0, [2, 4]]])).toEqual([0])
  expect(await assignment()).toEqual({ replicas: [2, 4, 1], adding: [4], removing: [1] })
  await eventually('3 has deleted its copy', () => stops(3).join('; ') === '0 false; 0 true')
  await inSync([1, 2, 4])
  await eventually('the move is complete', async () => (await assignment())?.replicas.join() === '2,4')
})

test('a wish that cannot be is refused by its reason, the others are carried out', async () => {
  await start([[1], [1]])
  const { invalidReplicaAssignment: invalid, unknownTopicOrPartition: unknown } = errors
  expect(await answers([[0, []], [0, [1, 1]], [0, [-1]], [0, [1, 9]], [7, [1]], [1, [2]]])).toEqual([invalid.code, invalid.code, invalid.code, invalid.code, unknown.code, 0])
  expect(await answers([[0, [1]]], 'nope')).toEqual([unknown.code])
  expect(await moving(undefined)).toEqual(['t-1 2,1 +2 -1'])
  expect(await moving([{ topic: 't', partition: 0 }, { topic: 't', partition: 1 }, { topic: 'u', partition: 0 }])).toEqual(['t-1 2,1 +2 -1'])
  expect(await cluster.members.get(2)!.controller.alterPartitionReassignments([{ topic: 't', partition: 0, replicas: [2] }])).toBeUndefined()
})

test('the next controller goes on with what is under way, and with what an old tool has asked for', async () => {
  await start([[2, 3], [2, 3]])
  await answers([[0, [3, 4]]])
  await cluster.remove(1)
  await eventually('another is controller', () => [...cluster.members.values()].some((member) => member.controller.isActive))
  await eventually('the new one knows of the move', async () => (await moving(undefined)).join() === 't-0 3,4,2 +4 -2')
  await zookeeper().run((zk) => zk.create(paths.reassignment, JSON.stringify({ version: 1, partitions: [{ topic: 't', partition: 1, replicas: [4] }, { topic: 'gone', partition: 0, replicas: [2] }] })))
  await eventually('the old tool is heard, and what cannot be is struck out', async () => (await moving(undefined)).length === 2 && String((await zookeeper().run((zk) => zk.getData(paths.reassignment))).data) === '{"version":1,"partitions":[{"topic":"t","partition":1,"replicas":[4]}]}')
  await inSync([2, 3, 4], 0)
  await inSync([2, 3, 4], 1)
  await eventually('both are done', async () => (await assignment('t', 0))?.replicas.join() === '3,4' && (await assignment('t', 1))?.replicas.join() === '4')
  await eventually('nothing is left of the wish', async () => (await zookeeper().run((zk) => zk.exists(paths.reassignment))) === undefined)
  await zookeeper().run((zk) => zk.create(paths.reassignment, JSON.stringify({ version: 1, partitions: [{ topic: 't', partition: 1, replicas: [4, 2] }] })))
  await eventually('a second wish is heard', async () => (await moving(undefined)).join() === 't-1 4,2 +2 -')
})

test('a damaged wish of an old tool is left alone, and the cluster goes on', async () => {
  await start([[1, 2]])
  await zookeeper().run((zk) => zk.create(paths.reassignment, '{"partitions":[{"topic":"t"}]}'))
  expect(await answers([[0, [2, 3]]])).toEqual([0])
  await inSync([1, 2, 3])
  await eventually('the move is complete', async () => (await assignment())?.replicas.join() === '2,3')
  await zookeeper().run((zk) => zk.setData(paths.reassignment, JSON.stringify({ version: 1, partitions: [{ topic: 't', partition: 0, replicas: [2] }] })))
  await eventually('once it is corrected it is heard', async () => (await assignment())?.replicas.join() === '2')
})

test('a move waits for a broker that is away, and is complete when the broker is back and in sync', async () => {
  await start([[1, 2]])
  await answers([[0, [1, 3]]])
  await cluster.remove(3)
  await eventually('3 is gone', () => !cluster.broker(1).metadata.brokers.has(3))
  const since = cluster.broker(3).told.length
  await cluster.add(3)
  await eventually('3 is told again', () => states(3, since).length > 0)
  await inSync([1, 2, 3])
  await eventually('the move is complete', async () => (await assignment())?.replicas.join() === '1,3')
})

test('a topic that is being moved is deleted when the move is complete', async () => {
  await start([[1, 2]])
  await answers([[0, [2, 3]]])
  await zookeeper().markForDeletion('t')
  await eventually('the deletion is queued', () => controller().isDeleting('t'))
  expect(await answers([[0, [1, 2]]])).toEqual([errors.unknownTopicOrPartition.code])
  await inSync([1, 2, 3])
  await eventually('the topic is gone', async () => (await zookeeper().topic('t')) === undefined)
})

test('partitions added while others move are not forgotten by the controller, which writes the same node', async () => {
  await start([[1, 2]])
  await answers([[0, [2, 3]]])
  const found = (await zookeeper().topic('t'))!
  // The move ends in the moment in which somebody adds a partition.
  await Promise.all([zookeeper().setTopicAssignment('t', { ...found, partitions: new Map([...found.partitions, [1, assigned([4])]]) }), inSync([1, 2, 3])])
  await eventually('both are there', async () => (await assignment('t', 1))?.replicas.join() === '4' && (await assignment('t', 0))?.replicas.join() === '2,3')
})
