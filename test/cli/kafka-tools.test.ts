import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { kafkaConsoleConsumer } from '../../src/cli/kafka-console-consumer.ts'
import { kafkaConsoleProducer } from '../../src/cli/kafka-console-producer.ts'
import { kafkaConsumerGroups } from '../../src/cli/kafka-consumer-groups.ts'
import { kafkaTopics } from '../../src/cli/kafka-topics.ts'
import type { Tool, ToolIo } from '../../src/cli/tool.ts'
import { silentLogger } from '../../src/host/logger.ts'
import { nodeHost } from '../../src/host/node.ts'
import { Ottla } from '../../src/ottla.ts'
import { connectZooKeeper } from '../../src/cli/brokers-in-zookeeper.ts'

let ottla: Ottla
beforeAll(async () => {
  ottla = await Ottla.start()
})
afterAll(() => ottla.stop())

const host = nodeHost({ logger: silentLogger })
interface Ran {
  code: number
  out: string
  err: string
}
interface Running {
  ended: Promise<Ran>
  readonly out: string
  stop(): void
}
function start(tool: Tool, argv: readonly string[], input = ''): Running {
  let out = ''
  let err = ''
  let stop = (): void => {}
  const io: ToolIo = {
    host,
    input: (async function* () { if (input !== '') yield Buffer.from(input) })(),
    interactive: false,
    out: (data) => ((out += Buffer.from(data as string).toString()), true),
    err: (line) => void (err += `${line}\n`),
    onStop: (then) => (stop = () => then(130)),
  }
  return {
    ended: tool(argv, io).then((code) => ({ code, out, err })),
    get out() { return out },
    stop: () => stop(),
  }
}
const run = (tool: Tool, argv: readonly string[], input?: string): Promise<Ran> => start(tool, argv, input).ended
const server = (): string[] => ['--bootstrap-server', ottla.bootstrapServers]
const topics = (...argv: string[]) => run(kafkaTopics, [...server(), ...argv])
const produce = (topic: string, input: string, ...argv: string[]) => run(kafkaConsoleProducer, [...server(), '--topic', topic, ...argv], input)
const consume = (topic: string, ...argv: string[]) => run(kafkaConsoleConsumer, [...server(), '--topic', topic, '--timeout-ms', '20000', ...argv])
const groups = (...argv: string[]) => run(kafkaConsumerGroups, [...server(), ...argv])
const ok = { code: 0, err: '' }
async function until(what: () => boolean | Promise<boolean>): Promise<void> {
  for (let attempt = 0; attempt < 6000; attempt++) {
    if (await what()) return
    await host.timers.sleep(10)
  }
  throw new Error(`never came true: ${what}`)
}

describe('kafka-topics.sh', () => {
  test('creates, describes, alters and deletes', async () => {
    expect(await topics('--create', '--topic', 'first', '--partitions', '2', '--config', 'retention.ms=1000')).toEqual({ ...ok, out: 'Created topic first.\n' })
    const described = await topics('--describe', '--topic', 'first')
    expect(described.out).toMatch(/^Topic: first\tTopicId: [\w-]{22}\tPartitionCount: 2\tReplicationFactor: 1\tConfigs: (.*,)?retention.ms=1000\n/)
    expect(described.out.split('\n').slice(1, 3)).toEqual([0, 1].map((partition) => `\tTopic: first\tPartition: ${partition}\tLeader: 0\tReplicas: 0\tIsr: 0\tElr: N/A\tLastKnownElr: N/A`))
    expect(await topics('--alter', '--topic', 'first', '--partitions', '5')).toEqual({ ...ok, out: '' })
    expect((await topics('--describe', '--topic', 'first')).out.trim().split('\n')).toHaveLength(6)
    expect((await topics('--describe', '--topic', 'first', '--under-replicated-partitions')).out).toBe('')
    expect((await topics('--list')).out.split('\n')).toContain('first')
    expect(await topics('--delete', '--topic', 'first')).toEqual({ ...ok, out: '' })
    await until(async () => !(await topics('--list')).out.split('\n').includes('first'))
  })
  test('refuses with one sentence and exit code 1', async () => {
    await topics('--create', '--topic', 'twice')
    const refused = async (...argv: string[]) => {
      const { code, out, err } = await topics(...argv)
      expect([code, out]).toEqual([1, expect.stringMatching(/^(WARNING.*\n)?$/)])
      return err.split('\n')[0]
    }
    expect(await refused('--create', '--topic', 'twice')).toBe("Error while executing topic command : Topic 'twice' already exists.")
    expect(await topics('--create', '--topic', 'twice', '--if-not-exists')).toEqual({ ...ok, out: '' })
    expect(await refused('--create', '--topic', 'x', '--partitions', '0')).toBe('Error while executing topic command : The partitions must be greater than 0')
    expect(await refused('--create', '--topic', 'x', '--replication-factor', '3')).toMatch(/Replication factor: 3 larger than available brokers: 1/)
    expect(await refused('--describe', '--topic', 'nope')).toBe("Error while executing topic command : Topic 'nope' does not exist as expected")
    expect(await topics('--delete', '--topic', 'nope', '--if-exists')).toEqual({ ...ok, out: '' })
    expect(await refused('--list', '--create', '--topic', 'x')).toMatch(/^Command must include exactly one action/)
    expect(await refused('--create')).toBe('Missing required argument "[topic]"')
  })
  test('finds the brokers in ZooKeeper, as before Kafka 3', async () => {
    const old = (...argv: string[]) => run(kafkaTopics, ['--zookeeper', ottla.zookeeperConnect, ...argv])
    expect(await old('--create', '--topic', 'old', '--partitions', '1', '--replication-factor', '1')).toEqual({ ...ok, out: 'Created topic old.\n' })
    expect((await old('--list')).out.split('\n')).toContain('old')
    expect((await old('--alter', '--topic', 'old', '--config', 'retention.ms=5000')).out).toBe('Updated config for topic old.\n')
    expect((await old('--describe', '--topic', 'old')).out).toContain('retention.ms=5000')
    expect((await old('--delete', '--topic', 'old')).out).toMatch(/^Topic old is marked for deletion\.\n/)
    const wrong = await run(kafkaTopics, ['--zookeeper', `${ottla.zookeeperConnect}/nowhere`, '--list'])
    expect([wrong.code, wrong.err]).toEqual([1, expect.stringMatching(/no Kafka broker has ever run on it. Is the chroot/)])
  })
})

