/** Heartbeat of a group's member. v3 static members. */
import { int16, int32, string } from '../../wire/schema.ts'
import { api, type RequestOf, type ResponseOf } from './api.ts'

export const Heartbeat = api({
  key: 12, name: 'Heartbeat', versions: [0, 4], flexible: 4,
  request: {
    groupId: string,
    generationId: int32,
    memberId: string,
    groupInstanceId: string.orNull().since(3).or(null),
  },
  response: { throttleTimeMs: int32.since(1), errorCode: int16 },
})
export type HeartbeatRequest = RequestOf<typeof Heartbeat>
export type HeartbeatResponse = ResponseOf<typeof Heartbeat>
