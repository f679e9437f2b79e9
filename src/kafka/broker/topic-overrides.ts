/** The configuration of each topic as ZooKeeper has it, over the broker's defaults; logs hear of every change. */
import type { Host, Logger } from '../../host/host.ts'
import type { BrokerSettings } from '../config/broker-settings.ts'
import type { TopicConfig } from '../config/topic-configs.ts'
import type { LogConfig } from '../log/log-config.ts'
import type { KafkaZooKeeper } from '../metadata/kafka-zookeeper.ts'
import { ZnodeError } from '../metadata/znode-json.ts'
import { internalTopics } from './internal-topics.ts'
import { logConfigOf } from './log-config-of.ts'

type Overrides = Readonly<Record<string, string>>

/** Nobody knows how long its records were meant to be kept. */
const nothingGoes: Overrides = { 'cleanup.policy': 'delete', 'retention.ms': '-1', 'retention.bytes': '-1' }

export class TopicOverrides {
  readonly #log: Logger
  readonly #zookeeper: KafkaZooKeeper
  readonly #settings: BrokerSettings
  readonly #overrides = new Map<string, Overrides>()
  readonly #effective = new Map<string, TopicConfig>()
  #changed: (topic: string, config: LogConfig) => void = () => {}

  constructor(host: Pick<Host, 'logger'>, zookeeper: KafkaZooKeeper, settings: BrokerSettings) {
    this.#log = host.logger.named('kafka.broker')
    this.#zookeeper = zookeeper
    this.#settings = settings
    settings.watch(() => {
      this.#effective.clear()
      for (const topic of this.#overrides.keys()) this.#changed(topic, this.logConfig(topic))
    })
  }
  /** Told of each topic whose configuration is another now. */
  onChange(changed: (topic: string, config: LogConfig) => void): void {
    this.#changed = changed
  }

  async loadAll(): Promise<void> {
    for (const [topic, overrides] of await this.#zookeeper.entityConfigs('topics')) this.#found(topic, overrides)
  }
  /** Before a log of the topic is made: a topic's creation is not announced under `/config/changes`. */
  async load(topic: string): Promise<void> {
    this.#found(topic, await this.#zookeeper.readableConfig('topics', topic))
  }
  #found(topic: string, overrides: Overrides | ZnodeError): void {
    if (!(overrides instanceof ZnodeError)) return this.set(topic, overrides)
    if (this.#overrides.has(topic)) return this.#log.error('the configuration of a topic cannot be read: what was known before stays in force', { topic, error: overrides })
    this.#log.error('the configuration of a topic cannot be read: it has the defaults, but nothing of it is deleted or compacted until its configuration is written anew', { topic, error: overrides })
    this.set(topic, nothingGoes)
  }
  set(topic: string, overrides: Overrides): void {
    this.#overrides.set(topic, overrides)
    this.#effective.delete(topic)
    this.#changed(topic, this.logConfig(topic))
  }
  forget(topic: string): void {
    this.#overrides.delete(topic)
    this.#effective.delete(topic)
  }

  config(topic: string): TopicConfig {
    let config = this.#effective.get(topic)
    if (!config) this.#effective.set(topic, (config = this.#settings.topic(Object.entries(this.#overrides.get(topic) ?? {}))))
    return config
  }
  logConfig(topic: string): LogConfig {
    return logConfigOf(this.config(topic), { isInternal: internalTopics.has(topic) })
  }
}
