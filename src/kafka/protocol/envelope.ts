/** Envelope: a request forwarded to the controller with its principal. Only while a cluster migrates away from ZooKeeper. */
import { bytes, int16 } from '../../wire/schema.ts'
import { api, type RequestOf, type ResponseOf } from './api.ts'

export const Envelope = api({
  key: 58, name: 'Envelope', versions: [0, 0], flexible: 0,
  request: { requestData: bytes, requestPrincipal: bytes.orNull(), clientHostAddress: bytes },
  response: { responseData: bytes.orNull().or(null), errorCode: int16 },
})
export type EnvelopeRequest = RequestOf<typeof Envelope>
export type EnvelopeResponse = ResponseOf<typeof Envelope>
