/** What a group decides about its committed offsets: commits, removals, expiry. Who may commit is the group's business. */
import { errors } from '../protocol/errors.ts'
import { CommittedOffsets, type TopicPartition } from './committed-offsets.ts'
import { expiredOffsets, type RetentionFacts } from './retention.ts'
import type { CommitInput, GroupRecord, Output } from './steps.ts'
import { consumerProtocolType } from './subscription.ts'

type OffsetRecord = Extract<GroupRecord, { kind: 'offset' }>
/** What is being appended, until its outcome is known. */
export type OffsetsInFlight =
  | { kind: 'commit'; input: CommitInput; records: readonly OffsetRecord[]; tooLarge: ReadonlySet<number> }
  /** Without a ticket nobody asked: it expired, or its topic is gone. With error codes they answer each partition, else one answers the whole. */
  | { kind: 'removal'; ticket: number | undefined; records: readonly GroupRecord[]; partitions: readonly TopicPartition[]; errorCodes: readonly number[] | undefined }

/** The group, as far as its offsets need to know it. */
export interface OffsetsOwner {
  /** offset.metadata.max.bytes; counted in UTF-16 units, as Apache's broker does. */
  metadataMax(): number
  generation(): number
  facts(): RetentionFacts
  /** Somebody is expected: an id was handed out. */
  isAwaited(): boolean
  emit(output: Output): void
  persist(purpose: 'offsets' | 'group', records: readonly GroupRecord[], was: OffsetsInFlight, producer?: { readonly id: number; readonly epoch: number }): void
}

export class GroupOffsets {
  readonly #owner: OffsetsOwner
  readonly committed = new CommittedOffsets()

  constructor(owner: OffsetsOwner) {
    this.#owner = owner
  }

