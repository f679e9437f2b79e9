/** kafka-configs.sh: shows and changes the dynamic configuration of topics and brokers. */
import type { KafkaClient, Target } from '../kafka/client/client.ts'
import { DescribeConfigs, type DescribeConfigsResponse } from '../kafka/protocol/describe-configs.ts'
import { errorByCode, RefusedError } from '../kafka/protocol/errors.ts'
import { IncrementalAlterConfigs } from '../kafka/protocol/incremental-alter-configs.ts'
import { clientProperties } from './client-properties.ts'
import { clusterClient } from './cluster-client.ts'
import { javaException } from './java-exception.ts'
import { OptionError, Options, type OptionSpec } from './options.ts'
import { readPropertiesFile } from './properties.ts'
import { helpOrVersion, refuseCommandLine, runAsProgram, type Tool, type ToolIo } from './tool.ts'

export const configsAbout = 'This tool helps to manipulate and describe entity config for a topic or broker'
export const configsOptions: readonly OptionSpec[] = [
  { name: 'add-config', takes: 'String', help: "Configurations to be set: 'k1=v1,k2=[v1,v2,v2],k3=v3'; square brackets hold values with commas together." },
  { name: 'add-config-file', takes: 'String', help: 'A properties file with configurations to be set.' },
  { name: 'all', help: 'With --describe: all configurations, with the static ones and the defaults.' },
  { name: 'alter', help: 'Change the configuration of the entity.' },
  { name: 'bootstrap-server', takes: 'String', value: 'server to connect to', help: 'REQUIRED: the Kafka servers, HOST:PORT[,HOST:PORT...].' },
  { name: 'broker', takes: 'String', help: "The broker's id; short for --entity-type brokers --entity-name." },
  { name: 'broker-defaults', help: 'What holds for all brokers; short for --entity-type brokers --entity-default.' },
  { name: 'command-config', takes: 'String', value: 'command config property file', help: 'A properties file with settings of the client.' },
  { name: 'delete-config', takes: 'String', help: "Configurations to be removed: 'k1,k2'." },
  { name: 'describe', help: 'Show the configuration of the entity.' },
  { name: 'entity-default', help: 'What holds for all brokers.' },
  { name: 'entity-name', takes: 'String', help: 'Name of the topic, or id of the broker.' },
  { name: 'entity-type', takes: 'String', help: 'topics or brokers. (Users, clients, ips, loggers and client metrics do not have configurations here yet.)' },
  { name: 'force', help: 'Suppress console prompts.' },
  { name: 'help', help: 'Print usage information.' },
  { name: 'topic', takes: 'String', help: "The topic's name; short for --entity-type topics --entity-name." },
  { name: 'version', help: 'Display the version.' },
]

type EntityType = 'topics' | 'brokers'
interface Wanted {
  action: 'describe' | 'alter'
  type: EntityType
  /** Undefined: every entity. '' of brokers: the default of all. */
  name: string | undefined
  add: ReadonlyMap<string, string>
  remove: readonly string[]
  all: boolean
}
const resourceType: Readonly<Record<EntityType, number>> = { topics: 2, brokers: 4 }
const otherTypes = ['users', 'clients', 'ips', 'broker-loggers', 'client-metrics']
const sources = ['UNKNOWN', 'DYNAMIC_TOPIC_CONFIG', 'DYNAMIC_BROKER_CONFIG', 'DYNAMIC_DEFAULT_BROKER_CONFIG', 'STATIC_BROKER_CONFIG', 'DEFAULT_CONFIG', 'DYNAMIC_BROKER_LOGGER_CONFIG', 'DYNAMIC_CLIENT_METRICS_CONFIG']

