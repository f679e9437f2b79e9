import { afterEach, expect, test } from 'vitest'
import { NoControllerError } from '../../../src/kafka/metadata/kafka-zookeeper.ts'
import { errors } from '../../../src/kafka/protocol/errors.ts'
import { assigned } from '../../../src/kafka/metadata/topic-znode.ts'
import { paths } from '../../../src/kafka/metadata/znode-paths.ts'
import { eventually } from '../../zookeeper/client/service.ts'
import { TestCluster, type TestMember } from './cluster.ts'

let cluster: TestCluster
afterEach(() => cluster?.stop())

/** A small generator, so that a failing run is one number. */
function chances(seed: number): (below: number) => number {
  let state = seed >>> 0
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 0x1_0000_0000) * below)
  }
}
const seeds = process.env.SEED ? [Number(process.env.SEED)] : Array.from({ length: Number(process.env.SEEDS ?? 6) }, (_, index) => index + 1)
const topicIds = (index: number): string => Buffer.alloc(16, index + 1).toString('base64url')

/**
 * Somebody edits, damages and deletes nodes of some topics and of the controller's business while brokers come and go. The other topics
 * are led all the same, new ones can be made, and there is one controller.
 */
test.each(seeds)('nodes damaged by hand are contained, seed %i', async (seed) => {
  const chance = chances(seed)
  cluster = await TestCluster.start()
  for (const id of [1, 2, 3]) await cluster.add(id)
  const zookeeper = () => [...cluster.members.values()][0].zookeeper
  const names = Array.from({ length: 8 }, (_, index) => `t${index}`)
  for (const [index, name] of names.entries()) await zookeeper().createTopic(name, { topicId: topicIds(index), partitions: new Map([[0, assigned([1, 2, 3])], [1, assigned([3, 1, 2])]]) }, {})
  const led = (name: string): boolean => [...cluster.members.keys()].every((id) => [0, 1].every((index) => cluster.members.has(cluster.broker(id).metadata.partition(name, index)?.leader ?? -1)))
  await eventually('all topics are led', () => names.every(led))
  const [victims, healthy] = [names.slice(0, 4), names.slice(4)]
  const wrong = [
    '', 'no json', '[]', '{}', '{"version":1,"partitions":7}', '{"partitions":{"0":["a"]}}', '{"partitions":{"-1":[1],"99999999999":[1]}}', '{"topic_id":"short","partitions":{"0":[1,2,3]}}',
    '{"controller_epoch":1,"leader":1,"version":1,"leader_epoch":99999999999,"isr":[1]}', '{"controller_epoch":1,"leader":77,"version":1,"leader_epoch":5,"isr":[77]}', '{"controller_epoch":1,"leader":1,"leader_epoch":1,"isr":"1"}',
    '{"version":1,"partitions":[{"topic":5}]}', '{"version":1,"partitions":[{"topic":"t5","partition":0,"replicas":["x"]}]}', '\u0000\u0001\ufffd',
  ]
  const spoil = async (path: string): Promise<void> => {
    const text = wrong[chance(wrong.length)]
    await zookeeper().run(async (zk) => {
      if (chance(6) === 0) await zk.delete(path).catch(() => undefined)
      else await zk.setData(path, text).catch(() => zk.create(path, text).then(() => undefined, () => undefined))
    })
  }
  for (let step = 0; step < 20; step++) {
    const victim = victims[chance(victims.length)]
    const places = [paths.topic(victim), paths.partitionState(victim, chance(2)), paths.reassignment, paths.preferredElection, `${paths.isrChanges}/isr_change_000000000${chance(10)}`, `${paths.logDirEvents}/log_dir_event_000000000${chance(10)}`, paths.deletedTopic(`nobody${chance(3)}`), paths.controller, paths.controllerEpoch, '/brokers/ids/damaged', '/brokers/topics/made by hand']
    await spoil(places[chance(places.length)])
    if (chance(3) > 0) continue
    const gone = 1 + chance(3)
    await cluster.remove(gone)
    // Out of every ISR, too: a controller that has yet to see to that would take back what is written below.
    const isOut = (name: string): boolean => [...cluster.members.keys()].every((id) => [0, 1].every((index) => !cluster.broker(id).metadata.partition(name, index)?.isr.includes(gone)))
    await eventually('the rest goes on', () => healthy.every((name) => led(name) && isOut(name)))
    await cluster.add(gone)
    // Brokers of this test do not fetch: somebody has to bring them back into the ISRs, which would empty otherwise.
    for (const name of healthy)
      for (const index of [0, 1]) {
        const state = (await zookeeper().partitionState(name, index))!
        await zookeeper().run((zk) => zk.setData(paths.partitionState(name, index), JSON.stringify({ controller_epoch: state.controllerEpoch, leader: state.leader, version: 1, leader_epoch: state.leaderEpoch, isr: [state.leader, ...[1, 2, 3].filter((id) => id !== state.leader)] })))
        await zookeeper().run((zk) => zk.create(`${paths.isrChanges}/isr_change_`, JSON.stringify({ version: 1, partitions: [{ topic: name, partition: index }] }), { mode: 'persistentSequential' }))
      }
    await eventually('the controller has heard of the ISRs', () => healthy.every((name) => [0, 1].every((index) => cluster.broker(gone).metadata.partition(name, index)?.isr.length === 3)))
  }
  await eventually('there is one controller', () => [...cluster.members.values()].filter(({ controller }) => controller.isActive).length === 1)
  await create('fresh', [[2, 3], [1]], topicIds(100))
  await eventually('a new topic is led', () => led('fresh'))
  expect(healthy.every(led)).toBe(true)
  expect(await zookeeper().run((zk) => zk.listChildren(paths.isrChanges))).toEqual([])
})

