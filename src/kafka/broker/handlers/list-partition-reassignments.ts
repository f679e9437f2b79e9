/** ListPartitionReassignments (KIP-455): which partitions move, and from where to where. */
import { errors } from '../../protocol/errors.ts'
import { ListPartitionReassignments } from '../../protocol/list-partition-reassignments.ts'
import { handler } from '../handler.ts'

export const listPartitionReassignments = handler({
  api: ListPartitionReassignments,
  refuse: (errorCode) => ({ throttleTimeMs: 0, errorCode, errorMessage: null, topics: [] }),
  async answer({ topics }, { broker }) {
    const asked = topics?.flatMap(({ name, partitionIndexes }) => partitionIndexes.map((partition) => ({ topic: name, partition })))
    const found = await broker.controller.partitionReassignments(asked)
    if (!found) return { throttleTimeMs: 0, errorCode: errors.notController.code, errorMessage: errors.notController.message, topics: [] }
    const byTopic = new Map<string, { partitionIndex: number; replicas: readonly number[]; addingReplicas: readonly number[]; removingReplicas: readonly number[] }[]>()
    for (const { topic, partition, replicas, adding, removing } of found) {
      const list = byTopic.get(topic) ?? []
      byTopic.set(topic, list)
      list.push({ partitionIndex: partition, replicas, addingReplicas: adding, removingReplicas: removing })
    }
    return { throttleTimeMs: 0, errorCode: 0, errorMessage: '', topics: [...byTopic].map(([name, partitions]) => ({ name, partitions })) }
  },
})
