/**
 * Producers, a coordinator, partitions and groups over one seed: what is under way happens in any order, answers are lost, appends fail or
 * fail though they are stored, coordinator and partition leaders die between any two steps, producers are paused and replaced.
 * The machines are the real ones: `Transaction`, the log's `ProducerState`, the groups' `CommittedOffsets`, batches as bytes.
 */
import { CommittedOffsets } from '../../../src/kafka/groups/committed-offsets.ts'
import { ProducerState, type CompletedTransaction } from '../../../src/kafka/log/producer-state.ts'
import { errors } from '../../../src/kafka/protocol/errors.ts'
import { Batch } from '../../../src/kafka/records/batch.ts'
import { controlTypeOf, encodeTransactionMarker } from '../../../src/kafka/records/control.ts'
import { recordsOf } from '../../../src/kafka/records/decode.ts'
import { encodeBatch } from '../../../src/kafka/records/encode.ts'
import type { Input, MarkerOutcome, Output, ProducerClaim } from '../../../src/kafka/transactions/steps.ts'
import { Transaction } from '../../../src/kafka/transactions/transaction.ts'
import { TransactionRecords } from '../../../src/kafka/transactions/transaction-records.ts'
import type { TopicPartition, TransactionValue } from '../../../src/kafka/transactions/transaction-state.ts'
import { seededRandom, type SeededRandom } from '../../../src/simulation/random.ts'

/** Mistakes a coordinator, a broker or a consumer could make; the simulation has to notice each. */
export type Bug =
  | 'marker before the state record'
  | 'epoch not bumped'
  | 'LSO ahead'
  | 'offsets applied before the marker'
  | 'answer before the state record'
  | 'lost marker counted as written'
  | 'decision not resumed after a crash'
  | 'write not verified'
  | 'timeout aborts without fencing'

const ids = ['a', 'b'] as const
const dataPartitions = 3
const offsetsIndex = dataPartitions
const transactionTimeoutMs = 3_000
const retriable: ReadonlySet<number> = new Set([errors.concurrentTransactions.code, errors.coordinatorNotAvailable.code, errors.coordinatorLoadInProgress.code, errors.notCoordinator.code, errors.notEnoughReplicas.code, errors.notLeaderOrFollower.code])
/** Not a code of the protocol: the producer waits no longer. */
const gaveUp = -2
const of = (partition: number): TopicPartition => ({ topic: partition === offsetsIndex ? 'offsets' : 't', partition })

export class Violation extends Error {}

/** One partition with its high watermark behind its end; a new leader knows what was below it, and perhaps more. */
class SimulatedPartition {
  readonly index: number
  batches: Batch[] = []
  producers = new ProducerState()
  aborted: CompletedTransaction[] = []
  highWatermark = 0
  /** Told of data the moment it has its place. */
  placed: (batch: Batch) => void = () => {}
  committed = new CommittedOffsets()
  waiting: { end: number; done: (errorCode: number) => void }[] = []

