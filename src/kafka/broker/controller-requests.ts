/** What the controller asks of this broker, whichever way it came: in the process or over a connection (reference §2.12). */
import { uuidZero } from '../../wire/schema.ts'
import { securityProtocols } from '../metadata/broker-znode.ts'
import { isPartitionIndex } from '../metadata/topic-names.ts'
import type { MetadataCache } from '../metadata/metadata-cache.ts'
import type { RequestOf, ResponseTo } from '../protocol/api.ts'
import { errors } from '../protocol/errors.ts'
import type { LeaderAndIsr } from '../protocol/leader-and-isr.ts'
import type { StopReplica } from '../protocol/stop-replica.ts'
import type { UpdateMetadata } from '../protocol/update-metadata.ts'
import type { ReplicaManager } from '../replication/replica-manager.ts'

/** The shapes of old versions may be left out by who never makes them. */
type Modern<R, Old extends keyof R> = Omit<R, Old> & Partial<Pick<R, Old>>

/** Does what the request does, which the controller repeats after a lost answer: each may come twice. */
export class ControllerRequests {
  readonly #metadata: MetadataCache
  readonly #replicas: ReplicaManager

  constructor({ metadata, replicas }: { metadata: MetadataCache; replicas: ReplicaManager }) {
    this.#metadata = metadata
    this.#replicas = replicas
  }

  leaderAndIsr(request: Modern<RequestOf<typeof LeaderAndIsr>, 'ungroupedPartitionStates'>): Promise<ResponseTo<typeof LeaderAndIsr>> {
    if (request.isKRaftController) return Promise.resolve({ errorCode: errors.invalidRequest.code, partitionErrors: [], topics: [] })
    return this.#replicas.becomeLeaderOrFollower({ ...request, topicStates: [...request.topicStates, ...grouped(request.ungroupedPartitionStates ?? [])], ungroupedPartitionStates: [] })
  }
  stopReplica(request: Modern<RequestOf<typeof StopReplica>, 'ungroupedPartitions' | 'topics'>): Promise<ResponseTo<typeof StopReplica>> {
    if (request.isKRaftController) return Promise.resolve({ errorCode: errors.invalidRequest.code, partitionErrors: [] })
    const { deletePartitions: deletePartition } = request
    const old = [
      ...(request.ungroupedPartitions ?? []).map(({ topicName, partitionIndex }) => ({ topicName, partitionStates: [{ partitionIndex, leaderEpoch: -1, deletePartition }] })),
      ...(request.topics ?? []).map(({ name, partitionIndexes }) => ({ topicName: name, partitionStates: partitionIndexes.map((partitionIndex) => ({ partitionIndex, leaderEpoch: -1, deletePartition })) })),
    ]
    return this.#replicas.stopReplicas({ ...request, topicStates: [...request.topicStates, ...old], topics: [], ungroupedPartitions: [] })
  }
  updateMetadata(request: Modern<RequestOf<typeof UpdateMetadata>, 'ungroupedPartitionStates'>): { errorCode: number } {
    if (request.isKRaftController) return { errorCode: errors.invalidRequest.code }
    const errorCode = this.#replicas.refusalOf(request)
    if (errorCode !== 0) return { errorCode }
    const topics = [...request.topicStates, ...grouped(request.ungroupedPartitionStates ?? [])].map(possible)
    this.#metadata.update({
      ...request,
      ungroupedPartitionStates: [],
      // A controller that knows no topic ids does not take away those that are known.
      topicStates: topics.map((topic) => (topic.topicId === uuidZero ? { ...topic, topicId: this.#metadata.topicId(topic.topicName) } : topic)),
      liveBrokers: request.liveBrokers.map((broker) => ({ ...broker, endpoints: broker.endpoints.length === 0 ? versionZeroEndpoint(broker) : broker.endpoints.map(withListener) })),
    })
    return { errorCode: 0 }
  }
}

/** A number that is none of a partition would have to be made room for. */
function possible<T extends { partitionStates: readonly { partitionIndex: number }[] }>(topic: T): T {
  return topic.partitionStates.every(({ partitionIndex }) => isPartitionIndex(partitionIndex)) ? topic : { ...topic, partitionStates: topic.partitionStates.filter(({ partitionIndex }) => isPartitionIndex(partitionIndex)) }
}
/** Before partitions were listed under their topics, each named its own. */
function grouped<S extends { topicName: string }>(states: readonly S[]): { topicName: string; topicId: string; partitionStates: S[] }[] {
  const topics = new Map<string, S[]>()
  for (const state of states) {
    const list = topics.get(state.topicName)
    if (list) list.push(state)
    else topics.set(state.topicName, [state])
  }
  return [...topics].map(([topicName, partitionStates]) => ({ topicName, topicId: uuidZero, partitionStates }))
}
type LiveEndpoint = RequestOf<typeof UpdateMetadata>['liveBrokers'][number]['endpoints'][number]

/** Before version 3 a listener was named by its protocol. */
function withListener(endpoint: LiveEndpoint): LiveEndpoint {
  if (endpoint.listener !== '') return endpoint
  return { ...endpoint, listener: Object.entries(securityProtocols).find(([, id]) => id === endpoint.securityProtocol)?.[0] ?? 'PLAINTEXT' }
}
function versionZeroEndpoint({ v0Host, v0Port }: { v0Host: string; v0Port: number }): LiveEndpoint[] {
  return v0Port > 0 ? [{ listener: 'PLAINTEXT', securityProtocol: securityProtocols.PLAINTEXT, host: v0Host, port: v0Port }] : []
}
