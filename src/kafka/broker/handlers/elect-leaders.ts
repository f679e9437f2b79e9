/** ElectLeaders: brings leaderships back to preferred replicas, or (v1, type 1) lets one out of sync lead where nobody else can. */
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
    if (!results) return whole(errors.notController)
    const elected = results.filter(({ errorCode }) => errorCode === 0)
    const led = (): boolean => elected.every(({ topic, partition }) => (metadata.partition(topic, partition)?.leader ?? -1) >= 0)
    const inTime = elected.length === 0 || (await metadata.until(led, timeoutMs, host.timers))
    const byTopic = new Map<string, { partitionId: number; errorCode: number; errorMessage: string | null }[]>()
    for (const { topic, partition, errorCode, message } of results) {
      const late = errorCode === 0 && !inTime
      const list = byTopic.get(topic) ?? []
      byTopic.set(topic, list)
      list.push({ partitionId: partition, errorCode: late ? errors.requestTimedOut.code : errorCode, errorMessage: late ? errors.requestTimedOut.message : message })
    }
    return { throttleTimeMs: 0, errorCode: 0, replicaElectionResults: [...byTopic].map(([topic, partitionResult]) => ({ topic, partitionResult })) }
  },
})

function everywhere(topics: readonly { topic: string; partitions: readonly number[] }[], errorCode: number, errorMessage: string | null) {
  return topics.map(({ topic, partitions }) => ({ topic, partitionResult: partitions.map((partitionId) => ({ partitionId, errorCode, errorMessage })) }))
}
