/** kafka-consumer-groups.sh: lists, describes and deletes consumer groups. */
import type { KafkaClient } from '../kafka/client/client.ts'
import { byTopic } from '../kafka/client/offsets.ts'
import { DeleteGroups } from '../kafka/protocol/delete-groups.ts'
import { errorByCode, errors, RefusedError } from '../kafka/protocol/errors.ts'
import { ListGroups, type ListGroupsResponse } from '../kafka/protocol/list-groups.ts'
import { clientProperties } from './client-properties.ts'
import { clusterClient } from './cluster-client.ts'
import { groupFacts, offsetRows, type GroupFacts, type OffsetRow } from './group-report.ts'
import { OptionError, Options, type OptionSpec } from './options.ts'
import { helpOrVersion, refuseCommandLine, runAsProgram, type Tool, type ToolIo } from './tool.ts'

export const groupsAbout = 'This tool helps to list all consumer groups, describe a consumer group, or delete consumer group info.'
export const groupsOptions: readonly OptionSpec[] = [
  { name: 'all-groups', help: 'Describe or delete all groups.' },
  { name: 'bootstrap-server', takes: 'String', value: 'server to connect to', help: 'REQUIRED: the Kafka servers, HOST:PORT[,HOST:PORT...].' },
  { name: 'command-config', takes: 'String', value: 'command config property file', help: 'A properties file with settings of the client.' },
  { name: 'delete', help: 'Delete groups without members, with all their offsets.' },
  { name: 'describe', help: 'Show where a group is in its partitions, its members or its state.' },
  { name: 'group', takes: 'String', value: 'consumer group', help: 'The group; may be given several times.' },
  { name: 'help', help: 'Print usage information.' },
  { name: 'list', help: 'List all consumer groups.' },
  { name: 'members', help: 'With --describe: show the members.' },
  { name: 'offsets', help: 'With --describe: show all partitions with their offsets and lag. This is what is shown anyway.' },
  { name: 'state', takes: 'String', valueIsOptional: true, help: 'With --describe: show the state of the group. With --list: show states, or only groups in these, as in --state stable,empty.' },
  { name: 'timeout', takes: 'Long', value: 'timeout (ms)', byDefault: '5000', help: 'How long to go on trying.' },
  { name: 'type', takes: 'String', valueIsOptional: true, help: 'With --list: show types, or only groups of these, as in --type classic,consumer.' },
  { name: 'verbose', help: 'With --describe and --members: show assignments too.' },
  { name: 'version', help: 'Display the version.' },
]

const actions = ['list', 'describe', 'delete'] as const
type Action = (typeof actions)[number]
const states = ['Stable', 'PreparingRebalance', 'CompletingRebalance', 'Empty', 'Dead', 'Assigning', 'Reconciling']
const types = ['Classic', 'Consumer']

function check(options: Options): Action {
  const given = actions.filter((action) => options.has(action))
  if (given.length !== 1) throw new OptionError('Command must include exactly one action: --list, --describe, --delete', { showsUsage: true })
  const action = given[0]
  options.require('bootstrap-server')
  const forbid = (name: string, wanted: readonly Action[]): void => {
    if (options.has(name) && !wanted.includes(action)) throw new OptionError(`Option "[${name}]" can't be used with option "[${action}]"`, { showsUsage: true })
  }
  if (action !== 'list' && !options.has('group') && !options.has('all-groups'))
    throw new OptionError(`Option [${action}] takes one of these options: [all-groups], [group]`, { showsUsage: true })
  options.refuse('all-groups', ['group'])
  const kinds = ['members', 'offsets', 'state'].filter((kind) => options.has(kind))
  if (action === 'describe' && kinds.length > 1) throw new OptionError('Describe takes at most one of these options: [members], [offsets], [state]', { showsUsage: true })
  if (action === 'describe' && options.value('state') !== undefined) throw new OptionError('Describe does not take a value for [state]', { showsUsage: true })
  for (const name of ['group', 'all-groups']) forbid(name, ['describe', 'delete'])
  for (const name of ['members', 'offsets', 'verbose']) forbid(name, ['describe'])
  forbid('state', ['describe', 'list'])
  forbid('type', ['list'])
  return action
}
/** Names of a comma-separated list as the protocol spells them. */
function names(text: string | undefined, known: readonly string[], what: string): string[] {
  if (text === undefined) return []
  return text.split(',').map((word) => {
    const plain = word.trim().toLowerCase().replaceAll('_', '')
    const found = known.find((name) => name.toLowerCase() === plain)
    if (!found) throw new OptionError(`Invalid ${what} list '${text}'. Valid ${what}s are: ${known.join(', ')}`, { showsUsage: true })
    return found
  })
}

