/** Gathers what brokers have to be told of one change, and makes of it the requests for each broker, in their order (reference §2.10). */
import { uuidZero } from '../../wire/schema.ts'
import { securityProtocols } from '../metadata/broker-znode.ts'
import type { LiveBroker } from '../metadata/kafka-zookeeper.ts'
import { leaderDuringDelete } from '../metadata/partition-state-znode.ts'
import type { RequestTo } from '../protocol/api.ts'
import { LeaderAndIsr } from '../protocol/leader-and-isr.ts'
import { StopReplica } from '../protocol/stop-replica.ts'
import { UpdateMetadata } from '../protocol/update-metadata.ts'
import type { ControllerContext, PartitionContext } from './controller-context.ts'

export type BrokerRequest =
  | { kind: 'leaderAndIsr'; brokerId: number; request: RequestTo<typeof LeaderAndIsr> }
  | { kind: 'updateMetadata'; brokerId: number; request: RequestTo<typeof UpdateMetadata> }
  | { kind: 'stopReplica'; brokerId: number; request: RequestTo<typeof StopReplica> }

/** The leader epoch of a replica that is stopped because its topic goes. */
const epochDuringDelete = -2

export class RequestBatch {
  readonly #context: ControllerContext
  readonly #interBrokerListener: string
  readonly #leaderAndIsr = new Map<number, Map<PartitionContext, { isNew: boolean }>>()
  readonly #stopReplica = new Map<number, Map<PartitionContext, { deletePartition: boolean }>>()
  readonly #metadataTo = new Set<number>()
  readonly #metadata = new Set<PartitionContext>()

  constructor(context: ControllerContext, interBrokerListener: string) {
    this.#context = context
    this.#interBrokerListener = interBrokerListener
  }

