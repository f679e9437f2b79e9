/** kafka-topics.sh: makes, lists, describes, alters and deletes topics. */
import type { KafkaClient } from '../kafka/client/client.ts'
import { CreatePartitions } from '../kafka/protocol/create-partitions.ts'
import { CreateTopics } from '../kafka/protocol/create-topics.ts'
import { DeleteTopics } from '../kafka/protocol/delete-topics.ts'
import { errors, RefusedError } from '../kafka/protocol/errors.ts'
import { IncrementalAlterConfigs } from '../kafka/protocol/incremental-alter-configs.ts'
import { uuidZero } from '../wire/schema.ts'
import { clientProperties } from './client-properties.ts'
import { clusterClient } from './cluster-client.ts'
import { describeTopics, type DescribeFilters } from './describe-topics.ts'
import { OptionError, Options, type OptionSpec } from './options.ts'
import { helpOrVersion, refuseCommandLine, runAsProgram, type Tool, type ToolIo } from './tool.ts'
import { internalTopics, topicPattern } from './topic-pattern.ts'

export const topicsAbout = 'This tool helps to create, delete, describe, or change a topic.'
export const topicsOptions: readonly OptionSpec[] = [
  { name: 'alter', help: 'Change the number of partitions. Configurations are changed with kafka-configs.sh, or here together with --zookeeper.' },
  { name: 'at-min-isr-partitions', help: 'When describing, show only partitions with exactly as many in-sync replicas as min.insync.replicas asks for.' },
  { name: 'bootstrap-server', takes: 'String', value: 'server to connect to', help: 'REQUIRED unless --zookeeper is given: the Kafka servers, HOST:PORT[,HOST:PORT...].' },
  { name: 'command-config', takes: 'String', value: 'command config property file', help: 'A properties file with settings of the client.' },
  { name: 'config', takes: 'String', value: 'name=value', help: 'A configuration of the topic to be made; may be given several times.' },
  { name: 'create', help: 'Create a new topic.' },
  { name: 'delete', help: 'Delete a topic.' },
  { name: 'delete-config', takes: 'String', value: 'name', help: 'With --alter and --zookeeper: a configuration to be removed.' },
  { name: 'describe', help: 'Show partitions, replicas and configurations of topics.' },
  { name: 'exclude-internal', help: 'When listing or describing, leave out the topics that brokers keep for themselves.' },
  { name: 'help', help: 'Print usage information.' },
  { name: 'if-exists', help: 'When altering, deleting or describing, do nothing if there is no such topic.' },
  { name: 'if-not-exists', help: 'When creating, do nothing if there is such a topic.' },
  { name: 'list', help: 'List all topics.' },
  { name: 'partition-size-limit-per-response', takes: 'Integer', value: 'maximum number of partitions', help: 'Accepted and without effect: answers come whole.' },
  { name: 'partitions', takes: 'Integer', value: '# of partitions', help: 'How many partitions the topic is to have. More of them change where keys go. Default when creating: the broker\'s num.partitions.' },
  { name: 'replica-assignment', takes: 'String', value: 'id:id,id:id,...', help: 'Broker ids of the replicas, one list for each partition.' },
  { name: 'replication-factor', takes: 'Integer', value: 'replication factor', help: 'Replicas of each partition. Default: the broker\'s default.replication.factor.' },
  { name: 'topic', takes: 'String', value: 'topic', help: 'The topic; except with --create also a regular expression.' },
  { name: 'topic-id', takes: 'String', value: 'topic-id', help: 'The id of the topic to describe.' },
  { name: 'topics-with-overrides', help: 'When describing, show only topics with configurations of their own.' },
  { name: 'unavailable-partitions', help: 'When describing, show only partitions without an available leader.' },
  { name: 'under-min-isr-partitions', help: 'When describing, show only partitions with fewer in-sync replicas than min.insync.replicas asks for.' },
  { name: 'under-replicated-partitions', help: 'When describing, show only partitions with replicas out of sync.' },
  { name: 'version', help: 'Display the version.' },
  { name: 'zookeeper', takes: 'String', value: 'hosts', help: 'As before Kafka 3: HOST:PORT[,...][/chroot] of the ZooKeeper where the brokers are registered, in place of --bootstrap-server.' },
]

const actions = ['list', 'describe', 'create', 'alter', 'delete'] as const
const describeFilters = ['under-replicated-partitions', 'unavailable-partitions', 'under-min-isr-partitions', 'at-min-isr-partitions', 'topics-with-overrides'] as const

