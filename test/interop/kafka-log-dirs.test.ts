/** A log directory that fails under a running broker, and then its last one: what is left goes on, what is lost is named and comes back. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ConfigResourceTypes, type Admin, type Producer } from 'kafkajs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { asking, kafkaAt } from './kafkajs.ts'
import { run, until } from './process.ts'
import { describeWith, smallJava, unique, where } from './programs.ts'
import { disposeOf, program, startKafka, startZookeeper, type Server } from './target.ts'
import { createTopics, viewOf } from './topics.ts'

describeWith(['apache'], 'a broker with two log directories', () => {
  const base = mkdtempSync(join(tmpdir(), 'ottla-interop-log-dirs-'))
  const folders = ['a', 'b'].map((name) => join(base, name))
  const topics = Array.from({ length: 4 }, () => unique('kept'))
  let zookeeper: Server
  let one: Server
  let two: Server
  let admin: Admin
  let producer: Producer
  disposeOf(() => [one, two, zookeeper])
  beforeAll(async () => {
    zookeeper = await startZookeeper({ config: { maxSessionTimeout: 20_000 } })
    // Leaders move because of their folders, not because a broker stood still.
    const config = { 'zookeeper.session.timeout.ms': 20_000, 'log.segment.bytes': 20_000, 'log.flush.offset.checkpoint.interval.ms': 500, 'auto.leader.rebalance.enable': false, 'controlled.shutdown.retry.backoff.ms': 500 }
    ;[one, two] = await Promise.all([
      startKafka({ zookeeper: zookeeper.address, config: { ...config, 'broker.id': 1, 'log.dirs': folders.join() } }),
      startKafka({ zookeeper: zookeeper.address, config: { ...config, 'broker.id': 2 } }),
    ])
    const kafka = kafkaAt([two.address, one.address])
    admin = kafka.admin()
    producer = kafka.producer({ allowAutoTopicCreation: false })
    for (const client of [admin, producer]) await asking('a client connects', () => client.connect())
    await createTopics(admin, [one.address, two.address], ...topics.map((topic) => ({ topic, replicaAssignment: [{ partition: 0, replicas: [1, 2] }] })))
  })
  afterAll(async () => {
    await producer?.disconnect()
    await admin?.disconnect()
    rmSync(base, { recursive: true, force: true })
  })

  /** As the broker tells it that stays; undefined while it does not answer. */
  const state = async (topic: string): Promise<string | undefined> => {
    const partition = (await viewOf(two.address, [topic]))?.topics[0]?.partitions[0]
    return partition && `${partition.leaderId} of ${partition.isrNodes.toSorted().join()}`
  }
  const endOf = (topic: string): Promise<number> => asking(`the end of ${topic}`, async () => Number((await admin.fetchTopicOffsets(topic))[0].high))
  const becomes = (topic: string, wanted: string): Promise<boolean> => until(`${topic} is led by ${wanted}`, async () => (await state(topic)) === wanted)
  const inFolder = (folder: string): string[] => topics.filter((topic) => readdirSync(folder).includes(`${topic}-0`))
  let sent = 0
  /** Enough for a segment to come to its end. What is repeated after an error may be there twice. */
  async function produce(): Promise<void> {
    for (let round = 0; round < 8; round++, sent++) for (const topic of topics) await producer.send({ topic, acks: -1, messages: [{ value: `${sent} ${'x'.repeat(5_000)}` }] })
  }
  const told = async (): Promise<string[]> => {
    const tools = [
      await run('java', [...smallJava, '-cp', where('apache'), 'org.apache.kafka.tools.LogDirsCommand', '--bootstrap-server', two.address, '--describe', '--broker-list', '1']),
      await run(program('kafka-log-dirs.sh'), ['--bootstrap-server', two.address, '--describe', '--broker-list', '1']),
    ]
    return tools.map(({ stdout }) => {
      const { brokers } = JSON.parse(stdout.split('\n').find((line) => line.startsWith('{'))!) as { brokers: { logDirs: { logDir: string; error: string | null }[] }[] }
      return brokers[0].logDirs.map(({ logDir, error }) => `${logDir.slice(base.length)} ${error === null ? 'works' : /KafkaStorageException|KAFKA_STORAGE_ERROR/.test(error) ? 'has failed' : error}`).sort().join()
    })
  }

  test('moves a replica from one to the other while another broker gets a copy, throttled on both ways, by either tool', async () => {
    const topic = unique('moved')
    await createTopics(admin, [one.address, two.address], { topic, replicaAssignment: [{ partition: 0, replicas: [1] }], configEntries: [{ name: 'segment.bytes', value: '1000000' }] })
    for (let index = 0; index < 4; index++) await producer.send({ topic, acks: -1, messages: [{ value: 'v'.repeat(900_000) }] })
    const isIn = (folder: string): boolean => readdirSync(folder).includes(`${topic}-0`)
    const target = folders.find((folder) => !isIn(folder))!
    const file = join(base, 'wish.json')
    writeFileSync(file, JSON.stringify({ version: 1, partitions: [{ topic, partition: 0, replicas: [1, 2], log_dirs: [target, 'any'] }] }))
    const both = ['--bootstrap-server', two.address, '--reassignment-json-file', file]
    const theirs = async (...args: string[]): Promise<string> => {
      const { stdout, stderr, code } = await run('java', [...smallJava, '-cp', where('apache'), 'org.apache.kafka.tools.reassign.ReassignPartitionsCommand', ...both, ...args])
      expect(code, stdout + stderr).toBe(0)
      return stdout
    }
    const ours = async (...args: string[]): Promise<string> => (await run(program('kafka-reassign-partitions.sh'), [...both, ...args])).stdout
    const throttles = async (): Promise<string[]> => {
      const { resources } = await asking('configurations', () => admin.describeConfigs({ includeSynonyms: false, resources: [...['1', '2'].map((name) => ({ type: ConfigResourceTypes.BROKER, name })), { type: ConfigResourceTypes.TOPIC, name: topic }] }))
      return resources.flatMap(({ resourceName, configEntries }) => configEntries.filter(({ configName, configValue }) => /throttled|alter.log.dirs.io/.test(configName) && configValue && !/^9223372036854775807$/.test(configValue)).map(({ configName, configValue }) => `${resourceName.slice(0, 5)} ${configName} ${configValue}`)).sort()
    }
    /** Brokers hear of a change of theirs some time after it was answered. */
    const throttledBy = async (...wanted: string[]): Promise<void> => {
      let found: string[] = []
      await until('the throttles', async () => (found = await throttles()).join() === wanted.join()).catch(() => {})
      expect(found).toEqual(wanted)
    }
    const started = await theirs('--execute', '--throttle', '1000', '--replica-alter-log-dirs-throttle', '2000')
    for (const line of ['The inter-broker throttle limit was set to 1000 B/s', 'The replica-alter-dir throttle limit was set to 2000 B/s', `Successfully started partition reassignment for ${topic}-0`, `Successfully started moving log directory to ${target} for replica ${topic}-0 with broker 1`]) expect(started).toContain(line)
    const under = await ours('--verify')
    expect(under).toBe(await theirs('--verify'))
    expect(under).toContain(`Reassignment of partition ${topic}-0 is still in progress.`)
    expect(under).toMatch(new RegExp(`Reassignment of replica ${topic}-0-1 is still in progress`))
    expect(isIn(target)).toBe(false)
    await throttledBy(...[
      ...[1, 2].flatMap((id) => [`${id} follower.replication.throttled.rate 1000`, `${id} leader.replication.throttled.rate 1000`]), '1 replica.alter.log.dirs.io.max.bytes.per.second 2000',
      'moved follower.replication.throttled.replicas 0:2', 'moved leader.replication.throttled.replicas 0:1',
    ].sort())
    expect(await ours('--execute', '--additional', '--throttle', '100000000', '--replica-alter-log-dirs-throttle', '100000000')).toContain('The replica-alter-dir throttle limit was set to 100000000 B/s')
    await until('it has moved', () => isIn(target))
    await becomes(topic, '1 of 1,2')
    await until('the move is known to be over', async () => (await ours('--verify', '--preserve-throttles')).includes(`Reassignment of replica ${topic}-0-1 completed successfully.`))
    const preserved = await theirs('--verify', '--preserve-throttles')
    expect(await ours('--verify', '--preserve-throttles')).toBe(preserved)
    await until('all throttles are there', async () => (await throttles()).length === 7)
    expect(await ours('--verify')).toContain('Clearing broker-level throttles on brokers 1,2')
    await throttledBy()
  })

  test('loses one: others lead what lay there, the broker goes on with the rest, tools show the error; it comes back with the folder', async () => {
    await produce()
    for (const topic of topics) await becomes(topic, '1 of 1,2')
    const [well, lost] = folders.map(inFolder)
    expect([well.length, lost.length]).toEqual([2, 2])
    expect(await told()).toEqual(['/a works,/b works', '/a works,/b works'])
    rmSync(folders[1], { recursive: true })
    await produce()
    for (const topic of lost) await becomes(topic, '2 of 2')
    for (const topic of well) await becomes(topic, '1 of 1,2')
    expect(await told()).toEqual(['/a works,/b has failed', '/a works,/b has failed'])
    await produce()
    await one.stop()
    mkdirSync(folders[1])
    await one.start()
    await until('all replicas are in sync', async () => (await Promise.all(topics.map(state))).every((told) => told?.endsWith(' of 1,2')))
    await produce()
    for (const topic of topics) expect(await endOf(topic)).toBeGreaterThanOrEqual(sent)
  })

  test('loses the last: it stops by itself, and the other broker has everything', async () => {
    for (const folder of folders) rmSync(folder, { recursive: true })
    const gone = one.exited()
    await produce()
    expect(await gone).toBe(1)
    for (const topic of topics) await becomes(topic, '2 of 2')
    await produce()
    for (const topic of topics) expect(await endOf(topic)).toBeGreaterThanOrEqual(sent)
  })
})
