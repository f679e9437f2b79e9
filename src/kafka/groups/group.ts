/**
 * One classic group as a machine: Empty → PreparingRebalance (collecting joins) → CompletingRebalance (waiting for the leader's
 * assignment to be on record) → Stable, and Dead when nothing is left of it or it lives elsewhere.
 */
import assert from 'node:assert'
import { errors } from '../protocol/errors.ts'
import { groupAppendError, offsetAppendError } from './append-errors.ts'
import type { TopicPartition } from './committed-offsets.ts'
import { GroupOffsets, type OffsetsInFlight, type OffsetsOwner } from './group-offsets.ts'
import { groupValueOf, membersIn, topicsReadBy } from './group-value.ts'
import { Member, Members, type Predecessor } from './members.ts'
import type { GroupValue } from './offsets-records.ts'
import {
  refusedJoin, refusedSync, type CommitInput, type GroupRecord, type Input, type JoinAnswer, type JoinInput, type Leaving, type MemberClaim,
  type Output, type SyncAnswer, type SyncInput, type Time,
} from './steps.ts'
import { consumerProtocolType } from './subscription.ts'

export interface GroupLimits {
  /** group.max.size */
  readonly sizeMax: number
  /** group.initial.rebalance.delay.ms */
  readonly initialRebalanceDelayMs: number
  /** offset.metadata.max.bytes */
  readonly offsetMetadataMax: number
}
export type StateName = 'Empty' | 'PreparingRebalance' | 'CompletingRebalance' | 'Stable' | 'Dead'

/** A new member's JoinGroup is answered after five minutes at the latest; a client still there joins again. */
const newMemberJoinTimeoutMs = 5 * 60_000
/** Ids handed out and not yet used; beyond this the oldest is forgotten and its owner asks again. */
const pendingMax = 10_000
/** Of a client or instance id, in UTF-16 units. */
const idPrefixMax = 8_000
/** Only absent static members left: look again after this long at the earliest, whatever rebalance timeout they named. */
const extensionMsMin = 100
const nothing = new Uint8Array(0)

/** What a `persist` is for, until its outcome is known. */
type InFlight =
  | { kind: 'assignment'; generation: number; value: GroupValue }
  | { kind: 'emptied' }
  | { kind: 'takeover'; memberId: string; ticket: number; leaderBefore: string; canSkipAssignment: boolean }
  | OffsetsInFlight

export class Group {
  readonly id: string
  readonly limits: GroupLimits
  protected readonly members = new Members()
  protected readonly offsets = new GroupOffsets(this.#offsetsOwner())
  #state: StateName = 'Empty'
  /** When the group got into its state, ms since 1970; undefined when loaded from a record too old to say. */
  #stateTimestamp: number | undefined
  /** Of the current input. */
  #wallMs: number
  #generation = 0
  #protocolType: string | undefined
  #protocolName: string | undefined
  #leader: string | undefined
  #subscribed: ReadonlySet<string> | undefined
  /** While PreparingRebalance: when the joins are closed, whoever is missing. */
  #joinDeadline = Infinity
  /** Of the first rebalance from Empty: how much longer it may be put off; undefined in any other. */
  #initialDelayLeftMs: number | undefined
  #memberAddedMeanwhile = false
  /** Members of the new generation that have not fetched their assignment yet, and when they are given up. */
  readonly #pendingSync = new Set<string>()
  #syncDeadline = Infinity
  readonly #inFlight = new Map<number, InFlight>()
  #tokens = 0
  #wakeAt = Infinity
  #outputs: Output[] = []

  constructor(id: string, limits: GroupLimits, time: Time) {
    this.id = id
    this.limits = limits
    this.#wallMs = this.#stateTimestamp = time.wallMs
  }

  get state(): StateName {
    return this.#state
  }
  get generation(): number {
    return this.#generation
  }
  get protocolType(): string | undefined {
    return this.#protocolType
  }
  get leader(): string | undefined {
    return this.#leader
  }
  /** Monotonic ms at which the group wants to be `ticked`; may be earlier than needed, never later. */
  get wakeAt(): number {
    return this.#wakeAt
  }
  get size(): number {
    return this.members.size
  }
  /** Nothing is remembered and nobody is expected: forgetting the group loses nothing. */
  get isVoid(): boolean {
    return this.#isDeserted && this.#generation === 0
  }
  get #isDeserted(): boolean {
    return this.#state === 'Empty' && this.members.pending.size === 0 && this.offsets.committed.isEmpty && this.#inFlight.size === 0
  }

  step(input: Input): Output[] {
    if ('time' in input) this.#wallMs = input.time.wallMs
    this.take(input)
    const outputs = this.#outputs
    this.#outputs = []
    return outputs
  }

