/** Producers, consumers and committers that hand what they see to the checkers. */
import { KafkaClient } from '../kafka/client/client.ts'
import { ConnectionError, type KafkaConnection } from '../kafka/client/connection.ts'
import { errors, RefusedError } from '../kafka/protocol/errors.ts'
import { Fetch } from '../kafka/protocol/fetch.ts'
import { InitProducerId } from '../kafka/protocol/init-producer-id.ts'
import { ListOffsets } from '../kafka/protocol/list-offsets.ts'
import { OffsetCommit } from '../kafka/protocol/offset-commit.ts'
import { OffsetFetch } from '../kafka/protocol/offset-fetch.ts'
import { Produce } from '../kafka/protocol/produce.ts'
import { decodeBatches } from '../kafka/records/decode.ts'
import { encodeBatch } from '../kafka/records/encode.ts'
import type { LogLaws } from './checkers/logs.ts'
import { Violation } from './checkers/violation.ts'
import type { Machine } from './machine.ts'
import { seededRandom, type SeededRandom } from './random.ts'
import type { Host } from '../host/host.ts'
import type { World } from './world.ts'

export const topic = 'records'
export interface ActorFacts {
  readonly world: World
  readonly machine: Machine
  readonly bootstrapServers: string
  readonly partitionCount: number
  readonly violated: (violation: unknown) => void
}
export interface KafkaClientFacts extends ActorFacts {
  readonly laws: LogLaws
  /** Told of every append that was acknowledged, and its last offset. */
  readonly acknowledged?: (partition: string, offset: number) => void
}

/** Nobody knows what became of the request, or asking again may help. */
const passes = (error: unknown): boolean => error instanceof ConnectionError || (error instanceof RefusedError && error.error.retriable)

/** Does one step after the other until it is stopped; what passes is counted, anything else is told. */
export abstract class Actor<Facts extends ActorFacts = KafkaClientFacts> {
  readonly client: KafkaClient
  readonly facts: Facts
  readonly random: SeededRandom
  readonly host: Host
  operations = 0
  unknown = 0
  stopped = false

  constructor(facts: Facts) {
    this.facts = facts
    this.random = seededRandom(facts.world.random.below(0x7fff_ffff))
    this.host = facts.machine.boot()
    this.client = new KafkaClient({ host: this.host, bootstrapServers: facts.bootstrapServers, clientId: facts.machine.name, requestTimeoutMs: 3_000, connectTimeoutMs: 2_000, callTimeoutMs: 5_000 })
  }
  stop(): void {
    this.stopped = true
  }
  async run(): Promise<void> {
    try {
      while (!this.stopped) {
        await this.facts.world.sleep(this.random.next() * 80)
        try {
          await this.step()
          this.operations++
        } catch (error) {
          if (!passes(error)) throw error
          this.unknown++
        }
      }
    } catch (error) {
      this.facts.violated(error)
    }
  }
  protected abstract step(): Promise<void>
}

/** Writes into the topic of `records`. */
abstract class RecordProducer extends Actor {
  /** A connection to the leader; what was believed of it is forgotten when it cannot be reached. */
  protected async leader(partition: number): Promise<KafkaConnection> {
    const target = { kind: 'leader', topic, partition } as const
    try {
      return await this.client.connectionTo(target)
    } catch (error) {
      this.client.forget(target)
      throw error
    }
  }
  /** Once, on this connection: what is sent on one connection takes effect in its order. */
  protected async produce(connection: KafkaConnection, partition: number, values: readonly string[], identity: { producerId?: number; producerEpoch?: number; baseSequence?: number }): Promise<number> {
    const { laws } = this.facts
    laws.sends(partition, values)
    const records = encodeBatch(values.map((value) => ({ key: null, value })), { timestamp: this.host.clock.now(), ...identity })
    const answer = await connection.send(Produce, { acks: -1, timeoutMs: 2_000, topicData: [{ name: topic, partitionData: [{ index: partition, records }] }] })
    const { baseOffset, errorCode, errorMessage } = answer.responses[0].partitionResponses[0]
    if (errorCode !== 0) {
      this.client.forget({ kind: 'leader', topic, partition })
      throw new RefusedError(errorCode, errorMessage)
    }
    laws.acknowledged(partition, values, baseOffset)
    this.facts.acknowledged?.(`${topic}-${partition}`, baseOffset + values.length - 1)
    return baseOffset
  }
}

/** Repeats a batch until it knows that it is there; the broker must take it once. */
export class IdempotentProducer extends RecordProducer {
  #identity: { producerId: number; producerEpoch: number } | undefined
  readonly #sequences = new Map<number, number>()
  #number = 0
  #batch: { partition: number; values: readonly string[] } | undefined

