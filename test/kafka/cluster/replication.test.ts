import { afterEach, expect, test } from 'vitest'
import { CreateTopics } from '../../../src/kafka/protocol/create-topics.ts'
import { DeleteRecords } from '../../../src/kafka/protocol/delete-records.ts'
import { DeleteTopics } from '../../../src/kafka/protocol/delete-topics.ts'
import { errors } from '../../../src/kafka/protocol/errors.ts'
import { Fetch } from '../../../src/kafka/protocol/fetch.ts'
import { batchesIn } from '../../../src/kafka/records/decode.ts'
import { encodeBatch } from '../../../src/kafka/records/encode.ts'
import type { Produced } from '../../../src/kafka/replication/partition.ts'
import { Brokers, until } from './brokers.ts'

let brokers: Brokers
afterEach(() => brokers?.stopAll())
const isrOf = (topic: string): number[] => [...(brokers.view(topic, 0, brokers.controllerId)?.isr ?? [])].sort()

test('three brokers form a cluster; a leader that is stopped hands over at once, returns, catches up and is in sync again', async () => {
  brokers = await Brokers.start([1, 2, 3])
  await brokers.createTopic('t')
  const sent: string[] = []
  const produce = async (value: string): Promise<void> => {
    sent.push(value)
    await brokers.produce('t', value)
  }
  for (let index = 0; index < 20; index++) await produce(`before ${index}`)
  const first = brokers.leaderOf('t')
  await brokers.stop(first)
  for (let index = 0; index < 20; index++) await produce(`without ${first}: ${index}`)
  expect(brokers.leaderOf('t')).not.toBe(first)
  await brokers.start(first)
  await until(() => isrOf('t').length === 3)
  for (let index = 0; index < 5; index++) await produce(`after ${index}`)
  expect(await brokers.values('t')).toEqual(sent)
  const ends = (): number[] => brokers.ids.map((id) => brokers.broker(id).services.replicas.find('t', 0)!.log.logEndOffset)
  expect(ends()).toEqual([sent.length, sent.length, sent.length])
})

test('a leader that dies loses nothing that was acknowledged; it returns, cuts what nobody has, and follows', async () => {
  brokers = await Brokers.start([1, 2, 3], { settings: { 'replica.lag.time.max.ms': '1000', 'replica.fetch.wait.max.ms': '200' } })
  // The leader is controller, too.
  await brokers.createTopic('t', { replicas: [1, 2, 3], configs: { 'min.insync.replicas': '2' } })
  const sent: string[] = []
  for (let index = 0; index < 20; index++) {
    sent.push(`before ${index}`)
    await brokers.produce('t', sent[index])
  }
  const first = brokers.leaderOf('t')
  await brokers.kill(first)
  for (let index = 0; index < 20; index++) {
    sent.push(`without ${first}: ${index}`)
    await brokers.produce('t', `without ${first}: ${index}`)
  }
  expect(isrOf('t')).not.toContain(first)
  await brokers.start(first)
  await until(() => isrOf('t').length === 3)
  const values = await brokers.values('t')
  // A record whose answer was lost may be there twice.
  expect([...new Set(values)]).toEqual(sent)
})

test('a follower that is gone leaves the ISR, and min.insync.replicas is kept', async () => {
  brokers = await Brokers.start([1, 2, 3])
  await brokers.createTopic('t', { replicas: [2, 3, 1], configs: { 'min.insync.replicas': '3' } })
  await brokers.produce('t', 'one')
  await brokers.stop(3)
  await until(() => isrOf('t').length === 2)
  const leader = () => brokers.broker(2).services.replicas.find('t', 0)!.leader
  // The controller knows it before it tells the leader.
  await until(() => leader()?.isr.length === 2)
  expect(leader()?.isr).toEqual([2, 1])
  expect(leader()?.hasEnoughReplicas).toBe(false)
  await brokers.start(3)
  await until(() => isrOf('t').length === 3)
  expect(await brokers.produce('t', 'two')).toBe(1)
})

