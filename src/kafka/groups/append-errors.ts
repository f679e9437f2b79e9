/** What a failed append to `__consumer_offsets` means to those whose records they were. */
import { errors } from '../protocol/errors.ts'

/** A group record could not be appended: the error code its members are told. */
export function groupAppendError(code: number): number {
  switch (code) {
    case errors.unknownTopicOrPartition.code: case errors.notEnoughReplicas.code: case errors.notEnoughReplicasAfterAppend.code:
      return errors.coordinatorNotAvailable.code
    case errors.notLeaderOrFollower.code: case errors.kafkaStorageError.code:
      return errors.notCoordinator.code
    case errors.requestTimedOut.code:
      return errors.rebalanceInProgress.code
    case errors.messageTooLarge.code: case errors.recordListTooLarge.code: case errors.invalidFetchSize.code:
      return errors.unknownServerError.code
    default:
      return code
  }
}

/** Offsets could not be appended: the error code the committing client is told. */
export function offsetAppendError(code: number): number {
  switch (code) {
    case errors.unknownTopicOrPartition.code: case errors.notEnoughReplicas.code: case errors.notEnoughReplicasAfterAppend.code:
      return errors.coordinatorNotAvailable.code
    case errors.notLeaderOrFollower.code: case errors.kafkaStorageError.code:
      return errors.notCoordinator.code
    case errors.networkException.code:
      return errors.coordinatorLoadInProgress.code
    case errors.messageTooLarge.code: case errors.recordListTooLarge.code: case errors.invalidFetchSize.code:
      return errors.invalidCommitOffsetSize.code
    default:
      return code
  }
}
