/** kafka-transactions.sh: lists and describes transactions, finds those that hang, and aborts them (KIP-664). */
import type { KafkaClient, Target } from '../kafka/client/client.ts'
import { partitionName, type TopicPartition } from '../kafka/client/offsets.ts'
import { DescribeProducers, type DescribeProducersResponse } from '../kafka/protocol/describe-producers.ts'
import { DescribeTransactions, type DescribeTransactionsResponse } from '../kafka/protocol/describe-transactions.ts'
import { errorByCode, errors, RefusedError } from '../kafka/protocol/errors.ts'
import { ListTransactions } from '../kafka/protocol/list-transactions.ts'
import { WriteTxnMarkers } from '../kafka/protocol/write-txn-markers.ts'
import { clientProperties } from './client-properties.ts'
import { clusterClient } from './cluster-client.ts'
import { helpText, OptionError, Options, type OptionSpec } from './options.ts'
import { runAsProgram, versionText, type Tool, type ToolIo } from './tool.ts'

interface Command {
  about: string
  options: readonly OptionSpec[]
  required: readonly string[]
  run(client: KafkaClient, options: Options, io: ToolIo): Promise<void>
}
type Producer = DescribeProducersResponse['topics'][number]['partitions'][number]['activeProducers'][number]
type Description = DescribeTransactionsResponse['transactionStates'][number]

const scriptName = 'kafka-transactions.sh'
const globalOptions: readonly OptionSpec[] = [
  { name: 'bootstrap-server', takes: 'String', value: 'host:port', help: 'REQUIRED: the Kafka servers, HOST:PORT[,HOST:PORT...].' },
  { name: 'command-config', takes: 'String', value: 'FILE', help: 'A properties file with settings of the client.' },
  { name: 'help', help: 'Print usage information.' },
  { name: 'version', help: 'Display the version.' },
]
const topic: OptionSpec = { name: 'topic', takes: 'String', value: 'topic', help: 'The topic.' }
const partition: OptionSpec = { name: 'partition', takes: 'Integer', value: 'partition', help: 'The partition.' }
const commands: Readonly<Record<string, Command>> = {
  'list': {
    about: 'list transactions',
    options: [{ name: 'duration-filter', takes: 'Long', value: 'ms', byDefault: '-1', help: 'list: only those that have been going on for longer than this, ms; negative: all.' }],
    required: [],
    run: list,
  },
  'describe': {
    about: 'describe the state of an active transactional-id',
    options: [{ name: 'transactional-id', takes: 'String', value: 'id', help: 'describe: the transactional id.' }],
    required: ['transactional-id'],
    run: describe,
  },
  'describe-producers': {
    about: 'describe the states of active producers for a topic partition',
    options: [{ name: 'broker-id', takes: 'Integer', value: 'id', help: 'describe-producers: ask this replica and not the leader. find-hanging: search the replicas of this broker.' }, topic, partition],
    required: ['topic', 'partition'],
    run: describeProducers,
  },
  'abort': {
    about: 'abort a hanging transaction (requires administrative privileges)',
    options: [
      topic, partition,
      { name: 'start-offset', takes: 'Long', value: 'offset', help: 'abort: where the transaction begins.' },
      { name: 'producer-id', takes: 'Long', value: 'id', help: 'abort, for brokers before 3.0: the producer, together with --producer-epoch and --coordinator-epoch.' },
      { name: 'producer-epoch', takes: 'Integer', value: 'epoch', help: 'abort: see --producer-id.' },
      { name: 'coordinator-epoch', takes: 'Integer', value: 'epoch', help: 'abort: see --producer-id.' },
    ],
    required: ['topic', 'partition'],
    run: abort,
  },
  'find-hanging': {
    about: 'find hanging transactions',
    options: [
      { name: 'broker-id', takes: 'Integer', value: 'id', help: 'search the replicas of this broker' },
      { name: 'max-transaction-timeout', takes: 'Integer', value: 'minutes', byDefault: '15', help: 'find-hanging: transactions younger than this are nobody\'s business yet, minutes.' },
      topic, partition,
    ],
    required: [],
    run: findHanging,
  },
}
/** All of them, for the page of the tools. */
export const transactionsOptions: readonly OptionSpec[] = [...new Map([...globalOptions, ...Object.values(commands).flatMap(({ options }) => options)].map((spec) => [spec.name, spec] as const).reverse()).values()].sort((a, b) => (a.name < b.name ? -1 : 1))

