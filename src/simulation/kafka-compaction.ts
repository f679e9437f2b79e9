/** Producers of keyed records, with transactions and without, and readers that build a view of a compacted topic, telling the laws of compaction what they see. */
import { AddPartitionsToTxn } from '../kafka/protocol/add-partitions-to-txn.ts'
import { EndTxn } from '../kafka/protocol/end-txn.ts'
import { errors, RefusedError } from '../kafka/protocol/errors.ts'
import { Fetch } from '../kafka/protocol/fetch.ts'
import { InitProducerId } from '../kafka/protocol/init-producer-id.ts'
import { Produce } from '../kafka/protocol/produce.ts'
import { encodeBatch } from '../kafka/records/encode.ts'
import type { Record } from '../kafka/records/record.ts'
import type { CompactionLaws, Entry, Seen } from './checkers/compaction.ts'
import { Violation } from './checkers/violation.ts'
import { readableRecords } from './committed-records.ts'
import { Actor, type ActorFacts } from './kafka-clients.ts'

export const compacted = 'state'
/** So few that each is written again and again. */
const hotKeys = 6
/** So many that a tombstone is often the last of its key for seconds, and sometimes for longer than it has to stay. */
const coldKeys = 80
const coldShare = 0.35
const transactionTimeoutMs = 5_000

export interface CompactionFacts extends ActorFacts {
  readonly laws: CompactionLaws
  /** Nothing has been wrong for so long, ms. */
  readonly calmMs: () => number
  /** Who leads the partition, seen from outside. */
  readonly leader: (partition: number) => string | undefined
  readonly deleteRetentionMs: number
}
interface Identity {
  readonly producerId: number
  readonly producerEpoch: number
}
interface KeyedBatch {
  readonly partition: number
  readonly entries: readonly Entry[]
  readonly isGzipped: boolean
}

/** The record as the laws know it. */
export function seenOf({ offset, key, value, headers }: Record): Seen {
  return { offset, key: String(key), isTombstone: value === null, id: String(headers.find((header) => header.key === 'id')?.value) }
}

abstract class KeyedActor extends Actor<CompactionFacts> {
  #number = 0

  protected newBatch(partition: number): KeyedBatch {
    const { random, facts } = this
    const entries = Array.from({ length: 1 + random.below(4) }, () => ({ id: `${facts.machine.name}.${this.#number++}`, key: random.chance(coldShare) ? `cold-${random.below(coldKeys)}` : `hot-${random.below(hotKeys)}`, isTombstone: random.chance(0.25) }))
    return { partition, entries, isGzipped: random.chance(0.2) }
  }
  /** Once: the error code, and where the first record is. */
  protected async write({ partition, entries, isGzipped }: KeyedBatch, identity: Identity & { baseSequence: number }, transactionalId: string | null = null, transaction?: string): Promise<{ errorCode: number; baseOffset: number }> {
    const { laws } = this.facts
    laws.sends(partition, entries, transaction)
    const records = encodeBatch(entries.map(({ id, key, isTombstone }) => ({ key, value: isTombstone ? null : id.repeat(1 + (id.length % 5)), headers: [{ key: 'id', value: Buffer.from(id) }] })), {
      timestamp: this.host.clock.now(), ...identity, isTransactional: transactionalId !== null, compression: isGzipped ? 'gzip' : 'none',
    })
    const target = { kind: 'leader', topic: compacted, partition } as const
    try {
      const connection = await this.client.connectionTo(target)
      const answer = await connection.send(Produce, { transactionalId, acks: -1, timeoutMs: 2_000, topicData: [{ name: compacted, partitionData: [{ index: partition, records }] }] })
      const [{ errorCode, baseOffset }] = answer.responses[0].partitionResponses
      if (errorCode === 0) laws.acknowledged(entries, baseOffset)
      else this.client.forget(target)
      return { errorCode, baseOffset }
    } catch (error) {
      this.client.forget(target)
      throw error
    }
  }
}

/** Repeats a batch until it knows that it is there, and now and then afterwards: the broker must know it again. */
export class KeyedProducer extends KeyedActor {
  #identity: Identity | undefined
  readonly #sequences = new Map<number, number>()
  readonly #last = new Map<number, KeyedBatch & { baseSequence: number }>()
  #batch: KeyedBatch | undefined