  commit(input: CommitInput): void {
    const tooLarge = new Set<number>()
    const records: OffsetRecord[] = []
    for (const [index, commit] of input.commits.entries())
      if (commit.metadata.length > this.#owner.metadataMax()) tooLarge.add(index)
      else records.push({ kind: 'offset', commit })
    const was = { kind: 'commit', input, records, tooLarge } as const
    if (records.length === 0) return this.#answerCommit(was, 0)
    const commits = records.map(({ commit }) => commit)
    if (input.producer) this.committed.transactionBegan(input.producer.id, commits)
    else this.committed.began(commits)
    this.#owner.persist('offsets', records, was, input.producer)
  }

  /** Not what members read; not knowing what that is, assume it is everything. */
  deletePartitions(ticket: number, partitions: readonly TopicPartition[]): void {
    const { isEmpty, protocolType, subscribedTopics } = this.#owner.facts()
    if (!isEmpty && protocolType !== consumerProtocolType)
      return this.#owner.emit({ kind: 'answeredEach', ticket, errorCode: errors.nonEmptyGroup.code, errorCodes: [] })
    const isRead = ({ topic }: TopicPartition) => !isEmpty && (subscribedTopics?.has(topic) ?? true)
    const errorCodes = partitions.map((of) => (isRead(of) ? errors.groupSubscribedToTopic.code : 0))
    this.#remove(partitions.filter((of) => !isRead(of)), ticket, errorCodes)
  }
  deleteAll(ticket: number): void {
    this.committed.forgetTransactions()
    this.#remove([...this.committed], ticket, undefined)
  }
  partitionsDeleted(partitions: readonly TopicPartition[]): void {
    this.committed.forgetTransactional(partitions)
    this.#remove(partitions, undefined, undefined)
  }
  expire(time: { now: number; retentionMs: number }): void {
    this.#remove(expiredOffsets(this.committed, this.#owner.facts(), time), undefined, undefined)
  }
  /** Tombstones for what exists of these; with the last of them an empty group goes, too. */
  #remove(partitions: readonly TopicPartition[], ticket: number | undefined, errorCodes: readonly number[] | undefined): void {
    const existing = partitions.filter((of) => this.committed.get(of) !== undefined)
    const records: GroupRecord[] = existing.map(({ topic, partition }) => ({ kind: 'offsetRemoved', of: { topic, partition } }))
    const isLast = this.#owner.facts().isEmpty && !this.committed.hasPending && existing.length === this.committed.size && !this.#owner.isAwaited()
    // A group of generation 0 only stored offsets: there is no record of it to remove.
    if (isLast && this.#owner.generation() > 0) records.push({ kind: 'groupRemoved' })
    const was = { kind: 'removal', ticket, records, partitions: existing, errorCodes } as const
    this.committed.began(existing)
    if (records.length === 0) this.settled(was, 0, 0)
    else this.#owner.persist('group', records, was)
  }

  /** What was being appended is on record at `baseOffset`, or is not. */
  settled(was: OffsetsInFlight, errorCode: number, baseOffset: number): void {
    if (was.kind === 'commit') return this.#settleCommit(was, errorCode, baseOffset)
    this.committed.ended(was.partitions)
    if (errorCode === 0) for (const record of was.records) this.replay(record, baseOffset)
    this.#answerRemoval(was, errorCode)
  }
  #settleCommit(was: Extract<OffsetsInFlight, { kind: 'commit' }>, errorCode: number, baseOffset: number): void {
    const commits = was.records.map(({ commit }) => commit)
    const { producer } = was.input
    if (!producer) this.committed.ended(commits)
    else if (errorCode !== 0) this.committed.transactionFailed(producer.id, commits)
    if (errorCode === 0) for (const record of was.records) this.replay(record, baseOffset, producer?.id)
    this.#answerCommit(was, errorCode)
  }
  /** The group is unloaded: nobody will know the outcome. */
  abandoned(was: OffsetsInFlight, errorCode: number): void {
    if (was.kind === 'commit') this.#answerCommit(was, errorCode)
    else if (was.ticket !== undefined && was.errorCodes !== undefined)
      this.#owner.emit({ kind: 'answeredEach', ticket: was.ticket, errorCode, errorCodes: [] })
    else this.#answerRemoval(was, errorCode)
  }
  #answerCommit({ input, tooLarge }: Extract<OffsetsInFlight, { kind: 'commit' }>, errorCode: number): void {
    const errorCodes = input.commits.map((_, index) => (tooLarge.has(index) ? errors.offsetMetadataTooLarge.code : errorCode))
    this.#owner.emit({ kind: 'answeredEach', ticket: input.ticket, errorCode, errorCodes })
  }
  #answerRemoval({ ticket, errorCodes }: Extract<OffsetsInFlight, { kind: 'removal' }>, errorCode: number): void {
    if (ticket === undefined) return
    if (errorCodes === undefined) this.#owner.emit({ kind: 'answered', ticket, errorCode })
    else this.#owner.emit({ kind: 'answeredEach', ticket, errorCode: 0, errorCodes: errorCodes.map((code) => code || errorCode) })
  }

  /** What is on record about offsets becomes what is known of them. */
  replay(record: GroupRecord, recordOffset: number, producerId = -1): void {
    if (record.kind === 'offset') {
      if (producerId >= 0) this.committed.replayTransactional(producerId, record.commit, recordOffset)
      else this.committed.replay(record.commit, recordOffset)
    } else if (record.kind === 'offsetRemoved') {
      if (producerId >= 0) this.committed.replayTransactionalRemoval(producerId, record.of)
      else this.committed.replayRemoval(record.of, recordOffset)
    }
  }

  /** −1 for what was never committed. */
  fetch(of: TopicPartition, requireStable: boolean): { offset: number; leaderEpoch: number; metadata: string; errorCode: number } {
    const unknown = { offset: -1, leaderEpoch: -1, metadata: '', errorCode: 0 }
    if (requireStable && this.committed.isUnstable(of)) return { ...unknown, errorCode: errors.unstableOffsetCommit.code }
    const commit = this.committed.get(of)
    return commit ? { offset: commit.offset, leaderEpoch: commit.leaderEpoch, metadata: commit.metadata, errorCode: 0 } : unknown
  }
}