test('a partition that comes while a fetch waits for records is followed at once', async () => {
  // Whoever waited for the fetch to end would wait longer than the test may take.
  brokers = await Brokers.start([1, 2], { settings: { 'replica.fetch.wait.max.ms': '600000', 'replica.lag.time.max.ms': '600000', 'replica.socket.timeout.ms': '700000' } })
  await brokers.createTopic('idle', { replicas: [1, 2] })
  await brokers.produce('idle', 'one')
  for (const name of ['new-1', 'new-2', 'new-3']) {
    await brokers.createTopic(name, { replicas: [1, 2] })
    await brokers.produce(name, 'one')
    await brokers.produce(name, 'two')
  }
  // Those who were there before go on beside it.
  await brokers.produce('idle', 'two')
  await brokers.produce('new-1', 'three')
})

test('records are deleted when every live replica has deleted them; a follower that is away is not waited for', async () => {
  brokers = await Brokers.start([1, 2, 3], { settings: { 'replica.fetch.wait.max.ms': '25000' } })
  await brokers.createTopic('t', { replicas: [1, 2, 3] })
  for (let index = 0; index < 6; index++) await brokers.produce('t', String(index))
  const deleteBefore = async (offset: number, timeoutMs = 60_000) => {
    const answer = await brokers.ask(1, DeleteRecords, 2, { topics: [{ name: 't', partitions: [{ partitionIndex: 0, offset }] }], timeoutMs })
    return answer.topics[0].partitions[0]
  }
  const starts = (): number[] => brokers.ids.map((id) => brokers.broker(id).services.replicas.find('t', 0)!.log.logStartOffset)
  expect(await deleteBefore(4)).toMatchObject({ errorCode: 0, lowWatermark: 4 })
  expect(starts()).toEqual([4, 4, 4])
  expect(await deleteBefore(2)).toMatchObject({ errorCode: 0, lowWatermark: 4 })
  expect(await deleteBefore(7)).toMatchObject({ errorCode: errors.offsetOutOfRange.code, lowWatermark: -1 })
  await brokers.stop(3)
  expect(await deleteBefore(-1)).toMatchObject({ errorCode: 0, lowWatermark: 6 })
  expect(starts()).toEqual([6, 6])
})

test('a topic is deleted while one of its brokers is away: that is answered at once, its name is free when the broker is back', async () => {
  brokers = await Brokers.start([1, 2, 3])
  await brokers.createTopic('t', { replicas: [2, 3] })
  await brokers.kill(3)
  await until(() => brokers.leaderOf('t') === 2 && brokers.view('t', 0, brokers.controllerId)?.isr.join() === '2')
  const deleted = await brokers.ask(brokers.controllerId, DeleteTopics, 5, { topicNames: ['t'], timeoutMs: 60_000 })
  expect(deleted.responses).toMatchObject([{ name: 't', errorCode: 0 }])
  const again = { topics: [{ name: 't', numPartitions: 1, replicationFactor: 1, assignments: [], configs: [] }], timeoutMs: 60_000, validateOnly: false }
  expect((await brokers.ask(brokers.controllerId, CreateTopics, 7, again)).topics).toMatchObject([{ errorCode: errors.topicAlreadyExists.code, errorMessage: "Topic 't' is marked for deletion." }])
  await brokers.start(3)
  await until(() => brokers.controllerId >= 0 && !brokers.broker(brokers.controllerId).services.controller.isDeleting('t'))
  await brokers.createTopic('t', { replicas: [3] })
})

