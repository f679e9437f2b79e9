/** One cluster of two makers: replication in both directions, leaders and controller here and there, each maker's broker killed in turn. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Kafka, logLevel, type Admin, type Producer } from 'kafkajs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { describeWith } from './programs.ts'
import { until } from './process.ts'
import { startKafka, startZookeeper, type Server } from './target.ts'

describeWith(['apache'], 'a cluster of one Ottla broker and two of Apache', () => {
  let zookeeper: Server
  const brokers = new Map<number, Server>()
  let admin: Admin
  let producer: Producer
  const topics = ['led-by-ottla', 'led-by-apache'] as const
  const sent: string[] = []

  beforeAll(async () => {
    zookeeper = await startZookeeper()
    for (const [id, maker] of [[1, 'ottla'], [2, 'apache'], [3, 'apache']] as const)
      brokers.set(id, await startKafka({ maker, zookeeper: zookeeper.address, config: { 'broker.id': id, 'offsets.topic.replication.factor': 3, 'auto.leader.rebalance.enable': false } }))
    const kafka = new Kafka({ brokers: [...brokers.values()].map(({ address }) => address), logLevel: logLevel.NOTHING, retry: { retries: 40, initialRetryTime: 100, maxRetryTime: 500 } })
    admin = kafka.admin()
    producer = kafka.producer({ allowAutoTopicCreation: false })
    await admin.connect()
    await producer.connect()
  }, 180_000)
  afterAll(async () => {
    await producer?.disconnect()
    await admin?.disconnect()
    for (const broker of brokers.values()) await broker.dispose()
    await zookeeper?.dispose()
  }, 60_000)

  const states = async () => {
    const found = await admin.fetchTopicMetadata({ topics: [...topics] })
    return found.topics.map(({ name, partitions: [{ leader, isr }] }) => ({ name, leader, isr: [...isr].sort() }))
  }
  const inSync = (ids: readonly number[]): Promise<unknown> => until(`brokers ${ids.join()} in sync`, async () => (await states()).every(({ isr }) => isr.join() === ids.join()), 90_000)
  async function produce(round: string): Promise<void> {
    for (let index = 0; index < 20; index++) {
      for (const topic of topics) await producer.send({ topic, acks: -1, messages: Array.from({ length: 10 }, (_, at) => ({ value: `${round} ${index} ${at}` })) })
      sent.push(`${round} ${index}`)
    }
  }
  const bytesOf = (id: number, topic: string): string => readFileSync(join(brokers.get(id)!.dataDirectory, `${topic}-0`, '00000000000000000000.log')).toString('base64')
  /** Every replica has the same bytes, epochs of leaders included. */
  async function agree(): Promise<void> {
    await inSync([1, 2, 3])
    for (const topic of topics) for (const id of [2, 3]) await until(`${topic} on broker ${id} like on 1`, () => bytesOf(id, topic) === bytesOf(1, topic), 10_000)
    for (const { high } of (await Promise.all(topics.map((topic) => admin.fetchTopicOffsets(topic)))).flat()) expect(Number(high)).toBeGreaterThanOrEqual(sent.length * 10)
  }

  test('replicas of either maker hold the same bytes', { timeout: 120_000 }, async () => {
    await admin.createTopics({
      topics: [[1, 2, 3], [2, 1, 3]].map((replicas, index) => ({ topic: topics[index], replicaAssignment: [{ partition: 0, replicas }], configEntries: [{ name: 'min.insync.replicas', value: '2' }] })),
    })
    await produce('all')
    expect((await states()).map(({ leader }) => leader).sort()).toEqual([1, 2])
    await agree()
  })
  for (const [id, ending] of [[1, 'stop'], [2, 'stop'], [1, 'kill'], [2, 'kill']] as const)
    test(`broker ${id} goes by ${ending} and returns`, { timeout: 240_000 }, async () => {
      await brokers.get(id)![ending]()
      await produce(`without ${id} after ${ending}`)
      for (const { leader, isr } of await states()) {
        expect(leader).not.toBe(id)
        expect(isr).not.toContain(id)
      }
      await until(`broker ${id} is back`, async () => brokers.get(id)!.start().then(() => true, () => false), 60_000)
      await produce(`with ${id} after ${ending}`)
      await agree()
    })
})
