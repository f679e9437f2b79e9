/** kafka-get-offsets.sh: offsets of partitions at a time, one line each: topic:partition:offset. */
import type { KafkaClient } from '../kafka/client/client.ts'
import { listOffsets, partitionName, type TopicPartition } from '../kafka/client/offsets.ts'
import { clientProperties } from './client-properties.ts'
import { clusterClient } from './cluster-client.ts'
import { OptionError, Options, type OptionSpec } from './options.ts'
import { helpOrVersion, runAsProgram, type Tool } from './tool.ts'
import { internalTopics, topicPattern } from './topic-pattern.ts'

export const getOffsetsAbout = 'An interactive shell for getting topic-partition offsets.'
export const getOffsetsOptions: readonly OptionSpec[] = [
  { name: 'bootstrap-server', takes: 'String', value: 'HOST1:PORT1,...,HOST3:PORT3', help: 'REQUIRED: the Kafka servers, HOST:PORT[,HOST:PORT...].' },
  { name: 'broker-list', takes: 'String', value: 'HOST1:PORT1,...,HOST3:PORT3', help: 'DEPRECATED: the old name of --bootstrap-server, which goes first when both are given.' },
  { name: 'command-config', takes: 'String', value: 'config file', help: 'A properties file with settings of the client.' },
  { name: 'exclude-internal-topics', help: 'Leave out the topics that brokers keep for themselves.' },
  { name: 'help', help: 'Print usage information.' },
  { name: 'partitions', takes: 'String', value: 'partition ids', help: 'Only these partitions, as "0,1,2". Not together with --topic-partitions.' },
  { name: 'time', takes: 'String', value: '<timestamp> / -1 or latest / -2 or earliest / -3 or max-timestamp / -4 or earliest-local / -5 or latest-tiered', byDefault: 'latest', help: 'Which offset: of the first record from a time on, in ms since 1970, or one of these words. Nothing is printed for a partition without such a record.' },
  { name: 'topic', takes: 'String', value: 'topic', help: 'Only topics whose whole name this regular expression matches. Not together with --topic-partitions.' },
  { name: 'topic-partitions', takes: 'String', value: 'topic1:1,topic2:0-3,topic3,topic4:5-,topic5:-3', help: 'Which partitions: topic (a regular expression), topic:1, topic:0-3 (the upper end not included), topic:5-, topic:-3.' },
  { name: 'version', help: 'Display the version.' },
]

const times: Readonly<Record<string, bigint>> = { 'latest': -1n, 'earliest': -2n, 'max-timestamp': -3n, 'earliest-local': -4n, 'latest-tiered': -5n }
type Filter = (at: TopicPartition) => boolean

export const kafkaGetOffsets: Tool = async (argv, io) => {
  const shown = helpOrVersion(argv, getOffsetsAbout, getOffsetsOptions, io)
  if (shown !== undefined) return shown
  let client: KafkaClient | undefined
  try {
    const options = new Options(getOffsetsOptions, argv)
    const servers = options.value('bootstrap-server') ?? options.value('broker-list')
    if (servers === undefined) throw new OptionError('Missing required argument "[bootstrap-server]"')
    const timestamp = timeIn(options.value('time')!)
    const filter = filterOf(options)
    client = await clusterClient(io, { bootstrapServers: servers, clientId: 'GetOffsetShell', properties: clientProperties(options.value('command-config')) })
    const { topics } = await client.retrying('Metadata', () => client!.metadata(null))
    const chosen = topics
      .filter(({ isInternal, name }) => !(options.has('exclude-internal-topics') && (isInternal || internalTopics.has(name!))))
      .flatMap(({ name, partitions }) => partitions.map(({ partitionIndex, leaderId }) => ({ topic: name!, partition: partitionIndex, leaderId })))
      .filter(filter)
      .sort((a, b) => (a.topic < b.topic ? -1 : a.topic > b.topic ? 1 : a.partition - b.partition))
    if (chosen.length === 0) throw new OptionError('Could not match any topic-partitions with the specified filters')
    for (const one of chosen) if (one.leaderId < 0) io.err(`Skip getting offsets for topic-partition ${partitionName(one)} since it has no leader`)
    const found = await listOffsets(client, chosen.filter(({ leaderId }) => leaderId >= 0).map(({ topic, partition }) => ({ topic, partition, timestamp })))
    for (const { topic, partition } of chosen) {
      const offset = found.get(partitionName({ topic, partition }))
      if (offset !== undefined && offset >= 0) io.out(`${topic}:${partition}:${offset}\n`)
    }
    return 0
  } catch (error) {
    io.err(`Error occurred: ${(error as Error).message}`)
    return 1
  } finally {
    await client?.close()
  }
}

function timeIn(text: string): bigint {
  if (Object.hasOwn(times, text)) return times[text]
  if (/^-?\d{1,18}$/.test(text)) return BigInt(text)
  throw new OptionError(`Malformed time argument ${text}. Please use -1 or latest / -2 or earliest / -3 or max-timestamp / -4 or earliest-local / -5 or latest-tiered, or a specified long format timestamp`)
}
function filterOf(options: Options): Filter {
  const rules = options.value('topic-partitions')
  if (rules !== undefined) {
    if (options.has('topic') || options.has('partitions')) throw new OptionError('--topic-partitions cannot be used with --topic or --partitions')
    const filters = rules.split(',').map(ruleOf)
    return (at) => filters.some((filter) => filter(at))
  }
  const topic = options.has('topic') ? topicPattern(options.value('topic')!) : () => true
  const ids = options.value('partitions')
  if (ids !== undefined && !/^\d+(,\d+)*$/.test(ids)) throw new OptionError(`--partitions expects a comma separated list of numeric partition ids, but received: ${ids}`)
  const partitions = ids === undefined ? undefined : new Set(ids.split(',').map(Number))
  return (at) => topic(at.topic) && (partitions?.has(at.partition) ?? true)
}
/** `topic`, `topic:1`, `topic:0-3` without the 3, `topic:5-`, `topic:-3`; without a topic: all. */
function ruleOf(rule: string): Filter {
  const [, name, from, dash, to] = /^([^:,]*)(?::(?:(\d+)?(-)?(\d+)?)?)?$/.exec(rule) ?? []
  if (name === undefined) throw new OptionError(`Invalid rule specification: ${rule}`)
  const matches = name === '' ? () => true : topicPattern(name)
  const low = from === undefined ? 0 : Number(from)
  const high = dash === undefined ? (from === undefined ? Infinity : low + 1) : to === undefined ? Infinity : Number(to)
  return ({ topic, partition }) => matches(topic) && partition >= low && partition < high
}

runAsProgram(import.meta.url, kafkaGetOffsets)