/** Combinations that Apache's tool refuses, and the ones that would mean nothing. */
function check(options: Options): (typeof actions)[number] {
  const given = actions.filter((action) => options.has(action))
  if (given.length !== 1)
    throw new OptionError('Command must include exactly one action: --list, --describe, --create, --alter or --delete', { showsUsage: true })
  const action = given[0]
  if (!options.has('bootstrap-server') && !options.has('zookeeper')) throw new OptionError('--bootstrap-server must be specified')
  if (action !== 'list' && action !== 'describe') options.require('topic')
  if (action === 'describe' && options.has('if-exists') && !options.has('topic') && !options.has('topic-id'))
    throw new OptionError('--topic or --topic-id is required to describe a topic', { showsUsage: true })
  const others = (...allowed: string[]): string[] => actions.filter((other) => !allowed.includes(other))
  if (action === 'alter' && !options.has('zookeeper')) {
    if (options.has('config') || options.has('delete-config'))
      throw new OptionError(`Option combination "[[bootstrap-server], [config]]" can't be used with option "[alter]" (configurations are changed with kafka-configs.sh, or here together with --zookeeper)`, { showsUsage: true })
    options.require('partitions')
  }
  options.refuse('config', others('create', 'alter'))
  options.refuse('delete-config', others('alter'))
  options.refuse('partitions', others('create', 'alter'))
  options.refuse('replication-factor', others('create'))
  options.refuse('replica-assignment', others('create', 'alter'))
  if (action === 'create') options.refuse('replica-assignment', ['partitions', 'replication-factor'])
  options.refuse('if-exists', others('alter', 'delete', 'describe'))
  options.refuse('if-not-exists', others('create'))
  options.refuse('exclude-internal', others('list', 'describe'))
  options.refuse('topic-id', others('describe'))
  for (const filter of describeFilters) options.refuse(filter, [...others('describe'), ...(filter === 'topics-with-overrides' ? [] : ['topics-with-overrides'])])
  return action
}

export const kafkaTopics: Tool = async (argv, io) => {
  const shown = helpOrVersion(argv, topicsAbout, topicsOptions, io)
  if (shown !== undefined) return shown
  let options: Options
  let action: (typeof actions)[number]
  try {
    options = new Options(topicsOptions, argv)
    action = check(options)
  } catch (error) {
    return refuseCommandLine(error, topicsOptions, io)
  }
  let client: KafkaClient | undefined
  try {
    client = await clusterClient(io, {
      bootstrapServers: options.value('bootstrap-server'),
      zookeeper: options.value('zookeeper'),
      clientId: 'adminclient-1',
      properties: clientProperties(options.value('command-config')),
    })
    await act(action, client, options, io)
    return 0
  } catch (error) {
    io.err(`Error while executing topic command : ${(error as Error).message}`)
    return 1
  } finally {
    await client?.close()
  }
}

async function act(action: (typeof actions)[number], client: KafkaClient, options: Options, io: ToolIo): Promise<void> {
  switch (action) {
    case 'create': return create(client, options, io)
    case 'list': {
      const names = await matching(client, options)
      if (names.length > 0) io.out(`${names.join('\n')}\n`)
      return
    }
    case 'describe': return describe(client, options, io)
    case 'alter': return alter(client, options, io)
    case 'delete': return remove(client, options, io)
    default: return action satisfies never
  }
}

/** All topics, or those that --topic names, sorted. */
async function matching(client: KafkaClient, options: Options): Promise<string[]> {
  const pattern = options.value('topic')
  const matches = pattern === undefined ? () => true : topicPattern(pattern)
  const answer = await client.retrying('Metadata', () => client.metadata(null))
  return answer.topics
    .filter(({ name, isInternal }) => name !== null && matches(name) && !(options.has('exclude-internal') && (isInternal || internalTopics.has(name))))
    .map(({ name }) => name!)
    .sort()
}
/** Like `matching`, but it is an error when there is none, unless --if-exists says otherwise. */
async function existing(client: KafkaClient, options: Options): Promise<string[]> {
  const names = await matching(client, options)
  if (names.length === 0 && options.has('topic') && !options.has('if-exists')) throw new Error(`Topic '${options.value('topic')}' does not exist as expected`)
  return names
}

async function create(client: KafkaClient, options: Options, io: ToolIo): Promise<void> {
  const name = options.value('topic')!
  if (/[._]/.test(name))
    io.out(`WARNING: Due to limitations in metric names, topics with a period ('.') or underscore ('_') could collide. To avoid issues it is best to use either, but not both.\n`)
  const partitions = options.number('partitions') ?? -1
  const replicationFactor = options.number('replication-factor') ?? -1
  if (options.has('partitions') && partitions < 1) throw new Error('The partitions must be greater than 0')
  if (options.has('replication-factor') && (replicationFactor < 1 || replicationFactor > 0x7fff)) throw new Error(`The replication factor must be between 1 and ${0x7fff} inclusive`)
  const assignments = options.has('replica-assignment') ? parseAssignment(options.value('replica-assignment')!) : []
  const configs = options.values('config').map((pair) => {
    const at = pair.indexOf('=')
    if (at <= 0) throw new Error(`requirement failed: Invalid topic config: all configs to be added must be in the format "key=val".`)
    return { name: pair.slice(0, at).trim(), value: pair.slice(at + 1).trim() }
  })
  try {
    await client.call({ kind: 'controller' }, CreateTopics, (version) => ({
      topics: [{
        name,
        // Before v4 a broker has no defaults of its own to fall back on.
        numPartitions: assignments.length > 0 ? -1 : version < 4 && partitions < 0 ? 1 : partitions,
        replicationFactor: assignments.length > 0 ? -1 : version < 4 && replicationFactor < 0 ? 1 : replicationFactor,
        assignments: assignments.map((brokerIds, partitionIndex) => ({ partitionIndex, brokerIds })),
        configs,
      }],
      timeoutMs: 30_000,
    }), { errorsIn: (response) => response.topics, timeoutMs: 40_000 })
  } catch (error) {
    if (options.has('if-not-exists') && error instanceof RefusedError && error.error === errors.topicAlreadyExists) return
    throw error
  }
  io.out(`Created topic ${name}.\n`)
}

