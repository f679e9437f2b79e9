/** One partition on this broker: its log, its role, and who waits for it. */
import type { Clock, Timers } from '../../host/host.ts'
import { isRefused, type Pieces, type RecordError, type Refused } from '../log/append.ts'
import type { PartitionLog } from '../log/partition-log.ts'
import { errors } from '../protocol/errors.ts'
import { type FollowerLog, PartitionFollower } from './partition-follower.ts'
import { PartitionLeader, type Output } from './partition-leader.ts'
import { Waiters } from './waiters.ts'
import { Watermark } from './watermark.ts'

/** How long a producer may leave out sequences that an earlier leader may have had, and of how many producers that is noted. */
const overtakingMs = 2_000
const overtakersMax = 1_000

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
  isFirst?: boolean
  /** As the log asks for it. */
  keep?: () => () => void
}

/** Somebody who waits for records; told once, then forgotten. */
export interface DataWaiter {
  /** Bytes still wanted before it is worth while to look again. */
  missing: number
  wake(): void
}

type Role =
  | { kind: 'none' }
  | { kind: 'leading'; leader: PartitionLeader }
  | { kind: 'following'; follower: PartitionFollower }

/** An ISR that this leader asks the controller for. */
export type IsrProposal = Extract<Output, { kind: 'proposeIsr' }>
export interface PartitionFacts {
  topic: string
  index: number
  log: PartitionLog
  brokerId: number
  clock: Clock
  timers: Timers
  minInsyncReplicas: () => number
  /** `replica.lag.time.max.ms` */
  lagMsMax: number
  /** `replica.fetch.backoff.ms` */
  backoffMs: number
  isAlive: (brokerId: number) => boolean
  propose: (partition: Partition, proposal: IsrProposal) => void
}

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
  #log: PartitionLog
  #forgetLog: () => void
  readonly #facts: PartitionFacts
  readonly #timers: Timers
  /** Appends with acks −1 wait for it. */
  readonly #committed: Watermark
  readonly #dataWaiters = new Waiters<DataWaiter>()
  /** Followers: they wait for what is written, not for what is committed. */
  readonly #replicaWaiters = new Waiters<DataWaiter>()
  /** Deletions of records that wait for followers; each looks whether it is done. */
  readonly #awaitingStart = new Set<() => void>()
  #role: Role = { kind: 'none' }
  #bytesSinceAdvance = 0
  #bytesSinceReplicated = 0
  #failure: Error | undefined
  /** Where the log ended when this broker began to lead. */
  #leadsFrom = 0
  /** When the first batch of each producer came that left out sequences, while it had written nothing in this leadership. Monotonic ms. */
  readonly #overtakers = new Map<number, number>()

  constructor(facts: PartitionFacts) {
    this.topic = facts.topic
    this.index = facts.index
    this.#log = facts.log
    this.#facts = facts
    this.#timers = facts.timers
    this.#committed = new Watermark(this.log.highWatermark, { clock: facts.clock, timers: facts.timers, late: errors.requestTimedOut.code })
    this.#forgetLog = this.log.onAppend(() => this.#written())
  }

  /** Another one after a move between log directories: not to be kept. */
  get log(): PartitionLog {
    return this.#log
  }
  /** The log has been replaced by a copy of it that lies elsewhere. */
  movedTo(log: PartitionLog): void {
    this.#forgetLog()
    this.#log.isCopied = false
    this.#log = log
    this.#forgetLog = log.onAppend(() => this.#written())
    if (this.#role.kind === 'leading') log.isCopied = this.#role.leader.replicas.length > 1
  }

  get topicId(): string | undefined {
    return this.log.topicId
  }
  get leaderEpoch(): number {
    return this.#role.kind === 'leading' ? this.#role.leader.leaderEpoch : this.#role.kind === 'following' ? this.#role.follower.leaderEpoch : -1
  }
  get partitionEpoch(): number {
    return this.#role.kind === 'leading' ? this.#role.leader.partitionEpoch : this.#role.kind === 'following' ? this.#role.follower.partitionEpoch : -1
  }
  get leading(): boolean {
    return this.#role.kind === 'leading'
  }
  /** The machine that leads here; undefined when another broker does. */
  get leader(): PartitionLeader | undefined {
    return this.#role.kind === 'leading' ? this.#role.leader : undefined
  }
  /** The machine that follows here; another one after each change of leadership. */
  get follower(): PartitionFollower | undefined {
    return this.#role.kind === 'following' ? this.#role.follower : undefined
  }
  /** Who leads, as this replica was told; undefined when it neither leads nor follows. */
  get leadership(): { leaderId: number; leaderEpoch: number } | undefined {
    const role = this.#role
    if (role.kind === 'none') return undefined
    return role.kind === 'leading' ? { leaderId: this.#facts.brokerId, leaderEpoch: role.leader.leaderEpoch } : { leaderId: role.follower.leaderId, leaderEpoch: role.follower.leaderEpoch }
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
    return this.#role.kind === 'leading' && this.highWatermark >= this.#role.leader.epochStartOffset
  }

  /** The checks every request for a partition passes (reference §3.4): the error code, or 0. `epoch` −1: not given. */
  refusalFor({ epoch, leaderOnly = true }: { epoch: number; leaderOnly?: boolean }): number {
    if (this.#failure) return errors.kafkaStorageError.code
    if (epoch >= 0 && epoch < this.leaderEpoch) return errors.fencedLeaderEpoch.code
    if (epoch >= 0 && epoch > this.leaderEpoch) return errors.unknownLeaderEpoch.code
    if (this.#role.kind === 'none' || (leaderOnly && this.#role.kind !== 'leading')) return errors.notLeaderOrFollower.code
    return 0
  }

  /** Begins to lead, or goes on in a later epoch. */
  becomeLeader(state: PartitionState): void {
    const role = this.#role
    if (role.kind !== 'leading') this.#leaveFor({ kind: 'none' })
    const epochStartOffset = this.log.nextOffset
    if (state.leaderEpoch > this.log.latestEpoch) this.log.assignLeaderEpoch(state.leaderEpoch)
    const { leaderEpoch, partitionEpoch, replicas, isr } = state
    const election = { leaderEpoch, partitionEpoch, replicas, isr, epochStartOffset, logEndOffset: this.log.logEndOffset, now: this.#facts.clock.monotonic() }
    if (role.kind === 'leading') {
      this.log.isCopied = replicas.length > 1
      this.#done(role.leader.reelect(election))
      // Followers of the old epoch are to hear of the new one now.
      wakeAll(this.#replicaWaiters)
      return
    }
    const { brokerId, lagMsMax, minInsyncReplicas, isAlive } = this.#facts
    const leader = new PartitionLeader({ ...election, brokerId, highWatermark: this.log.highWatermark, lagMsMax, minInsyncReplicas, isEligible: isAlive })
    this.#committed.reset(this.log.highWatermark)
    this.#leadsFrom = epochStartOffset
    this.#overtakers.clear()
    this.#role = { kind: 'leading', leader }
    this.log.isCopied = replicas.length > 1
    this.#done(leader.step({ kind: 'appended', logEndOffset: this.log.logEndOffset }))
  }
  becomeFollower(state: PartitionState): void {
    const follower = new PartitionFollower({ leaderId: state.leader, leaderEpoch: state.leaderEpoch, partitionEpoch: state.partitionEpoch, log: this.#logView(), backoffMs: this.#facts.backoffMs })
    this.#leaveFor({ kind: 'following', follower })
    this.#committed.reset(this.log.highWatermark)
    for (const look of this.#awaitingStart) look()
  }
  /** The log of the time when it is looked at. */
  #logView(): FollowerLog {
    const logNow = (): PartitionLog => this.#log
    return {
      get logStartOffset() {
        return logNow().logStartOffset
      },
      get logEndOffset() {
        return logNow().logEndOffset
      },
      get highWatermark() {
        return logNow().highWatermark
      },
      get latestEpoch() {
        return logNow().latestEpoch
      },
      endOffsetForEpoch: (epoch) => logNow().endOffsetForEpoch(epoch),
    }
  }
  /** Neither leads nor follows any more: stopped, deleted, or its directory has failed. */
  stop(failure?: Error): void {
    this.#failure = failure
    this.#leaveFor({ kind: 'none' })
    for (const look of this.#awaitingStart) look()
  }

  /**
   * Takes its place in the log before it returns; `finished` follows when the promise of `requiredAcks` is kept, or at
   * once with the error. Nothing was appended when the error is one of those that refuse (acks −1 may also time out afterwards).
   */
  append(pieces: Pieces, size: number, wish: AppendWish, finished: (produced: Produced) => void): void {
    const refusal = this.#appendRefusal(wish)
    if (refusal) return finished(refusal)
    const { leader } = this.#role as Extract<Role, { kind: 'leading' }>
    const outcome = this.log.append(pieces, { leaderEpoch: leader.leaderEpoch, origin: wish.origin, produceVersion: wish.produceVersion, isFirst: wish.isFirst, keep: wish.keep }, (failure) => {
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
      if (wish.requiredAcks !== -1) finished(produced)
      // What came of the records in another's term nobody here can tell: a high watermark beyond their offsets may be that of others.
      else if (this.#role.kind !== 'leading' || this.#role.leader !== leader) finished(refused(errors.notLeaderOrFollower.code, null))
      else if (this.highWatermark > outcome.lastOffset) finished(produced)
      else this.#committed.wait(outcome.lastOffset + 1, wish.timeoutMs, (errorCode) => finished(errorCode === 0 ? produced : refused(errorCode, null)))
    })
    if (isRefused(outcome)) finished(refused(this.#mayHaveOvertaken(outcome, leader) ? errors.notLeaderOrFollower.code : outcome.errorCode, outcome.message, outcome.recordErrors))
    else if (!outcome.duplicate) {
      this.#bytesSinceAdvance += size
      this.#bytesSinceReplicated += size
    }
  }
  /**
   * Whether sequences are missing because the producer has followed the partition to this leader before it sent again what another, or this one a moment ago, refused
   * as not leading: requests under way on one connection, or librdkafka, which counts a request as answered before it has put its records back. Told of the gap it would
   * take a new epoch and repeat under it also what was refused and yet kept by replicas (NOT_LEADER_OR_FOLLOWER), so that it is there twice. Told the same as before it
   * sends all again in order. What stays missing (an unclean election) is told after all.
   */
  #mayHaveOvertaken({ missing }: Refused, { replicas }: PartitionLeader): boolean {
    if (!missing || missing.endOffset > this.#leadsFrom || replicas.length === 1) return false
    const now = this.#facts.clock.monotonic()
    const since = this.#overtakers.get(missing.producerId)
    if (since !== undefined) return now - since < overtakingMs
    if (this.#overtakers.size >= overtakersMax) return false
    this.#overtakers.set(missing.producerId, now)
    return true
  }
  #appendRefusal({ requiredAcks }: AppendWish): Produced | undefined {
    const role = this.#role
    if (this.#failure) return refused(errors.kafkaStorageError.code, `the log directory of ${this.topic}-${this.index} is offline: ${this.#failure.message}`)
    if (role.kind !== 'leading') return refused(errors.notLeaderOrFollower.code, `this broker does not lead ${this.topic}-${this.index}`)
    const { leader } = role
    if (requiredAcks === -1 && !leader.hasEnoughReplicas)
      return refused(errors.notEnoughReplicas.code, `${this.topic}-${this.index} has ${leader.isr.length} in-sync replicas, min.insync.replicas asks for ${leader.minIsr}`)
    return undefined
  }

  /** A follower has everything from `logStartOffset` up to `fetchOffset`. */
  followerFetched(replica: number, { fetchOffset, logStartOffset }: { fetchOffset: number; logStartOffset: number }): void {
    if (this.#role.kind !== 'leading') return
    this.#done(this.#role.leader.step({ kind: 'fetched', replica, fetchOffset, logStartOffset, now: this.#facts.clock.monotonic() }))
    for (const look of this.#awaitingStart) look()
  }
  /**
   * Deletes the records before `before`, and waits until all live replicas have (KIP-107): the answer's low watermark is the lowest of
   * their log starts. After a refusal, or a wait of `timeoutMs` for nothing, it carries an error code.
   */
  async deleteRecords(before: number, timeoutMs: number): Promise<{ lowWatermark: number; errorCode: number }> {
    const role = this.#role
    const refused = ({ code }: { code: number }) => ({ lowWatermark: -1, errorCode: code })
    if (role.kind !== 'leading') return refused(this.#failure ? errors.kafkaStorageError : errors.notLeaderOrFollower)
    const offset = before === -1 ? this.highWatermark : before
    if (offset < 0 || offset > this.highWatermark) return refused(errors.offsetOutOfRange)
    const { leader } = role
    await this.log.deleteRecords(offset)
    // Followers are to hear of it now, not with the next records.
    wakeAll(this.#replicaWaiters)
    const low = (): number => leader.lowWatermark(this.log.logStartOffset)
    if (low() >= offset) return { lowWatermark: low(), errorCode: 0 }
    if (timeoutMs <= 0) return { lowWatermark: low(), errorCode: errors.requestTimedOut.code }
    return new Promise((done) => {
      const finish = (errorCode: number): void => {
        timer.cancel()
        this.#awaitingStart.delete(look)
        done({ lowWatermark: low(), errorCode })
      }
      const timer = this.#timers.set(timeoutMs, () => finish(low() >= offset ? 0 : errors.requestTimedOut.code))
      const look = (): void => {
        if (this.leader !== leader) finish(this.#failure ? errors.kafkaStorageError.code : errors.notLeaderOrFollower.code)
        else if (low() >= offset) finish(0)
      }
      this.#awaitingStart.add(look)
    })
  }
  /** Looks whether a follower has fallen behind. To be called every half of `replica.lag.time.max.ms`. */
  tick(now: number): void {
    if (this.#role.kind === 'leading') this.#done(this.#role.leader.step({ kind: 'ticked', now }))
    for (const look of this.#awaitingStart) look()
  }
  /** The controller's answer to a proposal made in `leaderEpoch`; one of an earlier leadership is no news. */
  isrAnswered(leaderEpoch: number, answer: { isr: readonly number[]; partitionEpoch: number } | { refused: 'revert' | 'wait' }): void {
    if (this.#role.kind !== 'leading' || this.#role.leader.leaderEpoch !== leaderEpoch) return
    const { leader } = this.#role
    this.#done(leader.step('refused' in answer ? { kind: 'isrRefused', reaction: answer.refused } : { kind: 'isrChanged', ...answer }))
  }

  /** The leader's bytes, as they are; resolves when they are written. Rejects when they are damaged or cannot be written. */
  appendReplicated(records: Pieces): Promise<void> {
    return new Promise((done, fail) => {
      const outcome = this.log.append(records, { leaderEpoch: this.leaderEpoch, origin: 'replication' }, (failure) => (failure ? fail(failure) : done()))
      if (isRefused(outcome)) fail(new Error(outcome.message))
    })
  }
  /** What the leader said with its records. The follower's high watermark, too, never retreats but by a truncation. */
  followerKnows({ highWatermark, logStartOffset }: { highWatermark: number; logStartOffset: number }): void {
    if (this.#role.kind !== 'following') return
    const known = Math.min(highWatermark, this.log.logEndOffset)
    const isNews = known > this.log.highWatermark
    if (isNews) this.log.setHighWatermark(known)
    if (logStartOffset > this.log.logStartOffset) void this.log.deleteRecords(Math.min(logStartOffset, this.log.highWatermark))
    this.#committed.reset(this.log.highWatermark)
    // Consumers that read here, because it is near (KIP-392).
    if (isNews) wakeAll(this.#dataWaiters)
  }

  /** A follower's request (`asReplica`) waits for what is written, a consumer's for what is committed. */
  addWaiter(waiter: DataWaiter, asReplica: boolean): void {
    ;(asReplica ? this.#replicaWaiters : this.#dataWaiters).add(waiter)
  }
  removeWaiter(waiter: DataWaiter): void {
    if (!this.#dataWaiters.delete(waiter)) this.#replicaWaiters.delete(waiter)
  }

  #written(): void {
    if (this.#role.kind !== 'leading') return
    const { leader } = this.#role
    this.#done(leader.step({ kind: 'appended', logEndOffset: this.log.logEndOffset }))
    if (this.#replicaWaiters.size > 0) {
      const bytes = Math.max(1, this.#bytesSinceReplicated)
      for (const waiter of this.#replicaWaiters) {
        waiter.missing -= bytes
        if (waiter.missing <= 0) waiter.wake()
      }
    }
    this.#bytesSinceReplicated = 0
  }
  #done(outputs: readonly Output[]): void {
    for (const output of outputs) {
      if (output.kind === 'proposeIsr') this.#facts.propose(this, output)
      else if (this.#role.kind === 'leading') this.#advanced(this.#role.leader, output.to)
    }
  }
  #advanced(leader: PartitionLeader, to: number): void {
    this.log.setHighWatermark(to)
    this.#committed.advance(to, leader.hadEnoughReplicas ? 0 : errors.notEnoughReplicasAfterAppend.code)
    // Bytes placed after the write that is told of now were counted before.
    const bytes = Math.max(1, this.#bytesSinceAdvance)
    this.#bytesSinceAdvance = 0
    if (this.#dataWaiters.size === 0) return
    for (const waiter of this.#dataWaiters) {
      waiter.missing -= bytes
      if (waiter.missing <= 0) waiter.wake()
    }
  }
  /** Who waited is told when the next role is known: their answers name the new leader. */
  #leaveFor(next: Role): void {
    this.#role = next
    this.log.isCopied = false
    this.#committed.giveUp(errors.notLeaderOrFollower.code)
    wakeAll(this.#dataWaiters)
    wakeAll(this.#replicaWaiters)
  }
}

function wakeAll(waiters: Waiters<DataWaiter>): void {
  for (const waiter of waiters) waiter.wake()
}
function refused(errorCode: number, message: string | null, recordErrors: RecordError[] = []): Produced {
  return { errorCode, message, baseOffset: -1, logAppendTimeMs: -1n, logStartOffset: -1, recordErrors }
}
