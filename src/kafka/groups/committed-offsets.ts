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
/** One object of one shape for each, as there may be millions. */
class Recorded implements Commit {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly leaderEpoch: number
  readonly metadata: string
  readonly commitTimestamp: number
  readonly expireTimestamp: number | undefined
  /** Base offset of the batch in `__consumer_offsets`. */
  readonly recordOffset: number
  constructor({ topic, partition, offset, leaderEpoch, metadata, commitTimestamp, expireTimestamp }: Commit, recordOffset: number) {
    this.topic = topic
    this.partition = partition
    this.offset = offset
    this.leaderEpoch = leaderEpoch
    this.metadata = metadata
    this.commitTimestamp = commitTimestamp
    this.expireTimestamp = expireTimestamp
    this.recordOffset = recordOffset
  }
}

// A topic's name has no '/', so the key is unambiguous.
const keyOf = ({ topic, partition }: TopicPartition) => `${partition}/${topic}`

export class CommittedOffsets {
  /** By topic and partition. */
  readonly #recorded = new Map<string, Map<number, Recorded>>()
  #size = 0
  /** Commits (and removals) that are being appended: how many, by partition. */
  readonly #inFlight = new Map<string, number>()
  /** Of open transactions, by producer id; a record offset of −1 while being appended. */
  readonly #transactional = new Map<number, Map<string, Recorded>>()

  get size(): number {
    return this.#size
  }
  /** Nothing on record, nothing under way. */
  get isEmpty(): boolean {
    return this.#size === 0 && this.#inFlight.size === 0 && this.#transactional.size === 0
  }
  get hasPending(): boolean {
    return this.#inFlight.size > 0 || this.#transactional.size > 0
  }
  get(of: TopicPartition): Commit | undefined {
    return this.#recorded.get(of.topic)?.get(of.partition)
  }
  *[Symbol.iterator](): Generator<Commit> {
    for (const offsets of this.#recorded.values()) yield* offsets.values()
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
    let offsets = this.#recorded.get(commit.topic)
    if (!offsets) this.#recorded.set(commit.topic, (offsets = new Map()))
    const current = offsets.get(commit.partition)
    if (current === undefined) this.#size++
    if (current === undefined || current.recordOffset <= recordOffset) offsets.set(commit.partition, new Recorded(commit, recordOffset))
  }
  /** A tombstone is on record. */
  replayRemoval({ topic, partition }: TopicPartition, recordOffset: number): void {
    const offsets = this.#recorded.get(topic)
    const current = offsets?.get(partition)
    if (!offsets || current === undefined || current.recordOffset > recordOffset) return
    offsets.delete(partition)
    this.#size--
    if (offsets.size === 0) this.#recorded.delete(topic)
  }

  transactionBegan(producerId: number, commits: readonly Commit[]): void {
    for (const commit of commits) this.#transaction(producerId).set(keyOf(commit), new Recorded(commit, -1))
  }
  transactionFailed(producerId: number, commits: readonly Commit[]): void {
    const offsets = this.#transactional.get(producerId)
    if (!offsets) return
    for (const commit of commits) if (offsets.get(keyOf(commit))?.recordOffset === -1) offsets.delete(keyOf(commit))
    if (offsets.size === 0) this.#transactional.delete(producerId)
  }
  replayTransactional(producerId: number, commit: Commit, recordOffset: number): void {
    this.#transaction(producerId).set(keyOf(commit), new Recorded(commit, recordOffset))
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
    for (const commit of offsets.values()) if (commit.recordOffset >= 0) this.replay(commit, commit.recordOffset)
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
