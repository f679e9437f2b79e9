/** kafka-consumer-groups.sh: lists, describes and deletes consumer groups, and moves or deletes their offsets. */
import type { KafkaClient } from '../kafka/client/client.ts'
import { committedOffsets } from '../kafka/client/group-member.ts'
import { byTopic, type TopicPartition } from '../kafka/client/offsets.ts'
import { DeleteGroups } from '../kafka/protocol/delete-groups.ts'
import { errorByCode, errors, RefusedError } from '../kafka/protocol/errors.ts'
import { ListGroups, type ListGroupsResponse } from '../kafka/protocol/list-groups.ts'
import { OffsetCommit } from '../kafka/protocol/offset-commit.ts'
import { OffsetDelete } from '../kafka/protocol/offset-delete.ts'
import { clientProperties } from './client-properties.ts'
import { clusterClient } from './cluster-client.ts'
import { groupFacts, offsetRows, type GroupFacts, type OffsetRow } from './group-report.ts'
import { javaException } from './java-exception.ts'
import { computeResets, parseTopicArgument, partitionsNamed, readResetFile, resetForms, type Reset } from './offset-reset.ts'
import { OptionError, Options, type OptionSpec } from './options.ts'
import { helpOrVersion, refuseCommandLine, runAsProgram, type Tool, type ToolIo } from './tool.ts'

export const groupsAbout = 'This tool helps to list all consumer groups, describe a consumer group, delete consumer group info, or reset consumer group offsets.'
export const groupsOptions: readonly OptionSpec[] = [
  { name: 'all-groups', help: 'Describe or delete all groups.' },
  { name: 'all-topics', help: 'With --reset-offsets: all partitions for which the group has offsets.' },
  { name: 'bootstrap-server', takes: 'String', value: 'server to connect to', help: 'REQUIRED: the Kafka servers, HOST:PORT[,HOST:PORT...].' },
  { name: 'by-duration', takes: 'String', value: 'duration', help: "Reset to the offsets of so long ago: 'PnDTnHnMnS'." },
  { name: 'command-config', takes: 'String', value: 'command config property file', help: 'A properties file with settings of the client.' },
  { name: 'delete', help: 'Delete groups without members, with all their offsets.' },
  { name: 'delete-offsets', help: 'Delete offsets of a group for partitions that none of its members reads; needs --group and --topic.' },
  { name: 'describe', help: 'Show where a group is in its partitions, its members or its state.' },
  { name: 'dry-run', help: 'With --reset-offsets: only show what would be done.' },
  { name: 'execute', help: 'With --reset-offsets: do it.' },
  { name: 'export', help: 'With --reset-offsets: show the new offsets as CSV, as --from-file reads it.' },
  { name: 'from-file', takes: 'String', value: 'path to CSV file', help: 'Reset to the offsets of a file with lines topic,partition,offset, or group,topic,partition,offset for several groups.' },
  { name: 'group', takes: 'String', value: 'consumer group', help: 'The group; may be given several times.' },
  { name: 'help', help: 'Print usage information.' },
  { name: 'list', help: 'List all consumer groups.' },
  { name: 'members', help: 'With --describe: show the members.' },
  { name: 'offsets', help: 'With --describe: show all partitions with their offsets and lag. This is what is shown anyway.' },
  { name: 'reset-offsets', help: 'Move a group that has no active members; needs --execute to be done. Scope: --all-topics or --topic. Where to: one of --to-offset, --to-current, --to-datetime, --by-duration, --to-earliest, --to-latest, --shift-by, --from-file.' },
  { name: 'shift-by', takes: 'Long', value: 'number-of-offsets', help: 'Reset by so many offsets forward, or backward when negative.' },
  { name: 'state', takes: 'String', valueIsOptional: true, help: 'With --describe: show the state of the group. With --list: show states, or only groups in these, as in --state stable,empty.' },
  { name: 'timeout', takes: 'Long', value: 'timeout (ms)', byDefault: '5000', help: 'How long to go on trying.' },
  { name: 'to-current', help: 'Reset to the committed offsets, or the end where there are none.' },
  { name: 'to-datetime', takes: 'String', value: 'datetime', help: "Reset to the first record from then on: 'YYYY-MM-DDTHH:mm:SS.sss'." },
  { name: 'to-earliest', help: 'Reset to the first record kept.' },
  { name: 'to-latest', help: 'Reset to the end.' },
  { name: 'to-offset', takes: 'Long', value: 'offset', help: 'Reset to this offset.' },
  { name: 'topic', takes: 'String', value: 'topic', help: 'The topic, or topic:0,1,2 for some of its partitions; may be given several times.' },
  { name: 'type', takes: 'String', valueIsOptional: true, help: 'With --list: show types, or only groups of these, as in --type classic,consumer.' },
  { name: 'verbose', help: 'With --describe and --members: show assignments too.' },
  { name: 'version', help: 'Display the version.' },
]

