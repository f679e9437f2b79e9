/** EndTxn: answered when the decision is on record; the markers follow. Behaviour by version: below v2 a fenced producer is told INVALID_PRODUCER_EPOCH. */
import { EndTxn } from '../../protocol/end-txn.ts'
import { errors } from '../../protocol/errors.ts'
import { handler } from '../handler.ts'

export const endTxn = handler({
  api: EndTxn,
  inPlace: true,
  refuse: (errorCode) => ({ throttleTimeMs: 0, errorCode }),
  async answer({ transactionalId, producerId, producerEpoch, committed }, { broker, version }) {
    const errorCode = await broker.transactions.end(transactionalId, { id: producerId, epoch: producerEpoch }, { committed })
    return { throttleTimeMs: 0, errorCode: version < 2 && errorCode === errors.producerFenced.code ? errors.invalidProducerEpoch.code : errorCode }
  },
})
