/** What people run on ZooKeeper, on an ensemble of two makers and three releases: kazoo's recipes and a Kafka broker, whoever leads. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ZooKeeperClient } from '../../src/zookeeper/client/client.ts'
import { Ensemble, made, modeOf, patiently, targetMake, type Make } from './ensemble.ts'
import { asking, kafkaAt } from './kafkajs.ts'
import { until } from './process.ts'
import { describeWith, python, unique } from './programs.ts'
import { Reader } from './reader.ts'
import { disposeOf, startKafka, type Server } from './target.ts'
import { createTopics } from './topics.ts'

const makes: readonly Make[] = targetMake === 'apache' ? ['zookeeper-3.9', 'apache', 'zookeeper-3.9'] : ['ottla', 'apache', 'zookeeper-3.9']

describeWith(['python', 'apache', 'zookeeper-3.9'], makes.join(', '), () => {
  let ensemble: Ensemble
  let client: ZooKeeperClient
  beforeAll(async () => {
    ensemble = await Ensemble.start(makes, { sessionTimeoutMs: 40_000 })
    client = await ensemble.connect()
    await made(client, '/written')
  })
  afterAll(() => ensemble?.dispose())
  const leads = (at: number): Promise<void> => ensemble.leads(at, () => until('a write', () => client.connected(60_000).then(() => client.setData('/written', 'again')).then(() => true, () => false)))

  for (const at of [0, 1]) describe(`${makes[at]} leads`, () => {
    beforeAll(() => leads(at))
    const kazoo = (name: string) => python('kazoo_client', name, ensemble.addresses.join(','), `/${unique('kazoo')}`)
    test("kazoo's recipes lock, election, queue, barrier, semaphore, party and counter", async () => {
      expect(await modeOf(ensemble.servers[at])).toBe('leader')
      expect(await kazoo('lock')).toEqual({ 'counter': 20, 'at once': 1, 'turns': [0, 1, 2, 3].flatMap((i) => Array<number>(5).fill(i)), 'left': [], 'taken': false, 'holder': ['holder'], 'freed': [true, true] })
      expect(await kazoo('election')).toEqual({ contenders: ['candidate 0', 'candidate 1', 'candidate 2'], led: [0, 1, 2] })
      expect(await kazoo('queues')).toEqual({ length: 5, queue: ['1', '0', '2', '3', '4'], empty: null, locking: ['x', 'y', true, true, true, 0] })
      expect(await kazoo('barriers')).toEqual({ closed: false, open: true, double: [['in', 'in', 'in'], 6], semaphore: [true, true, false, true, true], party: ['0', '1'], count: 3 })
    })
  })

  describe('a broker of Apache Kafka 3.9', () => {
    let broker: Server | undefined
    disposeOf(() => [broker])
    test('keeps its session and works, whoever leads and whoever is killed', { timeout: 1_200_000 }, async () => {
      broker = await startKafka({ maker: 'apache', zookeeper: `${ensemble.addresses.join(',')}/kafka`, config: { 'zookeeper.session.timeout.ms': 60_000 } })
      const kafka = kafkaAt([broker.address])
      const admin = kafka.admin()
      const producer = kafka.producer({ allowAutoTopicCreation: false, idempotent: true, maxInFlightRequests: 1 })
      await Promise.all([admin.connect(), producer.connect()])
      const registration = (await patiently(client, () => client.getData('/kafka/brokers/ids/1'))).stat
      const topics: string[] = []
      for (const at of makes.keys()) {
        await leads(at)
        await ensemble.servers[at].kill()
        const topic = `made-after-${at}`
        topics.push(topic)
        await createTopics(admin, [broker.address], { topic, numPartitions: 2 })
        await producer.send({ topic, acks: -1, messages: Array.from({ length: 50 }, (_, index) => ({ key: `${index}`, value: `${topic} ${index}` })) })
        await ensemble.servers[at].start()
        await ensemble.allServe()
      }
      for (const topic of topics) {
        const reader = await Reader.open(kafka, topic)
        await until(`all of ${topic} are read`, () => new Set(reader.values()).size === 50)
        await reader.close()
      }
      // What it has deleted kafkajs looks for again, as often as it may retry.
      const impatient = kafkaAt([broker.address], { retry: { retries: 2 } }).admin()
      await asking('an administrator connects', () => impatient.connect())
      await until('the topic is gone', async () => {
        await impatient.deleteTopics({ topics: [topics[0]], timeout: 60_000 }).catch(() => {})
        return (await patiently(client, () => client.exists(`/kafka/brokers/topics/${topics[0]}`))) === undefined
      })
      await Promise.all([producer, admin, impatient].map((each) => each.disconnect()))
      const after = (await patiently(client, () => client.getData('/kafka/brokers/ids/1'))).stat
      expect([after.ephemeralOwner, after.czxid]).toEqual([registration.ephemeralOwner, registration.czxid])
      expect(await broker.stop()).toBe(143)
      await until('its ephemeral node is gone', async () => (await patiently(client, () => client.exists('/kafka/brokers/ids/1'))) === undefined)
      await ensemble.agreed()
    })
  })
})
