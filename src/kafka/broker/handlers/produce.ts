/**
 * Produce: appends to partitions this broker leads. Behaviour by version: v0–2 carry message sets, v7 allows zstd (the log
 * judges both); v10 names the new leader after NOT_LEADER_OR_FOLLOWER; clients know TRANSACTION_ABORTABLE from v11 on.
 */
import { Batch } from '../../records/batch.ts'
import { errorByCode, errors } from '../../protocol/errors.ts'
import { Produce } from '../../protocol/produce.ts'
import type { RequestOf, ResponseTo } from '../../protocol/api.ts'
import type { Partition, Produced } from '../../replication/partition.ts'
import { closeConnection, handler, noAnswer, type RequestContext } from '../handler.ts'
import { internalTopics } from '../internal-topics.ts'
import { leaderHint, nodesOf } from '../endpoints.ts'

type TopicAnswer = ResponseTo<typeof Produce>['responses'][number]
type PartitionAnswer = TopicAnswer['partitionResponses'][number]

export const produce = handler({
  api: Produce,
  inPlace: true,
  releasesFrame: true,
  refuse: (errorCode, request) => ({
    responses: (request.topicData ?? []).map(({ name, partitionData }) => ({
      name,
      partitionResponses: partitionData.map(({ index }) => refusal(index, errorCode, null)),
    })),
  }),
  answer(request, context) {
    const { acks } = request
    const results: { name: string; partitionResponses: PartitionAnswer[] }[] = []
    let waiting = 1
    let failed = false
    let resolve: ((value: ResponseTo<typeof Produce> | typeof noAnswer | typeof closeConnection) => void) | undefined
    const finish = () => {
      if (acks === 0) return failed ? closeConnection : noAnswer
      return { responses: results, nodeEndpoints: context.version >= 10 && failed ? nodesOf(context, results.flatMap((topic) => topic.partitionResponses)) : [] }
    }
    const refusedWhole = refusalForAll(request)
    const keep = () => context.keepFrame()
    for (const { name, partitionData } of request.topicData) {
      const partitionResponses: PartitionAnswer[] = []
      results.push({ name, partitionResponses })
      for (const { index, records } of partitionData) {
        const place = partitionResponses.push(refusal(index, errors.unknownServerError.code, null)) - 1
        const finished = (produced: Produced) => {
          if (produced.errorCode !== 0) failed = true
          partitionResponses[place] = answerOf(index, produced)
          if (produced.errorCode === errors.notLeaderOrFollower.code && context.version >= 10) partitionResponses[place].currentLeader = leaderHint(context, name, index)
          if (--waiting === 0) resolve?.(finish())
        }
        waiting++
        const pieces = records ?? Buffer.alloc(0)
        const refused = refusedWhole ?? refusalFor(name, index, context)
        if (refused) {
          finished(refused)
          continue
        }
        const partition = context.broker.replicas.find(name, index)!
        const append = () => partition.append(pieces, pieces.length, { requiredAcks: acks, timeoutMs: request.timeoutMs, origin: 'client', produceVersion: context.version, keep }, finished)
        if (request.transactionalId === null || !isTransactional(pieces)) append()
        else verify(request.transactionalId, pieces, partition, context, (errorCode) => (errorCode === 0 ? append() : finished(unverified(errorCode, partition))))
      }
    }
    if (--waiting === 0) return finish()
    return new Promise((done) => (resolve = done))
  },
})

/** What is refused whatever the partition (reference §4.3). */
function refusalForAll({ acks, transactionalId, topicData }: RequestOf<typeof Produce>): Produced | undefined {
  if (acks !== 0 && acks !== 1 && acks !== -1) return refusedAs(errors.invalidRequiredAcks.code, `acks=${acks}; it has to be -1, 0 or 1`)
  let producerId: number | undefined
  for (const { partitionData } of topicData)
    for (const { records } of partitionData) {
      if (!records || !isTransactional(records)) continue
      if (transactionalId === null) return refusedAs(errors.transactionalIdAuthorizationFailed.code, 'a transactional batch in a request without a transactional id')
      const id = new Batch(records).producerId
      if (producerId !== undefined && id !== producerId)
        return refusedAs(errors.invalidProducerIdMapping.code, `transactional batches of producers ${producerId} and ${id} in one request; a transactional id has one`)
      producerId = id
    }
  return undefined
}
/** What is refused before the log is asked (reference §4.3). */
function refusalFor(topic: string, index: number, context: RequestContext): Produced | undefined {
  if (internalTopics.has(topic) && context.clientId !== '__admin_client')
    return refusedAs(errors.invalidTopicException.code, `${topic} is an internal topic; clients do not write to it`)
  if (context.broker.replicas.find(topic, index)) return undefined
  return context.broker.metadata.partition(topic, index)
    ? refusedAs(errors.notLeaderOrFollower.code, `this broker holds no replica of ${topic}-${index}`)
    : refusedAs(errors.unknownTopicOrPartition.code, `there is no partition ${topic}-${index}`)
}
/** Whether the partition is part of the producer's transaction. Where this broker does not lead it, `append` refuses. */
function verify(transactionalId: string, records: Buffer, partition: Partition, { broker, version }: RequestContext, verified: (errorCode: number) => void): void {
  if (!partition.leading) return verified(0)
  const { producerId, producerEpoch, baseSequence } = new Batch(records)
  broker.transactionVerifier.verify(
    { transactionalId, producer: { id: producerId, epoch: producerEpoch }, partition: { topic: partition.topic, partition: partition.index }, baseSequence, abortableKnown: version >= 11 },
    partition.log,
    verified,
  )
}
function unverified(errorCode: number, { topic, index }: Partition): Produced {
  return refusedAs(errorCode, `the transaction coordinator does not know of a write to ${topic}-${index} in this transaction (${errorByCode(errorCode).name})`)
}
const isTransactional = (records: Buffer): boolean => records.length >= 61 && records[16] === 2 && new Batch(records).isTransactional

function answerOf(index: number, produced: Produced): PartitionAnswer {
  return {
    index,
    errorCode: produced.errorCode,
    baseOffset: produced.baseOffset,
    logAppendTimeMs: produced.logAppendTimeMs,
    logStartOffset: produced.logStartOffset,
    recordErrors: produced.recordErrors,
    errorMessage: produced.message,
  }
}
function refusal(index: number, errorCode: number, errorMessage: string | null): PartitionAnswer {
  return { index, errorCode, baseOffset: -1, recordErrors: [], errorMessage }
}
function refusedAs(errorCode: number, message: string): Produced {
  return { errorCode, message, baseOffset: -1, logAppendTimeMs: -1n, logStartOffset: -1, recordErrors: [] }
}
