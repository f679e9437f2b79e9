/**
 * OffsetCommit. v0 keeps offsets in ZooKeeper; v1 names the member; retention is the client's in v2–4; v9 is also for members
 * of the consumer protocol, whose member epoch stands where the generation does.
 */
import { array, bigint64, int16, int32, int64, string } from '../../wire/schema.ts'
import { api, type RequestOf, type ResponseOf } from './api.ts'

export const OffsetCommit = api({
  key: 8, name: 'OffsetCommit', versions: [0, 9], flexible: 8,
  request: {
    groupId: string,
    generationIdOrMemberEpoch: int32.since(1).or(-1),
    memberId: string.since(1),
    groupInstanceId: string.orNull().since(7).or(null),
    retentionTimeMs: bigint64.since(2).until(4).or(-1n),
    topics: array({
      name: string,
      partitions: array({
        partitionIndex: int32,
        committedOffset: int64,
        committedLeaderEpoch: int32.since(6).or(-1),
        commitTimestamp: bigint64.since(1).until(1).or(-1n),
        committedMetadata: string.orNull(),
      }),
    }),
  },
  response: {
    throttleTimeMs: int32.since(3),
    topics: array({ name: string, partitions: array({ partitionIndex: int32, errorCode: int16 }) }),
  },
})
export type OffsetCommitRequest = RequestOf<typeof OffsetCommit>
export type OffsetCommitResponse = ResponseOf<typeof OffsetCommit>
