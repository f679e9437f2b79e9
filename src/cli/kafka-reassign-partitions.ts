/** kafka-reassign-partitions.sh: moves replicas to other brokers and log dirs, and follows, throttles or takes back what moves. */
import type { KafkaClient } from '../kafka/client/client.ts'
import { assignmentFault, assignReplicas } from '../kafka/metadata/replica-assignment.ts'
import { AlterPartitionReassignments } from '../kafka/protocol/alter-partition-reassignments.ts'
import { errorByCode, errors } from '../kafka/protocol/errors.ts'
import { ListPartitionReassignments } from '../kafka/protocol/list-partition-reassignments.ts'
import { clientProperties } from './client-properties.ts'
import { clusterClient } from './cluster-client.ts'
import { moveLogDirs, movesOf, verifyLogDirs } from './log-dir-moves.ts'
import { OptionError, Options, type OptionSpec } from './options.ts'
import { brokerList, byName, checkExecutable, formatReassignment, logDirsIn, nameOf, readReassignmentFile, readTopicsFile, type WantedPartition } from './reassignment-file.ts'
import { clearThrottles, sortedIds, throttleLogDirs, throttleMoves, type Move } from './reassignment-throttles.ts'
import { helpOrVersion, refuseCommandLine, runAsProgram, type Tool, type ToolIo } from './tool.ts'

export const reassignAbout = 'This tool helps to move topic partitions between replicas.'
export const reassignOptions: readonly OptionSpec[] = [
  { name: 'additional', help: 'Execute this reassignment in addition to any other ongoing ones. Also changes the throttle of an ongoing one.' },
  { name: 'bootstrap-server', takes: 'String', value: 'Server(s) to use for bootstrapping', help: 'REQUIRED: the servers to use for bootstrapping.' },
  { name: 'broker-list', takes: 'String', value: 'brokerlist', help: 'The brokers to which partitions are to be moved, as "0,1,2". Needed together with --topics-to-move-json-file.' },
  { name: 'cancel', help: 'Cancel an active reassignment.' },
  { name: 'command-config', takes: 'String', value: 'Admin client property file', help: 'A properties file with settings of the client.' },
  { name: 'disable-rack-aware', help: 'Propose without heeding racks.' },
  { name: 'execute', help: 'Begin the reassignment that the --reassignment-json-file describes.' },
  { name: 'generate', help: 'Propose a reassignment; nothing is moved.' },
  { name: 'help', help: 'Print usage information.' },
  { name: 'list', help: 'List all active partition reassignments.' },
  { name: 'preserve-throttles', help: 'Do not modify broker or topic throttles.' },
  { name: 'reassignment-json-file', takes: 'String', value: 'manual assignment json file path', help: 'What is to be moved where: {"partitions":[{"topic":"foo","partition":1,"replicas":[1,2,3],"log_dirs":["dir1","dir2","dir3"]}],"version":1}. "log_dirs" may be left out; each is "any" or the absolute path of a log directory of that broker.' },
  { name: 'replica-alter-log-dirs-throttle', takes: 'Long', value: 'replicaAlterLogDirsThrottle', byDefault: '-1', help: 'Moves between log directories of one broker take at most so many bytes a second; at least 1 KB.' },
  { name: 'throttle', takes: 'Long', value: 'throttle', byDefault: '-1', help: 'Moves between brokers take at most so many bytes a second; at least 1 KB. With --additional and the current reassignment it can be changed.' },
  { name: 'timeout', takes: 'Long', value: 'timeout', byDefault: '10000', help: 'How many ms to wait for moves between log directories to begin.' },
  { name: 'topics-to-move-json-file', takes: 'String', value: 'topics to reassign json file path', help: 'Propose a reassignment of these topics to the brokers of --broker-list: {"topics":[{"topic":"foo"},{"topic":"foo1"}],"version":1}.' },
  { name: 'verify', help: 'Tell whether the reassignment of --reassignment-json-file is complete; if so, and unless throttles are to be preserved, they are removed.' },
  { name: 'version', help: 'Display the version.' },
]

const actions = ['generate', 'execute', 'verify', 'cancel', 'list'] as const
type Action = (typeof actions)[number]
const required: Readonly<Record<Action, readonly string[]>> = {
  verify: ['reassignment-json-file'],
  generate: ['topics-to-move-json-file', 'broker-list'],
  execute: ['reassignment-json-file'],
  cancel: ['reassignment-json-file'],
  list: [],
}
const permitted: Readonly<Record<Action, readonly string[]>> = {
  verify: ['preserve-throttles'],
  generate: ['disable-rack-aware'],
  execute: ['additional', 'throttle', 'replica-alter-log-dirs-throttle', 'timeout'],
  cancel: ['preserve-throttles', 'timeout'],
  list: [],
}
const always = ['bootstrap-server', 'command-config']

