/** ExpireDelegationToken: a negative period deletes it. */
import { bigint64, bytes, int16, int32 } from '../../wire/schema.ts'
import { api, type RequestOf, type ResponseOf } from './api.ts'

export const ExpireDelegationToken = api({
  key: 40, name: 'ExpireDelegationToken', versions: [0, 2], flexible: 2,
  request: { hmac: bytes, expiryTimePeriodMs: bigint64 },
  response: { errorCode: int16, expiryTimestampMs: bigint64, throttleTimeMs: int32 },
})
export type ExpireDelegationTokenRequest = RequestOf<typeof ExpireDelegationToken>
export type ExpireDelegationTokenResponse = ResponseOf<typeof ExpireDelegationToken>
