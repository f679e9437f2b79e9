/**
 * What a partition knows of its idempotent and transactional producers (ProducerStateManager, ProducerAppendInfo): the last five
 * batches of each and some of earlier leaders, open transactions, and transactions that are decided but not yet below the high watermark. Pure.
 */
import type { Batch } from '../records/batch.ts'
import { controlRecordOf, controlType } from '../records/control.ts'
import { codes, refusal, type AppendFacts, type Refused } from './append.ts'
import type { SnapshotEntry } from './producer-snapshot.ts'

/** Batches remembered per producer; with more in flight a retry could not be told from new data. */
const batchesMax = 5
/**
 * And of those that were written under earlier leaders. Java's producer does not wait for what is on its way to the old leader before it writes to the new one:
 * the five there, which the new one has by replication, may be repeated after any number of later ones.
 */
const earlierMax = 10
const noEpoch = -1
const noSequence = -1

interface KnownBatch {
  firstSequence: number
  lastSequence: number
  firstOffset: number
  lastOffset: number
  timestamp: bigint
  /** −1 when a snapshot tells of it. */
  leaderEpoch: number
}
interface Producer {
  epoch: number
  batches: KnownBatch[]
  /** Before `batches`, and of earlier leader epochs than the batch that displaced them. */
  earlier: KnownBatch[] | undefined
  coordinatorEpoch: number
  lastTimestamp: bigint
  /** −1 without an open transaction. */
  transactionFirstOffset: number
}
export interface CompletedTransaction {
  producerId: number
  firstOffset: number
  /** The marker's offset. */
  lastOffset: number
  isAborted: boolean
}
export interface ProducerFacts {
  producerId: number
  producerEpoch: number
  lastSequence: number
  lastTimestamp: bigint
  coordinatorEpoch: number
  currentTransactionStartOffset: number
}
export interface DuplicateBatch {
  firstOffset: number
  lastOffset: number
  timestamp: bigint
}

type Origin = AppendFacts['origin']

export class ProducerState {
  readonly #producers = new Map<number, Producer>()
  /** First offsets of open transactions, in the order they began. */
  readonly #open: number[] = []
  /** Decided ones whose marker is not below the high watermark yet. */
  #unreplicated: CompletedTransaction[] = []
  /** Offset up to which this state speaks. */
  endOffset = 0

  get size(): number {
    return this.#producers.size
  }
  clear(): void {
    this.#producers.clear()
    this.#open.length = 0
    this.#unreplicated = []
  }

  /** The batch this one repeats, when the producer sent it before. */
  duplicateOf(producerId: number, epoch: number, baseSequence: number, lastSequence: number): DuplicateBatch | undefined {
    const producer = this.#producers.get(producerId)
    if (!producer || producer.epoch !== epoch) return undefined
    const { batches, earlier } = producer
    const isIt = (batch: KnownBatch): boolean => batch.firstSequence === baseSequence && batch.lastSequence === lastSequence
    const recent = batches.find(isIt)
    // Sequences come again after 2^31 records: one that is due is none of those of long ago.
    return recent ?? (earlier && !follows(batches[batches.length - 1].lastSequence, baseSequence) ? earlier.find(isIt) : undefined)
  }

  /** Whether a data batch may be appended; nothing changes. Sequences are checked for clients only. */
  check(batch: Batch, origin: Origin): Refused | undefined {
    const { producerId, producerEpoch, baseSequence } = batch
    const producer = this.#producers.get(producerId)
    if (!producer) return undefined
    if (producerEpoch < producer.epoch && origin !== 'replication')
      return refusal(codes.invalidProducerEpoch, `producer ${producerId} wrote with epoch ${producerEpoch}; its newest is ${producer.epoch}, so another instance has taken over`)
    if (origin === 'client') {
      const known = producer.batches[producer.batches.length - 1] as KnownBatch | undefined
      const last = known ? known.lastSequence : noSequence
      if (producerEpoch !== producer.epoch) {
        if (baseSequence !== 0 && producer.epoch !== noEpoch)
          return outOfOrder(`producer ${producerId} began epoch ${producerEpoch} with sequence ${baseSequence}; a new epoch begins with 0`, producerId, known)
      } else if (producer.epoch !== noEpoch && !follows(last, baseSequence))
        return outOfOrder(`producer ${producerId} sent sequence ${baseSequence}; ${last} was its last, so ${last < 0 || last === 0x7fff_ffff ? 0 : last + 1} must follow`, producerId, isAhead(last, baseSequence) ? known : undefined)
    }
    if (producer.transactionFirstOffset >= 0 && !batch.isTransactional)
      return refusal(codes.invalidTxnState, `producer ${producerId} wrote outside a transaction while one of its transactions is open since offset ${producer.transactionFirstOffset}`)
    return undefined
  }

