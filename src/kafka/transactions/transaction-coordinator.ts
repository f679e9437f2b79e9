/**
 * The driver of the transactional ids whose partition of `__transaction_state` this broker leads: loads and unloads partitions, hands
 * requests to ids, appends what they want on record, sends their markers, resolves the waiting requests.
 */
import type { Host, Logger, Timer } from '../../host/host.ts'
import type { RequestOf, ResponseTo } from '../protocol/api.ts'
import type { DescribeTransactions } from '../protocol/describe-transactions.ts'
import { errors } from '../protocol/errors.ts'
import type { ListTransactions } from '../protocol/list-transactions.ts'
import { batchesIn } from '../records/decode.ts'
import type { MarkerChannel } from './marker-channel.ts'
import type { Input, Output, ProducerClaim } from './steps.ts'
import type { Transaction } from './transaction.ts'
import type { TransactionConfig } from './transaction-config.ts'
import { fitsRecord, TransactionRecords } from './transaction-records.ts'
import { stateNames, type StateName, type TopicPartition } from './transaction-state.ts'
import type { TransactionStorage } from './transaction-storage.ts'
import { TransactionsPartition } from './transactions-partition.ts'

export interface TransactionCoordinatorOptions {
  readonly config: TransactionConfig
  readonly storage: TransactionStorage
  readonly markers: MarkerChannel
  /** Producer ids that nobody has; undefined when there is none to be had now. */
  readonly producerIds: { take(): Promise<number | undefined> }
  /** Partition of `__transaction_state` of a transactional id. */
  readonly partitionFor: (transactionalId: string) => number
}
export interface InitializedProducer {
  readonly errorCode: number
  /** −1, −1 after an error. */
  readonly producer: ProducerClaim
}
type Answer = Extract<Output, { kind: 'answered' }>
type Description = ResponseTo<typeof DescribeTransactions>['transactionStates'][number]

/** Ids or batches handled before the loop gets its turn. */
const sliceCount = 500
/** A partition that could not be read is tried again after this long. */
const loadRetryMs = 1_000
/** Markers, and the record that all are written, are tried again after this long. */
const markerRetryMs = 100
/** So long new partitions wait for the end of the transaction before, rather than that the client asks again 20 ms later. */
const patienceMs = 100
/** The longest a timer of Node can be. */
const timerMsMax = 0x7fff_ffff
const noProducer: ProducerClaim = { id: -1, epoch: -1 }

export class TransactionCoordinator {
  readonly #host: Host
  readonly #logger: Logger
  readonly #options: TransactionCoordinatorOptions
  readonly #records = new TransactionRecords()
  readonly #partitions = new Map<number, TransactionsPartition>()
  /** The newest leader epoch heard of for each partition: an older election or resignation changes nothing. */
  readonly #epochs = new Map<number, number>()
  /** Who waits for an answer, at the place that is its ticket; free places. Lists, which leave nothing behind for the garbage collector. */
  readonly #waiting: (((answer: Answer) => void) | undefined)[] = []
  readonly #freeTickets: number[] = []
  readonly #loads = new Set<Promise<void>>()
  readonly #retries = new Set<Timer>()
  /** Who waits until the id is no longer busy: one at most, as a producer has one such request under way. */
  readonly #patient = new Map<Transaction, () => void>()
  #periodic: Timer[] = []
  #active = false

  constructor(host: Host, options: TransactionCoordinatorOptions) {
    this.#host = host
    this.#logger = host.logger.named('kafka.transactions')
    this.#options = options
  }

