/** The command line of kafka-console-consumer.sh: its options, and what they mean together. */
import type { Random } from '../host/host.ts'
import { clientProperties, numberIn, wordIn, type ClientProperties } from './client-properties.ts'
import { keyValues, OptionError, type Options, type OptionSpec } from './options.ts'
import type { OffsetReset } from './position-sources.ts'
import { readPropertiesFile } from './properties.ts'
import { formatterOf, type Formatter } from './record-formatter.ts'

export const consumerAbout = 'This tool helps to read data from Kafka topics and outputs it to standard output.'
export const consumerOptions: readonly OptionSpec[] = [
  { name: 'bootstrap-server', takes: 'String', value: 'server to connect to', help: 'REQUIRED unless --zookeeper is given: the Kafka servers, HOST:PORT[,HOST:PORT...].' },
  { name: 'consumer-property', takes: 'String', value: 'consumer_prop', help: 'A setting of the consumer, key=value; may be given several times.' },
  { name: 'consumer.config', takes: 'String', value: 'config file', help: 'A properties file with settings of the consumer; --consumer-property goes first.' },
  { name: 'enable-systest-events', help: 'Accepted and without effect: for tests of another program.' },
  { name: 'formatter', takes: 'String', value: 'class', byDefault: 'org.apache.kafka.tools.consumer.DefaultMessageFormatter', help: 'How records are shown: DefaultMessageFormatter, LoggingMessageFormatter or NoOpMessageFormatter.' },
  { name: 'formatter-config', takes: 'String', value: 'config file', help: 'A properties file with what --property can say; --property goes first.' },
  { name: 'from-beginning', help: 'Where nothing is committed yet, begin with the first record kept and not with the next one to come.' },
  { name: 'group', takes: 'String', value: 'consumer group id', help: 'The group whose member this consumer becomes; it keeps its offsets.' },
  { name: 'help', help: 'Print usage information.' },
  { name: 'include', takes: 'String', value: 'regex', help: 'A regular expression: all topics whose whole name matches.' },
  { name: 'isolation-level', takes: 'String', byDefault: 'read_uncommitted', help: 'read_committed leaves out records of transactions that were aborted or are still open.' },
  { name: 'key-deserializer', takes: 'String', value: 'deserializer for key', help: 'What keys are: String, ByteArray, Bytes, Long, Integer, Short, Double, Float, Boolean (...Deserializer).' },
  { name: 'max-messages', takes: 'Integer', value: 'num_messages', help: 'Stop after this many; otherwise go on until interrupted.' },
  { name: 'offset', takes: 'String', value: 'consume offset', byDefault: 'latest', help: "With --partition: where to begin: a number, 'earliest' or 'latest'." },
  { name: 'partition', takes: 'Integer', value: 'partition', help: 'Only this partition, from its end unless --offset says otherwise.' },
  {
    name: 'property', takes: 'String', value: 'prop',
    help: 'How records are shown, key=value; may be given several times:\n print.timestamp=false\n print.partition=false\n print.offset=false\n print.headers=false\n print.key=false\n print.value=true\n key.separator=\\t\n line.separator=\\n\n headers.separator=,\n null.literal=null\n key.deserializer=\n value.deserializer=\n headers.deserializer=',
  },
  { name: 'skip-message-on-error', help: 'Go on after a record that cannot be read or shown.' },
  { name: 'timeout-ms', takes: 'Integer', value: 'timeout_ms', help: 'Stop when no record has come for this long.' },
  { name: 'topic', takes: 'String', value: 'topic', help: 'The topic to read.' },
  { name: 'value-deserializer', takes: 'String', value: 'deserializer for values', help: 'What values are; see --key-deserializer.' },
  { name: 'version', help: 'Display the version.' },
  { name: 'whitelist', takes: 'String', value: 'regex', help: 'DEPRECATED: the old name of --include, which goes first when both are given.' },
  { name: 'zookeeper', takes: 'String', value: 'hosts', help: 'As before Kafka 2: HOST:PORT[,...][/chroot] of the ZooKeeper where the brokers are registered; offsets are kept there, in /consumers.' },
]

export interface ConsumerSettings {
  bootstrapServers: string | undefined
  zookeeper: string | undefined
  topic: string | undefined
  include: string | undefined
  partition: number | undefined
  from: number | 'earliest' | 'latest'
  groupId: string
  /** The user named the group: its offsets are kept. */
  groupIsNamed: boolean
  autoCommitMs: number | undefined
  assignorNames: readonly string[]
  reset: OffsetReset
  readCommitted: boolean
  maxMessages: number | undefined
  timeoutMs: number | undefined
  skipsErrors: boolean
  properties: ClientProperties
  formatter: Formatter
}

