/** AddOffsetsToTxn: the group whose offsets a transaction will commit. */
import { int16, int32, int64, string } from '../../wire/schema.ts'
import { api, type RequestOf, type ResponseOf } from './api.ts'

export const AddOffsetsToTxn = api({
  key: 25, name: 'AddOffsetsToTxn', versions: [0, 4], flexible: 3,
  request: { transactionalId: string, producerId: int64, producerEpoch: int16, groupId: string },
  response: { throttleTimeMs: int32, errorCode: int16 },
})
export type AddOffsetsToTxnRequest = RequestOf<typeof AddOffsetsToTxn>
export type AddOffsetsToTxnResponse = ResponseOf<typeof AddOffsetsToTxn>