  protected async step(): Promise<void> {
    if (!this.#identity) {
      const { producerId, producerEpoch } = await this.client.call({ kind: 'any' }, InitProducerId, { transactionalId: null, transactionTimeoutMs: 60_000 })
      this.#identity = { producerId, producerEpoch }
    }
    const { random } = this
    const old = random.chance(0.1) ? this.#last.get(random.below(this.facts.partitionCount)) : undefined
    // The laws know where it was.
    if (old && !this.#batch) return void (await this.#send(old, old.baseSequence))
    const batch = (this.#batch ??= this.newBatch(random.below(this.facts.partitionCount)))
    const baseSequence = this.#sequences.get(batch.partition) ?? 0
    await this.#send(batch, baseSequence)
    this.#last.set(batch.partition, { ...batch, baseSequence })
    this.#sequences.set(batch.partition, baseSequence + batch.entries.length)
    this.#batch = undefined
  }
  async #send(batch: KeyedBatch, baseSequence: number): Promise<void> {
    const { errorCode } = await this.write(batch, { ...this.#identity!, baseSequence })
    if (errorCode === 0) return
    const refused = new RefusedError(errorCode)
    if (!refused.error.retriable) throw new Violation('an idempotent producer that repeats is answered', `${this.facts.machine.name}, sequence ${baseSequence} of partition ${batch.partition}: ${refused.error.name}`)
    throw refused
  }
}

/** Writes to all partitions in one transaction, and aborts some. */
export class KeyedTransactions extends KeyedActor {
  #identity: Identity | undefined
  #sequences = new Map<number, number>()
  #count = 0
  #open: string | undefined

  protected async step(): Promise<void> {
    const name = this.facts.machine.name
    const { laws, partitionCount } = this.facts
    const coordinator = { kind: 'coordinator', of: 'transaction', key: name } as const
    if (!this.#identity) {
      const { producerId, producerEpoch } = await this.client.call(coordinator, InitProducerId, { transactionalId: name, transactionTimeoutMs }, { callTimeoutMs: 4_000 })
      // What was not to be committed is aborted now.
      if (this.#open !== undefined) laws.ends(this.#open, 'aborted')
      this.#open = undefined
      this.#identity = { producerId, producerEpoch }
      this.#sequences = new Map()
    }
    const identity = this.#identity
    const transaction = `${name}/${this.#count++}`
    laws.begins(transaction)
    this.#open = transaction
    try {
      await this.client.call(coordinator, AddPartitionsToTxn, {
        transactions: [], v3AndBelowTransactionalId: name, v3AndBelowProducerId: identity.producerId, v3AndBelowProducerEpoch: identity.producerEpoch,
        v3AndBelowTopics: [{ name: compacted, partitions: Array.from({ length: partitionCount }, (_, partition) => partition) }],
      }, { versionMax: 3, callTimeoutMs: 2_000, errorsIn: ({ resultsByTopicV3AndBelow }) => resultsByTopicV3AndBelow.flatMap(({ resultsByPartition }) => resultsByPartition.map(({ partitionErrorCode }) => ({ errorCode: partitionErrorCode }))) })
      for (let partition = 0; partition < partitionCount; partition++) {
        const batch = this.newBatch(partition)
        const baseSequence = this.#sequences.get(partition) ?? 0
        const { errorCode } = await this.write(batch, { ...identity, baseSequence }, name, transaction)
        if (errorCode !== 0) throw new RefusedError(errorCode)
        this.#sequences.set(partition, baseSequence + batch.entries.length)
      }
      // Some are slow: compaction has to wait for them.
      if (this.random.chance(0.2)) await this.facts.world.sleep(this.random.next() * 1_500)
      const committed = this.random.chance(0.6)
      this.#open = undefined
      laws.ends(transaction, committed ? 'asked' : 'aborted')
      await this.client.call(coordinator, EndTxn, { transactionalId: name, ...identity, committed }, { callTimeoutMs: 0 })
      if (committed) laws.ends(transaction, 'committed')
    } catch (error) {
      // Whatever it was, the next instance settles it.
      this.#identity = undefined
      if (!(error instanceof RefusedError)) throw error
      this.unknown++
    }
  }
}

interface Pass {
  readonly partition: number
  readonly sinceMs: number
  /** Who led when it began. */
  readonly leader: string | undefined
  position: number
  readonly seen: Map<string, Seen>
}

/** Builds its view from the first offset on, at its pace; compared with the laws whenever it comes to the end. */
export class ViewReader extends Actor<CompactionFacts> {
  readonly #isCommitted: boolean
  readonly #maxBytes: number
  /** Chance that it asks again at once. */
  readonly #haste: number
  #pass: Pass | undefined

  constructor(facts: CompactionFacts, { isCommitted, maxBytes, haste }: { isCommitted: boolean; maxBytes: number; haste: number }) {
    super(facts)
    this.#isCommitted = isCommitted
    this.#maxBytes = maxBytes
    this.#haste = haste
  }
  protected async step(): Promise<void> {
    const { world, partitionCount } = this.facts
    if (!this.#pass || this.random.chance(0.02)) this.#begin(this.random.below(partitionCount))
    // Some come to the end at once, some much later.
    do if (await this.#goOn()) {
      this.#compare()
      if (this.random.chance(0.7)) this.#pass = undefined
      return
    } while (this.random.chance(this.#haste) && !this.stopped)
    if (this.random.chance(0.03)) await world.sleep(this.random.next() * 3_000)
  }
  #begin(partition: number): void {
    this.#pass = { partition, sinceMs: this.facts.world.now, leader: this.facts.leader(partition), position: 0, seen: new Map() }
  }
  /** Whether it has come to the end. */
  async #goOn(): Promise<boolean> {
    const pass = this.#pass!
    const { partition } = pass
    const first = await this.#fetch(partition, pass.position)
    if (!first) return false
    for (const entry of first.entries) pass.seen.set(entry.id, entry)
    if (first.next > pass.position || first.end <= pass.position) {
      pass.position = first.next
      return pass.position >= first.end
    }
    // Nothing, below the end: compaction has left nothing of it, if nothing comes again and again.
    for (let again = 0; again < 3; again++) {
      const answer = await this.#fetch(partition, pass.position)
      if (!answer || answer.next > pass.position) return false
    }
    pass.position = first.end
    return true
  }
  async #fetch(partition: number, from: number): Promise<{ entries: Seen[]; next: number; end: number } | undefined> {
    const answer = await this.client.call({ kind: 'leader', topic: compacted, partition }, Fetch, {
      maxWaitMs: this.random.below(100), minBytes: 1, maxBytes: this.#maxBytes, isolationLevel: this.#isCommitted ? 1 : 0, topics: [{ topic: compacted, partitions: [{ partition, fetchOffset: from, partitionMaxBytes: this.#maxBytes }] }],
    }, { versionMax: 12, errorsIn: ({ responses, errorCode }) => [{ errorCode }, ...responses.flatMap(({ partitions }) => partitions)], callTimeoutMs: 0 }).catch((error: unknown) => {
      if (error instanceof RefusedError && error.error === errors.offsetOutOfRange) throw new Violation('what was shown is there', `partition ${partition} was read up to offset ${from}, which is out of range now`)
      throw error
    })
    const [part] = answer.responses[0]?.partitions ?? []
    if (!part) return undefined
    const { next, records } = readableRecords(part, from, `partition ${partition}`, this.#isCommitted)
    const entries = records.map(seenOf)
    for (const entry of entries) this.facts.laws.reads(partition, entry, this.#isCommitted)
    return { entries, next, end: this.#isCommitted ? part.lastStableOffset : part.highWatermark }
  }
  #compare(): void {
    const { world, laws, leader, calmMs, deleteRetentionMs, machine } = this.facts
    const { partition, position, seen, sinceMs, leader: before } = this.#pass!
    const tookMs = world.now - sinceMs
    // A cleaning counts from its own beginning: as long as one may take is left out.
    const isPrompt = tookMs < deleteRetentionMs / 3 && calmMs() > tookMs + 3_000 && before !== undefined && leader(partition) === before
    laws.views({ partition, position, seen, isPrompt, who: `${machine.name} (${this.#isCommitted ? 'read_committed' : 'read_uncommitted'})` })
  }
  /** A view from the first offset to the end, once nothing fails any more. */
  async whole(partition: number): Promise<void> {
    this.#begin(partition)
    for (let steps = 0; steps < 2_000; steps++)
      if (await this.client.retrying('the whole topic', () => this.#goOn(), 30_000)) return this.#compare()
    throw new Violation('what is below the high watermark can be read', `${compacted} partition ${partition} goes on without an end at offset ${this.#pass!.position}`)
  }
}
