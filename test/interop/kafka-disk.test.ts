/** One folder of a broker, two makers: what either wrote, the other serves, after a clean stop and after a kill, and back again. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { silentLogger } from '../../src/host/logger.ts'
import { nodeHost } from '../../src/host/node.ts'
import { ZooKeeperClient } from '../../src/zookeeper/client/client.ts'
import { asking, kafkaAt } from './kafkajs.ts'
import { succeed, until } from './process.ts'
import { describeWith, smallJava, unique, where } from './programs.ts'
import { startKafka, startZookeeper, type Maker, type Server } from './target.ts'
import { makeTopics } from './topics.ts'

const codecs = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const
/** Small, so that a few thousand records make many segments and index entries. */
const config = { 'log.segment.bytes': 12_000, 'log.index.interval.bytes': 700, 'auto.create.topics.enable': true }

describeWith(['apache', 'kcat'], 'a folder of a broker', () => {
  const directories: string[] = []
  const servers: Server[] = []
  afterEach(async () => {
    for (const server of servers.splice(0).reverse()) await server.dispose()
    for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true })
  })
  function folder(): string {
    const directory = mkdtempSync(join(tmpdir(), 'ottla-interop-kafka-disk-'))
    directories.push(directory)
    return directory
  }
  async function serve(maker: Maker, zookeeper: Server, directory: string, port?: number): Promise<Server> {
    await unregistered(zookeeper)
    const server = await startKafka({ maker, zookeeper: zookeeper.address, directory, port, config })
    servers.push(server)
    return server
  }

  for (const [writer, reader] of [['apache', 'ottla'], ['ottla', 'apache']] as const) {
    for (const ending of ['stop', 'kill'] as const) {
      test(`${reader} serves what ${writer} wrote before its ${ending}, and back`, async () => {
        const directory = folder()
        const zookeeper = await startZookeeper()
        servers.push(zookeeper)
        let broker = await serve(writer, zookeeper, directory)
        const topic = unique('disk')
        for (const [round, codec] of codecs.entries()) await produce(broker, topic, codec, round * 400, 400)
        let before = await contents(broker, topic)
        expect(before).toHaveLength(2000)
        for (const [round, maker] of [reader, writer, reader].entries()) {
          await broker[ending]()
          if (ending === 'stop' || broker.maker === 'ottla') await apacheApproves(join(broker.dataDirectory, `${topic}-0`))
          broker = await serve(maker, zookeeper, directory, broker.port)
          expect(await contents(broker, topic)).toEqual(before)
          // A record's time is in the third word; every hundredth is looked up.
          for (let index = 0; index < before.length; index += 397) {
            const [, timestamp] = before[index].split(' ')
            const first = before.find((line) => Number(line.split(' ')[1]) >= Number(timestamp))
            const { stdout } = await succeed(where('kcat'), ['-b', broker.address, '-Q', '-t', `${topic}:0:${timestamp}`])
            expect(stdout.trim()).toBe(`${topic} [0] offset ${first?.split(' ')[0]}`)
          }
          // Life goes on at the next offset.
          await produce(broker, topic, codecs[round], before.length, 100)
          before = await contents(broker, topic)
          expect(before).toHaveLength(2000 + (round + 1) * 100)
        }
      })
    }
  }

  test.each<[Maker, Maker]>([['apache', 'ottla'], ['ottla', 'apache'], ['ottla', 'ottla']])('what %s acknowledged until it was killed while writing, %s has', async (writer, reader) => {
    const directory = folder()
    const zookeeper = await startZookeeper()
    servers.push(zookeeper)
    let broker = await serve(writer, zookeeper, directory)
    const topic = unique('killed')
    const acknowledged = new Map<number, string>()
    for (let life = 0; life < 2; life++) {
      const producing = broker
      const kafka = kafkaAt([broker.address], { retry: { retries: 0 } })
      if (life === 0) await makeTopics([broker.address], { topic, numPartitions: 1 })
      const producer = kafka.producer({ allowAutoTopicCreation: false })
      await asking('a producer connects', () => producer.connect())
      const wanted = acknowledged.size + 3000
      const writers = Array.from({ length: 5 }, async (_, index) => {
        for (let n = 0; ; n++) {
          const values = Array.from({ length: 10 }, (_, part) => `${life}.${index}.${n}.${part} ${'x'.repeat((n * 7) % 300)}`)
          const answers = await producer.send({ topic, acks: -1, messages: values.map((value) => ({ value })) }).catch(() => undefined)
          // Only who is dead answers no more.
          if (!answers && !producing.running) return
          if (!answers) {
            await new Promise((resolve) => setTimeout(resolve, 50))
            continue
          }
          const base = Number(answers[0].baseOffset)
          values.forEach((value, part) => acknowledged.set(base + part, value))
          if (acknowledged.size >= wanted) void producing.kill()
        }
      })
      await Promise.all(writers)
      await producer.disconnect().catch(() => undefined)
      await broker.kill()
      broker = await serve(life === 0 ? reader : writer, zookeeper, directory, broker.port)
      await leads(broker, topic)
      const { stdout } = await succeed(where('kcat'), ['-b', broker.address, '-C', '-t', topic, '-p', '0', '-o', 'beginning', '-e', '-q', '-f', '%o %s\n'])
      const found = new Map(stdout.split('\n').slice(0, -1).map((line) => [Number(line.slice(0, line.indexOf(' '))), line.slice(line.indexOf(' ') + 1)]))
      for (const [offset, value] of acknowledged) expect(found.get(offset), `offset ${offset}`).toBe(value)
    }
    expect(acknowledged.size).toBeGreaterThanOrEqual(6000)
  })
})

