/**
 * The configuration of one broker in its layers: this broker's dynamic entries win over the cluster's dynamic default, that
 * over server.properties, that over the defaults.
 */
import { brokerConfigs, brokerDefinition, brokerSynonyms, removedBrokerConfigs, type BrokerConfig, type BrokerKey } from './broker-configs.ts'
import { checkBroker } from './check.ts'
import { normalText, readValue, type ConfigType, type Definition } from './definition.ts'
import { nearest } from './near.ts'
import type { PropertyEntry } from '../../wire/properties.ts'
import { ConfigError, invalid, readEntry, where, type ConfigRefusal } from './refusal.ts'
import { readTopicConfig, topicDefaults } from './topic-settings.ts'
import { topicConfigs, topicDefinition, topicSynonyms, type TopicConfig, type TopicKey } from './topic-configs.ts'

/** Something a person should know about an accepted entry. */
export interface ConfigNotice {
  key: string
  /** `ignored`: means nothing here. `unknown`: no key of Kafka 3.9. `removed`: a key of an older Kafka. */
  kind: 'ignored' | 'unknown' | 'removed'
  text: string
}

/** Numbers of DescribeConfigs. */
export const configSources = { topic: 1, dynamicBroker: 2, dynamicDefaultBroker: 3, staticBroker: 4, default: 5 } as const
export const configTypeCodes: Readonly<Record<ConfigType, number>> = { boolean: 1, string: 2, int: 3, short: 4, long: 5, double: 6, list: 7, class: 8, password: 9 }

export interface ConfigSynonym {
  name: string
  /** Null for a secret, or for a default that is no value. */
  value: string | null
  source: number
}
/** One key as DescribeConfigs answers it. */
export interface DescribedConfig extends ConfigSynonym {
  readOnly: boolean
  sensitive: boolean
  synonyms: readonly ConfigSynonym[]
  /** Code of the type, 0 for a key that no table knows. */
  type: number
  documentation: string | null
}

export type DynamicLevel = 'broker' | 'clusterDefault'
type Texts = ReadonlyMap<string, string>

/** Keys outside the tables that protect, limit or keep something: refused by name, never quietly accepted. */
const protective: readonly { pattern: RegExp; why: string }[] = [
  { pattern: /^(super\.users|allow\.everyone\.if\.no\.acl\.found|authorizer\.)/, why: 'authorization does not work yet: everybody would be let in' },
  { pattern: /^listener\.name\.[^.]+\.(.+\.)?(ssl|sasl)\.|^(ssl|sasl|security)\./, why: 'TLS and SASL do not work yet' },
  { pattern: /^zookeeper\.(ssl|set)\./, why: 'TLS and protected znodes do not work yet' },
  { pattern: /^(remote\.|rsm\.config\.|rlmm\.config\.)/, why: 'tiered storage does not work yet' },
  { pattern: /^listener\.name\.[^.]+\.max\.connection/, why: 'quotas and limits do not work yet' },
]
const threadKeys: readonly string[] = ['num.io.threads', 'num.network.threads', 'num.replica.fetchers', 'num.recovery.threads.per.data.dir', 'background.threads', 'log.cleaner.threads']

export class BrokerSettings {
  readonly #static: Texts
  #dynamic: Readonly<Record<DynamicLevel, Texts>> = { broker: new Map(), clusterDefault: new Map() }
  #values: BrokerConfig
  #topicDefaults: ReadonlyMap<TopicKey, string | null>
  readonly #watchers = new Set<(values: BrokerConfig) => void>()

  constructor(texts: Texts) {
    // One number under two names: whichever is set stands for both.
    const brokerId = texts.get('broker.id') ?? texts.get('node.id')
    this.#static = brokerId === undefined ? texts : new Map([['broker.id', brokerId], ['node.id', brokerId], ...texts])
    this.#values = this.#effective(this.#dynamic)
    this.#topicDefaults = topicDefaults(this.#values, (key) => this.#textOf(key))
  }

  /** The values in force now, typed. A change makes a new object: keep the settings, not the values. */
  get values(): BrokerConfig {
    return this.#values
  }

  /** Calls `then` after each change of the dynamic entries. Returns what ends that. */
  watch(then: (values: BrokerConfig) => void): () => void {
    this.#watchers.add(then)
    return () => void this.#watchers.delete(then)
  }

