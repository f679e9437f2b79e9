/**
 * Transactions on a cluster of both makers: each broker is replaced by the other maker's, on its own folder, while Kafka's own
 * TransactionalMessageCopier works. Coordinators move with every replacement, markers go from each maker to the other.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { kafkaAt } from './kafkajs.ts'
import { run, until } from './process.ts'
import { describeWith, smallJava, unique, where } from './programs.ts'
import { Reader } from './reader.ts'
import { startKafka, startZookeeper, type Maker, type Server } from './target.ts'
import { createTopics } from './topics.ts'

const portion = 1_500
/** Broker and who replaces it: both makers lead, coordinate and follow in turn. */
const replacements: readonly (readonly [0 | 1, Maker])[] = [[0, 'apache'], [1, 'ottla'], [0, 'ottla'], [1, 'apache']]

describeWith(['apache'], 'transactions while brokers of both makers replace one another', () => {
  let zookeeper: Server
  const brokers: Server[] = []
  const config = { 'zookeeper.session.timeout.ms': 30_000, 'controlled.shutdown.max.retries': 50, 'controlled.shutdown.retry.backoff.ms': 500, 'offsets.topic.replication.factor': 2, 'offsets.topic.num.partitions': 1, 'transaction.state.log.replication.factor': 2, 'transaction.state.log.num.partitions': 1, 'transaction.state.log.min.isr': 1 }
  const start = (index: number, maker: Maker, before?: Server): Promise<Server> =>
    startKafka({ maker, zookeeper: zookeeper.address, config: { ...config, 'broker.id': index + 1 }, ...(before && { directory: before.directory, port: before.port }) })
  const folders: Server[] = []
  beforeAll(async () => {
    zookeeper = await startZookeeper()
    for (const [index, maker] of (['ottla', 'apache'] as const).entries()) brokers.push(await start(index, maker))
    // Their folders are the temporary ones, and go at the end.
    folders.push(...brokers)
  })
  afterAll(async () => {
    for (const server of [...brokers, ...folders]) await server.dispose()
    await zookeeper?.dispose()
  })

  test('each record is copied once, in order, though transactions are aborted at random', { timeout: 1_200_000 }, async () => {
    const kafka = kafkaAt(brokers.map(({ address }) => address))
    const [input, output] = [unique('input'), unique('output')]
    const admin = kafka.admin()
    await admin.connect()
    await createTopics(admin, brokers.map(({ address }) => address), { topic: input, replicaAssignment: [{ partition: 0, replicas: [1, 2] }] }, { topic: output, replicaAssignment: [{ partition: 0, replicas: [2, 1] }] })
    // What is copied once must have been written once.
    const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 })
    await producer.connect()
    let sent = 0
    const send = async (): Promise<void> => {
      await producer.send({ topic: input, acks: -1, messages: Array.from({ length: portion }, (_, index) => ({ partition: 0, value: `m${sent + index}` })) })
      sent += portion
    }
    const inSync = (): Promise<unknown> =>
      until('both brokers in sync', async () => {
        // Not there yet, or no leader at this moment.
        const { topics } = await admin.fetchTopicMetadata({ topics: [input, output, '__transaction_state', '__consumer_offsets'] }).catch(() => ({ topics: [] }))
        return topics.length === 4 && topics.every(({ partitions }) => partitions.every(({ isr, leader }) => isr.length === 2 && leader > 0))
      })
    const [transactionalId, group] = [unique('copier'), unique('group')]
    /** Copies what is there when it begins; each takes over from the one before. */
    const copy = () => run('java', [...smallJava, '-cp', where('apache'), 'org.apache.kafka.tools.TransactionalMessageCopier', '--broker-list', brokers.map(({ address }) => address).join(), '--transactional-id', transactionalId,
      '--input-topic', input, '--input-partition', '0', '--output-topic', output, '--max-messages', String(portion), '--consumer-group', group, '--transaction-size', '10', '--enable-random-aborts', '--group-mode'], { timeoutMs: 500_000 })
    /** Undefined while nobody leads, or it is not known who. */
    const written = () => admin.fetchTopicOffsets(output).then(([{ high }]) => Number(high), () => undefined)
    for (const [index, maker] of replacements) {
      await send()
      const before = await until('how much is written', written)
      const copying = copy()
      await Promise.race([copying, until('transactions are under way', async () => ((await written()) ?? 0) > before + 50, 500_000)])
      const old = brokers[index]
      await old.stop()
      brokers[index] = await start(index, maker, old)
      const { code, stdout, stderr } = await copying
      if (code !== 0 || !stdout.includes('"stage":"ShutdownComplete"')) throw new Error(`the copier ended with ${code}\n${stdout.slice(-3_000)}\n${stderr.slice(-3_000)}`)
      await inSync()
    }
    const all = sent

    const reader = await Reader.open(kafka, output)
    await producer.send({ topic: output, acks: -1, messages: [{ partition: 0, value: 'end' }] })
    await until('the end', () => reader.values().includes('end'))
    await reader.close()
    for (const client of [producer, admin]) await client.disconnect()
    const values = reader.values()
    expect(values.slice(0, values.indexOf('end'))).toEqual(Array.from({ length: all }, (_, index) => `m${index}`))
  })
})
