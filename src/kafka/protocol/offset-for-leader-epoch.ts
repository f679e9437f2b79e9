/** OffsetForLeaderEpoch: where an epoch ended, for truncation and for consumers that verify their position. */
import { array, int16, int32, int64, string } from '../../wire/schema.ts'
import { api, type RequestOf, type ResponseOf } from './api.ts'

export const OffsetForLeaderEpoch = api({
  key: 23, name: 'OffsetForLeaderEpoch', versions: [0, 4], flexible: 4,
  request: {
    replicaId: int32.since(3).or(-2),
    topics: array({
      topic: string,
      partitions: array({ partition: int32, currentLeaderEpoch: int32.since(2).or(-1), leaderEpoch: int32 }),
    }),
  },
  response: {
    throttleTimeMs: int32.since(2),
    topics: array({
      topic: string,
      partitions: array({
        errorCode: int16,
        partition: int32,
        leaderEpoch: int32.since(1).or(-1),
        endOffset: int64.or(-1),
      }),
    }),
  },
})
export type OffsetForLeaderEpochRequest = RequestOf<typeof OffsetForLeaderEpoch>
export type OffsetForLeaderEpochResponse = ResponseOf<typeof OffsetForLeaderEpoch>
