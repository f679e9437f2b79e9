/** The configuration of each topic as ZooKeeper has it, over the broker's defaults; logs hear of every change. */
import type { BrokerSettings } from '../config/broker-settings.ts'
import type { TopicConfig } from '../config/topic-configs.ts'
import type { LogConfig } from '../log/log-config.ts'
import type { KafkaZooKeeper } from '../metadata/kafka-zookeeper.ts'
import { logConfigOf } from './log-config-of.ts'

type Overrides = Readonly<Record<string, string>>

export class TopicOverrides {
  readonly #zookeeper: KafkaZooKeeper
  readonly #settings: BrokerSettings
  readonly #overrides = new Map<string, Overrides>()
  readonly #effective = new Map<string, TopicConfig>()
  #changed: (topic: string, config: LogConfig) => void = () => {}

  constructor(zookeeper: KafkaZooKeeper, settings: BrokerSettings) {
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
    for (const [topic, overrides] of await this.#zookeeper.entityConfigs('topics')) this.set(topic, overrides)
  }
  /** Before a log of the topic is made: a topic's creation is not announced under `/config/changes`. */
  async load(topic: string): Promise<void> {
    this.set(topic, await this.#zookeeper.entityConfig('topics', topic))
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
    return logConfigOf(this.config(topic))
  }
}