test('a topic that was damaged before the controller began is served when it is repaired', async () => {
  cluster = await TestCluster.start()
  const { zookeeper } = await cluster.add(1)
  await zookeeper.createTopic('t', { topicId: topicIds(0), partitions: new Map([[0, assigned([1])]]) }, {})
  await eventually('it is led', () => cluster.broker(1).metadata.partition('t', 0)?.leader === 1)
  const { leaderEpoch } = cluster.broker(1).metadata.partition('t', 0)!
  const good = (await zookeeper.run((zk) => zk.getData(paths.topic('t')))).data!
  await zookeeper.run((zk) => zk.setData(paths.topic('t'), '{"partitions":'))
  await cluster.remove(1)
  cluster.brokers.clear()
  const again = await cluster.add(1)
  expect(again.controller.isActive).toBe(true)
  expect(cluster.broker(1).metadata.topic('t')).toBeUndefined()
  await again.zookeeper.run((zk) => zk.setData(paths.topic('t'), good))
  await eventually('it is led again', () => cluster.broker(1).metadata.partition('t', 0)?.leader === 1)
  // The leader may have asked for another ISR meanwhile, was refused, and does not ask again in the same epoch.
  expect(cluster.broker(1).metadata.partition('t', 0)?.leaderEpoch).toBe(leaderEpoch + 1)
})

const isLed = (topic: string) => (): boolean => [...cluster.brokers.values()].every(({ metadata }) => cluster.members.has(metadata.partition(topic, 0)?.leader ?? -1))
const governors = (): number[] => [...cluster.members.values()].filter(({ controller }) => controller.isActive).map(({ id }) => id)
/** As soon as there is a controller. */
const create = (topic: string, replicas: number[][], topicId: string): Promise<void> =>
  eventually(`${topic} is created`, async () => {
    try {
      await cluster.members.get(3)!.zookeeper.createTopic(topic, { topicId, partitions: new Map(replicas.map((each, index) => [index, assigned(each)])) }, {})
      return true
    } catch (error) {
      if (!(error instanceof NoControllerError)) throw error
      return false
    }
  })
