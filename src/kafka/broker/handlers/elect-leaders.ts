/** ElectLeaders: brings leaderships back to preferred replicas, or (v1, type 1) lets one out of sync lead where nobody else can. */
import type { ElectionResult } from '../../controller/controller.ts'
import type { MetadataCache } from '../../metadata/metadata-cache.ts'
import { ElectLeaders } from '../../protocol/elect-leaders.ts'
import { errors } from '../../protocol/errors.ts'
import { handler } from '../handler.ts'

const electionTypes = { preferred: 0, unclean: 1 } as const

export const electLeaders = handler({
  api: ElectLeaders,
  refuse: (errorCode, { topicPartitions }) => ({ throttleTimeMs: 0, errorCode, replicaElectionResults: everywhere(topicPartitions ?? [], errorCode, null) }),
  async answer({ electionType, topicPartitions, timeoutMs }, { broker }) {
    const { metadata, controller, host } = broker
    const whole = ({ code, message }: { code: number; message: string }) => ({ throttleTimeMs: 0, errorCode: code, replicaElectionResults: everywhere(topicPartitions ?? [], code, message) })
    const kind = electionType === electionTypes.preferred ? 'preferred' : electionType === electionTypes.unclean ? 'unclean' : undefined
    if (!kind) return whole({ code: errors.invalidRequest.code, message: `there is no election type ${electionType}; known are 0 (preferred) and 1 (unclean)` })
    const asked = topicPartitions?.flatMap(({ topic, partitions }) => partitions.map((partition) => ({ topic, partition })))
    const results = await controller.electLeaders(kind, asked)
    // Who asks for all and is told in v0, which has one code for each partition and none for the whole, gets it for those that are known.
    if (!results) return asked ? whole(errors.notController) : { throttleTimeMs: 0, errorCode: errors.notController.code, replicaElectionResults: everywhere(all(metadata), errors.notController.code, errors.notController.message) }
    const isLed = ({ topic, partition, leader, errorCode }: ElectionResult): boolean => errorCode !== 0 || metadata.partition(topic, partition)?.leader === leader
    await metadata.until(() => results.every(isLed), timeoutMs, host.timers)
    const byTopic = new Map<string, { partitionId: number; errorCode: number; errorMessage: string | null }[]>()
    for (const result of results) {
      const { topic, partition, errorCode, message } = result
      const list = byTopic.get(topic) ?? []
      byTopic.set(topic, list)
      list.push(isLed(result) ? { partitionId: partition, errorCode, errorMessage: message } : { partitionId: partition, errorCode: errors.requestTimedOut.code, errorMessage: errors.requestTimedOut.message })
    }
    return { throttleTimeMs: 0, errorCode: 0, replicaElectionResults: [...byTopic].map(([topic, partitionResult]) => ({ topic, partitionResult })) }
  },
})

const all = (metadata: MetadataCache) => [...metadata.topics()].map(({ name, partitions }) => ({ topic: name, partitions: partitions.flatMap((partition) => (partition ? [partition.index] : [])) }))

function everywhere(topics: readonly { topic: string; partitions: readonly number[] }[], errorCode: number, errorMessage: string | null) {
  return topics.map(({ topic, partitions }) => ({ topic, partitionResult: partitions.map((partitionId) => ({ partitionId, errorCode, errorMessage })) }))
}
