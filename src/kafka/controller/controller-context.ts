/** What the controller knows of the cluster. Changed by the machines of this room alone; asks nobody. */
import type { LiveBroker } from '../metadata/kafka-zookeeper.ts'
import type { PartitionState } from '../metadata/partition-state-znode.ts'
import { isReassigning, type Assignment, type TopicAssignment } from '../metadata/topic-znode.ts'

export type PartitionPhase = 'nonExistent' | 'new' | 'online' | 'offline'
export type ReplicaPhase = 'new' | 'online' | 'offline' | 'deletionStarted' | 'deletionSuccessful' | 'deletionIneligible'

export interface PartitionContext {
  readonly topic: string
  readonly index: number
  assignment: Assignment
  /** Undefined until the partition has had its first leader. */
  state: PartitionState | undefined
  /** When the state was written that this controller found as it began. */
  foundZxid: bigint | undefined
  phase: PartitionPhase
  /** By broker; a replica that is missing does not exist. */
  readonly replicas: Map<number, ReplicaPhase>
}
export interface TopicContext {
  readonly name: string
  topicId: string | undefined
  readonly partitions: Map<number, PartitionContext>
}

export class ControllerContext {
  /** Registered brokers, those that are shutting down included. */
  readonly brokers = new Map<number, LiveBroker>()
  readonly shuttingDown = new Set<number>()
  readonly topics = new Map<string, TopicContext>()
  readonly #topicsById = new Map<string, TopicContext>()
  readonly #offlineReplicas = new Map<number, Set<PartitionContext>>()

  readonly topicsToDelete = new Set<string>()
  /** Of which a broker has said that it holds logs under another id. */
  readonly withForeignId = new Set<string>()
  readonly deletionStarted = new Set<string>()
  readonly deletionIneligible = new Set<string>()

  clear(): void {
    this.brokers.clear()
    this.shuttingDown.clear()
    this.topics.clear()
    this.#topicsById.clear()
    this.#offlineReplicas.clear()
    this.topicsToDelete.clear()
    this.withForeignId.clear()
    this.deletionStarted.clear()
    this.deletionIneligible.clear()
  }

  /** Registered and not shutting down. */
  isLive(brokerId: number): boolean {
    return this.brokers.has(brokerId) && !this.shuttingDown.has(brokerId)
  }
  liveBrokerIds(): number[] {
    return [...this.brokers.keys()].filter((id) => this.isLive(id))
  }
  liveOrShuttingDownIds(): number[] {
    return [...this.brokers.keys()]
  }
  /** The replica can serve: its broker lives and its log dir has not failed. */
  isReplicaOnline(brokerId: number, partition: PartitionContext): boolean {
    return this.isLive(brokerId) && !this.#offlineReplicas.get(brokerId)?.has(partition)
  }
  isReplicaOnlineOrShuttingDown(brokerId: number, partition: PartitionContext): boolean {
    return this.brokers.has(brokerId) && !this.#offlineReplicas.get(brokerId)?.has(partition)
  }
  /** A replica's log dir has failed, or works again. True when that is news. */
  setReplicaFailed(brokerId: number, partition: PartitionContext, failed: boolean): boolean {
    let set = this.#offlineReplicas.get(brokerId)
    if (!set) this.#offlineReplicas.set(brokerId, (set = new Set()))
    if (set.has(partition) === failed) return false
    if (failed) set.add(partition)
    else set.delete(partition)
    return true
  }
  /**
   * Replicas in an ISR that was written before their brokers registered: those have been restarted, and no controller has seen it. A power
   * cut may have taken what they had not synced, so others in sync, who have stayed, go before them; without such others they stay.
   * `own` has only had another session when its process `wasTold` of the partition: it has all that it had.
   */
  restartedUnseen(own: number, wasTold: (partition: PartitionContext) => boolean): { brokerId: number; partition: PartitionContext }[] {
    return [...this.partitions()].flatMap((partition) => {
      const { state, foundZxid, topic } = partition
      if (!state || foundZxid === undefined || this.isDeleting(topic)) return []
      const inSync = state.isr.filter((id) => this.isLive(id))
      const restarted = inSync.filter((id) => this.brokers.get(id)!.epoch > foundZxid && !(id === own && wasTold(partition)))
      return restarted.length < inSync.length ? restarted.map((brokerId) => ({ brokerId, partition })) : []
    })
  }
  forgetFailedReplicas(brokerId: number): void {
    this.#offlineReplicas.delete(brokerId)
  }

  addTopic(name: string, { topicId, partitions }: TopicAssignment): TopicContext {
    const topic: TopicContext = { name, topicId, partitions: new Map() }
    for (const [index, assignment] of partitions) this.addPartition(topic, index, assignment)
    this.topics.set(name, topic)
    if (topicId !== undefined) this.#topicsById.set(topicId, topic)
    return topic
  }
  addPartition(topic: TopicContext, index: number, assignment: Assignment): PartitionContext {
    const partition: PartitionContext = { topic: topic.name, index, assignment, state: undefined, foundZxid: undefined, phase: 'nonExistent', replicas: new Map() }
    topic.partitions.set(index, partition)
    return partition
  }
  removeTopic(name: string): void {
    const topic = this.topics.get(name)
    if (topic?.topicId !== undefined && this.#topicsById.get(topic.topicId) === topic) this.#topicsById.delete(topic.topicId)
    for (const partition of topic?.partitions.values() ?? []) for (const set of this.#offlineReplicas.values()) set.delete(partition)
    this.topics.delete(name)
    this.withForeignId.delete(name)
    this.topicsToDelete.delete(name)
    this.deletionStarted.delete(name)
    this.deletionIneligible.delete(name)
  }
  partition(topic: string, index: number): PartitionContext | undefined {
    return this.topics.get(topic)?.partitions.get(index)
  }
  *partitions(): Iterable<PartitionContext> {
    for (const topic of this.topics.values()) yield* topic.partitions.values()
  }
  partitionsOn(brokerId: number): PartitionContext[] {
    return [...this.partitions()].filter(({ assignment }) => assignment.replicas.includes(brokerId))
  }
  topicOfId(topicId: string): TopicContext | undefined {
    return this.#topicsById.get(topicId)
  }
  isDeleting(topic: string): boolean {
    return this.topicsToDelete.has(topic)
  }
  reassigning(): PartitionContext[] {
    return [...this.partitions()].filter(({ assignment }) => isReassigning(assignment))
  }
  isReassigningTopic(name: string): boolean {
    return [...(this.topics.get(name)?.partitions.values() ?? [])].some(({ assignment }) => isReassigning(assignment))
  }
}
