/**
 * Elections that somebody asks for, that a configuration allows, and that balance leaderships: code for code as Apache's, in a cluster of
 * three brokers of one maker. Also what a client is told of a topic that comes into being on its mention.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Api, RequestTo, ResponseOf } from '../../src/kafka/protocol/api.ts'
import { AlterPartitionReassignments } from '../../src/kafka/protocol/alter-partition-reassignments.ts'
import { CreateTopics } from '../../src/kafka/protocol/create-topics.ts'
import { ElectLeaders } from '../../src/kafka/protocol/elect-leaders.ts'
import { IncrementalAlterConfigs } from '../../src/kafka/protocol/incremental-alter-configs.ts'
import { Metadata } from '../../src/kafka/protocol/metadata.ts'
import type { Fields } from '../../src/wire/schema.ts'
import { askBroker } from './ask-broker.ts'
import { Brokers } from './brokers.ts'
import { targetMake } from './ensemble.ts'
import { until } from './process.ts'
import { describeWith, unique } from './programs.ts'
import { disposeOf, kafkaMaker, type Server } from './target.ts'

const codes = { none: 0, unknownTopicOrPartition: 3, leaderNotAvailable: 5, notController: 41, preferredLeaderNotAvailable: 80, eligibleLeadersNotAvailable: 83, electionNotNeeded: 84 }
const kinds = { preferred: 0, unclean: 1 }

describeWith(kafkaMaker === 'apache' ? ['apache'] : [], 'leaders are elected', () => {
  let brokers: Brokers
  // Broker 1 is preferred for what is told to stay, and for little that is elsewhere: too little to be moved.
  const [still, moved, alone, unclean, byTopic, byCluster] = ['still', 'moved', 'alone', 'unclean', 'by-topic', 'by-cluster'].map((name) => unique(name))
  const atRisk = [unclean, byTopic, byCluster]
  beforeAll(async () => {
    brokers = await Brokers.start([targetMake], [kafkaMaker, kafkaMaker, kafkaMaker], {
      // Leaders move because somebody says so, not because a broker stood still.
      sessionTimeoutMs: 30_000,
      config: { 'auto.leader.rebalance.enable': true, 'leader.imbalance.per.broker.percentage': 50, 'leader.imbalance.check.interval.seconds': 1, 'auto.create.topics.enable': true },
    })
    // The broker that stays throughout.
    await brokers.ruledBy(2)
    const create = (name: string, ...lists: number[][]) => ({ name, numPartitions: -1, replicationFactor: -1, configs: [], assignments: lists.map((brokerIds, partitionIndex) => ({ partitionIndex, brokerIds })) })
    const { topics } = await ask(brokers.server(2), CreateTopics, 7, {
      topics: [create(still, [1, 2], [1, 2], [1, 2], [2, 1]), create(moved, [3, 2]), create(alone, [3]), ...atRisk.map((topic) => create(topic, [3, 1]))], timeoutMs: 60_000, validateOnly: false,
    })
    expect(topics.filter(({ errorCode }) => errorCode !== 0)).toEqual([])
    for (const topic of [still, moved, alone, ...atRisk]) await until('all replicas are in sync', async () => (await partitions(topic)).every(({ isrNodes, replicaNodes, leaderId }) => leaderId > 0 && isrNodes.length === replicaNodes.length))
  })
  disposeOf(() => brokers?.servers ?? [])
  afterAll(async () => {
    await brokers?.dispose()
  })

  function ask<Q extends Fields, S extends Fields>(server: Server, api: Api<Q, S>, version: number, request: RequestTo<Api<Q, S>>): Promise<ResponseOf<Api<Q, S>>> {
    return askBroker(server, api, request, { version, timeoutMs: 120_000 })
  }
  /** `topic-partition code`, sorted; topics by the names they were given above. */
  async function elect(kind: number, partitions: Record<string, number[]> | null, { version = 2, at = 2 } = {}): Promise<string[]> {
    const answer = await ask(brokers.server(at), ElectLeaders, version, { electionType: kind, timeoutMs: 30_000, topicPartitions: partitions && Object.entries(partitions).map(([topic, indexes]) => ({ topic, partitions: indexes })) })
    return answer.replicaElectionResults.flatMap(({ topic, partitionResult }) => partitionResult.map(({ partitionId, errorCode }) => `${topic}-${partitionId} ${errorCode}`)).sort()
  }
  /** As broker 2 sees them: kafkajs does not show a topic without a leader. */
  async function partitions(topic: string) {
    const { topics } = await ask(brokers.server(2), Metadata, 12, { topics: [{ name: topic }], allowAutoTopicCreation: false })
    return topics[0].partitions.sort((one, other) => one.partitionIndex - other.partitionIndex)
  }
  const leaders = async (topic: string): Promise<number[]> => (await partitions(topic)).map(({ leaderId }) => leaderId)
  const led = (topic: string, ...by: number[]): Promise<boolean> => until(`${topic} is led by ${by.join()}`, async () => (await leaders(topic)).join() === by.join())
  /** Another order of the same replicas: its leader stays, and is no longer the one preferred. */
  async function prefer(topic: string, partitionIndex: number, replicas: number[]): Promise<void> {
    const { errorCode, responses } = await ask(brokers.server(2), AlterPartitionReassignments, 0, { timeoutMs: 30_000, topics: [{ name: topic, partitions: [{ partitionIndex, replicas }] }] })
    expect([errorCode, responses[0].partitions[0].errorCode]).toEqual([0, 0])
    await until('the order is another', async () => (await partitions(topic))[partitionIndex].replicaNodes.join() === replicas.join())
  }

  test('a topic that a client mentions is made: at once it is told to ask again', async () => {
    // Also at a broker that is not the controller.
    for (const at of [2, 3]) {
      const topics = [{ name: unique('mentioned') }]
      const first = await ask(brokers.server(at), Metadata, 12, { topics, allowAutoTopicCreation: true })
      expect(first.topics.map(({ errorCode, partitions }) => [errorCode, partitions.length])).toEqual([[codes.leaderNotAvailable, 0]])
      await until('it is there', async () => (await ask(brokers.server(at), Metadata, 12, { topics, allowAutoTopicCreation: true })).topics[0].errorCode === 0)
    }
  })

  test('a preferred election, of some and of all: each partition has its code', async () => {
    await prefer(still, 2, [2, 1])
    expect(await elect(kinds.preferred, { [still]: [0, 2, 7], nobody: [0] })).toEqual([`nobody-0 ${codes.unknownTopicOrPartition}`, `${still}-0 ${codes.electionNotNeeded}`, `${still}-2 ${codes.none}`, `${still}-7 ${codes.unknownTopicOrPartition}`].sort())
    await led(still, 1, 1, 2, 2)
    await prefer(still, 2, [1, 2])
    // Version 0 knows no other kind. Of all, those are told of that needed it.
    expect(await elect(kinds.preferred, null, { version: 0 })).toEqual([`${still}-2 ${codes.none}`])
    await led(still, 1, 1, 1, 2)
    expect(await elect(kinds.preferred, { [still]: [0] }, { at: 1 })).toEqual([`${still}-0 ${codes.notController}`])
    expect(await elect(kinds.unclean, { [still]: [0] })).toEqual([`${still}-0 ${codes.electionNotNeeded}`])
    expect(await elect(kinds.unclean, null)).toEqual([])
  })

  test('only who may loses records: without a replica in sync a partition is led when an administrator, its topic or the cluster says so', async () => {
    await brokers.server(1).stop()
    await until('broker 1 has left the ISRs', async () => (await Promise.all(atRisk.map(partitions))).every(([{ isrNodes }]) => isrNodes.join() === '3'))
    await brokers.server(3).stop()
    await brokers.revive(brokers.server(1))
    await led(moved, 2)
    for (const topic of atRisk) await led(topic, -1)
    const asked = { [moved]: [0], [alone]: [0], [unclean]: [0] }
    expect(await elect(kinds.preferred, asked)).toEqual(Object.keys(asked).map((topic) => `${topic}-0 ${codes.preferredLeaderNotAvailable}`).sort())
    expect(await elect(kinds.unclean, asked)).toEqual([`${moved}-0 ${codes.electionNotNeeded}`, `${alone}-0 ${codes.eligibleLeadersNotAvailable}`, `${unclean}-0 ${codes.none}`].sort())
    await led(unclean, 1)
    expect(await leaders(byTopic)).toEqual([-1])
    const allow = (resourceType: number, resourceName: string) =>
      ask(brokers.server(2), IncrementalAlterConfigs, 1, { validateOnly: false, resources: [{ resourceType, resourceName, configs: [{ name: 'unclean.leader.election.enable', configOperation: 0, value: 'true' }] }] })
    expect((await allow(2, byTopic)).responses[0].errorCode).toBe(0)
    await led(byTopic, 1)
    expect(await leaders(byCluster)).toEqual([-1])
    expect((await allow(4, '')).responses[0].errorCode).toBe(0)
    await led(byCluster, 1)
    expect(await leaders(alone)).toEqual([-1])
  })

  test('leaderships go back by themselves where too many are away, and only there', async () => {
    // Broker 1 is back, and what it had led; what broker 2 is preferred for has stayed there.
    await led(still, 1, 1, 1, 2)
    await prefer(still, 2, [2, 1])
    expect(await elect(kinds.preferred, { [still]: [2] })).toEqual([`${still}-2 ${codes.none}`])
    await prefer(still, 2, [1, 2])
    await brokers.revive(brokers.server(3))
    await led(alone, 3)
    // As many of five as half of them or fewer are elsewhere: what joins the ISR after that stays where it is.
    await until('broker 3 leads enough of what it is preferred for', async () => (await Promise.all([moved, alone, ...atRisk].map(leaders))).filter(([leader]) => leader === 3).length >= 3)
    // One of three that broker 1 is preferred for is led by broker 2: too few to be moved.
    expect(await leaders(still)).toEqual([1, 1, 2, 2])
  })
})
