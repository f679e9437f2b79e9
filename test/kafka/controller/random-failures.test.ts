import { expect, test } from 'vitest'
import { KafkaZooKeeper } from '../../../src/kafka/metadata/kafka-zookeeper.ts'
import { assigned } from '../../../src/kafka/metadata/topic-znode.ts'
import { eventually, testHost } from '../../zookeeper/client/service.ts'
import { TestCluster } from './cluster.ts'

/** A small generator, so that a failing run is one number. */
function chances(seed: number): (below: number) => number {
  let state = seed >>> 0
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 0x1_0000_0000) * below)
  }
}
/** SEED=n repeats one run, SEEDS=n does more of them. */
const seeds = process.env.SEED ? [Number(process.env.SEED)] : Array.from({ length: Number(process.env.SEEDS ?? 6) }, (_, index) => index + 1)

/**
 * Brokers come, die and lose their sessions while topics come and go. When all is calm again: one controller with the highest epoch;
 * every partition of every topic that has a live replica in its ISR has a leader in it; the brokers' views say the same; epochs never went back.
 */
test.each(seeds)('random failures, seed %i', async (seed) => {
  const chance = chances(seed)
  const cluster = await TestCluster.start()
  const highest = new Map<string, number>()
  let topics = 0
  const observer = await KafkaZooKeeper.connect(testHost, { connect: cluster.service.connect, sessionTimeoutMs: 5_000 })
  try {
    for (const id of [1, 2, 3]) await cluster.add(id)
    for (let step = 0; step < 25; step++) {
      const living = [...cluster.members.keys()]
      const someone = living[chance(living.length)]
      const { zookeeper } = cluster.members.get(someone)!
      switch (chance(6)) {
        case 0:
        case 1: {
          const replicas = [1, 2, 3].sort(() => chance(3) - 1).slice(0, 1 + chance(3))
          await zookeeper.createTopic(`t${topics++}`, { topicId: undefined, partitions: new Map([[0, assigned(replicas)], [1, assigned([...replicas].reverse())]]) }, {}).catch(() => undefined)
          break
        }
        case 2:
          if (topics > 0) await zookeeper.markForDeletion(`t${chance(topics)}`)
          break
        case 3:
          if (living.length > 1) await cluster.remove(someone)
          break
        case 4: {
          const dead = [1, 2, 3].filter((id) => !cluster.members.has(id))
          if (dead.length > 0) await cluster.add(dead[0])
          break
        }
        default: {
          const thief = await cluster.service.client({ session: zookeeper.sessions.client.session }).catch(() => undefined)
          await thief?.close()
        }
      }
      for (const [name, { topicId }] of await observer.topics(await observer.topicNames()))
        for (const index of [0, 1]) {
          const state = await observer.partitionState(name, index)
          const key = `${name}-${index} ${topicId}`
          if (!state) continue
          expect(state.leaderEpoch, key).toBeGreaterThanOrEqual(highest.get(key) ?? 0)
          highest.set(key, state.leaderEpoch)
        }
    }
    for (const id of [1, 2, 3]) if (!cluster.members.has(id)) await cluster.add(id)
    const zookeeper = observer
    const active = () => [...cluster.members.values()].filter(({ controller }) => controller.isActive)
    await eventually('there is one controller, of the highest epoch', async () => {
      const epoch = Number((await zookeeper.run((zk) => zk.getData('/controller_epoch'))).data)
      return active().length === 1 && active()[0].controller.epoch === epoch && (await zookeeper.controller())?.node.brokerId === active()[0].id
    })
    await eventually('all are registered and seen', async () => (await zookeeper.brokerIds()).length === 3 && [1, 2, 3].every((id) => cluster.broker(id).metadata.brokers.size === 3))
    await eventually('every topic is led by a replica in sync, in everybody’s view', async () => {
      for (const [name, { partitions }] of await zookeeper.topics(await zookeeper.topicNames())) {
        if (await zookeeper.isMarkedForDeletion(name)) return false
        for (const [index, { replicas }] of partitions) {
          const state = await zookeeper.partitionState(name, index)
          if (!state || !state.isr.includes(state.leader) || !replicas.includes(state.leader)) return false
          for (const id of [1, 2, 3]) {
            const view = cluster.broker(id).metadata.partition(name, index)
            if (view?.leader !== state.leader || view.leaderEpoch !== state.leaderEpoch) return false
          }
        }
      }
      return true
    })
  } finally {
    await observer.close()
    await cluster.stop()
  }
})
