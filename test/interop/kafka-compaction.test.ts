/**
 * Compacted partitions with transactions and tombstones that both makers clean in turn: on one folder, and as replicas of one partition
 * whose leader moves between them. Apache's DumpLogSegments reads every file that is left, and our own tool says the same of each.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { CompressionTypes, type Admin, type Kafka, type Producer } from 'kafkajs'
import { afterEach, expect, test } from 'vitest'
import { Brokers } from './brokers.ts'
import { asking, kafkaAt } from './kafkajs.ts'
import { run, succeed, until } from './process.ts'
import { describeWith, smallJava, unique, where } from './programs.ts'
import { kafkaMaker, program, startKafka, startZookeeper, type Maker, type Server } from './target.ts'
import { createTopics, everyoneKnows } from './topics.ts'

const cleaning = { 'log.cleaner.backoff.ms': 200, 'log.cleaner.dedupe.buffer.size': 4_000_000, 'log.cleaner.threads': 1, 'log.segment.delete.delay.ms': 1_000, 'offsets.topic.num.partitions': 1, 'transaction.state.log.num.partitions': 1 }
const topicConfig = Object.entries({ 'cleanup.policy': 'compact', 'segment.bytes': '3000', 'min.cleanable.dirty.ratio': '0.01', 'delete.retention.ms': '500', 'index.interval.bytes': '300' }).map(([name, value]) => ({ name, value }))
const keys = Array.from({ length: 12 }, (_, index) => `key-${index}`)

const servers: Server[] = []
let brokers: Brokers | undefined
const clients: { disconnect: () => Promise<void> }[] = []
afterEach(async ({ task }) => {
  for (const client of clients.splice(0)) await client.disconnect().catch(() => {})
  if (task.result?.state === 'fail') for (const server of [...servers, ...(brokers?.servers ?? [])]) console.error(`--- ${server.maker} ${server.address}\n${server.log(40)}`)
  for (const server of servers.splice(0).reverse()) await server.dispose()
  await brokers?.dispose()
  brokers = undefined
})

/** Writes keyed records, alone and in transactions, and knows what is the newest of each key. */
class Load {
  /** Without those that were deleted. */
  readonly expected = new Map<string, string>()
  readonly #topic: string
  readonly #plain: Producer
  readonly #transactional: Producer
  #count = 0

