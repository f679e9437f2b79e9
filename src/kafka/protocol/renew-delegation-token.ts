/** RenewDelegationToken. */
import { bigint64, bytes, int16, int32 } from '../../wire/schema.ts'
import { api, type RequestOf, type ResponseOf } from './api.ts'

export const RenewDelegationToken = api({
  key: 39, name: 'RenewDelegationToken', versions: [0, 2], flexible: 2,
  request: { hmac: bytes, renewPeriodMs: bigint64 },
  response: { errorCode: int16, expiryTimestampMs: bigint64, throttleTimeMs: int32 },
})
export type RenewDelegationTokenRequest = RequestOf<typeof RenewDelegationToken>
export type RenewDelegationTokenResponse = ResponseOf<typeof RenewDelegationToken>
