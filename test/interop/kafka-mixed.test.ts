/** One cluster of two makers: replication in both directions, leaders and controller here and there, each maker's broker killed in turn. */
import type { Producer } from 'kafkajs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { useBrokers } from './brokers.ts'
import { until } from './process.ts'
import { describeWith } from './programs.ts'

describeWith(['apache'], 'a cluster of one Ottla broker and two of Apache', () => {
  const cluster = useBrokers(['ottla', 'apache', 'apache'])
  let producer: Producer
  const topics = ['led-by-ottla', 'led-by-apache'] as const
  const sent: string[] = []

  beforeAll(async () => {
    await cluster.brokers.ruledBy('ottla')
    producer = cluster.brokers.kafka.producer({ allowAutoTopicCreation: false, idempotent: true, maxInFlightRequests: 1 })
    await producer.connect()
  })
  afterAll(() => producer?.disconnect())

  const states = () => Promise.all(topics.map(async (topic) => (await cluster.brokers.partitions(topic))[0]))
  async function produce(round: string): Promise<void> {
    for (let index = 0; index < 20; index++) {
      for (const topic of topics) await producer.send({ topic, acks: -1, messages: Array.from({ length: 10 }, (_, at) => ({ value: `${round} ${index} ${at}` })) })
      sent.push(`${round} ${index}`)
    }
  }
  async function agree(): Promise<void> {
    const { brokers } = cluster
    await brokers.inSync(...topics)
    for (const topic of topics) await brokers.sameBytes(topic, 0, [1, 2, 3])
    // A new leader learns what is committed from its followers.
    for (const topic of topics) await until(`all records of ${topic} are committed`, async () => (await brokers.ends(topic))[0] >= sent.length * 10)
  }

  test('replicas of either maker hold the same bytes', async () => {
    await cluster.brokers.create(...[[1, 2, 3], [2, 1, 3]].map((replicas, index) => ({ topic: topics[index], replicaAssignment: [{ partition: 0, replicas }], configEntries: [{ name: 'min.insync.replicas', value: '2' }] })))
    await produce('all')
    expect((await states()).map(({ leader }) => leader).sort()).toEqual([1, 2])
    await agree()
  })
  for (const [id, ending] of [[1, 'stop'], [2, 'stop'], [1, 'kill'], [2, 'kill']] as const)
    test(`broker ${id} goes by ${ending} and returns`, async () => {
      const { brokers } = cluster
      const server = brokers.server(id)
      await server[ending]()
      await produce(`without ${id} after ${ending}`)
      await until(`nobody counts on broker ${id}`, async () => (await states()).every(({ leader, isr }) => leader > 0 && leader !== id && !isr.includes(id)))
      await brokers.revive(server)
      await produce(`with ${id} after ${ending}`)
      await agree()
    })
})