  private constructor(topic: string, plain: Producer, transactional: Producer) {
    this.#topic = topic
    this.#plain = plain
    this.#transactional = transactional
  }
  static async start(kafka: Kafka, topic: string): Promise<Load> {
    const plain = kafka.producer({ allowAutoTopicCreation: false })
    const transactional = kafka.producer({ allowAutoTopicCreation: false, transactionalId: unique('compacted'), maxInFlightRequests: 1, idempotent: true })
    clients.push(plain, transactional)
    for (const producer of [plain, transactional]) await asking('a producer connects', () => producer.connect())
    return new Load(topic, plain, transactional)
  }
  #records(what: string) {
    return Array.from({ length: 4 }, () => {
      const number = this.#count++
      const isTombstone = number % 7 === 3
      return { partition: 0, key: keys[(number * 5) % keys.length], value: isTombstone ? null : `${what} ${number} ${'x'.repeat((number * 13) % 150)}` }
    })
  }
  #is(records: readonly { key: string; value: string | null }[]): void {
    for (const { key, value } of records) if (value === null) this.expected.delete(key)
    else this.expected.set(key, value)
  }
  async round(): Promise<void> {
    for (let turn = 0; turn < 24; turn++) {
      const plain = this.#records('plain')
      await this.#plain.send({ topic: this.#topic, acks: -1, compression: turn % 3 === 0 ? CompressionTypes.GZIP : CompressionTypes.None, messages: plain })
      this.#is(plain)
      if (turn % 4 > 1) continue
      const isCommitted = turn % 4 === 0
      const transaction = await this.#transactional.transaction()
      const records = this.#records(isCommitted ? 'committed' : 'aborted')
      await transaction.send({ topic: this.#topic, acks: -1, messages: records })
      await (isCommitted ? transaction.commit() : transaction.abort())
      if (isCommitted) this.#is(records)
    }
  }
}

async function adminOf(kafka: Kafka): Promise<Admin> {
  const admin = kafka.admin()
  clients.push(admin)
  await asking('an administrator connects', () => admin.connect())
  return admin
}
/** What a reader of everything holds in the end. */
async function view(addresses: readonly string[], topic: string, isolation: 'read_committed' | 'read_uncommitted'): Promise<Map<string, string>> {
  const { stdout } = await succeed(where('kcat'), ['-b', addresses.join(), '-C', '-t', topic, '-p', '0', '-o', 'beginning', '-e', '-q', '-X', `isolation.level=${isolation}`, '-f', '%o|%k|%S|%s\n'])
  const held = new Map<string, string>()
  let last = -1
  for (const line of stdout.split('\n').slice(0, -1)) {
    const [offset, key, size, value] = line.split('|')
    expect(Number(offset), 'offsets ascend').toBeGreaterThan(last)
    last = Number(offset)
    if (value.startsWith('aborted')) expect(isolation, line).toBe('read_uncommitted')
    else if (size === '-1') held.delete(key)
    else held.set(key, value)
  }
  return held
}
/** A tombstone in an aborted transaction cannot be told from another one by who reads uncommitted. */
async function agrees(addresses: readonly string[], topic: string, expected: ReadonlyMap<string, string>): Promise<void> {
  const sorted = (map: ReadonlyMap<string, string>) => [...map].sort()
  // A transaction that was ended is shown when its marker is written, and a new leader shows the last records a moment later.
  let committed: [string, string][] = []
  await until('what is committed is shown', async () => isDeepStrictEqual((committed = sorted(await view(addresses, topic, 'read_committed'))), sorted(expected))).catch(() => {})
  expect(committed).toEqual(sorted(expected))
  const uncommitted = await view(addresses, topic, 'read_uncommitted')
  for (const [key, value] of uncommitted) expect(value, key).toBe(expected.get(key))
}
function cleanedTo({ dataDirectory }: Server, topic: string): number {
  const path = join(dataDirectory, 'cleaner-offset-checkpoint')
  const line = existsSync(path) ? readFileSync(path, 'utf8').split('\n').find((each) => each.startsWith(`${topic} 0 `)) : undefined
  return line ? Number(line.split(' ')[2]) : 0
}
const endOf = (admin: Admin, topic: string): Promise<number> => asking(`the end of ${topic}`, async () => Number((await admin.fetchTopicOffsets(topic))[0].high))

/** Every file of these partitions: Apache's tool finds nothing wrong, and ours says the same, line by line. */
async function bothToolsRead(server: Server, topic: string, { isLast = false } = {}): Promise<string> {
  const filesOf = (partition: string, ending: RegExp) => readdirSync(join(server.dataDirectory, partition)).filter((name) => ending.test(name)).sort().map((name) => join(server.dataDirectory, partition, name))
  const internal = (name: string) => readdirSync(server.dataDirectory).filter((each) => each.startsWith(`${name}-`)).flatMap((each) => filesOf(each, /\.log$/))
  const all = filesOf(`${topic}-0`, /\.(log|index|timeindex|txnindex|snapshot)$/)
  expect(all.filter((path) => path.endsWith('.log')).length).toBeGreaterThan(1)
  const runs: [string, string[]][] = [['--print-data-log', all]]
  if (isLast) runs.push(['--index-sanity-check', all.filter((path) => path.endsWith('index') && !path.endsWith('.txnindex'))], ['--offsets-decoder', internal('__consumer_offsets')], ['--transaction-log-decoder', internal('__transaction_state')])
  let dumped = ''
  for (const [flag, files] of runs) {
    if (files.length === 0) continue
    const args = [flag, '--files', files.join()]
    const [apache, own] = [await run('java', [...smallJava, '-cp', where('apache'), 'kafka.tools.DumpLogSegments', ...args]), await run(program('kafka-dump-log.sh'), args)]
    const complaints = apache.stderr.split('\n').filter((line) => !line.startsWith('log4j:'))
    // It tells of every gap, which compaction makes, and of time index entries for batches that compaction has emptied, its own too.
    expect([apache.code, complaints.filter((line) => line !== '' && !/^Non-consecutive offsets in |^ {2}\d+ is followed by \d+$|^Found timestamp mismatch in |^ {2}Index timestamp: \d+, log timestamp: -1$/.test(line))], `Apache's tool, ${flag}`).toEqual([0, []])
    expect([own.code, own.stderr.split('\n')]).toEqual([0, complaints])
    expect(own.stdout.split('\n')).toEqual(apache.stdout.split('\n'))
    dumped += apache.stdout
  }
  expect(dumped).not.toMatch(/isvalid: false|invalid bytes|skipping\./)
  return dumped
}
/** Where the first cleaning of this partition began since the log said `since` characters. */
function firstCleaned(server: Server, topic: string, since: number): number | undefined {
  const news = server.log().slice(since)
  const found = server.maker === 'apache' ? new RegExp(`Building offset map for log ${topic}-0 for \\d+ segments in offset range \\[(\\d+),`).exec(news) : new RegExp(`compacted .*partition=${topic}-0 from=(\\d+)`).exec(news)
  return found ? Number(found[1]) : undefined
}

const turns: readonly Maker[] = kafkaMaker === 'apache' ? ['apache', 'apache', 'apache'] : ['ottla', 'apache', 'ottla']
describeWith(['apache', 'kcat'], 'compacted partitions of both makers', () => {
  test(`${turns.join(', then ')} clean on one folder`, async () => {
    const zookeeper = await startZookeeper()
    servers.push(zookeeper)
    const topic = unique('compacted')
    let server: Server | undefined
    let load: Load | undefined
    let admin: Admin | undefined
    for (const [turn, maker] of turns.entries()) {
      const isLast = turn === turns.length - 1
      const before = server && cleanedTo(server, topic)
      server = await startKafka({ maker, zookeeper: zookeeper.address, config: cleaning, ...(server && { directory: server.directory, port: server.port }) })
      servers.push(server)
      const kafka = kafkaAt([server.address])
      admin ??= await adminOf(kafka)
      if (!load) await createTopics(admin, [server.address], { topic, numPartitions: 1, configEntries: topicConfig })
      load ??= await Load.start(kafka, topic)
      const since = server.log().lastIndexOf('--- ')
      await everyoneKnows([server.address], topic)
      const begin = await endOf(admin, topic)
      await load.round()
      const now = server
      // All but the active segment is cleaned, what this maker wrote among it.
      await until(`${maker} cleans ${topic} beyond ${begin}`, () => cleanedTo(now, topic) > begin)
      if (before !== undefined) expect(firstCleaned(server, topic, since), `${maker} goes on where the other one has ended`).toBe(before)
      await agrees([server.address], topic, load.expected)
      await server.stop()
      const dumped = await bothToolsRead(server, topic, { isLast })
      expect(dumped).toMatch(/deleteHorizonMs: OptionalLong\[\d+\]/)
      if (isLast) expect(dumped).toContain('transaction_metadata::transactionalId=compacted')
    }
  })

  test('replicas of one partition are cleaned by each maker while its leader moves', async () => {
    const cluster = (brokers = await Brokers.start([kafkaMaker], kafkaMaker === 'apache' ? ['apache', 'apache'] : ['ottla', 'apache'], { sessionTimeoutMs: 30_000, config: { ...cleaning, 'offsets.topic.replication.factor': 2, 'transaction.state.log.replication.factor': 2 } }))
    const topic = unique('compacted')
    const kafka = kafkaAt(cluster.addresses)
    const admin = await adminOf(kafka)
    await cluster.create({ topic, replicaAssignment: [{ partition: 0, replicas: [1, 2] }], configEntries: topicConfig })
    const load = await Load.start(kafka, topic)
    for (const id of [1, 2]) {
      await load.round()
      await cluster.inSync(topic, '__transaction_state')
      const end = (await endOf(admin, topic)) - 40
      await until('both brokers have cleaned it', () => cluster.servers.every((server) => cleanedTo(server, topic) > end))
      const leader = cluster.server(id)
      expect(cluster.id(await cluster.leader(topic))).toBe(id)
      await leader.stop()
      // The other one leads, with what it has cleaned itself; it hears of that a moment later.
      const next = await until('the other broker leads', async () => {
        const found = await cluster.leader(topic)
        return found !== leader && found
      })
      await agrees([next.address], topic, load.expected)
      await load.round()
      await bothToolsRead(leader, topic)
      await cluster.revive(leader)
      await cluster.inSync(topic, '__transaction_state')
    }
    await agrees(cluster.addresses, topic, load.expected)
  })
})