test('a consumer is sent to the replica in its rack, and reads there what is committed', async () => {
  brokers = await Brokers.start([], { settings: { 'replica.selector.class': 'org.apache.kafka.common.replica.RackAwareReplicaSelector' } })
  for (const id of [1, 2, 3]) await brokers.start(id, { 'broker.rack': `rack-${id}` })
  await brokers.createTopic('t', { replicas: [1, 2, 3] })
  for (let index = 0; index < 5; index++) await brokers.produce('t', String(index))
  const fetch = async (from: number, rackId: string, { offset = 0, version = 12, maxWaitMs = 0, replicaId = -1 } = {}) => {
    const answer = await brokers.ask(from, Fetch, version, { replicaId, maxWaitMs, minBytes: 1, sessionEpoch: -1, topics: [{ topic: 't', partitions: [{ partition: 0, fetchOffset: offset, partitionMaxBytes: 1 << 20 }] }], forgottenTopicsData: [], rackId })
    const { errorCode, highWatermark, preferredReadReplica, records } = answer.responses[0].partitions[0]
    return { errorCode, highWatermark, preferredReadReplica, count: [...batchesIn(records ?? Buffer.alloc(0))].length }
  }
  const level = (id: number): number => brokers.broker(id).services.replicas.find('t', 0)!.highWatermark
  await until(() => level(2) === 5 && level(3) === 5)
  expect(await fetch(1, 'rack-2')).toEqual({ errorCode: 0, highWatermark: 5, preferredReadReplica: 2, count: 0 })
  // Its own rack, a rack without replicas, and no rack: the leader itself.
  for (const rack of ['rack-1', 'elsewhere', '']) expect(await fetch(1, rack)).toMatchObject({ preferredReadReplica: -1, count: 5 })
  // Nobody is sent where the offset is not.
  expect(await fetch(1, 'rack-2', { offset: 6 })).toMatchObject({ errorCode: errors.offsetOutOfRange.code, preferredReadReplica: -1 })
  expect(await fetch(2, 'rack-2')).toEqual({ errorCode: 0, highWatermark: 5, preferredReadReplica: -1, count: 5 })
  // A follower may only be behind: whether there is such an offset the leader knows.
  expect(await fetch(2, 'rack-2', { offset: 6 })).toMatchObject({ errorCode: errors.notLeaderOrFollower.code })
  // Consumers of before, and other followers, read from the leader only.
  expect(await fetch(2, '', { version: 10 })).toMatchObject({ errorCode: errors.notLeaderOrFollower.code })
  expect(await fetch(2, '', { replicaId: 3 })).toMatchObject({ errorCode: errors.notLeaderOrFollower.code })
  // One that waits at a follower hears of what is committed there.
  const waiting = fetch(2, 'rack-2', { offset: 5, maxWaitMs: 60_000 })
  await brokers.produce('t', 'more')
  await brokers.produce('t', 'and more')
  expect(await waiting).toMatchObject({ errorCode: 0, preferredReadReplica: -1 })
  expect((await waiting).count).toBeGreaterThan(0)
})

test('a broker that is about to stop does not begin to follow what another leads from now on', async () => {
  brokers = await Brokers.start([1, 2, 3], { settings: { 'auto.leader.rebalance.enable': 'false' } })
  await brokers.createTopic('t', { replicas: [1, 2, 3] })
  await brokers.produce('t', 'before')
  const { replicas, controller } = brokers.broker(1).services
  replicas.leave()
  await controller.alterPartitionReassignments([{ topic: 't', partition: 0, replicas: [2, 1, 3] }])
  await controller.electLeaders('preferred', [{ topic: 't', partition: 0 }])
  await until(() => brokers.leaderOf('t') === 2 && replicas.find('t', 0)?.follower?.leaderId === 2)
  const endOn = (id: number): number => brokers.broker(id).services.replicas.find('t', 0)!.log.logEndOffset
  for (let end = 2; end <= 10; end++) {
    await brokers.produce('t', `record ${end}`, { acks: 1 })
    await until(() => endOn(3) === end)
  }
  // It has not asked even once, while the other follower has asked for each record.
  expect([endOn(1), brokers.broker(2).services.replicas.find('t', 0)?.leader?.followerEnd(1)]).toEqual([1, -1])
})

test('a record that is being written when its leader hands over is refused at once, not when the time of its producer is over', async () => {
  brokers = await Brokers.start([1, 2])
  await brokers.createTopic('t', { replicas: [1, 2] })
  await brokers.produce('t', 'one')
  const partition = brokers.broker(1).services.replicas.find('t', 0)!
  const { leaderEpoch, partitionEpoch } = partition
  const records = encodeBatch([{ key: null, value: Buffer.from('two'), headers: [] }])
  const produced = new Promise<Produced>((done) => partition.append([records], records.length, { requiredAcks: -1, timeoutMs: 100_000, origin: 'client' }, done))
  partition.becomeFollower({ leader: 2, leaderEpoch: leaderEpoch + 1, partitionEpoch: partitionEpoch + 1, isr: [2, 1], replicas: [1, 2] })
  expect((await produced).errorCode).toBe(errors.notLeaderOrFollower.code)
})
