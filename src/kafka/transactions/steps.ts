/** What a transactional id is told and what follows: the inputs and outputs of `Transaction.step`. Times are ms since 1970: they go on record. */
import type { TopicPartition, TransactionValue } from './transaction-state.ts'

/** Who a request says it comes from. */
export interface ProducerClaim {
  readonly id: number
  readonly epoch: number
}

/** A ticket names one request and comes back with its answer. */
export type Input =
  | {
      kind: 'initProducerId'
      ticket: number
      timeoutMs: number
      /** KIP-360, from version 3: who the producer believes to be. */
      expected?: ProducerClaim
      /** A producer id nobody has, when `needsProducerId` said so. */
      freshId?: number
      now: number
    }
  | { kind: 'addPartitions'; ticket: number; producer: ProducerClaim; partitions: readonly TopicPartition[]; now: number }
  | { kind: 'end'; ticket: number; producer: ProducerClaim; committed: boolean; now: number }
  /** The value of the last `persist` is on record, or could not be appended. */
  | { kind: 'persisted'; errorCode: number; now: number }
  /** What became of the markers of the last `writeMarkers`, in its order. */
  | { kind: 'markersWritten'; outcomes: readonly MarkerOutcome[]; now: number }
  /** The moment a `retrySoon` asked for has come. */
  | { kind: 'retried'; now: number }
  /** A transaction out of time is aborted. */
  | { kind: 'ticked'; now: number }
  /** An id unused for so long is forgotten. */
  | { kind: 'expired'; unusedMsMax: number; now: number }
  /** The partition was loaded and this id with it: what had been decided is carried on with. */
  | { kind: 'loaded' }
  /** This broker does not coordinate the id any more. */
  | { kind: 'unloaded'; errorCode: number }

export interface MarkerOutcome extends TopicPartition {
  readonly errorCode: number
  /** The partition does not exist (any more): nobody will read it. */
  readonly isGone?: boolean
}

export type Output =
  | { kind: 'answered'; ticket: number; errorCode: number; producer?: ProducerClaim }
  /** To be appended; what follows from it follows from the next `persisted`. Null removes the id. */
  | { kind: 'persist'; value: TransactionValue | null }
  /** To be appended to these partitions by their leaders; `markersWritten` follows. */
  | { kind: 'writeMarkers'; producer: ProducerClaim; committed: boolean; partitions: readonly TopicPartition[] }
  /** `retried` is wanted in a moment. */
  | { kind: 'retrySoon' }
  /** For the log. */
  | { kind: 'noted'; level: 'info' | 'warn'; event: string; facts: Readonly<Record<string, unknown>> }