  protected take(input: Input): void {
    switch (input.kind) {
      case 'join': return this.join(input)
      case 'sync': return this.sync(input)
      case 'heartbeat': return this.emit({ kind: 'answered', ticket: input.ticket, errorCode: this.heartbeat(input.member, input.time.now) })
      case 'leave': return this.leave(input.ticket, input.leaving, input.time.now)
      case 'commit': return this.commit(input)
      case 'deleteOffsets': return this.deleteOffsets(input.ticket, input.partitions)
      case 'delete': return this.delete(input.ticket)
      case 'partitionsDeleted': return this.partitionsDeleted(input.partitions)
      case 'expireOffsets': return this.expireOffsets(input)
      case 'persisted': return this.persisted(input)
      case 'transactionEnded': return this.offsets.committed.transactionEnded(input.producerId, input.committed)
      case 'ticked': return this.tick(input.time.now)
      case 'loaded': return this.loaded(input.time.now)
      case 'unloaded': return this.unload(input.errorCode)
      default: input satisfies never
    }
  }

  // ---- joining

  protected join(input: JoinInput): void {
    const refuse = (memberId: string, errorCode: number) => this.emit({ kind: 'joined', ticket: input.ticket, answer: refusedJoin(memberId, errorCode) })
    if (this.#state === 'Dead') return refuse(input.memberId, errors.coordinatorNotAvailable.code)
    if (!this.#hasRoomFor(input.memberId)) {
      this.#drop(input.memberId)
      refuse('', errors.groupMaxSizeReached.code)
    } else if (!this.#sharesProtocol(input)) refuse(input.memberId, errors.inconsistentGroupProtocol.code)
    else if (input.memberId === '') this.joinAnew(input)
    else if (this.members.pending.has(input.memberId)) this.#addMember(input.memberId, { ...input, instanceId: null })
    else {
      const errorCode = this.validate(input)
      if (errorCode !== 0) refuse(input.memberId, errorCode)
      else this.rejoin(input, this.#member(input.memberId))
    }
    if (this.#state === 'PreparingRebalance') this.#completeJoinIfAllAreHere(input.time.now)
  }

  /** In a rebalance only those who wait count: whoever comes last is the one too many. */
  #hasRoomFor(memberId: string): boolean {
    switch (this.#state) {
      case 'Empty': case 'Dead': return true
      case 'PreparingRebalance':
        return this.members.get(memberId)?.joinTicket !== undefined || this.members.countAwaitingJoin() < this.limits.sizeMax
      case 'CompletingRebalance': case 'Stable':
        return this.members.has(memberId) || this.members.size < this.limits.sizeMax
    }
  }
  #sharesProtocol({ protocolType, protocols }: JoinInput): boolean {
    if (protocolType === '' || protocols.length === 0) return false
    return this.#state === 'Empty' || (this.#protocolType === protocolType && this.members.supportAny(protocols))
  }

  protected joinAnew(input: JoinInput): void {
    // The longest client id would make a member id that no string of the protocol holds.
    const id = `${(input.instanceId ?? input.clientId).slice(0, idPrefixMax)}-${input.uuid}`
    const before = input.instanceId === null ? undefined : this.members.idOfInstance(input.instanceId)
    if (before !== undefined) return this.takeOver(input, this.#member(before), id)
    if (input.instanceId !== null || !input.memberIdRequired) return this.#addMember(id, input)
    if (this.members.pending.size >= pendingMax) {
      const oldest = this.members.pending.keys().next().value
      if (oldest !== undefined) this.members.pending.delete(oldest)
    }
    this.members.pending.set(id, this.#at(input.time.now + input.sessionTimeoutMs))
    this.emit({ kind: 'joined', ticket: input.ticket, answer: refusedJoin(id, errors.memberIdRequired.code) })
  }

  #addMember(id: string, input: JoinInput): void {
    const member = new Member(id, input, input.protocols, { rebalanceMs: input.rebalanceTimeoutMs, sessionMs: input.sessionTimeoutMs })
    member.isNew = true
    member.joinTicket = input.ticket
    member.deadline = this.#at(input.time.now + newMemberJoinTimeoutMs)
    if (this.members.size === 0) this.#protocolType = input.protocolType
    this.members.add(member)
    this.#leader ??= id
    // The very first rebalance waits a little longer for each newcomer, so that a whole fleet starts in one.
    if (this.#state === 'PreparingRebalance' && this.#generation === 0) this.#memberAddedMeanwhile = true
    this.#prepareRebalance(input.time.now, 'a member joined', { member: id, instance: input.instanceId ?? undefined, clientReason: input.reason ?? undefined })
  }

  /** A member that is known joins again. */
  protected rejoin(input: JoinInput, member: Member): void {
    const unchanged = member.matches(input.protocols)
    const again = (reason: string) => {
      this.#updateForJoin(input, member)
      this.#prepareRebalance(input.time.now, reason, { member: member.id, clientReason: input.reason ?? undefined })
    }
    switch (this.#state) {
      case 'PreparingRebalance': return this.#updateForJoin(input, member)
      case 'CompletingRebalance':
        // It probably did not get the first answer.
        if (unchanged) return this.#answerJoinNow(input, member)
        return again('a member changed its metadata')
      case 'Stable':
        // The leader joins when what it assigns has changed, though its own metadata has not.
        if (member.id === this.#leader) return again('the leader joined again')
        if (!unchanged) return again('a member changed its metadata')
        return this.#answerJoinNow(input, member)
      case 'Empty': case 'Dead':
        return this.emit({ kind: 'joined', ticket: input.ticket, answer: refusedJoin(member.id, errors.unknownMemberId.code) })
    }
  }
  #answerJoinNow(input: JoinInput, member: Member): void {
    this.emit({ kind: 'joined', ticket: input.ticket, answer: this.#joinAnswer(member) })
  }
  #updateForJoin(input: JoinInput, member: Member): void {
    this.#supersedeJoin(member)
    this.members.update(member, input.protocols, { rebalanceMs: input.rebalanceTimeoutMs, sessionMs: input.sessionTimeoutMs })
    member.joinTicket = input.ticket
  }
  /** The member asks again before it got its answer; the older request must not wait for ever. */
  #supersedeJoin(member: Member): void {
    this.#answerJoin(member, refusedJoin(member.id, errors.rebalanceInProgress.code))
  }

  /** A static member without an id takes over its instance from the member that has it (KIP-345). */
  protected takeOver(input: JoinInput, member: Member, id: string): void {
    const leaderBefore = this.#leader ?? ''
    const predecessor: Predecessor = member.predecessor ?? {
      id: member.id, clientId: member.clientId, clientHost: member.clientHost, protocols: member.protocols,
      rebalanceTimeoutMs: member.rebalanceTimeoutMs, sessionTimeoutMs: member.sessionTimeoutMs,
    }
    this.note('static member replaced', { group: this.id, instance: input.instanceId, before: member.id, now: id, state: this.#state })
    this.#answerJoin(member, refusedJoin(member.id, errors.fencedInstanceId.code))
    this.#answerSync(member, refusedSync(errors.fencedInstanceId.code))
    this.#rename(member, id)
    member.clientId = input.clientId
    member.clientHost = input.clientHost
    this.#updateForJoin(input, member)
    member.deadline = this.#at(input.time.now + member.sessionTimeoutMs)
    switch (this.#state) {
      case 'Stable':
        if (this.members.selectProtocol() !== this.#protocolName)
          return this.#prepareRebalance(input.time.now, 'a static member came back with other protocols', { member: id })
        // Nothing changes for the others; only the new id has to be on record.
        member.predecessor = predecessor
        return this.#persist('group', [{ kind: 'group', value: this.#value() }],
          { kind: 'takeover', memberId: id, ticket: input.ticket, leaderBefore, canSkipAssignment: input.canSkipAssignment })
      case 'CompletingRebalance':
        // The leader may be assigning to the old id.
        return this.#prepareRebalance(input.time.now, 'a static member came back during a rebalance', { member: id })
      case 'PreparingRebalance': return
      case 'Empty': case 'Dead': assert.fail(`a static member in group ${this.id}, which is ${this.#state}`)
    }
  }
  #rename(member: Member, id: string): void {
    if (this.#leader === member.id) this.#leader = id
    if (this.#pendingSync.delete(member.id)) this.#pendingSync.add(id)
    this.members.rename(member, id)
  }
  #takenOver(was: Extract<InFlight, { kind: 'takeover' }>, errorCode: number, now: number): void {
    const member = this.members.get(was.memberId)
    if (!member?.predecessor) return
    if (errorCode !== 0) {
      const waiting = member.joinTicket === was.ticket
      const { predecessor } = member
      if (waiting) this.#answerJoin(member, { ...refusedJoin('', errorCode), generationId: this.#generation, leader: was.leaderBefore })
      this.#rename(member, predecessor.id)
      member.clientId = predecessor.clientId
      member.clientHost = predecessor.clientHost
      this.members.update(member, predecessor.protocols, { rebalanceMs: predecessor.rebalanceTimeoutMs, sessionMs: predecessor.sessionTimeoutMs })
      member.predecessor = undefined
      member.deadline = this.#at(now + member.sessionTimeoutMs)
      return
    }
    member.predecessor = undefined
    if (member.joinTicket !== was.ticket) return
    const isLeader = this.#leader === member.id
    // A rebalance may have begun meanwhile; this generation's answer sends the member into it.
    const answer: JoinAnswer = {
      errorCode: 0, generationId: this.#generation, protocolType: this.#protocolType ?? null, protocolName: this.#protocolName ?? null,
      memberId: member.id, skipAssignment: was.canSkipAssignment && isLeader,
      // Before version 9 a leader cannot be told to keep the assignment: with the old leader's id it does not take itself for one.
      leader: was.canSkipAssignment ? this.#leader ?? '' : was.leaderBefore,
      members: was.canSkipAssignment && isLeader && this.#protocolName !== undefined ? this.#memberList() : [],
    }
    this.#answerJoin(member, answer)
    member.deadline = this.#at(now + member.sessionTimeoutMs)
  }

  // ---- the rebalance

  #prepareRebalance(now: number, reason: string, facts: Readonly<Record<string, unknown>>): void {
    if (this.#state !== 'Empty' && this.#state !== 'CompletingRebalance' && this.#state !== 'Stable') return
    if (this.#state === 'CompletingRebalance') this.#endSync(errors.rebalanceInProgress.code, now)
    this.#pendingSync.clear()
    this.#syncDeadline = Infinity
    const rebalanceTimeoutMs = this.members.rebalanceTimeoutMs()
    if (this.#state === 'Empty') {
      this.#initialDelayLeftMs = Math.max(rebalanceTimeoutMs - this.limits.initialRebalanceDelayMs, 0)
      this.#memberAddedMeanwhile = false
      this.#joinDeadline = this.#at(now + this.limits.initialRebalanceDelayMs)
    } else {
      this.#initialDelayLeftMs = undefined
      this.#joinDeadline = this.#at(now + rebalanceTimeoutMs)
    }
    this.#become('PreparingRebalance')
    this.note('rebalance begins', { group: this.id, generation: this.#generation, reason, ...facts })
    this.#completeJoinIfAllAreHere(now)
  }

  #completeJoinIfAllAreHere(now: number): void {
    if (this.#state !== 'PreparingRebalance' || this.#initialDelayLeftMs !== undefined) return
    if (this.members.pending.size === 0 && this.members.allAwaitJoin()) this.completeJoin(now)
  }
  #joinDeadlinePassed(now: number): void {
    const { initialRebalanceDelayMs } = this.limits
    if (this.#initialDelayLeftMs !== undefined && this.#initialDelayLeftMs > 0 && this.#memberAddedMeanwhile) {
      const delayMs = Math.min(initialRebalanceDelayMs, this.#initialDelayLeftMs)
      this.#memberAddedMeanwhile = false
      this.#initialDelayLeftMs = Math.max(this.#initialDelayLeftMs - delayMs, 0)
      this.#joinDeadline = this.#at(now + delayMs)
    } else this.completeJoin(now)
  }

  /** Joins are closed: whoever is there makes up the next generation. */
  protected completeJoin(now: number): void {
    this.#initialDelayLeftMs = undefined
    for (const member of this.members)
      if (member.joinTicket === undefined && member.instanceId === null) {
        this.note('member did not join again', { group: this.id, member: member.id })
        this.#removeMember(member)
      }
    if (this.members.size > 0 && !this.#electLeader()) {
      // Static members that are away: they have until their sessions end.
      this.#joinDeadline = this.#at(now + Math.max(this.members.rebalanceTimeoutMs(), extensionMsMin))
      return
    }
    this.#joinDeadline = Infinity
    this.#generation++
    if (this.members.size === 0) {
      this.#protocolName = undefined
      this.#subscribed = this.#computeSubscribed()
      this.#become('Empty')
      this.note('group is empty', { group: this.id, generation: this.#generation })
      return this.#persist('group', [{ kind: 'group', value: this.#value() }], { kind: 'emptied' })
    }
    this.#protocolName = this.members.selectProtocol()
    this.#subscribed = this.#computeSubscribed()
    this.#become('CompletingRebalance')
    this.note('generation begins', { group: this.id, generation: this.#generation, members: this.members.size, protocol: this.#protocolName })
    for (const member of this.members) {
      this.#answerJoin(member, this.#joinAnswer(member))
      member.isNew = false
      member.deadline = this.#at(now + member.sessionTimeoutMs)
      this.#pendingSync.add(member.id)
    }
    this.#syncDeadline = this.#at(now + this.members.rebalanceTimeoutMs())
  }
  /** Keeps the leader when it joined; else the first member that did. False when none has. */
  #electLeader(): boolean {
    if (this.#leader !== undefined && this.members.get(this.#leader)?.joinTicket !== undefined) return true
    for (const member of this.members)
      if (member.joinTicket !== undefined) {
        this.#leader = member.id
        return true
      }
    return false
  }

  // ---- syncing

  protected sync(input: SyncInput): void {
    const refuse = (errorCode: number) => this.emit({ kind: 'synced', ticket: input.ticket, answer: refusedSync(errorCode) })
    if (this.#state === 'Dead') return refuse(errors.coordinatorNotAvailable.code)
    const errorCode = this.validate(input.member)
    if (errorCode !== 0) return refuse(errorCode)
    if (input.member.generation !== this.#generation) return refuse(errors.illegalGeneration.code)
    if (input.protocolType !== null && input.protocolType !== this.#protocolType) return refuse(errors.inconsistentGroupProtocol.code)
    if (input.protocolName !== null && input.protocolName !== this.#protocolName) return refuse(errors.inconsistentGroupProtocol.code)
    const member = this.#member(input.member.memberId)
    switch (this.#state) {
      case 'Empty': return refuse(errors.unknownMemberId.code)
      case 'PreparingRebalance': return refuse(errors.rebalanceInProgress.code)
      case 'CompletingRebalance':
        this.#answerSync(member, refusedSync(errors.rebalanceInProgress.code)) // an older request of the same member
        member.syncTicket = input.ticket
        this.#synced(member.id)
        if (member.id === this.#leader) this.assign(input.assignments)
        return
      case 'Stable':
        this.#synced(member.id)
        this.emit({ kind: 'synced', ticket: input.ticket, answer: this.#syncAnswer(member) })
        member.deadline = this.#at(input.time.now + member.sessionTimeoutMs)
    }
  }
  #synced(memberId: string): void {
    this.#pendingSync.delete(memberId)
    if (this.#pendingSync.size === 0) this.#syncDeadline = Infinity
  }
  /** The leader's assignment counts once it is on record; members it forgot get nothing to read. */
  protected assign(assignments: ReadonlyMap<string, Uint8Array>): void {
    // The leader asks again while its first assignment is being written: that one counts, one generation has one assignment.
    for (const was of this.#inFlight.values()) if (was.kind === 'assignment' && was.generation === this.#generation) return
    const value = this.#value((member) => assignments.get(member.id) ?? nothing)
    this.#persist('group', [{ kind: 'group', value }], { kind: 'assignment', generation: this.#generation, value })
  }
  #assigned(was: Extract<InFlight, { kind: 'assignment' }>, errorCode: number, baseOffset: number, now: number): void {
    if (this.#state !== 'CompletingRebalance' || was.generation !== this.#generation) return
    if (errorCode !== 0) {
      this.#endSync(errorCode, now)
      return this.#prepareRebalance(now, 'the assignment could not be stored', { errorCode })
    }
    this.replay({ kind: 'group', value: was.value }, baseOffset)
    this.#become('Stable')
    for (const member of this.members)
      if (this.#answerSync(member, this.#syncAnswer(member))) member.deadline = this.#at(now + member.sessionTimeoutMs)
  }
  /** No assignment in this generation. */
  #endSync(errorCode: number, now: number): void {
    for (const member of this.members) {
      member.assignment = nothing
      if (this.#answerSync(member, refusedSync(errorCode))) member.deadline = this.#at(now + member.sessionTimeoutMs)
    }
  }

  // ---- staying and leaving

  /** 0, or why the claim does not hold: another member has the instance, or there is no such member. */
  protected validate({ memberId, instanceId }: { memberId: string; instanceId: string | null }): number {
    if (instanceId !== null) {
      const current = this.members.idOfInstance(instanceId)
      if (current === undefined) return errors.unknownMemberId.code
      if (current !== memberId) return errors.fencedInstanceId.code
    }
    return this.members.has(memberId) ? 0 : errors.unknownMemberId.code
  }

  protected heartbeat(claim: MemberClaim, now: number): number {
    if (this.#state === 'Dead') return errors.coordinatorNotAvailable.code
    const errorCode = this.validate(claim)
    if (errorCode !== 0) return errorCode
    if (claim.generation !== this.#generation) return errors.illegalGeneration.code
    if (this.#state === 'Empty') return errors.unknownMemberId.code
    this.#heard(this.#member(claim.memberId), now)
    return this.#state === 'PreparingRebalance' ? errors.rebalanceInProgress.code : 0
  }
  /** A sign of life: the session begins anew. */
  #heard(member: Member, now: number): void {
    member.deadline = this.#at(now + member.sessionTimeoutMs)
  }

  protected leave(ticket: number, leaving: readonly Leaving[], now: number): void {
    if (this.#state === 'Dead')
      return this.emit({ kind: 'answeredEach', ticket, errorCode: errors.coordinatorNotAvailable.code, errorCodes: [] })
    const errorCodes = leaving.map((each) => this.#leaveOne(each, now))
    this.emit({ kind: 'answeredEach', ticket, errorCode: 0, errorCodes })
  }
  #leaveOne({ memberId, instanceId, reason }: Leaving, now: number): number {
    if (memberId !== '' && this.members.pending.delete(memberId)) {
      this.#completeJoinIfAllAreHere(now)
      return 0
    }
    // An administrator names a static member by its instance alone.
    const id = memberId === '' && instanceId !== null ? this.members.idOfInstance(instanceId) ?? '' : memberId
    const errorCode = id === '' ? errors.unknownMemberId.code : this.validate({ memberId: id, instanceId })
    if (errorCode !== 0) return errorCode
    this.#lose(this.#member(id), now, 'a member left', { clientReason: reason ?? undefined })
    return 0
  }

  /** The member is gone: the others share what it had. */
  #lose(member: Member, now: number, reason: string, facts: Readonly<Record<string, unknown>> = {}): void {
    this.#removeMember(member)
    if (this.#state === 'Stable' || this.#state === 'CompletingRebalance') this.#prepareRebalance(now, reason, { member: member.id, ...facts })
    else {
      this.note('member removed', { group: this.id, member: member.id, reason, ...facts })
      this.#completeJoinIfAllAreHere(now)
    }
  }
  #removeMember(member: Member): void {
    this.#answerJoin(member, refusedJoin('', errors.unknownMemberId.code))
    this.#answerSync(member, refusedSync(errors.unknownMemberId.code))
    this.members.remove(member)
    this.#pendingSync.delete(member.id)
    if (this.#leader === member.id) this.#leader = this.members.first()?.id
  }
  #drop(memberId: string): void {
    const member = this.members.get(memberId)
    if (member) this.#removeMember(member)
    this.members.pending.delete(memberId)
  }

  // ---- time

  protected tick(now: number): void {
    for (const [id, deadline] of this.members.pending)
      if (deadline <= now && this.members.pending.delete(id)) this.#completeJoinIfAllAreHere(now)
    for (const member of this.members) {
      if (member.deadline > now || this.members.get(member.id) !== member) continue
      // Who waits for an answer of ours is not silent: its session begins anew with the answer.
      const waits = member.joinTicket !== undefined || member.syncTicket !== undefined
      if (waits && !member.isNew) member.deadline = Infinity
      else this.#lose(member, now, member.isNew ? 'a new member waited too long' : 'a member was silent for its session timeout')
    }
    if (this.#joinDeadline <= now && this.#state === 'PreparingRebalance') this.#joinDeadlinePassed(now)
    if (this.#syncDeadline <= now) {
      this.#syncDeadline = Infinity
      this.syncDeadlinePassed(now)
    }
    this.#resetWake()
  }
  /** Members that never fetched their assignment have not seen this generation, however they beat. */
  protected syncDeadlinePassed(now: number): void {
    if (this.#pendingSync.size === 0 || (this.#state !== 'CompletingRebalance' && this.#state !== 'Stable')) return
    const missing = [...this.#pendingSync]
    for (const id of missing) this.#removeMember(this.#member(id))
    this.#prepareRebalance(now, 'members did not sync', { members: missing })
  }
  #at(deadline: number): number {
    if (deadline < this.#wakeAt) this.#wakeAt = deadline
    return deadline
  }
  #resetWake(): void {
    this.#wakeAt = Infinity
    this.#at(this.#joinDeadline)
    this.#at(this.#syncDeadline)
    for (const member of this.members) this.#at(member.deadline)
    for (const deadline of this.members.pending.values()) this.#at(deadline)
  }

  // ---- offsets

  protected commit(input: CommitInput): void {
    const errorCode = this.admitCommit(input)
    if (errorCode !== 0) return this.emit({ kind: 'answeredEach', ticket: input.ticket, errorCode, errorCodes: input.commits.map(() => errorCode) })
    this.offsets.commit(input)
  }
  protected admitCommit({ member: claim, producer, time }: CommitInput): number {
    if (this.#state === 'Dead') return errors.coordinatorNotAvailable.code
    // Without a generation: an administrator, or a consumer that assigns partitions to itself. Fine while nobody else reads.
    if (claim.generation < 0 && this.#state === 'Empty') return 0
    if (claim.generation >= 0 || claim.memberId !== '' || claim.instanceId !== null) {
      const errorCode = this.validate(claim)
      if (errorCode !== 0) return errorCode
      if (claim.generation !== this.#generation) return errors.illegalGeneration.code
      if (producer) return 0
      if (this.#state === 'CompletingRebalance') return errors.rebalanceInProgress.code
      this.#heard(this.#member(claim.memberId), time.now)
      return 0
    }
    // Transactional producers of before 2.5 do not say who they are.
    return producer || this.#state === 'Empty' ? 0 : errors.unknownMemberId.code
  }

  protected deleteOffsets(ticket: number, partitions: readonly TopicPartition[]): void {
    if (this.#state === 'Dead') return this.emit({ kind: 'answeredEach', ticket, errorCode: errors.groupIdNotFound.code, errorCodes: [] })
    this.offsets.deletePartitions(ticket, partitions)
    this.#endIfNothingIsLeft()
  }
  protected delete(ticket: number): void {
    if (this.#state === 'Dead') return this.emit({ kind: 'answered', ticket, errorCode: errors.groupIdNotFound.code })
    if (this.#state !== 'Empty') return this.emit({ kind: 'answered', ticket, errorCode: errors.nonEmptyGroup.code })
    this.members.pending.clear()
    this.offsets.deleteAll(ticket)
    this.#endIfNothingIsLeft()
  }
  protected partitionsDeleted(partitions: readonly TopicPartition[]): void {
    if (this.#state === 'Dead') return
    this.offsets.partitionsDeleted(partitions)
    this.#endIfNothingIsLeft()
  }
  protected expireOffsets({ retentionMs, time }: { retentionMs: number; time: Time }): void {
    if (this.#state === 'Dead') return
    this.offsets.expire({ now: time.wallMs, retentionMs })
    this.#endIfNothingIsLeft()
  }
  /** Neither members nor offsets, and no record that says otherwise. */
  #endIfNothingIsLeft(): void {
    if (this.isVoid) this.#state = 'Dead'
  }

  // ---- durability

  #persist(purpose: 'offsets' | 'group', records: readonly GroupRecord[], was: InFlight, producer?: { readonly id: number; readonly epoch: number }): void {
    const token = ++this.#tokens
    this.#inFlight.set(token, was)
    this.emit({ kind: 'persist', token, purpose, records, ...(producer && { producer }) })
  }
  protected persisted({ token, errorCode, baseOffset, time: { now } }: Extract<Input, { kind: 'persisted' }>): void {
    const was = this.#inFlight.get(token)
    if (!was) return
    this.#inFlight.delete(token)
    switch (was.kind) {
      case 'assignment': return this.#assigned(was, groupAppendError(errorCode), baseOffset, now)
      case 'takeover': return this.#takenOver(was, groupAppendError(errorCode), now)
      case 'commit': return this.offsets.settled(was, offsetAppendError(errorCode), baseOffset)
      case 'removal':
        this.offsets.settled(was, groupAppendError(errorCode), baseOffset)
        // Unless it was called back to life meanwhile: then its next record says so.
        if (errorCode === 0 && was.records.some(({ kind }) => kind === 'groupRemoved') && this.#isDeserted) this.#generation = 0
        return this.#endIfNothingIsLeft()
      case 'emptied':
        // If this broker fails before the next rebalance, the generation on record comes to life again and times out: harmless.
        if (errorCode !== 0) this.note('the empty group could not be stored', { group: this.id, errorCode })
        return
      default: was satisfies never
    }
  }

  /** What is on record becomes the group's state: while loading, and after each append of the group's own records. */
  replay(record: GroupRecord, recordOffset: number, producerId = -1): void {
    switch (record.kind) {
      case 'offset': case 'offsetRemoved': return this.offsets.replay(record, recordOffset, producerId)
      case 'group': return this.replayGroup(record.value)
      case 'groupRemoved':
        this.members.clear()
        this.#generation = 0
        this.#protocolType = this.#protocolName = this.#leader = this.#subscribed = undefined
        this.#state = 'Empty'
        return
      default: record satisfies never
    }
  }
  protected replayGroup(value: GroupValue): void {
    if (this.#state === 'CompletingRebalance' && value.generation === this.#generation) {
      for (const { memberId, assignment } of value.members) {
        const member = this.members.get(memberId)
        if (member) member.assignment = assignment
      }
      return
    }
    const members = membersIn(value)
    this.members.clear()
    this.#generation = value.generation
    this.#protocolType = value.protocolType === '' ? undefined : value.protocolType
    this.#protocolName = value.protocol ?? undefined
    this.#stateTimestamp = value.currentStateTimestamp < 0n ? undefined : Number(value.currentStateTimestamp)
    for (const member of members) this.members.add(member)
    this.#leader = value.leader ?? this.members.first()?.id
    this.#state = this.members.size > 0 ? 'Stable' : 'Empty'
    this.#subscribed = this.#computeSubscribed()
  }
  protected loaded(now: number): void {
    for (const member of this.members) this.#heard(member, now)
    if (this.members.size > this.limits.sizeMax) this.#prepareRebalance(now, 'the loaded group is larger than group.max.size', { size: this.members.size })
  }
  protected unload(errorCode: number): void {
    for (const member of this.members) {
      this.#answerJoin(member, refusedJoin(member.id, errorCode))
      this.#answerSync(member, refusedSync(errorCode))
    }
    for (const was of this.#inFlight.values()) if (was.kind === 'commit' || was.kind === 'removal') this.offsets.abandoned(was, errorCode)
    this.#inFlight.clear()
    this.#state = 'Dead'
  }

  // ---- what others may know

  fetchOffset(of: TopicPartition, requireStable: boolean): ReturnType<GroupOffsets['fetch']> {
    return this.offsets.fetch(of, requireStable)
  }
  committedPartitions(): TopicPartition[] {
    return [...this.offsets.committed].map(({ topic, partition }) => ({ topic, partition }))
  }
  /** Metadata and assignments only while they are settled. */
  describe() {
    const isStable = this.#state === 'Stable'
    const protocol = isStable ? this.#protocolName ?? '' : ''
    return {
      state: this.#state,
      protocolType: this.#protocolType ?? '',
      protocol,
      members: [...this.members].map((member) => ({
        memberId: member.id, groupInstanceId: member.instanceId, clientId: member.clientId, clientHost: member.clientHost,
        memberMetadata: isStable ? member.metadataFor(protocol) : nothing,
        memberAssignment: isStable ? member.assignment : nothing,
      })),
    }
  }

  // ---- small things

  #become(state: StateName): void {
    this.#state = state
    this.#stateTimestamp = this.#wallMs
  }
  #member(id: string): Member {
    const member = this.members.get(id)
    assert(member, `group ${this.id} has no member ${id}`)
    return member
  }
  #computeSubscribed(): ReadonlySet<string> | undefined {
    return this.#protocolType === consumerProtocolType ? topicsReadBy(this.members, this.#protocolName) : undefined
  }
  #value(assignmentOf: (member: Member) => Uint8Array = (member) => member.assignment): GroupValue {
    return groupValueOf(this.members, {
      protocolType: this.#protocolType, protocolName: this.#protocolName, generation: this.#generation, leader: this.#leader, stateTimestamp: this.#stateTimestamp,
    }, assignmentOf)
  }
  #offsetsOwner(): OffsetsOwner {
    return {
      metadataMax: () => this.limits.offsetMetadataMax,
      generation: () => this.#generation,
      facts: () => ({
        isEmpty: this.#state === 'Empty', isStable: this.#state === 'Stable', protocolType: this.#protocolType,
        stateTimestamp: this.#stateTimestamp, subscribedTopics: this.#subscribed,
      }),
      isAwaited: () => this.members.pending.size > 0,
      emit: (output) => this.emit(output),
      persist: (purpose, records, was, producer) => this.#persist(purpose, records, was, producer),
    }
  }
  #memberList(): JoinAnswer['members'] {
    const protocol = this.#protocolName ?? ''
    return [...this.members].map((member) => ({ memberId: member.id, groupInstanceId: member.instanceId, metadata: member.metadataFor(protocol) }))
  }
  #joinAnswer(member: Member): JoinAnswer {
    return {
      errorCode: 0, generationId: this.#generation, protocolType: this.#protocolType ?? null, protocolName: this.#protocolName ?? null,
      leader: this.#leader ?? '', skipAssignment: false, memberId: member.id, members: member.id === this.#leader ? this.#memberList() : [],
    }
  }
  #syncAnswer(member: Member): SyncAnswer {
    return { errorCode: 0, protocolType: this.#protocolType ?? null, protocolName: this.#protocolName ?? null, assignment: member.assignment }
  }
  #answerJoin(member: Member, answer: JoinAnswer): void {
    if (member.joinTicket === undefined) return
    this.emit({ kind: 'joined', ticket: member.joinTicket, answer })
    member.joinTicket = undefined
  }
  #answerSync(member: Member, answer: SyncAnswer): boolean {
    if (member.syncTicket === undefined) return false
    this.emit({ kind: 'synced', ticket: member.syncTicket, answer })
    member.syncTicket = undefined
    return true
  }
  protected emit(output: Output): void {
    this.#outputs.push(output)
  }
  protected note(event: string, facts: Readonly<Record<string, unknown>>): void {
    this.emit({ kind: 'noted', event, facts })
  }
}