const textOf = async (path: string): Promise<string> => String((await cluster.members.get(3)!.zookeeper.run((zk) => zk.getData(path))).data)

/** What somebody does to the nodes of the controller's office, and whether it has to be given to somebody anew. */
const misdeeds: Record<string, { path: string; text?: string; isLasting?: boolean }> = {
  'the epoch is damaged': { path: paths.controllerEpoch, text: 'no number' },
  'the epoch is beyond 32 bits': { path: paths.controllerEpoch, text: '2147483647' },
  'the epoch is set back': { path: paths.controllerEpoch, text: '1' },
  'the epoch is deleted': { path: paths.controllerEpoch },
  'the office is damaged': { path: paths.controller, text: '{"broker' },
  'the office is given to another by hand': { path: paths.controller, text: '{"version":2,"brokerid":3,"timestamp":"0","kraftControllerEpoch":-1}' },
  'the office is deleted': { path: paths.controller },
  'the office is made to last, of nobody': { path: paths.controller, text: 'damaged', isLasting: true },
  'the office is made to last, of a broker': { path: paths.controller, text: '{"version":2,"brokerid":2,"timestamp":"0","kraftControllerEpoch":-1}', isLasting: true },
}
test.each(Object.entries(misdeeds))('when %s, there is one controller, all obey it, and who comes next has a higher epoch', { timeout: 60_000 }, async (_, { path, text, isLasting }) => {
  cluster = await TestCluster.start()
  for (const id of [1, 2, 3]) await cluster.add(id)
  await create('before', [[1, 2, 3]], topicIds(1))
  await eventually('it is led', isLed('before'))
  // The office has changed hands some times: what is set back is lower than what brokers have met.
  await cluster.members.get(3)!.zookeeper.run((zk) => zk.delete(paths.controller))
  await eventually('another epoch is obeyed', () => cluster.broker(3).controllerEpoch === 2)
  const [old] = governors()
  await cluster.members.get(3)!.zookeeper.run(async (zk) => {
    if (isLasting || text === undefined) await zk.delete(path)
    if (isLasting) await zk.create(path, text).catch(() => undefined)
    else if (text !== undefined) await zk.setData(path, text)
  })
  await create('afterwards', [[3, 2]], topicIds(2))
  await eventually('a new topic is led', isLed('afterwards'))
  await eventually('one governs', () => governors().length === 1)
  // A controller whose epoch was taken away is not left with an office that it cannot use.
  const [now] = governors()
  await eventually('/controller names it', async () => (await textOf(paths.controller).catch(() => '')).includes(`"brokerid":${now}`))
  const epochs = [...cluster.brokers.values()].map(({ controllerEpoch }) => controllerEpoch)
  expect(Math.min(...epochs)).toBe(Math.max(...epochs))
  if (path === paths.controllerEpoch) expect(epochs[0]).toBeGreaterThan(2)
  const gone = old === 3 ? 2 : old
  await cluster.lose(gone)
  await create('at-last', [[3, 1]], topicIds(3))
  await eventually('the next governs and is obeyed', isLed('at-last'))
  expect(Number(await textOf(paths.controllerEpoch))).toBe(cluster.broker(3).controllerEpoch)
})
/** Brokers 1, 2 and 3, and a topic with one partition on 2 and 3; what the last of them knows of ZooKeeper. */
async function three(topic: string, topicId: string): Promise<TestMember> {
  cluster = await TestCluster.start()
  for (const id of [1, 2, 3]) await cluster.add(id)
  await create(topic, [[2, 3]], topicId)
  await eventually('it is led', isLed(topic))
  return cluster.members.get(3)!
}

