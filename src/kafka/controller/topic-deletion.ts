/** Deletes topics: stops their replicas, has the brokers delete them, then the znodes (reference §2.5). */
import type { PartitionContext } from './controller-context.ts'
import type { ControllerWork } from './controller-work.ts'
import { toPhase } from './partition-phases.ts'
import { replicasOf, toReplicaPhase, type Replica } from './replica-phases.ts'

export class TopicDeletion {
  readonly #work: ControllerWork
  readonly #enabled: boolean
  readonly #completed: (topic: string) => void

  constructor(work: ControllerWork, enabled: boolean, completed: (topic: string) => void) {
    this.#work = work
    this.#enabled = enabled
    this.#completed = completed
  }

  /** Takes up what `/admin/delete_topics` asks for. */
  async queue(topics: readonly string[]): Promise<void> {
    const { context, writes, log } = this.#work
    for (const topic of topics) {
      if (!context.topics.has(topic)) {
        log.warn('a topic to be deleted does not exist', { topic })
        await writes.forgetDeletion(topic)
      } else if (!this.#enabled) {
        log.info('a topic is not deleted: delete.topic.enable is false', { topic })
        await writes.forgetDeletion(topic)
      } else if (!context.isDeleting(topic)) {
        log.info('topic deletion begins', { topic })
        context.topicsToDelete.add(topic)
        if (context.isReassigningTopic(topic)) context.deletionIneligible.add(topic)
      }
    }
    await this.resume()
  }

  /** What stood in the way may be gone. */
  async makeEligible(topics: Iterable<string>): Promise<void> {
    for (const topic of topics) this.#work.context.deletionIneligible.delete(topic)
    await this.resume()
  }
  makeIneligible(topics: Iterable<string>): void {
    for (const topic of topics) if (this.#work.context.isDeleting(topic)) this.#work.context.deletionIneligible.add(topic)
  }

  async succeeded(replicas: readonly Replica[]): Promise<void> {
    await toReplicaPhase(this.#work, replicas.filter(({ partition, brokerId }) => this.#isCurrent(partition) && partition.replicas.get(brokerId) === 'deletionStarted'), 'deletionSuccessful')
    await this.resume()
  }
  async failed(replicas: readonly Replica[]): Promise<void> {
    const current = replicas.filter(({ partition, brokerId }) => this.#isCurrent(partition) && partition.replicas.get(brokerId) === 'deletionStarted')
    if (current.length === 0) return
    this.#work.log.warn('replicas could not be deleted; their topics wait', { topics: [...new Set(current.map(({ partition }) => partition.topic))] })
    await toReplicaPhase(this.#work, current, 'deletionIneligible')
    this.makeIneligible(new Set(current.map(({ partition }) => partition.topic)))
    await this.resume()
  }
  #isCurrent(partition: PartitionContext): boolean {
    return this.#work.context.partition(partition.topic, partition.index) === partition && this.#work.context.isDeleting(partition.topic)
  }

  /** Goes on with every queued topic as far as it can now. */
  async resume(): Promise<void> {
    const { context } = this.#work
    const queued = [...context.topicsToDelete]
    for (const topic of queued) {
      const partitions = [...(context.topics.get(topic)?.partitions.values() ?? [])]
      const phases = partitions.flatMap(({ replicas }) => [...replicas.values()])
      if (phases.every((phase) => phase === 'deletionSuccessful') && (phases.length > 0 || context.deletionStarted.has(topic))) await this.#complete(topic, partitions)
      else if (phases.includes('deletionStarted')) continue
      else if (context.deletionIneligible.has(topic)) continue
      else {
        const stuck = replicasOf(partitions).filter(({ partition, brokerId }) => partition.replicas.get(brokerId) === 'deletionIneligible')
        if (stuck.length > 0) await toReplicaPhase(this.#work, stuck, 'offline')
        await this.#begin(topic, partitions)
      }
    }
  }
  async #begin(topic: string, partitions: readonly PartitionContext[]): Promise<void> {
    const { context, batch } = this.#work
    if (!context.deletionStarted.has(topic)) {
      toPhase(this.#work, partitions.filter(({ phase }) => phase !== 'offline' && phase !== 'nonExistent'), 'offline')
      toPhase(this.#work, partitions.filter(({ phase }) => phase === 'offline'), 'nonExistent')
      context.deletionStarted.add(topic)
    }
    // Everybody forgets the topic: the batch gives partitions of topics to be deleted the leader −2.
    batch.updateMetadata(context.liveOrShuttingDownIds(), partitions)
    this.#work.flush()
    const replicas = replicasOf(partitions)
    const isLive = ({ brokerId, partition }: Replica): boolean => context.isReplicaOnlineOrShuttingDown(brokerId, partition)
    const live = replicas.filter(isLive)
    const dead = replicas.filter((replica) => !isLive(replica))
    await toReplicaPhase(this.#work, dead.filter(({ partition, brokerId }) => partition.replicas.get(brokerId) !== 'offline'), 'offline')
    await toReplicaPhase(this.#work, dead, 'deletionIneligible')
    await toReplicaPhase(this.#work, live, 'offline')
    await toReplicaPhase(this.#work, live, 'deletionStarted')
    if (dead.length > 0) context.deletionIneligible.add(topic)
  }
  async #complete(topic: string, partitions: readonly PartitionContext[]): Promise<void> {
    const { context, writes } = this.#work
    await toReplicaPhase(this.#work, replicasOf(partitions), 'nonExistent')
    await writes.deleteTopic(topic)
    context.removeTopic(topic)
    this.#completed(topic)
  }
}
