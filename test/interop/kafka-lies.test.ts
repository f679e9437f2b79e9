/**
 * Producers and coordinators that lie, byte by byte over the wire: either maker's broker refuses each lie with the same code, nothing
 * of it stays in the log, and honest ones go on.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { silentLogger } from '../../src/host/logger.ts'
import { nodeHost } from '../../src/host/node.ts'
import { KafkaConnection } from '../../src/kafka/client/connection.ts'
import { AddOffsetsToTxn } from '../../src/kafka/protocol/add-offsets-to-txn.ts'
import { AddPartitionsToTxn } from '../../src/kafka/protocol/add-partitions-to-txn.ts'
import { CreateTopics } from '../../src/kafka/protocol/create-topics.ts'
import { DescribeProducers } from '../../src/kafka/protocol/describe-producers.ts'
import { DescribeTransactions } from '../../src/kafka/protocol/describe-transactions.ts'
import { EndTxn } from '../../src/kafka/protocol/end-txn.ts'
import { errorByCode } from '../../src/kafka/protocol/errors.ts'
import { FindCoordinator } from '../../src/kafka/protocol/find-coordinator.ts'
import { InitProducerId } from '../../src/kafka/protocol/init-producer-id.ts'
import { ListOffsets } from '../../src/kafka/protocol/list-offsets.ts'
import { Produce } from '../../src/kafka/protocol/produce.ts'
import { TxnOffsetCommit } from '../../src/kafka/protocol/txn-offset-commit.ts'
import { WriteTxnMarkers } from '../../src/kafka/protocol/write-txn-markers.ts'
import { field } from '../../src/kafka/records/batch.ts'
import { encodeTransactionMarker } from '../../src/kafka/records/control.ts'
import { encodeBatch, type BatchOptions } from '../../src/kafka/records/encode.ts'
import { crc32c } from '../../src/wire/crc32c.ts'
import { until } from './process.ts'
import { unique } from './programs.ts'
import { kafkaMaker, useCluster } from './target.ts'

interface Producer {
  producerId: number
  producerEpoch: number
}

describe('lies', () => {
  const cluster = useCluster()
  let connection: KafkaConnection
  beforeAll(async () => {
    connection = await KafkaConnection.open({ host: nodeHost({ logger: silentLogger }), to: { host: cluster.kafka.host, port: cluster.kafka.port }, clientId: 'liar' })
    // The first who looks for them has the topics of groups and transactions made.
    for (const keyType of [0, 1]) await connection.send(FindCoordinator, { keyType, coordinatorKeys: ['any'] }, { version: 4 })
  })
  afterAll(() => connection?.close())

  const name = (code: number): string => errorByCode(code).name
  /** Asked again while coordinator, topic or an operation before it are not ready yet. */
  const ready = <T>(what: string, ask: () => Promise<{ code: number; told: T }>): Promise<T> =>
    until(what, async () => {
      const { code, told } = await ask()
      return !['COORDINATOR_NOT_AVAILABLE', 'COORDINATOR_LOAD_IN_PROGRESS', 'NOT_COORDINATOR', 'CONCURRENT_TRANSACTIONS', 'NOT_ENOUGH_REPLICAS', 'LEADER_NOT_AVAILABLE', 'NOT_LEADER_OR_FOLLOWER', 'UNKNOWN_TOPIC_OR_PARTITION'].includes(name(code)) && { told }
    }).then(({ told }) => told)
  async function aTopic(config: Record<string, string> = {}): Promise<string> {
    const topic = unique('lies')
    const { topics } = await connection.send(CreateTopics, {
      topics: [{ name: topic, numPartitions: 1, replicationFactor: 1, assignments: [], configs: Object.entries(config).map(([key, value]) => ({ name: key, value })) }], timeoutMs: 30_000, validateOnly: false,
    })
    expect(topics[0].errorCode).toBe(0)
    return topic
  }
  const initialized = (transactionalId: string | null, more: Partial<Producer> & { transactionTimeoutMs?: number } = {}): Promise<Producer & { error: string }> =>
    ready('an answer to InitProducerId', async () => {
      const { errorCode, producerId, producerEpoch } = await connection.send(InitProducerId, { transactionalId, transactionTimeoutMs: 60_000, ...more })
      return { code: errorCode, told: { producerId, producerEpoch, error: name(errorCode) } }
    })
  const producing = (topic: string, records: Uint8Array, { transactionalId = null as string | null, version = 11 } = {}): Promise<string> =>
    ready('an answer to Produce', async () => {
      const { responses } = await connection.send(Produce, { transactionalId, acks: -1, timeoutMs: 10_000, topicData: [{ name: topic, partitionData: [{ index: 0, records: Buffer.from(records) }] }] }, { version })
      const { errorCode } = responses[0].partitionResponses[0]
      return { code: errorCode, told: name(errorCode) }
    })
  const adding = (transactionalId: string, producer: Producer, topic: string): Promise<string> =>
    ready('an answer to AddPartitionsToTxn', async () => {
      const { resultsByTopicV3AndBelow: [{ resultsByPartition: [{ partitionErrorCode }] }] } = await connection.send(AddPartitionsToTxn, {
        v3AndBelowTransactionalId: transactionalId, v3AndBelowProducerId: producer.producerId, v3AndBelowProducerEpoch: producer.producerEpoch, v3AndBelowTopics: [{ name: topic, partitions: [0] }],
      }, { version: 3 })
      return { code: topic.startsWith('no ') ? 0 : partitionErrorCode, told: name(partitionErrorCode) }
    })
  const ending = (transactionalId: string, { producerId, producerEpoch }: Producer, committed = true): Promise<string> =>
    ready('an answer to EndTxn', async () => {
      const { errorCode } = await connection.send(EndTxn, { transactionalId, producerId, producerEpoch, committed })
      return { code: errorCode, told: name(errorCode) }
    })
  async function marking(topic: string, { producerId, producerEpoch }: Producer, coordinatorEpoch: number): Promise<string> {
    const { markers } = await connection.send(WriteTxnMarkers, { markers: [{ producerId, producerEpoch, transactionResult: false, coordinatorEpoch, topics: [{ name: topic, partitionIndexes: [0] }] }] })
    return name(markers[0].topics[0].partitions[0].errorCode)
  }
  const end = async (topic: string, isolationLevel = 0): Promise<number> => {
    const { topics } = await connection.send(ListOffsets, { replicaId: -1, isolationLevel, topics: [{ name: topic, partitions: [{ partitionIndex: 0, timestamp: -1n }] }] })
    return topics[0].partitions[0].offset
  }
  const batch = (options: BatchOptions = {}, timestamp = Date.now()): Buffer =>
    Buffer.from(encodeBatch(Array.from({ length: 4 }, (_, index) => ({ key: `k${index}`, value: 'honest '.repeat(5), timestamp: BigInt(timestamp) })), options))
  const sealed = (bytes: Buffer): Buffer => {
    bytes.writeUInt32BE(crc32c(bytes.subarray(field.attributes)), field.crc)
    return bytes
  }

  const batches: [string, (bytes: Buffer) => unknown, string][] = [
    ['more records than it has', (bytes) => (bytes.writeInt32BE(5, field.recordCount), bytes.writeInt32BE(4, field.lastOffsetDelta)), 'INVALID_RECORD'],
    ['fewer records than it has', (bytes) => (bytes.writeInt32BE(3, field.recordCount), bytes.writeInt32BE(2, field.lastOffsetDelta)), 'INVALID_RECORD'],
    ['a negative number of records', (bytes) => bytes.writeInt32BE(-4, field.recordCount), 'INVALID_RECORD'],
    ['two thousand million records', (bytes) => (bytes.writeInt32BE(0x7fff_ffff, field.recordCount), bytes.writeInt32BE(0x7fff_fffe, field.lastOffsetDelta)), 'INVALID_RECORD'],
    ['a last offset that is not the records’', (bytes) => bytes.writeInt32BE(1_000_000, field.lastOffsetDelta), 'INVALID_RECORD'],
    ['a base offset of its own', (bytes) => bytes.writeBigInt64BE(77n, field.baseOffset), 'INVALID_RECORD'],
    ['a control batch', (bytes) => bytes.writeInt16BE(0x20, field.attributes), 'INVALID_RECORD'],
    ['compressed records that are not', (bytes) => bytes.writeInt16BE(1, field.attributes), kafkaMaker === 'apache' ? 'UNKNOWN_SERVER_ERROR' : 'INVALID_RECORD'],
    ['a producer without sequences', (bytes) => bytes.writeBigInt64BE(9n, field.producerId), 'INVALID_RECORD'],
    ['a length beyond its end', (bytes) => bytes.writeInt32BE(bytes.length, 8), 'INVALID_RECORD'],
  ]
  test.each(batches)('a batch with %s', async (_, lie, error) => {
    const topic = await aTopic()
    const bytes = batch()
    lie(bytes)
    expect(await producing(topic, sealed(bytes))).toBe(error)
    expect(await producing(topic, batch())).toBe('NONE')
    expect(await end(topic)).toBe(4)
  })

  test('a checksum that is wrong, a marker of its own, timestamps of the future', async () => {
    const topic = await aTopic({ 'message.timestamp.after.max.ms': '3600000' })
    const bytes = batch()
    bytes[bytes.length - 1] ^= 1
    expect(await producing(topic, bytes)).toBe('CORRUPT_MESSAGE')
    const id = unique('marker')
    const { error: _, ...producer } = await initialized(id)
    expect(await adding(id, producer, topic)).toBe('NONE')
    expect(await producing(topic, encodeTransactionMarker({ type: 'commit', ...producer, coordinatorEpoch: 0, timestamp: Date.now() }), { transactionalId: id })).toBe('INVALID_RECORD')
    expect(await producing(topic, batch({}, Date.now() + 7_200_000))).toBe('INVALID_TIMESTAMP')
    expect(await producing(topic, batch())).toBe('NONE')
    expect(await end(topic)).toBe(4)
  })

  test('sequences with gaps, epochs and producers of others', async () => {
    const topic = await aTopic()
    const { error: _, ...producer } = await initialized(null)
    expect(await producing(topic, batch({ ...producer, baseSequence: 0 }))).toBe('NONE')
    expect(await producing(topic, batch({ ...producer, baseSequence: 9 }))).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER')
    expect(await producing(topic, batch({ ...producer, producerEpoch: 1, baseSequence: 4 }))).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER')
    expect(await producing(topic, batch({ ...producer, producerEpoch: 1, baseSequence: 0 }))).toBe('NONE')
    expect(await producing(topic, batch({ ...producer, baseSequence: 4 }))).toBe('INVALID_PRODUCER_EPOCH')
    // The same batch again is told where it is, not written again.
    expect(await producing(topic, batch({ ...producer, producerEpoch: 1, baseSequence: 0 }))).toBe('NONE')
    expect(await end(topic)).toBe(8)
  })

  test('transactions that were not begun, are somebody else’s, or are over', async () => {
    const topic = await aTopic()
    const [id, other] = [unique('id'), unique('other')]
    const { error: _, ...old } = await initialized(id)
    const { error: __, ...producer } = await initialized(id)
    const { error: ___, ...stranger } = await initialized(other)
    const transactional = { ...producer, baseSequence: 0, isTransactional: true }
    expect(await producing(topic, batch(transactional), { transactionalId: null })).toBe('TRANSACTIONAL_ID_AUTHORIZATION_FAILED')
    expect(await producing(topic, batch(transactional), { transactionalId: id })).toBe('TRANSACTION_ABORTABLE')
    expect(await producing(topic, batch(transactional), { transactionalId: id, version: 10 })).toBe('INVALID_TXN_STATE')
    expect(await producing(topic, batch({ ...transactional, ...stranger }), { transactionalId: id })).toBe('INVALID_PRODUCER_ID_MAPPING')
    expect(await producing(topic, batch({ ...transactional, ...old }), { transactionalId: id })).toBe('INVALID_PRODUCER_EPOCH')
    expect(await producing(topic, batch(transactional), { transactionalId: unique('nobody') })).toBe('INVALID_PRODUCER_ID_MAPPING')
    expect([await adding(id, stranger, topic), await adding(id, old, topic), await adding(unique('nobody'), producer, topic), await adding(id, producer, 'no topic')]).toEqual(['INVALID_PRODUCER_ID_MAPPING', 'PRODUCER_FENCED', 'INVALID_PRODUCER_ID_MAPPING', 'UNKNOWN_TOPIC_OR_PARTITION'])
    expect([await ending(id, producer), await ending(id, stranger), await ending(id, old), await ending(unique('nobody'), producer)]).toEqual(['INVALID_TXN_STATE', 'INVALID_PRODUCER_ID_MAPPING', 'PRODUCER_FENCED', 'INVALID_PRODUCER_ID_MAPPING'])
    const group = { groupId: unique('group') }
    expect(name((await connection.send(AddOffsetsToTxn, { transactionalId: id, ...stranger, ...group })).errorCode)).toBe('INVALID_PRODUCER_ID_MAPPING')
    expect(name((await connection.send(AddOffsetsToTxn, { transactionalId: id, ...old, ...group })).errorCode)).toBe('PRODUCER_FENCED')
    const committing = (more: Producer): Promise<string> => ready('an answer to TxnOffsetCommit', async () => {
      const { topics } = await connection.send(TxnOffsetCommit, { transactionalId: id, ...group, ...more, generationId: -1, memberId: '', topics: [{ name: topic, partitions: [{ partitionIndex: 0, committedOffset: 1, committedMetadata: null }] }] })
      return { code: topics[0].partitions[0].errorCode, told: name(topics[0].partitions[0].errorCode) }
    })
    expect(await committing(stranger)).toBe('INVALID_PRODUCER_ID_MAPPING')
    expect(await committing(producer)).toBe('TRANSACTION_ABORTABLE')

    expect(await adding(id, producer, topic)).toBe('NONE')
    expect(await producing(topic, batch(transactional), { transactionalId: id })).toBe('NONE')
    // A write that belongs to no transaction, of a producer that is in one.
    expect(await producing(topic, batch({ ...producer, baseSequence: 4 }))).toBe('INVALID_TXN_STATE')
    expect([await marking(topic, old, 7), await end(topic, 1)]).toEqual(['INVALID_PRODUCER_EPOCH', 0])
    expect(await ending(id, producer)).toBe('NONE')
    await until('the commit', async () => (await end(topic, 1)) === 5)
    expect(await ending(id, producer, false)).toBe('INVALID_TXN_STATE')
    expect(await producing(topic, batch({ ...transactional, baseSequence: 4 }), { transactionalId: id })).toBe('TRANSACTION_ABORTABLE')
    expect(await end(topic)).toBe(5)
  })

  test('markers of a coordinator that was replaced', async () => {
    const topic = await aTopic()
    const id = unique('id')
    const { error: _, ...producer } = await initialized(id)
    expect(await marking(topic, producer, 9)).toBe('NONE')
    expect(await adding(id, producer, topic)).toBe('NONE')
    expect(await producing(topic, batch({ ...producer, baseSequence: 0, isTransactional: true }), { transactionalId: id })).toBe('NONE')
    expect(await marking(topic, producer, 8)).toBe('TRANSACTION_COORDINATOR_FENCED')
    expect(await marking('nowhere', producer, 9)).toBe('UNKNOWN_TOPIC_OR_PARTITION')
    const { topics } = await connection.send(DescribeProducers, { topics: [{ name: topic, partitionIndexes: [0] }] })
    expect(topics[0].partitions[0].activeProducers[0]).toMatchObject({ coordinatorEpoch: 9, currentTxnStartOffset: 1 })
    expect(await end(topic, 1)).toBe(1)
  })

  test('transactional ids: none, the longest that can be said, timeouts that are none', async () => {
    expect((await initialized('')).error).toBe('INVALID_REQUEST')
    const longest = unique('id').padEnd(0x7fff, 'x')
    const { error, ...producer } = await initialized(longest)
    expect(error).toBe('NONE')
    expect((await initialized(longest, { transactionTimeoutMs: 0 })).error).toBe('INVALID_TRANSACTION_TIMEOUT')
    expect((await initialized(longest, { transactionTimeoutMs: 900_001 })).error).toBe('INVALID_TRANSACTION_TIMEOUT')
    expect((await initialized(longest, { producerId: producer.producerId + 1_000_000, producerEpoch: 0 })).error).toBe('PRODUCER_FENCED')
    expect((await initialized(longest, { producerId: 5, producerEpoch: -1 })).error).toBe('INVALID_REQUEST')
    const topic = await aTopic()
    expect(await adding(longest, producer, topic)).toBe('NONE')
    expect(await producing(topic, batch({ ...producer, baseSequence: 0, isTransactional: true }), { transactionalId: longest })).toBe('NONE')
    const { transactionStates } = await connection.send(DescribeTransactions, { transactionalIds: [longest] })
    expect(transactionStates[0]).toMatchObject({ transactionalId: longest, transactionState: 'Ongoing', producerId: producer.producerId })
    expect(await ending(longest, producer)).toBe('NONE')
    await until('the commit', async () => (await end(topic, 1)) === 5)
  })
})
