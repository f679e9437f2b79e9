/**
 * Kafka 3.9's verifiable clients on a cluster of one maker, with `SOAK=1` also of both (where kafka-mixed-cluster has them work without a kill): a broker is killed
 * while they produce, and every record is accounted for.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { useBrokers } from './brokers.ts'
import { succeed, until } from './process.ts'
import { describeWith, smallJava, unique, where } from './programs.ts'
import { kafkaMaker, type Maker } from './target.ts'

interface Event {
  readonly name: string
  readonly count?: number
  readonly success?: boolean
  readonly value?: string
  readonly [more: string]: unknown
}
const count = 2_000
const clusters: readonly (readonly Maker[])[] = kafkaMaker === 'apache' ? [['apache', 'apache', 'apache']] : [['ottla', 'ottla', 'ottla'], ...(process.env.SOAK ? [['ottla', 'apache', 'ottla'] as const] : [])]

describeWith(['apache'], "Kafka 3.9's verifiable clients", () => {
  for (const makers of clusters)
    describe(`on ${makers.join(', ')}`, () => {
      const cluster = useBrokers(makers)
      async function tool(name: string, ...args: string[]): Promise<Event[]> {
        const { stdout } = await succeed('java', [...smallJava, '-cp', where('apache'), `org.apache.kafka.tools.${name}`, '--bootstrap-server', cluster.brokers.addresses.join(), ...args], { timeoutMs: 300_000 })
        return stdout.split('\n').filter((line) => line.startsWith('{')).map((line) => JSON.parse(line) as Event)
      }

      test('what the producer has acknowledged is what the consumer reads, each record once, though a leader was killed', async () => {
        const { brokers } = cluster
        const topic = unique('verifiable')
        await brokers.create({ topic, replicaAssignment: [[1, 2, 3], [2, 3, 1], [3, 1, 2]].map((replicas, partition) => ({ partition, replicas })), configEntries: [{ name: 'min.insync.replicas', value: '2' }] })
        await brokers.inSync(topic)
        // By itself it repeats nothing.
        const patient = join(brokers.server(1).directory, 'producer.properties')
        writeFileSync(patient, 'retries=2147483647\nenable.idempotence=true\ndelivery.timeout.ms=240000\n')
        const producing = tool('VerifiableProducer', '--topic', topic, '--max-messages', String(count), '--throughput', '600', '--acks', '-1', '--producer.config', patient)
        const victim = brokers.server(3)
        const killing = (async () => {
          await until('some records', async () => (await brokers.asking('the end of the log', (admin) => admin.fetchTopicOffsets(topic))).reduce((sum, { high }) => sum + Number(high), 0) > count / 6)
          await victim.kill()
          await until('another leads what it led', async () => (await brokers.partitions(topic)).every(({ leader }) => leader > 0 && leader !== 3))
          await brokers.revive(victim)
        })()
        const [produced] = await Promise.all([producing, killing])
        expect(produced.find(({ name }) => name === 'tool_data')).toMatchObject({ sent: count, acked: count })
        await brokers.inSync(topic)
        const events = await tool('VerifiableConsumer', '--topic', topic, '--group-id', topic, '--max-messages', String(count), '--reset-policy', 'earliest', '--verbose')
        const values = events.filter(({ name }) => name === 'record_data').map(({ value }) => Number(value))
        expect(values.toSorted((one, other) => one - other)).toEqual(Array.from({ length: count }, (_, index) => index))
        expect(events.filter(({ name }) => name === 'offsets_committed').every(({ success }) => success)).toBe(true)
        expect((await brokers.asking('the end of the log', (admin) => admin.fetchTopicOffsets(topic))).reduce((sum, { high }) => sum + Number(high), 0)).toBe(count)
      })
    })
})
