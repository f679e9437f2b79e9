/** Record sets of a set of partitions, as bytes, from whoever leads them; one Fetch in flight to each leader. */
import type { Host } from '../../host/host.ts'
import { uuidZero } from '../../wire/schema.ts'
import { errorByCode, errors, RefusedError } from '../protocol/errors.ts'
import { Fetch } from '../protocol/fetch.ts'
import type { KafkaClient } from './client.ts'
import { ConnectionError } from './connection.ts'
import { byLeader, byTopic, earliest, latest, listOffsets, partitionName, type TopicPartition } from './offsets.ts'

export interface FetcherOptions {
  host: Host
  client: KafkaClient
  readCommitted?: boolean
  /** Where to go on when the offset is not in the log: an end of it, or nowhere (the fetch rejects). */
  offsetReset?: 'earliest' | 'latest' | 'none'
  maxWaitMs?: number
  minBytes?: number
  maxBytes?: number
  partitionMaxBytes?: number
  /** Told of errors that the fetcher goes on after, for a log line. */
  onTrouble?: (error: Error) => void
}
export interface Fetched extends TopicPartition {
  /** Begins with the batch that holds the fetch offset, may end within a batch. */
  records: Buffer
  /** The offset that was asked for: records before it are to be skipped. */
  fetchOffset: number
  highWatermark: number
  abortedTransactions: readonly { producerId: number; firstOffset: number }[]
}

const backoffMs = 200

export class Fetcher {
  readonly #options: FetcherOptions
  /** By partition name. */
  readonly #positions = new Map<string, TopicPartition & { offset: number }>()
  /** Leaders that have not answered, what has landed since the last poll, and the partitions in either. */
  readonly #flying = new Set<number>()
  readonly #landed: { names: readonly string[]; outcome: Fetched[] | Error }[] = []
  readonly #flyingNames = new Set<string>()
  #wake: () => void = () => {}
  #closed = false

  constructor(options: FetcherOptions) {
    this.#options = options
  }

  /** The partitions to fetch and where to begin; replaces all earlier ones. */
  assign(positions: readonly (TopicPartition & { offset: number })[]): void {
    this.#positions.clear()
    for (const position of positions) this.#positions.set(partitionName(position), { ...position })
  }
  /** Goes on at this offset. Ignored for a partition that is not assigned. */
  seek(at: TopicPartition, offset: number): void {
    const position = this.#positions.get(partitionName(at))
    if (position) position.offset = offset
  }
  /** What is still in flight is nobody's trouble any more. */
  close(): void {
    this.#closed = true
    this.#positions.clear()
  }
  get positions(): readonly (TopicPartition & { offset: number })[] {
    return [...this.#positions.values()]
  }

  /**
   * The next record sets, or none when `waitMs` has passed without any. The caller seeks behind what it has taken before it
   * polls again. Rejects with a RefusedError for what no retry cures (authorization, an offset out of range with `none`).
   */
  async poll(waitMs: number): Promise<Fetched[]> {
    const { host } = this.#options
    const deadline = host.clock.monotonic() + waitMs
    for (;;) {
      const fetched = this.#take()
      if (fetched.length > 0) return fetched
      try {
        await this.#send()
      } catch (error) {
        await this.#trouble(error)
      }
      const leftMs = deadline - host.clock.monotonic()
      if (leftMs <= 0) return []
      if (this.#landed.length === 0) await this.#landing(leftMs)
    }
  }

  /** What has arrived and is still wanted; it may have been sought or assigned away in the meantime. */
  #take(): Fetched[] {
    const taken: Fetched[] = []
    for (const { names, outcome } of this.#landed.splice(0)) {
      for (const name of names) this.#flyingNames.delete(name)
      if (outcome instanceof Error) throw outcome
      for (const one of outcome) if (this.#positions.get(partitionName(one))?.offset === one.fetchOffset) taken.push(one)
    }
    return taken
  }
  /** Resolves when a Fetch has landed, or after `ms`. */
  #landing(ms: number): Promise<void> {
    return new Promise((done) => {
      const timer = this.#options.host.timers.set(ms, () => this.#wake())
      this.#wake = () => {
        timer.cancel()
        this.#wake = () => {}
        done()
      }
    })
  }

