/** LeaveGroup. v3 removes several members at once, v5 says why. */
import { array, int16, int32, string } from '../../wire/schema.ts'
import { api, type RequestOf, type ResponseOf } from './api.ts'

export const LeaveGroup = api({
  key: 13, name: 'LeaveGroup', versions: [0, 5], flexible: 4,
  request: {
    groupId: string,
    memberId: string.until(2),
    members: array({
      memberId: string,
      groupInstanceId: string.orNull().or(null),
      reason: string.orNull().since(5).or(null),
    }).since(3),
  },
  response: {
    throttleTimeMs: int32.since(1),
    errorCode: int16,
    members: array({ memberId: string, groupInstanceId: string.orNull(), errorCode: int16 }).since(3),
  },
})
export type LeaveGroupRequest = RequestOf<typeof LeaveGroup>
export type LeaveGroupResponse = ResponseOf<typeof LeaveGroup>
