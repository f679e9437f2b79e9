/** Walks a log in order and tells the batches of aborted transactions from the others (CleanedTransactionMetadata). */
import type { Batch } from '../records/batch.ts'
import { controlType, controlTypeOf } from '../records/control.ts'
import { recordsOf } from '../records/decode.ts'
import type { Segment } from './segment.ts'
import type { AbortedTransaction } from './transaction-index.ts'

export class AbortedBatches {
  /** Those still to come, by first offset. */
  readonly #coming: AbortedTransaction[]
  readonly #aborted = new Map<number, { entry: AbortedTransaction; seen: boolean }>()
  readonly #committed = new Set<number>()

  constructor(segments: readonly Segment[], from: number, to: number) {
    this.#coming = segments
      .flatMap((segment) => segment.txnIndex.entries)
      .filter((entry) => entry.lastOffset >= from && entry.firstOffset < to)
      .sort((a, b) => a.firstOffset - b.firstOffset)
  }
  #begin(offset: number): void {
    while (this.#coming.length > 0 && this.#coming[0].firstOffset <= offset) {
      const entry = this.#coming.shift()!
      this.#aborted.set(entry.producerId, { entry, seen: false })
    }
  }
  /** Whether a data batch belongs to an aborted transaction. */
  holds(batch: Batch): boolean {
    this.#begin(batch.lastOffset)
    if (!batch.isTransactional) return false
    const aborted = this.#aborted.get(batch.producerId)
    if (aborted) aborted.seen = true
    else this.#committed.add(batch.producerId)
    return aborted !== undefined
  }
  /** `isDone`: no batch of the marker's transaction was met, so that it marks nothing any more. `aborted`: the entry that stays in the index. */
  marker(batch: Batch): { isDone: boolean; aborted?: AbortedTransaction } {
    this.#begin(batch.lastOffset)
    const record = recordsOf(batch)[0]
    if (!record) return { isDone: true }
    const { producerId } = batch
    if (controlTypeOf(record.key) === controlType.abort) {
      const aborted = this.#aborted.get(producerId)
      this.#aborted.delete(producerId)
      return aborted?.seen ? { isDone: false, aborted: aborted.entry } : { isDone: true }
    }
    if (controlTypeOf(record.key) === controlType.commit) return { isDone: !this.#committed.delete(producerId) }
    return { isDone: false }
  }
}