test('a broker whose registration is damaged counts as absent for the next controller, until it is repaired', { timeout: 60_000 }, async () => {
  cluster = await TestCluster.start()
  for (const id of [1, 2, 3]) await cluster.add(id)
  await create('t', [[2, 3]], topicIds(4))
  const leaderIs = (id: number) => (): boolean => cluster.broker(3).metadata.partition('t', 0)?.leader === id
  await eventually('it is led', leaderIs(2))
  const { zookeeper } = cluster.members.get(3)!
  const good = (await zookeeper.run((zk) => zk.getData(paths.broker(2)))).data!
  // Apache's brokers do not look after theirs.
  await cluster.members.get(2)!.registrar.stop()
  await zookeeper.run((zk) => zk.setData(paths.broker(2), 'damaged'))
  expect(cluster.broker(3).metadata.brokers.has(2)).toBe(true)
  await cluster.lose(1)
  await eventually('another leads', leaderIs(3))
  expect(cluster.broker(3).metadata.brokers.has(2)).toBe(false)
  await zookeeper.run((zk) => zk.setData(paths.broker(2), good))
  await eventually('it is back', () => cluster.broker(3).metadata.brokers.has(2) && cluster.broker(2).metadata.brokers.size === 2)
})

test('a topic whose partition has a damaged state when a controller begins is served when the state is repaired', { timeout: 60_000 }, async () => {
  const { zookeeper } = await three('t', topicIds(5))
  const good = (await zookeeper.run((zk) => zk.getData(paths.partitionState('t', 0)))).data!
  await zookeeper.run((zk) => zk.setData(paths.partitionState('t', 0), '{"controller_epoch":'))
  await cluster.lose(1)
  await eventually('another governs', () => governors().length === 1)
  // The next controller does not know who leads; what it tells brokers of is without the topic.
  const [governor] = governors()
  const laterThan = cluster.broker(3).partitions('LeaderAndIsr').length
  await zookeeper.run((zk) => zk.setData(paths.partitionState('t', 0), good))
  await eventually('its replicas are told of it', () => cluster.broker(3).partitions('LeaderAndIsr').length > laterThan)
  await eventually('and of its state of now', async () => (await zookeeper.partitionState('t', 0))?.partitionEpoch === cluster.broker(3).metadata.partition('t', 0)?.partitionEpoch)
  expect(await propose(governor, 't', 0, [2])).toBe(0)
})

test('states of several partitions that are changed by hand are all written anew, whoever asks first', { timeout: 60_000 }, async () => {
  cluster = await TestCluster.start()
  for (const id of [1, 2, 3]) await cluster.add(id)
  const indexes = [0, 1, 2, 3, 4]
  await create('t', indexes.map((index) => (index % 2 ? [3, 2] : [2, 3])), topicIds(9))
  await eventually('it is led', () => indexes.every((index) => cluster.members.has(cluster.broker(3).metadata.partition('t', index)?.leader ?? -1)))
  const [governor] = governors()
  const { zookeeper } = cluster.members.get(3)!
  const epochs = indexes.map((index) => cluster.broker(3).metadata.partition('t', index)!.leaderEpoch)
  for (const index of indexes) await zookeeper.run((zk) => zk.setData(paths.partitionState('t', index), 'no json'))
  // At the same time: one answer is not out yet when the next question is there.
  expect(await Promise.all(indexes.map((index) => propose(governor, 't', index, [index % 2 ? 3 : 2])))).not.toContain(0)
  await eventually('the next epochs are known', () => indexes.every((index) => cluster.broker(3).metadata.partition('t', index)?.leaderEpoch === epochs[index] + 1))
})

test.each([paths.isrChanges, paths.logDirEvents, paths.deletedTopics, paths.brokers])('when %s is deleted, brokers are registered again and the next controller begins', { timeout: 60_000 }, async (path) => {
  const { zookeeper } = await three('before', topicIds(10))
  await zookeeper.run((zk) => zk.deleteTree(path))
  await zookeeper.run((zk) => zk.delete(paths.controller))
  await eventually('one governs', () => governors().length === 1)
  await eventually('all are registered', async () => (await zookeeper.brokerIds()).join() === '1,2,3')
  await eventually('and known to each other', () => [1, 2, 3].every((id) => cluster.broker(id).metadata.brokers.size === 3))
  await create('afterwards', [[3, 1]], topicIds(11))
  await eventually('both are led', () => isLed('before')() && isLed('afterwards')())
})

