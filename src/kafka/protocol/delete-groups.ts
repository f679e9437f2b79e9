/** DeleteGroups: empty ones only. */
import { array, int16, int32, string } from '../../wire/schema.ts'
import { api, type RequestOf, type ResponseOf } from './api.ts'

export const DeleteGroups = api({
  key: 42, name: 'DeleteGroups', versions: [0, 2], flexible: 2,
  request: { groupsNames: array(string) },
  response: { throttleTimeMs: int32, results: array({ groupId: string, errorCode: int16 }) },
})
export type DeleteGroupsRequest = RequestOf<typeof DeleteGroups>
export type DeleteGroupsResponse = ResponseOf<typeof DeleteGroups>
