/** A topic's configuration: the broker's values as defaults, the topic's own entries over them. */
import type { BrokerConfig, BrokerKey } from './broker-configs.ts'
import { normalText, readValue, type Definition } from './definition.ts'
import { nearest } from './near.ts'
import { readEntry, type ConfigRefusal } from './refusal.ts'
import { topicConfigs, topicDefinition, topicSynonyms, type TopicConfig, type TopicKey } from './topic-configs.ts'

const hour = 3_600_000

/** Text of each default. Keys whose broker counterpart comes in several units are computed, as Apache's extractLogConfigMap does. */
export function topicDefaults(broker: BrokerConfig, textOf: (key: BrokerKey) => string | null): ReadonlyMap<TopicKey, string | null> {
  const computed: Partial<Record<TopicKey, number | string | null>> = {
    'segment.ms': broker['log.roll.ms'] === null ? broker['log.roll.hours'] * hour : textOf('log.roll.ms'),
    'segment.jitter.ms': broker['log.roll.jitter.ms'] === null ? broker['log.roll.jitter.hours'] * hour : textOf('log.roll.jitter.ms'),
    'retention.ms': retentionMs(broker),
    'flush.ms': textOf(broker['log.flush.interval.ms'] === null ? 'log.flush.scheduler.interval.ms' : 'log.flush.interval.ms'),
  }
  // "Before" and "after" win over the deprecated "difference" only when they are set.
  for (const [topic, key] of [['message.timestamp.before.max.ms', 'log.message.timestamp.before.max.ms'], ['message.timestamp.after.max.ms', 'log.message.timestamp.after.max.ms']] as const) {
    if (textOf(key) === topicConfigs[topic].default) computed[topic] = textOf('log.message.timestamp.difference.max.ms')
  }
  const defaults = new Map<TopicKey, string | null>()
  for (const [name, definition] of Object.entries(topicConfigs) as [TopicKey, Definition][]) {
    const synonym = topicSynonyms[name]
    const own = computed[name]
    const text = own !== undefined ? (own === null ? null : String(own)) : synonym === undefined ? definition.default : textOf(synonym)
    defaults.set(name, text === null ? null : normalText(definition, text))
  }
  return defaults
}

function retentionMs(broker: BrokerConfig): number {
  const ms = broker['log.retention.ms'] ?? (broker['log.retention.minutes'] === null ? broker['log.retention.hours'] * hour : broker['log.retention.minutes'] * 60_000)
  return ms < 0 ? -1 : ms
}

export function readTopicConfig(defaults: ReadonlyMap<TopicKey, string | null>, overrides: ReadonlyMap<string, string>): TopicConfig {
  const values: Record<string, unknown> = {}
  for (const [name, definition] of Object.entries(topicConfigs) as [TopicKey, Definition][]) {
    const own = overrides.get(name)
    const read = own === undefined ? undefined : readValue(definition, own)
    // What is stored in ZooKeeper may be older or newer than this release: a bad entry counts as absent.
    const value = read?.ok ? read : readValue(definition, defaults.get(name) ?? null)
    values[name] = value.ok ? value.value : null
  }
  for (const key of ['message.timestamp.before.max.ms', 'message.timestamp.after.max.ms'] as const) {
    if (!overrides.has(key) && overrides.has('message.timestamp.difference.max.ms') && defaults.get(key) === topicConfigs[key].default) {
      values[key] = values['message.timestamp.difference.max.ms']
    }
  }
  return Object.freeze(values) as unknown as TopicConfig
}

/**
 * What is wrong with a topic's whole set of entries, for CreateTopics and the two AlterConfigs; every refusal is
 * INVALID_CONFIG there. `internal`: the topic belongs to the brokers, which know what they ask for.
 */
export function checkTopicConfig(entries: Iterable<readonly [string, string]>, { internal = false } = {}): ConfigRefusal[] {
  const refusals: ConfigRefusal[] = []
  const values: Record<string, unknown> = {}
  for (const [key, value] of entries) {
    const definition = topicDefinition(key)
    if (definition === undefined) {
      const near = nearest(key, Object.keys(topicConfigs))
      refusals.push({ key, kind: 'unknown', reason: 'no such key', message: `Unknown topic config name: ${key}${near ? `; did you mean ${near}?` : ''}` })
      continue
    }
    const read = readEntry(definition, { key, value }, { internal })
    if ('refusal' in read) refusals.push(read.refusal)
    else values[key] = read.value
  }
  const least = Number(values['min.compaction.lag.ms'] ?? topicConfigs['min.compaction.lag.ms'].default)
  const most = Number(values['max.compaction.lag.ms'] ?? topicConfigs['max.compaction.lag.ms'].default)
  if (least > most) {
    refusals.push({
      key: 'min.compaction.lag.ms', kind: 'invalid', reason: 'more than max.compaction.lag.ms',
      message: `conflict topic config setting min.compaction.lag.ms (${least}) > max.compaction.lag.ms (${most})`,
    })
  }
  return refusals
}
