/** What a group is told and what it answers: the inputs and outputs of `Group.step`. */
import type { Commit, TopicPartition } from './committed-offsets.ts'
import type { Protocol } from './members.ts'
import type { GroupValue } from './offsets-records.ts'

/** Deadlines count on a clock that never jumps, records carry the one on the wall. */
export interface Time {
  /** Monotonic ms. */
  readonly now: number
  /** ms since 1970. */
  readonly wallMs: number
}

/** A ticket names one request and comes back with its answer. */
export type Input =
  | JoinInput
  | SyncInput
  | { kind: 'heartbeat'; ticket: number; member: MemberClaim; time: Time }
  | { kind: 'leave'; ticket: number; leaving: readonly Leaving[]; time: Time }
  | CommitInput
  | { kind: 'deleteOffsets'; ticket: number; partitions: readonly TopicPartition[]; time: Time }
  | { kind: 'delete'; ticket: number; time: Time }
  /** Topics are gone: their offsets go without being asked who reads them. */
  | { kind: 'partitionsDeleted'; partitions: readonly TopicPartition[]; time: Time }
  | { kind: 'expireOffsets'; retentionMs: number; time: Time }
  /** The records of an earlier `persist` are on record at `baseOffset`, or could not be appended. */
  | { kind: 'persisted'; token: number; errorCode: number; baseOffset: number; time: Time }
  | { kind: 'transactionEnded'; producerId: number; committed: boolean }
  | { kind: 'ticked'; time: Time }
  /** The partition was loaded and this group with it: its members' sessions begin anew. */
  | { kind: 'loaded'; time: Time }
  /** This broker does not coordinate the group any more. */
  | { kind: 'unloaded'; errorCode: number }

/** Who a request says it comes from. */
export interface MemberClaim {
  readonly memberId: string
  readonly instanceId: string | null
  readonly generation: number
}
export interface JoinInput {
  kind: 'join'
  ticket: number
  memberId: string
  instanceId: string | null
  clientId: string
  clientHost: string
  /** Makes a new member's id unique. */
  uuid: string
  /** KIP-394, from version 4: a dynamic member has to come back with the id it gets. */
  memberIdRequired: boolean
  /** KIP-814, from version 9. */
  canSkipAssignment: boolean
  protocolType: string
  protocols: readonly Protocol[]
  sessionTimeoutMs: number
  rebalanceTimeoutMs: number
  reason: string | null
  time: Time
}
export interface SyncInput {
  kind: 'sync'
  ticket: number
  member: MemberClaim
  protocolType: string | null
  protocolName: string | null
  assignments: ReadonlyMap<string, Uint8Array>
  time: Time
}
export interface CommitInput {
  kind: 'commit'
  ticket: number
  member: MemberClaim
  commits: readonly Commit[]
  /** Part of a transaction: counts when that commits. */
  producer?: { readonly id: number; readonly epoch: number }
  time: Time
}
export interface Leaving {
  readonly memberId: string
  readonly instanceId: string | null
  readonly reason: string | null
}

export interface JoinAnswer {
  readonly errorCode: number
  readonly generationId: number
  readonly protocolType: string | null
  readonly protocolName: string | null
  readonly leader: string
  readonly skipAssignment: boolean
  readonly memberId: string
  readonly members: readonly { memberId: string; groupInstanceId: string | null; metadata: Uint8Array }[]
}
export interface SyncAnswer {
  readonly errorCode: number
  readonly protocolType: string | null
  readonly protocolName: string | null
  readonly assignment: Uint8Array
}

export type GroupRecord =
  | { kind: 'offset'; commit: Commit }
  | { kind: 'offsetRemoved'; of: TopicPartition }
  | { kind: 'group'; value: GroupValue }
  | { kind: 'groupRemoved' }

export type Output =
  | { kind: 'joined'; ticket: number; answer: JoinAnswer }
  | { kind: 'synced'; ticket: number; answer: SyncAnswer }
  /** Heartbeat, delete: one error code. */
  | { kind: 'answered'; ticket: number; errorCode: number }
  /** Leave, commit, delete offsets: an error code for each thing asked, in order, or one for the whole. */
  | { kind: 'answeredEach'; ticket: number; errorCode: number; errorCodes: readonly number[] }
  /** To be appended in one batch; what follows from it follows from the `persisted` with that token. */
  | { kind: 'persist'; token: number; purpose: 'offsets' | 'group'; records: readonly GroupRecord[]; producer?: { readonly id: number; readonly epoch: number } }
  /** For the log. */
  | { kind: 'noted'; event: string; facts: Readonly<Record<string, unknown>> }

export const refusedJoin = (memberId: string, errorCode: number): JoinAnswer =>
  ({ errorCode, generationId: -1, protocolType: null, protocolName: null, leader: '', skipAssignment: false, memberId, members: [] })
export const refusedSync = (errorCode: number): SyncAnswer =>
  ({ errorCode, protocolType: null, protocolName: null, assignment: new Uint8Array(0) })
