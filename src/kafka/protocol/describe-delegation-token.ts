/** DescribeDelegationToken: null owners mean all. */
import { array, bigint64, bytes, int16, int32, string } from '../../wire/schema.ts'
import { api, type RequestOf, type ResponseOf } from './api.ts'

export const DescribeDelegationToken = api({
  key: 41, name: 'DescribeDelegationToken', versions: [0, 3], flexible: 2,
  request: { owners: array({ principalType: string, principalName: string }).orNull() },
  response: {
    errorCode: int16,
    tokens: array({
      principalType: string,
      principalName: string,
      tokenRequesterPrincipalType: string.since(3),
      tokenRequesterPrincipalName: string.since(3),
      issueTimestamp: bigint64,
      expiryTimestamp: bigint64,
      maxTimestamp: bigint64,
      tokenId: string,
      hmac: bytes,
      renewers: array({ principalType: string, principalName: string }),
    }),
    throttleTimeMs: int32,
  },
})
export type DescribeDelegationTokenRequest = RequestOf<typeof DescribeDelegationToken>
export type DescribeDelegationTokenResponse = ResponseOf<typeof DescribeDelegationToken>
