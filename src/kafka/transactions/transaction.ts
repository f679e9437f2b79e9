/**
 * One transactional id, as its coordinator knows it. No clock, no disk, no socket: `step(input) → outputs`; what is on record
 * changes by `replay` alone (TransactionMetadata, TransactionCoordinator; KIP-98, 360, 890 part 1).
 */
import assert from 'node:assert'
import { errors } from '../protocol/errors.ts'
import { appendError, cannotHoldMarkers, isFenced } from './append-errors.ts'
import type { Input, MarkerOutcome, Output, ProducerClaim } from './steps.ts'
import { eachOf, epochMax, hasPartition, isExhausted, mayFollow, noPartitions, withPartitions, type StateName, type TopicPartition, type TransactionValue } from './transaction-state.ts'

type Ask<K extends Input['kind']> = Extract<Input, { kind: K }>
/** Who this producer was before its last InitProducerId; an answer that was lost may be asked for again. In memory alone. */
type Previous = ProducerClaim
interface Pending {
  readonly value: TransactionValue | null
  readonly previous: Previous
  /** Who waits for it, and what it is told when all went well. */
  readonly ticket: number | undefined
  readonly errorCode: number
  readonly producer: ProducerClaim | undefined
}
const nobody: Previous = { id: -1, epoch: -1 }

export class Transaction {
  readonly id: string
  #value: TransactionValue | undefined
  #previous: Previous = nobody
  #pending: Pending | undefined
  /** Partitions whose marker is not confirmed; only while a transaction is being ended. */
  #unmarked: Map<string, Set<number>> | undefined
  /** Markers are being written, or a retry is on its way. */
  #isEnding = false
  #isUnloaded = false
  #outputs: Output[] = []

  constructor(id: string) {
    this.id = id
  }

