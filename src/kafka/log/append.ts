/** What an append is told and what it answers. A refusal is a value: the protocol's error code with a sentence for people. */

/** Bytes as they came: one buffer, or the pieces of a frame in order. The log keeps and patches them: hand over, do not reuse. */
export type Pieces = Uint8Array | readonly Uint8Array[]

export interface AppendFacts {
  /** Current leader epoch; written into every batch. For `replication` the epochs in the batches are kept. */
  leaderEpoch: number
  /**
   * `client`: everything is checked, offsets are assigned. `coordinator`: own batches of a coordinator (group records,
   * transaction markers): offsets assigned, sequence numbers not checked. `replication`: bytes of the leader, stored as they are.
   */
  origin: 'client' | 'coordinator' | 'replication'
  /** Version of the Produce request: 0–1 may carry magic 0–1, 2 magic ≤ 1, 3+ exactly one batch of magic 2. Without it: magic 2, any number of batches. */
  produceVersion?: number
  /** Written before what else this turn has brought: somebody waits for it who does nothing meanwhile. */
  isFirst?: boolean
  /**
   * Asked when the log goes on reading from the bytes it was given after they are written: they must not change until what this returns has run.
   * Without it they must not change at all.
   */
  keep?: () => () => void
}

export interface Appended {
  errorCode: 0
  /** First offset assigned; for a duplicate of an idempotent producer the offset it got the first time. */
  baseOffset: number
  lastOffset: number
  /** −1 when the topic's timestamp type is CreateTime. */
  logAppendTimeMs: bigint
  logStartOffset: number
  duplicate: boolean
}

export interface RecordError {
  /** Index of the record in the batch. */
  batchIndex: number
  batchIndexErrorMessage: string
}

export interface Refused {
  errorCode: number
  message: string
  recordErrors: RecordError[]
  /** Sequences of this producer are missing between its last batch here, which ends before `endOffset`, and the refused one. */
  missing?: { producerId: number; endOffset: number }
}

export type AppendOutcome = Appended | Refused

/**
 * Called once for every append that was not refused, in order of the appends: when its bytes are in the file, and on the
 * device if `flush.messages` says so. With a failure when they could not be written: the log directory is offline then.
 */
export type AppendDone = (failure?: Error) => void

export const isRefused = (outcome: { errorCode: number }): outcome is Refused => outcome.errorCode !== 0

/** The error codes this room answers with. */
export const codes = {
  offsetOutOfRange: 1,
  corruptMessage: 2,
  messageTooLarge: 10,
  recordListTooLarge: 18,
  invalidTimestamp: 32,
  unsupportedForMessageFormat: 43,
  outOfOrderSequenceNumber: 45,
  invalidProducerEpoch: 47,
  invalidTxnState: 48,
  transactionCoordinatorFenced: 52,
  kafkaStorageError: 56,
  unknownProducerId: 59,
  unsupportedCompressionType: 76,
  invalidRecord: 87,
} as const

export function refusal(errorCode: number, message: string, recordErrors: RecordError[] = []): Refused {
  return { errorCode, message, recordErrors }
}