class CommandError extends Error {}

export const kafkaTransactions: Tool = async (argv, io) => {
  const at = commandIndex(argv)
  const name = argv[at]
  const command = name !== undefined && Object.hasOwn(commands, name) ? commands[name] : undefined
  let options: Options
  let all: Options
  try {
    all = new Options(globalOptions, argv.slice(0, at))
    if (all.has('version')) return io.out(`${versionText()}\n`), 0
    if (all.has('help') || argv.length === 0) return io.err(usage()), 1
    if (!all.has('bootstrap-server')) throw new OptionError('argument --bootstrap-server is required')
    if (name === undefined) throw new OptionError('too few arguments')
    if (!command) throw new OptionError(`argument COMMAND: invalid choice: '${name}' (choose from ${Object.keys(commands).map((one) => `'${one}'`).join(', ')})`)
    options = new Options([...command.options, globalOptions[2]], argv.slice(at + 1))
    if (options.has('help')) return io.err(helpText(command.options).trimEnd()), 1
    for (const wanted of command.required) if (!options.has(wanted)) throw new OptionError(`argument --${wanted} is required`)
  } catch (error) {
    if (!(error instanceof OptionError)) throw error
    io.err(`usage: ${scriptName} [--command-config FILE] --bootstrap-server host:port ${command ? name : 'COMMAND'} ...\n${scriptName}: error: ${error.message}`)
    return 1
  }
  let client: KafkaClient | undefined
  try {
    client = await clusterClient(io, { bootstrapServers: all.value('bootstrap-server'), clientId: 'adminclient-1', properties: clientProperties(all.value('command-config')) })
    await command.run(client, options, io)
    return 0
  } catch (error) {
    io.err((error as Error).message)
    return 1
  } finally {
    await client?.close()
  }
}

/** Where the command's word stands: the first that is neither an option nor the value of one. */
function commandIndex(argv: readonly string[]): number {
  for (let index = 0; index < argv.length; index++) {
    const [, name, attached] = /^--?([^=]+)(=.*)?$/s.exec(argv[index]) ?? []
    if (name === undefined) return index
    if (attached === undefined && globalOptions.find((spec) => spec.name === name)?.takes) index++
  }
  return argv.length
}
function usage(): string {
  return `usage: ${scriptName} [--command-config FILE] --bootstrap-server host:port COMMAND ...

This tool is used to analyze the transactional state of producers in the cluster. It can be used to detect and recover from hanging transactions.

${helpText(globalOptions).trimEnd()}

commands:
${Object.entries(commands).map(([name, { about }]) => `  ${name.padEnd(20)} ${about}`).join('\n')}`
}

/** Rejects with `what: why`. */
async function attempt<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    throw new CommandError(`${what}: ${(cause as Error).message}`, { cause })
  }
}
function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((text, column) => Math.max(text.length, ...rows.map((row) => row[column].length)))
  return [head, ...rows].map((row) => `${row.map((text, column) => `${text.padEnd(widths[column])}\t`).join('')}\n`).join('')
}

async function list(client: KafkaClient, options: Options, io: ToolIo): Promise<void> {
  const longerMs = BigInt(options.value('duration-filter')!)
  const rows = await attempt('Failed to list transactions', async () => (await listed(client, { durationFilter: longerMs })).map(({ broker, transactionalId, producerId, transactionState }) => [transactionalId, String(broker), String(producerId), transactionState]))
  io.out(table(['TransactionalId', 'Coordinator', 'ProducerId', 'TransactionState'], rows))
}
async function listed(client: KafkaClient, { producerIds = [], durationFilter = -1n }: { producerIds?: number[]; durationFilter?: bigint }) {
  await client.retrying('Metadata', () => client.metadata([]))
  const found: { broker: number; transactionalId: string; producerId: number; transactionState: string }[] = []
  for (const broker of client.brokers.keys()) {
    const { transactionStates } = await client.call({ kind: 'broker', id: broker }, ListTransactions, (version) => {
      if (version < 1 && durationFilter >= 0n) throw new Error(`broker ${broker} cannot filter transactions by duration: it has ListTransactions up to version ${version}, 1 is needed`)
      return { stateFilters: [], producerIdFilters: producerIds, durationFilter: durationFilter < 0n ? -1n : durationFilter }
    })
    found.push(...transactionStates.map((state) => ({ broker, ...state })))
  }
  return found
}

