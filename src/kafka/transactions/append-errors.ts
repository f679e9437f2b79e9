/** What a failed append to `__transaction_state` means to the producer whose record it was (reference §5.7). */
import { errors } from '../protocol/errors.ts'

export function appendError(code: number): number {
  switch (code) {
    case errors.unknownTopicOrPartition.code: case errors.notEnoughReplicas.code: case errors.notEnoughReplicasAfterAppend.code: case errors.requestTimedOut.code:
      return errors.coordinatorNotAvailable.code
    case errors.notLeaderOrFollower.code: case errors.kafkaStorageError.code:
      return errors.notCoordinator.code
    case errors.messageTooLarge.code: case errors.recordListTooLarge.code:
      return errors.unknownServerError.code
    default:
      return code
  }
}

/** What a partition's leader said to a marker: tried again, or given up because another coordinator has taken over. */
export function isFenced(code: number): boolean {
  return code === errors.invalidProducerEpoch.code || code === errors.transactionCoordinatorFenced.code
}
/** The partition cannot hold a marker, now or ever: it is left out. */
export function cannotHoldMarkers(code: number): boolean {
  return code === errors.unsupportedVersion.code || code === errors.unsupportedForMessageFormat.code
}