export function consumerSettings(options: Options, random: Random): ConsumerSettings {
  const refuse = (message: string): never => {
    throw new OptionError(message, { showsUsage: true })
  }
  if (!options.has('bootstrap-server') && !options.has('zookeeper')) options.require('bootstrap-server')
  const topic = options.value('topic')
  const include = options.value('include') ?? options.value('whitelist')
  if ((topic === undefined) === (include === undefined)) refuse('Exactly one of --include/--topic is required. ')
  const partition = options.number('partition')
  if (partition !== undefined) {
    if (topic === undefined) refuse('The topic is required when partition is specified.')
    if (options.has('from-beginning') && options.has('offset')) refuse('Options from-beginning and offset cannot be specified together.')
    if (options.has('group')) refuse('Options group and partition cannot be specified together.')
    if (partition < 0) refuse(`The partition ${partition} is not valid: partitions are counted from 0.`)
  } else if (options.has('offset')) refuse('The partition is required when offset is specified.')
  const properties = clientProperties(options.value('consumer.config'), keyValues(options.values('consumer-property'), 'consumer-property'))
  const groupId = groupOf(options, properties, refuse)
  const resetProperty = wordIn(properties, 'auto.offset.reset', ['earliest', 'latest', 'none'])
  if (options.has('from-beginning') && resetProperty !== undefined && resetProperty !== 'earliest')
    refuse(`Can't simultaneously specify --from-beginning and 'auto.offset.reset=${resetProperty}', please remove one option`)
  const reset = options.has('from-beginning') ? 'earliest' : (resetProperty ?? 'latest')
  const isolation = wordIn(new Map([['isolation.level', options.has('isolation-level') ? options.value('isolation-level')! : (properties.get('isolation.level') ?? 'read_uncommitted')]]), 'isolation.level', ['read_committed', 'read_uncommitted'])
  // The old consumer keeps the offsets of a nameless group as well, until it ends.
  const commits = (groupId !== undefined || options.has('zookeeper')) && properties.get('enable.auto.commit') !== 'false'
  const timeoutMs = options.number('timeout-ms')
  const maxMessages = options.number('max-messages')
  return {
    bootstrapServers: options.value('bootstrap-server'),
    zookeeper: options.value('zookeeper'),
    topic,
    include,
    partition,
    from: options.has('from-beginning') ? 'earliest' : offsetOf(options.value('offset')!, refuse),
    groupId: groupId ?? `console-consumer-${random.below(100_000)}`,
    groupIsNamed: groupId !== undefined,
    autoCommitMs: commits ? (numberIn(properties, 'auto.commit.interval.ms') ?? 5000) : undefined,
    assignorNames: assignorsOf(properties),
    reset,
    readCommitted: isolation === 'read_committed',
    maxMessages: maxMessages !== undefined && maxMessages < 0 ? undefined : maxMessages,
    timeoutMs: timeoutMs !== undefined && timeoutMs < 0 ? undefined : timeoutMs,
    skipsErrors: options.has('skip-message-on-error'),
    properties,
    formatter: formatterOf(options.has('formatter') ? options.value('formatter') : undefined, formatterProperties(options)),
  }
}

function groupOf(options: Options, properties: ClientProperties, refuse: (message: string) => never): string | undefined {
  const given = [options.value('group'), properties.get('group.id')].filter((id) => id !== undefined)
  const ids = [...new Set(given)]
  if (ids.length > 1)
    refuse(`The group ids provided in different places (directly using '--group', via '--consumer-property', or via '--consumer.config') do not match. Detected group ids: ${ids.map((id) => `'${id}'`).join(', ')}`)
  if (ids[0] === '') refuse('The group id must not be empty.')
  return ids[0]
}
function offsetOf(text: string, refuse: (message: string) => never): number | 'earliest' | 'latest' {
  const word = text.toLowerCase()
  if (word === 'earliest' || word === 'latest') return word
  const offset = Number(text)
  if (/^\d+$/.test(text) && Number.isSafeInteger(offset)) return offset
  return refuse(`The provided offset value '${text}' is incorrect. Valid values are 'earliest', 'latest', or a non-negative long.`)
}
/** Java class names, or the names that go over the wire. */
function assignorsOf(properties: ClientProperties): readonly string[] {
  const text = properties.get('partition.assignment.strategy')
  if (text === undefined) return ['range', 'roundrobin']
  return text.split(',').map((name) => {
    const short = name.trim().split('.').at(-1)!.replace(/Assignor$/, '').toLowerCase()
    if (short === 'range' || short === 'roundrobin') return short
    throw new OptionError(`partition.assignment.strategy=${name.trim()} is not known here; known are RangeAssignor and RoundRobinAssignor`)
  })
}
function formatterProperties(options: Options): ReadonlyMap<string, string> {
  const file = options.value('formatter-config')
  const properties = new Map(file === undefined ? [] : readPropertiesFile(file).map(({ key, value }) => [key, value]))
  for (const [key, value] of keyValues(options.values('property'), 'property')) properties.set(key, value)
  for (const side of ['key', 'value'] as const) {
    const given = options.value(`${side}-deserializer`)
    if (given !== undefined) properties.set(`${side}.deserializer`, given)
  }
  return properties
}
