/** DescribeConfigs. v1 says where a value comes from, v3 its type and documentation. */
import { array, bool, int16, int32, int8, string } from '../../wire/schema.ts'
import { api, type RequestOf, type ResponseOf } from './api.ts'

export const DescribeConfigs = api({
  key: 32, name: 'DescribeConfigs', versions: [0, 4], flexible: 4,
  request: {
    resources: array({ resourceType: int8, resourceName: string, configurationKeys: array(string).orNull() }),
    includeSynonyms: bool.since(1),
    includeDocumentation: bool.since(3),
  },
  response: {
    throttleTimeMs: int32,
    results: array({
      errorCode: int16,
      errorMessage: string.orNull(),
      resourceType: int8,
      resourceName: string,
      configs: array({
        name: string,
        value: string.orNull(),
        readOnly: bool,
        isDefault: bool.until(0),
        configSource: int8.since(1).or(-1),
        isSensitive: bool,
        synonyms: array({ name: string, value: string.orNull(), source: int8 }).since(1),
        configType: int8.since(3),
        documentation: string.orNull().since(3),
      }),
    }),
  },
})
export type DescribeConfigsRequest = RequestOf<typeof DescribeConfigs>
export type DescribeConfigsResponse = ResponseOf<typeof DescribeConfigs>