test('a topic whose id was changed by hand before a controller began, and that brokers refuse, is led again when the id is put back', { timeout: 60_000 }, async () => {
  const { zookeeper } = await three('t', topicIds(12))
  const good = (await zookeeper.run((zk) => zk.getData(paths.topic('t')))).data!
  for (const broker of cluster.brokers.values()) broker.errors.set('t-0', errors.inconsistentTopicId.code)
  await zookeeper.run((zk) => zk.setData(paths.topic('t'), JSON.stringify({ ...(JSON.parse(String(good)) as object), topic_id: topicIds(13) })))
  const told = (): number => cluster.broker(2).partitions('LeaderAndIsr').length
  const before = told()
  await cluster.lose(1)
  await eventually('the next controller tells of it', () => told() > before)
  for (const broker of cluster.brokers.values()) broker.errors.clear()
  const { leaderEpoch } = (await zookeeper.partitionState('t', 0))!
  await zookeeper.run((zk) => zk.setData(paths.topic('t'), good))
  await eventually('all know it by its id, in the next epoch', () => [2, 3].every((id) => {
    const { metadata } = cluster.broker(id)
    return metadata.topic('t')?.topicId === topicIds(12) && (metadata.partition('t', 0)?.leaderEpoch ?? 0) > leaderEpoch
  }))
})

test.each<[string, string | undefined]>([
  ['deleted', undefined],
  ['set back', '{"controller_epoch":1,"leader":2,"version":1,"leader_epoch":0,"isr":[2,3]}'],
  ['left without an ISR', '{"controller_epoch":1,"leader":3,"version":1,"leader_epoch":99,"isr":[]}'],
  ['given an ISR of strangers', '{"controller_epoch":1,"leader":3,"version":1,"leader_epoch":99,"isr":[77,3]}'],
])('a state that is %s before a controller begins is as that broker was told last, in the next epoch', { timeout: 60_000 }, async (_, text) => {
  const { zookeeper } = await three('t', topicIds(14))
  const leaderOf = (): number | undefined => cluster.broker(3).metadata.partition('t', 0)?.leader
  // 3 alone is in sync, and leads in the second epoch.
  const [first] = governors()
  expect(first).toBe(1)
  expect(await propose(first, 't', 0, [2])).toBe(0)
  expect(await propose(first, 't', 0, [2, 3])).toBe(0)
  await cluster.remove(2)
  await eventually('3 leads', () => leaderOf() === 3)
  await cluster.add(2)
  await eventually('2 is known again, and knows that 3 leads', () => cluster.broker(3).metadata.brokers.has(2) && cluster.broker(2).metadata.partition('t', 0)?.leader === 3)
  const { leaderEpoch } = (await zookeeper.partitionState('t', 0))!
  expect(leaderEpoch).toBeGreaterThan(0)
  const path = paths.partitionState('t', 0)
  await zookeeper.run((zk) => (text === undefined ? zk.delete(path) : zk.setData(path, text).then(() => undefined)))
  await cluster.lose(1)
  await eventually('the next epoch is known', () => [2, 3].every((id) => (cluster.broker(id).metadata.partition('t', 0)?.leaderEpoch ?? 0) > leaderEpoch))
  expect(await zookeeper.partitionState('t', 0)).toMatchObject({ leader: 3, isr: [3] })
})

test('a partition that somebody has given replicas that are not there before a controller began is led again when they are put back', { timeout: 60_000 }, async () => {
  const { zookeeper } = await three('t', topicIds(16))
  const path = paths.topic('t')
  const good = (await zookeeper.run((zk) => zk.getData(path))).data!
  const { leaderEpoch } = (await zookeeper.partitionState('t', 0))!
  await zookeeper.run((zk) => zk.setData(path, JSON.stringify({ ...(JSON.parse(String(good)) as object), partitions: { 0: [77, 78] } })))
  await cluster.lose(1)
  await eventually('another governs', () => governors().length === 1)
  // Answered when it has begun.
  await cluster.members.get(governors()[0])!.controller.electLeaders('preferred', [])
  await zookeeper.run((zk) => zk.setData(path, good))
  await eventually('it is led in the next epoch', () => [2, 3].every((id) => {
    const found = cluster.broker(id).metadata.partition('t', 0)
    return found?.leader === 2 && found.leaderEpoch > leaderEpoch
  }))
})

