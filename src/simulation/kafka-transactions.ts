/** A producer of transactions with its zombies, and a consumer that reads committed records, telling the laws of transactions what they see. */
import type { KafkaConnection } from '../kafka/client/connection.ts'
import { AddOffsetsToTxn } from '../kafka/protocol/add-offsets-to-txn.ts'
import { AddPartitionsToTxn } from '../kafka/protocol/add-partitions-to-txn.ts'
import { EndTxn } from '../kafka/protocol/end-txn.ts'
import { RefusedError } from '../kafka/protocol/errors.ts'
import { Fetch } from '../kafka/protocol/fetch.ts'
import { InitProducerId } from '../kafka/protocol/init-producer-id.ts'
import { OffsetFetch } from '../kafka/protocol/offset-fetch.ts'
import { Produce } from '../kafka/protocol/produce.ts'
import { TxnOffsetCommit } from '../kafka/protocol/txn-offset-commit.ts'
import { encodeBatch } from '../kafka/records/encode.ts'
import type { TransactionLaws } from './checkers/transactions.ts'
import { Violation } from './checkers/violation.ts'
import { readableRecords } from './committed-records.ts'
import { Actor, type KafkaClientFacts } from './kafka-clients.ts'

export const ledger = 'ledger'
export const ledgerPartitions = 2
/** Longer than most faults last, shorter than a run is calm at its end. */
const timeoutMs = 8_000
/** Records. */
const batchMax = 3
interface Identity {
  readonly producerId: number
  readonly producerEpoch: number
}

export class TransactionalProducer extends Actor {
  readonly #laws: TransactionLaws
  readonly #name: string
  #identity: Identity | undefined
  /** What each instance has written, by partition. */
  readonly #sequences = new WeakMap<Identity, Map<number, number>>()
  #number = 0

  constructor(facts: KafkaClientFacts, laws: TransactionLaws) {
    super(facts)
    this.#laws = laws
    this.#name = facts.machine.name
  }
  get group(): string {
    return `group-${this.#name}`
  }
  get #coordinator() {
    return { kind: 'coordinator', of: 'transaction', key: this.#name } as const
  }