  /** What is on record; undefined for an id nobody knows. */
  get value(): TransactionValue | undefined {
    return this.#value
  }
  /** Nothing on record, nothing on its way there. */
  get isVoid(): boolean {
    return this.#value === undefined && this.#pending === undefined
  }
  get isPending(): boolean {
    return this.#pending !== undefined
  }
  /** Something is on its way to the record, or a decision on its way to the partitions: meanwhile others are told CONCURRENT_TRANSACTIONS. */
  get isBusy(): boolean {
    return !this.#isUnloaded && (this.#pending !== undefined || isPrepared(this.#value?.state))
  }
  /** The next InitProducerId wants a producer id that nobody has. */
  get needsProducerId(): boolean {
    if (this.#pending) return false
    return this.#value === undefined || isExhausted(this.#value.producerEpoch)
  }

  /** What is on record becomes what is known. */
  replay(value: TransactionValue | null): void {
    this.#value = value ?? undefined
    this.#unmarked = isPrepared(value?.state) ? new Map(Array.from(value!.partitions, ([topic, indexes]) => [topic, new Set(indexes)])) : undefined
  }

  /** Whether the producer may write to the partition as part of its transaction (KIP-890): an error code, or 0. */
  verify(producer: ProducerClaim, of: TopicPartition): number {
    const refused = this.#refuse(producer)
    if (refused !== 0) return refused
    return hasPartition(this.#value!.partitions, of) ? 0 : errors.transactionAbortable.code
  }

  step(input: Input): Output[] {
    switch (input.kind) {
      case 'initProducerId': this.#initProducerId(input); break
      case 'addPartitions': this.#addPartitions(input); break
      case 'end': this.#end(input); break
      case 'persisted': this.#persisted(input); break
      case 'markersWritten': this.#markersWritten(input.outcomes, input.now); break
      case 'retried': this.#retried(input.now); break
      case 'ticked': this.#abortOutOfTime(input.now); break
      case 'expired': this.#expire(input); break
      case 'loaded': this.#writeMarkers(); break
      case 'unloaded': this.#unload(input.errorCode); break
      default: input satisfies never
    }
    const outputs = this.#outputs
    this.#outputs = []
    return outputs
  }

  // ---- requests

  #initProducerId({ ticket, timeoutMs, expected, freshId, now }: Ask<'initProducerId'>): void {
    const value = this.#value
    if (this.#pending) return this.#answer(ticket, errors.concurrentTransactions.code)
    if (!value) {
      // A producer that lost its state comes with an id nobody knows (any more): it gets a new one.
      if (freshId === undefined) return this.#answer(ticket, errors.concurrentTransactions.code)
      return this.#grant(ticket, { id: freshId, epoch: 0 }, nobody, { timeoutMs, now })
    }
    if (expected && expected.id !== value.producerId && !(expected.id === this.#previous.id && isExhausted(expected.epoch))) return this.#answer(ticket, errors.producerFenced.code)
    if (isPrepared(value.state)) return this.#answer(ticket, errors.concurrentTransactions.code)
    if (value.state === 'Ongoing') {
      // Apache asks for the id alone, and lets a zombie end the transaction of its successor before it is refused.
      if (expected && expected.epoch !== value.producerEpoch) return this.#answer(ticket, errors.producerFenced.code)
      return this.#fence(now, ticket)
    }
    if (isExhausted(value.producerEpoch) && (!expected || expected.epoch === value.producerEpoch)) {
      if (freshId === undefined) return this.#answer(ticket, errors.concurrentTransactions.code)
      return this.#grant(ticket, { id: freshId, epoch: 0 }, { id: value.producerId, epoch: expected ? value.producerEpoch : -1 }, { timeoutMs, now })
    }
    const current = { id: value.producerId, epoch: value.producerEpoch }
    if (!expected || expected.epoch === current.epoch)
      return this.#grant(ticket, { id: current.id, epoch: current.epoch + 1 }, { id: current.id, epoch: expected ? current.epoch : -1 }, { timeoutMs, now })
    // The answer to its last bump was lost: it is told again.
    if (expected.epoch === this.#previous.epoch) return this.#grant(ticket, current, this.#previous, { timeoutMs, now })
    return this.#answer(ticket, errors.producerFenced.code)
  }
  #grant(ticket: number, producer: ProducerClaim, previous: Previous, { timeoutMs, now }: { timeoutMs: number; now: number }): void {
    const value: TransactionValue = { producerId: producer.id, producerEpoch: producer.epoch, timeoutMs, state: 'Empty', partitions: noPartitions(), lastUpdateMs: now, startMs: -1 }
    this.#persist({ value, previous, ticket, errorCode: 0, producer })
  }

  #addPartitions({ ticket, producer, partitions, now }: Ask<'addPartitions'>): void {
    const refused = this.#refuse(producer)
    if (refused !== 0) return this.#answer(ticket, refused)
    const value = this.#value!
    const isOngoing = value.state === 'Ongoing'
    if (isOngoing && partitions.every((each) => hasPartition(value.partitions, each))) return this.#answer(ticket, 0)
    this.#change(ticket, { ...value, state: 'Ongoing', partitions: withPartitions(value.partitions, partitions), lastUpdateMs: now, startMs: isOngoing ? value.startMs : now })
  }

  #end({ ticket, producer, committed, now }: Ask<'end'>): void {
    const refused = this.#refuse(producer, { whilePrepared: true })
    if (refused !== 0) return this.#answer(ticket, refused)
    const value = this.#value!
    switch (value.state) {
      case 'Ongoing': return this.#change(ticket, { ...value, state: committed ? 'PrepareCommit' : 'PrepareAbort', lastUpdateMs: now })
      case 'CompleteCommit': return this.#answer(ticket, committed ? 0 : errors.invalidTxnState.code)
      case 'CompleteAbort': return this.#answer(ticket, committed ? errors.invalidTxnState.code : 0)
      case 'PrepareCommit': return this.#answer(ticket, committed ? errors.concurrentTransactions.code : errors.invalidTxnState.code)
      case 'PrepareAbort': return this.#answer(ticket, committed ? errors.invalidTxnState.code : errors.concurrentTransactions.code)
      default: return this.#answer(ticket, errors.invalidTxnState.code)
    }
  }
  /** Why the producer's request cannot be taken now, or 0. */
  #refuse(producer: ProducerClaim, { whilePrepared = false } = {}): number {
    const value = this.#value
    if (!value || value.producerId !== producer.id) return errors.invalidProducerIdMapping.code
    if (value.producerEpoch !== producer.epoch) return errors.producerFenced.code
    if (this.#pending || (isPrepared(value.state) && !whilePrepared)) return errors.concurrentTransactions.code
    return 0
  }

  // ---- time

  #abortOutOfTime(now: number): void {
    const value = this.#value
    if (this.#pending || value?.state !== 'Ongoing' || value.startMs + value.timeoutMs >= now) return
    this.#note('info', 'transaction out of time: aborted', { timeoutMs: value.timeoutMs })
    this.#fence(now, undefined)
  }
  /** Aborts under the next epoch, which no producer ever gets: whoever wrote until now writes no more. */
  #fence(now: number, ticket: number | undefined): void {
    const value = this.#value!
    const producerEpoch = Math.min(value.producerEpoch + 1, epochMax)
    const fenced: TransactionValue = { ...value, producerEpoch, state: 'PrepareAbort', lastUpdateMs: now }
    this.#persist({ value: fenced, previous: { id: value.producerId, epoch: -1 }, ticket, errorCode: errors.concurrentTransactions.code, producer: undefined })
  }
  #expire({ unusedMsMax, now }: Ask<'expired'>): void {
    const value = this.#value
    if (this.#pending || !value || !mayFollow(value.state, 'Dead') || value.lastUpdateMs + unusedMsMax > now) return
    this.#persist({ value: null, previous: this.#previous, ticket: undefined, errorCode: 0, producer: undefined })
  }

  // ---- records

  #change(ticket: number, value: TransactionValue): void {
    this.#persist({ value, previous: this.#previous, ticket, errorCode: 0, producer: undefined })
  }
  #persist(pending: Pending): void {
    const from = this.#value?.state
    const to = pending.value?.state ?? 'Dead'
    assert(from === undefined || mayFollow(from, to), `${this.id}: ${to} cannot follow ${from}`)
    this.#pending = pending
    this.#outputs.push({ kind: 'persist', value: pending.value })
  }
  #persisted({ errorCode }: Ask<'persisted'>): void {
    const pending = this.#pending
    if (!pending) return
    this.#pending = undefined
    if (errorCode === 0) {
      this.#previous = pending.previous
      this.replay(pending.value)
    }
    if (pending.ticket !== undefined)
      this.#answer(pending.ticket, errorCode === 0 ? pending.errorCode : appendError(errorCode), errorCode === 0 ? pending.producer : undefined)
    if (errorCode === 0) this.#writeMarkers()
    // Nobody asks again for what follows the markers.
    else if (this.#isEnding) this.#outputs.push({ kind: 'retrySoon' })
  }

  // ---- markers

  get #isUnmarked(): boolean {
    return this.#unmarked !== undefined && this.#unmarked.size > 0
  }

  /** What has been decided and is on record is told to the partitions. */
  #writeMarkers(): void {
    const value = this.#value
    if (!isPrepared(value?.state)) {
      this.#isEnding = false
      return
    }
    this.#isEnding = true
    this.#outputs.push({
      kind: 'writeMarkers', producer: { id: value!.producerId, epoch: value!.producerEpoch }, committed: value!.state === 'PrepareCommit', partitions: [...eachOf(this.#unmarked ?? noPartitions())],
    })
  }
  #markersWritten(outcomes: readonly MarkerOutcome[], now: number): void {
    if (this.#isUnloaded || !this.#isEnding) return
    for (const outcome of outcomes) {
      const { errorCode, isGone } = outcome
      if (isFenced(errorCode)) {
        // Another coordinator, or another producer, owns the id: it will carry on.
        this.#isEnding = false
        return this.#note('warn', 'transaction left to another coordinator', { partition: `${outcome.topic}-${outcome.partition}`, errorCode })
      }
      if (errorCode === 0 || isGone || cannotHoldMarkers(errorCode)) this.#marked(outcome)
    }
    if (this.#isUnmarked) this.#outputs.push({ kind: 'retrySoon' })
    else this.#complete(now)
  }
  #marked({ topic, partition }: TopicPartition): void {
    const indexes = this.#unmarked?.get(topic)
    indexes?.delete(partition)
    if (indexes?.size === 0) this.#unmarked!.delete(topic)
  }
  #retried(now: number): void {
    if (this.#isUnloaded || !this.#isEnding || this.#pending) return
    if (this.#isUnmarked) this.#writeMarkers()
    else this.#complete(now)
  }
  #complete(now: number): void {
    const value = this.#value!
    const state = value.state === 'PrepareCommit' ? 'CompleteCommit' : 'CompleteAbort'
    this.#persist({ value: { ...value, state, partitions: noPartitions(), lastUpdateMs: now }, previous: this.#previous, ticket: undefined, errorCode: 0, producer: undefined })
  }

  #unload(errorCode: number): void {
    this.#isUnloaded = true
    if (this.#pending?.ticket !== undefined) this.#answer(this.#pending.ticket, errorCode)
    this.#pending = undefined
  }
  #answer(ticket: number, errorCode: number, producer?: ProducerClaim): void {
    this.#outputs.push({ kind: 'answered', ticket, errorCode, ...(producer && { producer }) })
  }
  #note(level: 'info' | 'warn', event: string, facts: Readonly<Record<string, unknown>>): void {
    const { producerId, producerEpoch, state } = this.#value!
    this.#outputs.push({ kind: 'noted', level, event, facts: { transactionalId: this.id, producerId, producerEpoch, state, ...facts } })
  }
}

const isPrepared = (state: StateName | undefined): boolean => state === 'PrepareCommit' || state === 'PrepareAbort'