function check(options: Options): Action {
  const given = actions.filter((action) => options.has(action))
  if (given.length !== 1) throw new OptionError(`Command must include exactly one action: ${actions.map((action) => `--${action}`).join(', ')}`, { showsUsage: true })
  const action = given[0]
  if (!options.has('bootstrap-server')) throw new OptionError('Please specify --bootstrap-server', { showsUsage: true })
  options.require(...required[action])
  const allowed = [action, ...always, ...required[action], ...permitted[action]]
  for (const { name } of reassignOptions)
    if (options.has(name) && !allowed.includes(name)) throw new OptionError(`Option "[${name}]" can't be used with action "[${action}]"`, { showsUsage: true })
  return action
}

/** What is wrong needs no more words than the message. */
class TerseError extends Error {}

export const kafkaReassignPartitions: Tool = async (argv, io) => {
  const shown = helpOrVersion(argv, reassignAbout, reassignOptions, io)
  if (shown !== undefined) return shown
  let options: Options
  let action: Action
  try {
    options = new Options(reassignOptions, argv)
    action = check(options)
  } catch (error) {
    return refuseCommandLine(error, reassignOptions, io)
  }
  let client: KafkaClient | undefined
  try {
    client = await clusterClient(io, { bootstrapServers: options.value('bootstrap-server'), clientId: 'reassign-partitions-tool', properties: clientProperties(options.value('command-config')) })
    await act(action, client, options, io)
    return 0
  } catch (error) {
    io.err(error instanceof TerseError ? error.message : `Error: ${(error as Error).message}`)
    return 1
  } finally {
    await client?.close()
  }
}
async function act(action: Action, client: KafkaClient, options: Options, io: ToolIo): Promise<void> {
  const file = (): WantedPartition[] => readReassignmentFile(options.value('reassignment-json-file')!)
  switch (action) {
    case 'generate': return generate(client, options, io)
    case 'execute': return execute(client, file(), options, io)
    case 'verify': return verify(client, file(), options, io)
    case 'cancel': return cancel(client, file(), options, io)
    case 'list': return list(client, io)
    default: return action satisfies never
  }
}

interface Moving {
  readonly topic: string
  readonly partition: number
  readonly replicas: readonly number[]
  readonly adding: readonly number[]
  readonly removing: readonly number[]
}
async function moving(client: KafkaClient): Promise<Moving[]> {
  const { topics } = await client.call({ kind: 'controller' }, ListPartitionReassignments, { topics: null, timeoutMs: 30_000 })
  return topics.flatMap(({ name, partitions }) => partitions.map(({ partitionIndex, replicas, addingReplicas, removingReplicas }) => ({ topic: name, partition: partitionIndex, replicas, adding: addingReplicas, removing: removingReplicas })))
}
/** Of every partition of the topics. A topic that is not there is an error, or, where it may be missing, left out. */
async function assignments(client: KafkaClient, topics: readonly string[], { mayBeMissing }: { mayBeMissing: boolean }): Promise<Map<string, { topic: string; partition: number; replicas: readonly number[] }>> {
  const { topics: found } = await client.retrying('Metadata', () => client.metadata([...new Set(topics)]))
  const all = new Map<string, { topic: string; partition: number; replicas: readonly number[] }>()
  for (const { name, errorCode, partitions } of found) {
    if (errorCode === errors.unknownTopicOrPartition.code && mayBeMissing) continue
    if (errorCode === errors.unknownTopicOrPartition.code) throw new Error(`Topic ${name} not found.`)
    if (errorCode !== 0) throw new Error(`Topic ${name}: ${errorByCode(errorCode).message}`)
    for (const { partitionIndex, replicaNodes } of partitions) all.set(`${name}-${partitionIndex}`, { topic: name!, partition: partitionIndex, replicas: replicaNodes })
  }
  return all
}
async function brokerIds(client: KafkaClient): Promise<number[]> {
  await client.retrying('Metadata', () => client.metadata([]))
  return [...client.brokers.keys()]
}

