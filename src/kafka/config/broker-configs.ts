/** Every configuration key of a broker of Kafka 3.9, in one table. */
import { coordinatorConfigs } from './broker/coordinators.ts'
import { identityConfigs } from './broker/identity.ts'
import { kraftConfigs } from './broker/kraft.ts'
import { listenerConfigs } from './broker/listeners.ts'
import { logConfigs } from './broker/log.ts'
import { quotaConfigs } from './broker/quotas.ts'
import { securityConfigs } from './broker/security.ts'
import { tieredStorageConfigs } from './broker/tiered-storage.ts'
import { topicAndReplicaConfigs } from './broker/topics.ts'
import type { Definition, ValuesOf } from './definition.ts'

export const brokerConfigs = {
  ...identityConfigs,
  ...listenerConfigs,
  ...logConfigs,
  ...topicAndReplicaConfigs,
  ...coordinatorConfigs,
  ...securityConfigs,
  ...quotaConfigs,
  ...tieredStorageConfigs,
  ...kraftConfigs,
}
export type BrokerKey = keyof typeof brokerConfigs
/** Every key with its typed value: `config['log.segment.bytes']` is a number. */
export type BrokerConfig = ValuesOf<typeof brokerConfigs>

export function brokerDefinition(name: string): Definition | undefined {
  return Object.hasOwn(brokerConfigs, name) ? (brokerConfigs as Record<string, Definition>)[name] : undefined
}

/** Keys that no release of the last years knows, but old tutorials do: what to write instead. */
export const removedBrokerConfigs: Readonly<Record<string, string>> = {
  'port': 'gone since Kafka 3.0; write listeners=PLAINTEXT://:PORT',
  'host.name': 'gone since Kafka 3.0; write listeners=PLAINTEXT://HOST:PORT',
  'advertised.port': 'gone since Kafka 3.0; write advertised.listeners=PLAINTEXT://HOST:PORT',
  'advertised.host.name': 'gone since Kafka 3.0; write advertised.listeners=PLAINTEXT://HOST:PORT',
  'zookeeper.connection.timeout': 'write zookeeper.connection.timeout.ms',
  'zookeeper.sync.time.ms': 'gone since Kafka 3.0',
  'quota.producer.default': 'gone since Kafka 3.0; quotas are set with kafka-configs.sh',
  'quota.consumer.default': 'gone since Kafka 3.0; quotas are set with kafka-configs.sh',
}

/** Groups of keys that mean the same, the one that wins first. */
const synonymGroups: readonly (readonly BrokerKey[])[] = [
  ['log.roll.ms', 'log.roll.hours'],
  ['log.roll.jitter.ms', 'log.roll.jitter.hours'],
  ['log.retention.ms', 'log.retention.minutes', 'log.retention.hours'],
]

/** The key itself and those that stand in for it, in the order in which they win. */
export function brokerSynonyms(name: string): readonly string[] {
  if (name === 'log.flush.interval.ms') return ['log.flush.interval.ms', 'log.flush.scheduler.interval.ms']
  for (const group of synonymGroups) if ((group as readonly string[]).includes(name)) return group
  const listener = /^listener\.name\.[^.]*\.(.*)$/.exec(name)
  return listener ? [name, listener[1]] : [name]
}