  protected async step(): Promise<void> {
    if (!this.#identity) {
      const { producerId, producerEpoch } = await this.client.call({ kind: 'any' }, InitProducerId, { transactionalId: null, transactionTimeoutMs: 60_000 })
      this.#identity = { producerId, producerEpoch }
    }
    const { random } = this
    this.#batch ??= {
      partition: random.below(this.facts.partitionCount),
      values: Array.from({ length: 1 + random.below(4) }, () => `${this.facts.machine.name}.${this.#number++}`),
    }
    const { partition, values } = this.#batch
    const baseSequence = this.#sequences.get(partition) ?? 0
    try {
      await this.produce(await this.leader(partition), partition, values, { ...this.#identity, baseSequence })
    } catch (error) {
      if (error instanceof RefusedError && !error.error.retriable) throw new Violation('an idempotent producer that repeats is answered', `${this.facts.machine.name}, sequence ${baseSequence} of partition ${partition}: ${error.message} (${error.error.name})`)
      throw error
    }
    this.#sequences.set(partition, baseSequence + values.length)
    this.#batch = undefined
  }
}

/** Sends several batches one behind the other, and repeats nothing. */
export class PlainProducer extends RecordProducer {
  #number = 0
  protected async step(): Promise<void> {
    const partition = this.random.below(this.facts.partitionCount)
    const batches = Array.from({ length: 1 + this.random.below(3) }, () => Array.from({ length: 1 + this.random.below(3) }, () => `${this.facts.machine.name}.${this.#number++}`))
    const leader = await this.leader(partition)
    const outcomes = await Promise.allSettled(batches.map((values) => this.produce(leader, partition, values, {})))
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason
  }
}

/** Reads a partition from where it has come to, again and again from the beginning. */
export class Consumer extends Actor {
  readonly #positions = new Map<number, number>()

  protected async step(): Promise<void> {
    const partition = this.random.below(this.facts.partitionCount)
    if (this.random.chance(0.02)) this.#positions.set(partition, 0)
    if (this.random.chance(0.1)) return this.#askEnd(partition)
    const from = this.#positions.get(partition) ?? 0
    const { records } = await this.fetch(partition, from).catch((error: unknown) => {
      if (error instanceof RefusedError && error.error === errors.offsetOutOfRange) throw new Violation('what was shown is there', `partition ${partition} was read up to offset ${from}, which is out of range now`)
      throw error
    })
    if (records.length > 0) this.#positions.set(partition, records[records.length - 1].offset + 1)
  }
  async #askEnd(partition: number): Promise<void> {
    const { laws } = this.facts
    const floors = laws.endsKnown(partition)
    const answer = await this.client.call({ kind: 'leader', topic, partition }, ListOffsets, { replicaId: -1, isolationLevel: 0, topics: [{ name: topic, partitions: [{ partitionIndex: partition, timestamp: -1n }] }] }, {
      errorsIn: ({ topics }) => topics.flatMap(({ partitions }) => partitions), callTimeoutMs: 0,
    })
    laws.endTold(partition, floors, answer.topics[0].partitions[0])
  }
  async fetch(partition: number, from: number): Promise<{ records: { offset: number; value: string }[]; highWatermark: number }> {
    const { laws } = this.facts
    const floor = laws.begins(partition)
    const answer = await this.client.call({ kind: 'leader', topic, partition }, Fetch, {
      maxWaitMs: this.random.below(400), minBytes: 1, maxBytes: 20_000, isolationLevel: 0, topics: [{ topic, partitions: [{ partition, fetchOffset: from, partitionMaxBytes: 20_000 }] }],
    }, { versionMax: 12, errorsIn: ({ responses, errorCode }) => [{ errorCode }, ...responses.flatMap(({ partitions }) => partitions)], callTimeoutMs: 0 })
    const [part] = answer.responses[0]?.partitions ?? []
    if (!part) return { records: [], highWatermark: -1 }
    laws.watermark(partition, floor, part.highWatermark)
    const records = [...decodeBatches(part.records ?? Buffer.alloc(0))].flatMap((batch) => batch.records).map(({ offset, value }) => ({ offset, value: String(value) })).filter(({ offset }) => offset >= from)
    laws.fetched(partition, from, records, part.highWatermark)
    return { records, highWatermark: part.highWatermark }
  }
  /** Everything from the first offset to the high watermark. */
  async whole(partition: number): Promise<{ offset: number; value: string }[]> {
    const all: { offset: number; value: string }[] = []
    for (let inVain = 0; inVain < 20; ) {
      const { records, highWatermark } = await this.fetch(partition, all.length)
      all.push(...records)
      if (all.length >= highWatermark && highWatermark >= 0) return all
      inVain = records.length > 0 ? 0 : inVain + 1
    }
    throw new Violation('what is below the high watermark can be read', `partition ${partition} shows nothing at offset ${all.length}, which is below its high watermark`)
  }
}

/** Commits ever higher offsets in a group of its own, and looks where the group is. */
export class Committer extends Actor {
  #next = 0
  protected async step(): Promise<void> {
    const group = `group-${this.facts.machine.name}`
    const { laws } = this.facts
    const target = { kind: 'coordinator', of: 'group', key: group } as const
    if (this.random.chance(0.6)) {
      const offset = this.#next++
      laws.commits(group, offset)
      await this.client.call(target, OffsetCommit, { groupId: group, memberId: '', topics: [{ name: topic, partitions: [{ partitionIndex: 0, committedOffset: offset, committedMetadata: '' }] }] }, {
        versionMax: 7, errorsIn: ({ topics }) => topics.flatMap(({ partitions }) => partitions), callTimeoutMs: 0,
      })
      laws.committed(group, offset)
      return
    }
    const answer = await this.client.call(target, OffsetFetch, { groupId: group, topics: [{ name: topic, partitionIndexes: [0] }] }, {
      versionMax: 5, errorsIn: ({ topics, errorCode }) => [{ errorCode }, ...topics.flatMap(({ partitions }) => partitions)], callTimeoutMs: 0,
    })
    laws.committedOffset(group, answer.topics[0].partitions[0].committedOffset)
  }
}
