/** Sends records in batches: one request in flight to each leader, order kept within a partition, memory bounded. */
import type { Host } from '../host/host.ts'
import type { KafkaClient, TopicMetadata } from '../kafka/client/client.ts'
import { ConnectionError, UnsupportedVersionError } from '../kafka/client/connection.ts'
import { partitionOfKey } from '../kafka/client/partitioner.ts'
import { errorByCode, RefusedError } from '../kafka/protocol/errors.ts'
import { Produce } from '../kafka/protocol/produce.ts'
import type { CodecName } from '../kafka/records/compression.ts'
import { encodeBatch } from '../kafka/records/encode.ts'
import type { NewRecord } from '../kafka/records/record.ts'

export interface RecordProducerOptions {
  host: Host
  client: KafkaClient
  topic: string
  acks: -1 | 0 | 1
  compression: CodecName
  /** A batch leaves when it is this large, or this old, or when `flush` asks for it. */
  batchSize: number
  lingerMs: number
  /** `send` waits while more than this is queued. */
  bufferMemory: number
  /** How long the broker may wait for other replicas. */
  requestTimeoutMs: number
  /** How long to wait for the topic's metadata. */
  maxBlockMs: number
  maxRequestSize: number
  retries: number
  retryBackoffMs: number
  /** Told of each record that could not be delivered. */
  onError: (record: NewRecord, error: Error) => void
}
interface Batch {
  partition: number
  records: NewRecord[]
  size: number
  /** Monotonic ms of its first record. */
  since: number
  attempts: number
}
/** What a record costs in a batch, keys, values and headers aside. */
const recordOverhead = 24
const versionWithBatches = 3
const versionWithZstd = 7

export class RecordProducer {
  readonly #options: RecordProducerOptions
  readonly #queues = new Map<number, Batch[]>()
  readonly #busyPartitions = new Set<number>()
  readonly #busyLeaders = new Set<number>()
  #topic: TopicMetadata | undefined
  #sticky = -1
  #queued = 0
  #flushing = false
  #pumping = false
  #pumpAgain = false
  #lingering: { cancel(): void } | undefined
  #waiting: (() => void)[] = []

  constructor(options: RecordProducerOptions) {
    this.#options = options
  }

