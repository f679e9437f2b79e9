/** A topic as a consumer of kafkajs is shown it. */
import type { Consumer, ConsumerConfig, ConsumerRunConfig, Kafka } from 'kafkajs'
import { asking } from './kafkajs.ts'
import { unique } from './programs.ts'

/**
 * A consumer that works on until it is closed: kafkajs's own ends for good by errors that it does not think worth a repetition, a coordinator that is nowhere for a
 * moment among them, and turns to no other broker when the first does not answer.
 */
export class LastingConsumer {
  /** Why the consumer ended or began again. */
  readonly crashes: string[] = []
  readonly #kafka: Kafka
  readonly #config: ConsumerConfig
  readonly #topic: string
  readonly #run: ConsumerRunConfig
  #consumer: Consumer | undefined
  #isClosed = false

  private constructor(kafka: Kafka, config: ConsumerConfig, topic: string, run: ConsumerRunConfig) {
    this.#kafka = kafka
    this.#config = config
    this.#topic = topic
    this.#run = run
  }

  /** Reads from the beginning what its group has not committed. */
  static async open(kafka: Kafka, config: ConsumerConfig, topic: string, run: ConsumerRunConfig): Promise<LastingConsumer> {
    const lasting = new LastingConsumer(kafka, config, topic, run)
    await lasting.#begin()
    return lasting
  }
  async #begin(): Promise<void> {
    await asking(`a consumer of ${this.#topic} in ${this.#config.groupId}`, async () => {
      if (this.#isClosed) return
      const consumer = this.#kafka.consumer(this.#config)
      try {
        await consumer.connect()
        // A broker hears of a new topic when its controller tells it: kafkajs, which may ask another one, does not try again by itself.
        await consumer.subscribe({ topic: this.#topic, fromBeginning: true })
        consumer.on(consumer.events.CRASH, ({ payload: { error, restart } }) => {
          this.crashes.push(`${error.name}: ${error.message}${restart ? '' : ' (it does not begin again by itself)'}`)
          if (!restart && !this.#isClosed) this.#begin().catch((failure: Error) => this.crashes.push(`the new one: ${failure.message}`))
        })
        await consumer.run(this.#run)
      } catch (error) {
        await consumer.disconnect().catch(() => {})
        throw error
      }
      this.#consumer = consumer
      if (this.#isClosed) await consumer.disconnect()
    })
  }
  async close(): Promise<void> {
    this.#isClosed = true
    await this.#consumer?.disconnect()
  }
}

export interface Shown {
  readonly partition: number
  readonly offset: number
  readonly key: string
  readonly value: string
}

/**
 * Reads a topic from its beginning in a group of its own. After a rebalance (a heartbeat that came late, a coordinator that is new) kafkajs begins again with what
 * was committed: what is given twice under one offset is counted once.
 */
export class Reader {
  /** In the order in which they were given. */
  readonly records: Shown[] = []
  readonly #seen = new Map<string, string>()
  #consumer: LastingConsumer | undefined

  private constructor() {}

  static async open(kafka: Kafka, topic: string, { groupId = unique('reader'), readUncommitted = false }: { groupId?: string; readUncommitted?: boolean } = {}): Promise<Reader> {
    const reader = new Reader()
    reader.#consumer = await LastingConsumer.open(kafka, { groupId, readUncommitted, maxWaitTimeInMs: 100, retry: { retries: 5, initialRetryTime: 50, maxRetryTime: 500 } }, topic, {
      eachMessage: async ({ partition, message: { offset, key, value } }) => reader.#take({ partition, offset: Number(offset), key: String(key), value: String(value) }),
    })
    return reader
  }

  #take(record: Shown): void {
    const place = `${record.partition}/${record.offset}`
    const before = this.#seen.get(place)
    // What is somewhere else, or something else, is shown as it comes.
    if (before === record.value) return
    this.#seen.set(place, record.value)
    this.records.push(record)
  }
  values(partition?: number): string[] {
    return this.records.filter((record) => partition === undefined || record.partition === partition).map(({ value }) => value)
  }
  async close(): Promise<void> {
    await this.#consumer?.close()
  }
}
