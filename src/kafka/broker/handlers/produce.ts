/**
 * Produce: appends to partitions this broker leads. Behaviour by version: v0–2 carry message sets, v7 allows zstd (the log
 * judges both); v10 names the new leader after NOT_LEADER_OR_FOLLOWER.
 */
import { Batch } from '../../records/batch.ts'
import { errors } from '../../protocol/errors.ts'
import { Produce } from '../../protocol/produce.ts'
import type { ResponseTo } from '../../protocol/api.ts'
import type { Produced } from '../../replication/partition.ts'
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
        const refused = refusalFor(request, name, index, pieces, context)
        if (refused) finished(refused)
        else
          context.broker.replicas
            .find(name, index)!
            .append(pieces, pieces.length, { requiredAcks: acks, timeoutMs: request.timeoutMs, origin: 'client', produceVersion: context.version }, finished)
      }
    }
    if (--waiting === 0) return finish()
    return new Promise((done) => (resolve = done))
  },
})

/** What is refused before the log is asked (reference §4.3). */
function refusalFor(
  request: { acks: number; transactionalId: string | null },
  topic: string,
  index: number,
  records: Buffer,
  context: RequestContext,
): Produced | undefined {
  if (request.acks !== 0 && request.acks !== 1 && request.acks !== -1)
    return refusedAs(errors.invalidRequiredAcks.code, `acks=${request.acks}; it has to be -1, 0 or 1`)
  if (request.transactionalId !== null || isTransactional(records))
    return refusedAs(errors.transactionalIdAuthorizationFailed.code, 'this broker does not serve transactions; use a producer without transactional.id')
  if (internalTopics.has(topic) && context.clientId !== '__admin_client')
    return refusedAs(errors.invalidTopicException.code, `${topic} is an internal topic; clients do not write to it`)
  if (context.broker.replicas.find(topic, index)) return undefined
  return context.broker.metadata.partition(topic, index)
    ? refusedAs(errors.notLeaderOrFollower.code, `this broker holds no replica of ${topic}-${index}`)
    : refusedAs(errors.unknownTopicOrPartition.code, `there is no partition ${topic}-${index}`)
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
