import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Kafka, logLevel } from 'kafkajs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { javaException } from '../../src/cli/java-exception.ts'
import { kafkaBrokerApiVersions } from '../../src/cli/kafka-broker-api-versions.ts'
import { kafkaConfigs, parseConfigs } from '../../src/cli/kafka-configs.ts'
import { kafkaConsumerGroups } from '../../src/cli/kafka-consumer-groups.ts'
import { kafkaDeleteRecords } from '../../src/cli/kafka-delete-records.ts'
import { kafkaGetOffsets } from '../../src/cli/kafka-get-offsets.ts'
import { kafkaLeaderElection } from '../../src/cli/kafka-leader-election.ts'
import { kafkaLogDirs } from '../../src/cli/kafka-log-dirs.ts'
import { kafkaTools } from '../../src/cli/kafka-tools.ts'
import { kafkaTopics } from '../../src/cli/kafka-topics.ts'
import { kafkaTransactions } from '../../src/cli/kafka-transactions.ts'
import { parseDateTime, parseDuration } from '../../src/cli/offset-reset.ts'
import type { Tool } from '../../src/cli/tool.ts'
import { errors } from '../../src/kafka/protocol/errors.ts'
import { Ottla } from '../../src/ottla.ts'
import { runTool, type ToolRan } from './tool-run.ts'

let ottla: Ottla
let kafka: Kafka
beforeAll(async () => {
  ottla = await Ottla.start()
  kafka = new Kafka({ brokers: [ottla.bootstrapServers], connectionTimeout: 30_000, logLevel: logLevel.NOTHING })
})
afterAll(() => ottla.stop())

const server = (): string[] => ['--bootstrap-server', ottla.bootstrapServers]
const run = (tool: Tool, ...argv: string[]): Promise<ToolRan> => runTool(tool, [...server(), ...argv])
const ok = { code: 0, err: '' }
async function topicWith(name: string, counts: readonly number[]): Promise<void> {
  expect(await run(kafkaTopics, '--create', '--topic', name, '--partitions', String(counts.length))).toMatchObject(ok)
  const producer = kafka.producer()
  await producer.connect()
  for (const [partition, count] of counts.entries())
    if (count > 0) await producer.send({ topic: name, messages: Array.from({ length: count }, (_, index) => ({ partition, value: `${index}`, timestamp: String(1_000_000_000_000 + index * 1000) })) })
  await producer.disconnect()
}

describe('kafka-leader-election.sh', () => {
  const election = (...argv: string[]): Promise<ToolRan> => run(kafkaLeaderElection, ...argv)
  test('leaders that are the preferred ones stay; a partition that is not there is named with its error', async () => {
    await topicWith('elected', [0, 0])
    expect(await election('--election-type', 'preferred', '--topic', 'elected', '--partition', '0')).toEqual({ ...ok, out: 'Valid replica already elected for partitions elected-0\n' })
    expect(await election('--election-type', 'unclean', '--topic', 'elected', '--partition', '1')).toEqual({ ...ok, out: 'Valid replica already elected for partitions elected-1\n' })
    expect(await election('--election-type', 'preferred', '--all-topic-partitions')).toEqual({ ...ok, out: '' })
    expect(await election('--election-type', 'preferred', '--topic', 'elected', '--partition', '9')).toEqual({
      code: 1,
      out: expect.stringMatching(/^Error completing leader election \(PREFERRED\) for partition: elected-9: org\.apache\.kafka\.common\.errors\.UnknownTopicOrPartitionException: .+\n$/),
      err: '1 replica(s) could not be elected\n',
    })
  })
  test('a file of partitions, and what is wrong in one', async () => {
    const file = (content: string): string => {
      const path = join(ottla.dataDir, 'election.json')
      writeFileSync(path, content)
      return path
    }
    const of = (content: string): Promise<ToolRan> => election('--election-type', 'preferred', '--path-to-json-file', file(content))
    expect((await of('{"partitions":[{"topic":"elected","partition":0},{"topic":"elected","partition":1}]}')).out).toBe('Valid replica already elected for partitions elected-0, elected-1\n')
    expect((await of('{"partitions":[{"topic":"a","partition":0},{"topic":"a","partition":0}]}')).err).toBe('Replica election data contains duplicate partitions: [a-0]\n')
    expect((await of('{}')).err).toBe('Replica election data is missing "partitions" field\n')
    expect((await of('{')).err).toMatch(/is no JSON/)
    expect((await of('{"partitions":[{"topic":"a"}]}')).err).toMatch(/does not name a "topic" and a "partition"/)
  })
  test.each([
    [['--election-type', 'foo', '--all-topic-partitions'], "Cannot parse argument 'foo' of option election-type"],
    [['--topic', 'a', '--partition', '0'], 'Missing required option(s): election-type'],
    [['--election-type', 'preferred', '--topic', 'a'], 'Missing required option(s): partition'],
    [['--election-type', 'preferred'], 'One and only one of the following options is required: topic, all-topic-partitions, path-to-json-file'],
    [['--election-type', 'preferred', '--all-topic-partitions', '--topic', 'a', '--partition', '0'], 'One and only one'],
    [['--election-type', 'preferred', '--all-topic-partitions', '--partition', '0'], 'Option partition is only allowed if topic is used'],
  ])('%j is refused', async (argv, words) => {
    expect(await election(...argv)).toEqual({ code: 1, out: '', err: expect.stringContaining(words) })
  })
})