  /** The state as it is in the context when the batch is flushed. Everybody learns of the partition's metadata too. */
  leaderAndIsr(brokerIds: Iterable<number>, partition: PartitionContext, { isNew }: { isNew: boolean }): void {
    for (const id of brokerIds) {
      const states = entry(this.#leaderAndIsr, id)
      states.set(partition, { isNew: isNew || (states.get(partition)?.isNew ?? false) })
    }
    this.updateMetadata(this.#context.liveOrShuttingDownIds(), [partition])
  }
  /** Tells who lives, and the states of `partitions` (those that have one). */
  updateMetadata(brokerIds: Iterable<number>, partitions: Iterable<PartitionContext>): void {
    for (const id of brokerIds) this.#metadataTo.add(id)
    for (const partition of partitions) if (partition.state) this.#metadata.add(partition)
  }
  stopReplica(brokerIds: Iterable<number>, partition: PartitionContext, { deletePartition }: { deletePartition: boolean }): void {
    for (const id of brokerIds) {
      const stops = entry(this.#stopReplica, id)
      stops.set(partition, { deletePartition: deletePartition || (stops.get(partition)?.deletePartition ?? false) })
    }
  }

  /** The requests, LeaderAndIsr before UpdateMetadata before StopReplica; the batch is empty afterwards. */
  take(controllerId: number, controllerEpoch: number): BrokerRequest[] {
    const requests: BrokerRequest[] = []
    const epochOf = (id: number): bigint | undefined => this.#context.brokers.get(id)?.epoch
    for (const [brokerId, states] of this.#leaderAndIsr) {
      const brokerEpoch = epochOf(brokerId)
      if (brokerEpoch !== undefined) requests.push({ kind: 'leaderAndIsr', brokerId, request: this.#leaderAndIsrRequest(states, { controllerId, controllerEpoch, brokerEpoch }) })
    }
    const metadata = this.#metadataTo.size > 0 ? this.#metadataParts() : undefined
    for (const brokerId of this.#metadataTo) {
      const brokerEpoch = epochOf(brokerId)
      if (metadata && brokerEpoch !== undefined) requests.push({ kind: 'updateMetadata', brokerId, request: { controllerId, controllerEpoch, brokerEpoch, ...metadata } })
    }
    for (const [brokerId, stops] of this.#stopReplica) {
      const brokerEpoch = epochOf(brokerId)
      if (brokerEpoch !== undefined) requests.push({ kind: 'stopReplica', brokerId, request: { controllerId, controllerEpoch, brokerEpoch, topicStates: this.#stopStates(stops) } })
    }
    this.clear()
    return requests
  }
  clear(): void {
    this.#leaderAndIsr.clear()
    this.#stopReplica.clear()
    this.#metadataTo.clear()
    this.#metadata.clear()
  }

  #leaderAndIsrRequest(states: Map<PartitionContext, { isNew: boolean }>, head: { controllerId: number; controllerEpoch: number; brokerEpoch: bigint }): RequestTo<typeof LeaderAndIsr> {
    const leaders = new Set<number>()
    const topicStates = byTopic([...states.keys()]).map(([topicName, partitions]) => ({
      topicName,
      topicId: this.#topicId(topicName),
      partitionStates: partitions.flatMap((partition) => {
        const { state, index, assignment } = partition
        if (!state) return []
        leaders.add(state.leader)
        return [{
          partitionIndex: index,
          controllerEpoch: state.controllerEpoch,
          leader: state.leader,
          leaderEpoch: state.leaderEpoch,
          isr: state.isr,
          partitionEpoch: state.partitionEpoch,
          replicas: assignment.replicas,
          addingReplicas: assignment.adding,
          removingReplicas: assignment.removing,
          isNew: states.get(partition)?.isNew ?? false,
          leaderRecoveryState: state.leaderRecoveryState,
        }]
      }),
    }))
    const liveLeaders = [...leaders].flatMap((id) => {
      const broker = this.#context.brokers.get(id)
      const endpoint = broker && endpointOf(broker, this.#interBrokerListener)
      return endpoint ? [{ brokerId: id, hostName: endpoint.host, port: endpoint.port }] : []
    })
    return { ...head, topicStates, liveLeaders }
  }
  #metadataParts(): Pick<RequestTo<typeof UpdateMetadata>, 'topicStates' | 'liveBrokers'> {
    const topicStates = byTopic([...this.#metadata]).map(([topicName, partitions]) => ({
      topicName,
      topicId: this.#topicId(topicName),
      partitionStates: partitions.flatMap((partition) => {
        const { state, index, assignment } = partition
        if (!state) return []
        const deleting = this.#context.isDeleting(topicName)
        return [{
          partitionIndex: index,
          controllerEpoch: state.controllerEpoch,
          leader: deleting ? leaderDuringDelete : state.leader,
          leaderEpoch: deleting ? epochDuringDelete : state.leaderEpoch,
          isr: deleting ? [] : state.isr,
          zkVersion: state.partitionEpoch,
          replicas: assignment.replicas,
          offlineReplicas: assignment.replicas.filter((id) => !this.#context.isReplicaOnlineOrShuttingDown(id, partition)),
        }]
      }),
    }))
    const liveBrokers = [...this.#context.brokers.values()].map(({ registration: { id, endpoints, rack } }) => ({
      id,
      endpoints: endpoints.map(({ listener, host, port, securityProtocol }) => ({ listener, host, port, securityProtocol: securityProtocols[securityProtocol] })),
      rack: rack ?? null,
    }))
    return { topicStates, liveBrokers }
  }
  #stopStates(stops: Map<PartitionContext, { deletePartition: boolean }>): RequestTo<typeof StopReplica>['topicStates'] {
    return byTopic([...stops.keys()]).map(([topicName, partitions]) => ({
      topicName,
      partitionStates: partitions.map((partition) => ({
        partitionIndex: partition.index,
        leaderEpoch: this.#context.isDeleting(topicName) ? epochDuringDelete : (partition.state?.leaderEpoch ?? -1),
        deletePartition: stops.get(partition)?.deletePartition ?? false,
      })),
    }))
  }
  #topicId(topic: string): string {
    return this.#context.topics.get(topic)?.topicId ?? uuidZero
  }
}

function endpointOf({ registration }: LiveBroker, listener: string): { host: string; port: number } | undefined {
  return registration.endpoints.find((endpoint) => endpoint.listener === listener)
}
function entry<K, IK, IV>(map: Map<K, Map<IK, IV>>, key: K): Map<IK, IV> {
  let inner = map.get(key)
  if (!inner) map.set(key, (inner = new Map()))
  return inner
}
function byTopic(partitions: readonly PartitionContext[]): [string, PartitionContext[]][] {
  const topics = new Map<string, PartitionContext[]>()
  for (const partition of partitions) {
    const list = topics.get(partition.topic)
    if (list) list.push(partition)
    else topics.set(partition.topic, [partition])
  }
  return [...topics]
}
