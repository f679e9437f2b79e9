/**
 * JoinGroup. v1 has a rebalance timeout of its own, v4 makes dynamic members ask twice for their id (KIP-394), v5 static members,
 * v9 tells a returning static leader to keep its assignment.
 */
import { array, bool, bytes, int16, int32, string } from '../../wire/schema.ts'
import { api, type RequestOf, type ResponseOf } from './api.ts'

export const JoinGroup = api({
  key: 11, name: 'JoinGroup', versions: [0, 9], flexible: 6,
  request: {
    groupId: string,
    sessionTimeoutMs: int32,
    rebalanceTimeoutMs: int32.since(1).or(-1),
    memberId: string,
    groupInstanceId: string.orNull().since(5).or(null),
    protocolType: string,
    protocols: array({ name: string, metadata: bytes }),
    reason: string.orNull().since(8).or(null),
  },
  response: {
    throttleTimeMs: int32.since(2),
    errorCode: int16,
    generationId: int32.or(-1),
    protocolType: string.orNull().since(7).or(null),
    protocolName: string.orNull(7),
    leader: string,
    skipAssignment: bool.since(9),
    memberId: string,
    members: array({ memberId: string, groupInstanceId: string.orNull().since(5).or(null), metadata: bytes }),
  },
})
export type JoinGroupRequest = RequestOf<typeof JoinGroup>
export type JoinGroupResponse = ResponseOf<typeof JoinGroup>