test('kafka-log-dirs.sh shows the directories of the brokers as JSON', async () => {
  await topicWith('measured', [3, 0])
  const { code, out } = await run(kafkaLogDirs, '--describe', '--topic-list', 'measured')
  const lines = out.split('\n')
  expect([code, ...lines.slice(0, 2)]).toEqual([0, 'Querying brokers for log directories information', 'Received log directory information from brokers 0'])
  const { brokers, version } = JSON.parse(lines[2]) as { version: number; brokers: { broker: number; logDirs: { logDir: string; error: null; partitions: { partition: string; size: number }[] }[] }[] }
  expect([version, brokers[0].broker, brokers[0].logDirs[0].logDir, brokers[0].logDirs[0].error]).toEqual([1, 0, join(ottla.dataDir, 'kafka'), null])
  const sizes = new Map(brokers[0].logDirs[0].partitions.map(({ partition, size }) => [partition, size]))
  expect([...sizes.keys()].sort()).toEqual(['measured-0', 'measured-1'])
  expect([sizes.get('measured-0')! > 0, sizes.get('measured-1')]).toEqual([true, 0])
  expect((await run(kafkaLogDirs, '--describe', '--broker-list', '0,7')).err).toBe('ERROR: The given brokers do not exist from --broker-list: 7. Current existent brokers: 0\n')
  expect((await run(kafkaLogDirs, '--describe', '--broker-list', 'x')).err).toMatch(/^For input string: "x"/)
  expect((await run(kafkaLogDirs)).err).toMatch(/^Missing required argument "\[describe\]"/)
})

