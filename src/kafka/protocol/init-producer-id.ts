/** InitProducerId: a producer id and epoch, for idempotence alone when there is no transactional id. v3 bumps the epoch. */
import { int16, int32, int64, string } from '../../wire/schema.ts'
import { api, type RequestOf, type ResponseOf } from './api.ts'

export const InitProducerId = api({
  key: 22, name: 'InitProducerId', versions: [0, 5], flexible: 2,
  request: {
    transactionalId: string.orNull(),
    transactionTimeoutMs: int32,
    producerId: int64.since(3).or(-1),
    producerEpoch: int16.since(3).or(-1),
  },
  response: { throttleTimeMs: int32, errorCode: int16, producerId: int64.or(-1), producerEpoch: int16 },
})
export type InitProducerIdRequest = RequestOf<typeof InitProducerId>
export type InitProducerIdResponse = ResponseOf<typeof InitProducerId>
