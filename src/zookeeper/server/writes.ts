/**
 * The way of a write in a server that is alone: prepared at once, logged together with all the others of the same turn of the loop, applied when the log is
 * durable, answered then. The next ones are prepared and gathered meanwhile.
 */
import type { Clock, Timers } from '../../host/host.ts'
import { encodeTransaction, type Transaction } from '../protocol/transactions.ts'
import { Writer } from '../../wire/writer.ts'
import type { Preparation, WriteRequest } from '../znodes/prepare.ts'
import type { TransactionStore } from '../znodes/store.ts'
import type { ZnodeTree } from '../znodes/tree.ts'
import type { WhenApplied, WritePath } from './write-path.ts'

/** So many writes do not wait for the end of a turn: they are on their way to the device while the rest of the turn is prepared. */
const groupMin = 128

interface Submitted {
  readonly transaction: Transaction
  readonly whenApplied: WhenApplied | undefined
}

export class Writes implements WritePath {
  readonly #clock: Clock
  readonly #timers: Timers
  readonly #tree: ZnodeTree
  readonly #preparation: Preparation
  readonly #store: TransactionStore
  readonly #onBatch: (count: number) => void
  readonly #onFailure: (error: unknown) => void
  readonly #writer = new Writer(16_384)
  #gathering: Submitted[] = []
  #scheduled = false
  #flushing = false
  #failed = false
  #idle: (() => void)[] = []

  /**
   * `onBatch`: after each batch of answers. `onFailure`: once, when the log could not be written: nothing is applied or answered
   * from then on.
   */
  constructor(facts: {
    clock: Clock; timers: Timers; tree: ZnodeTree; preparation: Preparation; store: TransactionStore; onBatch: (count: number) => void; onFailure: (error: unknown) => void
  }) {
    this.#clock = facts.clock
    this.#timers = facts.timers
    this.#tree = facts.tree
    this.#preparation = facts.preparation
    this.#store = facts.store
    this.#onBatch = facts.onBatch
    this.#onFailure = facts.onFailure
  }

  get outstanding(): number {
    return this.#preparation.outstanding
  }
  /** Prepares and queues; a refused write is logged and answered like any other. */
  submit(request: WriteRequest, whenApplied?: WhenApplied): void {
    if (this.#failed) return
    const transaction = this.#preparation.prepare(request, this.#clock.now())
    this.#store.append({ zxid: transaction.header.zxid, bytes: encodeTransaction(transaction, this.#writer) })
    this.#gathering.push({ transaction, whenApplied })
    if (this.#flushing) return
    if (this.#gathering.length >= groupMin) return void this.#flush()
    if (this.#scheduled) return
    this.#scheduled = true
    this.#timers.endOfTurn(() => {
      this.#scheduled = false
      void this.#flush()
    })
  }
  /** Resolves when everything submitted so far is answered, or the log has failed. */
  drained(): Promise<void> {
    if (this.#failed || (!this.#flushing && this.#gathering.length === 0)) return Promise.resolve()
    return new Promise((done) => this.#idle.push(done))
  }

  async #flush(): Promise<void> {
    if (this.#flushing) return
    this.#flushing = true
    try {
      while (this.#gathering.length > 0) {
        const batch = this.#gathering
        this.#gathering = []
        await this.#store.flushed()
        for (const { transaction, whenApplied } of batch) {
          const applied = this.#tree.apply(transaction)
          whenApplied?.applied(applied, transaction)
        }
        this.#preparation.appliedUpTo(batch[batch.length - 1].transaction.header.zxid)
        this.#store.applied(batch.length)
        this.#onBatch(batch.length)
      }
    } catch (error) {
      this.#failed = true
      this.#onFailure(error)
    } finally {
      this.#flushing = false
      const waiting = this.#idle
      this.#idle = []
      for (const done of waiting) done()
    }
  }
}
