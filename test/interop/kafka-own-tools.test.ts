/** Our command-line tools beside Apache's, against the same broker of Apache's: the same groups, the same records, the same output. */
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { describeWith, smallJava, unique, where } from './programs.ts'
import { run, succeed, until, type RunOptions } from './process.ts'
import { useCluster } from './target.ts'

const apacheClass = {
  'kafka-topics': 'org.apache.kafka.tools.TopicCommand',
  'kafka-console-producer': 'kafka.tools.ConsoleProducer',
  'kafka-console-consumer': 'org.apache.kafka.tools.consumer.ConsoleConsumer',
  'kafka-consumer-groups': 'org.apache.kafka.tools.consumer.group.ConsumerGroupCommand',
} as const
type Tool = keyof typeof apacheClass
const bin = (tool: Tool) => fileURLToPath(new URL(`../../bin/${tool}.sh`, import.meta.url))

describeWith(['apache'], "our tools beside Apache's", () => {
  const cluster = useCluster({ kafka: { maker: 'apache', config: { 'group.initial.rebalance.delay.ms': 0 } }, zookeeper: { maker: 'apache' } })
  const server = () => ['--bootstrap-server', cluster.kafka.address]
  const own = (tool: Tool, args: readonly string[], options?: RunOptions) => run(bin(tool), args, options)
  const theirs = (tool: Tool, args: readonly string[], options?: RunOptions) => run('java', [...smallJava, '-cp', where('apache'), apacheClass[tool], ...args], options)
  /** By itself a console producer gives a broker a second and a half, three times, and then drops the lines. */
  const patience = ['--request-timeout-ms', '60000', '--message-send-max-retries', '1000']
  /** Apache's order of rows is that of a hash table. */
  const sorted = (text: string) => text.trim().split('\n').sort()
  const topicOf = async (partitions: number) => {
    const topic = unique('own')
    await succeed(bin('kafka-topics'), [...server(), '--create', '--topic', topic, '--partitions', String(partitions)])
    return topic
  }

  test('the same topics are told in the same words', async () => {
    const topic = unique('own')
    const create = [...server(), '--create', '--topic', topic, '--partitions', '2', '--config', 'retention.ms=1000', '--config', 'cleanup.policy=compact']
    expect((await own('kafka-topics', create)).stdout).toBe(`Created topic ${topic}.\n`)
    for (const args of [['--describe', '--topic', topic], ['--list', '--topic', topic], ['--describe', '--topics-with-overrides'], ['--describe', '--topic', 'nope', '--if-exists']])
      expect((await own('kafka-topics', [...server(), ...args])).stdout, args.join(' ')).toBe((await theirs('kafka-topics', [...server(), ...args])).stdout)
    for (const args of [
      ['--create', '--topic', topic], ['--create', '--topic', 'a b'], ['--create', '--topic', 'x', '--config', 'retention.ms=abc'], ['--create', '--topic', 'x', '--config', 'nope=1'],
      ['--create', '--topic', 'x', '--replication-factor', '3'], ['--create', '--topic', 'x', '--partitions', '0'], ['--alter', '--topic', topic, '--partitions', '1'],
    ]) {
      const ours = await own('kafka-topics', [...server(), ...args])
      const apache = await theirs('kafka-topics', [...server(), ...args])
      expect([ours.code, ours.stderr], args.join(' ')).toEqual([apache.code, apache.stdout])
    }
  })

  test.each(['none', 'gzip', 'snappy', 'lz4', 'zstd'])('what one producer writes with codec %s both consumers read, partition by partition', async (codec) => {
    const topic = await topicOf(3)
    const lines = Array.from({ length: 200 }, (_, index) => `h:${index},i:ü\tkey ${index}\tvalue ${index}`)
    const parsing = ['parse.key=true', 'parse.headers=true'].flatMap((property) => ['--property', property])
    const produce = [...server(), '--topic', topic, '--compression-codec', codec, ...patience, ...parsing]
    await succeed(bin('kafka-console-producer'), produce, { input: `${lines.slice(0, 100).join('\n')}\n` })
    expect((await theirs('kafka-console-producer', produce, { input: `${lines.slice(100).join('\n')}\n` })).code).toBe(0)
    const showing = ['print.key=true', 'print.headers=true', 'print.partition=true', 'print.offset=true', 'print.timestamp=true'].flatMap((property) => ['--property', property])
    const consume = [...server(), '--topic', topic, '--from-beginning', '--max-messages', '200', ...showing]
    const [ours, apache] = [await own('kafka-console-consumer', consume), await theirs('kafka-console-consumer', consume)]
    expect(sorted(ours.stdout)).toEqual(sorted(apache.stdout))
    expect(sorted(ours.stdout)).toHaveLength(200)
    expect(ours.stderr).toMatch(/^(WARN .*\n)*Processed a total of 200 messages\n$/)
  })

  test('one group of both makers shares the partitions, and both tools tell the same of it', async () => {
    const topic = await topicOf(4)
    const group = unique('group')
    const consume = [...server(), '--topic', topic, '--group', group, '--from-beginning', '--max-messages', '40', '--timeout-ms', '300000']
    const describe = (...more: string[]) => [...server(), '--timeout', '120000', '--describe', '--group', group, ...more]
    const consumers = [theirs('kafka-console-consumer', consume), own('kafka-console-consumer', consume)]
    await until('both have two partitions', async () => (await own('kafka-consumer-groups', describe('--members'))).stdout.split('\n').filter((line) => / 2 +$/.test(line)).length === 2)
    for (const kind of [['--members'], ['--state'], []]) {
      // Members commit their positions on their own time: what both say is compared when nothing moved in between.
      const [ours, apache] = await until('a moment without a commit', async () => {
        const before = await own('kafka-consumer-groups', describe(...kind))
        const between = await theirs('kafka-consumer-groups', describe(...kind))
        const after = await own('kafka-consumer-groups', describe(...kind))
        return before.stdout === after.stdout && [after.stdout, between.stdout]
      })
      expect(sorted(ours), kind.join()).toEqual(sorted(apache))
    }
    const lines = Array.from({ length: 400 }, (_, index) => `key ${index}\tvalue ${index}\n`).join('')
    await succeed(bin('kafka-console-producer'), [...server(), '--topic', topic, ...patience, '--property', 'parse.key=true'], { input: lines })
    const [apache, ours] = await Promise.all(consumers)
    expect([apache.stdout, ours.stdout].map((out) => out.trim().split('\n').length)).toEqual([40, 40])
    // Each has committed what it had read; nothing that one has read is left to the other.
    expect(new Set([...apache.stdout.trim().split('\n'), ...ours.stdout.trim().split('\n')]).size).toBe(80)
    // Who leaves does not wait for the answer.
    await until('both have left', async () => / Empty /.test((await own('kafka-consumer-groups', describe('--state'))).stdout))
    for (const args of [describe(), describe('--state'), [...server(), '--timeout', '120000', '--list', '--state', '--type']])
      expect(sorted((await own('kafka-consumer-groups', args)).stdout), args.join(' ')).toEqual(sorted((await theirs('kafka-consumer-groups', args)).stdout))
  })
})