test.each([
  ['deleted by hand', true],
  ['emptied by hand before a controller began', false],
])('a topic that is %s, and put back with a state of an earlier epoch, goes on as the controller was told last, in the next epoch', { timeout: 60_000 }, async (_, isDeleted) => {
  const { zookeeper } = await three('t', topicIds(15))
  const [path, top] = [paths.partitionState('t', 0), paths.topic('t')]
  const [topic, early] = await Promise.all([top, path].map(async (each) => (await zookeeper.run((zk) => zk.getData(each))).data!))
  expect(JSON.parse(String(early))).toMatchObject({ leader: 2, isr: [2, 3] })
  expect(governors()).toEqual([1])
  // Since then 3 alone is in sync, and leads.
  await cluster.remove(2)
  const told = () => [...cluster.members.keys()].map((id) => cluster.broker(id).metadata.partition('t', 0)!)
  await eventually('3 leads', () => told().every(({ leader }) => leader === 3))
  await cluster.add(2)
  await eventually('all know that', () => told().every(({ leader }) => leader === 3))
  const { leaderEpoch } = (await zookeeper.partitionState('t', 0))!
  expect(leaderEpoch).toBeGreaterThan(0)
  if (isDeleted) {
    await zookeeper.run((zk) => zk.deleteTree(top))
    const isForgotten = async () => (await cluster.members.get(1)!.controller.electLeaders('preferred', [{ topic: 't', partition: 0 }]))?.[0].errorCode === errors.unknownTopicOrPartition.code
    await eventually('the controller has no such topic', isForgotten)
    await zookeeper.run((zk) => zk.multi([[top, topic], [paths.partitions('t'), ''], [paths.partition('t', 0), ''], [path, early]].map(([at, data]) => ({ op: 'create', path: String(at), data }))))
  } else {
    await zookeeper.run((zk) => zk.setData(top, JSON.stringify({ ...(JSON.parse(String(topic)) as object), partitions: {} })))
    await zookeeper.run((zk) => zk.setData(path, early))
    await cluster.lose(1)
    await eventually('another governs', () => governors().length === 1)
    await zookeeper.run((zk) => zk.setData(top, topic))
  }
  await eventually('3 leads in the next epoch', () => told().every((each) => each.leader === 3 && each.leaderEpoch > leaderEpoch))
  expect(await zookeeper.partitionState('t', 0)).toMatchObject({ leader: 3, isr: [3] })
})

test('partitions that somebody has taken out of a topic before a controller began are led again when they are put back', { timeout: 60_000 }, async () => {
  cluster = await TestCluster.start()
  for (const id of [1, 2, 3]) await cluster.add(id)
  await create('t', [[2, 3], [3, 2], [1, 3]], topicIds(8))
  await eventually('it is led', () => [0, 1, 2].every((index) => cluster.members.has(cluster.broker(3).metadata.partition('t', index)?.leader ?? -1)))
  const { zookeeper } = cluster.members.get(3)!
  const good = (await zookeeper.run((zk) => zk.getData(paths.topic('t')))).data!
  await zookeeper.run((zk) => zk.setData(paths.topic('t'), JSON.stringify({ ...(JSON.parse(String(good)) as object), partitions: {} })))
  await cluster.lose(1)
  await eventually('another governs', () => governors().length === 1)
  const [governor] = governors()
  await zookeeper.run((zk) => zk.setData(paths.topic('t'), good))
  const leaderOf = (index: number) => cluster.broker(3).metadata.partition('t', index)?.leader
  await eventually('whose leader died has another one', async () => (await zookeeper.partitionState('t', 2))?.leader === 3 && leaderOf(2) === 3)
  // The others are as they were.
  expect([0, 1].map(leaderOf)).toEqual([2, 3])
  expect(await propose(governor, 't', 1, [3])).toBe(0)
})

