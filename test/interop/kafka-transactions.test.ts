/** Transactions with the clients people use: what is committed is seen, what is aborted is not, and nothing hangs when somebody dies. */
import type { Producer } from 'kafkajs'
import { afterEach, expect, test } from 'vitest'
import { silentLogger } from '../../src/host/logger.ts'
import { nodeHost } from '../../src/host/node.ts'
import { ZooKeeperClient } from '../../src/zookeeper/client/client.ts'
import { kafkaAt } from './kafkajs.ts'
import { run, succeed, until } from './process.ts'
import { describeWith, python, smallJava, unique, where } from './programs.ts'
import { Reader } from './reader.ts'
import { useCluster } from './target.ts'
import { createTopics } from './topics.ts'

const copier = 'org.apache.kafka.tools.TransactionalMessageCopier'
const transactionsTool = 'org.apache.kafka.tools.TransactionsCommand'
/** Short, so that a test can wait for it. */
const config = { 'transaction.abort.timed.out.transaction.cleanup.interval.ms': 500 }

describeWith(['apache', 'python'], 'transactions', () => {
  const cluster = useCluster({ kafka: { config } })
  const open: { disconnect(): Promise<void> }[] = []
  afterEach(async () => {
    for (const client of open.splice(0)) await client.disconnect().catch(() => undefined)
  })
  const kafka = () => kafkaAt([cluster.kafka.address])
  const opened = async <T extends { connect(): Promise<void>; disconnect(): Promise<void> }>(client: T): Promise<T> => {
    await client.connect()
    open.push(client)
    return client
  }
  const created = async (...partitions: number[]) => {
    const topics = partitions.map((numPartitions) => ({ topic: unique('transactions'), numPartitions }))
    await createTopics(await opened(kafka().admin()), cluster.brokers.map(({ address }) => address), ...topics)
    return topics.map(({ topic }) => topic)
  }
  const transactional = (transactionalId: string, transactionTimeout = 300_000): Promise<Producer> =>
    opened(kafka().producer({ transactionalId, idempotent: true, maxInFlightRequests: 1, transactionTimeout }))
  /** What a new group sees from the beginning, once it has seen the end of each partition. */
  const readToEnd = async (topic: string, { partitions = 1, readUncommitted = false } = {}): Promise<string[]> => {
    const plain = await opened(kafka().producer({ idempotent: true, maxInFlightRequests: 1 }))
    await plain.send({ topic, messages: Array.from({ length: partitions }, (_, partition) => ({ partition, value: 'end' })) })
    const reader = await Reader.open(kafka(), topic, { readUncommitted })
    open.push({ disconnect: () => reader.close() })
    await until('the end of each partition', () => new Set(reader.records.flatMap(({ partition, value }) => (value === 'end' ? [partition] : []))).size === partitions)
    return reader.values().filter((value) => value !== 'end')
  }
  /** Apache's broker does not start while its last life is still registered. */
  const unregistered = async () => {
    const client = await ZooKeeperClient.connect(nodeHost({ logger: silentLogger }), { connect: cluster.zookeeper.address, sessionTimeoutMs: 10_000 })
    try {
      await until('the old registration to expire', async () => !(await client.exists('/brokers/ids/1')))
    } finally {
      await client.close()
    }
  }
  const tool = (className: string, ...args: string[]) => succeed('java', [...smallJava, '-cp', where('apache'), className, ...args])
  const rows = (text: string) => text.split('\n').filter((line) => line.includes('\t')).map((line) => line.split('\t').map((cell) => cell.trim()))

  test('kafkajs: commits and aborts of records and offsets', async () => {
    const [topic, input] = await created(1, 1)
    const producer = await transactional(unique('id'))
    for (let round = 0; round < 6; round++) {
      const transaction = await producer.transaction()
      await transaction.send({ topic, messages: [{ partition: 0, value: `a${round}` }, { partition: 0, value: `b${round}` }] })
      await transaction.sendOffsets({ consumerGroupId: `${topic}-group`, topics: [{ topic: input, partitions: [{ partition: 0, offset: String(100 + round) }] }] })
      await (round % 2 === 0 ? transaction.commit() : transaction.abort())
    }
    expect(await readToEnd(topic)).toEqual(['a0', 'b0', 'a2', 'b2', 'a4', 'b4'])
    expect(await readToEnd(topic, { readUncommitted: true })).toHaveLength(12)
    const [{ partitions }] = await (await opened(kafka().admin())).fetchOffsets({ groupId: `${topic}-group`, topics: [input] })
    expect(partitions.map(({ offset }) => offset)).toEqual(['104'])
  })

  test('kafkajs: the second producer of an id ends what the first left open, and the first is told that it is fenced', async () => {
    const [topic] = await created(1)
    const id = unique('twice')
    const left = await (await transactional(id)).transaction()
    await left.send({ topic, messages: [{ partition: 0, value: 'left open' }] })
    const transaction = await (await transactional(id)).transaction()
    await expect(left.commit()).rejects.toMatchObject({ type: expect.stringMatching(/^(INVALID_PRODUCER_EPOCH|PRODUCER_FENCED)$/) })
    await transaction.send({ topic, messages: [{ partition: 0, value: 'second' }] })
    await transaction.commit()
    expect(await readToEnd(topic)).toEqual(['second'])
  })

  test('librdkafka: commits, aborts, offsets; the second producer of an id fences the first', async () => {
    const each = ['round0', 'round2', 'second']
    expect(await python('confluent_client', 'transactions', cluster.kafka.address, unique('confluent'))).toEqual({
      committed: [12], first: ['_FENCED', true], read: { 0: each, 1: each }, counts: [150, 150],
    })
  })

  test("Kafka's TransactionalMessageCopier copies each record once, though it aborts at random", async () => {
    const [input, output] = await created(1, 1)
    const producer = await opened(kafka().producer({ idempotent: true, maxInFlightRequests: 1 }))
    await producer.send({ topic: input, messages: Array.from({ length: 2_000 }, (_, index) => ({ partition: 0, value: `m${index}` })) })
    const { stdout } = await tool(copier, '--broker-list', cluster.kafka.address, '--transactional-id', unique('copier'), '--input-topic', input, '--input-partition', '0',
      '--output-topic', output, '--max-messages', '2000', '--consumer-group', unique('copier-group'), '--transaction-size', '150', '--enable-random-aborts', '--group-mode')
    expect(stdout).toContain('"totalProcessed":2000,"consumed":2000,"remaining":0')
    expect(await readToEnd(output)).toEqual(Array.from({ length: 2_000 }, (_, index) => `m${index}`))
  })

  test('kafka-transactions.sh lists and describes them, and finds none hanging', async () => {
    const [topic] = await created(2)
    const id = unique('tool')
    const server = ['--bootstrap-server', cluster.kafka.address]
    const producer = await transactional(id, 300_000)
    const transaction = await producer.transaction()
    await transaction.send({ topic, messages: [{ partition: 1, value: 'never' }, { partition: 0, value: 'never' }] })
    expect(rows((await tool(transactionsTool, ...server, 'list')).stdout).find(([name]) => name === id)?.[3]).toBe('Ongoing')
    const [, described] = rows((await tool(transactionsTool, ...server, 'describe', '--transactional-id', id)).stdout)
    expect([described[1], described[4], described[5], described[8].split(',').sort()]).toEqual([id, 'Ongoing', '300000', [`${topic}-0`, `${topic}-1`]])
    const producers = rows((await tool(transactionsTool, ...server, 'describe-producers', '--topic', topic, '--partition', '1')).stdout)
    expect([producers[1][0], producers[1][5]]).toEqual([described[2], '0'])
    const hanging = await run('java', [...smallJava, '-cp', where('apache'), transactionsTool, ...server, 'find-hanging', '--broker-id', '1'])
    expect([hanging.code, rows(hanging.stdout).slice(1)]).toEqual([0, []])
    await transaction.abort()
  })

  test('a transaction out of time is aborted, and its producer fenced', async () => {
    const [topic] = await created(2)
    // Its time may be over before it has written anything, where machines stand still.
    const transaction = await until('a transaction has written', async () => {
      const begun = await (await transactional(unique('slow'), 2_000)).transaction()
      return begun.send({ topic, messages: [{ partition: 1, value: 'never' }, { partition: 0, value: 'never' }] }).then(() => begun, () => undefined)
    })
    // Nothing behind an open transaction is shown; when the ends are, it has ended.
    expect(await readToEnd(topic, { partitions: 2 })).toEqual([])
    await expect(transaction.commit()).rejects.toThrow()
  })

  test('a broker killed in the middle of transactions: what was committed is there, what was open is aborted', async () => {
    const [topic] = await created(3)
    const id = unique('killed')
    const producer = await transactional(id)
    const write = async (name: string) => {
      const transaction = await producer.transaction()
      await transaction.send({ topic, messages: [0, 1, 2].map((partition) => ({ partition, value: `${name}-${partition}` })) })
      return transaction
    }
    await (await write('before')).commit()
    await write('open')
    // Not waited for: the decision may or may not be on record when the broker dies.
    const deciding = await transactional(`${id}-deciding`)
    const decided = await deciding.transaction()
    await decided.send({ topic, messages: [0, 1, 2].map((partition) => ({ partition, value: `decided-${partition}` })) })
    const commit = decided.commit().then(() => true, () => false)
    await cluster.kafka.kill()
    if (cluster.kafka.maker === 'apache') await unregistered()
    await cluster.kafka.start()
    // KafkaJS gives an answer in the end, but does not promise when.
    const successor = await transactional(id)
    const transaction = await successor.transaction()
    await transaction.send({ topic, messages: [0, 1, 2].map((partition) => ({ partition, value: `after-${partition}` })) })
    await transaction.commit()
    const wasCommitted = await commit
    // Whatever it knew: its successor ends what was left open, when it begins.
    await (await transactional(`${id}-deciding`)).transaction()
    const values = (await readToEnd(topic, { partitions: 3 })).sort()
    const shown = values.filter((value) => value.startsWith('decided')).length
    expect([0, 3]).toContain(shown)
    if (wasCommitted) expect(shown).toBe(3)
    expect(values.filter((value) => !value.startsWith('decided'))).toEqual(['after-0', 'after-1', 'after-2', 'before-0', 'before-1', 'before-2'])
  })
})
