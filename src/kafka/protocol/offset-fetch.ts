/** OffsetFetch. v0 reads from ZooKeeper; null topics (v2) mean all; v7 waits for open transactions; v8 asks for several groups. */
import { array, bool, int16, int32, int64, string } from '../../wire/schema.ts'
import { api, type RequestOf, type ResponseOf } from './api.ts'

export const OffsetFetch = api({
  key: 9, name: 'OffsetFetch', versions: [0, 9], flexible: 6,
  request: {
    groupId: string.until(7),
    topics: array({ name: string, partitionIndexes: array(int32) }).orNull(2).until(7),
    groups: array({
      groupId: string,
      memberId: string.orNull().since(9).or(null),
      memberEpoch: int32.since(9).or(-1),
      topics: array({ name: string, partitionIndexes: array(int32) }).orNull(),
    }).since(8),
    requireStable: bool.since(7),
  },
  response: {
    throttleTimeMs: int32.since(3),
    topics: array({
      name: string,
      partitions: array({
        partitionIndex: int32,
        committedOffset: int64,
        committedLeaderEpoch: int32.since(5).or(-1),
        metadata: string.orNull(),
        errorCode: int16,
      }),
    }).until(7),
    errorCode: int16.since(2).until(7),
    groups: array({
      groupId: string,
      topics: array({
        name: string,
        partitions: array({
          partitionIndex: int32,
          committedOffset: int64,
          committedLeaderEpoch: int32.or(-1),
          metadata: string.orNull(),
          errorCode: int16,
        }),
      }),
      errorCode: int16.or(0),
    }).since(8),
  },
})
export type OffsetFetchRequest = RequestOf<typeof OffsetFetch>
export type OffsetFetchResponse = ResponseOf<typeof OffsetFetch>