  /** Begins to answer; until then every request gets COORDINATOR_NOT_AVAILABLE. */
  start(): void {
    if (this.#active) return
    this.#active = true
    const { config } = this.#options
    this.#periodic = [
      this.#host.timers.every(Math.min(config.timeoutCheckIntervalMs, timerMsMax), () => void this.abortOutOfTime()),
      this.#host.timers.every(Math.min(config.expiryCheckIntervalMs, timerMsMax), () => void this.expireIds()),
    ]
  }
  /** Waiting requests are answered NOT_COORDINATOR, later ones COORDINATOR_NOT_AVAILABLE. */
  async stop(): Promise<void> {
    this.#active = false
    for (const timer of [...this.#periodic, ...this.#retries]) timer.cancel()
    this.#periodic = []
    this.#retries.clear()
    for (const partition of this.#partitions.values()) this.#unload(partition)
    await Promise.all(this.#loads)
  }

  // ---- leadership

  /** This broker leads the partition from now on; resolves when its ids are loaded or the leadership is gone again. */
  elected(index: number, leaderEpoch: number): Promise<void> {
    if (leaderEpoch < (this.#epochs.get(index) ?? -1)) return Promise.resolve()
    this.#epochs.set(index, leaderEpoch)
    // Led already, and led on (the partition was reassigned, say): what is in memory is what is on record. Markers go on bearing the epoch in which it was taken over, as Apache's do.
    if (this.#partitions.has(index)) return Promise.resolve()
    const partition = new TransactionsPartition(index, leaderEpoch, this.#records)
    this.#partitions.set(index, partition)
    const load = this.#load(partition)
    this.#loads.add(load)
    return load.finally(() => this.#loads.delete(load))
  }
  /** This broker does not lead the partition any more. Without an epoch (the partition is being deleted) it always counts. */
  resigned(index: number, leaderEpoch?: number): void {
    if (leaderEpoch !== undefined) {
      if (leaderEpoch < (this.#epochs.get(index) ?? -1)) return
      this.#epochs.set(index, leaderEpoch)
    } else this.#epochs.delete(index)
    const partition = this.#partitions.get(index)
    if (partition) this.#unload(partition)
  }

  async #load(partition: TransactionsPartition): Promise<void> {
    const since = this.#host.clock.monotonic()
    const name = `__transaction_state-${partition.index}`
    let offset: number | undefined
    let replayed = 0
    while (this.#isCurrent(partition)) {
      try {
        const bytes = await this.#options.storage.read(partition.index, offset, this.#options.config.loadBufferSize)
        if (!this.#isCurrent(partition)) return
        if (bytes.length === 0) return this.#loaded(partition, since)
        for (const batch of batchesIn(bytes)) {
          partition.replay(batch, { unreadable: (at, error) => this.#logger.warn('record passed over: it cannot be read', { partition: name, offset: at, error }) })
          offset = batch.nextOffset
          if (++replayed % sliceCount === 0) {
            await this.#turn()
            if (!this.#isCurrent(partition)) return
          }
        }
      } catch (error) {
        // Serving what was read so far would forget who is fenced: rather keep producers waiting.
        this.#logger.error('transactions not loaded yet; trying again', { partition: name, offset, error })
        await this.#host.timers.sleep(loadRetryMs)
      }
    }
  }
  #loaded(partition: TransactionsPartition, since: number): void {
    partition.loading = false
    const ids = partition.transactions.size
    // Fifty partitions that hold nothing are not worth fifty lines.
    this.#logger[ids > 0 ? 'info' : 'debug']('transactions loaded', {
      partition: `__transaction_state-${partition.index}`, epoch: partition.leaderEpoch, ids, ms: Math.round(this.#host.clock.monotonic() - since),
    })
    for (const transaction of partition.transactions.values()) this.#step(partition, transaction, { kind: 'loaded' })
  }
  #unload(partition: TransactionsPartition): void {
    this.#partitions.delete(partition.index)
    for (const transaction of partition.transactions.values()) this.#step(partition, transaction, { kind: 'unloaded', errorCode: errors.notCoordinator.code })
    this.#logger[partition.transactions.size > 0 ? 'info' : 'debug']('transactions unloaded', { partition: `__transaction_state-${partition.index}`, ids: partition.transactions.size })
    partition.transactions.clear()
  }
  #isCurrent(partition: TransactionsPartition): boolean {
    return this.#partitions.get(partition.index) === partition
  }

  // ---- requests of producers

  /** A null id: a producer that is idempotent alone. `expected`: who the producer believes to be (KIP-360). */
  async initProducerId(transactionalId: string | null, timeoutMs: number, expected?: ProducerClaim): Promise<InitializedProducer> {
    const refused = (errorCode: number): InitializedProducer => ({ errorCode, producer: noProducer })
    if (transactionalId === null) {
      const id = await this.#options.producerIds.take()
      return id === undefined ? refused(errors.coordinatorLoadInProgress.code) : { errorCode: 0, producer: { id, epoch: 0 } }
    }
    let found = this.#find(transactionalId)
    if (typeof found === 'number') return refused(found)
    if (timeoutMs <= 0 || timeoutMs > this.#options.config.timeoutMsMax) return refused(errors.invalidTransactionTimeout.code)
    let freshId: number | undefined
    if (found.transactions.get(transactionalId)?.needsProducerId ?? true) {
      freshId = await this.#options.producerIds.take()
      if (freshId === undefined) return refused(errors.coordinatorLoadInProgress.code)
      // The partition may have left while the producer id was fetched.
      found = this.#find(transactionalId)
      if (typeof found === 'number') return refused(found)
    }
    const answer = await this.#ask(found, found.transactionOf(transactionalId), (ticket) => ({
      kind: 'initProducerId', ticket, timeoutMs, now: this.#host.clock.now(), ...(expected && { expected }), ...(freshId !== undefined && { freshId }),
    }))
    return { errorCode: answer.errorCode, producer: answer.producer ?? noProducer }
  }

  /** The partitions become part of the producer's transaction, which begins with the first. */
  async addPartitions(transactionalId: string, producer: ProducerClaim, partitions: readonly TopicPartition[]): Promise<number> {
    const until = this.#host.clock.monotonic() + patienceMs
    for (;;) {
      const errorCode = await this.#askKnown(transactionalId, (ticket) => ({ kind: 'addPartitions', ticket, producer, partitions, now: this.#host.clock.now() }))
      const left = until - this.#host.clock.monotonic()
      if (errorCode !== errors.concurrentTransactions.code || left <= 0 || !(await this.#settled(transactionalId, left))) return errorCode
    }
  }
  /** Resolves when the decision is on record; the markers follow. */
  async end(transactionalId: string, producer: ProducerClaim, { committed }: { committed: boolean }): Promise<number> {
    return this.#askKnown(transactionalId, (ticket) => ({ kind: 'end', ticket, producer, committed, now: this.#host.clock.now() }))
  }
  /** Whether the producer may write to the partition as part of its transaction (KIP-890): an error code, or 0. */
  verify(transactionalId: string, producer: ProducerClaim, partition: TopicPartition): number {
    const found = this.#find(transactionalId)
    if (typeof found === 'number') return found
    return found.transactions.get(transactionalId)?.verify(producer, partition) ?? errors.invalidProducerIdMapping.code
  }

  // ---- time

  /** Aborts what is out of time; runs by itself every `transaction.abort.timed.out.transaction.cleanup.interval.ms`. */
  async abortOutOfTime(): Promise<void> {
    await this.#stepAll(() => ({ kind: 'ticked', now: this.#host.clock.now() }))
  }
  /** Forgets ids unused for long; runs by itself every `transaction.remove.expired.transaction.cleanup.interval.ms`. */
  async expireIds(): Promise<void> {
    await this.#stepAll(() => ({ kind: 'expired', unusedMsMax: this.#options.config.idExpirationMs, now: this.#host.clock.now() }))
  }
  async #stepAll(inputOf: () => Input): Promise<void> {
    let seen = 0
    for (const partition of this.#partitions.values()) {
      if (partition.loading) continue
      for (const transaction of partition.transactions.values()) {
        if (!this.#isCurrent(partition)) break
        this.#step(partition, transaction, inputOf())
        if (++seen % sliceCount === 0) await this.#turn()
      }
    }
  }

  // ---- what administrators see

  describe(transactionalId: string): Description {
    const nothing = { transactionalId, transactionState: '', transactionTimeoutMs: 0, transactionStartTimeMs: 0n, producerId: 0, producerEpoch: 0, topics: [] }
    const found = this.#find(transactionalId)
    if (typeof found === 'number') return { ...nothing, errorCode: found }
    const value = found.transactions.get(transactionalId)?.value
    if (!value) return { ...nothing, errorCode: errors.transactionalIdNotFound.code }
    return {
      errorCode: 0, transactionalId, transactionState: value.state, transactionTimeoutMs: value.timeoutMs, transactionStartTimeMs: BigInt(value.startMs),
      producerId: value.producerId, producerEpoch: value.producerEpoch,
      topics: [...value.partitions].map(([topic, indexes]) => ({ topic, partitions: [...indexes] })),
    }
  }
  list({ stateFilters, producerIdFilters, durationFilter }: RequestOf<typeof ListTransactions>): ResponseTo<typeof ListTransactions> {
    const nothing = { throttleTimeMs: 0, unknownStateFilters: [], transactionStates: [] }
    if (!this.#active) return { ...nothing, errorCode: errors.coordinatorNotAvailable.code }
    if ([...this.#partitions.values()].some(({ loading }) => loading)) return { ...nothing, errorCode: errors.coordinatorLoadInProgress.code }
    const isState = (name: string): name is StateName => (stateNames as readonly string[]).includes(name)
    const states = new Set(stateFilters.filter(isState))
    const producerIds = new Set(producerIdFilters)
    const now = this.#host.clock.now()
    const transactionStates = []
    for (const { transactions } of this.#partitions.values())
      for (const { id, value } of transactions.values()) {
        if (!value || (stateFilters.length > 0 && !states.has(value.state)) || (producerIds.size > 0 && !producerIds.has(value.producerId))) continue
        if (durationFilter >= 0n && BigInt(now - value.startMs) <= durationFilter) continue
        transactionStates.push({ transactionalId: id, producerId: value.producerId, transactionState: value.state })
      }
    return { throttleTimeMs: 0, errorCode: 0, unknownStateFilters: stateFilters.filter((name) => !isState(name)), transactionStates }
  }

  // ---- performing

  /** The loaded partition of the id, or why there is none here. */
  #find(transactionalId: string): TransactionsPartition | number {
    if (transactionalId === '' || !fitsRecord(transactionalId)) return errors.invalidRequest.code
    if (!this.#active) return errors.coordinatorNotAvailable.code
    const partition = this.#partitions.get(this.#options.partitionFor(transactionalId))
    if (!partition) return errors.notCoordinator.code
    return partition.loading ? errors.coordinatorLoadInProgress.code : partition
  }
  async #askKnown(transactionalId: string, inputOf: (ticket: number) => Input): Promise<number> {
    const found = this.#find(transactionalId)
    if (typeof found === 'number') return found
    const transaction = found.transactions.get(transactionalId)
    if (!transaction) return errors.invalidProducerIdMapping.code
    return (await this.#ask(found, transaction, inputOf)).errorCode
  }
  /** Resolves when the id is no longer busy, or after `ms`; false at once when somebody else waits for that. */
  #settled(transactionalId: string, ms: number): Promise<boolean> {
    const found = this.#find(transactionalId)
    const transaction = typeof found === 'number' ? undefined : found.transactions.get(transactionalId)
    if (!transaction?.isBusy) return Promise.resolve(true)
    if (this.#patient.has(transaction)) return Promise.resolve(false)
    return new Promise((resolve) => {
      const done = (): void => {
        timer.cancel()
        this.#patient.delete(transaction)
        resolve(true)
      }
      const timer = this.#host.timers.set(ms, done)
      this.#patient.set(transaction, done)
    })
  }
  #ask(partition: TransactionsPartition, transaction: Transaction, inputOf: (ticket: number) => Input): Promise<Answer> {
    const ticket = this.#freeTickets.pop() ?? this.#waiting.length
    return new Promise((resolve) => {
      this.#waiting[ticket] = resolve
      this.#step(partition, transaction, inputOf(ticket))
    })
  }
  #step(partition: TransactionsPartition, transaction: Transaction, input: Input): void {
    for (const output of transaction.step(input))
      switch (output.kind) {
        case 'answered': {
          const resolve = this.#waiting[output.ticket]
          if (!resolve) break
          this.#waiting[output.ticket] = undefined
          this.#freeTickets.push(output.ticket)
          resolve(output)
          break
        }
        case 'persist': this.#persist(partition, transaction, output); break
        case 'writeMarkers': this.#writeMarkers(partition, transaction, output); break
        case 'retrySoon': this.#retrySoon(partition, transaction); break
        case 'noted': this.#logger[output.level](output.event, output.facts); break
        default: output satisfies never
      }
    if (!transaction.isBusy) this.#patient.get(transaction)?.()
    if (transaction.isVoid && partition.transactions.get(transaction.id) === transaction) partition.transactions.delete(transaction.id)
  }
  #persist(partition: TransactionsPartition, transaction: Transaction, { value }: Extract<Output, { kind: 'persist' }>): void {
    const now = this.#host.clock.now()
    const batch = this.#records.encode(transaction.id, value, now)
    const timeoutMs = (value ?? transaction.value)?.timeoutMs ?? this.#options.config.timeoutMsMax
    void this.#options.storage.append(partition.index, batch, timeoutMs).then(({ errorCode }) => {
      if (this.#isCurrent(partition)) this.#step(partition, transaction, { kind: 'persisted', errorCode, now: this.#host.clock.now() })
    })
  }
  #writeMarkers(partition: TransactionsPartition, transaction: Transaction, { producer, committed, partitions }: Extract<Output, { kind: 'writeMarkers' }>): void {
    void this.#options.markers.write({ producer, committed, coordinatorEpoch: partition.leaderEpoch }, partitions).then((outcomes) => {
      if (this.#isCurrent(partition)) this.#step(partition, transaction, { kind: 'markersWritten', outcomes, now: this.#host.clock.now() })
    })
  }
  #retrySoon(partition: TransactionsPartition, transaction: Transaction): void {
    const timer = this.#host.timers.set(markerRetryMs, () => {
      this.#retries.delete(timer)
      if (this.#isCurrent(partition)) this.#step(partition, transaction, { kind: 'retried', now: this.#host.clock.now() })
    })
    this.#retries.add(timer)
  }
  #turn(): Promise<void> {
    return new Promise((resolve) => this.#host.timers.endOfTurn(resolve))
  }
}