  async #send(): Promise<void> {
    const { client } = this.#options
    const idle = [...this.#positions.values()].filter((one) => !this.#flyingNames.has(partitionName(one)))
    if (idle.length === 0) return
    for (const [leader, partitions] of await byLeader(client, idle)) {
      if (this.#flying.has(leader)) continue
      const names = partitions.map(partitionName)
      for (const name of names) this.#flyingNames.add(name)
      this.#flying.add(leader)
      const landed = (outcome: Fetched[] | Error): void => {
        this.#flying.delete(leader)
        this.#landed.push({ names, outcome })
        this.#wake()
      }
      this.#fetch(leader, partitions.map((one) => ({ ...one }))).then(landed, (error: Error) => {
        for (const one of partitions) client.forget({ kind: 'leader', ...one })
        this.#trouble(error).then(() => landed([]), landed)
      })
    }
  }
  async #trouble(error: unknown): Promise<void> {
    const passes = error instanceof ConnectionError || (error instanceof RefusedError && error.error.retriable)
    if (!passes) throw error
    if (this.#closed) return
    this.#options.onTrouble?.(error)
    await this.#options.host.timers.sleep(backoffMs)
  }

  async #fetch(leader: number, positions: (TopicPartition & { offset: number })[]): Promise<Fetched[]> {
    const { client, readCommitted = false, maxWaitMs = 500, minBytes = 1, maxBytes = 52_428_800, partitionMaxBytes = 1_048_576 } = this.#options
    const connection = await client.connectionTo({ kind: 'broker', id: leader })
    const topics = []
    let allHaveIds = true
    for (const [topic, list] of byTopic(positions)) {
      const { topicId } = await client.topic(topic)
      if (topicId === uuidZero) allHaveIds = false
      topics.push({ topic, topicId, partitions: list.map(({ partition, offset }) => ({ partition, fetchOffset: offset, partitionMaxBytes })) })
    }
    const version = connection.versionOf(Fetch, allHaveIds ? undefined : 12)
    const answer = await connection.send(Fetch, { maxWaitMs, minBytes, maxBytes, isolationLevel: readCommitted ? 1 : 0, topics }, { version, timeoutMs: maxWaitMs + 30_000 })
    if (answer.errorCode !== 0) throw new RefusedError(answer.errorCode)
    const fetched: Fetched[] = []
    for (const topicAnswer of answer.responses) {
      const topic = version >= 13 ? topics.find(({ topicId }) => topicId === topicAnswer.topicId)?.topic : topicAnswer.topic
      if (topic === undefined) continue
      for (const part of topicAnswer.partitions) {
        const at = { topic, partition: part.partitionIndex }
        const position = positions.find((one) => one.topic === topic && one.partition === at.partition)
        if (!position) continue
        if (part.errorCode === errors.offsetOutOfRange.code) await this.#reset(at, position.offset)
        else if (part.errorCode !== 0) {
          client.forget({ kind: 'leader', ...at })
          throw new RefusedError(part.errorCode, `${partitionName(at)}: ${errorByCode(part.errorCode).message} (${errorByCode(part.errorCode).name})`)
        } else if (part.records && part.records.length > 0)
          fetched.push({ ...at, records: part.records, fetchOffset: position.offset, highWatermark: part.highWatermark, abortedTransactions: part.abortedTransactions ?? [] })
      }
    }
    return fetched
  }
  async #reset(at: TopicPartition, from: number): Promise<void> {
    const { client, offsetReset = 'latest' } = this.#options
    if (offsetReset === 'none') throw new RefusedError(errors.offsetOutOfRange, `offset ${from} of ${partitionName(at)} is not in the log, and auto.offset.reset is none`)
    const found = await listOffsets(client, [{ ...at, timestamp: offsetReset === 'earliest' ? earliest : latest }])
    this.seek(at, found.get(partitionName(at)) ?? from)
  }
}
