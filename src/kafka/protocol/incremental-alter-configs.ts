/** IncrementalAlterConfigs: 0 set, 1 delete, 2 append, 3 subtract. */
import { array, bool, int16, int32, int8, string } from '../../wire/schema.ts'
import { api, type RequestOf, type ResponseOf } from './api.ts'

export const IncrementalAlterConfigs = api({
  key: 44, name: 'IncrementalAlterConfigs', versions: [0, 1], flexible: 1,
  request: {
    resources: array({
      resourceType: int8,
      resourceName: string,
      configs: array({ name: string, configOperation: int8, value: string.orNull() }),
    }),
    validateOnly: bool,
  },
  response: {
    throttleTimeMs: int32,
    responses: array({
      errorCode: int16,
      errorMessage: string.orNull(),
      resourceType: int8,
      resourceName: string,
    }),
  },
})
export type IncrementalAlterConfigsRequest = RequestOf<typeof IncrementalAlterConfigs>
export type IncrementalAlterConfigsResponse = ResponseOf<typeof IncrementalAlterConfigs>
