/** AllocateProducerIds: a block of producer ids from the controller. */
import { bigint64, int16, int32, int64 } from '../../wire/schema.ts'
import { api, type RequestOf, type ResponseOf } from './api.ts'

export const AllocateProducerIds = api({
  key: 67, name: 'AllocateProducerIds', versions: [0, 0], flexible: 0,
  request: { brokerId: int32, brokerEpoch: bigint64.or(-1n) },
  response: { throttleTimeMs: int32, errorCode: int16, producerIdStart: int64, producerIdLen: int32 },
})
export type AllocateProducerIdsRequest = RequestOf<typeof AllocateProducerIds>
export type AllocateProducerIdsResponse = ResponseOf<typeof AllocateProducerIds>
