/** SaslHandshake: names the mechanism. After v0 tokens follow in bare frames, after v1 in SaslAuthenticate. */
import { array, int16, string } from '../../wire/schema.ts'
import { api, type RequestOf, type ResponseOf } from './api.ts'

export const SaslHandshake = api({
  key: 17, name: 'SaslHandshake', versions: [0, 1],
  request: { mechanism: string },
  response: { errorCode: int16, mechanisms: array(string) },
})
export type SaslHandshakeRequest = RequestOf<typeof SaslHandshake>
export type SaslHandshakeResponse = ResponseOf<typeof SaslHandshake>
