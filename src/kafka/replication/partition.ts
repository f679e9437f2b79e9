/** One partition on this broker: its log, its role, and who waits for it. */
import type { Timers } from '../../host/host.ts'
import { isRefused, type Pieces, type RecordError } from '../log/append.ts'
import type { PartitionLog } from '../log/partition-log.ts'
import { errors } from '../protocol/errors.ts'
import { PartitionLeader } from './partition-leader.ts'
import { Watermark } from './watermark.ts'

/** How an append ended, in the terms of a Produce answer. */
export interface Produced {
  errorCode: number
  message: string | null
  /** −1 after an error. */
  baseOffset: number
  /** −1 when the topic's timestamp type is CreateTime, and after an error. */
  logAppendTimeMs: bigint
  logStartOffset: number
  recordErrors: RecordError[]
}
export interface AppendWish {
  /** 0, 1 or −1. */
  requiredAcks: number
  /** For acks −1: how long to wait for the ISR. */
  timeoutMs: number
  origin: 'client' | 'coordinator'
  produceVersion?: number
}

/** Somebody who waits for records; told once, then forgotten. */
export interface DataWaiter {
  /** Bytes still wanted before it is worth while to look again. */
  missing: number
  wake(): void
}

type Role =
  | { kind: 'none' }
  | { kind: 'leading'; leader: PartitionLeader; leaderEpochStartOffset: number }
  | { kind: 'following'; leaderId: number; leaderEpoch: number; partitionEpoch: number }

export interface PartitionState {
  leader: number
  leaderEpoch: number
  partitionEpoch: number
  isr: readonly number[]
  replicas: readonly number[]
}

export class Partition {
  readonly topic: string
  readonly index: number
  readonly log: PartitionLog
  readonly #brokerId: number
  readonly #timers: Timers
  readonly #minInsyncReplicas: () => number
  readonly #committed: Watermark
  readonly #dataWaiters = new Set<DataWaiter>()
  /** Appends with acks −1 that wait for the ISR. */
  readonly #awaitingIsr = new Set<(errorCode: number) => void>()
  #role: Role = { kind: 'none' }
  #bytesSinceAdvance = 0
  #failure: Error | undefined