/** `1:2,2:3`: replicas of partition 0, then of partition 1. */
export function parseAssignment(text: string): number[][] {
  const lists = text.split(',').map((list, partition) => {
    const ids = list.split(':').map((id) => {
      if (!/^\s*\d+\s*$/.test(id)) throw new Error(`'${id}' in --replica-assignment ${text} is not a broker id`)
      return Number(id)
    })
    const twice = ids.find((id, index) => ids.indexOf(id) !== index)
    if (twice !== undefined) throw new Error(`Partition replica lists may not contain duplicate entries: ${twice}`)
    return { partition, ids }
  })
  const odd = lists.find(({ ids }) => ids.length !== lists[0].ids.length)
  if (odd) throw new Error(`Partition ${odd.partition} has different replication factor: ${odd.ids.join(', ')}`)
  return lists.map(({ ids }) => ids)
}

async function describe(client: KafkaClient, options: Options, io: ToolIo): Promise<void> {
  const filters: DescribeFilters = {
    underReplicated: options.has('under-replicated-partitions'),
    unavailable: options.has('unavailable-partitions'),
    underMinIsr: options.has('under-min-isr-partitions'),
    atMinIsr: options.has('at-min-isr-partitions'),
    withOverrides: options.has('topics-with-overrides'),
  }
  const topicId = options.value('topic-id')
  const names = topicId === undefined ? await existing(client, options) : []
  for (const line of await describeTopics(client, { names, topicId, ifExists: options.has('if-exists') }, filters)) io.out(`${line}\n`)
}

async function alter(client: KafkaClient, options: Options, io: ToolIo): Promise<void> {
  const names = await existing(client, options)
  if (names.length === 0) return
  if (options.has('config') || options.has('delete-config')) await alterConfigs(client, names, options, io)
  if (!options.has('partitions')) return
  const old = options.has('zookeeper')
  if (old) io.out('WARNING: If partitions are increased for a topic that has a key, the partition logic or ordering of the messages will be affected\n')
  const assignment = options.has('replica-assignment') ? parseAssignment(options.value('replica-assignment')!) : undefined
  const topics = []
  for (const name of names) {
    const present = (await client.topic(name, { refresh: true })).partitions.length
    topics.push({ name, count: options.number('partitions')!, assignments: assignment ? assignment.slice(present).map((brokerIds) => ({ brokerIds })) : null })
  }
  await client.call({ kind: 'controller' }, CreatePartitions, { topics, timeoutMs: 30_000, validateOnly: false }, { errorsIn: (response) => response.results, timeoutMs: 40_000 })
  if (old) io.out('Adding partitions succeeded!\n')
}
async function alterConfigs(client: KafkaClient, names: readonly string[], options: Options, io: ToolIo): Promise<void> {
  const configs = [
    ...options.values('config').map((pair) => {
      const at = pair.indexOf('=')
      if (at <= 0) throw new Error(`requirement failed: Invalid topic config: all configs to be added must be in the format "key=val".`)
      return { name: pair.slice(0, at).trim(), configOperation: 0, value: pair.slice(at + 1).trim() }
    }),
    ...options.values('delete-config').map((name) => ({ name, configOperation: 1, value: null })),
  ]
  const resources = names.map((resourceName) => ({ resourceType: 2, resourceName, configs }))
  await client.call({ kind: 'any' }, IncrementalAlterConfigs, { resources, validateOnly: false }, { errorsIn: (response) => response.responses })
  for (const name of names) io.out(`Updated config for topic ${name}.\n`)
}

async function remove(client: KafkaClient, options: Options, io: ToolIo): Promise<void> {
  const names = await existing(client, options)
  if (names.length === 0) return
  await client.call(
    { kind: 'controller' },
    DeleteTopics,
    (version) => ({ topics: version >= 6 ? names.map((name) => ({ name, topicId: uuidZero })) : [], topicNames: version < 6 ? names : [], timeoutMs: 30_000 }),
    { errorsIn: (response) => response.responses, timeoutMs: 40_000 },
  )
  if (options.has('zookeeper'))
    for (const name of names) io.out(`Topic ${name} is marked for deletion.\nNote: This will have no impact if delete.topic.enable is not set to true.\n`)
}

runAsProgram(import.meta.url, kafkaTopics)
