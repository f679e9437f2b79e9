/** DeleteRecords: moves the log start of partitions this broker leads; −1 means up to the high watermark. */
import { DeleteRecords } from '../../protocol/delete-records.ts'
import { errors } from '../../protocol/errors.ts'
import { handler, type RequestContext } from '../handler.ts'
import { internalTopics } from '../internal-topics.ts'

export const deleteRecords = handler({
  api: DeleteRecords,
  refuse: (errorCode, { topics }) => ({
    throttleTimeMs: 0,
    topics: topics.map(({ name, partitions }) => ({
      name,
      partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, lowWatermark: -1, errorCode })),
    })),
  }),
  async answer({ topics }, context) {
    const answers = []
    for (const { name, partitions } of topics) {
      const results = []
      for (const { partitionIndex, offset } of partitions) results.push({ partitionIndex, ...(await deleteBefore(name, partitionIndex, offset, context)) })
      answers.push({ name, partitions: results })
    }
    return { throttleTimeMs: 0, topics: answers }
  },
})

async function deleteBefore(topic: string, index: number, offset: number, { broker }: RequestContext): Promise<{ lowWatermark: number; errorCode: number }> {
  const refused = ({ code }: { code: number }) => ({ lowWatermark: -1, errorCode: code })
  if (internalTopics.has(topic)) return refused(errors.invalidTopicException)
  const partition = broker.replicas.find(topic, index)
  if (!partition) return refused(broker.metadata.partition(topic, index) ? errors.notLeaderOrFollower : errors.unknownTopicOrPartition)
  const errorCode = partition.refusalFor({ epoch: -1 })
  if (errorCode !== 0) return { lowWatermark: -1, errorCode }
  if (!partition.log.config.cleanupPolicy.includes('delete')) return refused(errors.policyViolation)
  const before = offset === -1 ? partition.highWatermark : offset
  if (before < 0 || before > partition.highWatermark) return refused(errors.offsetOutOfRange)
  const lowWatermark = before <= partition.log.logStartOffset ? partition.log.logStartOffset : await partition.log.deleteRecords(before)
  return { lowWatermark, errorCode: 0 }
}