/** Keyed records with a header, by an idempotent producer. */
async function produce(broker: Server, topic: string, codec: string, from: number, count: number): Promise<void> {
  const lines = Array.from({ length: count }, (_, index) => `k${(from + index) % 50}:value ${from + index} ${'y'.repeat((from + index) % 200)}\n`)
  const args = ['-b', broker.address, '-P', '-t', topic, '-p', '0', '-K', ':', '-z', codec, '-H', `codec=${codec}`, '-X', 'enable.idempotence=true', '-X', 'batch.num.messages=25']
  await succeed(where('kcat'), args, { input: lines.join('') })
}
/** Offset, timestamp, key, headers and value of every record. */
async function contents(broker: Server, topic: string): Promise<string[]> {
  await leads(broker, topic)
  const { stdout } = await succeed(where('kcat'), ['-b', broker.address, '-C', '-t', topic, '-p', '0', '-o', 'beginning', '-e', '-q', '-f', '%o %T %k %h %s\n'])
  return stdout.split('\n').slice(0, -1)
}
/** A broker answers before its controller has told it what it leads. */
async function leads(broker: Server, topic: string): Promise<void> {
  await until(`${topic} has a leader`, async () => {
    const { stdout } = await succeed(where('kcat'), ['-b', broker.address, '-L', '-J', '-t', topic])
    return (JSON.parse(stdout) as { topics: { partitions: { leader: number }[] }[] }).topics[0]?.partitions[0]?.leader === 1
  })
}
/** A killed broker's registration goes with its session. */
async function unregistered(zookeeper: Server): Promise<void> {
  const client = await ZooKeeperClient.connect(nodeHost({ logger: silentLogger }), { connect: zookeeper.address, sessionTimeoutMs: 10_000 })
  try {
    await until('the old registration has expired', async () => !(await client.exists('/brokers/ids/1')))
  } finally {
    await client.close()
  }
}
/** Apache's DumpLogSegments finds every batch valid, and every index entry where it should be. */
async function apacheApproves(directory: string): Promise<void> {
  const files = readdirSync(directory).filter((name) => /^\d{20}\.(log|index|timeindex)$/.test(name))
  const dump = async (...args: string[]) => (await succeed('java', [...smallJava, '-cp', where('apache'), 'kafka.tools.DumpLogSegments', ...args])).stdout
  const paths = (ending: string) => files.filter((name) => name.endsWith(ending)).map((name) => join(directory, name)).join(',')
  const batches = await dump('--deep-iteration', '--files', paths('.log'))
  expect(batches.match(/isvalid: true/g)?.length ?? 0).toBeGreaterThan(50)
  expect(batches).not.toMatch(/isvalid: false|Found \d+ invalid bytes/)
  // Entries are compared with the log; a mismatch is printed. The active segment of a killed broker has zeros behind its entries.
  const sealed = files.filter((name) => name.endsWith('.index')).slice(0, -1).map((name) => name.slice(0, 20))
  expect(sealed.length).toBeGreaterThan(2)
  const indexes = await dump('--verify-index-only', '--files', sealed.flatMap((base) => [join(directory, `${base}.index`), join(directory, `${base}.timeindex`)]).join(','))
  expect(indexes).not.toMatch(/[Mm]ismatch|[Oo]ut of order|not found|corrupt/)
}
