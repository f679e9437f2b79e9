/** DescribeUserScramCredentials: null users mean all. Mechanisms: 1 SCRAM-SHA-256, 2 SCRAM-SHA-512. */
import { array, int16, int32, int8, string } from '../../wire/schema.ts'
import { api, type RequestOf, type ResponseOf } from './api.ts'

export const DescribeUserScramCredentials = api({
  key: 50, name: 'DescribeUserScramCredentials', versions: [0, 0], flexible: 0,
  request: { users: array({ name: string }).orNull() },
  response: {
    throttleTimeMs: int32,
    errorCode: int16,
    errorMessage: string.orNull(),
    results: array({
      user: string,
      errorCode: int16,
      errorMessage: string.orNull(),
      credentialInfos: array({ mechanism: int8, iterations: int32 }),
    }),
  },
})
export type DescribeUserScramCredentialsRequest = RequestOf<typeof DescribeUserScramCredentials>
export type DescribeUserScramCredentialsResponse = ResponseOf<typeof DescribeUserScramCredentials>