const actions = ['list', 'describe', 'delete', 'reset-offsets', 'delete-offsets'] as const
type Action = (typeof actions)[number]
const states = ['Stable', 'PreparingRebalance', 'CompletingRebalance', 'Empty', 'Dead', 'Assigning', 'Reconciling']
const types = ['Classic', 'Consumer']

function check(options: Options): Action {
  const given = actions.filter((action) => options.has(action))
  if (given.length !== 1) throw new OptionError('Command must include exactly one action: --list, --describe, --delete, --reset-offsets, --delete-offsets', { showsUsage: true })
  const action = given[0]
  options.require('bootstrap-server')
  const forbid = (name: string, wanted: readonly Action[]): void => {
    if (options.has(name) && !wanted.includes(action)) throw new OptionError(`Option "[${name}]" can't be used with option "[${action}]"`, { showsUsage: true })
  }
  if (action !== 'list' && !options.has('group') && !options.has('all-groups'))
    throw new OptionError(`Option [${action}] takes one of these options: [all-groups], [group]`, { showsUsage: true })
  options.refuse('all-groups', ['group'])
  checkOffsetsVerbs(options, action)
  const kinds = ['members', 'offsets', 'state'].filter((kind) => options.has(kind))
  if (action === 'describe' && kinds.length > 1) throw new OptionError('Describe takes at most one of these options: [members], [offsets], [state]', { showsUsage: true })
  if (action === 'describe' && options.value('state') !== undefined) throw new OptionError('Describe does not take a value for [state]', { showsUsage: true })
  for (const name of ['group', 'all-groups']) forbid(name, ['describe', 'delete', 'reset-offsets', 'delete-offsets'])
  for (const name of ['all-topics', 'execute', 'dry-run', 'export', ...resetForms]) forbid(name, ['reset-offsets'])
  forbid('topic', ['delete', 'reset-offsets', 'delete-offsets'])
  for (const name of ['members', 'offsets', 'verbose']) forbid(name, ['describe'])
  forbid('state', ['describe', 'list'])
  forbid('type', ['list'])
  return action
}
function checkOffsetsVerbs(options: Options, action: Action): void {
  if (action === 'delete-offsets' && (!options.has('group') || !options.has('topic'))) throw new OptionError('Option [delete-offsets] takes the following options: [group], [topic]', { showsUsage: true })
  if (action === 'delete' && options.has('topic'))
    throw new OptionError('The consumer does not support topic-specific offset deletion from a consumer group; --delete-offsets does', { showsUsage: true })
  if (action !== 'reset-offsets') return
  if (options.has('execute') && options.has('dry-run')) throw new OptionError('Option [reset-offsets] only accepts one of [execute] and [dry-run]', { showsUsage: true })
  const forms = resetForms.filter((form) => options.has(form))
  if (forms.length === 0) throw new OptionError(`Option '[reset-offsets]' requires one of the following scenarios: [${resetForms.map((form) => `[${form}]`).join(', ')}]`, { showsUsage: true })
  options.refuse(forms[0], forms)
  options.refuse('all-topics', ['topic'])
  if (forms[0] !== 'from-file' && !options.has('all-topics') && !options.has('topic')) throw new OptionError('One of the reset scopes should be defined: --all-topics, --topic.', { showsUsage: true })
  for (const argument of options.values('topic')) parseTopicArgument(argument)
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
      case 'reset-offsets': return await reset(client, options, io)
      case 'delete-offsets': return await removeOffsets(client, options, io)
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

async function reset(client: KafkaClient, options: Options, io: ToolIo): Promise<number> {
  if (!options.has('execute') && !options.has('dry-run')) io.err('WARN: No action will be performed as the --execute option is missing. Add --dry-run to say that this is meant.')
  const groups = await groupIds(client, options)
  const several = options.has('all-groups') || groups.length > 1
  const form = resetForms.find((each) => options.has(each))!
  const files = form === 'from-file' ? readResetFile(options.value('from-file')!, groups, several) : undefined
  const named = options.has('topic') ? await partitionsNamed(client, options.values('topic')) : undefined
  const done: (Reset & { groupId: string })[] = []
  let active = 0
  for (const groupId of groups) {
    const { state } = await groupFacts(client, groupId)
    if (state !== 'Empty' && state !== 'Dead') {
      io.err(`\nError: Assignments can only be reset if the group '${groupId}' is inactive, but the current state is ${state}.`)
      active++
      continue
    }
    const partitions = named ?? (files ? [] : [...(await committedOffsets(client, groupId, null)).keys()].map((name) => ({ topic: name.slice(0, name.lastIndexOf('-')), partition: Number(name.slice(name.lastIndexOf('-') + 1)) })))
    const wish = { form, options, fromFile: files?.get(groupId) ?? [], now: io.host.clock.now(), warn: (line: string) => io.err(line), say: (line: string) => void io.out(`${line}\n`) }
    const resets = await computeResets(client, groupId, partitions, wish)
    if (options.has('execute') && resets.length > 0) await commit(client, groupId, resets)
    done.push(...resets.map((one) => ({ groupId, ...one })))
  }
  if (options.has('export')) io.out(`${done.map(({ groupId, topic, partition, offset }) => `${several ? `${groupId},` : ''}${topic},${partition},${offset}\n`).join('')}\n`)
  else {
    const row = (...cells: (string | number)[]): string => cells.map((cell, index) => String(cell).padEnd([30, 30, 10, 15][index])).join(' ')
    io.out(`\n${[row('GROUP', 'TOPIC', 'PARTITION', 'NEW-OFFSET'), ...done.map(({ groupId, topic, partition, offset }) => row(groupId, topic, partition, offset))].join('\n')}\n`)
  }
  return active > 0 ? 1 : 0
}
/** As nobody's member: only a group without members takes it. */
async function commit(client: KafkaClient, groupId: string, resets: readonly Reset[]): Promise<void> {
  const topics = [...byTopic(resets)].map(([name, list]) => ({ name, partitions: list.map(({ partition, offset }) => ({ partitionIndex: partition, committedOffset: offset, committedMetadata: '' })) }))
  await client.call({ kind: 'coordinator', of: 'group', key: groupId }, OffsetCommit, { groupId, generationIdOrMemberEpoch: -1, memberId: '', topics }, {
    errorsIn: (response) => response.topics.flatMap(({ partitions }) => partitions),
  })
}

async function removeOffsets(client: KafkaClient, options: Options, io: ToolIo): Promise<number> {
  const groupId = options.value('group')!
  const asked = options.values('topic')
  const partitions: TopicPartition[] = []
  const results: (TopicPartition & { errorCode: number })[] = []
  for (const { topic, partitions: some } of asked.map(parseTopicArgument)) {
    const { topics } = some ? { topics: [] } : await client.retrying('Metadata', () => client.metadata([topic]))
    const all = some ?? topics[0]?.partitions.map(({ partitionIndex }) => partitionIndex).sort((a, b) => a - b) ?? []
    partitions.push(...all.map((partition) => ({ topic, partition })))
    if (all.length === 0) results.push({ topic, partition: -1, errorCode: errors.unknownTopicOrPartition.code })
  }
  const answer = await client.call(
    { kind: 'coordinator', of: 'group', key: groupId },
    OffsetDelete,
    { groupId, topics: [...byTopic(partitions)].map(([name, list]) => ({ name, partitions: list.map(({ partition }) => ({ partitionIndex: partition })) })) },
    // A group that is not there is part of the answer; one that moves is asked for again.
    { errorsIn: ({ errorCode }) => (errorByCode(errorCode).retriable ? [{ errorCode }] : []) },
  )
  const whole = answer.errorCode
  if (whole !== 0) results.push(...partitions.map((one) => ({ ...one, errorCode: whole })))
  else results.push(...answer.topics.flatMap(({ name, partitions: list }) => list.map(({ partitionIndex, errorCode }) => ({ topic: name, partition: partitionIndex, errorCode }))))
  const isWrong = results.some(({ errorCode }) => errorCode !== 0)
  if (whole === errors.groupIdNotFound.code) io.err(`\nError: '${groupId}' does not exist.`)
  else if (whole !== 0) io.err(`\nError: Deletion of offsets of group '${groupId}' failed: ${errorByCode(whole).message}`)
  else if (isWrong) io.err('\nError: Encounter some partition level error, see the follow-up details:')
  else io.out(`Request succeed for deleting offsets with topic ${asked.join(', ')} group ${groupId}\n`)
  const row = (topic: string, partition: string | number, status: string): string => `${topic.padEnd(30)} ${String(partition).padEnd(15)} ${status.padEnd(15)}`
  const status = (errorCode: number): string => (errorCode === 0 ? 'Successful' : `Error: ${javaException(errorCode)}: ${errorByCode(errorCode).message}`)
  io.out(`\n${[row('TOPIC', 'PARTITION', 'STATUS'), ...results.map(({ topic, partition, errorCode }) => row(topic, partition < 0 ? 'Not Provided' : partition, status(errorCode)))].join('\n')}\n`)
  return isWrong ? 1 : 0
}

runAsProgram(import.meta.url, kafkaConsumerGroups)
