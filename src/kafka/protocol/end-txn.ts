/** EndTxn: commit or abort. */
import { bool, int16, int32, int64, string } from '../../wire/schema.ts'
import { api, type RequestOf, type ResponseOf } from './api.ts'

export const EndTxn = api({
  key: 26, name: 'EndTxn', versions: [0, 4], flexible: 3,
  request: { transactionalId: string, producerId: int64, producerEpoch: int16, committed: bool },
  response: { throttleTimeMs: int32, errorCode: int16 },
})
export type EndTxnRequest = RequestOf<typeof EndTxn>
export type EndTxnResponse = ResponseOf<typeof EndTxn>
