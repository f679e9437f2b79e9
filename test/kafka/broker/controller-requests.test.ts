import { readdirSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { CreateTopics } from '../../../src/kafka/protocol/create-topics.ts'
import { errors } from '../../../src/kafka/protocol/errors.ts'
import { LeaderAndIsr } from '../../../src/kafka/protocol/leader-and-isr.ts'
import { Metadata } from '../../../src/kafka/protocol/metadata.ts'
import { StopReplica } from '../../../src/kafka/protocol/stop-replica.ts'
import { UpdateMetadata } from '../../../src/kafka/protocol/update-metadata.ts'
import type { RequestTo } from '../../../src/kafka/protocol/api.ts'
import type { Broker } from '../../../src/kafka/broker/broker.ts'
import { Brokers, until } from '../cluster/brokers.ts'

let brokers: Brokers
let broker: Broker
beforeAll(async () => {
  brokers = await Brokers.start([1])
  broker = brokers.broker(1)
  await brokers.createTopic('t', { replicas: [1] })
})
afterAll(() => brokers?.stopAll())

const epochs = async () => ({ controllerId: 1, controllerEpoch: broker.services.controller.epoch, brokerEpoch: (await broker.services.zookeeper.broker(1))!.epoch })
type State = RequestTo<typeof LeaderAndIsr>['topicStates']
const otherId = 'l6eYaCzdRvid3t-1JT-3_g'
const state = (more: object = {}): object => ({ partitionIndex: 0, controllerEpoch: 1, leader: 1, leaderEpoch: 5, isr: [1], partitionEpoch: 5, replicas: [1], addingReplicas: [], removingReplicas: [], isNew: false, leaderRecoveryState: 0, ...more })
const leaderAndIsr = async (head: object, topicName: string, topicId: string, states: object[]) =>
  brokers.ask(1, LeaderAndIsr, 7, { ...(await epochs()), ...head, topicStates: [{ topicName, topicId, partitionStates: states }] as State, liveLeaders: [] })
/** The topic is led by this broker as before, and takes records. */
async function unharmed(): Promise<void> {
  expect(broker.services.replicas.find('t', 0)?.leader?.leaderEpoch).toBe(0)
  expect(await brokers.produce('t', 'still here')).toBeGreaterThanOrEqual(0)
}

test('requests of an older controller, for an earlier life of the broker, or of a KRaft controller change nothing', async () => {
  const { controllerEpoch, brokerEpoch } = await epochs()
  const topicId = broker.services.metadata.topicId('t')
  const { staleControllerEpoch, staleBrokerEpoch, invalidRequest } = errors
  for (const [head, error] of [[{ controllerEpoch: controllerEpoch - 1 }, staleControllerEpoch], [{ brokerEpoch: brokerEpoch - 1n }, staleBrokerEpoch], [{ isKRaftController: true }, invalidRequest]] as const) {
    expect((await leaderAndIsr(head, 't', topicId, [state({ leader: 7 })])).errorCode).toBe(error.code)
    expect((await brokers.ask(1, UpdateMetadata, 8, { ...(await epochs()), ...head, topicStates: [], liveBrokers: [] })).errorCode).toBe(error.code)
    const stop = await brokers.ask(1, StopReplica, 4, { ...(await epochs()), ...head, topicStates: [{ topicName: 't', partitionStates: [{ partitionIndex: 0, leaderEpoch: 9, deletePartition: true }] }] })
    expect(stop.errorCode).toBe(error.code)
  }
  expect(broker.services.metadata.brokers.size).toBe(1)
  await unharmed()
})

test('a leadership of the past, another topic of the same name, a partition of others: each is refused by its reason', async () => {
  const codeOf = async (topicName: string, topicId: string, more: object) => (await leaderAndIsr({}, topicName, topicId, [state(more)])).topics[0].partitionErrors[0].errorCode
  const topicId = broker.services.metadata.topicId('t')
  expect(await codeOf('t', topicId, { leaderEpoch: 0 })).toBe(errors.staleControllerEpoch.code)
  expect(await codeOf('t', otherId, {})).toBe(errors.inconsistentTopicId.code)
  expect(await codeOf('u', otherId, { replicas: [2, 3], isr: [2], leader: 2 })).toBe(errors.unknownTopicOrPartition.code)
  expect(await codeOf('t', topicId, { isr: [2, 3], replicas: [1, 2, 3] })).toBe(errors.invalidRequest.code)
  expect((await brokers.ask(1, StopReplica, 4, { ...(await epochs()), topicStates: [{ topicName: 't', partitionStates: [{ partitionIndex: 0, leaderEpoch: -7, deletePartition: false }] }] })).errorCode).toBe(0)
  // Obeyed it has been: an epoch below zero is that of a topic on its way out. The next leadership starts anew.
  expect(await codeOf('t', topicId, { leaderEpoch: 0 })).toBe(errors.none.code)
  await unharmed()
})

test('names and numbers that are none make no folder and no room', async () => {
  const folder = `${brokers.directory}/kafka-1`
  const before = readdirSync(folder).sort()
  for (const [name, index] of [['../../outside', 0], ['a/b', 0], ['', 0], ['..', 1], ['x'.repeat(250), 0], ['fine', -1], ['fine', 2_000_000_000]] as const)
    expect((await leaderAndIsr({}, name, otherId, [state({ partitionIndex: index })])).topics[0].partitionErrors[0].errorCode, `${name} ${index}`).toBe(errors.invalidRequest.code)
  const wide = [-1, 2_000_000_000].map((partitionIndex) => ({ partitionIndex, controllerEpoch: 1, leader: 1, leaderEpoch: 0, isr: [1], zkVersion: 0, replicas: [1], offlineReplicas: [] }))
  const { endpoints } = broker.services.metadata.brokers.get(1)!
  const liveBrokers = [{ id: 1, rack: null, endpoints: [...endpoints].map(([listener, { host, port }]) => ({ listener, host, port, securityProtocol: 0 })) }]
  expect((await brokers.ask(1, UpdateMetadata, 8, { ...(await epochs()), topicStates: [{ topicName: 'wide', topicId: otherId, partitionStates: wide }], liveBrokers })).errorCode).toBe(0)
  expect(broker.services.metadata.topic('wide')).toBeUndefined()
  expect(readdirSync(folder).sort()).toEqual(before)
  await unharmed()
})

test('mutated requests of a controller are answered or end their connection; the broker serves on', async () => {
  const head = await epochs()
  const topicId = broker.services.metadata.topicId('t')
  let seed = 7
  const chance = (below: number): number => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((seed / 0x1_0000_0000) * below)
  }
  const numbers = [-2_147_483_648, -3, -2, -1, 0, 1, 2, 7, 65_536, 2_147_483_647]
  const number = (): number => numbers[chance(numbers.length)]
  const numbersOf = (): number[] => Array.from({ length: chance(4) }, number)
  const name = (): string => ['m0', 'm1', '', '..', 'a/b', 'n'.repeat(300), '\u0000'][chance(7)]
  for (let round = 0; round < 200; round++) {
    // Never a later controller than the real one: whoever is believed to be that may do what it likes.
    const epoch = { ...head, controllerId: number(), controllerEpoch: Math.min(number(), head.controllerEpoch) }
    const states = Array.from({ length: chance(3) }, () => ({ ...state({ partitionIndex: number(), leader: number(), leaderEpoch: number(), isr: numbersOf(), partitionEpoch: number(), replicas: numbersOf(), leaderRecoveryState: chance(3) }), zkVersion: number(), offlineReplicas: numbersOf(), deletePartition: chance(2) === 0 }))
    const topicStates = [{ topicName: name(), topicId: chance(2) === 0 ? topicId : otherId, partitionStates: states }] as never
    const api = [LeaderAndIsr, StopReplica][chance(2)]
    await brokers.ask(1, api as typeof LeaderAndIsr, api.versions[1] - chance(2), { ...epoch, topicStates, liveLeaders: [] }).catch((error: unknown) => expect(error).toBeInstanceOf(Error))
  }
  await unharmed()
  const made = await brokers.ask(1, CreateTopics, 7, { topics: [{ name: 'after', numPartitions: 1, replicationFactor: 1, assignments: [], configs: [] }], timeoutMs: 10_000, validateOnly: false })
  expect(made.topics[0].errorCode).toBe(0)
  await until(() => broker.services.replicas.find('after', 0)?.leading === true)
  expect((await brokers.ask(1, Metadata, 12, { topics: [{ topicId: 'AAAAAAAAAAAAAAAAAAAAAA', name: 't' }], allowAutoTopicCreation: false })).topics[0].errorCode).toBe(0)
})