  /** Queues a record; resolves when there is room for the next one. Rejects when the topic does not come to be known. */
  async send(record: NewRecord): Promise<void> {
    const { host, maxRequestSize, bufferMemory, batchSize, onError } = this.#options
    const size = sizeOf(record)
    if (size > maxRequestSize) {
      onError(record, new Error(`The message is ${size} bytes when serialized which is larger than ${maxRequestSize}, which is the value of the max.request.size configuration.`))
      return
    }
    this.#topic ??= await this.#metadata()
    const partition = this.#partitionFor(record)
    const queue = this.#queues.get(partition) ?? []
    this.#queues.set(partition, queue)
    let batch = queue[queue.length - 1]
    const sealed = batch !== undefined && (batch.attempts > 0 || (queue.length === 1 && this.#busyPartitions.has(partition)))
    if (batch === undefined || sealed || batch.size + size > batchSize) {
      batch = { partition, records: [], size: 0, since: host.clock.monotonic(), attempts: 0 }
      queue.push(batch)
    }
    batch.records.push({ timestamp: host.clock.now(), ...record })
    batch.size += size
    this.#queued += size
    if (batch.size >= batchSize) this.#sticky = -1
    this.#pump()
    while (this.#queued > bufferMemory) await this.#progress()
  }
  /** Resolves when nothing is queued any more: delivered, or told to `onError`. */
  async flush(): Promise<void> {
    this.#flushing = true
    this.#pump()
    while (this.#queued > 0) await this.#progress()
    this.#flushing = false
  }

  #metadata(): Promise<TopicMetadata> {
    const { client, topic, maxBlockMs } = this.#options
    return client.topic(topic, { allowAutoTopicCreation: true, callTimeoutMs: maxBlockMs })
  }
  /** By key; without one, the same for a whole batch, so that batches become large (KIP-480). */
  #partitionFor({ key }: NewRecord): number {
    const { partitions } = this.#topic!
    if (key !== null) return partitionOfKey(typeof key === 'string' ? Buffer.from(key) : key, partitions.length)
    if (this.#sticky < 0) {
      const available = partitions.filter(({ leaderId }) => leaderId >= 0)
      const among = available.length > 0 ? available : partitions
      this.#sticky = among[this.#options.host.random.below(among.length)].partitionIndex
    }
    return this.#sticky
  }
  #progress(): Promise<void> {
    return new Promise((done) => this.#waiting.push(done))
  }

  #ready(batch: Batch, queue: readonly Batch[]): boolean {
    const { host, batchSize, lingerMs } = this.#options
    return this.#flushing || queue.length > 1 || batch.attempts > 0 || batch.size >= batchSize || host.clock.monotonic() - batch.since >= lingerMs
  }
  /** Sends what is ready to every leader that is idle; called again whenever something changes. */
  #pump(): void {
    if (this.#pumping) {
      this.#pumpAgain = true
      return
    }
    this.#pumping = true
    this.#pumpAgain = false
    this.#sendReady()
      .catch((error: Error) => {
        // Metadata could not be had: what is queued is told and dropped, as nobody knows where it belongs.
        for (const queue of this.#queues.values()) for (const batch of queue.slice()) if (!this.#busyPartitions.has(batch.partition)) this.#drop(batch, error)
      })
      .then(() => {
        this.#pumping = false
        if (this.#pumpAgain) this.#pump()
      })
  }
  async #sendReady(): Promise<void> {
    const { client, topic, host, lingerMs } = this.#options
    const byLeader = new Map<number, Batch[]>()
    let youngest = Infinity
    for (const [partition, queue] of this.#queues) {
      const batch = queue[0]
      if (!batch || this.#busyPartitions.has(partition)) continue
      if (!this.#ready(batch, queue)) {
        youngest = Math.min(youngest, batch.since + lingerMs - host.clock.monotonic())
        continue
      }
      const leader = await client.retrying(`the leader of ${topic}-${partition}`, () => client.leaderOf(topic, partition), this.#options.maxBlockMs)
      if (this.#busyLeaders.has(leader)) continue
      byLeader.set(leader, [...(byLeader.get(leader) ?? []), batch])
    }
    for (const [leader, batches] of byLeader) {
      this.#busyLeaders.add(leader)
      for (const { partition } of batches) this.#busyPartitions.add(partition)
      if (batches.some(({ partition }) => partition === this.#sticky)) this.#sticky = -1
      void this.#sendTo(leader, batches).finally(() => {
        this.#busyLeaders.delete(leader)
        for (const { partition } of batches) this.#busyPartitions.delete(partition)
        this.#pump()
      })
    }
    if (youngest < Infinity && !this.#lingering)
      this.#lingering = host.timers.set(Math.max(1, youngest), () => {
        this.#lingering = undefined
        this.#pump()
      })
  }
  async #sendTo(leader: number, batches: readonly Batch[]): Promise<void> {
    try {
      const { client, topic, acks, requestTimeoutMs, compression } = this.#options
      const connection = await client.connectionTo({ kind: 'broker', id: leader })
      const version = connection.versionOf(Produce)
      if (version < versionWithBatches) throw new UnsupportedVersionError(`the broker at ${connection.address} takes Produce up to version ${version} only; needed is ${versionWithBatches} (Kafka 0.11)`)
      if (compression === 'zstd' && version < versionWithZstd) throw new UnsupportedVersionError(`the broker at ${connection.address} does not know zstd (Produce version ${version}; needed is ${versionWithZstd})`)
      const partitionData = batches.map(({ partition, records }) => ({ index: partition, records: encodeBatch(records, { compression }) }))
      const request = { acks, timeoutMs: requestTimeoutMs, topicData: [{ name: topic, partitionData }] }
      if (acks === 0) {
        connection.sendOnly(Produce, request, version)
        for (const batch of batches) this.#done(batch)
        return
      }
      const answer = await connection.send(Produce, request, { version, timeoutMs: requestTimeoutMs + 30_000 })
      const parts = answer.responses[0]?.partitionResponses ?? []
      for (const batch of batches) {
        const part = parts.find(({ index }) => index === batch.partition)
        if (part?.errorCode === 0) this.#done(batch)
        else await this.#failed(batch, new RefusedError(part?.errorCode ?? -1, part?.errorMessage ?? errorByCode(part?.errorCode ?? -1).message))
      }
    } catch (error) {
      for (const batch of batches) if (this.#queues.get(batch.partition)?.includes(batch)) await this.#failed(batch, error as Error)
    }
  }
  async #failed(batch: Batch, error: Error): Promise<void> {
    const { host, client, topic, retries, retryBackoffMs } = this.#options
    const again = error instanceof ConnectionError || (error instanceof RefusedError && error.error.retriable)
    if (!again || batch.attempts >= retries) return this.#drop(batch, error)
    batch.attempts++
    client.forget({ kind: 'leader', topic, partition: batch.partition })
    await host.timers.sleep(retryBackoffMs)
  }
  #drop(batch: Batch, error: Error): void {
    for (const record of batch.records) this.#options.onError(record, error)
    this.#done(batch)
  }
  #done(batch: Batch): void {
    const queue = this.#queues.get(batch.partition)!
    queue.splice(queue.indexOf(batch), 1)
    this.#queued -= batch.size
    for (const wake of this.#waiting.splice(0)) wake()
  }
}

function sizeOf({ key, value, headers = [] }: NewRecord): number {
  const length = (part: Uint8Array | string | null): number => (part === null ? 0 : typeof part === 'string' ? Buffer.byteLength(part) : part.length)
  return headers.reduce((sum, header) => sum + length(header.key) + length(header.value) + 4, recordOverhead + length(key) + length(value))
}
