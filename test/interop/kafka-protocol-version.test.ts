/** Clusters of both makers whose brokers speak an older protocol among themselves, as in the middle of an upgrade: both lead, both rule. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Kafka, logLevel, type Admin } from 'kafkajs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { silentLogger } from '../../src/host/logger.ts'
import { nodeHost } from '../../src/host/node.ts'
import { ZooKeeperClient } from '../../src/zookeeper/client/client.ts'
import { run, until } from './process.ts'
import { describeWith, smallJava, where } from './programs.ts'
import { disposeOf, startKafka, startZookeeper, type Maker, type Server } from './target.ts'

const makers: readonly Maker[] = ['ottla', 'apache', 'ottla']

describeWith(['apache'], 'older protocols among brokers', () => {
  describe.each(['2.8', '3.2'])('inter.broker.protocol.version=%s', (version) => {
    let zookeeper: Server
    let session: ZooKeeperClient
    const brokers = new Map<number, Server>()
    let kafka: Kafka
    let admin: Admin
    disposeOf(() => [...brokers.values(), zookeeper])
    beforeAll(async () => {
      zookeeper = await startZookeeper()
      await Promise.all(
        makers.map(async (maker, index) => {
          const id = index + 1
          brokers.set(id, await startKafka({ maker, zookeeper: zookeeper.address, config: { 'broker.id': id, 'inter.broker.protocol.version': version, 'auto.leader.rebalance.enable': false, 'offsets.topic.replication.factor': 3, 'transaction.state.log.replication.factor': 3 } }))
        }),
      )
      session = await ZooKeeperClient.connect(nodeHost({ logger: silentLogger }), { connect: zookeeper.address, sessionTimeoutMs: 10_000 })
      kafka = new Kafka({ brokers: [...brokers.values()].map(({ address }) => address), logLevel: logLevel.NOTHING, retry: { retries: 40, initialRetryTime: 100, maxRetryTime: 500 } })
      admin = kafka.admin()
      await admin.connect()
    }, 240_000)
    afterAll(async () => {
      await admin?.disconnect()
      await session?.close()
    })
    async function ruledBy(maker: Maker): Promise<void> {
      await until(`a controller of ${maker}`, async () => {
        const { data } = await session.getData('/controller').catch(() => ({ data: undefined }))
        const id = data ? (JSON.parse(String(data)) as { brokerid: number }).brokerid : -1
        if (makers[id - 1] === maker) return (await admin.describeCluster()).controller === id
        if (id > 0) await session.delete('/controller').catch(() => undefined)
        return false
      }, 60_000)
    }

    for (const controller of ['ottla', 'apache'] as const)
      test(`with ${controller}'s controller records are replicated both ways, in transactions too, and leaders move`, { timeout: 180_000 }, async () => {
        await ruledBy(controller)
        const topic = `of-${controller}`
        await admin.createTopics({ waitForLeaders: true, topics: [{ topic, replicaAssignment: [{ partition: 0, replicas: [1, 2, 3] }, { partition: 1, replicas: [2, 3, 1] }], configEntries: [{ name: 'min.insync.replicas', value: '3' }] }] })
        const producer = kafka.producer({ transactionalId: `writer-${controller}`, idempotent: true, maxInFlightRequests: 1 })
        await producer.connect()
        for (let round = 0; round < 5; round++) {
          const transaction = await producer.transaction()
          for (const partition of [0, 1]) await transaction.send({ topic, acks: -1, messages: [{ partition, value: `${round}` }] })
          await (round === 3 ? transaction.abort() : transaction.commit())
        }
        await producer.disconnect()
        // To who is next in line, and back by an election.
        const away = makers.indexOf(controller === 'ottla' ? 'apache' : 'ottla') + 1
        await brokers.get(away)!.stop()
        await until('others lead', async () => (await admin.fetchTopicMetadata({ topics: [topic] })).topics[0].partitions.every(({ leader }) => leader !== away && leader > 0), 60_000)
        await brokers.get(away)!.start()
        await until('all are in sync again', async () => (await admin.fetchTopicMetadata({ topics: [topic] })).topics[0].partitions.every(({ isr }) => isr.length === 3), 90_000)
        const elected = await run('java', [...smallJava, '-cp', where('apache'), 'org.apache.kafka.tools.LeaderElectionCommand', '--bootstrap-server', [...brokers.values()].map(({ address }) => address).join(), '--election-type', 'preferred', '--all-topic-partitions'])
        expect(elected.code, elected.stdout + elected.stderr).toBe(0)
        await until('the preferred replicas lead', async () => (await admin.fetchTopicMetadata({ topics: [topic] })).topics[0].partitions.every(({ leader, partitionId }) => leader === partitionId + 1))
        const last = kafka.producer()
        await last.connect()
        for (const partition of [0, 1]) await last.send({ topic, acks: -1, messages: [{ partition, value: 'last' }] })
        await last.disconnect()
        const bytesOf = (id: number, index: number): string => readFileSync(join(brokers.get(id)!.dataDirectory, `${topic}-${index}`, '00000000000000000000.log')).toString('base64')
        for (const index of [0, 1]) await until('replicas hold the same bytes', () => bytesOf(1, index) === bytesOf(2, index) && bytesOf(2, index) === bytesOf(3, index))
        // Five rounds with a marker each, and the last.
        for (const { high } of await admin.fetchTopicOffsets(topic)) expect(Number(high)).toBe(11)
        expect(JSON.parse(String((await session.getData('/feature')).data))).toMatchObject({ version: 1 })
      })
  })
})
