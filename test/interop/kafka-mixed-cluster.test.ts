/**
 * Brokers of both makers on an ensemble of either, the controller here and there, and of Ottla's (or, `TARGET=apache`, Apache's) alone: topics come, grow and go, preferred leaders are elected,
 * either maker's broker stops in order, a group's coordinator moves between them. Apache's tools drive it.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Brokers } from './brokers.ts'
import type { Make } from './ensemble.ts'
import { KafkaLoad } from './kafka-load.ts'
import { judgeLedger } from './ledger.ts'
import { succeed, until } from './process.ts'
import { describeWith, smallJava, unique, where } from './programs.ts'
import { disposeOf, kafkaMaker, type Maker } from './target.ts'

describeWith(['apache', 'python'], 'a cluster of one maker or both', () => {
  // `SOAK=1`: either maker's controller on either's ensemble, and brokers of one maker alone.
  const both: readonly Maker[] = ['ottla', 'apache']
  type Way = readonly [Make, readonly Maker[], readonly Maker[]]
  const pure: Way = [kafkaMaker, [kafkaMaker, kafkaMaker, kafkaMaker], [kafkaMaker]]
  const mixed: readonly Way[] = [
    ['ottla', ['apache', 'ottla', 'apache'], process.env.SOAK ? both : ['ottla']],
    ['apache', ['ottla', 'apache', 'ottla'], process.env.SOAK ? both : ['apache']],
  ]
  const ways = kafkaMaker === 'apache' ? [pure] : [...(process.env.SOAK ? [pure] : []), ...mixed]
  for (const [coordinator, makers, controllers] of ways)
    describe(`${makers.join(', ')} on ${coordinator}'s ensemble`, () => {
      let brokers: Brokers
      let load: KafkaLoad
      beforeAll(async () => {
        brokers = await Brokers.start([coordinator, coordinator, coordinator], makers, { config: { 'controlled.shutdown.max.retries': 50 } })
        // By itself Kafka's VerifiableProducer sends nothing again, not even what came to a broker that has not heard yet that it leads.
        writeFileSync(sendingAgain(), 'retries=2147483647\nenable.idempotence=true\n')
        load = await KafkaLoad.start({ addresses: brokers.addresses, perSecond: 200 })
      })
      afterAll(async () => {
        await load?.dispose()
        await brokers?.dispose()
      })
      disposeOf(() => brokers?.servers ?? [])

      const sendingAgain = (): string => join(brokers.server(1).directory, 'producer.properties')
      const tool = async (name: string, ...args: string[]): Promise<string> => {
        const at = name === 'ProducerPerformance' ? [] : ['--bootstrap-server', brokers.addresses.join()]
        return (await succeed('java', [...smallJava, '-cp', where('apache'), `org.apache.kafka.tools.${name}`, ...at, ...args])).stdout
      }
      const log = (id: number, topic: string, partition: number): string => join(brokers.server(id).dataDirectory, `${topic}-${partition}`, '00000000000000000000.log')
      const leaders = async (topic: string): Promise<string> => (await brokers.partitions(topic)).map(({ leader }) => leader).join()

      for (const maker of controllers) {
        test(`with ${maker}'s controller a topic is made, grows, is written and read by the Java clients, and is deleted everywhere`, async () => {
          await brokers.ruledBy(maker)
          const topic = unique('life')
          expect(await tool('TopicCommand', '--create', '--topic', topic, '--replica-assignment', '1:2:3,2:3:1')).toContain(`Created topic ${topic}.`)
          await tool('TopicCommand', '--alter', '--topic', topic, '--partitions', '3', '--replica-assignment', '1:2:3,2:3:1,3:1:2')
          await until('three leaders', async () => (await leaders(topic)) === '1,2,3')
          const produced = await tool('VerifiableProducer', '--topic', topic, '--max-messages', '600', '--acks', '-1', '--producer.config', sendingAgain())
          expect(produced).toContain('"acked":600')
          const consumed = await tool('VerifiableConsumer', '--topic', topic, '--group-id', topic, '--max-messages', '600', '--reset-policy', 'earliest')
          const counts = [...consumed.matchAll(/"name":"records_consumed".*?"count":(\d+)/g)].map(([, count]) => Number(count))
          const counted = counts.length > 0 ? counts : [...consumed.matchAll(/"count":(\d+).*"name":"records_consumed"/g)].map(([, count]) => Number(count))
          expect(counted.reduce((sum, count) => sum + count, 0), consumed).toBe(600)
          expect(await tool('ProducerPerformance', '--topic', topic, '--num-records', '3000', '--record-size', '200', '--throughput', '-1', '--producer-props', `bootstrap.servers=${brokers.addresses.join()}`, 'acks=all')).toContain('3000 records sent')
          const measured = await tool('ConsumerPerformance', '--topic', topic, '--messages', '3600', '--group', `${topic}-perf`, '--timeout', '120000', '--hide-header')
          expect(measured.trim().split('\n').at(-1)!.split(', ')[4]).toBe('3600')
          await until('replicas hold the same bytes', () => [0, 1, 2].every((partition) => [2, 3].every((id) => readFileSync(log(id, topic, partition)).equals(readFileSync(log(1, topic, partition))))))
          await tool('TopicCommand', '--delete', '--topic', topic)
          await until(`${topic} is gone from every broker`, () => [1, 2, 3].every((id) => [0, 1, 2].every((partition) => !existsSync(log(id, topic, partition)))))
          await until(`nobody tells of ${topic}`, async () => !(await tool('TopicCommand', '--list')).includes(topic))
        })

        for (const stopped of new Set(makers))
          test(`with ${maker}'s controller a broker of ${stopped}'s hands over its partitions, stops, returns and leads again by a preferred election`, async () => {
            await brokers.ruledBy(maker)
            const topic = unique('handed')
            await brokers.create({ topic, replicaAssignment: [[1, 2, 3], [2, 3, 1], [3, 1, 2]].map((replicas, partition) => ({ partition, replicas })) })
            const controller = await brokers.controllerId()
            const server = brokers.servers.find((each) => each.maker === stopped && brokers.id(each) !== controller) ?? brokers.servers.find((each) => each.maker === stopped)!
            const id = brokers.id(server)
            const log = server.log().length
            await server.stop()
            expect(server.log().slice(log)).toMatch(/controlled shutdown succeeded|Controlled shutdown request returned successfully|handed over/i)
            // Where the one that stops was the controller, the others hear of it from the next one.
            await until('nobody counts on it any more', async () => (await brokers.partitions(topic)).every(({ leader, isr }) => leader !== id && !isr.includes(id)))
            await load.progress(50)
            await server.start()
            await brokers.inSync(topic, load.topic, '__consumer_offsets')
            expect(await leaders(topic)).not.toBe('1,2,3')
            await until('an election succeeds', async () => {
              const said = await tool('LeaderElectionCommand', '--election-type', 'preferred', '--all-topic-partitions').catch(() => '')
              return said.includes('Successfully completed leader election (PREFERRED)') || (await leaders(topic)) === '1,2,3'
            })
            await until('the preferred replicas lead', async () => (await leaders(topic)) === '1,2,3')
          })
      }

      test("members of both libraries follow their coordinator from one maker's broker to the other's and back", async () => {
        for (const [index, group] of load.groups.entries()) {
          const [to, from] = index === 0 ? both : both.toReversed()
          const first = brokers.servers.find((server) => server.maker === to) ?? brokers.servers[0]
          const second = brokers.servers.find((server) => server !== first && server.maker === from) ?? brokers.servers[1]
          const rest = brokers.servers.find((server) => server !== first && server !== second)!
          const partition = brokers.partitionOf(group)
          await brokers.asking('a new order of replicas is wished', (admin) => admin.alterPartitionReassignments({ topics: [{ topic: '__consumer_offsets', partitionAssignment: [{ partition, replicas: [first, second, rest].map((server) => brokers.id(server)) }] }] }))
          await until('the new order of replicas', async () => (await brokers.partitions('__consumer_offsets'))[partition].replicas[0] === brokers.id(first))
          await until(`${group} is led by one of ${to}`, async () => {
            if ((await brokers.coordinator(group)) === first) return true
            // Already so, or not possible at this moment: then it ends with 1.
            await tool('LeaderElectionCommand', '--election-type', 'preferred', '--topic', '__consumer_offsets', '--partition', String(partition)).catch(() => {})
            return (await brokers.coordinator(group)) === first
          })
          await load.consumed(index, 50)
          await brokers.inSync('__consumer_offsets')
          await first.kill()
          await until(`${group} is led by one of ${from}`, async () => (await brokers.coordinator(group)) === second)
          await load.consumed(index, 50)
          const described = await tool('consumer.group.ConsumerGroupCommand', '--describe', '--group', group, '--state', '--timeout', '120000')
          expect(described).toMatch(new RegExp(`${group}\\s+${second.address}\\s+\\(${brokers.id(second)}\\)`))
          await brokers.revive(first)
          await brokers.inSync(load.topic, '__consumer_offsets')
        }
      })

      test('the ledger of all this: nothing acknowledged is lost, doubled or reordered', async () => {
        const tally = judgeLedger(await load.finish())
        console.log(JSON.stringify({ ...tally, pausesMs: load.pausesMs, restarts: load.restarts }))
        expect(tally.acknowledged).toBeGreaterThan(2_000)
      })
    })
})