async function describe(client: KafkaClient, options: Options, io: ToolIo): Promise<void> {
  const id = options.value('transactional-id')!
  const found = await attempt(`Failed to describe transaction state of transactional-id \`${id}\``, () => described(client, id))
  if (!found) throw new CommandError(`Failed to describe transaction state of transactional-id \`${id}\`: DescribeTransactions request for transactionalId \`${id}\` failed because the ID could not be found`)
  const coordinator = await client.coordinator('transaction', id)
  const started = found.transactionStartTimeMs
  const row = [
    String(coordinator.id), id, String(found.producerId), String(found.producerEpoch), found.transactionState, String(found.transactionTimeoutMs),
    ...(started < 0n ? ['None', 'None'] : [String(started), String(BigInt(io.host.clock.now()) - started)]),
    found.topics.flatMap(({ topic: name, partitions }) => partitions.map((each) => `${name}-${each}`)).join(','),
  ]
  io.out(table(['CoordinatorId', 'TransactionalId', 'ProducerId', 'ProducerEpoch', 'TransactionState', 'TransactionTimeoutMs', 'CurrentTransactionStartTimeMs', 'TransactionDurationMs', 'TopicPartitions'], [row]))
}
/** Undefined: there is no such transactional id. */
async function described(client: KafkaClient, id: string): Promise<Description | undefined> {
  try {
    const { transactionStates } = await client.call({ kind: 'coordinator', of: 'transaction', key: id }, DescribeTransactions, { transactionalIds: [id] }, { errorsIn: (response) => response.transactionStates })
    return transactionStates[0]
  } catch (error) {
    if (error instanceof RefusedError && error.error === errors.transactionalIdNotFound) return undefined
    throw error
  }
}

/** What a partition remembers of producers; asked of its leader, or of one replica. */
async function producersOf(client: KafkaClient, at: TopicPartition, brokerId: number | undefined): Promise<Producer[]> {
  const target: Target = brokerId === undefined ? { kind: 'leader', ...at } : { kind: 'broker', id: brokerId }
  const { topics } = await client.call(target, DescribeProducers, { topics: [{ name: at.topic, partitionIndexes: [at.partition] }] }, { errorsIn: (response) => response.topics.flatMap(({ partitions }) => partitions) })
  return topics[0]?.partitions[0]?.activeProducers ?? []
}
const placeIn = (options: Options): TopicPartition => ({ topic: options.value('topic')!, partition: options.number('partition')! })

async function describeProducers(client: KafkaClient, options: Options, io: ToolIo): Promise<void> {
  const at = placeIn(options)
  const brokerId = options.number('broker-id')
  const producers = await attempt(`Failed to describe producers for partition ${partitionName(at)} on ${brokerId === undefined ? 'leader' : `broker ${brokerId}`}`, () => producersOf(client, at, brokerId))
  const rows = producers.map(({ producerId, producerEpoch, coordinatorEpoch, lastSequence, lastTimestamp, currentTxnStartOffset }) =>
    [producerId, producerEpoch, coordinatorEpoch, lastSequence, lastTimestamp, currentTxnStartOffset < 0 ? 'None' : currentTxnStartOffset].map(String))
  io.out(table(['ProducerId', 'ProducerEpoch', 'LatestCoordinatorEpoch', 'LastSequence', 'LastTimestamp', 'CurrentTransactionStartOffset'], rows))
}

async function abort(client: KafkaClient, options: Options): Promise<void> {
  const at = placeIn(options)
  if (!options.has('start-offset') && !options.has('producer-id'))
    throw new CommandError('The transaction to abort must be identified either with --start-offset (for brokers on 3.0 or above) or with --producer-id, --producer-epoch, and --coordinator-epoch (for older brokers)')
  const marker = options.has('start-offset') ? await markerOf(client, at, options.number('start-offset')!) : markerIn(options)
  await attempt(`Failed to abort transaction of producer ${marker.producerId} in ${partitionName(at)}`, () =>
    client.call(
      { kind: 'leader', ...at },
      WriteTxnMarkers,
      // A producer that hangs before its first marker shows coordinator epoch -1; 0 is not above any real one.
      { markers: [{ ...marker, coordinatorEpoch: Math.max(0, marker.coordinatorEpoch), transactionResult: false, topics: [{ name: at.topic, partitionIndexes: [at.partition] }] }] },
      { errorsIn: (response) => response.markers.flatMap(({ topics }) => topics.flatMap(({ partitions }) => partitions)) },
    ))
}
interface Marker {
  producerId: number
  producerEpoch: number
  coordinatorEpoch: number
}
async function markerOf(client: KafkaClient, at: TopicPartition, startOffset: number): Promise<Marker> {
  const producers = await attempt(`Failed to validate producer state for partition ${partitionName(at)}`, () => producersOf(client, at, undefined))
  const found = producers.find(({ currentTxnStartOffset }) => currentTxnStartOffset >= 0 && currentTxnStartOffset === startOffset)
  if (!found) throw new CommandError(`Could not find any open transactions starting at offset ${startOffset} on partition ${partitionName(at)}`)
  return { producerId: found.producerId, producerEpoch: found.producerEpoch, coordinatorEpoch: found.coordinatorEpoch }
}
function markerIn(options: Options): Marker {
  for (const name of ['producer-epoch', 'coordinator-epoch']) if (!options.has(name)) throw new CommandError(`Missing required argument --${name}`)
  return { producerId: options.number('producer-id')!, producerEpoch: options.number('producer-epoch')!, coordinatorEpoch: options.number('coordinator-epoch')! }
}