describe('kafka-console-producer.sh and kafka-console-consumer.sh', () => {
  test.each(['none', 'gzip', 'snappy', 'lz4'])('lines in are lines out, with codec %s', async (codec) => {
    const topic = `lines-${codec}`
    await topics('--create', '--topic', topic)
    const lines = `${Array.from({ length: 500 }, (_, index) => `line ${index}`).join('\n')}\n`
    expect(await produce(topic, lines, '--compression-codec', codec, '--batch-size', '1000')).toEqual({ ...ok, out: '' })
    expect(await consume(topic, '--from-beginning', '--max-messages', '500', '--partition', '0')).toEqual({ code: 0, out: lines, err: 'Processed a total of 500 messages\n' })
  })
  test('keys, headers and nulls go there and back', async () => {
    await topics('--create', '--topic', 'keys', '--partitions', '1')
    const lines = 'h:1,i:2\tk\tv\nNIL\tNIL\tNIL\n'
    const parsing = ['parse.key=true', 'parse.headers=true', 'null.marker=NIL'].flatMap((property) => ['--property', property])
    expect(await produce('keys', lines, ...parsing)).toEqual({ ...ok, out: '' })
    const shown = ['print.headers=true', 'print.key=true', 'print.offset=true', 'print.partition=true'].flatMap((property) => ['--property', property])
    expect((await consume('keys', '--from-beginning', '--max-messages', '2', ...shown)).out).toBe('Partition:0\tOffset:0\th:1,i:2\tk\tv\nPartition:0\tOffset:1\tNO_HEADERS\tnull\tnull\n')
    expect((await consume('keys', '--partition', '0', '--offset', '1', '--max-messages', '1', ...shown)).out).toContain('Offset:1')
  })
  test('a missing topic is made on the way', async () => {
    expect((await produce('by-the-way', 'x\n')).code).toBe(0)
    expect((await consume('by-the-way', '--from-beginning', '--max-messages', '1')).out).toBe('x\n')
  })
  test('a line without its key ends the producer, after what came before', async () => {
    await topics('--create', '--topic', 'half')
    await expect(produce('half', 'a:1\nnokey\n', '--property', 'parse.key=true', '--property', 'key.separator=:')).rejects.toThrow("No key separator found on line number 2: 'nokey'")
    expect((await consume('half', '--from-beginning', '--max-messages', '1')).out).toBe('1\n')
  })
  test('a record that is too large is told, and the others arrive', async () => {
    await topics('--create', '--topic', 'large')
    const produced = await produce('large', `${'x'.repeat(1_100_000)}\nsmall\n`)
    expect([produced.code, produced.err]).toEqual([1, expect.stringMatching(/^Error when sending message to topic large with key: null, value: 1100000 bytes with error: The message is \d+ bytes/)])
    expect((await consume('large', '--from-beginning', '--max-messages', '1')).out).toBe('small\n')
  })
  test.each([
    [[], 'Exactly one of --include/--topic is required. '],
    [['--topic', 't', '--offset', '1'], 'The partition is required when offset is specified.'],
    [['--topic', 't', '--partition', '0', '--offset', 'x'], "The provided offset value 'x' is incorrect. Valid values are 'earliest', 'latest', or a non-negative long."],
    [['--topic', 't', '--partition', '0', '--group', 'g'], 'Options group and partition cannot be specified together.'],
    [['--topic', 't', '--consumer-property', 'security.protocol=SSL'], 'security.protocol=SSL is not supported by this tool yet: it speaks PLAINTEXT only'],
  ])('%j is refused', async (argv, message) => {
    const { code, err } = await run(kafkaConsoleConsumer, [...server(), ...argv])
    expect([code, err.split('\n')[0]]).toEqual([1, message])
  })
})