export const kafkaConfigs: Tool = async (argv, io) => {
  const shown = helpOrVersion(argv, configsAbout, configsOptions, io)
  if (shown !== undefined) return shown
  let options: Options
  let wanted: Wanted
  try {
    options = new Options(configsOptions, argv)
    wanted = check(options)
  } catch (error) {
    return refuseCommandLine(error, configsOptions, io)
  }
  let client: KafkaClient | undefined
  try {
    client = await clusterClient(io, { bootstrapServers: options.value('bootstrap-server'), clientId: 'adminclient-1', properties: clientProperties(options.value('command-config')) })
    await (wanted.action === 'describe' ? describe : alter)(client, wanted, io)
    return 0
  } catch (error) {
    if (error instanceof OptionError) io.err(error.message)
    else io.err(`Error while executing config command with args '${argv.join(' ')}'\n${error instanceof RefusedError ? `${javaException(error.error.code)}: ` : ''}${(error as Error).message}`)
    return 1
  } finally {
    await client?.close()
  }
}

function check(options: Options): Wanted {
  const actions = (['describe', 'alter'] as const).filter((action) => options.has(action))
  if (actions.length !== 1) throw new OptionError('Command must include exactly one action: --describe, --alter', { showsUsage: true })
  const [action] = actions
  const short = (['topic', 'broker', 'broker-defaults'] as const).filter((name) => options.has(name))
  if (short.length > 1 || (short.length === 1 && (options.has('entity-type') || options.has('entity-name') || options.has('entity-default'))))
    throw new OptionError(`--${short[0]} says entity type and name already: nothing else may`)
  const typeText = short[0] === 'topic' ? 'topics' : short.length > 0 ? 'brokers' : options.value('entity-type')
  if (typeText === undefined) throw new OptionError('At least one entity type must be specified with --entity-type')
  if (otherTypes.includes(typeText)) throw new OptionError(`--entity-type ${typeText} is not supported by this tool yet: it knows topics and brokers`)
  if (typeText !== 'topics' && typeText !== 'brokers')
    throw new OptionError(`Invalid entity type ${typeText}, the entity type must be one of topics, clients, users, brokers, ips, broker-loggers, client-metrics with a --bootstrap-server or --bootstrap-controller argument`)
  const byDefault = options.has('entity-default') || options.has('broker-defaults')
  const name = byDefault ? '' : (options.value('topic') ?? options.value('broker') ?? options.value('entity-name'))
  if (!options.has('bootstrap-server')) throw new OptionError('Either --bootstrap-server or --bootstrap-controller must be specified (this tool knows the first)')
  if (byDefault && typeText === 'topics') throw new OptionError('Topics have no default entity: what holds for all topics is a configuration of the brokers')
  if (typeText === 'brokers' && name !== undefined && name !== '' && !/^\d+$/.test(name)) throw new OptionError(`The entity name for brokers must be a valid integer broker id, but it is: ${name}`)
  const add = new Map([...fromFile(options), ...parseConfigs(options.value('add-config'))])
  const remove = (options.value('delete-config') ?? '').split(',').map((key) => key.trim()).filter((key) => key !== '')
  if (action === 'alter') {
    if (name === undefined) throw new OptionError(`an entity name must be specified with --alter of ${typeText}`)
    if (!['add-config', 'add-config-file', 'delete-config'].some((one) => options.has(one))) throw new OptionError('At least one of --add-config, --add-config-file, or --delete-config must be specified with --alter')
    if (options.has('add-config') && options.has('add-config-file')) throw new OptionError('Only one of --add-config or --add-config-file must be specified')
  }
  return { action, type: typeText, name, add, remove, all: options.has('all') }
}
function fromFile(options: Options): [string, string][] {
  const file = options.value('add-config-file')
  return file === undefined ? [] : readPropertiesFile(file).map(({ key, value }) => [key, value])
}
/** `k1=v1,k2=[v1,v2]`: commas in brackets belong to the value, the brackets do not. */
export function parseConfigs(text: string | undefined): [string, string][] {
  if (text === undefined) return []
  return text.split(/,(?=[^\]]*(?:\[|$))/).map((pair) => {
    const words = pair.split(/\s*=\s*(?=[^\]]*(?:\[|$))/)
    if (words.length !== 2) throw new OptionError('requirement failed: Invalid entity config: all configs to be added must be in the format "key=val".')
    return [words[0].trim(), words[1].replaceAll(/\[|\]/g, '').trim()]
  })
}

