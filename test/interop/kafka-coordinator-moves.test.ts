/**
 * The coordinator of an open or decided transaction moves from one maker's broker to the other's, and back: before and after, the
 * brokers are asked who coordinates, what the transaction's state is, and under which coordinator's epoch its markers were written.
 */
import type { Kafka } from 'kafkajs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { silentLogger } from '../../src/host/logger.ts'
import { nodeHost } from '../../src/host/node.ts'
import { KafkaClient } from '../../src/kafka/client/client.ts'
import { AddPartitionsToTxn } from '../../src/kafka/protocol/add-partitions-to-txn.ts'
import { AlterPartitionReassignments } from '../../src/kafka/protocol/alter-partition-reassignments.ts'
import type { Api, RequestTo, ResponseOf } from '../../src/kafka/protocol/api.ts'
import { DescribeProducers } from '../../src/kafka/protocol/describe-producers.ts'
import { DescribeTransactions } from '../../src/kafka/protocol/describe-transactions.ts'
import { ElectLeaders } from '../../src/kafka/protocol/elect-leaders.ts'
import { EndTxn } from '../../src/kafka/protocol/end-txn.ts'
import { FindCoordinator } from '../../src/kafka/protocol/find-coordinator.ts'
import { InitProducerId } from '../../src/kafka/protocol/init-producer-id.ts'
import { Metadata } from '../../src/kafka/protocol/metadata.ts'
import { Produce } from '../../src/kafka/protocol/produce.ts'
import { encodeBatch } from '../../src/kafka/records/encode.ts'
import type { Fields } from '../../src/wire/schema.ts'
import { askBroker } from './ask-broker.ts'
import { freeze, thaw } from './ensemble.ts'
import { asking, kafkaAt } from './kafkajs.ts'
import { until } from './process.ts'
import { describeWith, unique } from './programs.ts'
import { Reader } from './reader.ts'
import { disposeOf, startKafka, startZookeeper, type Maker, type Server } from './target.ts'
import { makeTopics } from './topics.ts'

/** By broker id. The first two keep the transactions; a partition of the third's can be cut off from both of them. */
const makers = { 1: 'ottla', 2: 'apache', 3: 'ottla' } as const satisfies Record<number, Maker>
const moves = [[1, 2], [2, 1]] as const
const stateTopic = '__transaction_state'

