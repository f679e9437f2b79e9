/** InitProducerId: an id for an idempotent producer. A transactional id is refused by name: this broker has no transaction coordinator. */
import { errors } from '../../protocol/errors.ts'
import { InitProducerId } from '../../protocol/init-producer-id.ts'
import { handler } from '../handler.ts'

export const initProducerId = handler({
  api: InitProducerId,
  refuse: (errorCode) => ({ throttleTimeMs: 0, errorCode, producerEpoch: -1 }),
  async answer({ transactionalId }, { broker, clientId }) {
    if (transactionalId !== null) {
      const { code } = transactionalId === '' ? errors.invalidRequest : errors.transactionalIdAuthorizationFailed
      broker.host.logger.named('kafka.broker').warn('transactional producer refused: this broker does not serve transactions', { transactionalId, client: clientId ?? undefined })
      return { throttleTimeMs: 0, errorCode: code, producerEpoch: -1 }
    }
    const producerId = await broker.producerIds.take()
    if (producerId === undefined) return { throttleTimeMs: 0, errorCode: errors.coordinatorLoadInProgress.code, producerEpoch: -1 }
    return { throttleTimeMs: 0, errorCode: 0, producerId, producerEpoch: 0 }
  },
})
