/** CreateDelegationToken. v3 on behalf of somebody else. */
import { array, bigint64, bytes, int16, int32, string } from '../../wire/schema.ts'
import { api, type RequestOf, type ResponseOf } from './api.ts'

export const CreateDelegationToken = api({
  key: 38, name: 'CreateDelegationToken', versions: [0, 3], flexible: 2,
  request: {
    ownerPrincipalType: string.orNull().since(3),
    ownerPrincipalName: string.orNull().since(3),
    renewers: array({ principalType: string, principalName: string }),
    maxLifetimeMs: bigint64,
  },
  response: {
    errorCode: int16,
    principalType: string,
    principalName: string,
    tokenRequesterPrincipalType: string.since(3),
    tokenRequesterPrincipalName: string.since(3),
    issueTimestampMs: bigint64,
    expiryTimestampMs: bigint64,
    maxTimestampMs: bigint64,
    tokenId: string,
    hmac: bytes,
    throttleTimeMs: int32,
  },
})
export type CreateDelegationTokenRequest = RequestOf<typeof CreateDelegationToken>
export type CreateDelegationTokenResponse = ResponseOf<typeof CreateDelegationToken>
