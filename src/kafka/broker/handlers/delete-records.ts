/** DeleteRecords: moves the log start of partitions this broker leads, and answers when their followers have, too; −1 means up to the high watermark. */
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
  async answer({ topics, timeoutMs }, context) {
    // They wait together.
    const answers = topics.map(async ({ name, partitions }) => {
      const results = partitions.map(async ({ partitionIndex, offset }) => ({ partitionIndex, ...(await deleteBefore(name, partitionIndex, { offset, timeoutMs }, context)) }))
      return { name, partitions: await Promise.all(results) }
    })
    return { throttleTimeMs: 0, topics: await Promise.all(answers) }
  },
})

async function deleteBefore(topic: string, index: number, { offset, timeoutMs }: { offset: number; timeoutMs: number }, { broker }: RequestContext): Promise<{ lowWatermark: number; errorCode: number }> {
  const refused = ({ code }: { code: number }) => ({ lowWatermark: -1, errorCode: code })
  if (internalTopics.has(topic)) return refused(errors.invalidTopicException)
  const partition = broker.replicas.find(topic, index)
  if (!partition) return refused(broker.metadata.partition(topic, index) ? errors.notLeaderOrFollower : errors.unknownTopicOrPartition)
  const errorCode = partition.refusalFor({ epoch: -1 })
  if (errorCode !== 0) return { lowWatermark: -1, errorCode }
  if (!partition.log.config.cleanupPolicy.includes('delete')) return refused(errors.policyViolation)
  return partition.deleteRecords(offset, timeoutMs)
}
