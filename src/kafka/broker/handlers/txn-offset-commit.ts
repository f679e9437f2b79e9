/**
 * TxnOffsetCommit: offsets that count when the transaction commits. Behaviour by version: v3 fences by the group's generation (KIP-447);
 * below v2 a client that finds the coordinator loading is told COORDINATOR_NOT_AVAILABLE, which it tries again.
 */
import type { Commit } from '../../groups/committed-offsets.ts'
import { offsetAppendError } from '../../groups/append-errors.ts'
import type { RequestOf, ResponseTo } from '../../protocol/api.ts'
import { errors } from '../../protocol/errors.ts'
import { TxnOffsetCommit } from '../../protocol/txn-offset-commit.ts'
import { handler, type RequestContext } from '../handler.ts'
import { offsetsTopic } from '../offsets-storage.ts'

type Request = RequestOf<typeof TxnOffsetCommit>

export const txnOffsetCommit = handler({
  api: TxnOffsetCommit,
  inPlace: true,
  refuse: (errorCode, request) => answerWith(request, () => errorCode),
  async answer(request, context) {
    const { broker, version } = context
    const now = broker.host.clock.now()
    const isKnown = (topic: string, partition: number): boolean => broker.metadata.partition(topic, partition) !== undefined
    const commits: Commit[] = request.topics.flatMap(({ name, partitions }) =>
      partitions
        .filter(({ partitionIndex }) => isKnown(name, partitionIndex))
        .map(({ partitionIndex, committedOffset, committedLeaderEpoch, committedMetadata }) => ({
          topic: name, partition: partitionIndex, offset: committedOffset, leaderEpoch: committedLeaderEpoch, metadata: committedMetadata ?? '', commitTimestamp: now, expireTimestamp: undefined,
        })),
    )
    if (commits.length === 0) return answerWith(request, () => errors.unknownTopicOrPartition.code)
    const errorCodes = await new Promise<readonly number[]>((resolve, reject) =>
      verify(request, context, (refused) => {
        if (refused !== 0) return resolve(commits.map(() => offsetAppendError(refused)))
        const member = { memberId: request.memberId, instanceId: request.groupInstanceId, generation: request.generationId }
        broker.groups.commitOffsets(request.groupId, member, commits, { id: request.producerId, epoch: request.producerEpoch }).then(resolve, reject)
      }),
    )
    let next = 0
    return answerWith(request, (topic, partition) => {
      if (!isKnown(topic, partition) || next >= commits.length) return errors.unknownTopicOrPartition.code
      const code = errorCodes[next++]
      return version < 2 && code === errors.coordinatorLoadInProgress.code ? errors.coordinatorNotAvailable.code : code
    })
  },
})

/** Whether the group's partition is part of the producer's transaction; where this broker does not lead it, the group's coordinator is asked alone, and refuses. */
function verify(request: Request, { broker, version }: RequestContext, verified: (errorCode: number) => void): void {
  const index = broker.groups.partitionFor(request.groupId)
  const partition = broker.replicas.find(offsetsTopic, index)
  if (!partition?.leading) return verified(0)
  const producer = { id: request.producerId, epoch: request.producerEpoch }
  broker.transactionVerifier.verify({ transactionalId: request.transactionalId, producer, partition: { topic: offsetsTopic, partition: index }, baseSequence: -1, abortableKnown: version >= 4 }, partition.log, verified)
}
function answerWith({ topics }: Request, codeOf: (topic: string, partition: number) => number): ResponseTo<typeof TxnOffsetCommit> {
  return {
    throttleTimeMs: 0,
    topics: topics.map(({ name, partitions }) => ({ name, partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, errorCode: codeOf(name, partitionIndex) })) })),
  }
}