export const kafkaConsumerGroups: Tool = async (argv, io) => {
  const shown = helpOrVersion(argv, groupsAbout, groupsOptions, io)
  if (shown !== undefined) return shown
  let options: Options
  let action: Action
  let filters: { states: string[]; types: string[] }
  try {
    options = new Options(groupsOptions, argv)
    action = check(options)
    filters = { states: action === 'list' ? names(options.value('state'), states, 'state') : [], types: names(options.value('type'), types, 'type') }
  } catch (error) {
    return refuseCommandLine(error, groupsOptions, io)
  }
  let client: KafkaClient | undefined
  try {
    client = await clusterClient(io, {
      bootstrapServers: options.value('bootstrap-server'),
      clientId: 'adminclient-1',
      properties: clientProperties(options.value('command-config')),
      callTimeoutMs: options.number('timeout'),
    })
    switch (action) {
      case 'list': return await list(client, options, filters, io)
      case 'describe': return await describe(client, options, io)
      case 'delete': return await remove(client, options, io)
      default: return action satisfies never
    }
  } catch (error) {
    io.err(`\nError: Executing consumer group command failed due to ${(error as Error).message}`)
    return 1
  } finally {
    await client?.close()
  }
}

/** The consumer groups of all brokers: each lists those that it coordinates. */
async function listed(client: KafkaClient, filters: { states: string[]; types: string[] }): Promise<ListGroupsResponse['groups']> {
  await client.retrying('Metadata', () => client.metadata([]))
  const groups: ListGroupsResponse['groups'] = []
  for (const id of client.brokers.keys()) {
    const answer = await client.call({ kind: 'broker', id }, ListGroups, (version) => {
      if (filters.states.length > 0 && version < 4) throw new Error(`broker ${id} cannot filter groups by state: it has ListGroups up to version ${version}, 4 is needed`)
      if (filters.types.length > 0 && version < 5) throw new Error(`broker ${id} cannot filter groups by type: it has ListGroups up to version ${version}, 5 is needed`)
      return { statesFilter: filters.states, typesFilter: filters.types }
    })
    groups.push(...answer.groups.filter(({ protocolType }) => protocolType === '' || protocolType === 'consumer'))
  }
  return groups
}
async function list(client: KafkaClient, options: Options, filters: { states: string[]; types: string[] }, io: ToolIo): Promise<number> {
  const groups = await listed(client, filters)
  if (!options.has('state') && !options.has('type')) {
    for (const { groupId } of groups) io.out(`${groupId}\n`)
    return 0
  }
  const widest = groups.reduce((width, { groupId }) => Math.max(width, groupId.length), 15) + 10
  const row = (group: string, type: string, state: string): void => {
    const columns = [group.padEnd(widest), ...(options.has('type') ? [type.padEnd(20)] : []), ...(options.has('state') ? [state.padEnd(20)] : [])]
    io.out(`${columns.join(' ')}\n`)
  }
  row('GROUP', 'TYPE', 'STATE')
  for (const { groupId, groupType, groupState } of groups) row(groupId, groupType === 'classic' ? 'Classic' : groupType || 'Classic', groupState)
  return 0
}

async function groupIds(client: KafkaClient, options: Options): Promise<string[]> {
  if (!options.has('all-groups')) return [...new Set(options.values('group'))]
  return (await listed(client, { states: [], types: [] })).map(({ groupId }) => groupId)
}

async function describe(client: KafkaClient, options: Options, io: ToolIo): Promise<number> {
  let missing = 0
  for (const groupId of await groupIds(client, options)) {
    const facts = await groupFacts(client, groupId)
    const rows = options.has('members') || options.has('state') ? [] : await offsetRows(client, facts)
    if (facts.state === 'Dead' && rows.length === 0) {
      io.err(`\nError: Consumer group '${groupId}' does not exist.`)
      missing++
      continue
    }
    if (facts.state === 'Empty') io.err(`\nConsumer group '${groupId}' has no active members.`)
    else if (facts.state !== 'Stable') io.err(`\nWarning: Consumer group '${groupId}' is rebalancing.`)
    if (options.has('members')) io.out(membersTable(facts, options.has('verbose')))
    else if (options.has('state')) io.out(await stateTable(client, facts))
    else if (rows.length > 0) io.out(offsetsTable(groupId, rows))
  }
  return missing > 0 ? 1 : 0
}

