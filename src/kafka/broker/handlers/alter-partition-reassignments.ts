/** AlterPartitionReassignments (KIP-455): moves partitions to other brokers; without replicas what is under way is taken back. */
import { AlterPartitionReassignments } from '../../protocol/alter-partition-reassignments.ts'
import { errors } from '../../protocol/errors.ts'
import { handler } from '../handler.ts'

export const alterPartitionReassignments = handler({
  api: AlterPartitionReassignments,
  refuse: (errorCode) => ({ throttleTimeMs: 0, errorCode, errorMessage: null, responses: [] }),
  async answer({ topics }, { broker }) {
    const wishes = topics.flatMap(({ name, partitions }) => partitions.map(({ partitionIndex, replicas }) => ({ topic: name, partition: partitionIndex, replicas: replicas ?? undefined })))
    const results = await broker.controller.alterPartitionReassignments(wishes)
    if (!results) return { throttleTimeMs: 0, errorCode: errors.notController.code, errorMessage: errors.notController.message, responses: [] }
    const byTopic = new Map<string, { partitionIndex: number; errorCode: number; errorMessage: string | null }[]>()
    for (const { topic, partition, errorCode, message } of results) {
      const list = byTopic.get(topic) ?? []
      byTopic.set(topic, list)
      list.push({ partitionIndex: partition, errorCode, errorMessage: message })
    }
    return { throttleTimeMs: 0, errorCode: 0, errorMessage: '', responses: [...byTopic].map(([name, partitions]) => ({ name, partitions })) }
  },
})
