/** AlterReplicaLogDirs: moves replicas to other log directories of this broker; those that are not here yet are made there. */
import { AlterReplicaLogDirs } from '../../protocol/alter-replica-log-dirs.ts'
import { errors } from '../../protocol/errors.ts'
import { handler } from '../handler.ts'

export const alterReplicaLogDirs = handler({
  api: AlterReplicaLogDirs,
  refuse: (errorCode, { dirs }) => ({
    throttleTimeMs: 0,
    results: dirs.flatMap(({ topics }) => topics.map(({ name, partitions }) => ({ topicName: name, partitions: partitions.map((partitionIndex) => ({ partitionIndex, errorCode })) }))),
  }),
  async answer({ dirs }, { broker }) {
    const byTopic = new Map<string, { partitionIndex: number; errorCode: number }[]>()
    for (const { path, topics } of dirs)
      for (const { name, partitions } of topics) {
        const results = byTopic.get(name) ?? []
        byTopic.set(name, results)
        for (const partitionIndex of partitions) {
          const errorCode = await broker.replicas.moves.request(name, partitionIndex, path)
          // The wish is kept either way. What is nowhere has another code than what is elsewhere.
          const isNowhere = errorCode === errors.replicaNotAvailable.code && !broker.metadata.partition(name, partitionIndex)
          results.push({ partitionIndex, errorCode: isNowhere ? errors.unknownTopicOrPartition.code : errorCode })
        }
      }
    return { throttleTimeMs: 0, results: [...byTopic].map(([topicName, partitions]) => ({ topicName, partitions })) }
  },
})
