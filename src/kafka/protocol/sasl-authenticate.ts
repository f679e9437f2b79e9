/** SaslAuthenticate: one step of the mechanism's conversation. v1 tells how long the session lives. */
import { bytes, int16, int64, string } from '../../wire/schema.ts'
import { api, type RequestOf, type ResponseOf } from './api.ts'

export const SaslAuthenticate = api({
  key: 36, name: 'SaslAuthenticate', versions: [0, 2], flexible: 2,
  request: { authBytes: bytes },
  response: {
    errorCode: int16,
    errorMessage: string.orNull(),
    authBytes: bytes,
    sessionLifetimeMs: int64.since(1),
  },
})
export type SaslAuthenticateRequest = RequestOf<typeof SaslAuthenticate>
export type SaslAuthenticateResponse = ResponseOf<typeof SaslAuthenticate>
