/** The transactions committed last, as every member of an ensemble keeps them: what a learner that was away for a moment is sent. */

export interface CommittedTransaction {
  readonly zxid: bigint
  /** The log's entry. */
  readonly bytes: Buffer
}

export class CommittedLog {
  readonly #countMax: number
  #entries: CommittedTransaction[] = []

  /** `countMax`: `commitLogCount`, 500 unless configured. */
  constructor(countMax = 500) {
    this.#countMax = countMax
  }
  get entries(): readonly CommittedTransaction[] {
    return this.#entries
  }
  add(transaction: CommittedTransaction): void {
    this.#entries.push(transaction)
    // Cut seldom: an array that loses its first element with each commit would be moved each time.
    if (this.#entries.length > this.#countMax * 2) this.#entries = this.#entries.slice(-this.#countMax)
  }
  /** What was committed before a snapshot or a truncation is no history of this server's any more. */
  clear(): void {
    this.#entries = []
  }
}
