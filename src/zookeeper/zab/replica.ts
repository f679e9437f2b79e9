/** What ZAB needs of the server whose history it keeps: the door between this room and `zookeeper/server`. */
import type { ErrorCode } from '../protocol/errors.ts'
import type { CommittedTransaction } from './committed-log.ts'
import type { QuorumConfig } from './quorum-config.ts'
import type { ReconfigurationRequest } from './reconfiguration.ts'
import type { SnapshotSink } from './quorum-stream.ts'
import type { QuorumPacket } from '../protocol/quorum.ts'

export interface Replica {
  /** Zxid of the last transaction applied; when no role is played, also of the last one logged. */
  readonly lastProcessed: bigint
  /** The latest committed transactions, oldest first. */
  readonly committed: readonly CommittedTransaction[]
  /** What the logs hold of before `below`, beginning with the last transaction up to `from`, without a gap; undefined where they lack any of it, or it is too much. */
  history(from: bigint, below: bigint): Promise<readonly CommittedTransaction[] | undefined>
  epochs(): Promise<{ acceptedEpoch: number; currentEpoch: number }>
  writeEpoch(name: 'acceptedEpoch' | 'currentEpoch', epoch: number): Promise<void>
  /** Queues a leader's transaction for the log. Throws MalformedError where it is none. */
  append(transaction: CommittedTransaction): void
  /** What is appended and not on its way to the device yet is written when this is settled. */
  hold(until: Promise<unknown>): void
  /** Resolves with the zxid up to which the log was durable when it was called. */
  flushed(): Promise<bigint>
  /** Applies the oldest transaction that is appended and not applied. */
  commit(zxid: bigint): void
  /** Called after a group of commits: answers leave now. */
  committedGroup(): void
  truncate(zxid: bigint): Promise<void>
  /** Empties the tree; what the leader has goes into the sink. */
  beginInstall(): SnapshotSink
  /** Makes the installed tree durable. */
  finishInstall(zxid: bigint): Promise<void>
  /** The snapshot was cut off: back to what is on disk. */
  abandonInstall(): Promise<void>
  /** The tree as it is now, in the stream's format, without signature; taken in slices while the tree changes. `close` has to be called. */
  beginSnapshot(): { readonly pieces: Iterable<Uint8Array>; close(): void }
  /** From now on clients are served. */
  serve(role: ServingRole): void
  /** There is no leader: from now on reads are served, until `stopServing`. */
  serveReadOnly(): void
  /** Closes all clients, and applies what is logged and not applied. */
  stopServing(): Promise<void>
}

/** What a leader knows of its learners. `addresses`: of the connections of observers. */
export interface LearnerCounts {
  readonly total: number
  readonly synced: number
  readonly syncedNonVoting: number
  readonly observers: number
  readonly syncedObservers: readonly { readonly serverId: number; readonly address: string; readonly queuedSize: number }[]
  /** Answers to `sync` that wait for a commit. */
  readonly pendingSyncs: number
  readonly leadingMs: number
}
export type ServingRole =
  | { readonly kind: 'leader'; readonly epoch: number; readonly zxid: bigint; readonly leading: LeadingDoor }
  | { readonly kind: 'follower' | 'observer'; readonly epoch: number; readonly following: FollowingDoor }

/** What a serving leader may ask of ZAB; the replica sets what it wants to be asked. */
export interface LeadingDoor {
  /** The configuration that a client asks for, numbered with the zxid that its transaction gets, or the error code that refuses it. */
  nextConfig(request: ReconfigurationRequest, zxid: bigint, standaloneEnabled: boolean): QuorumConfig | ErrorCode
  /** False once this server has stopped leading: nothing may be numbered in its epoch any more. */
  readonly isLeading: boolean
  propose(transaction: CommittedTransaction): void
  /** Sends SYNC to the learner once all that is proposed so far is committed. */
  sync(learner: number): void
  send(learner: number, packet: QuorumPacket): void
  readonly followers: () => LearnerCounts
  /** A learner's request, REVALIDATE, or session table, in the order of its connection. */
  onRequest: ((learner: number, packet: QuorumPacket) => void) | undefined
  onRevalidate: ((learner: number, packet: QuorumPacket) => void) | undefined
  onAlive: ((learner: number, sessions: Buffer) => void) | undefined
}
export interface FollowingDoor {
  readonly leader: number
  send(packet: QuorumPacket): void
  /** The table for the answer to a ping. */
  takeSessions: (() => Buffer) | undefined
  onSynced: (() => void) | undefined
  onRevalidated: ((sessionId: bigint, isValid: boolean) => void) | undefined
}