describe('kafka-transactions.sh', () => {
  test('an open transaction is listed, described, seen in its partition, and aborted', async () => {
    await topicWith('paid', [0])
    const producer = kafka.producer({ transactionalId: 'till-1', maxInFlightRequests: 1, idempotent: true })
    await producer.connect()
    const transaction = await producer.transaction()
    await transaction.send({ topic: 'paid', messages: [{ partition: 0, value: 'x' }] })
    const rows = async (...argv: string[]): Promise<string[][]> => {
      const { code, out, err } = await run(kafkaTransactions, ...argv)
      expect([code, err]).toEqual([0, ''])
      return out.slice(0, -1).split('\n').map((line) => line.split('\t').map((cell) => cell.trim()).slice(0, -1))
    }
    const listed = await rows('list')
    expect(listed[0]).toEqual(['TransactionalId', 'Coordinator', 'ProducerId', 'TransactionState'])
    const [, coordinator, producerId] = listed.find(([id]) => id === 'till-1')!
    expect(listed).toContainEqual(['till-1', '0', producerId, 'Ongoing'])
    expect(await rows('list', '--duration-filter', '600000')).toHaveLength(1)
    const [head, described] = await rows('describe', '--transactional-id', 'till-1')
    expect(head.slice(0, 6)).toEqual(['CoordinatorId', 'TransactionalId', 'ProducerId', 'ProducerEpoch', 'TransactionState', 'TransactionTimeoutMs'])
    expect([described[0], described[1], described[2], described[4], described[8]]).toEqual([coordinator, 'till-1', producerId, 'Ongoing', 'paid-0'])
    expect((await rows('describe-producers', '--topic', 'paid', '--partition', '0'))[1]).toMatchObject({ 0: producerId, 5: '0' })
    // It is its coordinator's business, so it does not hang.
    expect(await rows('find-hanging', '--topic', 'paid', '--max-transaction-timeout', '-1')).toHaveLength(1)
    expect(await run(kafkaTransactions, 'abort', '--topic', 'paid', '--partition', '0', '--start-offset', '9')).toEqual({ code: 1, out: '', err: 'Could not find any open transactions starting at offset 9 on partition paid-0\n' })
    expect(await run(kafkaTransactions, 'abort', '--topic', 'paid', '--partition', '0', '--start-offset', '0')).toEqual({ ...ok, out: '' })
    expect((await rows('describe-producers', '--topic', 'paid', '--partition', '0'))[1]).toMatchObject({ 0: producerId, 5: 'None' })
    await transaction.abort()
    await producer.disconnect()
  })
  test.each([
    [[], 'error: too few arguments'],
    [['lits'], "invalid choice: 'lits'"],
    [['describe'], 'argument --transactional-id is required'],
    [['list', '--state', 'x'], 'state is not a recognized option'],
    [['abort', '--topic', 'paid', '--partition', '0'], 'The transaction to abort must be identified either with --start-offset'],
    [['abort', '--topic', 'paid', '--partition', '0', '--producer-id', '1'], 'Missing required argument --producer-epoch'],
    [['find-hanging'], 'requires either --topic or --broker-id'],
    [['find-hanging', '--broker-id', '0', '--partition', '0'], 'The --partition argument requires --topic'],
    [['describe', '--transactional-id', 'nobody'], 'Failed to describe transaction state of transactional-id `nobody`: DescribeTransactions request for transactionalId `nobody` failed because the ID could not be found'],
  ])('%j is refused', async (argv, words) => {
    expect(await run(kafkaTransactions, ...argv)).toEqual({ code: 1, out: '', err: expect.stringContaining(words) })
  })
})

