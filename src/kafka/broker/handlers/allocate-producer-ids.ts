/** AllocateProducerIds: a broker asks the controller for a block of producer ids (KIP-730). */
import { AllocateProducerIds } from '../../protocol/allocate-producer-ids.ts'
import { handler } from '../handler.ts'

export const allocateProducerIds = handler({
  api: AllocateProducerIds,
  refuse: (errorCode) => ({ throttleTimeMs: 0, errorCode, producerIdStart: 0, producerIdLen: 0 }),
  answer: (request, { broker }) => broker.controller.answerAllocateProducerIds(request),
})
