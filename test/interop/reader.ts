/** A topic as a consumer of kafkajs is shown it. */
import type { Consumer, Kafka } from 'kafkajs'
import { until } from './process.ts'
import { unique } from './programs.ts'

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
  readonly #consumer: Consumer

  private constructor(consumer: Consumer) {
    this.#consumer = consumer
  }

  static async open(kafka: Kafka, topic: string, { groupId = unique('reader'), readUncommitted = false }: { groupId?: string; readUncommitted?: boolean } = {}): Promise<Reader> {
    const reader = new Reader(kafka.consumer({ groupId, readUncommitted, maxWaitTimeInMs: 100, retry: { retries: 5, initialRetryTime: 50, maxRetryTime: 500 } }))
    await reader.#consumer.connect()
    try {
      // A broker hears of a new topic when its controller tells it: kafkajs, which may ask another one, does not try again by itself.
      await until(`${topic} is subscribed to`, () => reader.#consumer.subscribe({ topic, fromBeginning: true }).then(() => true, () => false))
      await reader.#consumer.run({
        eachMessage: async ({ partition, message: { offset, key, value } }) => reader.#take({ partition, offset: Number(offset), key: String(key), value: String(value) }),
      })
    } catch (error) {
      await reader.close()
      throw error
    }
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
  close(): Promise<void> {
    return this.#consumer.disconnect()
  }
}
