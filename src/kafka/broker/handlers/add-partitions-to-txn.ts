/**
 * AddPartitionsToTxn: partitions a transaction is about to write to. Behaviour by version: below v2 a fenced producer is told
 * INVALID_PRODUCER_EPOCH; from v4 it comes from brokers, for several transactions, and may only ask whether the partitions are in (KIP-890).
 */
import { AddPartitionsToTxn } from '../../protocol/add-partitions-to-txn.ts'
import type { RequestOf } from '../../protocol/api.ts'
import { errors } from '../../protocol/errors.ts'
import type { ProducerClaim } from '../../transactions/steps.ts'
import { handler, type RequestContext } from '../handler.ts'

type Request = RequestOf<typeof AddPartitionsToTxn>
interface Wish {
  readonly transactionalId: string
  readonly producer: ProducerClaim
  readonly verifyOnly: boolean
  readonly topics: Request['v3AndBelowTopics']
}
type CodeOf = (topic: string, partition: number) => number

export const addPartitionsToTxn = handler({
  api: AddPartitionsToTxn,
  inPlace: true,
  refuse: (errorCode, request, { version }) =>
    version < 4 ? { throttleTimeMs: 0, resultsByTopicV3AndBelow: resultsOf(request.v3AndBelowTopics, () => errorCode) } : { throttleTimeMs: 0, errorCode },
  async answer(request, context) {
    if (context.version < 4) {
      const { v3AndBelowTransactionalId, v3AndBelowProducerId, v3AndBelowProducerEpoch, v3AndBelowTopics } = request
      const codeOf = await add({
        transactionalId: v3AndBelowTransactionalId, producer: { id: v3AndBelowProducerId, epoch: v3AndBelowProducerEpoch }, verifyOnly: false, topics: v3AndBelowTopics,
      }, context)
      return { throttleTimeMs: 0, resultsByTopicV3AndBelow: resultsOf(v3AndBelowTopics, codeOf) }
    }
    const resultsByTransaction = await Promise.all(
      request.transactions.map(async ({ transactionalId, producerId, producerEpoch, verifyOnly, topics }) => ({
        transactionalId,
        topicResults: resultsOf(topics, await add({ transactionalId, producer: { id: producerId, epoch: producerEpoch }, verifyOnly, topics }, context)),
      })),
    )
    return { throttleTimeMs: 0, errorCode: 0, resultsByTransaction }
  },
})

async function add({ transactionalId, producer, verifyOnly, topics }: Wish, { broker, version }: RequestContext): Promise<CodeOf> {
  const isKnown = (topic: string, partition: number): boolean => broker.metadata.partition(topic, partition) !== undefined
  const partitions = topics.flatMap(({ name, partitions: indexes }) => indexes.map((partition) => ({ topic: name, partition })))
  // All or nothing: with one that cannot be added the others are not tried.
  if (partitions.some(({ topic, partition }) => !isKnown(topic, partition)))
    return (topic, partition) => (isKnown(topic, partition) ? errors.operationNotAttempted : errors.unknownTopicOrPartition).code
  if (verifyOnly) return (topic, partition) => broker.transactions.verify(transactionalId, producer, { topic, partition })
  const errorCode = await broker.transactions.addPartitions(transactionalId, producer, partitions)
  const told = version < 2 && errorCode === errors.producerFenced.code ? errors.invalidProducerEpoch.code : errorCode
  return () => told
}
function resultsOf(topics: Wish['topics'], codeOf: CodeOf) {
  return topics.map(({ name, partitions }) => ({
    name, resultsByPartition: partitions.map((partitionIndex) => ({ partitionIndex, partitionErrorCode: codeOf(name, partitionIndex) })),
  }))
}
