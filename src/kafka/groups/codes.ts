/** The error codes a group coordinator answers with, and what a failed append of its records means to a client. */
export const codes = {
  none: 0,
  unknownServerError: -1,
  unknownTopicOrPartition: 3,
  notLeaderOrFollower: 6,
  requestTimedOut: 7,
  messageTooLarge: 10,
  offsetMetadataTooLarge: 12,
  networkException: 13,
  coordinatorLoadInProgress: 14,
  coordinatorNotAvailable: 15,
  notCoordinator: 16,
  recordListTooLarge: 18,
  notEnoughReplicas: 19,
  notEnoughReplicasAfterAppend: 20,
  illegalGeneration: 22,
  inconsistentGroupProtocol: 23,
  invalidGroupId: 24,
  unknownMemberId: 25,
  invalidSessionTimeout: 26,
  rebalanceInProgress: 27,
  invalidCommitOffsetSize: 28,
  invalidFetchSize: 4,
  kafkaStorageError: 56,
  nonEmptyGroup: 68,
  groupIdNotFound: 69,
  memberIdRequired: 79,
  groupMaxSizeReached: 81,
  fencedInstanceId: 82,
  groupSubscribedToTopic: 86,
  unstableOffsetCommit: 88,
} as const

/** A group record could not be appended: what its members are told. */
export function groupAppendError(code: number): number {
  switch (code) {
    case codes.unknownTopicOrPartition: case codes.notEnoughReplicas: case codes.notEnoughReplicasAfterAppend:
      return codes.coordinatorNotAvailable
    case codes.notLeaderOrFollower: case codes.kafkaStorageError:
      return codes.notCoordinator
    case codes.requestTimedOut:
      return codes.rebalanceInProgress
    case codes.messageTooLarge: case codes.recordListTooLarge: case codes.invalidFetchSize:
      return codes.unknownServerError
    default:
      return code
  }
}

/** Offsets could not be appended: what the committing client is told. */
export function offsetAppendError(code: number): number {
  switch (code) {
    case codes.unknownTopicOrPartition: case codes.notEnoughReplicas: case codes.notEnoughReplicasAfterAppend:
      return codes.coordinatorNotAvailable
    case codes.notLeaderOrFollower: case codes.kafkaStorageError:
      return codes.notCoordinator
    case codes.networkException:
      return codes.coordinatorLoadInProgress
    case codes.messageTooLarge: case codes.recordListTooLarge: case codes.invalidFetchSize:
      return codes.invalidCommitOffsetSize
    default:
      return code
  }
}
