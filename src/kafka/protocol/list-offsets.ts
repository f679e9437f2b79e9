/**
 * ListOffsets: offset by timestamp, or an end of the log. v0 gives a list of segment offsets, v1 one offset and its timestamp.
 * Special timestamps: −1 latest, −2 earliest, −3 largest timestamp (v7), −4 earliest local (v8), −5 latest tiered (v9).
 */
import { array, bigint64, int16, int32, int64, int8, string } from '../../wire/schema.ts'
import { api, type RequestOf, type ResponseOf } from './api.ts'

export const ListOffsets = api({
  key: 2, name: 'ListOffsets', versions: [0, 9], flexible: 6,
  request: {
    replicaId: int32,
    isolationLevel: int8.since(2),
    topics: array({
      name: string,
      partitions: array({
        partitionIndex: int32,
        currentLeaderEpoch: int32.since(4).or(-1),
        timestamp: bigint64,
        maxNumOffsets: int32.until(0).or(1),
      }),
    }),
  },
  response: {
    throttleTimeMs: int32.since(2),
    topics: array({
      name: string,
      partitions: array({
        partitionIndex: int32,
        errorCode: int16,
        oldStyleOffsets: array(int64).until(0),
        timestamp: bigint64.since(1).or(-1n),
        offset: int64.since(1).or(-1),
        leaderEpoch: int32.since(4).or(-1),
      }),
    }),
  },
})
export type ListOffsetsRequest = RequestOf<typeof ListOffsets>
export type ListOffsetsResponse = ResponseOf<typeof ListOffsets>