/** The leader asks the controller for another ISR; the answer's error code. `known`: what it goes by, if that is not what all were told. */
async function propose(governor: number, topic: string, index: number, isr: readonly number[], known: { leader: number; leaderEpoch: number; partitionEpoch: number } = cluster.broker(3).metadata.partition(topic, index)!): Promise<number> {
  const { controller, zookeeper } = cluster.members.get(governor)!
  const { leader, leaderEpoch, partitionEpoch } = known
  const answer = await controller.alterPartition({
    brokerId: leader,
    brokerEpoch: (await zookeeper.broker(leader))!.epoch,
    topics: [{ topicName: '', topicId: (await zookeeper.topic(topic))!.topicId!, partitions: [{ partitionIndex: index, leaderEpoch, newIsr: [], newIsrWithEpochs: isr.map((brokerId) => ({ brokerId, brokerEpoch: -1n })), leaderRecoveryState: 0, partitionEpoch }] }],
  }, 3)
  return answer.errorCode || answer.topics[0].partitions[0].errorCode
}

test.each<[string, string | undefined]>([
  ['damaged', 'no json'],
  ['given to another leader by hand', '{"controller_epoch":1,"leader":77,"version":1,"leader_epoch":5,"isr":[77]}'],
  ['deleted', undefined],
])('a state that is %s is written anew when its leader next asks for another ISR, with the next leader epoch', { timeout: 60_000 }, async (_, text) => {
  const { zookeeper } = await three('t', topicIds(6))
  const [governor] = governors()
  const epoch = cluster.broker(3).metadata.partition('t', 0)!.leaderEpoch
  await zookeeper.run(async (zk) => {
    if (text === undefined) await zk.delete(paths.partitionState('t', 0))
    else await zk.setData(paths.partitionState('t', 0), text)
  })
  expect(await propose(governor, 't', 0, [2])).not.toBe(0)
  await eventually('the next epoch is known', () => cluster.broker(3).metadata.partition('t', 0)?.leaderEpoch === epoch + 1)
  expect(await zookeeper.partitionState('t', 0)).toMatchObject({ leader: 2, isr: [2, 3], leaderEpoch: epoch + 1 })
  expect(await propose(governor, 't', 0, [2])).toBe(0)
  expect(await zookeeper.partitionState('t', 0)).toMatchObject({ leader: 2, isr: [2], leaderEpoch: epoch + 1 })
})

test('a state that was missing when a controller began, and is put back, is what counts when its leader next speaks', { timeout: 60_000 }, async () => {
  const { zookeeper } = await three('t', topicIds(7))
  const path = paths.partitionState('t', 0)
  await zookeeper.run((zk) => zk.delete(path))
  const [old] = governors()
  expect(old).toBe(1)
  await cluster.lose(1)
  await eventually('the next controller has made it anew', async () => (await zookeeper.partitionState('t', 0).catch(() => undefined)) !== undefined)
  await eventually('another governs', () => governors().length === 1)
  await zookeeper.run((zk) => zk.setData(path, '{"controller_epoch":1,"leader":3,"version":1,"leader_epoch":9,"isr":[3]}'))
  const [governor] = governors()
  const speak = (): Promise<number> => propose(governor, 't', 0, [3, 2], { leader: 3, leaderEpoch: 9, partitionEpoch: 4 })
  expect(await speak()).not.toBe(0)
  await eventually('all know that 3 leads', () => [2, 3].every((id) => cluster.broker(id).metadata.partition('t', 0)?.leader === 3))
  expect(await zookeeper.partitionState('t', 0)).toMatchObject({ leader: 3, isr: [3], leaderEpoch: 10 })
})