describe('kafka-configs.sh', () => {
  const configs = (...argv: string[]): Promise<ToolRan> => run(kafkaConfigs, ...argv)
  test('a topic: set, shown with where it comes from, removed', async () => {
    await topicWith('tuned', [0])
    const topic = ['--entity-type', 'topics', '--entity-name', 'tuned']
    expect(await configs('--alter', ...topic, '--add-config', 'retention.ms=1000,cleanup.policy=[compact,delete]')).toEqual({ ...ok, out: 'Completed updating config for topic tuned.\n' })
    expect(await configs('--describe', '--topic', 'tuned')).toEqual({
      ...ok,
      out: `Dynamic configs for topic tuned are:
  cleanup.policy=compact,delete sensitive=false synonyms={DYNAMIC_TOPIC_CONFIG:cleanup.policy=compact,delete, DEFAULT_CONFIG:log.cleanup.policy=delete}
  retention.ms=1000 sensitive=false synonyms={DYNAMIC_TOPIC_CONFIG:retention.ms=1000}
`,
    })
    expect((await configs('--describe', ...topic, '--all')).out).toMatch(/^All configs for topic tuned are:\n {2}cleanup.policy=compact,delete (.*\n)+ {2}segment.bytes=1073741824 sensitive=false synonyms=\{DEFAULT_CONFIG:log.segment.bytes=1073741824\}\n/)
    expect(await configs('--alter', ...topic, '--delete-config', 'retention.ms,cleanup.policy')).toMatchObject(ok)
    expect(await configs('--alter', ...topic, '--delete-config', 'retention.ms')).toEqual({ code: 1, out: '', err: 'Invalid config(s): retention.ms\n' })
    const file = join(ottla.dataDir, 'add.properties')
    writeFileSync(file, 'retention.ms=5\n')
    expect(await configs('--alter', ...topic, '--add-config-file', file)).toMatchObject(ok)
    expect((await configs('--describe', '--entity-type', 'topics')).out).toContain('Dynamic configs for topic tuned are:\n  retention.ms=5 ')
  })
  test('a broker, and what holds for all', async () => {
    expect(await configs('--alter', '--entity-type', 'brokers', '--entity-name', '0', '--add-config', 'log.cleaner.threads=2')).toEqual({ ...ok, out: 'Completed updating config for broker 0.\n' })
    expect(await configs('--alter', '--broker-defaults', '--add-config', 'log.retention.ms=777777')).toEqual({ ...ok, out: 'Completed updating default config for brokers in the cluster.\n' })
    expect((await configs('--describe', '--entity-type', 'brokers')).out).toMatch(
      /^Dynamic configs for broker 0 are:\n {2}log\.cleaner\.threads=2 sensitive=false synonyms=\{DYNAMIC_BROKER_CONFIG:log\.cleaner\.threads=2, DEFAULT_CONFIG:log\.cleaner\.threads=1\}\nDefault configs for brokers in the cluster are:\n {2}log\.retention\.ms=777777 sensitive=false synonyms=\{DYNAMIC_DEFAULT_BROKER_CONFIG:log\.retention\.ms=777777\}\n$/)
    expect(await configs('--alter', '--broker', '0', '--delete-config', 'log.cleaner.threads')).toMatchObject(ok)
    expect(await configs('--alter', '--broker-defaults', '--delete-config', 'log.retention.ms')).toMatchObject(ok)
    expect((await configs('--alter', '--broker', '0', '--add-config', 'broker.id=7')).err).toMatch(/^Error while executing config command with args '.*'\norg\.apache\.kafka\.common\.errors\.InvalidRequestException: broker\.id cannot be changed while the broker runs.*\n$/)
  })
  test.each([
    [['--alter', '--topic', 'nope', '--add-config', 'retention.ms=1'], 'UnknownTopicOrPartitionException'],
    [['--alter', '--topic', 'tuned', '--add-config', 'foo=1'], 'org.apache.kafka.common.errors.InvalidConfigurationException: Unknown topic config name: foo'],
    [['--alter', '--topic', 'tuned', '--add-config', 'foo'], 'all configs to be added must be in the format "key=val"'],
    [['--alter', '--topic', 'tuned'], 'At least one of --add-config, --add-config-file, or --delete-config'],
    [['--alter', '--entity-type', 'topics', '--add-config', 'a=b'], 'an entity name must be specified with --alter of topics'],
    [['--describe', '--entity-type', 'users'], '--entity-type users is not supported by this tool yet'],
    [['--describe', '--entity-type', 'foo'], 'Invalid entity type foo'],
    [['--describe', '--broker', 'x'], 'must be a valid integer broker id, but it is: x'],
    [['--describe', '--alter', '--topic', 'tuned'], 'Command must include exactly one action'],
    [['--describe', '--topic', 'tuned', '--entity-name', 'x'], '--topic says entity type and name already'],
  ])('%j is refused', async (argv, words) => {
    expect(await configs(...argv)).toMatchObject({ code: 1, err: expect.stringContaining(words) })
  })
  test('brackets hold a value together', () => {
    expect(parseConfigs('a=b, k = [1:2,3:4] ,c=')).toEqual([['a', 'b'], ['k', '1:2,3:4'], ['c', '']])
  })
})

