/** AlterClientQuotas: a null name is the default entity. */
import { array, bool, float64, int16, int32, string } from '../../wire/schema.ts'
import { api, type RequestOf, type ResponseOf } from './api.ts'

export const AlterClientQuotas = api({
  key: 49, name: 'AlterClientQuotas', versions: [0, 1], flexible: 1,
  request: {
    entries: array({
      entity: array({ entityType: string, entityName: string.orNull() }),
      ops: array({ key: string, value: float64, remove: bool }),
    }),
    validateOnly: bool,
  },
  response: {
    throttleTimeMs: int32,
    entries: array({
      errorCode: int16,
      errorMessage: string.orNull(),
      entity: array({ entityType: string, entityName: string.orNull() }),
    }),
  },
})
export type AlterClientQuotasRequest = RequestOf<typeof AlterClientQuotas>
export type AlterClientQuotasResponse = ResponseOf<typeof AlterClientQuotas>
