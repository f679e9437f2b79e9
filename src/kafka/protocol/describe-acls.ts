/** DescribeAcls. v1 pattern types, v2 flexible, v3 user resources. */
import { array, int16, int32, int8, string } from '../../wire/schema.ts'
import { api, type RequestOf, type ResponseOf } from './api.ts'

export const DescribeAcls = api({
  key: 29, name: 'DescribeAcls', versions: [0, 3], flexible: 2,
  request: {
    resourceTypeFilter: int8,
    resourceNameFilter: string.orNull(),
    patternTypeFilter: int8.since(1).or(3),
    principalFilter: string.orNull(),
    hostFilter: string.orNull(),
    operation: int8,
    permissionType: int8,
  },
  response: {
    throttleTimeMs: int32,
    errorCode: int16,
    errorMessage: string.orNull(),
    resources: array({
      resourceType: int8,
      resourceName: string,
      patternType: int8.since(1).or(3),
      acls: array({ principal: string, host: string, operation: int8, permissionType: int8 }),
    }),
  },
})
export type DescribeAclsRequest = RequestOf<typeof DescribeAcls>
export type DescribeAclsResponse = ResponseOf<typeof DescribeAcls>
