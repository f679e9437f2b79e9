/** The way of a write, whatever part this server plays: alone, leading or following. */
import type { Transaction } from '../protocol/transactions.ts'
import type { WriteRequest } from '../znodes/prepare.ts'
import type { Applied } from '../znodes/tree.ts'

/** Who waits for a write. Thousands do at a time: an object of theirs that is there anyway costs less than a function made for each. */
export interface WhenApplied {
  /** Called once, right after the transaction has been applied here; nothing later has been applied yet. */
  applied(applied: Applied, transaction: Transaction): void
}

export interface WritePath {
  readonly outstanding: number
  /** In the order of the calls. A refused write is a transaction, and answered, like any other. */
  submit(request: WriteRequest, whenApplied?: WhenApplied): void
  /** Where this server does not decide itself: `then` is called when all that was decided before the call is applied here. */
  sync?(request: WriteRequest, then: () => void): void
  /** An error code for what the leader must not be bothered with; undefined: submit it. */
  refusalOf?(type: number, body: Buffer): number | undefined
  /** Resolves when everything submitted so far is answered, or never will be. */
  drained(): Promise<void>
}
