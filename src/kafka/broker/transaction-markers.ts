/** Appends transaction markers to partitions this broker leads, and has other brokers append theirs (reference §5.6). */
import type { Clock } from '../../host/host.ts'
import type { GroupCoordinator } from '../groups/group-coordinator.ts'
import type { MetadataCache } from '../metadata/metadata-cache.ts'
import { errors } from '../protocol/errors.ts'
import { WriteTxnMarkers } from '../protocol/write-txn-markers.ts'
import { encodeTransactionMarker } from '../records/control.ts'
import type { ReplicaManager } from '../replication/replica-manager.ts'
import type { Marker, MarkerChannel } from '../transactions/marker-channel.ts'
import type { MarkerOutcome } from '../transactions/steps.ts'
import type { TopicPartition } from '../transactions/transaction-state.ts'
import type { BrokerLinks } from './broker-links.ts'
import { offsetsTopic } from './offsets-storage.ts'

export interface TransactionMarkersOptions {
  readonly brokerId: number
  readonly clock: Clock
  readonly replicas: Pick<ReplicaManager, 'find'>
  readonly groups: Pick<GroupCoordinator, 'transactionCompleted'>
  readonly metadata: Pick<MetadataCache, 'partition' | 'topic'>
  readonly links: Pick<BrokerLinks, 'send'>
  /** Whether the cluster has the topic: a view that has not arrived yet is no reason to leave it without its marker. */
  readonly topicExists: (topic: string) => Promise<boolean>
  /** How long a marker waits for the in-sync replicas: `request.timeout.ms`. */
  readonly timeoutMs: number
  /** Told before a marker is appended here. */
  readonly ending: (producerId: number, partition: TopicPartition) => void
}
export interface EncodedMarker extends Pick<Marker, 'producer' | 'committed'> {
  readonly batch: Uint8Array
}
const writeTxnMarkersVersion = 1

export class TransactionMarkers implements MarkerChannel {
  readonly #options: TransactionMarkersOptions
  constructor(options: TransactionMarkersOptions) {
    this.#options = options
  }

  /** To be appended to any number of partitions, by `append`. */
  encoded({ producer, committed, coordinatorEpoch }: Marker): EncodedMarker {
    const batch = encodeTransactionMarker({ type: committed ? 'commit' : 'abort', producerId: producer.id, producerEpoch: producer.epoch, coordinatorEpoch, timestamp: this.#options.clock.now() })
    return { producer, committed, batch }
  }
  /** Appends one marker here, acks −1; `done` is told an error code, or 0 when it is committed. It takes its place in the log before this returns. */
  append(marker: EncodedMarker, of: TopicPartition, done: (errorCode: number) => void): void {
    const { replicas, metadata, groups, timeoutMs, ending } = this.#options
    const { producer, committed } = marker
    const { topic, partition: index } = of
    const partition = replicas.find(topic, index)
    if (!partition) return done(metadata.partition(topic, index) ? errors.notLeaderOrFollower.code : errors.unknownTopicOrPartition.code)
    // What differs from log to log, its offset and leader epoch, lies outside the checksum.
    const batch = Buffer.from(marker.batch)
    ending(producer.id, of)
    partition.append(batch, batch.length, { requiredAcks: -1, timeoutMs, origin: 'coordinator' }, ({ errorCode }) => {
      // Not before the marker is on record: what an open transaction commits must not be seen.
      if (errorCode === 0 && topic === offsetsTopic) groups.transactionCompleted(producer.id, index, committed)
      done(errorCode)
    })
  }

  write(marker: Marker, partitions: readonly TopicPartition[]): Promise<readonly MarkerOutcome[]> {
    return new Promise((resolve) => {
      const { metadata, brokerId } = this.#options
      const outcomes: MarkerOutcome[] = []
      let missing = partitions.length
      const decide = (place: number, errorCode: number, isGone = false): void => {
        const { topic, partition } = partitions[place]
        outcomes[place] = { topic, partition, errorCode, isGone }
        if (--missing === 0) resolve(outcomes)
      }
      let encoded: EncodedMarker | undefined
      const elsewhere = new Map<number, number[]>()
      for (let place = 0; place < partitions.length; place++) {
        const { topic, partition } = partitions[place]
        const leader = metadata.partition(topic, partition)?.leader
        if (leader === brokerId) this.append((encoded ??= this.encoded(marker)), partitions[place], (errorCode) => decide(place, errorCode))
        else if (!metadata.topic(topic)) void this.#isGone(topic).then((isGone) => decide(place, errors.unknownTopicOrPartition.code, isGone))
        else if (leader !== undefined && leader >= 0) {
          const there = elsewhere.get(leader)
          if (there) there.push(place)
          else elsewhere.set(leader, [place])
        } else decide(place, errors.leaderNotAvailable.code)
      }
      for (const [leader, places] of elsewhere)
        void this.#send(leader, marker, places.map((place) => partitions[place])).then((codes) => places.forEach((place, index) => decide(place, codes[index])))
      if (partitions.length === 0) resolve(outcomes)
    })
  }
  /** A topic that is gone takes with it what was written to it. */
  async #isGone(topic: string): Promise<boolean> {
    try {
      return !(await this.#options.topicExists(topic))
    } catch {
      return false
    }
  }
  async #send(leader: number, { producer, committed, coordinatorEpoch }: Marker, partitions: readonly TopicPartition[]): Promise<number[]> {
    const topics = new Map<string, number[]>()
    for (const { topic, partition } of partitions) topics.set(topic, [...(topics.get(topic) ?? []), partition])
    try {
      const { markers } = await this.#options.links.send(leader, WriteTxnMarkers, {
        markers: [{ producerId: producer.id, producerEpoch: producer.epoch, transactionResult: committed, coordinatorEpoch, topics: [...topics].map(([name, partitionIndexes]) => ({ name, partitionIndexes })) }],
      }, writeTxnMarkersVersion)
      const codes = new Map<string, number>()
      for (const { name, partitions: each } of markers.flatMap((marker) => marker.topics)) for (const { partitionIndex, errorCode } of each) codes.set(`${partitionIndex}/${name}`, errorCode)
      return partitions.map(({ topic, partition }) => codes.get(`${partition}/${topic}`) ?? errors.unknownServerError.code)
    } catch {
      // The leader cannot be reached now; it, or the next one, is asked again.
      return partitions.map(() => errors.networkException.code)
    }
  }
}
