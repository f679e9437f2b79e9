/** Kafka Streams counts words exactly once, while the application and brokers are killed: on one maker's brokers, and on both makers' in one cluster. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { spawn } from 'node:child_process'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { kafkaAt } from './kafkajs.ts'
import { killGroup, until } from './process.ts'
import { describeWith, smallJava, unique, where } from './programs.ts'
import { Reader } from './reader.ts'
import { kafkaMaker, startKafka, startZookeeper, type Maker, type Server } from './target.ts'
import { createTopics } from './topics.ts'

const words = ['tea', 'milk', 'bread', 'salt', 'plum', 'rye', 'honey']
const lineCount = 1_500
/** Three words a line, so that each comes equally often in the end. */
const lineOf = (index: number): string => [0, 1, 2].map((place) => words[(index * 3 + place) % words.length]).join(' ')
const expected = new Map<string, number>()
for (let index = 0; index < lineCount; index++) for (const word of lineOf(index).split(' ')) expected.set(word, (expected.get(word) ?? 0) + 1)

for (const [title, makers] of [[`three brokers of ${kafkaMaker}`, [kafkaMaker, kafkaMaker, kafkaMaker]], ['brokers of both makers', ['ottla', 'apache', 'ottla']]] as const)
  describeWith(['apache', 'kafka-streams'], `Kafka Streams on ${title}`, () => counting(makers))

function counting(makers: readonly Maker[]): void {
  let zookeeper: Server
  const brokers: Server[] = []
  const folders: string[] = []
  const applications: { kill(): Promise<void> }[] = []
  const servers = () => brokers.map(({ address }) => address)

  beforeAll(async () => {
    zookeeper = await startZookeeper()
    const config = { 'offsets.topic.replication.factor': 3, 'transaction.state.log.replication.factor': 3, 'transaction.state.log.min.isr': 1, 'offsets.topic.num.partitions': 5, 'transaction.state.log.num.partitions': 5 }
    for (const [index, maker] of makers.entries()) brokers.push(await startKafka({ maker, zookeeper: zookeeper.address, readyMs: 120_000, config: { ...config, 'broker.id': index + 1 } }))
  })
  afterAll(async () => {
    for (const application of applications) await application.kill()
    for (const broker of brokers) await broker.dispose()
    await zookeeper?.dispose()
    for (const folder of folders) rmSync(folder, { recursive: true, force: true })
  })

  /** Starts an instance of the application; it runs until it is killed. */
  function start(id: string, input: string, output: string): { kill(): Promise<void>; said(): string } {
    const folder = mkdtempSync(join(tmpdir(), 'ottla-interop-streams-'))
    folders.push(folder)
    const child = spawn('java', [...smallJava, '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn', '-cp', where('kafka-streams'), 'WordCount', servers().join(), id, input, output, folder, '3'], { stdio: ['ignore', 'pipe', 'pipe'], detached: true })
    let said = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => void (said = (said + String(chunk)).slice(-20_000)))
    const ended = new Promise<void>((resolve) => child.on('exit', () => resolve()))
    const application = {
      kill: async () => {
        killGroup(child.pid)
        await ended
      },
      said: () => said,
    }
    applications.push(application)
    return application
  }

  test('every word is counted once for each time it was written', { timeout: 1_200_000 }, async () => {
    const kafka = kafkaAt(servers())
    const [input, output, id] = [unique('lines'), unique('counts'), unique('words')]
    const admin = kafka.admin()
    await admin.connect()
    await createTopics(admin, servers(), ...[input, output].map((topic) => ({ topic, numPartitions: 2, replicationFactor: 3 })))
    // What is counted exactly is written exactly once: a repeated batch of a plain producer would be counted again.
    const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 })
    await producer.connect()
    for (let from = 0; from < lineCount; from += 100)
      await producer.send({ topic: input, acks: -1, messages: Array.from({ length: 100 }, (_, index) => ({ key: String(from + index), value: lineOf(from + index) })) })
    await producer.disconnect()
    const written = async () => (await admin.fetchTopicOffsets(input)).reduce((sum, { high }) => sum + Number(high), 0)
    await until('all lines are there', async () => (await written()) >= lineCount)
    expect(await written()).toBe(lineCount)
    await admin.disconnect()

    const reader = await Reader.open(kafka, output)
    const total = () => reader.records.length
    const all = lineCount * 3
    let application = start(id, input, output)
    const passed = (share: number) => until(`${share} of the words counted; the application says\n${application.said()}`, () => total() >= all * share, 400_000)
    try {
      await passed(0.1)
      await application.kill()
      application = start(id, input, output)
      for (const [index, share] of [[0, 0.3], [1, 0.5]] as const) {
        await passed(share)
        await brokers[index].kill()
        await until(`broker ${index + 1} is back`, () => brokers[index].start().then(() => true, () => false), 300_000)
      }
      await passed(0.7)
      await application.kill()
      application = start(id, input, output)
      await passed(1)
    } catch (error) {
      throw new Error(`${total()} of ${all} words; the application said\n${application.said()}`, { cause: error })
    } finally {
      await reader.close()
    }
    /** Each word's counts as a reader of what is committed is shown them. */
    const shown = new Map<string, number[]>()
    for (const { key, value } of reader.records) shown.set(key, [...(shown.get(key) ?? []), Number(value)])
    for (const [word, count] of expected) expect(shown.get(word), word).toEqual(Array.from({ length: count }, (_, index) => index + 1))
    expect(shown.size).toBe(expected.size)
  })
}
