/** DeleteAcls: by filters. v1 pattern types. */
import { array, int16, int32, int8, string } from '../../wire/schema.ts'
import { api, type RequestOf, type ResponseOf } from './api.ts'

export const DeleteAcls = api({
  key: 31, name: 'DeleteAcls', versions: [0, 3], flexible: 2,
  request: {
    filters: array({
      resourceTypeFilter: int8,
      resourceNameFilter: string.orNull(),
      patternTypeFilter: int8.since(1).or(3),
      principalFilter: string.orNull(),
      hostFilter: string.orNull(),
      operation: int8,
      permissionType: int8,
    }),
  },
  response: {
    throttleTimeMs: int32,
    filterResults: array({
      errorCode: int16,
      errorMessage: string.orNull(),
      matchingAcls: array({
        errorCode: int16,
        errorMessage: string.orNull(),
        resourceType: int8,
        resourceName: string,
        patternType: int8.since(1).or(3),
        principal: string,
        host: string,
        operation: int8,
        permissionType: int8,
      }),
    }),
  },
})
export type DeleteAclsRequest = RequestOf<typeof DeleteAcls>
export type DeleteAclsResponse = ResponseOf<typeof DeleteAcls>
