/** The broker's view of the cluster: changed by UpdateMetadata alone (reference §2.12), read by everybody. */
import type { Timers } from '../../host/host.ts'
import { uuidZero } from '../../wire/schema.ts'
import type { RequestOf } from '../protocol/api.ts'
import type { UpdateMetadata } from '../protocol/update-metadata.ts'
import { leaderDuringDelete } from './partition-state-znode.ts'

export interface BrokerView {
  readonly id: number
  readonly rack: string | null
  /** By listener name. */
  readonly endpoints: ReadonlyMap<string, { readonly host: string; readonly port: number }>
}
export interface PartitionView {
  readonly index: number
  /** −1: none. */
  readonly leader: number
  readonly leaderEpoch: number
  readonly controllerEpoch: number
  /** Version of the partition's state znode. */
  readonly partitionEpoch: number
  readonly isr: readonly number[]
  readonly replicas: readonly number[]
  readonly offlineReplicas: readonly number[]
}
export interface TopicView {
  readonly name: string
  /** Zero for a topic of a cluster older than topic ids. */
  readonly topicId: string
  /** By index; a partition whose state has not arrived yet is missing. */
  readonly partitions: readonly (PartitionView | undefined)[]
}
export interface MetadataChange {
  /** Partitions that the controller has deleted. */
  readonly removed: readonly { topic: string; partition: number }[]
}

export class MetadataCache {
  #brokers: ReadonlyMap<number, BrokerView> = new Map()
  readonly #topics = new Map<string, TopicView>()
  readonly #names = new Map<string, string>()
  readonly #handlers = new Set<(change: MetadataChange) => void>()
  #controllerId = -1

  /** −1 while there is none. */
  get controllerId(): number {
    return this.#controllerId
  }
  get brokers(): ReadonlyMap<number, BrokerView> {
    return this.#brokers
  }
  /** All topics, in no particular order. */
  topics(): Iterable<TopicView> {
    return this.#topics.values()
  }
  topic(name: string): TopicView | undefined {
    return this.#topics.get(name)
  }
  topicName(topicId: string): string | undefined {
    return this.#names.get(topicId)
  }
  topicId(name: string): string {
    return this.#topics.get(name)?.topicId ?? uuidZero
  }
  partition(topic: string, index: number): PartitionView | undefined {
    return this.#topics.get(topic)?.partitions[index]
  }

  /** Runs after each update; returns what ends that. */
  onChange(handler: (change: MetadataChange) => void): () => void {
    this.#handlers.add(handler)
    return () => void this.#handlers.delete(handler)
  }
  /** Resolves with true as soon as `holds` does, with false after `timeoutMs`. */
  until(holds: () => boolean, timeoutMs: number, timers: Timers): Promise<boolean> {
    if (holds()) return Promise.resolve(true)
    if (timeoutMs <= 0) return Promise.resolve(false)
    return new Promise((resolve) => {
      const finish = (held: boolean): void => {
        off()
        timer.cancel()
        resolve(held)
      }
      const off = this.onChange(() => {
        if (holds()) finish(true)
      })
      const timer = timers.set(timeoutMs, () => finish(false))
    })
  }

  /** Brokers are replaced as a whole; partitions named overwrite, the others stay. The epochs have been checked by the caller. */
  update(request: RequestOf<typeof UpdateMetadata>): void {
    this.#controllerId = request.controllerId
    this.#brokers = new Map(
      request.liveBrokers.map(({ id, rack, endpoints }) => [
        id,
        { id, rack: rack ?? null, endpoints: new Map(endpoints.map(({ listener, host, port }) => [listener, { host, port }])) },
      ]),
    )
    const removed: { topic: string; partition: number }[] = []
    for (const { topicName, topicId, partitionStates } of request.topicStates) {
      const before = this.#topics.get(topicName)
      // A topic of the same name with another id is another topic.
      const partitions = before && before.topicId === topicId ? [...before.partitions] : []
      for (const state of partitionStates) {
        const index = state.partitionIndex
        // It leaves the view.
        if (state.leader === leaderDuringDelete) {
          delete partitions[index]
          removed.push({ topic: topicName, partition: index })
        } else
          partitions[index] = {
            index,
            leader: state.leader,
            leaderEpoch: state.leaderEpoch,
            controllerEpoch: state.controllerEpoch,
            partitionEpoch: state.zkVersion,
            isr: state.isr,
            replicas: state.replicas,
            offlineReplicas: state.offlineReplicas,
          }
      }
      if (before && before.topicId !== topicId) this.#names.delete(before.topicId)
      if (partitions.some((partition) => partition !== undefined)) {
        this.#topics.set(topicName, { name: topicName, topicId, partitions })
        if (topicId !== uuidZero) this.#names.set(topicId, topicName)
      } else {
        this.#topics.delete(topicName)
        this.#names.delete(topicId)
        if (before) this.#names.delete(before.topicId)
      }
    }
    const handlers = [...this.#handlers] // one that waits takes itself off when it is told
    for (const handler of handlers) handler({ removed })
  }
}
