/** Our tools for clusters beside Apache's: the same cluster of three brokers, whole and with one of them dead, the same output and exit code. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import type { Kafka, Transaction } from 'kafkajs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { asking, kafkaAt } from './kafkajs.ts'
import { describeWith, smallJava, where } from './programs.ts'
import { run, runUntil, succeed, until } from './process.ts'
import { disposeOf, program, startKafka, startZookeeper, type Server } from './target.ts'
import { everyoneKnows, viewOf } from './topics.ts'

const apacheClass = {
  'kafka-topics': 'org.apache.kafka.tools.TopicCommand',
  'kafka-configs': 'kafka.admin.ConfigCommand',
  'kafka-consumer-groups': 'org.apache.kafka.tools.consumer.group.ConsumerGroupCommand',
  'kafka-leader-election': 'org.apache.kafka.tools.LeaderElectionCommand',
  'kafka-log-dirs': 'org.apache.kafka.tools.LogDirsCommand',
  'kafka-transactions': 'org.apache.kafka.tools.TransactionsCommand',
  'kafka-delete-records': 'org.apache.kafka.tools.DeleteRecordsCommand',
  'kafka-get-offsets': 'org.apache.kafka.tools.GetOffsetShell',
  'kafka-broker-api-versions': 'kafka.admin.BrokerApiVersionsCommand',
} as const
type Tool = keyof typeof apacheClass

describeWith(['apache'], "our tools beside Apache's, on a cluster", () => {
  let zookeeper: Server
  const brokers: Server[] = []
  let kafka: Kafka
  let transaction: Transaction
  beforeAll(async () => {
    zookeeper = await startZookeeper({ config: { maxSessionTimeout: 20_000 } })
    for (const id of [0, 1, 2])
      brokers.push(await startKafka({ zookeeper: zookeeper.address, config: { 'broker.id': id, 'zookeeper.session.timeout.ms': 15_000, 'broker.rack': `r${id}`, 'offsets.topic.replication.factor': 3, 'offsets.topic.num.partitions': 3, 'transaction.state.log.num.partitions': 3, 'transaction.state.log.replication.factor': 3, 'auto.leader.rebalance.enable': false } }))
    const create = (topic: string, assignment: string, ...configs: string[]) => succeed(program('kafka-topics.sh'), [...server(), '--create', '--topic', topic, '--replica-assignment', assignment, ...configs.flatMap((config) => ['--config', config])])
    await create('three', '0:1:2,1:2:0,2:0:1', 'min.insync.replicas=3')
    await create('two', '0:1,2:1', 'min.insync.replicas=1')
    await create('one', '0,2')
    await create('plain', '0:1:2', 'min.insync.replicas=2')
    for (const topic of ['three', 'two', 'one', 'plain']) await everyoneKnows(brokers.map(({ address }) => address), topic)
    kafka = kafkaAt(brokers.map(({ address }) => address))
    const producer = kafka.producer({ transactionalId: 'till', idempotent: true, maxInFlightRequests: 1, transactionTimeout: 600_000 })
    await asking('a producer connects', () => producer.connect())
    const before = await producer.transaction()
    await before.send({ topic: 'three', messages: Array.from({ length: 30 }, (_, index) => ({ partition: index % 3, value: `${index}`, timestamp: String(1_000_000_000_000 + index * 1000) })) })
    await before.commit()
    transaction = await producer.transaction()
    await transaction.send({ topic: 'plain', messages: [{ partition: 0, value: 'open' }] })
    const consumer = kafka.admin()
    await asking('offsets are set', async () => {
      await consumer.connect()
      await consumer.setOffsets({ groupId: 'g', topic: 'three', partitions: [{ partition: 0, offset: '4' }, { partition: 1, offset: '2' }] })
    })
    await consumer.disconnect()
  })
  disposeOf(() => [...brokers, zookeeper])
  // Of the hooks after all tests the last comes first: without brokers a client would ask for minutes.
  afterAll(async () => {
    await transaction?.abort().catch(() => {})
  })

  const server = () => ['--bootstrap-server', brokers.slice(0, 2).map(({ address }) => address).join()]
  const ours = (tool: Tool, args: readonly string[]) => run(program(`${tool}.sh`), args)
  const theirs = (tool: Tool, args: readonly string[]) => run('java', [...smallJava, '-cp', where('apache'), apacheClass[tool], ...args])
  /** Apache's order of rows is that of a hash table; a topic's configurations too. */
  const sorted = (text: string): string[] => text.replace(/\n+$/, '').split('\n').map((line) => line.replace(/\tConfigs: (.*)$/, (_, configs: string) => `\tConfigs: ${configs.split(',').sort().join()}`)).sort()
  async function same(tool: Tool, ...args: string[]): Promise<string> {
    const [own, apache] = await Promise.all([ours(tool, [...server(), ...args]), theirs(tool, [...server(), ...args])])
    expect([own.code, sorted(own.stdout)], `${tool} ${args.join(' ')}\n${own.stderr}\n${apache.stderr}`).toEqual([apache.code, sorted(apache.stdout)])
    return own.stdout
  }
  /** Waits until these brokers tell the same of every topic: a tool asks one of them, another tool another one. */
  const agreed = (those: readonly Server[]): Promise<boolean> => until('brokers tell the same', async () => {
    const views = await Promise.all(those.map(async ({ address }) =>
      (await viewOf(address, ['three', 'two', 'one', 'plain', '__consumer_offsets', '__transaction_state']))?.topics.map(({ name, partitions }) =>
        [name, partitions.map(({ partitionIndex, leaderEpoch, leaderId, isrNodes }) => `${partitionIndex} ${leaderEpoch} ${leaderId} ${isrNodes.toSorted().join()}`).sort()])))
    return views.every((view) => view !== undefined && isDeepStrictEqual(view, views[0]))
  })
  const file = (name: string, content: string): string => {
    const path = join(zookeeper.directory, name)
    writeFileSync(path, content)
    return path
  }

  test('elections, transactions and offsets', async () => {
    await same('kafka-leader-election', '--election-type', 'preferred', '--path-to-json-file', file('elect.json', '{"partitions":[{"topic":"three","partition":0}]}'))
    expect(await same('kafka-transactions', 'list')).toMatch(/^till +\t\d +\t\d+ +\tOngoing/m)
    expect(await same('kafka-transactions', 'describe-producers', '--topic', 'plain', '--partition', '0')).toMatch(/\t0 +\t\n$/)
    await same('kafka-transactions', 'find-hanging', '--broker-id', '0', '--max-transaction-timeout', '-1')
    await same('kafka-transactions', 'abort', '--topic', 'plain', '--partition', '0', '--start-offset', '9')
    await same('kafka-get-offsets', '--topic-partitions', 'three:0-2,two:,one:1', '--time', 'earliest')
    await same('kafka-get-offsets', '--topic', 'three', '--time', '1000000010000')
    await same('kafka-get-offsets', '--exclude-internal-topics', '--time', 'max-timestamp')
  })

  test('configurations, set by either', async () => {
    const topic = ['--entity-type', 'topics', '--entity-name', 'one']
    for (const [set, look] of [[ours, theirs], [theirs, ours]] as const) {
      expect((await set('kafka-configs', [...server(), '--alter', ...topic, '--add-config', 'retention.ms=1000000,follower.replication.throttled.replicas=[0:0,1:2]'])).stdout).toBe('Completed updating config for topic one.\n')
      expect((await look('kafka-configs', [...server(), '--describe', ...topic])).stdout).toContain('  follower.replication.throttled.replicas=0:0,1:2 sensitive=false synonyms={DYNAMIC_TOPIC_CONFIG:follower.replication.throttled.replicas=0:0,1:2}\n')
    }
    await same('kafka-configs', '--describe', ...topic)
    await same('kafka-configs', '--describe', '--topic', 'three', '--all')
    await succeed(program('kafka-configs.sh'), [...server(), '--alter', '--broker', '2', '--add-config', 'leader.replication.throttled.rate=50000000'])
    await succeed(program('kafka-configs.sh'), [...server(), '--alter', '--broker-defaults', '--add-config', 'follower.replication.throttled.rate=60000000'])
    // What either tool is told depends on the broker it asks, which hears of a change of the others' some time after it was answered.
    const changed = 'DYNAMIC_DEFAULT_BROKER_CONFIG:follower.replication.throttled.rate=60000000'
    let unlike: unknown
    await until('all brokers have heard', async () => (await same('kafka-configs', '--describe', '--entity-type', 'brokers').catch((error: unknown) => ((unlike = error), ''))).includes(changed)).catch((cause: unknown) => {
      throw unlike ?? cause
    })
    await same('kafka-configs', '--alter', ...topic, '--delete-config', 'segment.ms')
    const [own, apache] = [await ours('kafka-log-dirs', [...server(), '--describe', '--topic-list', 'three,one']), await theirs('kafka-log-dirs', [...server(), '--describe', '--topic-list', 'three,one'])]
    const places = ({ stdout }: { stdout: string }): string[] => {
      const [, , json] = stdout.split('\n')
      const { brokers: all } = JSON.parse(json) as { brokers: { broker: number; logDirs: { logDir: string; partitions: object[] }[] }[] }
      return all.flatMap(({ broker, logDirs }) => logDirs.flatMap(({ logDir, partitions }) => partitions.map((each) => JSON.stringify([broker, logDir, each])))).sort()
    }
    expect(places(own)).toEqual(places(apache))
    expect(places(own)).toHaveLength(11)
  })

  test('offsets of a group are reset and deleted, records are deleted', async () => {
    /** 3.9 forgets to end its lines: what counts is what stands between the blanks. */
    const words = (text: string): string[] => text.replace(/NEW-OFFSET/, '').trim().split(/\s+/).sort()
    for (const args of [
      ['--all-topics', '--to-latest'], ['--topic', 'three:1', '--shift-by', '-1'],
      ['--topic', 'three', '--to-datetime', '2001-09-09T01:46:50.000'], ['--topic', 'three', '--to-current', '--export'],
    ]) {
      const argv = [...server(), '--reset-offsets', '--group', 'g', '--dry-run', ...args]
      const [own, apache] = await Promise.all([ours('kafka-consumer-groups', argv), theirs('kafka-consumer-groups', argv)])
      expect([own.code, words(own.stdout)], args.join(' ')).toEqual([apache.code, words(apache.stdout)])
    }
    await succeed(program('kafka-consumer-groups.sh'), [...server(), '--reset-offsets', '--group', 'g', '--topic', 'three', '--to-offset', '6', '--execute'])
    await succeed(program('kafka-consumer-groups.sh'), [...server(), '--delete-offsets', '--group', 'g', '--topic', 'three:2'])
    expect((await theirs('kafka-consumer-groups', [...server(), '--describe', '--group', 'g'])).stdout.match(/three +\d +6 /g)).toHaveLength(2)
    expect(await same('kafka-delete-records', '--offset-json-file', file('delete.json', '{"partitions":[{"topic":"three","partition":0,"offset":3}],"version":1}'))).toContain('partition: three-0\tlow_watermark: 3\n')
  })

  test('all replicas are found to be alike by both', async () => {
    const args = ['--broker-list', brokers[0].address, '--topics-include', 'three,plain', '--time', '-2', '--report-interval-ms', '500']
    const enough = /max lag is 0 for partition \S+ at offset \d+ among 4 partitions\n/
    const told = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}: verification process is started\n(?:\S+ \S+: max lag is \d+ for partition \S+ at offset \d+ among 4 partitions\n)*\S+ \S+: max lag is 0 for partition \S+ at offset \d+ among 4 partitions\n$/
    const own = await runUntil(enough, program('kafka-replica-verification.sh'), args)
    const apache = await runUntil(enough, 'java', [...smallJava, '-cp', where('apache'), 'org.apache.kafka.tools.ReplicaVerificationTool', ...args])
    expect(own.stdout).toMatch(told)
    expect(apache.stdout).toMatch(told)
  })

  test('with one broker dead, every filter of --describe shows the same partitions; it returns, and its leaderships too', async () => {
    await brokers[2].kill()
    const underReplicated = async () => (await ours('kafka-topics', [...server(), '--describe', '--under-replicated-partitions', '--exclude-internal'])).stdout.trim().split('\n').length
    // three 0–2, two 1 and plain 0 lack a copy; one 1 has no leader, and what was in sync last is still its only replica.
    await until('the dead broker has left every ISR', async () => (await underReplicated()) === 5)
    await until('the last partition of the dead broker is offline', async () => (await ours('kafka-topics', [...server(), '--describe', '--unavailable-partitions'])).stdout.includes('\tTopic: one\tPartition: 1\tLeader: none'))
    await agreed(brokers.slice(0, 2))
    expect(await same('kafka-topics', '--describe', '--under-replicated-partitions', '--exclude-internal')).toMatch(/^(?:\tTopic: .*\n){5}$/)
    expect(await same('kafka-topics', '--describe', '--unavailable-partitions')).toMatch(/^\tTopic: one\tPartition: 1\tLeader: none\t.*\n$/)
    expect(await same('kafka-topics', '--describe', '--under-min-isr-partitions')).toMatch(/^\tTopic: one\tPartition: 1\t.*\n(?:\tTopic: three\t.*\n){3}$/)
    expect(await same('kafka-topics', '--describe', '--at-min-isr-partitions', '--exclude-internal')).toContain('\tTopic: plain\tPartition: 0\t')
    await same('kafka-topics', '--describe')
    const offline = await theirs('kafka-leader-election', [...server(), '--election-type', 'preferred', '--topic', 'three', '--partition', '2'])
    const own = await ours('kafka-leader-election', [...server(), '--election-type', 'preferred', '--topic', 'three', '--partition', '2'])
    const error = ({ stdout }: { stdout: string }): string | undefined => /^(Error completing leader election \(PREFERRED\) for partition: three-2: \S+Exception): /.exec(stdout)?.[1]
    expect([own.code, error(own)]).toEqual([offline.code, error(offline)])
    expect(error(own)).toContain('PreferredLeaderNotAvailableException')

    await brokers[2].start()
    await until('it is in every ISR again', async () => (await underReplicated()) === 1 && (await ours('kafka-topics', [...server(), '--describe', '--under-replicated-partitions'])).stdout === '')
    await agreed(brokers)
    const back = await ours('kafka-leader-election', [...server(), '--election-type', 'preferred', '--all-topic-partitions'])
    expect([back.code, back.stdout]).toEqual([0, expect.stringMatching(/^Successfully completed leader election \(PREFERRED\) for partitions .*three-2/)])
    await agreed(brokers)
    expect((await theirs('kafka-topics', [...server(), '--describe', '--topic', 'three'])).stdout).toMatch(/Partition: 2\tLeader: 2\t/)
  })
})