describe('kafka-consumer-groups.sh --reset-offsets and --delete-offsets', () => {
  const groups = (...argv: string[]): Promise<ToolRan> => run(kafkaConsumerGroups, ...argv)
  const reset = async (...argv: string[]): Promise<[string, number, number][]> => {
    const { code, out } = await groups('--reset-offsets', '--group', 'g', ...argv)
    expect(code).toBe(0)
    const lines = out.slice(out.indexOf('\nGROUP')).trim().split('\n').map((line) => line.trim().split(/ +/))
    expect(lines[0]).toEqual(['GROUP', 'TOPIC', 'PARTITION', 'NEW-OFFSET'])
    return lines.slice(1).map(([, topic, partition, offset]) => [topic, Number(partition), Number(offset)])
  }
  const committed = async (): Promise<string[]> => (await groups('--describe', '--group', 'g')).out.trim().split('\n').slice(1).map((line) => line.trim().split(/ +/).slice(1, 4).join(' '))
  test('every form, dry and executed', async () => {
    await topicWith('read', [10, 0])
    expect(await reset('--topic', 'read', '--to-latest')).toEqual([['read', 0, 10], ['read', 1, 0]])
    expect(await committed()).toEqual([])
    expect(await reset('--topic', 'read', '--to-latest', '--execute')).toEqual([['read', 0, 10], ['read', 1, 0]])
    expect(await committed()).toEqual(['read 0 10', 'read 1 0'])
    expect(await reset('--all-topics', '--to-earliest', '--execute')).toEqual([['read', 0, 0], ['read', 1, 0]])
    expect(await reset('--topic', 'read:0', '--to-offset', '5', '--execute')).toEqual([['read', 0, 5]])
    expect(await reset('--topic', 'read:0', '--shift-by', '-2', '--execute')).toEqual([['read', 0, 3]])
    expect(await reset('--topic', 'read:0', '--shift-by', '99', '--dry-run')).toEqual([['read', 0, 10]])
    expect(await reset('--topic', 'read:0', '--shift-by', '-99', '--dry-run')).toEqual([['read', 0, 0]])
    expect(await reset('--topic', 'read', '--to-current', '--dry-run')).toEqual([['read', 0, 3], ['read', 1, 0]])
    expect(await reset('--topic', 'read', '--to-datetime', '2001-09-09T01:46:44.000', '--dry-run')).toEqual([['read', 0, 4], ['read', 1, 0]])
    expect(await reset('--topic', 'read:0', '--by-duration', 'PT1H', '--dry-run')).toEqual([['read', 0, 10]])
    const file = join(ottla.dataDir, 'offsets.csv')
    const exported = await groups('--reset-offsets', '--group', 'g', '--topic', 'read', '--to-current', '--export', '--dry-run')
    expect(exported).toEqual({ ...ok, out: 'read,0,3\nread,1,0\n\n' })
    writeFileSync(file, exported.out.replace('read,0,3', 'read,0,7'))
    expect(await reset('--from-file', file, '--execute')).toEqual([['read', 0, 7], ['read', 1, 0]])
    expect((await groups('--reset-offsets', '--group', 'g', '--group', 'h', '--topic', 'read:0', '--to-latest', '--export', '--dry-run')).out).toBe('g,read,0,10\nh,read,0,10\n\n')
    expect(await committed()).toEqual(['read 0 7', 'read 1 0'])
    expect((await groups('--reset-offsets', '--group', 'g', '--topic', 'read:0', '--to-offset', '99', '--dry-run')).err).toBe('WARN New offset (99) is higher than latest offset for topic partition read-0. Value will be set to 10\n')
    expect((await groups('--reset-offsets', '--group', 'g', '--topic', 'read:0', '--to-latest')).err).toMatch(/^WARN: No action will be performed as the --execute option is missing/)
  })
  test('offsets of partitions are deleted, and what is not there is told', async () => {
    expect((await groups('--delete-offsets', '--group', 'g', '--topic', 'read:1')).out).toBe(
      `Request succeed for deleting offsets with topic read:1 group g\n\n${'TOPIC'.padEnd(30)} ${'PARTITION'.padEnd(15)} ${'STATUS'.padEnd(15)}\n${'read'.padEnd(30)} ${'1'.padEnd(15)} ${'Successful'.padEnd(15)}\n`)
    expect(await committed()).toEqual(['read 0 7'])
    expect(await groups('--delete-offsets', '--group', 'nobody', '--topic', 'read:0')).toMatchObject({ code: 1, err: "\nError: 'nobody' does not exist.\n" })
    expect((await groups('--delete-offsets', '--group', 'g', '--topic', 'read:9')).out).toContain('UnknownTopicOrPartitionException')
  })
  test('a group with members is left alone', async () => {
    const consumer = kafka.consumer({ groupId: 'g' })
    await consumer.connect()
    await consumer.subscribe({ topic: 'read' })
    await new Promise<void>((joined, failed) => {
      consumer.on(consumer.events.GROUP_JOIN, () => joined())
      consumer.run({ eachMessage: async () => {} }).catch(failed)
    })
    expect(await groups('--reset-offsets', '--group', 'g', '--topic', 'read:0', '--to-earliest', '--execute')).toMatchObject({ code: 1, err: "\nError: Assignments can only be reset if the group 'g' is inactive, but the current state is Stable.\n" })
    expect((await groups('--delete-offsets', '--group', 'g', '--topic', 'read:0')).out).toContain('GroupSubscribedToTopicException')
    await consumer.disconnect()
  })
  test.each([
    [['--reset-offsets', '--topic', 'a', '--to-earliest'], 'Option [reset-offsets] takes one of these options: [all-groups], [group]'],
    [['--reset-offsets', '--group', 'g', '--to-earliest'], 'One of the reset scopes should be defined: --all-topics, --topic.'],
    [['--reset-offsets', '--group', 'g', '--topic', 'a'], "Option '[reset-offsets]' requires one of the following scenarios"],
    [['--reset-offsets', '--group', 'g', '--topic', 'a', '--to-earliest', '--to-latest'], `can't be used with option`],
    [['--reset-offsets', '--group', 'g', '--topic', 'a', '--to-earliest', '--execute', '--dry-run'], 'only accepts one of [execute] and [dry-run]'],
    [['--reset-offsets', '--group', 'g', '--topic', 'a:x', '--to-earliest'], "Invalid partition 'x' specified in topic arg 'a:x'"],
    [['--reset-offsets', '--group', 'g', '--topic', 'nope', '--to-earliest'], "topic 'nope' does not exist"],
    [['--reset-offsets', '--group', 'g', '--topic', 'read:7', '--to-earliest'], "topic 'read' has no partition 7; it has 2"],
    [['--reset-offsets', '--group', 'new', '--topic', 'read:0', '--shift-by', '1'], 'Cannot shift offset for partition read-0 since there is no current committed offset'],
    [['--delete-offsets', '--group', 'g'], 'Option [delete-offsets] takes the following options: [group], [topic]'],
  ])('%j is refused', async (argv, words) => {
    expect(await groups(...argv)).toMatchObject({ code: 1, out: '', err: expect.stringContaining(words) })
  })
  test('dates and durations', () => {
    expect(parseDateTime('1970-01-01T00:00:01.500')).toBe(1500)
    expect(parseDateTime('1970-01-01T01:00:00.000+01:00')).toBe(0)
    expect(() => parseDateTime('yesterday')).toThrow("does not contain a 'T'")
    expect(() => parseDateTime('1T2')).toThrow('Unparseable date')
    expect(['PT1H', 'P1DT2H3M4.5S', 'PT0S', '-PT1M'].map(parseDuration)).toEqual([3_600_000, 93_784_500, 0, -60_000])
    for (const wrong of ['P', 'PT', '1H', 'P1H', 'PT1H1D']) expect(() => parseDuration(wrong)).toThrow('cannot be parsed to a Duration')
  })
})