  constructor(index: number) {
    this.index = index
  }
  get end(): number {
    return this.producers.endOffset
  }
  get lastStableOffset(): number {
    return Math.min(this.highWatermark, this.producers.firstUnstableOffset ?? Infinity)
  }
  append(bytes: Buffer, origin: 'client' | 'coordinator', done: (errorCode: number) => void): void {
    const batch = new Batch(bytes)
    if (batch.isControl) {
      const refused = this.producers.checkMarker(batch, origin)
      if (refused) return done(refused.errorCode)
    } else {
      const duplicate = origin === 'client' ? this.producers.duplicateOf(batch.producerId, batch.producerEpoch, batch.baseSequence, batch.lastSequence) : undefined
      if (duplicate) return this.#await(duplicate.lastOffset + 1, done)
      const refused = this.producers.check(batch, origin)
      if (refused) return done(refused.errorCode)
    }
    batch.baseOffset = this.end
    this.batches.push(batch)
    this.#apply(batch)
    if (!batch.isControl) this.placed(batch)
    this.#await(this.end, done)
  }
  #await(end: number, done: (errorCode: number) => void): void {
    if (this.highWatermark >= end) done(0)
    else this.waiting.push({ end, done })
  }
  #apply(batch: Batch): void {
    const completed = this.producers.appended(batch)
    if (!completed) return
    if (completed.isAborted) this.aborted.push(completed)
    this.producers.complete(completed)
  }
  replicate(to: number): void {
    this.highWatermark = Math.max(this.highWatermark, Math.min(to, this.end))
    this.producers.replicatedTo(this.highWatermark)
    const ready = this.waiting.filter(({ end }) => end <= this.highWatermark)
    this.waiting = this.waiting.filter(({ end }) => end > this.highWatermark)
    for (const { done } of ready) done(0)
  }
  /** Another leader, that has everything below `end`. */
  fail(end: number): void {
    const kept = this.batches.filter((batch) => batch.nextOffset <= end)
    this.batches = []
    this.producers = new ProducerState()
    this.aborted = []
    for (const batch of kept) {
      this.batches.push(batch)
      this.#apply(batch)
    }
    this.producers.replicatedTo(this.highWatermark)
    const waiting = this.waiting
    this.waiting = []
    for (const { done } of waiting) done(errors.notLeaderOrFollower.code)
  }
  /** Data batches a consumer may see. */
  *readable(upTo: number): Generator<Batch> {
    for (const batch of this.batches) {
      if (batch.nextOffset > upTo || batch.isControl) continue
      const isAborted = this.aborted.some(({ producerId, firstOffset, lastOffset }) => producerId === batch.producerId && batch.baseOffset >= firstOffset && batch.baseOffset <= lastOffset)
      if (!isAborted) yield batch
    }
  }
}

/** What one producer did in one of its transactions. */
interface Attempt {
  readonly key: string
  readonly id: string
  /** Order among the transactions of its id in which commits were acknowledged. */
  told?: 'committed' | 'aborted'
  wroteOffset?: number
}
interface Instance {
  readonly id: string
  readonly number: number
  claim: ProducerClaim | undefined
  readonly sequences: Map<number, number>
  /** A write is still under way whose fate it does not know: before the next transaction it asks for a new epoch, as clients do. */
  isTainted: boolean
}

interface Coordinator {
  readonly epoch: number
  readonly transactions: Map<string, Transaction>
}

export interface Summary {
  commits: number
  aborts: number
  fenced: number
  timeouts: number
}

export class Simulation {
  readonly #random: SeededRandom
  readonly #bug: Bug | undefined
  readonly #records = new TransactionRecords()
  readonly #queue: (() => void)[] = []
  readonly #delayed: (() => void)[] = []
  readonly #texts = new WeakMap<Batch, string>()
  readonly #partitions = Array.from({ length: dataPartitions + 1 }, (_, index) => new SimulatedPartition(index))
  #now = 1_000_000
  /** `__transaction_state`: bytes as stored, and whether somebody was told so. */
  #log: { id: string; value: Buffer | null; acknowledged: boolean }[] = []
  #coordinator: Coordinator | undefined
  #coordinatorEpoch = 0
  #nextProducerId = 1
  #nextTicket = 0
  readonly #tickets = new Map<number, (answer: Extract<Output, { kind: 'answered' }>) => void>()
  readonly #current = new Map<string, Instance>()
  readonly #granted = new Map<string, Instance>()
  readonly #attempts = new Map<string, Attempt>()
  /** Transactions of each id in the order in which their commits were acknowledged. */
  readonly #commitOrder = new Map<string, Attempt[]>()
  readonly #seen = new Map<string, string>()
  readonly #offsetOwners = new Map<number, Attempt>()
  #instances = 0
  #calm = false
  readonly summary: Summary = { commits: 0, aborts: 0, fenced: 0, timeouts: 0 }

  constructor(seed: number, bug?: Bug) {
    this.#random = seededRandom(seed)
    this.#bug = bug
    const offsets = this.#partitions[offsetsIndex]
    offsets.placed = (batch) => this.#applyOffsets(offsets, batch)
  }

