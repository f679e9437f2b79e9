/** AlterPartitionReassignments (controller): null replicas cancel. */
import { array, int16, int32, string } from '../../wire/schema.ts'
import { api, type RequestOf, type ResponseOf } from './api.ts'

export const AlterPartitionReassignments = api({
  key: 45, name: 'AlterPartitionReassignments', versions: [0, 0], flexible: 0,
  request: {
    timeoutMs: int32.or(60_000),
    topics: array({
      name: string,
      partitions: array({ partitionIndex: int32, replicas: array(int32).orNull().or(null) }),
    }),
  },
  response: {
    throttleTimeMs: int32,
    errorCode: int16,
    errorMessage: string.orNull(),
    responses: array({
      name: string,
      partitions: array({ partitionIndex: int32, errorCode: int16, errorMessage: string.orNull() }),
    }),
  },
})
export type AlterPartitionReassignmentsRequest = RequestOf<typeof AlterPartitionReassignments>
export type AlterPartitionReassignmentsResponse = ResponseOf<typeof AlterPartitionReassignments>
