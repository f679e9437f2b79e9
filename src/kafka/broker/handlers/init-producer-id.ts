/**
 * InitProducerId: an id for an idempotent producer; id and epoch for a transactional one, which fences those before it. Behaviour by
 * version: v3 says who the producer believes to be (KIP-360); below v4 a fenced producer is told INVALID_PRODUCER_EPOCH.
 */
import { errors } from '../../protocol/errors.ts'
import { InitProducerId } from '../../protocol/init-producer-id.ts'
import { handler } from '../handler.ts'

export const initProducerId = handler({
  api: InitProducerId,
  refuse: (errorCode) => ({ throttleTimeMs: 0, errorCode, producerEpoch: -1 }),
  async answer({ transactionalId, transactionTimeoutMs, producerId, producerEpoch }, { broker, version }) {
    // Both or none: one without the other says nothing.
    if (producerId >= 0 !== producerEpoch >= 0) return { throttleTimeMs: 0, errorCode: errors.invalidRequest.code, producerEpoch: -1 }
    const expected = producerId >= 0 ? { id: producerId, epoch: producerEpoch } : undefined
    const { errorCode, producer } = await broker.transactions.initProducerId(transactionalId, transactionTimeoutMs, expected)
    const told = version < 4 && errorCode === errors.producerFenced.code ? errors.invalidProducerEpoch.code : errorCode
    return { throttleTimeMs: 0, errorCode: told, producerId: producer.id, producerEpoch: producer.epoch }
  },
})
