/** ElectLeaders (controller). v1 names the kind: 0 preferred, 1 unclean. */
import { array, int16, int32, int8, string } from '../../wire/schema.ts'
import { api, type RequestOf, type ResponseOf } from './api.ts'

export const ElectLeaders = api({
  key: 43, name: 'ElectLeaders', versions: [0, 2], flexible: 2,
  request: {
    electionType: int8.since(1),
    topicPartitions: array({ topic: string, partitions: array(int32) }).orNull(),
    timeoutMs: int32.or(60_000),
  },
  response: {
    throttleTimeMs: int32,
    errorCode: int16.since(1),
    replicaElectionResults: array({
      topic: string,
      partitionResult: array({ partitionId: int32, errorCode: int16, errorMessage: string.orNull() }),
    }),
  },
})
export type ElectLeadersRequest = RequestOf<typeof ElectLeaders>
export type ElectLeadersResponse = ResponseOf<typeof ElectLeaders>
