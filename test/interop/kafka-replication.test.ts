/** One cluster of two makers: consumers read from the replica in their rack, records are deleted everywhere, replicas move between log directories. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Producer } from 'kafkajs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { useBrokers } from './brokers.ts'
import { succeed, until } from './process.ts'
import { describeWith, smallJava, where } from './programs.ts'

const selector = 'org.apache.kafka.common.replica.RackAwareReplicaSelector'

describeWith(['apache'], 'replicas of one Ottla broker and one of Apache', () => {
  const folder = mkdtempSync(join(tmpdir(), 'ottla-interop-replication-'))
  const log4j = join(folder, 'log4j.properties')
  const logDirs = (id: number): string[] => ['a', 'b'].map((name) => join(folder, `${id}-${name}`))
  const cluster = useBrokers(['ottla', 'apache'], { sessionTimeoutMs: 30_000, config: (id) => ({ 'broker.rack': `rack-${id}`, 'replica.selector.class': selector, 'log.dirs': logDirs(id).join() }) })
  let producer: Producer
  const topics = ['led-by-ottla', 'led-by-apache'] as const

  beforeAll(async () => {
    writeFileSync(
      log4j,
      'log4j.rootLogger=WARN, stderr\nlog4j.logger.org.apache.kafka.clients.consumer.internals=DEBUG\nlog4j.appender.stderr=org.apache.log4j.ConsoleAppender\nlog4j.appender.stderr.Target=System.err\nlog4j.appender.stderr.layout=org.apache.log4j.PatternLayout\nlog4j.appender.stderr.layout.ConversionPattern=%m%n\n',
    )
    const { brokers } = cluster
    producer = brokers.kafka.producer({ allowAutoTopicCreation: false, idempotent: true, maxInFlightRequests: 1 })
    await producer.connect()
    await brokers.create(...topics.map((topic, index) => ({ topic, replicaAssignment: [{ partition: 0, replicas: index === 0 ? [1, 2] : [2, 1] }] })))
    for (const topic of topics) for (let index = 0; index < 30; index++) await producer.send({ topic, acks: -1, messages: [{ value: `${index}` }] })
  })
  afterAll(async () => {
    await producer?.disconnect()
    for (const server of cluster.brokers?.servers ?? []) await server.kill()
    rmSync(folder, { recursive: true, force: true })
  })

  const tool = (name: string, ...args: string[]) => succeed('java', [...smallJava, `-Dlog4j.configuration=file:${log4j}`, '-cp', where('apache'), name, ...args])

  for (const [topic, leader, follower] of [[topics[0], 1, 2], [topics[1], 2, 1]] as const)
    test(`${topic}: the Java consumer reads from broker ${follower}, which is in its rack`, async () => {
      const consume = async (rack: string) => {
        const { stdout, stderr } = await tool('org.apache.kafka.tools.consumer.ConsoleConsumer', '--bootstrap-server', cluster.brokers.addresses.join(), '--topic', topic, '--partition', '0', '--offset', 'earliest', '--max-messages', '30', '--timeout-ms', '120000', '--consumer-property', `client.rack=${rack}`, '--consumer-property', 'max.poll.records=5', '--consumer-property', 'fetch.max.bytes=200')
        expect(stdout.trim().split('\n')).toEqual(Array.from({ length: 30 }, (_, index) => `${index}`))
        return [leader, follower].filter((id) => new RegExp(`fetch request for partition ${topic}-0 at position FetchPosition\\{offset=(1[0-9]|2[0-9]).*to node ${cluster.brokers.server(id).address}`).test(stderr))
      }
      expect(await consume(`rack-${follower}`)).toEqual([follower])
      expect(await consume(`rack-${leader}`)).toEqual([leader])
      expect(await consume('rack-elsewhere')).toEqual([leader])
    })

  test('records are deleted on both, whoever leads', async () => {
    const file = join(folder, 'offsets.json')
    writeFileSync(file, JSON.stringify({ version: 1, partitions: topics.map((topic) => ({ topic, partition: 0, offset: 10 })) }))
    const { stdout } = await tool('org.apache.kafka.tools.DeleteRecordsCommand', '--bootstrap-server', cluster.brokers.addresses.join(), '--offset-json-file', file)
    for (const topic of topics) expect(stdout).toMatch(new RegExp(`partition: ${topic}-0\\s+low_watermark: 10`))
  })

  test('replicas move between the log directories of either broker', async () => {
    const placeOf = (id: number, topic: string): string => logDirs(id).find((directory) => existsSync(join(directory, `${topic}-0`)))!
    const wishes = [[topics[0], [1, 2]], [topics[1], [2, 1]]] as const
    const targets = wishes.map(([topic, ids]) => ids.map((id) => logDirs(id).find((directory) => directory !== placeOf(id, topic))!))
    const file = join(folder, 'move.json')
    writeFileSync(file, JSON.stringify({ version: 1, partitions: wishes.map(([topic, replicas], index) => ({ topic, partition: 0, replicas, log_dirs: targets[index] })) }))
    const command = (...action: string[]) => tool('org.apache.kafka.tools.reassign.ReassignPartitionsCommand', '--bootstrap-server', cluster.brokers.addresses.join(), '--reassignment-json-file', file, ...action)
    await command('--execute', '--timeout', '120000')
    await until('all replicas have moved', async () => {
      const { stdout } = await command('--verify').catch(() => ({ stdout: '' }))
      return [...stdout.matchAll(/currently on the correct log|completed successfully|is already/g)].length >= 4 || targets.flat().every((target, index) => existsSync(join(target, `${wishes[index >> 1][0]}-0`)))
    })
    for (const [index, [topic, ids]] of wishes.entries()) for (const [at, id] of ids.entries()) await until(`${topic} of ${id} is where it was wished`, () => placeOf(id, topic) === targets[index][at])
    for (const topic of topics) await producer.send({ topic, acks: -1, messages: [{ value: 'after the move' }] })
    // What was deleted before was not copied.
    const bytesOf = (id: number, topic: string): string => readFileSync(join(placeOf(id, topic), `${topic}-0`, '00000000000000000010.log')).toString('latin1')
    for (const topic of topics)
      await until(`${topic} is the same on both`, () => {
        const [one, other] = [bytesOf(1, topic), bytesOf(2, topic)]
        return one === other && one.includes('after the move')
      })
  })
})