async function generate(client: KafkaClient, options: Options, io: ToolIo): Promise<void> {
  const wanted = new Set(brokerList(options.value('broker-list')!))
  const topics = readTopicsFile(options.value('topics-to-move-json-file')!)
  const current = [...(await assignments(client, topics, { mayBeMissing: false })).values()]
  const rackAware = !options.has('disable-rack-aware')
  const brokers = [...client.brokers.values()].filter(({ id }) => wanted.has(id)).map(({ id, rack }) => ({ id, rack: rackAware ? (rack ?? undefined) : undefined }))
  const rackless = brokers.filter(({ rack }) => rack === undefined).length
  if (rackAware && rackless !== 0 && rackless !== brokers.length)
    throw new Error('Not all brokers have rack information. Add --disable-rack-aware in command line to make replica assignment without rack information.')
  const proposed = [...new Set(topics)].flatMap((topic) => {
    const own = current.filter((each) => each.topic === topic)
    const wish = { partitions: own.length, replicationFactor: own[0].replicas.length }
    if (assignmentFault(brokers, wish)) throw new Error(`Replication factor: ${wish.replicationFactor} larger than available brokers: ${brokers.length}.`)
    const spread = assignReplicas(brokers, { ...wish, startIndex: io.host.random.below(brokers.length), shift: io.host.random.below(brokers.length) })
    return [...spread].map(([partition, replicas]) => ({ topic, partition, replicas }))
  })
  io.out(`Current partition replica assignment\n${formatReassignment(current)}\n\nProposed partition reassignment configuration\n${formatReassignment(proposed)}\n`)
}

async function execute(client: KafkaClient, wanted: readonly WantedPartition[], options: Options, io: ToolIo): Promise<void> {
  checkExecutable(wanted)
  const under = await moving(client)
  if (under.length > 0 && !options.has('additional'))
    throw new TerseError(
      'Cannot execute because there is an existing partition assignment.  Use --additional to override this and create a new partition assignment in addition to the existing one. ' +
        'The --additional flag can also be used to change the throttle by resubmitting the current reassignment.',
    )
  const ids = new Set(await brokerIds(client))
  const unknown = wanted.flatMap(({ replicas }) => replicas).find((id) => !ids.has(id))
  if (unknown !== undefined) throw new Error(`Unknown broker id ${unknown}`)
  const current = await assignments(client, wanted.map(({ topic }) => topic), { mayBeMissing: false })
  const missing = wanted.filter((each) => !current.has(nameOf(each)))
  if (missing.length > 0) throw new Error(`Unable to find partition: ${missing.map(nameOf).join(', ')}`)
  io.out(`Current partition replica assignment\n\n${formatReassignment(wanted.map((each) => current.get(nameOf(each))!))}\n\nSave this to use as the --reassignment-json-file option during rollback\n`)
  const logDirs = logDirsIn(wanted)
  await throttle(client, options, io, { moves: proposedMoves(under, wanted, current), movingBrokers: logDirs.map(({ brokerId }) => brokerId) })
  await alter(client, wanted, 'Error reassigning partition(s):')
  io.out(`Successfully started partition reassignment${wanted.length === 1 ? '' : 's'} for ${[...wanted].sort(byName).map(nameOf).join(',')}\n`)
  if (logDirs.length > 0) await moveLogDirs(client, logDirs, options.number('timeout')!, io)
}
async function throttle(client: KafkaClient, options: Options, io: ToolIo, { moves, movingBrokers }: { moves: readonly Move[]; movingBrokers: readonly number[] }): Promise<void> {
  const between = options.number('throttle')!
  const within = options.number('replica-alter-log-dirs-throttle')!
  if (between < 0 && within < 0) return
  io.out('Warning: You must run --verify periodically, until the reassignment completes, to ensure the throttle is removed.\n')
  if (between >= 0) {
    await throttleMoves(client, moves, between)
    io.out(`The inter-broker throttle limit was set to ${between} B/s\n`)
  }
  if (within >= 0) {
    await throttleLogDirs(client, movingBrokers, within)
    io.out(`The replica-alter-dir throttle limit was set to ${within} B/s\n`)
  }
}
/** With what moves already: its throttles are set anew with the others. */
function proposedMoves(under: readonly Moving[], wanted: readonly WantedPartition[], current: ReadonlyMap<string, { readonly replicas: readonly number[] }>): Move[] {
  const moves = new Map<string, Move>(under.map(({ topic, partition, replicas, adding }) => [nameOf({ topic, partition }), { topic, partition, sources: replicas.filter((id) => !adding.includes(id)), destinations: adding }]))
  for (const { topic, partition, replicas } of wanted) {
    const name = nameOf({ topic, partition })
    const sources = moves.get(name)?.sources ?? current.get(name)!.replicas
    moves.set(name, { topic, partition, sources, destinations: replicas.filter((id) => !sources.includes(id)) })
  }
  return [...moves.values()]
}
async function alter(client: KafkaClient, wishes: readonly { topic: string; partition: number; replicas: readonly number[] | null }[], complaint: string): Promise<void> {
  const names = [...new Set(wishes.map(({ topic }) => topic))]
  const topics = names.map((name) => ({ name, partitions: wishes.filter(({ topic }) => topic === name).map(({ partition, replicas }) => ({ partitionIndex: partition, replicas })) }))
  const { responses } = await client.call({ kind: 'controller' }, AlterPartitionReassignments, { topics, timeoutMs: 30_000 })
  const refused = responses.flatMap(({ name, partitions }) => partitions.filter(({ errorCode }) => errorCode !== 0).map((each) => ({ topic: name, partition: each.partitionIndex, message: each.errorMessage ?? errorByCode(each.errorCode).message })))
  if (refused.length > 0) throw new TerseError([complaint, ...refused.sort(byName).map((each) => `${nameOf(each)}: ${each.message}`)].join('\n'))
}