  run(steps: number): Summary {
    this.#startCoordinator()
    for (const id of ids) this.#startInstance(id)
    for (let step = 0; step < steps; step++) {
      this.#disturb()
      this.#one()
      if (step % 4 === 0) this.#look()
    }
    // Calm: no more faults, nobody begins anything; what was begun has to come to an end by itself.
    this.#calm = true
    for (const arrives of this.#delayed) this.#later(arrives)
    if (!this.#coordinator) this.#startCoordinator()
    for (let round = 0; round < 60; round++) {
      for (let limit = 2_000; this.#queue.length > 0 && limit > 0; limit--) this.#one()
      this.#replicateAll()
      this.#now += transactionTimeoutMs
      this.#tick()
    }
    this.#look()
    this.#judge()
    return this.summary
  }

  // ---- the world

  #later(what: () => void): void {
    this.#queue.push(what)
  }
  #one(): void {
    this.#now += this.#random.below(20)
    if (this.#queue.length === 0) return
    const [what] = this.#queue.splice(this.#random.below(this.#queue.length), 1)
    what()
  }
  #chance(probability: number): boolean {
    return !this.#calm && this.#random.chance(probability)
  }
  #disturb(): void {
    for (const partition of this.#partitions) {
      if (this.#random.chance(0.4)) partition.replicate(partition.highWatermark + 1 + this.#random.below(3))
      if (this.#random.chance(0.003)) this.#failPartition(partition)
    }
    if (this.#delayed.length > 0 && this.#random.chance(0.02)) this.#later(this.#delayed.shift()!)
    if (this.#random.chance(0.05)) this.#tick()
    if (this.#coordinator && this.#random.chance(0.006)) this.#crashCoordinator()
    else if (!this.#coordinator && this.#random.chance(0.1)) this.#startCoordinator()
    if (this.#random.chance(0.004)) this.#startInstance(ids[this.#random.below(ids.length)])
    if (this.#random.chance(0.002)) this.#now += transactionTimeoutMs
  }
  #replicateAll(): void {
    for (const partition of this.#partitions) partition.replicate(partition.end)
  }
  #failPartition(partition: SimulatedPartition): void {
    partition.fail(partition.highWatermark + this.#random.below(partition.end - partition.highWatermark + 1))
    if (partition.index === offsetsIndex) this.#loadOffsets(partition)
  }

  // ---- the coordinator and its log

  #startCoordinator(): void {
    const coordinator: Coordinator = { epoch: ++this.#coordinatorEpoch, transactions: new Map() }
    this.#coordinator = coordinator
    for (const { id, value } of this.#log) {
      const transaction = this.#transaction(coordinator, id)
      transaction.replay(value === null ? null : this.#records.readValue(value))
    }
    for (const entry of this.#log) entry.acknowledged = true
    if (this.#bug === 'decision not resumed after a crash') return
    for (const transaction of coordinator.transactions.values()) this.#step(coordinator, transaction, { kind: 'loaded' })
  }
  /** What nobody was told may or may not have reached the next leader. */
  #crashCoordinator(): void {
    this.#coordinator = undefined
    this.#tickets.clear()
    const firm = this.#log.findLastIndex(({ acknowledged }) => acknowledged) + 1
    this.#log.length = firm + this.#random.below(this.#log.length - firm + 1)
  }
  #transaction(coordinator: Coordinator, id: string): Transaction {
    let transaction = coordinator.transactions.get(id)
    if (!transaction) coordinator.transactions.set(id, (transaction = new Transaction(id)))
    return transaction
  }
  #tick(): void {
    const coordinator = this.#coordinator
    if (!coordinator) return
    for (const transaction of coordinator.transactions.values()) {
      const { value } = transaction
      const isOut = value?.state === 'Ongoing' && !transaction.isPending && value.startMs + value.timeoutMs < this.#now
      if (isOut) this.summary.timeouts++
      if (isOut && this.#bug === 'timeout aborts without fencing')
        this.#step(coordinator, transaction, { kind: 'end', ticket: -1, producer: { id: value.producerId, epoch: value.producerEpoch }, committed: false, now: this.#now })
      else this.#step(coordinator, transaction, { kind: 'ticked', now: this.#now })
    }
  }
  #step(coordinator: Coordinator, transaction: Transaction, input: Input): void {
    const current = (): boolean => this.#coordinator === coordinator
    for (const output of transaction.step(input))
      switch (output.kind) {
        case 'answered': {
          const answer = this.#tickets.get(output.ticket)
          this.#tickets.delete(output.ticket)
          answer?.(output)
          break
        }
        case 'persist': {
          const { value } = output
          if (this.#bug === 'marker before the state record' && (value?.state === 'PrepareCommit' || value?.state === 'PrepareAbort'))
            this.#writeMarkers(coordinator, markersOf(value), () => {})
          if (this.#bug === 'answer before the state record' && input.kind === 'end') {
            this.#tickets.get(input.ticket)?.({ kind: 'answered', ticket: input.ticket, errorCode: 0 })
            this.#tickets.delete(input.ticket)
          }
          this.#persist(transaction.id, value, current, (errorCode) => this.#step(coordinator, transaction, { kind: 'persisted', errorCode, now: this.#now }))
          break
        }
        case 'writeMarkers':
          this.#writeMarkers(coordinator, output, (outcomes) => this.#step(coordinator, transaction, { kind: 'markersWritten', outcomes, now: this.#now }))
          break
        case 'retrySoon':
          this.#later(() => current() && this.#step(coordinator, transaction, { kind: 'retried', now: this.#now }))
          break
        case 'noted': break
        default: output satisfies never
      }
  }

  #persist(id: string, value: TransactionValue | null, current: () => boolean, done: (errorCode: number) => void): void {
    if (this.#chance(0.04)) return this.#later(() => current() && done(errors.notEnoughReplicas.code))
    const entry = { id, value: value === null ? null : this.#records.writeValue(value), acknowledged: false }
    this.#log.push(entry)
    const isTimeout = this.#chance(0.03)
    this.#later(() => {
      if (!current()) return
      if (isTimeout) return done(errors.requestTimedOut.code)
      entry.acknowledged = true
      done(0)
    })
  }
  #writeMarkers(coordinator: Coordinator, { producer, committed, partitions }: Omit<Extract<Output, { kind: 'writeMarkers' }>, 'kind'>, done: (outcomes: MarkerOutcome[]) => void): void {
    const outcomes: MarkerOutcome[] = []
    const told = (outcome: MarkerOutcome): void => {
      outcomes.push(outcome)
      if (outcomes.length === partitions.length && this.#coordinator === coordinator) done(outcomes)
    }
    if (partitions.length === 0) return this.#later(() => this.#coordinator === coordinator && done([]))
    for (const each of partitions)
      this.#later(() => {
        if (this.#chance(0.1)) return told({ ...each, errorCode: this.#bug === 'lost marker counted as written' ? 0 : errors.networkException.code })
        const partition = this.#partitions[each.partition]
        const batch = encodeTransactionMarker({ type: committed ? 'commit' : 'abort', producerId: producer.id, producerEpoch: producer.epoch, coordinatorEpoch: coordinator.epoch, timestamp: this.#now })
        partition.append(batch, 'coordinator', (errorCode) => {
          if (errorCode === 0 && each.partition === offsetsIndex) partition.committed.transactionEnded(producer.id, committed)
          this.#later(() => told({ ...each, errorCode: errorCode === 0 && this.#chance(0.05) ? errors.networkException.code : errorCode }))
        })
      })
  }

  // ---- requests

  #ask(id: string, inputOf: (ticket: number) => Input, answered: (errorCode: number, producer?: ProducerClaim) => void): void {
    const lost = (): void => this.#later(() => answered(errors.coordinatorNotAvailable.code))
    this.#later(() => {
      const coordinator = this.#coordinator
      if (!coordinator || this.#chance(0.02)) return lost()
      const ticket = ++this.#nextTicket
      const input = inputOf(ticket)
      const transaction = this.#transaction(coordinator, id)
      // Without an answer in time a client asks again, whatever became of it.
      let isAnswered = false
      const answer = (errorCode: number, producer?: ProducerClaim): void => {
        if (isAnswered) return
        isAnswered = true
        this.#later(() => answered(errorCode, producer))
      }
      const isLost = this.#chance(0.03)
      this.#tickets.set(ticket, (output) => (isLost ? answer(errors.coordinatorNotAvailable.code) : answer(output.errorCode, output.producer)))
      this.#later(() => this.#coordinator !== coordinator && answer(errors.coordinatorNotAvailable.code))
      this.#watch(coordinator, () => answer(errors.coordinatorNotAvailable.code))
      if (this.#bug === 'epoch not bumped' && input.kind === 'initProducerId' && transaction.value && !transaction.isPending) {
        const { producerId, producerEpoch, state } = transaction.value
        this.#tickets.delete(ticket)
        if (state === 'Empty' || state.startsWith('Complete')) return answer(0, { id: producerId, epoch: producerEpoch })
        if (state === 'Ongoing') this.#step(coordinator, transaction, { kind: 'end', ticket: -1, producer: { id: producerId, epoch: producerEpoch }, committed: false, now: this.#now })
        return answer(errors.concurrentTransactions.code)
      }
      this.#step(coordinator, transaction, input)
    })
  }
  /** Requests at a coordinator that is gone are noticed, sooner or later. */
  #watch(coordinator: object, gone: () => void): void {
    const look = (): void => {
      if (this.#coordinator !== coordinator) gone()
      else if (this.#tickets.size > 0) this.#later(look)
    }
    this.#later(look)
  }
  #produce(instance: Instance, partition: number, bytes: Buffer, answered: (errorCode: number) => void): void {
    this.#later(() => {
      if (this.#chance(0.02)) return this.#later(() => answered(errors.notLeaderOrFollower.code))
      if (partition !== offsetsIndex && this.#chance(0.01)) {
        // It is under way for long: its producer gives up, ends the transaction, and only then it arrives.
        this.#delayed.push(() => this.#deliver(instance, partition, bytes, () => {}))
        return this.#later(() => answered(gaveUp))
      }
      this.#deliver(instance, partition, bytes, answered)
    })
  }
  #deliver(instance: Instance, partition: number, bytes: Buffer, answered: (errorCode: number) => void): void {
    const target = this.#partitions[partition]
    const batch = Buffer.from(bytes)
    const { producerId, producerEpoch } = new Batch(batch)
    if (this.#bug !== 'write not verified' && !target.producers.hasOpenTransaction(producerId, producerEpoch)) {
      const verified = this.#coordinator ? (this.#coordinator.transactions.get(instance.id)?.verify({ id: producerId, epoch: producerEpoch }, of(partition)) ?? errors.invalidProducerIdMapping.code) : errors.notCoordinator.code
      if (verified !== 0) return this.#later(() => answered(verified))
    }
    const isLost = this.#chance(0.03)
    target.append(batch, partition === offsetsIndex ? 'coordinator' : 'client', (errorCode) => this.#later(() => answered(isLost && errorCode === 0 ? errors.notLeaderOrFollower.code : errorCode)))
  }

  // ---- groups: the value of the record is the offset

  #applyOffsets(partition: SimulatedPartition, batch: Batch): void {
    for (const { value } of recordsOf(batch)) {
      const [id, offset] = String(value).split(' ')
      const commit = { topic: id, partition: 0, offset: Number(offset), leaderEpoch: -1, metadata: '', commitTimestamp: 0, expireTimestamp: undefined }
      if (this.#bug === 'offsets applied before the marker') partition.committed.replay(commit, batch.baseOffset)
      else partition.committed.replayTransactional(batch.producerId, commit, batch.baseOffset)
    }
  }
  #loadOffsets(partition: SimulatedPartition): void {
    partition.committed = new CommittedOffsets()
    for (const batch of partition.batches)
      if (batch.isControl) partition.committed.transactionEnded(batch.producerId, controlTypeOf(recordsOf(batch)[0].key) === 1)
      else this.#applyOffsets(partition, batch)
  }

  // ---- producers

  /** A producer takes over the id; who had it until now does not know, and goes on. */
  #startInstance(id: string): void {
    const instance: Instance = { id, number: ++this.#instances, claim: undefined, sequences: new Map(), isTainted: false }
    this.#init(instance, 0)
  }
  #init(instance: Instance, tries: number): void {
    if (tries > 200) return
    this.#ask(instance.id, (ticket) => ({ kind: 'initProducerId', ticket, timeoutMs: transactionTimeoutMs, freshId: this.#nextProducerId++, now: this.#now }), (errorCode, producer) => {
      if (errorCode !== 0) return retriable.has(errorCode) && !this.#calm ? this.#init(instance, tries + 1) : undefined
      const key = `${producer!.id}/${producer!.epoch}`
      if (this.#granted.has(key)) throw new Violation(`producer ${key} was given to ${this.#granted.get(key)!.number} and ${instance.number}`)
      this.#granted.set(key, instance)
      instance.claim = producer
      const before = this.#current.get(instance.id)
      // Of two that begin at once the one with the higher epoch has it.
      if (!before?.claim || before.claim.id < producer!.id || (before.claim.id === producer!.id && before.claim.epoch < producer!.epoch)) this.#current.set(instance.id, instance)
      this.#begin(instance, 1)
    })
  }
  #begin(instance: Instance, number: number): void {
    if (this.#calm) return
    const attempt: Attempt = { key: `${instance.id}#${instance.number}#${number}`, id: instance.id }
    this.#attempts.set(attempt.key, attempt)
    const partitions = Array.from({ length: 1 + this.#random.below(dataPartitions) }, () => this.#random.below(dataPartitions))
    const steps: ((next: () => void, abort: () => void) => void)[] = []
    for (const partition of new Set(partitions)) {
      steps.push((next, abort) => this.#retrying(instance, abort, next, (answered) =>
        this.#ask(instance.id, (ticket) => ({ kind: 'addPartitions', ticket, producer: instance.claim!, partitions: [of(partition)], now: this.#now }), answered)))
      for (let count = 1 + this.#random.below(2); count > 0; count--) steps.push((next, abort) => this.#send(instance, partition, attempt.key, next, abort))
    }
    if (this.#random.chance(0.6)) {
      steps.push((next, abort) => this.#retrying(instance, abort, next, (answered) =>
        this.#ask(instance.id, (ticket) => ({ kind: 'addPartitions', ticket, producer: instance.claim!, partitions: [of(offsetsIndex)], now: this.#now }), answered)))
      steps.push((next, abort) => this.#commitOffset(instance, attempt, next, abort))
    }
    const end = (committed: boolean): void =>
      this.#retrying(instance, () => {}, () => this.#ended(instance, attempt, committed, number), (answered) => {
        const wasCurrent = this.#current.get(instance.id) === instance
        this.#ask(instance.id, (ticket) => ({ kind: 'end', ticket, producer: instance.claim!, committed, now: this.#now }), (errorCode) => {
          if (errorCode === 0 && !wasCurrent) throw new Violation(`producer ${instance.number} of ${instance.id} ended a transaction after ${this.#current.get(instance.id)?.number} had taken over`)
          answered(errorCode)
        })
      })
    const run = (place: number): void => {
      if (this.#chance(0.004)) return // It stops here; somebody else takes over.
      if (place === steps.length) end(this.#random.chance(0.7))
      else steps[place](() => run(place + 1), () => end(false))
    }
    run(0)
  }
  #ended(instance: Instance, attempt: Attempt, committed: boolean, number: number): void {
    attempt.told = committed ? 'committed' : 'aborted'
    if (committed) {
      this.summary.commits++
      this.#commitOrder.set(instance.id, [...(this.#commitOrder.get(instance.id) ?? []), attempt])
    } else this.summary.aborts++
    if (!instance.isTainted) this.#begin(instance, number + 1)
    else if (!this.#calm && this.#current.get(instance.id) === instance) this.#startInstance(instance.id)
  }
  /** Retries what may pass; a refusal ends the producer (fenced) or its transaction. */
  #retrying(instance: Instance, abort: () => void, done: () => void, attempt: (answered: (errorCode: number) => void) => void, tries = 0): void {
    attempt((errorCode) => {
      if (errorCode === 0) return done()
      if (errorCode === gaveUp) {
        instance.isTainted = true
        return abort()
      }
      if (retriable.has(errorCode) && tries < 100) return this.#later(() => this.#retrying(instance, abort, done, attempt, tries + 1))
      if (errorCode === errors.producerFenced.code || errorCode === errors.invalidProducerEpoch.code || errorCode === errors.invalidProducerIdMapping.code) {
        this.summary.fenced++
        if (this.#current.get(instance.id) === instance && !this.#calm) this.#startInstance(instance.id)
        return
      }
      // What was sent after a failure of another kind cannot be told from what was not: the sequence is lost, and with it the producer.
      if (this.#current.get(instance.id) === instance && !this.#calm) this.#startInstance(instance.id)
      else abort()
    })
  }
  #send(instance: Instance, partition: number, key: string, next: () => void, abort: () => void): void {
    const sequence = instance.sequences.get(partition) ?? 0
    instance.sequences.set(partition, sequence + 1)
    const { id: producerId, epoch: producerEpoch } = instance.claim!
    const bytes = encodeBatch([{ key: null, value: key }], { producerId, producerEpoch, baseSequence: sequence, isTransactional: true, timestamp: this.#now })
    this.#retrying(instance, abort, next, (answered) => this.#produce(instance, partition, bytes, answered))
  }
  #commitOffset(instance: Instance, attempt: Attempt, next: () => void, abort: () => void): void {
    const offset = this.#offsetOwners.size + 1
    this.#offsetOwners.set(offset, attempt)
    const { id: producerId, epoch: producerEpoch } = instance.claim!
    const bytes = encodeBatch([{ key: instance.id, value: `${instance.id} ${offset}` }], { producerId, producerEpoch, isTransactional: true, timestamp: this.#now })
    this.#retrying(instance, abort, () => {
      attempt.wroteOffset = offset
      next()
    }, (answered) => this.#produce(instance, offsetsIndex, bytes, answered))
  }

  // ---- what must hold

  #textOf(batch: Batch): string {
    let text = this.#texts.get(batch)
    if (text === undefined) this.#texts.set(batch, (text = String(recordsOf(batch)[0].value)))
    return text
  }

  /** Whatever is visible once stays visible, and nothing visible was aborted. */
  #look(): void {
    for (const partition of this.#partitions) {
      const upTo = this.#bug === 'LSO ahead' ? partition.highWatermark : partition.lastStableOffset
      if (partition.index === offsetsIndex) continue
      for (const batch of partition.readable(upTo)) {
        const key = this.#textOf(batch)
        if (this.#attempts.get(key)?.told === 'aborted') throw new Violation(`${key} was aborted and is visible in ${partition.index} at ${batch.baseOffset}`)
        this.#seen.set(`${key} ${partition.index} ${batch.baseOffset}`, key)
      }
    }
    const offsets = this.#partitions[offsetsIndex].committed
    for (const id of ids) {
      const offset = offsets.get({ topic: id, partition: 0 })?.offset
      if (offset === undefined) continue
      const owner = this.#offsetOwners.get(offset)!
      if (owner.told === 'aborted') throw new Violation(`offset ${offset} of ${id} belongs to ${owner.key}, which was aborted`)
      this.#seen.set(`offset ${offset}`, owner.key)
    }
  }
  #judge(): void {
    const { transactions } = this.#coordinator!
    for (const { id, value, isPending } of transactions.values())
      if (isPending || (value && !['Empty', 'CompleteCommit', 'CompleteAbort'].includes(value.state))) throw new Violation(`transaction of ${id} hangs in ${value?.state}`)
    const visible = new Map<string, number>()
    const written = new Map<string, number>()
    for (const partition of this.#partitions) {
      if (partition.lastStableOffset < partition.end) throw new Violation(`partition ${partition.index} is stable up to ${partition.lastStableOffset} of ${partition.end}: a transaction hangs`)
      if (partition.index === offsetsIndex) continue
      for (const batch of partition.batches) if (!batch.isControl) bump(written, this.#textOf(batch))
      for (const batch of partition.readable(partition.end)) bump(visible, this.#textOf(batch))
    }
    for (const [key, count] of written) {
      const shown = visible.get(key) ?? 0
      if (shown !== 0 && shown !== count) throw new Violation(`of ${count} records of ${key} ${shown} are visible`)
      const { told } = this.#attempts.get(key)!
      if (told === 'committed' && shown === 0) throw new Violation(`${key} was committed and is not visible`)
      if (told === 'aborted' && shown > 0) throw new Violation(`${key} was aborted and is visible`)
    }
    for (const [what, key] of this.#seen) if (!visible.has(key)) throw new Violation(`${what} was seen, and belongs to ${key}, which is not visible in the end`)
    for (const [id, attempts] of this.#commitOrder) {
      const last = attempts.findLast(({ wroteOffset }) => wroteOffset !== undefined)
      const offset = this.#partitions[offsetsIndex].committed.get({ topic: id, partition: 0 })?.offset ?? 0
      if (last && offset < last.wroteOffset!) throw new Violation(`${last.key} committed offset ${last.wroteOffset} of ${id}; ${offset} is what is left`)
    }
  }
}

const bump = (counts: Map<string, number>, key: string): void => void counts.set(key, (counts.get(key) ?? 0) + 1)
function markersOf(value: TransactionValue): { producer: ProducerClaim; committed: boolean; partitions: TopicPartition[] } {
  const partitions = [...value.partitions].flatMap(([topic, indexes]) => [...indexes].map((partition) => ({ topic, partition })))
  return { producer: { id: value.producerId, epoch: value.producerEpoch }, committed: value.state === 'PrepareCommit', partitions }
}
