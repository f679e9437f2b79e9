/**
 * Brokers of both makers on an ensemble of either, the controller here and there: topics come, grow and go, preferred leaders are elected,
 * either maker's broker stops in order, a group's coordinator moves between them. Apache's tools drive it.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Brokers } from './brokers.ts'
import type { Make } from './ensemble.ts'
import { KafkaLoad } from './kafka-load.ts'
import { judgeLedger } from './ledger.ts'
import { succeed, until } from './process.ts'
import { describeWith, smallJava, unique, where } from './programs.ts'
import { disposeOf, type Maker } from './target.ts'

describeWith(['apache', 'python'], 'a cluster of both makers', () => {
  const ways: readonly [Make, readonly Maker[]][] = [['ottla', ['apache', 'ottla', 'apache']], ['apache', ['ottla', 'apache', 'ottla']]]
  for (const [coordinator, makers] of ways)
    describe(`${makers.join(', ')} on ${coordinator}'s ensemble`, () => {
      let brokers: Brokers
      let load: KafkaLoad
      beforeAll(async () => {
        brokers = await Brokers.start([coordinator, coordinator, coordinator], makers)
        load = await KafkaLoad.start({ addresses: brokers.addresses, perSecond: 200 })
      }, 240_000)
      afterAll(async () => {
        await load?.dispose()
        await brokers?.dispose()
      }, 60_000)
      disposeOf(() => brokers?.servers ?? [])

      const tool = async (name: string, ...args: string[]): Promise<string> =>
        (await succeed('java', [...smallJava, '-cp', where('apache'), `org.apache.kafka.tools.${name}`, '--bootstrap-server', brokers.addresses.join(), ...args])).stdout
      const log = (id: number, topic: string, partition: number): string => join(brokers.server(id).dataDirectory, `${topic}-${partition}`, '00000000000000000000.log')
      const leaders = async (topic: string): Promise<string> => (await brokers.partitions(topic)).map(({ leader }) => leader).join()

      for (const maker of ['ottla', 'apache'] satisfies Maker[]) {
        test(`with ${maker}'s controller a topic is made, grows, is written and read by the Java clients, and is deleted everywhere`, { timeout: 240_000 }, async () => {
          await brokers.ruledBy(maker)
          const topic = unique('life')
          expect(await tool('TopicCommand', '--create', '--topic', topic, '--replica-assignment', '1:2:3,2:3:1')).toContain(`Created topic ${topic}.`)
          await tool('TopicCommand', '--alter', '--topic', topic, '--partitions', '3', '--replica-assignment', '1:2:3,2:3:1,3:1:2')
          await until('three leaders', async () => (await leaders(topic)) === '1,2,3', 30_000)
          const produced = await tool('VerifiableProducer', '--topic', topic, '--max-messages', '600', '--acks', '-1')
          expect(produced).toContain('"acked":600')
          const consumed = await tool('VerifiableConsumer', '--topic', topic, '--group-id', topic, '--max-messages', '600', '--reset-policy', 'earliest')
          const counts = [...consumed.matchAll(/"name":"records_consumed".*?"count":(\d+)/g)].map(([, count]) => Number(count))
          const counted = counts.length > 0 ? counts : [...consumed.matchAll(/"count":(\d+).*"name":"records_consumed"/g)].map(([, count]) => Number(count))
          expect(counted.reduce((sum, count) => sum + count, 0), consumed).toBe(600)
          await until('replicas hold the same bytes', () => [0, 1, 2].every((partition) => [2, 3].every((id) => readFileSync(log(id, topic, partition)).equals(readFileSync(log(1, topic, partition))))))
          await tool('TopicCommand', '--delete', '--topic', topic)
          await until(`${topic} is gone from every broker`, () => [1, 2, 3].every((id) => [0, 1, 2].every((partition) => !existsSync(log(id, topic, partition)))), 60_000)
          expect(await tool('TopicCommand', '--list')).not.toContain(topic)
        })

        for (const stopped of ['ottla', 'apache'] satisfies Maker[])
          test(`with ${maker}'s controller a broker of ${stopped}'s hands over its partitions, stops, returns and leads again by a preferred election`, { timeout: 240_000 }, async () => {
            await brokers.ruledBy(maker)
            const topic = unique('handed')
            await brokers.admin.createTopics({ waitForLeaders: true, topics: [{ topic, replicaAssignment: [[1, 2, 3], [2, 3, 1], [3, 1, 2]].map((replicas, partition) => ({ partition, replicas })) }] })
            const controller = await brokers.controllerId()
            const server = brokers.servers.find((each) => each.maker === stopped && brokers.id(each) !== controller) ?? brokers.servers.find((each) => each.maker === stopped)!
            const id = brokers.id(server)
            const log = server.log().length
            await server.stop()
            expect(server.log().slice(log)).toMatch(/controlled shutdown succeeded|Controlled shutdown request returned successfully|handed over/i)
            for (const { leader, isr } of await brokers.partitions(topic)) {
              expect(leader).not.toBe(id)
              expect(isr).not.toContain(id)
            }
            await load.progress(50)
            await server.start()
            await brokers.inSync(topic, load.topic, '__consumer_offsets')
            expect(await leaders(topic)).not.toBe('1,2,3')
            const elected = await tool('LeaderElectionCommand', '--election-type', 'preferred', '--all-topic-partitions')
            expect(elected).toContain('Successfully completed leader election (PREFERRED)')
            await until('the preferred replicas lead', async () => (await leaders(topic)) === '1,2,3', 30_000)
          })
      }

      test("members of both libraries follow their coordinator from one maker's broker to the other's and back", { timeout: 240_000 }, async () => {
        for (const group of load.groups)
          for (let turn = 0; turn < 2; turn++) {
            const server = await brokers.coordinator(group)
            await server.kill()
            await until(`another broker coordinates ${group}`, async () => (await brokers.coordinator(group)) !== server, 60_000)
            await load.progress(50)
            await brokers.revive(server)
            await brokers.inSync(load.topic, '__consumer_offsets')
            expect(await tool('consumer.group.ConsumerGroupCommand', '--describe', '--group', group, '--state')).toMatch(/Stable|Rebalance/)
          }
      })

      test('the ledger of all this: nothing acknowledged is lost, doubled or reordered', { timeout: 240_000 }, async () => {
        const tally = judgeLedger(await load.finish())
        console.log(JSON.stringify({ ...tally, pausesMs: load.pausesMs }))
        expect(tally.acknowledged).toBeGreaterThan(2_000)
      })
    })
})
