/** SyncGroup: the leader hands in the assignment, everybody gets a share of it. v5 names protocol type and protocol. */
import { array, bytes, int16, int32, string } from '../../wire/schema.ts'
import { api, type RequestOf, type ResponseOf } from './api.ts'

export const SyncGroup = api({
  key: 14, name: 'SyncGroup', versions: [0, 5], flexible: 4,
  request: {
    groupId: string,
    generationId: int32,
    memberId: string,
    groupInstanceId: string.orNull().since(3).or(null),
    protocolType: string.orNull().since(5).or(null),
    protocolName: string.orNull().since(5).or(null),
    assignments: array({ memberId: string, assignment: bytes }),
  },
  response: {
    throttleTimeMs: int32.since(1),
    errorCode: int16,
    protocolType: string.orNull().since(5).or(null),
    protocolName: string.orNull().since(5).or(null),
    assignment: bytes,
  },
})
export type SyncGroupRequest = RequestOf<typeof SyncGroup>
export type SyncGroupResponse = ResponseOf<typeof SyncGroup>
