/** Clusters of both makers whose brokers speak an older protocol among themselves, as in the middle of an upgrade: both lead, both rule. */
import { describe, expect, test } from 'vitest'
import { useBrokers } from './brokers.ts'
import { run, until } from './process.ts'
import { Reader } from './reader.ts'
import { describeWith, smallJava, where } from './programs.ts'
import type { Maker } from './target.ts'

const makers: readonly Maker[] = ['ottla', 'apache', 'ottla']

describeWith(['apache'], 'older protocols among brokers', () => {
  describe.each(['2.8', '3.2'])('inter.broker.protocol.version=%s', (version) => {
    const cluster = useBrokers(makers, { sessionTimeoutMs: 30_000, config: { 'inter.broker.protocol.version': version, 'transaction.state.log.replication.factor': 3 } })

    for (const controller of ['ottla', 'apache'] as const)
      test(`with ${controller}'s controller records are replicated both ways, in transactions too, and leaders move`, async () => {
        const { brokers } = cluster
        const { kafka } = brokers
        await brokers.ruledBy(controller)
        const topic = `of-${controller}`
        await brokers.create({ topic, replicaAssignment: [{ partition: 0, replicas: [1, 2, 3] }, { partition: 1, replicas: [2, 3, 1] }], configEntries: [{ name: 'min.insync.replicas', value: '3' }] })
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
        await brokers.server(away).stop()
        await until('others lead', async () => (await brokers.partitions(topic)).every(({ leader }) => leader !== away && leader > 0))
        await brokers.server(away).start()
        await brokers.inSync(topic)
        const elect = () => run('java', [...smallJava, '-cp', where('apache'), 'org.apache.kafka.tools.LeaderElectionCommand', '--bootstrap-server', brokers.addresses.join(), '--election-type', 'preferred', '--all-topic-partitions'])
        await until('an election succeeds', async () => (await elect()).code === 0)
        await until('the preferred replicas lead', async () => (await brokers.partitions(topic)).every(({ leader, id }) => leader === id + 1))
        const last = kafka.producer({ idempotent: true, maxInFlightRequests: 1 })
        await last.connect()
        for (const partition of [0, 1]) await last.send({ topic, acks: -1, messages: [{ partition, value: 'last' }] })
        await last.disconnect()
        for (const partition of [0, 1]) await brokers.sameBytes(topic, partition, [1, 2, 3])
        const reader = await Reader.open(kafka, topic)
        try {
          for (const partition of [0, 1]) {
            await until('the last record', () => reader.values(partition).includes('last'))
            expect(reader.values(partition)).toEqual(['0', '1', '2', '4', 'last'])
          }
        } finally {
          await reader.close()
        }
        // Five rounds with a marker each, and the last; a coordinator that takes over writes markers again whose end it does not know.
        await until('all is committed', async () => (await brokers.ends(topic)).every((end) => end >= 11))
        expect(JSON.parse(String((await brokers.session.getData('/feature')).data))).toMatchObject({ version: 1 })
      })
  })
})