describeWith(['apache'], 'transactions whose coordinator moves between the makers', () => {
  let zookeeper: Server
  const brokers: Server[] = []
  /** Who can be asked now. */
  const awake = new Set([1, 2, 3])
  const host = nodeHost({ logger: silentLogger })
  let client: KafkaClient
  let kafka: Kafka
  const topic = unique('moves')
  beforeAll(async () => {
    zookeeper = await startZookeeper({ config: { maxSessionTimeout: 300_000 } })
    const config = {
      'offsets.topic.replication.factor': 2, 'offsets.topic.num.partitions': 1, 'transaction.state.log.replication.factor': 2, 'transaction.state.log.num.partitions': 1,
      // Longer than anybody stands still here.
      'auto.leader.rebalance.enable': false, 'zookeeper.session.timeout.ms': 300_000,
    }
    // The first is the controller; the third is not there when the topics of transactions and offsets are placed.
    for (const [at, maker] of Object.values(makers).slice(0, 2).entries()) brokers.push(await startKafka({ maker, zookeeper: zookeeper.address, config: { ...config, 'broker.id': at + 1 } }))
    kafka = kafkaAt(brokers.map(({ address }) => address))
    client = new KafkaClient({ host, bootstrapServers: brokers.map(({ address }) => address).join() })
    for (const keyType of [0, 1]) await client.call({ kind: 'coordinator', of: keyType === 1 ? 'transaction' : 'group', key: 'any' }, Metadata, { topics: [] })
    brokers.push(await startKafka({ maker: makers[3], zookeeper: zookeeper.address, config: { ...config, 'broker.id': 3 } }))
    await makeTopics(brokers.map(({ address }) => address), { topic, replicaAssignment: [1, 2, 3].map((id) => ({ partition: id - 1, replicas: [id] })) })
  })
  disposeOf(() => [...brokers, zookeeper])
  afterAll(() => client?.close())

  function ask<Q extends Fields, S extends Fields>(id: number, api: Api<Q, S>, request: RequestTo<Api<Q, S>>, version?: number): Promise<ResponseOf<Api<Q, S>>> {
    return askBroker(brokers[id - 1], api, request, version === undefined ? {} : { version })
  }
  /** The coordinator, once every broker that is awake names the same, and its epoch: that of the leader of the partition of transactions. */
  async function coordinator(transactionalId: string): Promise<{ id: number; epoch: number } | undefined> {
    const told = await Promise.all([...awake].map(async (id) => {
      const { coordinators } = await ask(id, FindCoordinator, { keyType: 1, coordinatorKeys: [transactionalId] }, 4)
      const { topics } = await ask(id, Metadata, { topics: [{ name: stateTopic }] })
      return { id: coordinators[0].nodeId, epoch: topics[0].partitions[0].leaderEpoch }
    }))
    return told.every(({ id, epoch }) => id === told[0].id && epoch === told[0].epoch) ? told[0] : undefined
  }
  /** Leadership of the transactions goes to this broker: it becomes the preferred replica, then the leader. */
  async function move(transactionalId: string, to: 1 | 2): Promise<number> {
    // Once: each reassignment is another leader epoch, which a coordinator that is one already does not take up.
    await until('the reassignment is taken', async () => {
      const { errorCode, responses } = await ask(1, AlterPartitionReassignments, { topics: [{ name: stateTopic, partitions: [{ partitionIndex: 0, replicas: [to, 3 - to] }] }] })
      return errorCode === 0 && responses[0].partitions[0].errorCode === 0
    })
    const { epoch } = await until(`broker ${to} coordinates`, async () => {
      await ask(1, ElectLeaders, { electionType: 0, topicPartitions: [{ topic: stateTopic, partitions: [0] }] })
      const now = await coordinator(transactionalId)
      return now?.id === to && now
    })
    return epoch
  }
  /** What the coordinator itself says of a transaction, once it has loaded it. */
  const described = (id: number, transactionalId: string) => until(`broker ${id} knows ${transactionalId}`, async () => {
    const { transactionStates: [{ errorCode, ...state }] } = await ask(id, DescribeTransactions, { transactionalIds: [transactionalId] })
    return errorCode === 0 && { ...state, topics: state.topics.map(({ topic: name, partitions }) => ({ topic: name, partitions: partitions.toSorted() })).toSorted((one, other) => (one.topic < other.topic ? -1 : 1)) }
  })
  /** Under which coordinator's epoch the last marker of a producer was written, and whether it is in a transaction still. */
  async function marked(id: number, at: { topic: string; partition: number }, producerId: number): Promise<{ epoch: number; open: boolean } | undefined> {
    const { topics } = await ask(id, DescribeProducers, { topics: [{ name: at.topic, partitionIndexes: [at.partition] }] })
    const found = topics[0].partitions[0].activeProducers.find((producer) => producer.producerId === producerId)
    return found && { epoch: found.coordinatorEpoch, open: found.currentTxnStartOffset >= 0 }
  }
  async function readAll(): Promise<string[]> {
    const plain = kafka.producer()
    await asking('a producer connects', () => plain.connect())
    const end = unique('end')
    await plain.send({ topic, messages: [0, 1, 2].map((partition) => ({ partition, value: end })) })
    await plain.disconnect()
    const reader = await Reader.open(kafka, topic)
    try {
      await until('the ends', () => [0, 1, 2].every((partition) => reader.values(partition).includes(end)))
    } finally {
      await reader.close()
    }
    return reader.values().filter((value) => !value.startsWith('end')).sort()
  }
  const expected: string[] = []

  for (const [from, to] of moves)
    test(`open, from ${makers[from]} to ${makers[to]}: it goes on with what was written and is committed or aborted there`, async () => {
      for (const commits of [true, false]) {
        const transactionalId = unique('open')
        const group = unique('group')
        const fromEpoch = await move(transactionalId, from)
        const producer = kafka.producer({ transactionalId, idempotent: true, maxInFlightRequests: 1, transactionTimeout: 600_000 })
        await asking('a producer connects', () => producer.connect())
        const transaction = await producer.transaction()
        await transaction.send({ topic, messages: [0, 1].map((partition) => ({ partition, value: `${transactionalId}-before-${partition}` })) })
        await transaction.sendOffsets({ consumerGroupId: group, topics: [{ topic, partitions: [{ partition: 0, offset: '7' }] }] })
        const before = await described(from, transactionalId)
        expect(before).toMatchObject({ transactionState: 'Ongoing', topics: [{ topic: '__consumer_offsets', partitions: [0] }, { topic, partitions: [0, 1] }] })

        const toEpoch = await move(transactionalId, to)
        expect(toEpoch).toBeGreaterThan(fromEpoch)
        expect(await described(to, transactionalId)).toEqual(before)
        await transaction.send({ topic, messages: [1, 2].map((partition) => ({ partition, value: `${transactionalId}-after-${partition}` })) })
        expect(await described(to, transactionalId)).toEqual({ ...before, topics: [before.topics[0], { topic, partitions: [0, 1, 2] }] })
        await (commits ? transaction.commit() : transaction.abort())
        await until('it is complete', async () => (await described(to, transactionalId)).transactionState === (commits ? 'CompleteCommit' : 'CompleteAbort'))
        // The partitions of both makers have their markers from the coordinator that took over.
        for (const id of [1, 2, 3]) expect(await marked(id, { topic, partition: id - 1 }, before.producerId)).toEqual({ epoch: toEpoch, open: false })
        const admin = kafka.admin()
        const [{ partitions: [{ offset }] }] = await asking('the offsets of the group', async () => {
          await admin.connect()
          return admin.fetchOffsets({ groupId: group, topics: [topic] })
        })
        await admin.disconnect()
        await producer.disconnect()
        expect(offset).toBe(commits ? '7' : '-1')
        if (commits) expected.push(...['before-0', 'before-1', 'after-1', 'after-2'].map((what) => `${transactionalId}-${what}`))
      }
      expect(await readAll()).toEqual(expected.toSorted())
    })

  for (const [from, to] of moves)
    test(`decided, from ${makers[from]} to ${makers[to]}: the markers that were not written yet are written by who takes over`, async () => {
      for (const committed of [true, false]) {
        const transactionalId = unique('decided')
        await move(transactionalId, from)
        const { producerId, producerEpoch } = await until('a producer', async () => {
          const answer = await ask(from, InitProducerId, { transactionalId, transactionTimeoutMs: 600_000 })
          return answer.errorCode === 0 && answer
        })
        await until('the partition is in the transaction', async () => {
          const { resultsByTopicV3AndBelow } = await ask(from, AddPartitionsToTxn, { v3AndBelowTransactionalId: transactionalId, v3AndBelowProducerId: producerId, v3AndBelowProducerEpoch: producerEpoch, v3AndBelowTopics: [{ name: topic, partitions: [2] }] }, 3)
          return resultsByTopicV3AndBelow[0].resultsByPartition[0].partitionErrorCode === 0
        })
        const records = encodeBatch([{ key: null, value: transactionalId, timestamp: BigInt(Date.now()) }], { producerId, producerEpoch, baseSequence: 0, isTransactional: true })
        await until('a record in the transaction', async () => {
          const { responses } = await ask(3, Produce, { transactionalId, acks: -1, timeoutMs: 30_000, topicData: [{ name: topic, partitionData: [{ index: 2, records }] }] })
          return responses[0].partitionResponses[0].errorCode === 0
        })
        const state = committed ? 'PrepareCommit' : 'PrepareAbort'
        let epoch: number
        awake.delete(3)
        await freeze(brokers[2])
        try {
          expect(await ask(from, EndTxn, { transactionalId, producerId, producerEpoch, committed })).toMatchObject({ errorCode: 0 })
          const before = await described(from, transactionalId)
          expect(before).toMatchObject({ transactionState: state, producerId, topics: [{ topic, partitions: [2] }] })
          epoch = await move(transactionalId, to)
          expect(await described(to, transactionalId)).toEqual(before)
        } finally {
          thaw(brokers[2])
          awake.add(3)
        }
        await until('it is complete', async () => (await described(to, transactionalId)).transactionState === (committed ? 'CompleteCommit' : 'CompleteAbort'))
        expect(await marked(3, { topic, partition: 2 }, producerId)).toMatchObject({ open: false })
        expect((await marked(3, { topic, partition: 2 }, producerId))?.epoch).toBe(epoch)
        if (committed) expected.push(transactionalId)
      }
      expect(await readAll()).toEqual(expected.toSorted())
    })
})