const widest = (texts: readonly string[], least: number): number => texts.reduce((width, text) => Math.max(width, text.length), least)
function offsetsTable(groupId: string, rows: readonly OffsetRow[]): string {
  const cells = rows.map(({ at, committed, end, member }) => {
    const lag = committed === undefined || end === undefined ? '-' : String(Math.max(0, end - committed))
    const number = (value: number | undefined): string => (value === undefined ? '-' : String(value))
    return [groupId, at?.topic ?? '-', number(at?.partition), number(committed), number(end), lag, member?.consumerId ?? '-', member?.host ?? '-', member?.clientId ?? '-']
  })
  const column = (index: number): number => widest(cells.map((row) => row[index]), 15)
  const widths = [column(0), column(1), 10, 15, 15, 15, column(6), column(7)]
  const line = (row: readonly string[]): string => row.map((text, index) => text.padEnd(widths[index] ?? 0)).join(' ')
  const head = ['GROUP', 'TOPIC', 'PARTITION', 'CURRENT-OFFSET', 'LOG-END-OFFSET', 'LAG', 'CONSUMER-ID', 'HOST', 'CLIENT-ID']
  return `\n${[head, ...cells].map(line).join('\n')}\n`
}
function membersTable({ groupId, members }: GroupFacts, verbose: boolean): string {
  const withInstances = members.some(({ instanceId }) => instanceId !== null)
  const cells = members.map(({ consumerId, instanceId, host, clientId, assignment }) => {
    const share = [...byTopic(assignment)].map(([topic, parts]) => `${topic}(${parts.map(({ partition }) => partition).join(',')})`).join(', ')
    return [groupId, consumerId, ...(withInstances ? [instanceId ?? ''] : []), host, clientId, String(assignment.length), ...(verbose ? [share || '-'] : [])]
  })
  const head = ['GROUP', 'CONSUMER-ID', ...(withInstances ? ['GROUP-INSTANCE-ID'] : []), 'HOST', 'CLIENT-ID', '#PARTITIONS', ...(verbose ? ['ASSIGNMENT'] : [])]
  const last = verbose ? head.length - 1 : head.length
  const widths = head.slice(0, last).map((_, index) => widest(cells.map((row) => row[index]), withInstances && index === 2 ? 17 : 15))
  const line = (row: readonly string[]): string => row.map((text, index) => (index < last ? text.padEnd(widths[index]) : text)).join(' ') + (verbose ? '' : ' ')
  return `\n${[head, ...cells].map(line).join('\n')}\n`
}
async function stateTable(client: KafkaClient, { groupId, state, assignor, members }: GroupFacts): Promise<string> {
  const { id, host, port } = await client.coordinator('group', groupId)
  const coordinator = `${host}:${port}  (${id})`
  const widths = [widest([groupId], 25), widest([coordinator], 25), 20, 15]
  const line = (row: readonly string[]): string => row.map((text, index) => text.padEnd(widths[index] ?? 0)).join(' ')
  return `\n${line(['GROUP', 'COORDINATOR (ID)', 'ASSIGNMENT-STRATEGY', 'STATE', '#MEMBERS'])}\n${line([groupId, coordinator, assignor, state, String(members.length)])}\n`
}

async function remove(client: KafkaClient, options: Options, io: ToolIo): Promise<number> {
  const deleted: string[] = []
  const failed: string[] = []
  for (const groupId of await groupIds(client, options)) {
    try {
      await client.call({ kind: 'coordinator', of: 'group', key: groupId }, DeleteGroups, { groupsNames: [groupId] }, { errorsIn: (response) => response.results })
      deleted.push(groupId)
    } catch (error) {
      if (!(error instanceof RefusedError)) throw error
      const { message } = error.error === errors.nonEmptyGroup ? errorByCode(errors.nonEmptyGroup.code) : error
      failed.push(`* Group '${groupId}' could not be deleted due to: ${message}`)
    }
  }
  const text = deleted.map((groupId) => `'${groupId}'`).join(', ')
  if (failed.length === 0) {
    io.out(`Deletion of requested consumer groups (${text}) was successful.\n`)
    return 0
  }
  io.err(`\nError: Deletion of some consumer groups failed:\n${failed.join('\n')}`)
  if (deleted.length > 0) io.out(`\nThese consumer groups were deleted successfully: ${text}\n`)
  return 1
}

runAsProgram(import.meta.url, kafkaConsumerGroups)