  constructor(facts: { topic: string; index: number; log: PartitionLog; brokerId: number; timers: Timers; minInsyncReplicas: () => number }) {
    this.topic = facts.topic
    this.index = facts.index
    this.log = facts.log
    this.#brokerId = facts.brokerId
    this.#timers = facts.timers
    this.#minInsyncReplicas = facts.minInsyncReplicas
    this.#committed = new Watermark(this.log.highWatermark)
    this.log.onAppend(() => this.#written())
  }

  get topicId(): string | undefined {
    return this.log.topicId
  }
  get leaderEpoch(): number {
    return this.#role.kind === 'leading' ? this.#role.leader.leaderEpoch : this.#role.kind === 'following' ? this.#role.leaderEpoch : -1
  }
  get partitionEpoch(): number {
    return this.#role.kind === 'leading' ? this.#role.leader.partitionEpoch : this.#role.kind === 'following' ? this.#role.partitionEpoch : -1
  }
  get leading(): boolean {
    return this.#role.kind === 'leading'
  }
  get highWatermark(): number {
    return this.#committed.value
  }
  get replicas(): readonly number[] {
    return this.#role.kind === 'leading' ? this.#role.leader.replicas : []
  }
  /** The log directory has failed: nothing of it can be read or written (KAFKA_STORAGE_ERROR). */
  get failure(): Error | undefined {
    return this.#failure
  }
  /** A new leader knows what is committed only when its high watermark has reached the start of its epoch (KIP-207). */
  get committedEndKnown(): boolean {
    return this.#role.kind === 'leading' && this.highWatermark >= this.#role.leaderEpochStartOffset
  }

  /** The checks every request for a partition passes (reference §3.4): the error code, or 0. `epoch` −1: not given. */
  refusalFor({ epoch, leaderOnly = true }: { epoch: number; leaderOnly?: boolean }): number {
    if (this.#failure) return errors.kafkaStorageError.code
    if (epoch >= 0 && epoch < this.leaderEpoch) return errors.fencedLeaderEpoch.code
    if (epoch >= 0 && epoch > this.leaderEpoch) return errors.unknownLeaderEpoch.code
    if (leaderOnly && this.#role.kind !== 'leading') return errors.notLeaderOrFollower.code
    return 0
  }

  /** Begins to lead; the leader epoch is on disk afterwards. */
  async becomeLeader(state: PartitionState): Promise<void> {
    this.#leaveRole()
    if (state.leaderEpoch > this.log.latestEpoch) await this.log.assignLeaderEpoch(state.leaderEpoch)
    const leader = new PartitionLeader({
      brokerId: this.#brokerId,
      leaderEpoch: state.leaderEpoch,
      partitionEpoch: state.partitionEpoch,
      replicas: state.replicas,
      isr: state.isr,
      logEndOffset: this.log.logEndOffset,
      highWatermark: this.log.highWatermark,
    })
    this.#committed.reset(this.log.highWatermark)
    this.#role = { kind: 'leading', leader, leaderEpochStartOffset: this.log.logEndOffset }
    this.#advanced(leader.step({ kind: 'appended', logEndOffset: this.log.logEndOffset }))
  }
  becomeFollower(state: PartitionState): void {
    this.#leaveRole()
    this.#role = { kind: 'following', leaderId: state.leader, leaderEpoch: state.leaderEpoch, partitionEpoch: state.partitionEpoch }
  }
  /** Neither leads nor follows any more: stopped, deleted, or its directory has failed. */
  stop(failure?: Error): void {
    this.#failure = failure
    this.#leaveRole()
    this.#role = { kind: 'none' }
  }

  /**
   * Takes its place in the log before it returns; `finished` follows when the promise of `requiredAcks` is kept, or at
   * once with the error. Nothing was appended when the error is one of those that refuse (acks −1 may also time out afterwards).
   */
  append(pieces: Pieces, size: number, wish: AppendWish, finished: (produced: Produced) => void): void {
    const role = this.#role
    if (this.#failure) return finished(refused(errors.kafkaStorageError.code, `the log directory of ${this.topic}-${this.index} is offline: ${this.#failure.message}`))
    if (role.kind !== 'leading') return finished(refused(errors.notLeaderOrFollower.code, `this broker does not lead ${this.topic}-${this.index}`))
    const { leader } = role
    if (wish.requiredAcks === -1 && !leader.hasEnoughReplicas(this.#minInsyncReplicas()))
      return finished(
        refused(
          errors.notEnoughReplicas.code,
          `${this.topic}-${this.index} has ${leader.isr.size} in-sync replicas, min.insync.replicas asks for ${leader.minIsr(this.#minInsyncReplicas())}`,
        ),
      )
    const outcome = this.log.append(pieces, { leaderEpoch: leader.leaderEpoch, origin: wish.origin, produceVersion: wish.produceVersion }, (failure) => {
      if (isRefused(outcome)) return
      if (failure) return finished(refused(errors.kafkaStorageError.code, failure.message))
      const produced: Produced = {
        errorCode: 0,
        message: null,
        baseOffset: outcome.baseOffset,
        logAppendTimeMs: outcome.logAppendTimeMs,
        logStartOffset: outcome.logStartOffset,
        recordErrors: [],
      }
      if (wish.requiredAcks !== -1 || this.highWatermark > outcome.lastOffset) finished(produced)
      else this.#awaitCommit(leader, outcome.lastOffset + 1, wish.timeoutMs, (errorCode) => finished(errorCode === 0 ? produced : refused(errorCode, null)))
    })
    if (isRefused(outcome)) finished(refused(outcome.errorCode, outcome.message, outcome.recordErrors))
    else if (!outcome.duplicate) this.#bytesSinceAdvance += size
  }

  #awaitCommit(leader: PartitionLeader, offset: number, timeoutMs: number, finished: (errorCode: number) => void): void {
    const finish = (errorCode: number): void => {
      if (!this.#awaitingIsr.delete(finish)) return
      timer.cancel()
      forget()
      finished(errorCode)
    }
    this.#awaitingIsr.add(finish)
    const timer = this.#timers.set(timeoutMs, () => finish(errors.requestTimedOut.code))
    let forget = (): void => {}
    forget = this.#committed.whenReached(offset, () =>
      finish(leader.hasEnoughReplicas(this.#minInsyncReplicas()) ? 0 : errors.notEnoughReplicasAfterAppend.code),
    )
  }

  /** A follower has everything below `fetchOffset`. */
  followerFetched(replica: number, fetchOffset: number): void {
    if (this.#role.kind === 'leading') this.#advanced(this.#role.leader.step({ kind: 'fetched', replica, fetchOffset }))
  }

  addWaiter(waiter: DataWaiter): void {
    this.#dataWaiters.add(waiter)
  }
  removeWaiter(waiter: DataWaiter): void {
    this.#dataWaiters.delete(waiter)
  }

  #written(): void {
    if (this.#role.kind !== 'leading') return
    this.#advanced(this.#role.leader.step({ kind: 'appended', logEndOffset: this.log.logEndOffset }))
  }
  #advanced(outputs: { kind: 'highWatermarkAdvanced'; to: number }[]): void {
    for (const { to } of outputs) {
      this.log.setHighWatermark(to)
      this.#committed.advance(to)
      const bytes = this.#bytesSinceAdvance
      this.#bytesSinceAdvance = 0
      for (const waiter of this.#dataWaiters) {
        waiter.missing -= bytes
        if (waiter.missing <= 0) waiter.wake()
      }
    }
  }
  #leaveRole(): void {
    for (const finish of this.#awaitingIsr) finish(errors.notLeaderOrFollower.code)
    this.#committed.forgetAll()
    for (const waiter of this.#dataWaiters) waiter.wake()
  }
}

function refused(errorCode: number, message: string | null, recordErrors: RecordError[] = []): Produced {
  return { errorCode, message, baseOffset: -1, logAppendTimeMs: -1n, logStartOffset: -1, recordErrors }
}