  protected async step(): Promise<void> {
    if (!this.#identity) await this.#begin()
    const number = this.#number++
    this.#laws.begins(this.#name, number)
    try {
      await this.#transaction(number, this.#identity!)
    } catch (error) {
      const zombie = this.#identity!
      this.#identity = undefined
      // Whatever it was, the next instance settles it.
      if (!(error instanceof RefusedError)) throw error
      this.unknown++
      if (this.random.chance(0.5)) {
        await this.#begin()
        await this.#haunt(zombie)
      }
    }
  }
  /** A new instance: whoever was there before is fenced, and its transaction aborted. */
  async #begin(): Promise<void> {
    const { producerId, producerEpoch } = await this.client.call(this.#coordinator, InitProducerId, { transactionalId: this.#name, transactionTimeoutMs: timeoutMs }, { callTimeoutMs: 4_000 })
    this.#laws.replaced(this.#name)
    this.#identity = { producerId, producerEpoch }
    this.#sequences.set(this.#identity, new Map())
  }
  async #transaction(number: number, identity: Identity): Promise<void> {
    const { random } = this
    await this.#addPartitions(identity)
    for (let partition = 0; partition < ledgerPartitions; partition++) {
      const values = Array.from({ length: 1 + random.below(batchMax) }, (_, index) => `${this.#name}.${number}.${partition}-${index}`)
      this.#laws.wrote(this.#name, number, values)
      const errorCode = await this.#write(identity, partition, values)
      if (errorCode !== 0) throw new RefusedError(errorCode)
    }
    if (random.chance(0.5)) await this.#commitOffset(number, identity)
    if (random.chance(0.1)) {
      // It is replaced in the middle, and does not know.
      await this.#begin()
      return this.#haunt(identity)
    }
    const committed = random.chance(0.7)
    this.#laws.asks(this.#name, number, committed ? 'asked' : 'aborted')
    await this.client.call(this.#coordinator, EndTxn, { transactionalId: this.#name, ...identity, committed }, { callTimeoutMs: 0 })
    if (committed) this.#laws.isCommitted(this.#name, number)
  }
  /** The new instance has a transaction open, and the old one comes back to decide on it and to write into it. */
  async #haunt(zombie: Identity): Promise<void> {
    const identity = this.#identity!
    const number = this.#number++
    this.#laws.begins(this.#name, number)
    await this.#addPartitions(identity)
    const coordinator = await this.client.connectionTo(this.#coordinator)
    const { errorCode } = await coordinator.send(EndTxn, { transactionalId: this.#name, ...zombie, committed: true })
    this.#laws.zombie(this.#name, 'commit', errorCode)
    // More records than any batch before: one like a batch that is there would rightly be told that it succeeded.
    const values = Array.from({ length: batchMax + 1 }, (_, index) => `${this.#name}.${number}.zombie-${index}`)
    this.#laws.zombie(this.#name, 'write', await this.#write(zombie, 0, values))
    this.#laws.asks(this.#name, number, 'aborted')
    await this.client.call(this.#coordinator, EndTxn, { transactionalId: this.#name, ...identity, committed: false }, { callTimeoutMs: 0 })
  }
  async #addPartitions({ producerId, producerEpoch }: Identity): Promise<void> {
    await this.client.call(this.#coordinator, AddPartitionsToTxn, {
      transactions: [], v3AndBelowTransactionalId: this.#name, v3AndBelowProducerId: producerId, v3AndBelowProducerEpoch: producerEpoch,
      v3AndBelowTopics: [{ name: ledger, partitions: Array.from({ length: ledgerPartitions }, (_, partition) => partition) }],
    }, { versionMax: 3, callTimeoutMs: 2_000, errorsIn: ({ resultsByTopicV3AndBelow }) => resultsByTopicV3AndBelow.flatMap(({ resultsByPartition }) => resultsByPartition.map(({ partitionErrorCode }) => ({ errorCode: partitionErrorCode }))) })
  }
  /** Once: the error code. */
  async #write(identity: Identity, partition: number, values: readonly string[]): Promise<number> {
    const target = { kind: 'leader', topic: ledger, partition } as const
    let connection: KafkaConnection
    try {
      connection = await this.client.connectionTo(target)
    } catch (error) {
      this.client.forget(target)
      throw error
    }
    const sequences = this.#sequences.get(identity)!
    const baseSequence = sequences.get(partition) ?? 0
    const records = encodeBatch(values.map((value) => ({ key: null, value })), { timestamp: this.host.clock.now(), ...identity, baseSequence, isTransactional: true })
    const answer = await connection.send(Produce, { transactionalId: this.#name, acks: -1, timeoutMs: 2_000, topicData: [{ name: ledger, partitionData: [{ index: partition, records }] }] })
    const { errorCode } = answer.responses[0].partitionResponses[0]
    if (errorCode === 0) sequences.set(partition, baseSequence + values.length)
    else this.client.forget(target)
    return errorCode
  }
  async #commitOffset(number: number, identity: Identity): Promise<void> {
    await this.client.call(this.#coordinator, AddOffsetsToTxn, { transactionalId: this.#name, ...identity, groupId: this.group }, { callTimeoutMs: 0 })
    await this.client.call({ kind: 'coordinator', of: 'group', key: this.group }, TxnOffsetCommit, {
      transactionalId: this.#name, groupId: this.group, ...identity, memberId: '', topics: [{ name: ledger, partitions: [{ partitionIndex: 0, committedOffset: number, committedMetadata: '' }] }],
    }, { callTimeoutMs: 0, errorsIn: ({ topics }) => topics.flatMap(({ partitions }) => partitions) })
    this.#laws.committedOffset(this.#name, number)
  }
  /** Where its group is once nothing of it is undecided. */
  async committedOffset(): Promise<number> {
    const answer = await this.client.call({ kind: 'coordinator', of: 'group', key: this.group }, OffsetFetch, { groupId: this.group, requireStable: true, topics: [{ name: ledger, partitionIndexes: [0] }] }, {
      versionMax: 7, errorsIn: ({ topics, errorCode }) => [{ errorCode }, ...topics.flatMap(({ partitions }) => partitions)], callTimeoutMs: 30_000,
    })
    return answer.topics[0].partitions[0].committedOffset
  }
}

/** Reads what is committed, as a client does: it leaves out what the answer's list of aborted transactions names. */
export class CommittedReader extends Actor {
  readonly #laws: TransactionLaws
  readonly #positions = new Map<number, number>()
  constructor(facts: KafkaClientFacts, laws: TransactionLaws) {
    super(facts)
    this.#laws = laws
  }
  protected async step(): Promise<void> {
    const partition = this.random.below(ledgerPartitions)
    if (this.random.chance(0.03)) this.#positions.set(partition, 0)
    const { next } = await this.#read(partition, this.#positions.get(partition) ?? 0)
    this.#positions.set(partition, next)
  }
  async #read(partition: number, from: number): Promise<{ values: string[]; next: number; lastStableOffset: number; highWatermark: number }> {
    const answer = await this.client.call({ kind: 'leader', topic: ledger, partition }, Fetch, {
      maxWaitMs: this.random.below(300), minBytes: 1, maxBytes: 20_000, isolationLevel: 1, topics: [{ topic: ledger, partitions: [{ partition, fetchOffset: from, partitionMaxBytes: 20_000 }] }],
    }, { versionMax: 12, errorsIn: ({ responses, errorCode }) => [{ errorCode }, ...responses.flatMap(({ partitions }) => partitions)], callTimeoutMs: 0 })
    const [part] = answer.responses[0]?.partitions ?? []
    if (!part) return { values: [], next: from, lastStableOffset: -1, highWatermark: -1 }
    const values: string[] = []
    const { next, records } = readableRecords(part, from, `partition ${partition}`)
    for (const { offset, value } of records) {
      this.#laws.readCommitted(partition, offset, String(value))
      values.push(String(value))
    }
    return { values, next, lastStableOffset: part.lastStableOffset, highWatermark: part.highWatermark }
  }
  /** Everything that is committed, once nothing fails any more. */
  async whole(partition: number): Promise<string[]> {
    const all: string[] = []
    let from = 0
    for (let inVain = 0; inVain < 20; ) {
      const { values, next, lastStableOffset, highWatermark } = await this.client.retrying('the whole ledger', () => this.#read(partition, from), 30_000)
      all.push(...values)
      if (next >= lastStableOffset && highWatermark >= 0) {
        this.#laws.stable(partition, lastStableOffset, highWatermark)
        return all
      }
      inVain = next > from ? 0 : inVain + 1
      from = next
    }
    throw new Violation('what is below the high watermark can be read', `ledger partition ${partition} shows nothing at offset ${from}`)
  }
}
