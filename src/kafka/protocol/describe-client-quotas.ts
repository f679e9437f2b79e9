/** DescribeClientQuotas. Match types: 0 this name, 1 the default, 2 any name. */
import { array, bool, float64, int16, int32, int8, string } from '../../wire/schema.ts'
import { api, type RequestOf, type ResponseOf } from './api.ts'

export const DescribeClientQuotas = api({
  key: 48, name: 'DescribeClientQuotas', versions: [0, 1], flexible: 1,
  request: { components: array({ entityType: string, matchType: int8, match: string.orNull() }), strict: bool },
  response: {
    throttleTimeMs: int32,
    errorCode: int16,
    errorMessage: string.orNull(),
    entries: array({
      entity: array({ entityType: string, entityName: string.orNull() }),
      values: array({ key: string, value: float64 }),
    }).orNull(),
  },
})
export type DescribeClientQuotasRequest = RequestOf<typeof DescribeClientQuotas>
export type DescribeClientQuotasResponse = ResponseOf<typeof DescribeClientQuotas>
