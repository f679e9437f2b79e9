/**
 * Transactions that no coordinator knows and that hold readers back for ever: found and aborted by Apache's kafka-transactions.sh and
 * by ours, on either maker's broker, with the same words.
 */
import type { Kafka } from 'kafkajs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { silentLogger } from '../../src/host/logger.ts'
import { nodeHost } from '../../src/host/node.ts'
import { KafkaClient } from '../../src/kafka/client/client.ts'
import { InitProducerId } from '../../src/kafka/protocol/init-producer-id.ts'
import { ListOffsets } from '../../src/kafka/protocol/list-offsets.ts'
import { Produce } from '../../src/kafka/protocol/produce.ts'
import { encodeBatch } from '../../src/kafka/records/encode.ts'
import { asking, kafkaAt } from './kafkajs.ts'
import { run, until } from './process.ts'
import { describeWith, smallJava, unique, where } from './programs.ts'
import { Reader } from './reader.ts'
import { program, useCluster } from './target.ts'
import { makeTopics } from './topics.ts'

const anHourMs = 3_600_000

describeWith(['apache'], 'hanging transactions', () => {
  // As brokers before 3.6 did: a write need not belong to a transaction that its coordinator knows.
  const cluster = useCluster({ kafka: { config: { 'transaction.partition.verification.enable': false, 'transaction.max.timeout.ms': 2 * anHourMs } } })
  let client: KafkaClient
  let kafka: Kafka
  beforeAll(() => {
    client = new KafkaClient({ host: nodeHost({ logger: silentLogger }), bootstrapServers: cluster.kafka.address })
    kafka = kafkaAt([cluster.kafka.address])
  })
  afterAll(() => client.close())

  const coordinatorOf = (transactionalId: string) => ({ kind: 'coordinator', of: 'transaction', key: transactionalId } as const)
  const started = async (transactionalId: string | null) => {
    const { producerId, producerEpoch } = await client.call(transactionalId === null ? { kind: 'any' } : coordinatorOf(transactionalId), InitProducerId, { transactionalId, transactionTimeoutMs: transactionalId === null ? 0 : anHourMs })
    return { producerId, producerEpoch }
  }
  /** A record of an hour ago in a partition; its producer tells no coordinator. */
  const write = async (topic: string, partition: number, transactionalId: string | null, producer: { producerId: number; producerEpoch: number }): Promise<number> => {
    const records = encodeBatch([{ key: null, value: 'hangs', timestamp: BigInt(Date.now() - anHourMs) }], { ...producer, baseSequence: 0, isTransactional: true })
    const { responses } = await client.call({ kind: 'leader', topic, partition }, Produce, { transactionalId, acks: -1, timeoutMs: 10_000, topicData: [{ name: topic, partitionData: [{ index: partition, records }] }] }, {
      errorsIn: (response) => response.responses.flatMap(({ partitionResponses }) => partitionResponses),
    })
    return responses[0].partitionResponses[0].baseOffset
  }
  /** The end of what a reader of what is committed is shown, and the end of all. */
  const ends = (topic: string, partition: number): Promise<number[]> => Promise.all([1, 0].map(async (isolationLevel) => {
    const { topics } = await client.call({ kind: 'leader', topic, partition }, ListOffsets, { replicaId: -1, isolationLevel, topics: [{ name: topic, partitions: [{ partitionIndex: partition, timestamp: -1n }] }] }, {
      errorsIn: (response) => response.topics.flatMap(({ partitions }) => partitions),
    })
    return topics[0].partitions[0].offset
  }))
  const ours = (...args: string[]) => run(program('kafka-transactions.sh'), ['--bootstrap-server', cluster.kafka.address, ...args])
  const theirs = (...args: string[]) => run('java', [...smallJava, '-cp', where('apache'), 'org.apache.kafka.tools.TransactionsCommand', '--bootstrap-server', cluster.kafka.address, ...args])
  const rows = (text: string): string[][] => text.trimEnd().split('\n').map((line) => line.split('\t').map((cell) => cell.trim())).sort((one, other) => (one.join() < other.join() ? -1 : 1))
  /** What both tools print, but for columns that tell how long something has lasted. */
  const same = async (...args: string[]): Promise<string[][]> => {
    const [own, apache] = await Promise.all([ours(...args), theirs(...args)])
    const [printed, wanted] = [own, apache].map(({ code, stdout }) => ({ code, rows: rows(stdout) }))
    const durations = wanted.rows.find((cells) => cells.some((cell) => cell.startsWith('Duration') || cell === 'TransactionDurationMs'))?.map((cell) => cell.includes('Duration')) ?? []
    const lasting = (table: string[][]): string[][] => table.map((cells) => cells.filter((_, column) => !durations[column]))
    expect({ ...printed, rows: lasting(printed.rows) }, `${args.join(' ')}\n${own.stderr}\n${apache.stderr}`).toEqual({ ...wanted, rows: lasting(wanted.rows) })
    return wanted.rows
  }
  const found = async (...args: string[]): Promise<string[][]> => rows((await ours('find-hanging', ...args)).stdout).filter(([first]) => first !== 'Topic')

  test('are found by both tools, aborted by each, and readers go on', async () => {
    const topic = unique('hanging')
    await makeTopics([cluster.kafka.address], { topic, numPartitions: 3 })
    // One whose id the coordinator knows, but not the partition, and one that has no id at all.
    const known = await started(unique('known'))
    const unknown = await started(null)
    // One as old that its coordinator will end.
    const honest = kafka.producer({ transactionalId: unique('honest'), idempotent: true, maxInFlightRequests: 1, transactionTimeout: anHourMs })
    await asking('a producer connects', () => honest.connect())
    const open = await honest.transaction()
    await open.send({ topic, messages: [{ partition: 2, value: 'open', timestamp: String(Date.now() - anHourMs) }] })
    const plain = kafka.producer({ idempotent: true, maxInFlightRequests: 1 })
    await asking('a producer connects', () => plain.connect())
    await plain.send({ topic, messages: [0, 1].map((partition) => ({ partition, value: 'before' })) })
    expect([await write(topic, 0, unique('known'), known), await write(topic, 1, unique('late'), unknown)]).toEqual([1, 1])
    await plain.send({ topic, messages: [0, 1].map((partition) => ({ partition, value: 'after' })) })
    expect([await ends(topic, 0), await ends(topic, 1)]).toEqual([[1, 3], [1, 3]])

    expect((await same('describe-producers', '--topic', topic, '--partition', '0'))[0].toSpliced(4, 1)).toEqual([String(known.producerId), String(known.producerEpoch), '-1', '0', '1'])
    const hanging = (await same('find-hanging', '--broker-id', '1')).filter(([first]) => first !== 'Topic')
    expect(hanging.map(([name, partition, id, epoch, coordinatorEpoch, start]) => [name, partition, id, epoch, coordinatorEpoch, start])).toEqual(
      [known, unknown].map(({ producerId, producerEpoch }, partition) => [topic, String(partition), String(producerId), String(producerEpoch), '-1', '1']))
    expect(await found('--topic', topic, '--partition', '2')).toEqual([])
    expect(await found('--topic', topic, '--max-transaction-timeout', '120')).toEqual([])

    expect(await ours('abort', '--topic', topic, '--partition', '0', '--start-offset', '1')).toMatchObject({ code: 0 })
    expect((await found('--topic', topic)).map(([, partition]) => partition)).toEqual(['1'])
    expect(await theirs('abort', '--topic', topic, '--partition', '1', '--start-offset', '1')).toMatchObject({ code: 0 })
    expect(await found('--topic', topic)).toEqual([])
    await until('readers of what is committed see the ends', async () => (await Promise.all([0, 1].map((partition) => ends(topic, partition)))).every(([committed, end]) => committed === 4 && end === 4))
    await open.abort()

    await plain.send({ topic, messages: [0, 1, 2].map((partition) => ({ partition, value: 'end' })) })
    const reader = await Reader.open(kafka, topic)
    try {
      await until('the ends', () => reader.values().filter((value) => value === 'end').length === 3)
    } finally {
      for (const each of [plain, honest]) await each.disconnect()
      await reader.close()
    }
    expect(reader.values().filter((value) => value !== 'end').sort()).toEqual(['after', 'after', 'before', 'before'])
  })

  test('are aborted with the words of brokers before 3.0, too; a coordinator that was replaced is refused', async () => {
    const topic = unique('older')
    await makeTopics([cluster.kafka.address], { topic, numPartitions: 1 })
    const producer = await started(null)
    await write(topic, 0, unique('late'), producer)
    const marker = ['abort', '--topic', topic, '--partition', '0', '--producer-id', String(producer.producerId), '--producer-epoch', String(producer.producerEpoch)]
    expect((await ours(...marker, '--coordinator-epoch', '5')).code).toBe(0)
    await until('the marker counts', async () => (await ends(topic, 0))[0] === 2)
    for (const [tool, why] of [[ours, 'TRANSACTION_COORDINATOR_FENCED'], [theirs, 'has been fenced by the active coordinator']] as const) {
      const { code, stderr } = await tool(...marker, '--coordinator-epoch', '4')
      expect([code, stderr]).toEqual([1, expect.stringContaining(why)])
    }
    expect(await ends(topic, 0)).toEqual([2, 2])
  })
})
