/** ListPartitionReassignments (controller): null topics mean all. */
import { array, int16, int32, string } from '../../wire/schema.ts'
import { api, type RequestOf, type ResponseOf } from './api.ts'

export const ListPartitionReassignments = api({
  key: 46, name: 'ListPartitionReassignments', versions: [0, 0], flexible: 0,
  request: {
    timeoutMs: int32.or(60_000),
    topics: array({ name: string, partitionIndexes: array(int32) }).orNull().or(null),
  },
  response: {
    throttleTimeMs: int32,
    errorCode: int16,
    errorMessage: string.orNull(),
    topics: array({
      name: string,
      partitions: array({
        partitionIndex: int32,
        replicas: array(int32),
        addingReplicas: array(int32),
        removingReplicas: array(int32),
      }),
    }),
  },
})
export type ListPartitionReassignmentsRequest = RequestOf<typeof ListPartitionReassignments>
export type ListPartitionReassignmentsResponse = ResponseOf<typeof ListPartitionReassignments>
