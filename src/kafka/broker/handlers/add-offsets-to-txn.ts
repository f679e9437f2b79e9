/**
 * AddOffsetsToTxn: a transaction is about to commit offsets of a group; the group's partition of `__consumer_offsets` becomes part of it.
 * Behaviour by version: below v2 a fenced producer is told INVALID_PRODUCER_EPOCH.
 */
import { AddOffsetsToTxn } from '../../protocol/add-offsets-to-txn.ts'
import { errors } from '../../protocol/errors.ts'
import { handler } from '../handler.ts'
import { offsetsTopic } from '../offsets-storage.ts'

export const addOffsetsToTxn = handler({
  api: AddOffsetsToTxn,
  inPlace: true,
  refuse: (errorCode) => ({ throttleTimeMs: 0, errorCode }),
  async answer({ transactionalId, producerId, producerEpoch, groupId }, { broker, version }) {
    const partition = { topic: offsetsTopic, partition: broker.groups.partitionFor(groupId) }
    const errorCode = await broker.transactions.addPartitions(transactionalId, { id: producerId, epoch: producerEpoch }, [partition])
    return { throttleTimeMs: 0, errorCode: version < 2 && errorCode === errors.producerFenced.code ? errors.invalidProducerEpoch.code : errorCode }
  },
})
