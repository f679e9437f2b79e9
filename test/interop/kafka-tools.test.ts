/** The command-line tools of Apache Kafka 3.9, as they come from Maven. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { describeWith, smallJava, unique, where } from './programs.ts'
import { run, succeed, until } from './process.ts'
import type { Outcome, RunOptions } from './process.ts'
import { brokerIds, useCluster } from './target.ts'

const tools = {
  topics: 'org.apache.kafka.tools.TopicCommand',
  producer: 'kafka.tools.ConsoleProducer',
  consumer: 'org.apache.kafka.tools.consumer.ConsoleConsumer',
  groups: 'org.apache.kafka.tools.consumer.group.ConsumerGroupCommand',
  configs: 'kafka.admin.ConfigCommand',
  offsets: 'org.apache.kafka.tools.GetOffsetShell',
  producerPerf: 'org.apache.kafka.tools.ProducerPerformance',
  consumerPerf: 'org.apache.kafka.tools.ConsumerPerformance',
  verifiableProducer: 'org.apache.kafka.tools.VerifiableProducer',
  verifiableConsumer: 'org.apache.kafka.tools.VerifiableConsumer',
  deleteRecords: 'org.apache.kafka.tools.DeleteRecordsCommand',
  logDirs: 'org.apache.kafka.tools.LogDirsCommand',
  cluster: 'org.apache.kafka.tools.ClusterTool',
  versions: 'kafka.admin.BrokerApiVersionsCommand',
  transactions: 'org.apache.kafka.tools.TransactionsCommand',
  endToEnd: 'org.apache.kafka.tools.EndToEndLatency',
  dump: 'kafka.tools.DumpLogSegments',
} as const

describeWith(['apache'], "Kafka 3.9's tools", () => {
  const cluster = useCluster()
  const call = (tool: keyof typeof tools, args: readonly string[]) => [...smallJava, '-cp', where('apache'), tools[tool], ...args]
  const tool = (name: keyof typeof tools, args: readonly string[], options?: RunOptions): Promise<Outcome> => succeed('java', call(name, args), options)
  const refusal = (name: keyof typeof tools, args: readonly string[]): Promise<Outcome> => run('java', call(name, args))
  const server = () => ['--bootstrap-server', cluster.kafka.address]
  const lines = (text: string) => text.split('\n').map((line) => line.trim()).filter((line) => line !== '' && !line.startsWith('log4j:') && !line.startsWith('SLF4J'))
  const created = async (partitions = 1, ...more: string[]) => {
    const topic = unique('tools')
    await tool('topics', [...server(), '--create', '--topic', topic, '--partitions', String(partitions), ...more])
    return topic
  }
  const anyId = `[${brokerIds.join('')}]`
  const replicas = brokerIds.map(() => anyId).join()
  /** By itself it gives a broker a second and a half, three times, and then drops the lines. */
  const patience = ['--request-timeout-ms', '60000', '--message-send-max-retries', '1000']
  const produce = (topic: string, input: string, ...args: string[]) => tool('producer', [...server(), '--topic', topic, ...patience, ...args], { input })

  test('TopicCommand: create, list, describe, alter, delete, and refusals', async () => {
    const topic = await created(2, '--config', 'retention.ms=1000000')
    expect(lines((await tool('topics', [...server(), '--list'])).stdout)).toContain(topic)
    const [head, ...partitions] = lines((await tool('topics', [...server(), '--describe', '--topic', topic])).stdout)
    expect(head).toMatch(new RegExp(`^Topic: ${topic}\\tTopicId: [A-Za-z0-9_-]{22}\\tPartitionCount: 2\\tReplicationFactor: ${brokerIds.length}\\tConfigs: .*retention.ms=1000000`))
    expect(partitions.map((line) => line.replace(/\s+/g, ' '))).toEqual([0, 1].map((partition) => expect.stringMatching(new RegExp(`^Topic: ${topic} Partition: ${partition} Leader: ${anyId} Replicas: ${replicas} Isr: ${replicas}`))))
    await tool('topics', [...server(), '--alter', '--topic', topic, '--partitions', '5'])
    expect(lines((await tool('topics', [...server(), '--describe', '--topic', topic])).stdout)).toHaveLength(6)
    const again = await refusal('topics', [...server(), '--create', '--topic', topic])
    expect([again.code, again.stdout + again.stderr]).toEqual([1, expect.stringContaining(`Topic '${topic}' already exists`)])
    await tool('topics', [...server(), '--delete', '--topic', topic])
    await until('the topic is gone', async () => !lines((await tool('topics', [...server(), '--list'])).stdout).includes(topic))
  })

  test.each(['none', 'gzip', 'snappy', 'lz4', 'zstd'])('console producer and consumer with codec %s: keys, headers, order', async (codec) => {
    const topic = await created()
    const records = Array.from({ length: 200 }, (_, i) => `h:${i}\tkey ${i}\tvalue ${i}`)
    await produce(topic, records.map((line) => `${line}\n`).join(''), '--compression-codec', codec, '--property', 'parse.key=true', '--property', 'parse.headers=true')
    const { stdout } = await tool('consumer', [...server(), '--topic', topic, '--from-beginning', '--max-messages', '200', '--timeout-ms', '120000', '--property', 'print.headers=true', '--property', 'print.key=true', '--property', 'print.offset=true', '--property', 'print.partition=true'])
    expect(lines(stdout)).toEqual(records.map((line, i) => `Partition:0\tOffset:${i}\t${line}`))
  })

  test('GetOffsetShell, DeleteRecords and ConfigCommand', async () => {
    const topic = await created(2)
    await produce(topic, 'a\nb\nc\n', '--sync')
    const offsets = async (...args: string[]) => lines((await tool('offsets', [...server(), '--topic', topic, ...args])).stdout).map((line) => line.split(':').map((part, i) => (i === 0 ? part : Number(part)))).sort()
    const ends = await offsets()
    expect(ends.reduce((sum, [, , offset]) => sum + Number(offset), 0)).toBe(3)
    expect(await offsets('--time', 'earliest')).toEqual([[topic, 0, 0], [topic, 1, 0]])
    const [, full, count] = ends.find(([, , offset]) => Number(offset) > 0)!
    const folder = mkdtempSync(join(tmpdir(), 'ottla-interop-'))
    try {
      const file = join(folder, 'delete.json')
      writeFileSync(file, JSON.stringify({ version: 1, partitions: [{ topic, partition: full, offset: 1 }] }))
      expect((await tool('deleteRecords', [...server(), '--offset-json-file', file])).stdout).toContain(`partition: ${topic}-${full}\tlow_watermark: 1`)
    } finally {
      rmSync(folder, { recursive: true })
    }
    expect((await offsets('--time', 'earliest')).find(([, partition]) => partition === full)).toEqual([topic, full, 1])
    expect((await offsets('--time', 'latest')).find(([, partition]) => partition === full)).toEqual([topic, full, count])

    const configs = (...args: string[]) => tool('configs', [...server(), '--entity-type', 'topics', '--entity-name', topic, ...args])
    expect((await configs('--alter', '--add-config', 'retention.bytes=12345,max.message.bytes=2000')).stdout).toContain(`Completed updating config for topic ${topic}.`)
    expect(lines((await configs('--describe')).stdout).slice(1).map((line) => line.split(' ')[0]).sort()).toEqual(['max.message.bytes=2000', 'retention.bytes=12345'])
    await configs('--alter', '--delete-config', 'max.message.bytes')
    expect(lines((await configs('--describe')).stdout).slice(1).map((line) => line.split(' ')[0])).toEqual(['retention.bytes=12345'])
    const bad = await refusal('configs', [...server(), '--entity-type', 'topics', '--entity-name', topic, '--alter', '--add-config', 'retention.bytes=many'])
    expect([bad.code, bad.stdout + bad.stderr]).toEqual([1, expect.stringContaining('Invalid value many for configuration retention.bytes')])
    expect((await tool('configs', [...server(), '--entity-type', 'brokers', '--entity-name', '1', '--describe', '--all'])).stdout).toContain('broker.id=1')
  })

  test('ConsumerGroupCommand: list, describe, reset in every way, delete', async () => {
    const topic = await created(2)
    const group = unique('group')
    await produce(topic, Array.from({ length: 20 }, (_, i) => `${i}\n`).join(''))
    expect(lines((await tool('consumer', [...server(), '--topic', topic, '--group', group, '--from-beginning', '--max-messages', '20', '--timeout-ms', '120000'])).stdout)).toHaveLength(20)
    const groups = (...args: string[]) => tool('groups', [...server(), '--timeout', '120000', ...args])
    expect(lines((await groups('--list')).stdout)).toContain(group)
    /** [partition, committed, end, lag] */
    const positions = async () => {
      const rows = lines((await groups('--describe', '--group', group)).stdout).filter((line) => line.startsWith(group)).map((line) => line.split(/\s+/))
      return rows.map((row) => row.slice(2, 6)).sort()
    }
    const ends = (await positions()).map((row) => row[2])
    expect(await positions()).toEqual(ends.map((end, partition) => [String(partition), end, end, '0']))
    // Who leaves does not wait for the answer.
    await until('the member has left', async () => / Empty /.test((await groups('--describe', '--group', group, '--state')).stdout))
    expect(lines((await groups('--describe', '--group', group, '--state')).stdout).at(-1)).toMatch(new RegExp(`^${group}\\s+(${cluster.brokers.map(({ address }, index) => `${address} +\\(${index + 1}\\)`).join('|')})\\s+Empty\\s+0$`))
    const reset = async (...how: string[]) => {
      await groups('--reset-offsets', '--group', group, '--topic', topic, '--execute', ...how)
      return (await positions()).map((row) => row[1])
    }
    expect(await reset('--to-earliest')).toEqual(['0', '0'])
    expect(await reset('--to-latest')).toEqual(ends)
    expect(await reset('--to-offset', '0')).toEqual(['0', '0'])
    expect(await reset('--to-datetime', '2020-01-01T00:00:00.000')).toEqual(['0', '0'])
    expect(lines((await groups('--delete', '--group', group)).stdout).join()).toContain('was successful')
    expect(lines((await groups('--list')).stdout)).not.toContain(group)
    const gone = await refusal('groups', [...server(), '--describe', '--group', group])
    expect(gone.stdout + gone.stderr).toContain(`Consumer group '${group}' does not exist.`)
  })

  test('ConsumerGroupCommand shows members while they are there', async () => {
    const topic = await created(2)
    const group = unique('group')
    const consuming = tool('consumer', [...server(), '--topic', topic, '--group', group, '--from-beginning', '--max-messages', '1'])
    const members = async () => lines((await tool('groups', [...server(), '--timeout', '120000', '--describe', '--group', group, '--members', '--verbose'])).stdout).filter((line) => line.startsWith(group))
    const [member] = await until('the member', async () => {
      const found = await members().catch(() => [])
      // Between its joining and the group's being stable it has no assignment yet.
      return found.length === 1 && found[0].endsWith(')') && found
    })
    expect(member).toMatch(new RegExp(`^${group}\\s+console-consumer-\\S+\\s+/127\\.0\\.0\\.1\\s+console-consumer\\s+2\\s+.*\\(0,1\\)$`))
    await produce(topic, 'last\n')
    expect(lines((await consuming).stdout)).toEqual(['last'])
  })

  test('ProducerPerformance and ConsumerPerformance count every record', async () => {
    const topic = await created(2)
    const props = ['bootstrap.servers=' + cluster.kafka.address, 'acks=all', 'compression.type=lz4']
    const sent = await tool('producerPerf', ['--topic', topic, '--num-records', '50000', '--record-size', '200', '--throughput', '-1', '--producer-props', ...props])
    expect(sent.stdout).toMatch(/50000 records sent, /)
    const read = await tool('consumerPerf', [...server(), '--topic', topic, '--messages', '50000', '--timeout', '120000'])
    expect(Number(lines(read.stdout).at(-1)!.split(',')[4])).toBe(50_000)
  })

  test('VerifiableProducer and VerifiableConsumer account for each record', async () => {
    const topic = await created(3)
    const produced = await tool('verifiableProducer', ['--bootstrap-server', cluster.kafka.address, '--topic', topic, '--max-messages', '1000', '--acks', '-1'])
    const sums = lines(produced.stdout).filter((line) => line.startsWith('{')).map((line) => JSON.parse(line) as Record<string, unknown>).find((line) => line.name === 'tool_data')
    expect(sums).toMatchObject({ sent: 1_000, acked: 1_000 })
    const consumed = await tool('verifiableConsumer', ['--bootstrap-server', cluster.kafka.address, '--topic', topic, '--group-id', unique('group'), '--max-messages', '1000', '--reset-policy', 'earliest'])
    const events = lines(consumed.stdout).filter((line) => line.startsWith('{')).map((line) => JSON.parse(line) as { name: string; count?: number; success?: boolean })
    expect(events.filter(({ name }) => name === 'records_consumed').reduce((sum, { count = 0 }) => sum + count, 0)).toBe(1_000)
    expect(events.filter(({ name }) => name === 'offsets_committed').every(({ success }) => success)).toBe(true)
  })

  test('EndToEndLatency sends and waits for each of its records', async () => {
    const topic = await created()
    const { stdout } = await tool('endToEnd', [cluster.kafka.address, topic, '50', 'all', '100'])
    expect(stdout).toContain('Avg latency:')
  })

  test('LogDirs, ClusterTool, BrokerApiVersions and TransactionsCommand', async () => {
    const topic = await created()
    await produce(topic, 'a\n')
    const described = lines((await tool('logDirs', [...server(), '--describe', '--topic-list', topic])).stdout).find((line) => line.startsWith('{'))!
    const { brokers } = JSON.parse(described) as { brokers: { broker: number }[] }
    expect(brokers.sort((one, other) => one.broker - other.broker)).toMatchObject(cluster.brokers.map(({ dataDirectory }, index) => ({ broker: index + 1, logDirs: [{ logDir: dataDirectory, error: null, partitions: [{ partition: `${topic}-0`, offsetLag: 0, isFuture: false }] }] })))
    expect((await tool('cluster', ['cluster-id', ...server()])).stdout).toMatch(/^Cluster ID: [A-Za-z0-9_-]{22}$/m)
    const versions = (await tool('versions', server())).stdout
    for (const [index, { address }] of cluster.brokers.entries()) expect(versions).toContain(`${address} (id: ${index + 1} rack: null) -> (`)
    expect(versions).toMatch(/Produce\(0\): 0 to 11 /)
    const producers = lines((await tool('transactions', [...server(), 'describe-producers', '--topic', topic, '--partition', '0'])).stdout)
    expect(producers.map((line) => line.split(/\s+/).slice(1, 3).join(' '))).toEqual(['ProducerEpoch LatestCoordinatorEpoch', '0 -1'])
  })

  test('DumpLogSegments finds each batch of the log valid', async () => {
    const topic = await created()
    await produce(topic, Array.from({ length: 50 }, (_, i) => `record ${i}\n`).join(''), '--compression-codec', 'zstd')
    await cluster.kafka.stop()
    try {
      const segment = join(cluster.kafka.dataDirectory, `${topic}-0`, '00000000000000000000.log')
      const dumped = lines((await tool('dump', ['--deep-iteration', '--print-data-log', '--files', segment])).stdout)
      expect(dumped.filter((line) => line.includes('payload: record'))).toHaveLength(50)
      expect(dumped.filter((line) => line.startsWith('baseOffset')).every((line) => line.includes('isvalid: true') && line.includes('compresscodec: zstd'))).toBe(true)
    } finally {
      await cluster.kafka.start()
    }
  })
})