  /** Whether a transaction marker may be appended. */
  checkMarker(batch: Batch, origin: Origin): Refused | undefined {
    const producer = this.#producers.get(batch.producerId)
    if (!producer || origin === 'replication') return undefined
    if (batch.producerEpoch < producer.epoch)
      return refusal(codes.invalidProducerEpoch, `a transaction marker for epoch ${batch.producerEpoch} of producer ${batch.producerId}; its newest is ${producer.epoch}`)
    const coordinatorEpoch = controlRecordOf(batch)?.coordinatorEpoch
    if (coordinatorEpoch !== undefined && coordinatorEpoch < producer.coordinatorEpoch)
      return refusal(codes.transactionCoordinatorFenced, `a transaction marker of coordinator epoch ${coordinatorEpoch}; ${producer.coordinatorEpoch} wrote before`)
    return undefined
  }

  /** Takes note of an appended batch whose offsets are set. Returns the transaction it completes, if one. */
  appended(batch: Batch): CompletedTransaction | undefined {
    const { producerId } = batch
    this.endOffset = batch.nextOffset
    if (producerId < 0) return undefined
    if (batch.isControl) return this.#appendedMarker(batch)
    const producer = this.#producer(producerId, batch.producerEpoch)
    const { baseOffset, lastOffset, maxTimestamp, partitionLeaderEpoch } = batch
    producer.batches.push({ firstSequence: batch.baseSequence, lastSequence: batch.lastSequence, firstOffset: baseOffset, lastOffset, timestamp: maxTimestamp, leaderEpoch: partitionLeaderEpoch })
    if (producer.batches.length > batchesMax) {
      const displaced = producer.batches.shift()!
      if (displaced.leaderEpoch < partitionLeaderEpoch) {
        producer.earlier ??= []
        producer.earlier.push(displaced)
        if (producer.earlier.length > earlierMax) producer.earlier.shift()
      }
    }
    producer.lastTimestamp = maxTimestamp
    if (batch.isTransactional && producer.transactionFirstOffset < 0) {
      producer.transactionFirstOffset = baseOffset
      this.#open.push(baseOffset)
    }
    return undefined
  }
  #appendedMarker(batch: Batch): CompletedTransaction | undefined {
    const record = controlRecordOf(batch)
    if (!record) {
      // Compaction may leave an empty control batch behind: all it says is that the producer had this epoch.
      this.#producer(batch.producerId, batch.producerEpoch).lastTimestamp = batch.maxTimestamp
      return undefined
    }
    const { type } = record
    if (type !== controlType.abort && type !== controlType.commit) return undefined
    const producer = this.#producer(batch.producerId, batch.producerEpoch)
    producer.coordinatorEpoch = record.coordinatorEpoch ?? producer.coordinatorEpoch
    producer.lastTimestamp = record.timestamp
    const firstOffset = producer.transactionFirstOffset
    producer.transactionFirstOffset = -1
    if (firstOffset < 0) return undefined
    return { producerId: batch.producerId, firstOffset, lastOffset: record.offset, isAborted: type === controlType.abort }
  }
  #producer(producerId: number, epoch: number): Producer {
    let producer = this.#producers.get(producerId)
    if (!producer) this.#producers.set(producerId, (producer = { epoch, batches: [], earlier: undefined, coordinatorEpoch: -1, lastTimestamp: -1n, transactionFirstOffset: -1 }))
    if (producer.epoch !== epoch) {
      producer.epoch = epoch
      producer.batches = []
      producer.earlier = undefined
    }
    return producer
  }

  /** The last stable offset once this transaction is done, whatever the high watermark. */
  lastStableOffsetAfter(completed: CompletedTransaction): number {
    const [first, second] = this.#open
    return (first === completed.firstOffset ? second : first) ?? completed.lastOffset + 1
  }
  complete(completed: CompletedTransaction): void {
    const at = this.#open.indexOf(completed.firstOffset)
    if (at >= 0) this.#open.splice(at, 1)
    this.#unreplicated.push(completed)
  }
  /** Transactions whose marker is below the high watermark hold nobody back any more. */
  replicatedTo(highWatermark: number): void {
    if (this.#unreplicated.length > 0) this.#unreplicated = this.#unreplicated.filter((completed) => completed.lastOffset >= highWatermark)
  }
  /** First offset of the earliest transaction that is open or not decided below the high watermark; undefined without. */
  get firstUnstableOffset(): number | undefined {
    let first: number | undefined = this.#open[0]
    for (const completed of this.#unreplicated) if (first === undefined || completed.firstOffset < first) first = completed.firstOffset
    return first
  }
  get firstOpenOffset(): number | undefined {
    return this.#open[0]
  }
  /** Whether the batch is the last of a producer that is known still; of one that is known by a marker alone, a marker of its epoch. */
  isLast({ producerId, producerEpoch, lastOffset, isControl }: Batch): boolean {
    const producer = producerId < 0 ? undefined : this.#producers.get(producerId)
    if (!producer) return false
    const last = producer.batches[producer.batches.length - 1] as KnownBatch | undefined
    return last ? last.lastOffset === lastOffset : isControl && producer.epoch === producerEpoch
  }

  /** Forgets producers silent for `expirationMs`; never one with an open transaction. Returns how many. */
  expire(now: number, expirationMs: number): number {
    const before = this.#producers.size
    for (const [producerId, producer] of this.#producers)
      if (producer.transactionFirstOffset < 0 && now - Number(producer.lastTimestamp) >= expirationMs) this.#producers.delete(producerId)
    return before - this.#producers.size
  }
  /** A raised log start ends transactions that were decided below it. */
  startsAt(logStartOffset: number): void {
    this.#unreplicated = this.#unreplicated.filter((completed) => completed.lastOffset >= logStartOffset)
    if (this.endOffset < logStartOffset) this.endOffset = logStartOffset
  }

  hasOpenTransaction(producerId: number, epoch: number): boolean {
    const producer = this.#producers.get(producerId)
    return producer !== undefined && producer.epoch === epoch && producer.transactionFirstOffset >= 0
  }
  describe(): ProducerFacts[] {
    return [...this.#producers].map(([producerId, producer]) => ({
      producerId,
      producerEpoch: producer.epoch,
      lastSequence: producer.batches.length === 0 ? -1 : producer.batches[producer.batches.length - 1].lastSequence,
      lastTimestamp: producer.lastTimestamp,
      coordinatorEpoch: producer.coordinatorEpoch,
      currentTransactionStartOffset: producer.transactionFirstOffset,
    }))
  }
  toSnapshot(): SnapshotEntry[] {
    return [...this.#producers].map(([producerId, producer]) => {
      const last = producer.batches[producer.batches.length - 1] as KnownBatch | undefined
      return {
        producerId,
        epoch: producer.epoch,
        lastSequence: last?.lastSequence ?? -1,
        lastOffset: last?.lastOffset ?? -1,
        offsetDelta: last ? last.lastOffset - last.firstOffset : 0,
        timestamp: producer.lastTimestamp,
        coordinatorEpoch: producer.coordinatorEpoch,
        currentTransactionFirstOffset: producer.transactionFirstOffset,
      }
    })
  }
  /** Replaces everything by a snapshot valid at `endOffset`. Producers expired by now are left out. */
  fromSnapshot(entries: readonly SnapshotEntry[], endOffset: number, now: number, expirationMs: number): void {
    this.clear()
    this.endOffset = endOffset
    const open = new Set<number>()
    for (const entry of entries) {
      const inTransaction = entry.currentTransactionFirstOffset >= 0
      if (!inTransaction && now - Number(entry.timestamp) >= expirationMs) continue
      this.#producers.set(entry.producerId, {
        epoch: entry.epoch,
        batches:
          entry.lastOffset < 0
            ? []
            : [
                {
                  firstSequence: firstSequenceOf(entry.lastSequence, entry.offsetDelta),
                  lastSequence: entry.lastSequence,
                  firstOffset: entry.lastOffset - entry.offsetDelta,
                  lastOffset: entry.lastOffset,
                  timestamp: entry.timestamp,
                  leaderEpoch: -1,
                },
              ],
        earlier: undefined,
        coordinatorEpoch: entry.coordinatorEpoch,
        lastTimestamp: entry.timestamp,
        transactionFirstOffset: entry.currentTransactionFirstOffset,
      })
      if (inTransaction) open.add(entry.currentTransactionFirstOffset)
    }
    for (const offset of Array.from(open).sort((a, b) => a - b)) this.#open.push(offset)
  }
}

/** `before`: the last known batch of the producer, where what is missing would come between the two. */
function outOfOrder(message: string, producerId: number, before: KnownBatch | undefined): Refused {
  const refused = refusal(codes.outOfOrderSequenceNumber, message)
  return before ? { ...refused, missing: { producerId, endOffset: before.lastOffset + 1 } } : refused
}
/** Whether `next` comes after what follows `last`, rather than again: by less than half of all sequences. */
const isAhead = (last: number, next: number): boolean => ((next - last - 1) & 0x7fff_ffff) < 0x4000_0000
/** Sequences wrap from 2^31−1 to 0. */
function follows(last: number, next: number): boolean {
  return next === last + 1 || (next === 0 && last === 0x7fff_ffff)
}
function firstSequenceOf(lastSequence: number, delta: number): number {
  const first = lastSequence - delta
  return first < 0 && lastSequence >= 0 ? first + 0x8000_0000 : first
}