/** Who answers for an entity: a broker's own configuration is its own affair. */
const targetOf = ({ type }: Wanted, name: string): Target => (type === 'brokers' && name !== '' ? { kind: 'broker', id: Number(name) } : { kind: 'any' })
type Entry = DescribeConfigsResponse['results'][number]['configs'][number]
async function configsOf(client: KafkaClient, wanted: Wanted, name: string): Promise<Entry[]> {
  const request = { resources: [{ resourceType: resourceType[wanted.type], resourceName: name, configurationKeys: null }], includeSynonyms: true }
  const { results } = await client.call(targetOf(wanted, name), DescribeConfigs, request)
  const [{ errorCode, errorMessage, configs }] = results
  if (errorCode !== 0) throw new RefusedError(errorByCode(errorCode), errorMessage)
  return [...configs].sort((a, b) => (a.name < b.name ? -1 : 1))
}
/** What was set for this very entity. */
const ownSource = ({ type }: Wanted, name: string): number => (type === 'topics' ? 1 : name === '' ? 3 : 2)

async function describe(client: KafkaClient, wanted: Wanted, io: ToolIo): Promise<void> {
  for (const name of wanted.name === undefined ? await allNames(client, wanted.type) : [wanted.name]) {
    const what = wanted.type === 'topics' ? `topic ${name}` : `broker ${name}`
    io.out(name === '' ? 'Default configs for brokers in the cluster are:\n' : `${wanted.all ? 'All' : 'Dynamic'} configs for ${what} are:\n`)
    for (const entry of await configsOf(client, wanted, name)) {
      if (!(wanted.all && name !== '') && entry.configSource !== ownSource(wanted, name)) continue
      const synonyms = entry.synonyms.map(({ name: key, value, source }) => `${sources[source] ?? 'UNKNOWN'}:${key}=${value}`).join(', ')
      io.out(`  ${entry.name}=${entry.value} sensitive=${entry.isSensitive} synonyms={${synonyms}}\n`)
    }
  }
}
async function allNames(client: KafkaClient, type: EntityType): Promise<string[]> {
  const { topics, brokers } = await client.retrying('Metadata', () => client.metadata(type === 'topics' ? null : []))
  if (type === 'topics') return topics.map(({ name }) => name!).sort()
  return [...brokers.map(({ nodeId }) => nodeId).sort((a, b) => a - b).map(String), '']
}

async function alter(client: KafkaClient, wanted: Wanted, io: ToolIo): Promise<void> {
  const { type, add, remove } = wanted
  const name = wanted.name!
  const present = new Set((await configsOf(client, wanted, name)).filter(({ configSource }) => configSource === ownSource(wanted, name)).map((entry) => entry.name))
  const absent = remove.filter((key) => !present.has(key))
  if (absent.length > 0) throw new OptionError(`Invalid config(s): ${absent.join(',')}`)
  const configs = [
    ...[...add].map(([key, value]) => ({ name: key, configOperation: 0, value })),
    ...remove.map((key) => ({ name: key, configOperation: 1, value: null })),
  ]
  await client.call(targetOf(wanted, name), IncrementalAlterConfigs, { resources: [{ resourceType: resourceType[type], resourceName: name, configs }], validateOnly: false }, { errorsIn: (response) => response.responses })
  io.out(name === '' ? 'Completed updating default config for brokers in the cluster.\n' : `Completed updating config for ${type.slice(0, -1)} ${name}.\n`)
}

runAsProgram(import.meta.url, kafkaConfigs)
