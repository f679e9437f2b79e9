/** One partition of `__transaction_state` that this broker leads: its transactional ids, and how their records are read. */
import type { Batch } from '../records/batch.ts'
import { recordsOf } from '../records/decode.ts'
import { Transaction } from './transaction.ts'
import type { TransactionRecords } from './transaction-records.ts'

export interface LoadNotes {
  /** A record that could not be read was passed over. */
  unreadable(offset: number, error: unknown): void
}

export class TransactionsPartition {
  readonly index: number
  readonly transactions = new Map<string, Transaction>()
  readonly #records: TransactionRecords
  /** In which this broker began to lead it; later ones in which it leads on change nothing. */
  readonly leaderEpoch: number
  loading = true

  constructor(index: number, leaderEpoch: number, records: TransactionRecords) {
    this.index = index
    this.leaderEpoch = leaderEpoch
    this.#records = records
  }

  /** The transactional id, made if nobody knows it. */
  transactionOf(id: string): Transaction {
    let transaction = this.transactions.get(id)
    if (!transaction) this.transactions.set(id, (transaction = new Transaction(id)))
    return transaction
  }

  /** Applies one batch of the log: the latest record of an id wins. */
  replay(batch: Batch, notes: LoadNotes): void {
    if (batch.isControl) return
    for (const { key, value, offset } of recordsOf(batch)) {
      try {
        if (key === null) continue
        const id = this.#records.readKey(key)
        if (value === null) this.transactions.delete(id)
        else this.transactionOf(id).replay(this.#records.readValue(value))
      } catch (error) {
        notes.unreadable(offset, error)
      }
    }
  }
}
