import { afterEach, expect, test } from 'vitest'
import { assigned } from '../../../src/kafka/metadata/topic-znode.ts'
import { paths } from '../../../src/kafka/metadata/znode-paths.ts'
import { eventually } from '../../zookeeper/client/service.ts'
import { TestCluster } from './cluster.ts'

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
    const places = [paths.topic(victim), paths.partitionState(victim, chance(2)), paths.reassignment, paths.preferredElection, `${paths.isrChanges}/isr_change_000000000${chance(10)}`, `${paths.logDirEvents}/log_dir_event_000000000${chance(10)}`, paths.deletedTopic(`nobody${chance(3)}`), '/brokers/ids/damaged', '/brokers/topics/made by hand']
    await spoil(places[chance(places.length)])
    if (chance(3) > 0) continue
    const gone = 1 + chance(3)
    await cluster.remove(gone)
    await eventually('the rest goes on', () => healthy.every(led))
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
  await zookeeper().createTopic('fresh', { topicId: topicIds(100), partitions: new Map([[0, assigned([2, 3])], [1, assigned([1])]]) }, {})
  await eventually('a new topic is led', () => led('fresh'))
  expect(healthy.every(led)).toBe(true)
  expect(await zookeeper().run((zk) => zk.listChildren(paths.isrChanges))).toEqual([])
})

test('a topic that was damaged before the controller began is served when it is repaired', async () => {
  cluster = await TestCluster.start()
  const { zookeeper } = await cluster.add(1)
  await zookeeper.createTopic('t', { topicId: topicIds(0), partitions: new Map([[0, assigned([1])]]) }, {})
  await eventually('it is led', () => cluster.broker(1).metadata.partition('t', 0)?.leader === 1)
  const good = (await zookeeper.run((zk) => zk.getData(paths.topic('t')))).data!
  await zookeeper.run((zk) => zk.setData(paths.topic('t'), '{"partitions":'))
  await cluster.remove(1)
  cluster.brokers.clear()
  const again = await cluster.add(1)
  expect(again.controller.isActive).toBe(true)
  expect(cluster.broker(1).metadata.topic('t')).toBeUndefined()
  await again.zookeeper.run((zk) => zk.setData(paths.topic('t'), good))
  await eventually('it is led again', () => cluster.broker(1).metadata.partition('t', 0)?.leader === 1)
})
