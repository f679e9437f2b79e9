/** kafka-leader-election.sh: has the controller elect preferred leaders, or leaders out of sync where there are no others. */
import { readFileSync } from 'node:fs'
import type { KafkaClient } from '../kafka/client/client.ts'
import { byTopic, partitionName, type TopicPartition } from '../kafka/client/offsets.ts'
import { ElectLeaders, type ElectLeadersResponse } from '../kafka/protocol/elect-leaders.ts'
import { errorByCode, errors, RefusedError } from '../kafka/protocol/errors.ts'
import { clientProperties } from './client-properties.ts'
import { clusterClient } from './cluster-client.ts'
import { javaException } from './java-exception.ts'
import { OptionError, Options, type OptionSpec } from './options.ts'
import { helpOrVersion, refuseCommandLine, runAsProgram, type Tool, type ToolIo } from './tool.ts'

export const electionAbout = 'This tool attempts to elect a new leader for a set of topic partitions. The type of elections supported are preferred replicas and unclean replicas.'
export const electionOptions: readonly OptionSpec[] = [
  { name: 'admin.config', takes: 'String', value: 'config file', help: 'A properties file with settings of the client.' },
  { name: 'all-topic-partitions', help: 'Elect in all partitions for which the type of election means something. Not together with --topic or --path-to-json-file.' },
  { name: 'bootstrap-server', takes: 'String', value: 'host:port', help: 'REQUIRED: the Kafka servers, HOST:PORT[,HOST:PORT...].' },
  { name: 'election-type', takes: 'String', value: 'election type', help: 'REQUIRED: "preferred" where the leader is not the first replica; "unclean" where there is no leader: one that is out of sync is taken, and what only others hold is lost.' },
  { name: 'help', help: 'Print usage information.' },
  { name: 'partition', takes: 'Integer', value: 'partition id', help: 'The partition. REQUIRED with --topic.' },
  { name: 'path-to-json-file', takes: 'String', value: 'Path to JSON file', help: 'A file that names the partitions: {"partitions": [{"topic": "foo", "partition": 1}, {"topic": "foobar", "partition": 2}]}. Not together with --topic or --all-topic-partitions.' },
  { name: 'topic', takes: 'String', value: 'topic name', help: 'The topic. Not together with --path-to-json-file or --all-topic-partitions.' },
  { name: 'version', help: 'Display the version.' },
]

const electionTypes = ['PREFERRED', 'UNCLEAN'] as const
type ElectionType = (typeof electionTypes)[number]

export const kafkaLeaderElection: Tool = async (argv, io) => {
  const shown = helpOrVersion(argv, electionAbout, electionOptions, io)
  if (shown !== undefined) return shown
  let options: Options
  let electionType: ElectionType
  let partitions: TopicPartition[] | null
  try {
    options = new Options(electionOptions, argv)
    electionType = electionTypeIn(options)
    partitions = check(options)
  } catch (error) {
    return refuseCommandLine(error, electionOptions, io)
  }
  let client: KafkaClient | undefined
  try {
    client = await clusterClient(io, { bootstrapServers: options.value('bootstrap-server'), clientId: 'adminclient-1', properties: clientProperties(options.value('admin.config')), callTimeoutMs: 30_000 })
    return await elect(client, electionType, partitions, io)
  } catch (error) {
    io.err((error as Error).message)
    return 1
  } finally {
    await client?.close()
  }
}