describe('kafka-delete-records.sh and kafka-get-offsets.sh', () => {
  const file = (content: object): string => {
    const path = join(ottla.dataDir, 'records.json')
    writeFileSync(path, JSON.stringify(content))
    return path
  }
  const offsets = (...argv: string[]): Promise<ToolRan> => run(kafkaGetOffsets, ...argv)
  test('records are deleted up to an offset, and offsets tell', async () => {
    await topicWith('shrunk', [10, 4, 0])
    expect(await offsets('--topic', 'shrunk')).toEqual({ ...ok, out: 'shrunk:0:10\nshrunk:1:4\nshrunk:2:0\n' })
    expect(await run(kafkaDeleteRecords, '--offset-json-file', file({ version: 1, partitions: [{ topic: 'shrunk', partition: 0, offset: 7 }, { topic: 'shrunk', partition: 1, offset: -1 }] }))).toEqual({
      ...ok,
      out: 'Executing records delete operation\nRecords delete operation completed:\npartition: shrunk-0\tlow_watermark: 7\npartition: shrunk-1\tlow_watermark: 4\n',
    })
    expect((await offsets('--topic', 'shrunk', '--time', 'earliest')).out).toBe('shrunk:0:7\nshrunk:1:4\nshrunk:2:0\n')
    expect((await offsets('--topic', 'shr.*', '--time', '1000000009000', '--partitions', '0,1')).out).toBe('shrunk:0:9\n')
    expect((await offsets('--topic-partitions', 'shrunk:1-,shrunk:-1,nope')).out).toBe('shrunk:0:10\nshrunk:1:4\nshrunk:2:0\n')
    expect((await offsets('--topic-partitions', 'shrunk:1-2')).out).toBe('shrunk:1:4\n')
    expect((await offsets('--topic-partitions', 'shrunk:2')).out).toBe('shrunk:2:0\n')
    const wrong = await run(kafkaDeleteRecords, '--offset-json-file', file({ partitions: [{ topic: 'shrunk', partition: 0, offset: 700 }, { topic: 'shrunk', partition: 9, offset: 1 }] }))
    expect([wrong.code, wrong.out.split('\n').slice(2, 4)]).toEqual([1, [expect.stringContaining('shrunk-0\terror: org.apache.kafka.common.errors.OffsetOutOfRangeException: '), 'partition: shrunk-9\terror: org.apache.kafka.common.errors.UnknownTopicOrPartitionException: topic shrunk has 3 partitions']])
  })
  test.each([
    [['--topic', 'nope'], 'Could not match any topic-partitions with the specified filters'],
    [['--topic', 'shrunk', '--time', 'foo'], 'Malformed time argument foo'],
    [['--partitions', 'x'], '--partitions expects a comma separated list of numeric partition ids, but received: x'],
    [['--topic', 'a', '--topic-partitions', 'a:0'], '--topic-partitions cannot be used with --topic or --partitions'],
    [['--topic-partitions', 'a:b:c'], 'Invalid rule specification: a:b:c'],
  ])('get-offsets %j is refused', async (argv, words) => {
    expect(await offsets(...argv)).toEqual({ code: 1, out: '', err: expect.stringContaining(`Error occurred: ${words}`) })
  })
  test('a file of records to delete that says nothing sensible', async () => {
    const of = async (content: object): Promise<string> => (await run(kafkaDeleteRecords, '--offset-json-file', file(content))).err
    expect(await of({ partitions: [{ topic: 'a', partition: 0, offset: 1 }, { topic: 'a', partition: 0, offset: 2 }] })).toBe('Offset json file contains duplicate topic partitions: a-0\n')
    expect(await of({})).toBe('Missing partitions field\n')
    expect(await of({ version: 2, partitions: [] })).toBe('Not supported version field value 2\n')
    expect(await of({ partitions: [{ topic: 'a', partition: 0 }] })).toContain('does not name "topic", "partition" and "offset"')
  })
})

test('kafka-broker-api-versions.sh shows what the broker serves', async () => {
  const { code, out } = await run(kafkaBrokerApiVersions)
  expect([code, out.split('\n')[0]]).toEqual([0, `${ottla.bootstrapServers} (id: 0 rack: null) -> (`])
  expect(out).toContain('\tProduce(0): 0 to 11 [usable: 11],\n')
  expect(out).toContain('\tOffsetDelete(47): 0 [usable: 0],\n')
})

test('errors have the names of their Java classes', () => {
  expect([errors.requestTimedOut, errors.notLeaderOrFollower, errors.clusterAuthorizationFailed, errors.nonEmptyGroup].map(({ code }) => javaException(code).split('.').at(-1)))
    .toEqual(['TimeoutException', 'NotLeaderOrFollowerException', 'ClusterAuthorizationException', 'GroupNotEmptyException'])
})
test('every tool of the table has its script', () => {
  for (const name of Object.keys(kafkaTools)) expect(existsSync(join(import.meta.dirname, '../../bin', name)), name).toBe(true)
})