  /** What is wrong with a whole set of dynamic entries that somebody wants to store on a level. */
  checkDynamic(level: DynamicLevel, entries: Iterable<readonly [string, string]>): ConfigRefusal[] {
    const refusals: ConfigRefusal[] = []
    const good = new Map<string, string>()
    for (const [key, value] of entries) {
      const refusal = this.#refuseDynamic(level, key, value)
      if (refusal) refusals.push(refusal)
      else good.set(key, value)
    }
    if (refusals.length > 0) return refusals
    return checkBroker(this.#effective({ ...this.#dynamic, [level]: good })).map(({ key, reason, unsupported }) => ({
      key, kind: unsupported ? 'unsupported' : 'invalid', reason, message: `${key}: ${reason}`,
    }))
  }

  /** Puts the entries of a level, as they are stored in ZooKeeper, in force. Bad ones are left out and returned: a bad stored value never stops a broker. */
  setDynamic(level: DynamicLevel, entries: Iterable<readonly [string, string]>): ConfigRefusal[] {
    const refusals: ConfigRefusal[] = []
    const good = new Map<string, string>()
    for (const [key, value] of entries) {
      const refusal = this.#refuseDynamic(level, key, value, true)
      if (refusal) refusals.push(refusal)
      else good.set(key, value)
    }
    const broken = checkBroker(this.#effective({ ...this.#dynamic, [level]: good }))
    for (const { key, reason, unsupported } of broken) {
      for (const name of brokerSynonyms(key)) good.delete(name)
      refusals.push({ key, kind: unsupported ? 'unsupported' : 'invalid', reason, message: `${key}: ${reason}` })
    }
    this.#dynamic = { ...this.#dynamic, [level]: good }
    this.#values = this.#effective(this.#dynamic)
    this.#topicDefaults = topicDefaults(this.#values, (key) => this.#textOf(key))
    for (const then of this.#watchers) then(this.#values)
    return refusals
  }

  /** The configuration of a topic with these entries over the broker's defaults. Entries that cannot be read are left out. */
  topic(overrides: Iterable<readonly [string, string]> = []): TopicConfig {
    return readTopicConfig(this.#topicDefaults, new Map(overrides))
  }

  /** Every key of a topic as DescribeConfigs answers it, or those asked for. */
  describeTopic(overrides: Iterable<readonly [string, string]>, keys?: readonly string[] | null): DescribedConfig[] {
    const own = new Map(overrides)
    const names = new Set<string>([...Object.keys(topicConfigs), ...own.keys()])
    return wanted(names, keys).map((name) => {
      const definition = topicDefinition(name)
      const sensitive = definition === undefined || definition.type === 'password'
      const value = own.has(name) ? shownText(definition, own.get(name) ?? null) : (this.#topicDefaults.get(name as TopicKey) ?? null)
      const broker = topicSynonyms[name as TopicKey]
      const synonyms = broker === undefined ? [] : this.#synonyms(broker, sensitive)
      if (own.has(name)) synonyms.unshift({ name, value: sensitive ? null : value, source: configSources.topic })
      return described(name, definition, sensitive ? null : value, synonyms, false)
    })
  }

  /** Every key of this broker as DescribeConfigs answers it, or those asked for. */
  describeBroker(keys?: readonly string[] | null): DescribedConfig[] {
    const names = new Set<string>([...this.#static.keys(), ...this.#dynamic.broker.keys(), ...this.#dynamic.clusterDefault.keys()])
    for (const [name, definition] of Object.entries(brokerConfigs)) if (!definition.internal) names.add(name)
    return wanted(names, keys).map((name) => {
      const synonyms = this.#synonyms(name, isSensitive(name))
      return described(name, baseDefinition(name), isSensitive(name) ? null : shownText(baseDefinition(name), this.#textOf(name)), synonyms, readOnly(name))
    })
  }

  /** The cluster's dynamic defaults, for the broker resource with the empty name. */
  describeClusterDefault(keys?: readonly string[] | null): DescribedConfig[] {
    return wanted(new Set(this.#dynamic.clusterDefault.keys()), keys).map((name) => {
      const synonyms = this.#synonyms(name, isSensitive(name)).filter(({ source }) => source === configSources.dynamicDefaultBroker)
      const text = this.#dynamic.clusterDefault.get(name) ?? null
      return described(name, baseDefinition(name), isSensitive(name) ? null : shownText(baseDefinition(name), text), synonyms, readOnly(name))
    })
  }

  #refuseDynamic(level: DynamicLevel, key: string, value: string, stored = false): ConfigRefusal | undefined {
    const definition = baseDefinition(key)
    if (definition === undefined) return refuseProtective({ key, value })
    if (definition.update === 'read-only') return { key, kind: 'notDynamic', reason: 'it is read when the broker starts', message: `${key} cannot be changed while the broker runs: set it in server.properties and restart` }
    if (definition.update === 'per-broker' && level === 'clusterDefault') {
      return { key, kind: 'notDynamic', reason: 'it belongs to a single broker', message: `${key} cannot be a default of the cluster: set it for a broker by its number` }
    }
    const read = readEntry(definition, { key, value })
    if ('refusal' in read) return read.refusal
    if (!stored && definition.atStart) return { key, kind: 'notDynamic', reason: 'this broker takes it up when it starts', message: `${key} cannot be changed while this broker runs yet: set it in server.properties and restart` }
    if (!stored && threadKeys.includes(key)) {
      const now = Number(this.#values[key as BrokerKey])
      const next = Number(read.value)
      if (next < now / 2 || next > now * 2) return invalid(definition, { key, value }, `a change may halve or double the present ${now} at most`)
    }
    return undefined
  }

  #layers(): readonly { texts: Texts; source: number }[] {
    return [
      { texts: this.#dynamic.broker, source: configSources.dynamicBroker },
      { texts: this.#dynamic.clusterDefault, source: configSources.dynamicDefaultBroker },
      { texts: this.#static, source: configSources.staticBroker },
    ]
  }
  #textOf(name: string): string | null {
    for (const { texts } of this.#layers()) if (texts.has(name)) return texts.get(name) ?? null
    return brokerDefinition(name)?.default ?? null
  }
  /** What speaks for a key, the strongest first. Apache's answer begins with the key itself: a unit or a listener's own entry before it is left out, and nothing is told where only other units are set (seen with 3.9.1). */
  #synonyms(key: string, sensitive: boolean): ConfigSynonym[] {
    const found: ConfigSynonym[] = []
    const names = brokerSynonyms(key)
    const add = (name: string, text: string | null, source: number): void => void found.push({ name, value: sensitive ? null : shownText(baseDefinition(name), text), source })
    for (const { texts, source } of this.#layers()) for (const name of names) if (texts.has(name)) add(name, texts.get(name) ?? null, source)
    for (const name of names) {
      const definition = brokerDefinition(name)
      // Keys that Apache's table of dynamic ones alone knows have no default there.
      if (definition && definition.default !== null && !definition.internal) add(name, definition.default, configSources.default)
    }
    const own = found.findIndex(({ name }) => name === key)
    return own < 0 ? [] : found.slice(own)
  }

  #effective(dynamic: Readonly<Record<DynamicLevel, Texts>>): BrokerConfig {
    const values: Record<string, unknown> = {}
    for (const [name, definition] of Object.entries(brokerConfigs) as [string, Definition][]) {
      const raw = dynamic.broker.get(name) ?? dynamic.clusterDefault.get(name) ?? this.#static.get(name) ?? definition.default
      const read = readValue(definition, raw)
      if (!read.ok) throw new ConfigError([invalid(definition, { key: name, value: raw ?? '' }, read.reason)])
      values[name] = read.value
    }
    return Object.freeze(values) as unknown as BrokerConfig
  }
}

/** Reads server.properties and overrides. Of one key the last entry wins. `settings` is there when nothing was refused. */
export function parseBrokerConfig(entries: Iterable<PropertyEntry>): { settings: BrokerSettings | undefined; refusals: ConfigRefusal[]; notices: ConfigNotice[] } {
  const last = new Map<string, PropertyEntry>()
  for (const entry of entries) last.set(entry.key, entry)
  const refusals: ConfigRefusal[] = []
  const notices: ConfigNotice[] = []
  const texts = new Map<string, string>()
  for (const entry of last.values()) {
    const definition = baseDefinition(entry.key)
    const refusal = definition === undefined ? refuseProtective(entry) : refusalOf(definition, entry)
    if (refusal) {
      refusals.push(refusal)
      continue
    }
    texts.set(entry.key, entry.value)
    if (definition === undefined) notices.push(noticeOfUnknown(entry))
    else if (definition.standing.kind === 'ignored') notices.push({ key: entry.key, kind: 'ignored', text: `${where(entry)}${entry.key} has no effect: ${definition.standing.why}` })
  }
  if (refusals.length > 0) return { settings: undefined, refusals, notices }
  const settings = new BrokerSettings(texts)
  const entryOf = (key: BrokerKey): PropertyEntry => last.get(key) ?? { key, value: brokerConfigs[key].default ?? '' }
  for (const { key, reason, unsupported } of checkBroker(settings.values)) {
    const refused = invalid(brokerDefinition(key), entryOf(key), reason)
    refusals.push(unsupported ? { ...refused, kind: 'unsupported', message: `${where(entryOf(key))}${key}=${entryOf(key).value} is not supported: ${reason}` } : refused)
  }
  const { 'broker.id': brokerId, 'node.id': nodeId } = settings.values
  if (brokerId !== nodeId) refusals.push(invalid(brokerDefinition('node.id'), entryOf('node.id'), `broker.id says ${brokerId}: set one of the two`))
  return { settings: refusals.length > 0 ? undefined : settings, refusals, notices }
}

/** As `parseBrokerConfig`, but throws a `ConfigError` with every refusal. */
export function readBrokerConfig(entries: Iterable<PropertyEntry>): { settings: BrokerSettings; notices: ConfigNotice[] } {
  const { settings, refusals, notices } = parseBrokerConfig(entries)
  if (settings === undefined) throw new ConfigError(refusals)
  return { settings, notices }
}

/** `listener.name.<listener>.[<mechanism>.]<key>` is judged as `<key>`. */
function baseDefinition(name: string): Definition | undefined {
  const own = brokerDefinition(name)
  if (own) return own
  const listener = /^listener\.name\.[^.]+\.(.+)$/.exec(name)
  return listener ? (brokerDefinition(listener[1]) ?? brokerDefinition(listener[1].slice(listener[1].indexOf('.') + 1))) : undefined
}
function refusalOf(definition: Definition, entry: PropertyEntry): ConfigRefusal | undefined {
  const read = readEntry(definition, entry)
  return 'refusal' in read ? read.refusal : undefined
}
function refuseProtective(entry: PropertyEntry): ConfigRefusal | undefined {
  for (const { pattern, why } of protective) {
    if (pattern.test(entry.key)) return { key: entry.key, kind: 'unsupported', reason: why, message: `${where(entry)}${entry.key} is not supported: ${why}` }
  }
  return undefined
}
function noticeOfUnknown(entry: PropertyEntry): ConfigNotice {
  const removed = removedBrokerConfigs[entry.key]
  if (removed !== undefined) return { key: entry.key, kind: 'removed', text: `${where(entry)}${entry.key} has no effect: ${removed}` }
  const near = nearest(entry.key, Object.keys(brokerConfigs))
  return { key: entry.key, kind: 'unknown', text: `${where(entry)}${entry.key} has no effect: no such key in Kafka 3.9${near ? `; did you mean ${near}?` : ''}` }
}

function isSensitive(name: string): boolean {
  const definition = baseDefinition(name)
  return definition === undefined || definition.type === 'password'
}
function readOnly(name: string): boolean {
  const definition = baseDefinition(name)
  return definition === undefined || definition.update === 'read-only' || definition.atStart
}
function shownText(definition: Definition | undefined, text: string | null): string | null {
  if (definition === undefined) return text
  return text !== null && readValue(definition, text).ok ? normalText(definition, text) : text
}
function described(name: string, definition: Definition | undefined, value: string | null, synonyms: readonly ConfigSynonym[], isReadOnly: boolean): DescribedConfig {
  return {
    name, value, synonyms,
    source: synonyms[0]?.source ?? configSources.default,
    readOnly: isReadOnly,
    sensitive: definition === undefined || definition.type === 'password',
    type: definition ? configTypeCodes[definition.type] : 0,
    documentation: definition?.about ?? null,
  }
}
function wanted(names: ReadonlySet<string>, keys: readonly string[] | null | undefined): string[] {
  return keys && keys.length > 0 ? keys.filter((key) => names.has(key)) : [...names]
}