async function verify(client: KafkaClient, wanted: readonly WantedPartition[], options: Options, io: ToolIo): Promise<void> {
  const under = await moving(client)
  const active = new Set(under.map(nameOf))
  const current = await assignments(client, wanted.filter((each) => !active.has(nameOf(each))).map(({ topic }) => topic), { mayBeMissing: true })
  const lines = ['Status of partition reassignment:']
  for (const each of [...wanted].sort(byName)) {
    const name = nameOf(each)
    const replicas = (current.get(name)?.replicas ?? []).join()
    if (active.has(name)) lines.push(`Reassignment of partition ${name} is still in progress.`)
    else if (replicas === each.replicas.join()) lines.push(`Reassignment of partition ${name} is completed.`)
    else lines.push(`There is no active reassignment of partition ${name}, but replica set is ${replicas} rather than ${each.replicas.join()}.`)
  }
  io.out(`${lines.join('\n')}\n`)
  const done = await verifyLogDirs(client, logDirsIn(wanted), io)
  if (under.length === 0 && done && !options.has('preserve-throttles')) await clear(client, wanted, io)
}
/** Nobody knows any more which brokers the bytes came from: all are cleared. */
async function clear(client: KafkaClient, wanted: readonly WantedPartition[], io: ToolIo): Promise<void> {
  const live = await brokerIds(client)
  const brokers = sortedIds([...live, ...wanted.flatMap(({ replicas }) => replicas)])
  const topics = [...new Set(wanted.map(({ topic }) => topic))]
  io.out(`Clearing broker-level throttles on broker${brokers.length === 1 ? '' : 's'} ${brokers.join(',')}\n`)
  const away = brokers.filter((id) => !live.includes(id))
  if (away.length > 0) io.err(`WARN broker${away.length === 1 ? '' : 's'} ${away.join(',')} cannot be reached: throttles there are left as they are; repeat --verify later`)
  await clearThrottles(client, brokers.filter((id) => live.includes(id)), [])
  io.out(`Clearing topic-level throttles on topic${topics.length === 1 ? '' : 's'} ${topics.join(',')}\n`)
  await clearThrottles(client, [], topics)
}

async function cancel(client: KafkaClient, wanted: readonly WantedPartition[], options: Options, io: ToolIo): Promise<void> {
  const named = new Set(wanted.map(nameOf))
  const active = (await moving(client)).filter((each) => named.has(nameOf(each))).sort(byName)
  if (active.length === 0) io.out('None of the specified partition reassignments are active.\n')
  else {
    await alter(client, active.map(({ topic, partition }) => ({ topic, partition, replicas: null })), `Error cancelling partition reassignment${active.length === 1 ? '' : 's'} for:`)
    io.out(`Successfully cancelled partition reassignment${active.length === 1 ? '' : 's'} for: ${active.map(nameOf).join(',')}\n`)
  }
  const back = (await movesOf(client, logDirsIn(wanted))).flatMap(({ wanted: each, current, future }) => (current !== undefined && future !== undefined ? [{ ...each, logDir: current }] : []))
  if (back.length === 0) io.out('None of the specified partition moves are active.\n')
  else await moveLogDirs(client, back, options.number('timeout')!, io)
  if (!options.has('preserve-throttles')) await clear(client, wanted, io)
}

async function list(client: KafkaClient, io: ToolIo): Promise<void> {
  const lines = (await moving(client)).sort(byName).map(({ replicas, adding, removing, ...partition }) => {
    const changes = [...(adding.length > 0 ? [` adding: ${adding.join()}.`] : []), ...(removing.length > 0 ? [` removing: ${removing.join()}.`] : [])]
    return `${nameOf(partition)}: replicas: ${replicas.join()}.${changes.join('')}`
  })
  io.out(lines.length === 0 ? 'No partition reassignments found.\n' : `Current partition reassignments:\n${lines.join('\n')}\n`)
}

runAsProgram(import.meta.url, kafkaReassignPartitions)