async function findHanging(client: KafkaClient, options: Options, io: ToolIo): Promise<void> {
  const brokerId = options.number('broker-id')
  if (!options.has('topic') && brokerId === undefined) throw new CommandError('The `find-hanging` command requires either --topic or --broker-id to limit the scope of the search')
  if (options.has('partition') && !options.has('topic')) throw new CommandError('The --partition argument requires --topic to be provided')
  const now = io.host.clock.now()
  const youngMs = options.number('max-transaction-timeout')! * 60_000
  const candidates: (TopicPartition & Producer)[] = []
  for (const at of await partitionsToSearch(client, options, brokerId))
    for (const producer of await attempt(`Failed to describe producers for partition ${partitionName(at)}`, () => producersOf(client, at, brokerId)))
      if (producer.currentTxnStartOffset >= 0 && now - Number(producer.lastTimestamp) > youngMs) candidates.push({ ...at, ...producer })
  const hanging = candidates.length === 0 ? [] : await withoutCoordinator(client, candidates)
  const rows = hanging.map((one) => [one.topic, one.partition, one.producerId, one.producerEpoch, one.coordinatorEpoch, one.currentTxnStartOffset, one.lastTimestamp, Math.floor((now - Number(one.lastTimestamp)) / 60_000)].map(String))
  io.out(table(['Topic', 'Partition', 'ProducerId', 'ProducerEpoch', 'CoordinatorEpoch', 'StartOffset', 'LastTimestamp', 'Duration(min)'], rows))
}
async function partitionsToSearch(client: KafkaClient, options: Options, brokerId: number | undefined): Promise<TopicPartition[]> {
  if (options.has('partition')) return [placeIn(options)]
  const name = options.value('topic')
  const { topics } = await client.retrying('Metadata', () => client.metadata(name === undefined ? null : [name]))
  const wrong = topics.find(({ errorCode }) => errorCode !== 0)
  if (wrong) throw new CommandError(`Failed to describe ${topics.length} topics: ${wrong.name}: ${errorByCode(wrong.errorCode).message}`)
  return topics.filter(({ isInternal }) => name !== undefined || !isInternal).flatMap(({ name: each, partitions }) =>
    partitions.filter(({ replicaNodes }) => brokerId === undefined || replicaNodes.includes(brokerId)).map(({ partitionIndex }) => ({ topic: each!, partition: partitionIndex })))
}
/** Open transactions for which no coordinator will ever write a marker: nobody knows the producer, or its transaction does not have the partition. */
async function withoutCoordinator(client: KafkaClient, candidates: readonly (TopicPartition & Producer)[]): Promise<(TopicPartition & Producer)[]> {
  const known = await attempt('Failed to list transactions', () => listed(client, { producerIds: [...new Set(candidates.map(({ producerId }) => producerId))] }))
  const awaited = new Map<number, Set<string>>()
  for (const { producerId, transactionalId } of known) {
    const description = await attempt(`Failed to describe transaction \`${transactionalId}\``, () => described(client, transactionalId))
    const names = description?.topics.flatMap(({ topic: name, partitions }) => partitions.map((each) => `${name}-${each}`)) ?? []
    awaited.set(producerId, new Set(names))
  }
  return candidates.filter((one) => !awaited.get(one.producerId)?.has(partitionName(one)))
}

runAsProgram(import.meta.url, kafkaTransactions)
