/**
 * How far a group has read: the last offset on record of each partition, those being appended, those of open transactions.
 * Later in the log wins: a commit applies only when its batch lies behind the one that set the current value.
 */

export interface TopicPartition {
  readonly topic: string
  readonly partition: number
}
export interface Commit extends TopicPartition {
  readonly offset: number
  /** Epoch of the partition's leader at that offset; −1 when the client did not say. */
  readonly leaderEpoch: number
  readonly metadata: string
  /** ms since 1970. */
  readonly commitTimestamp: number
  /** ms since 1970 from which the offset may go, when the client asked for a retention of its own; else undefined. */
  readonly expireTimestamp: number | undefined
}
interface Recorded extends Commit {
  /** Base offset of the batch in `__consumer_offsets`. */
  readonly recordOffset: number
}

// A topic's name has no '/', so the key is unambiguous.
const keyOf = ({ topic, partition }: TopicPartition) => `${partition}/${topic}`

export class CommittedOffsets {
  readonly #recorded = new Map<string, Recorded>()
  /** Commits (and removals) that are being appended: how many, by partition. */
  readonly #inFlight = new Map<string, number>()
  /** Of open transactions, by producer id; a record offset of −1 while being appended. */
  readonly #transactional = new Map<number, Map<string, Recorded>>()

  get size(): number {
    return this.#recorded.size
  }
  /** Nothing on record, nothing under way. */
  get isEmpty(): boolean {
    return this.#recorded.size === 0 && this.#inFlight.size === 0 && this.#transactional.size === 0
  }
  get hasPending(): boolean {
    return this.#inFlight.size > 0 || this.#transactional.size > 0
  }
  get(of: TopicPartition): Commit | undefined {
    return this.#recorded.get(keyOf(of))
  }
  [Symbol.iterator](): MapIterator<Commit> {
    return this.#recorded.values()
  }
  /** A commit of the partition is being appended or belongs to an open transaction (KIP-447's unstable offset). */
  isUnstable(of: TopicPartition): boolean {
    const key = keyOf(of)
    if (this.#inFlight.has(key)) return true
    for (const offsets of this.#transactional.values()) if (offsets.has(key)) return true
    return false
  }
  isInFlight(of: TopicPartition): boolean {
    return this.#inFlight.has(keyOf(of))
  }

  began(partitions: readonly TopicPartition[]): void {
    for (const of of partitions) this.#inFlight.set(keyOf(of), (this.#inFlight.get(keyOf(of)) ?? 0) + 1)
  }
  ended(partitions: readonly TopicPartition[]): void {
    for (const of of partitions) {
      const left = (this.#inFlight.get(keyOf(of)) ?? 0) - 1
      if (left > 0) this.#inFlight.set(keyOf(of), left)
      else this.#inFlight.delete(keyOf(of))
    }
  }

  /** A commit is on record. */
  replay(commit: Commit, recordOffset: number): void {
    const key = keyOf(commit)
    const current = this.#recorded.get(key)
    if (current === undefined || current.recordOffset <= recordOffset) this.#recorded.set(key, { ...commit, recordOffset })
  }
  /** A tombstone is on record. */
  replayRemoval(of: TopicPartition, recordOffset: number): void {
    const current = this.#recorded.get(keyOf(of))
    if (current !== undefined && current.recordOffset <= recordOffset) this.#recorded.delete(keyOf(of))
  }

  transactionBegan(producerId: number, commits: readonly Commit[]): void {
    for (const commit of commits) this.#transaction(producerId).set(keyOf(commit), { ...commit, recordOffset: -1 })
  }
  transactionFailed(producerId: number, commits: readonly Commit[]): void {
    const offsets = this.#transactional.get(producerId)
    if (!offsets) return
    for (const commit of commits) if (offsets.get(keyOf(commit))?.recordOffset === -1) offsets.delete(keyOf(commit))
    if (offsets.size === 0) this.#transactional.delete(producerId)
  }
  replayTransactional(producerId: number, commit: Commit, recordOffset: number): void {
    this.#transaction(producerId).set(keyOf(commit), { ...commit, recordOffset })
  }
  replayTransactionalRemoval(producerId: number, of: TopicPartition): void {
    const offsets = this.#transactional.get(producerId)
    offsets?.delete(keyOf(of))
    if (offsets?.size === 0) this.#transactional.delete(producerId)
  }
  /** The marker of the producer's transaction is on record. */
  transactionEnded(producerId: number, committed: boolean): void {
    const offsets = this.#transactional.get(producerId)
    this.#transactional.delete(producerId)
    if (!committed || !offsets) return
    for (const { recordOffset, ...commit } of offsets.values()) if (recordOffset >= 0) this.replay(commit, recordOffset)
  }
  #transaction(producerId: number): Map<string, Recorded> {
    let offsets = this.#transactional.get(producerId)
    if (!offsets) this.#transactional.set(producerId, (offsets = new Map()))
    return offsets
  }
  /** The group is being deleted: what open transactions would commit to it goes with it. */
  forgetTransactions(): void {
    this.#transactional.clear()
  }
  /** The partitions are gone: what open transactions hold for them will never be wanted. */
  forgetTransactional(partitions: readonly TopicPartition[]): void {
    for (const [producerId, offsets] of this.#transactional) {
      for (const of of partitions) offsets.delete(keyOf(of))
      if (offsets.size === 0) this.#transactional.delete(producerId)
    }
  }
}
