/**
 * OffsetCommit. Behaviour by version: v0 keeps offsets in ZooKeeper, for consumers that do so; v1 brings its own timestamps;
 * v2–4 may ask for a retention of their own, which the offsets then keep whatever the group does.
 */
import type { Commit } from '../../groups/committed-offsets.ts'
import type { RequestOf, ResponseTo } from '../../protocol/api.ts'
import { errors } from '../../protocol/errors.ts'
import { OffsetCommit } from '../../protocol/offset-commit.ts'
import { handler, type RequestContext } from '../handler.ts'

type Request = RequestOf<typeof OffsetCommit>
type Response = ResponseTo<typeof OffsetCommit>

export const offsetCommit = handler({
  api: OffsetCommit,
  inPlace: true,
  refuse: (errorCode, request) => answerWith(request, () => errorCode),
  async answer(request, context): Promise<Response> {
    const { broker, version } = context
    if (version === 0) return inZooKeeper(request, context)
    const now = broker.host.clock.now()
    const expireTimestamp = request.retentionTimeMs < 0n ? undefined : Math.min(now + Number(request.retentionTimeMs), Number.MAX_SAFE_INTEGER)
    const commits: Commit[] = []
    for (const { topic, partition } of eachPartition(request, context))
      commits.push({
        topic,
        partition: partition.partitionIndex,
        offset: partition.committedOffset,
        leaderEpoch: partition.committedLeaderEpoch,
        metadata: partition.committedMetadata ?? '',
        commitTimestamp: partition.commitTimestamp < 0n ? now : Number(partition.commitTimestamp),
        expireTimestamp,
      })
    if (commits.length === 0) return answerWith(request, () => errors.unknownTopicOrPartition.code)
    const errorCodes = await broker.groups.commitOffsets(
      request.groupId,
      { memberId: request.memberId, instanceId: request.groupInstanceId, generation: request.generationIdOrMemberEpoch },
      commits,
    )
    return answerKnown(request, commits, errorCodes)
  },
})

type PartitionWish = Request['topics'][number]['partitions'][number]
/** The partitions that exist. */
function* eachPartition({ topics }: Request, { broker }: RequestContext): Generator<{ topic: string; partition: PartitionWish }> {
  for (const { name, partitions } of topics)
    for (const partition of partitions) if (broker.metadata.partition(name, partition.partitionIndex)) yield { topic: name, partition }
}
function answerWith({ topics }: Request, codeOf: (topic: string, partition: number) => number): Response {
  return {
    topics: topics.map(({ name, partitions }) => ({
      name,
      partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, errorCode: codeOf(name, partitionIndex) })),
    })),
  }
}
/** `errorCodes` are those of the `known` ones, in order; the others do not exist. */
function answerKnown(request: Request, known: readonly { topic: string; partition: number }[], errorCodes: readonly number[]): Response {
  let next = 0
  return answerWith(request, (topic, partition) =>
    next < known.length && known[next].topic === topic && known[next].partition === partition ? errorCodes[next++] : errors.unknownTopicOrPartition.code)
}

async function inZooKeeper(request: Request, context: RequestContext): Promise<Response> {
  const { broker } = context
  const metadataMax = broker.settings.values['offset.metadata.max.bytes']
  const wishes = [...eachPartition(request, context)].map(({ topic, partition }) => ({ topic, partition: partition.partitionIndex, wish: partition }))
  const errorCodes = await Promise.all(
    wishes.map(async ({ topic, partition, wish }) => {
      if ((wish.committedMetadata?.length ?? 0) > metadataMax) return errors.offsetMetadataTooLarge.code
      try {
        await broker.zookeeper.setCommittedOffset(request.groupId, topic, partition, wish.committedOffset)
        return 0
      } catch (error) {
        broker.host.logger.named('kafka.broker').warn('offset not committed to ZooKeeper', { group: request.groupId, topic, partition, error })
        return errors.unknownServerError.code
      }
    }),
  )
  return answerKnown(request, wishes, errorCodes)
}