function electionTypeIn(options: Options): ElectionType {
  const value = options.value('election-type')
  const found = electionTypes.find((type) => type === value?.toUpperCase())
  if (value !== undefined && found === undefined) throw new OptionError(`Cannot parse argument '${value}' of option election-type: it is not one of preferred, unclean`)
  return found ?? 'PREFERRED'
}
/** The partitions named; null: all. */
function check(options: Options): TopicPartition[] | null {
  const missing = ['bootstrap-server', 'election-type', ...(options.has('topic') ? ['partition'] : [])].filter((name) => !options.has(name))
  if (missing.length > 0) throw new OptionError(`Missing required option(s): ${missing.join(', ')}`)
  const ways = ['topic', 'all-topic-partitions', 'path-to-json-file']
  if (ways.filter((name) => options.has(name)).length !== 1) throw new OptionError(`One and only one of the following options is required: ${ways.join(', ')}`)
  if (options.has('partition') && !options.has('topic')) throw new OptionError('Option partition is only allowed if topic is used')
  const file = options.value('path-to-json-file')
  if (file !== undefined) return partitionsIn(file)
  return options.has('topic') ? [{ topic: options.value('topic')!, partition: options.number('partition')! }] : null
}
function partitionsIn(file: string): TopicPartition[] {
  let content: { partitions?: TopicPartition[] }
  try {
    content = JSON.parse(readFileSync(file, 'utf8')) as typeof content
  } catch (cause) {
    throw new OptionError(cause instanceof SyntaxError ? `${file} is no JSON: ${cause.message}` : `Unable to read file ${file}: ${(cause as Error).message}`)
  }
  if (!Array.isArray(content?.partitions)) throw new OptionError('Replica election data is missing "partitions" field')
  const wrong = content.partitions.find(({ topic, partition }) => typeof topic !== 'string' || !Number.isInteger(partition))
  if (wrong) throw new OptionError(`${file}: ${JSON.stringify(wrong)} does not name a "topic" and a "partition"`)
  const names = content.partitions.map(partitionName)
  const twice = [...new Set(names.filter((name, index) => names.indexOf(name) !== index))]
  if (twice.length > 0) throw new OptionError(`Replica election data contains duplicate partitions: [${twice.join(', ')}]`)
  return content.partitions
}

async function elect(client: KafkaClient, electionType: ElectionType, partitions: TopicPartition[] | null, io: ToolIo): Promise<number> {
  const topicPartitions = partitions && [...byTopic(partitions)].map(([topic, list]) => ({ topic, partitions: list.map(({ partition }) => partition) }))
  let answer: ElectLeadersResponse
  try {
    answer = await client.call({ kind: 'controller' }, ElectLeaders, (version) => {
      if (version < 1 && electionType === 'UNCLEAN') throw new Error('the broker knows no unclean elections: it has ElectLeaders up to version 0')
      return { electionType: electionTypes.indexOf(electionType), topicPartitions, timeoutMs: 30_000 }
    }, { timeoutMs: 40_000 })
  } catch (error) {
    if (error instanceof RefusedError && error.error === errors.clusterAuthorizationFailed) throw new Error('Not authorized to perform leader election', { cause: error })
    throw error
  }
  const results = answer.replicaElectionResults.flatMap(({ topic, partitionResult }) =>
    partitionResult.map(({ partitionId, errorCode, errorMessage }) => ({ name: partitionName({ topic, partition: partitionId }), errorCode, errorMessage })))
  const named = (wanted: (errorCode: number) => boolean): string => results.filter(({ errorCode }) => wanted(errorCode)).map(({ name }) => name).join(', ')
  const elected = named((errorCode) => errorCode === 0)
  if (elected !== '') io.out(`Successfully completed leader election (${electionType}) for partitions ${elected}\n`)
  // The request for all partitions is answered for those that changed: the others had their leader.
  const notNeeded = partitions === null ? '' : named((errorCode) => errorCode === errors.electionNotNeeded.code)
  if (notNeeded !== '') io.out(`Valid replica already elected for partitions ${notNeeded}\n`)
  const failed = results.filter(({ errorCode }) => errorCode !== 0 && errorCode !== errors.electionNotNeeded.code)
  for (const { name, errorCode, errorMessage } of failed)
    io.out(`Error completing leader election (${electionType}) for partition: ${name}: ${javaException(errorCode)}: ${errorMessage ?? errorByCode(errorCode).message}\n`)
  if (failed.length === 0) return 0
  io.err(`${failed.length} replica(s) could not be elected`)
  return 1
}

runAsProgram(import.meta.url, kafkaLeaderElection)
