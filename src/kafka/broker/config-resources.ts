/** What configurations can be asked for and changed, and how a change is made (reference §4.9). */
import { brokerConfigs } from '../config/broker-configs.ts'
import { checkTopicConfig } from '../config/topic-settings.ts'
import { topicDefinition } from '../config/topic-configs.ts'
import { defaultEntity } from '../metadata/config-znodes.ts'
import { MigrationError, NoControllerError } from '../metadata/kafka-zookeeper.ts'
import { errors, type KafkaError } from '../protocol/errors.ts'
import { internalTopics } from './internal-topics.ts'
import type { BrokerServices } from './services.ts'

export const resourceTypes = { topic: 2, broker: 4, brokerLogger: 8, clientMetrics: 16 } as const
/** As Kafka's tools write a type; one that no release knows by its number. */
export const nameOfType = (type: number): string => ({ 2: 'TOPIC', 4: 'BROKER', 8: 'BROKER_LOGGER', 16: 'CLIENT_METRICS', 32: 'GROUP' })[type] ?? String(type)

type Verdict = Pick<KafkaError, 'code' | 'message'>
const invalidRequest = (message: string): Verdict => ({ code: errors.invalidRequest.code, message })

/** Which broker resource a name means here. Another broker's own configuration is its own affair. */
export function brokerOf(name: string, ownId: number): 'broker' | 'clusterDefault' | Verdict {
  if (name === '') return 'clusterDefault'
  if (!/^-?\d+$/.test(name)) return invalidRequest(`Broker id must be an integer, but it is: ${name}`)
  if (Number(name) !== ownId) return invalidRequest(`Unexpected broker id, expected ${ownId} or empty string, but received ${name}`)
  return 'broker'
}

/** One wish: null deletes the override. `append` and `subtract` are for lists. */
export interface ConfigWish {
  readonly name: string
  readonly operation: 'set' | 'delete' | 'append' | 'subtract'
  readonly value: string | null
}

/** Changes the overrides of one resource, which are in force on this broker then (on others soon after), or with `validateOnly` only says whether that would do. */
export async function alterResource(
  broker: BrokerServices,
  resource: { readonly type: number; readonly name: string },
  wishes: readonly ConfigWish[],
  { replaceAll, validateOnly }: { replaceAll: boolean; validateOnly: boolean },
): Promise<Verdict> {
  const refused = refuseWishes(wishes)
  if (refused) return refused
  try {
    switch (resource.type) {
      case resourceTypes.topic: return await alterTopic(broker, resource.name, wishes, { replaceAll, validateOnly })
      case resourceTypes.broker: return await alterBroker(broker, resource.name, wishes, { replaceAll, validateOnly })
      default: return invalidRequest(`AlterConfigs is only supported for topics and brokers, but resource type is ${nameOfType(resource.type)}`)
    }
  } catch (error) {
    if (error instanceof NoControllerError) return { code: errors.leaderNotAvailable.code, message: error.message }
    if (error instanceof MigrationError) return { code: errors.invalidRequest.code, message: error.message }
    throw error
  }
}
function refuseWishes(wishes: readonly ConfigWish[]): Verdict | undefined {
  const names = wishes.map(({ name }) => name)
  const twice = names.filter((name, index) => names.indexOf(name) !== index)
  if (twice.length > 0) return invalidRequest(`Error due to duplicate config keys: ${[...new Set(twice)].join(',')}`)
  const without = wishes.filter(({ operation, value }) => operation !== 'delete' && value === null)
  if (without.length > 0) return invalidRequest(`Null value not supported for : ${without.map(({ name }) => name).join(',')}`)
  return undefined
}

async function alterTopic(broker: BrokerServices, name: string, wishes: readonly ConfigWish[], { replaceAll, validateOnly }: { replaceAll: boolean; validateOnly: boolean }): Promise<Verdict> {
  if (name === '') return invalidRequest('Default topic resources are not allowed.')
  // Nothing is made here: an impossible name is one of a topic that there is not.
  if (!broker.metadata.topic(name)) return { code: errors.unknownTopicOrPartition.code, message: `The topic '${name}' does not exist.` }
  const defaults = broker.settings.topic() as unknown as Readonly<Record<string, unknown>>
  const overrides = applied(replaceAll ? {} : await broker.zookeeper.entityConfig('topics', name), wishes, {
    isList: (key) => topicDefinition(key)?.type === 'list',
    inherited: (key) => textOf(defaults[key]),
  })
  if ('code' in overrides) return overrides as Verdict
  const [refusal] = checkTopicConfig(Object.entries(overrides), { internal: internalTopics.has(name) })
  if (refusal) return { code: errors.invalidConfig.code, message: refusal.message }
  if (validateOnly) return errors.none
  await broker.zookeeper.setEntityConfig('topics', name, overrides)
  await broker.configChanges.announce({ type: 'topics', entity: name })
  return errors.none
}

async function alterBroker(broker: BrokerServices, name: string, wishes: readonly ConfigWish[], { replaceAll, validateOnly }: { replaceAll: boolean; validateOnly: boolean }): Promise<Verdict> {
  const level = brokerOf(name, broker.brokerId)
  if (typeof level !== 'string') return level
  const entity = level === 'broker' ? String(broker.brokerId) : defaultEntity
  const values = broker.settings.values as unknown as Readonly<Record<string, unknown>>
  const definitions = brokerConfigs as Readonly<Record<string, { readonly type: string }>>
  const overrides = applied(replaceAll ? {} : await broker.zookeeper.entityConfig('brokers', entity), wishes, {
    isList: (key) => definitions[key]?.type === 'list',
    inherited: (key) => textOf(values[key]),
  })
  if ('code' in overrides) return overrides as Verdict
  const [refusal] = broker.settings.checkDynamic(level, Object.entries(overrides))
  // A bad value of a broker's is no INVALID_CONFIG with Apache's either (seen with 3.9.1).
  if (refusal) return invalidRequest(refusal.message)
  if (validateOnly) return errors.none
  await broker.zookeeper.setEntityConfig('brokers', entity, overrides)
  await broker.configChanges.announce({ type: 'brokers', entity })
  return errors.none
}

/** The overrides after the wishes, or why one cannot be fulfilled. */
function applied(
  stored: Readonly<Record<string, string>>,
  wishes: readonly ConfigWish[],
  { isList, inherited }: { isList: (key: string) => boolean; inherited: (key: string) => string },
): Record<string, string> | Verdict {
  const overrides = { ...stored }
  for (const { name, operation, value } of wishes) {
    if (operation === 'delete') delete overrides[name]
    else if (operation === 'set') overrides[name] = value ?? ''
    else if (!isList(name)) return { code: errors.invalidConfig.code, message: `Config value ${operation} is not allowed for config key: ${name}` }
    else {
      const items = itemsOf(overrides[name] ?? inherited(name))
      const named = itemsOf(value ?? '')
      overrides[name] = (operation === 'append' ? [...items, ...named.filter((item) => !items.includes(item))] : items.filter((item) => !named.includes(item))).join(',')
    }
  }
  return overrides
}
const itemsOf = (text: string): string[] => text.split(',').map((item) => item.trim()).filter((item) => item !== '')
const textOf = (value: unknown): string => (Array.isArray(value) ? value.join(',') : value === null || value === undefined ? '' : String(value))