describe('kafka-consumer-groups.sh and groups of consumers', () => {
  test('two members share the partitions, one takes over when the other leaves, offsets are kept', async () => {
    await topics('--create', '--topic', 'shared', '--partitions', '4')
    const member = () => start(kafkaConsoleConsumer, [...server(), '--topic', 'shared', '--group', 'team', '--from-beginning', '--consumer-property', 'heartbeat.interval.ms=50'])
    const keyed = (from: number) => Array.from({ length: 40 }, (_, index) => `key${from + index}\t${from + index}\n`).join('')
    const first = member()
    const second = member()
    await until(async () => {
      const { out } = await groups('--describe', '--group', 'team', '--members')
      return out.split('\n').filter((line) => / 2 +$/.test(line)).length === 2
    })
    const members = (await groups('--describe', '--group', 'team', '--members', '--verbose')).out
    expect([...members.matchAll(/shared\(\S+\)/g)].flat().sort()).toEqual(['shared(0,1)', 'shared(2,3)'])
    expect((await groups('--describe', '--group', 'team', '--state')).out).toMatch(/\nteam +\S+  \(0\) +range +Stable +2\n/)
    await produce('shared', keyed(0), '--property', 'parse.key=true')
    await until(() => first.out.length + second.out.length === keyed(0).replace(/key\d+\t/g, '').length)
    expect(first.out).not.toBe('')
    expect(second.out).not.toBe('')
    first.stop()
    expect((await first.ended).code).toBe(130)
    await until(async () => (await groups('--describe', '--group', 'team', '--state')).out.includes('Stable          1'))
    await produce('shared', keyed(40), '--property', 'parse.key=true')
    const both = () => [...first.out.split('\n'), ...second.out.split('\n')].filter((line) => line !== '').map(Number)
    await until(() => both().length >= 80)
    second.stop()
    await second.ended
    expect(both().sort((a, b) => a - b)).toEqual(Array.from({ length: 80 }, (_, index) => index))
    const after = await groups('--describe', '--group', 'team')
    expect(after.err).toBe("\nConsumer group 'team' has no active members.\n")
    const rows = after.out.trim().split('\n').slice(1).map((line) => line.split(/ +/))
    expect(rows.map(([group, topic, partition, , , lag]) => [group, topic, partition, lag])).toEqual([0, 1, 2, 3].map((partition) => ['team', 'shared', String(partition), '0']))
    expect(rows.reduce((sum, [, , , committed]) => sum + Number(committed), 0)).toBe(80)
    expect((await groups('--list', '--state')).out).toMatch(/^GROUP +STATE +\n[\s\S]*team +Empty/)
    expect((await groups('--delete', '--group', 'team')).out).toBe("Deletion of requested consumer groups ('team') was successful.\n")
    const gone = await groups('--describe', '--group', 'team')
    expect(gone).toEqual({ code: 1, out: '', err: "\nError: Consumer group 'team' does not exist.\n" })
  })
  test('with --zookeeper the offsets lie in /consumers, and what was read is not read again', async () => {
    await topics('--create', '--topic', 'ancient')
    await produce('ancient', 'a\nb\n')
    const old = (...argv: string[]) => run(kafkaConsoleConsumer, ['--zookeeper', ottla.zookeeperConnect, '--topic', 'ancient', '--group', 'grey', '--from-beginning', ...argv])
    expect((await old('--max-messages', '1')).out).toBe('a\n')
    const zookeeper = await connectZooKeeper(host, ottla.zookeeperConnect)
    expect((await zookeeper.getData('/consumers/grey/offsets/ancient/0')).data?.toString()).toBe('1')
    expect((await zookeeper.getChildren('/consumers/grey/owners/ancient')).children).toEqual([])
    await zookeeper.close()
    expect((await old('--max-messages', '1')).out).toBe('b\n')
    expect((await old('--timeout-ms', '50')).out).toBe('')
  })
})

test.each([['kafka-topics.sh', kafkaTopics], ['kafka-console-producer.sh', kafkaConsoleProducer], ['kafka-console-consumer.sh', kafkaConsoleConsumer], ['kafka-consumer-groups.sh', kafkaConsumerGroups]] as const)('%s shows its options without arguments, and its version', async (_, tool) => {
  const help = await run(tool, [])
  expect([help.code, help.err]).toEqual([1, expect.stringContaining('--bootstrap-server')])
  expect(await run(tool, ['--version'])).toEqual({ ...ok, out: expect.stringMatching(/^3\.9\.1 \(Ottla .*\)\n$/) })
})
