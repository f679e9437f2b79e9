/** The partitions of this broker; applies LeaderAndIsr and StopReplica (reference §2.12). */
import type { Host, Timer } from '../../host/host.ts'
import { uuidZero } from '../../wire/schema.ts'
import type { LogManager } from '../log/log-manager.ts'
import { isPartitionIndex, topicNameFault } from '../metadata/topic-names.ts'
import { errors } from '../protocol/errors.ts'
import type { LeaderAndIsr } from '../protocol/leader-and-isr.ts'
import type { RequestOf, RequestTo, ResponseOf, ResponseTo } from '../protocol/api.ts'
import type { StopReplica } from '../protocol/stop-replica.ts'
import { LogDirMoves } from './log-dir-moves.ts'
import { IsrChanges, type IsrChangesOptions } from './isr-changes.ts'
import { Partition, type PartitionState } from './partition.ts'
import type { FetcherSettings } from './replica-fetcher.ts'
import { ReplicaFetchers } from './replica-fetchers.ts'
import type { ReplicationQuota } from './replication-quota.ts'

/** What coordinators want to know of the partitions of their topics. */
export type LeadershipChange =
  | { kind: 'elected'; topic: string; partition: Partition; leaderEpoch: number }
  | { kind: 'resigned'; topic: string; index: number; leaderEpoch: number | undefined }

type LeaderAndIsrRequest = RequestOf<typeof LeaderAndIsr>
type LeaderAndIsrState = LeaderAndIsrRequest['topicStates'][number]['partitionStates'][number]

export interface ReplicaManagerOptions {
  host: Host
  brokerId: number
  logs: LogManager
  /** Own registration's epoch; a request with an older one was meant for an earlier life of this broker. */
  brokerEpoch: () => bigint
  minInsyncReplicas: (topic: string) => number
  /** Awaited before the first log of a topic is made here: its configuration has to be known. */
  prepareTopic: (topic: string) => Promise<void>
  settings: FetcherSettings & { readonly 'replica.lag.time.max.ms': number }
  /** `num.replica.fetchers`; a change counts for partitions that get another leader. */
  fetcherCount: () => number
  /** Where a live broker listens for others; undefined for one that is not alive. */
  endpointOf: (brokerId: number) => { host: string; port: number } | undefined
  isAlive: (brokerId: number) => boolean
  followerQuota: ReplicationQuota
  /** Bounds moves between log directories. */
  moveQuota: ReplicationQuota
  alterPartition: IsrChangesOptions['alterPartition']
}

export class ReplicaManager {
  /** Replicas on their way to another log directory. */
  readonly moves: LogDirMoves
  readonly #options: ReplicaManagerOptions
  readonly #topics = new Map<string, (Partition | undefined)[]>()
  readonly #leadershipHandlers: ((change: LeadershipChange) => void)[] = []
  readonly #fetchers: ReplicaFetchers
  readonly #isrChanges: IsrChanges
  readonly #lagCheck: Timer
  #controllerEpoch = 0
  #isLeaving = false
  /** State changes run one after the other. */
  #changes: Promise<unknown> = Promise.resolve()

  constructor(options: ReplicaManagerOptions) {
    this.#options = options
    const { host, brokerId, brokerEpoch, settings, endpointOf, alterPartition } = options
    this.#fetchers = new ReplicaFetchers(host, { brokerId, brokerEpoch, settings, endpointOf, count: options.fetcherCount, quota: options.followerQuota })
    this.moves = new LogDirMoves(host, { logs: options.logs, find: (topic, index) => this.find(topic, index), quota: options.moveQuota, readMax: settings['replica.fetch.max.bytes'], backoffMs: settings['replica.fetch.backoff.ms'] })
    this.#isrChanges = new IsrChanges(host, { brokerId, brokerEpoch, alterPartition })
    this.#lagCheck = host.timers.every(settings['replica.lag.time.max.ms'] / 2, () => {
      const now = host.clock.monotonic()
      for (const partition of this.all()) partition.tick(now)
    })
    options.logs.onDirectoryFailure((directory, failure) => {
      for (const partition of this.all())
        if (partition.log.directory.startsWith(`${directory}/`)) {
          const leaderEpoch = partition.leaderEpoch
          void this.#fetchers.unfollow(partition)
          partition.stop(failure)
          this.#announce({ kind: 'resigned', topic: partition.topic, index: partition.index, leaderEpoch })
        }
    })
  }

  find(topic: string, index: number): Partition | undefined {
    return this.#topics.get(topic)?.[index]
  }
  *all(): Iterable<Partition> {
    for (const partitions of this.#topics.values()) for (const partition of partitions) if (partition) yield partition
  }
  onLeadership(handler: (change: LeadershipChange) => void): void {
    this.#leadershipHandlers.push(handler)
  }

  /**
   * The broker is about to stop: what it hands over it does not begin to follow. The new leader would ask for it to join the ISR again, and
   * what is written meanwhile would wait for it: with a leader of Apache's until the producer's time is over.
   */
  leave(): void {
    this.#isLeaving = true
  }
  /** Nothing is led or followed afterwards; who waits is answered NOT_LEADER_OR_FOLLOWER. */
  async stop(): Promise<void> {
    this.#lagCheck.cancel()
    this.#isrChanges.stop()
    await this.#changes
    await this.moves.stop()
    await this.#fetchers.stop()
    for (const partition of this.all()) partition.stop()
  }

  becomeLeaderOrFollower(request: RequestTo<typeof LeaderAndIsr>): Promise<ResponseTo<typeof LeaderAndIsr>> {
    return this.#inTurn(() => this.#applyLeaderAndIsr(request as LeaderAndIsrRequest))
  }
  stopReplicas(request: RequestTo<typeof StopReplica>): Promise<ResponseTo<typeof StopReplica>> {
    return this.#inTurn(() => this.#applyStopReplica(request as RequestOf<typeof StopReplica>))
  }

  #inTurn<T>(change: () => Promise<T>): Promise<T> {
    const done = this.#changes.then(change)
    this.#changes = done.catch(() => undefined)
    return done
  }
  #announce(change: LeadershipChange): void {
    for (const handler of this.#leadershipHandlers) handler(change)
  }
  /** The highest epoch of a controller that was obeyed; 0 before the first. */
  get controllerEpoch(): number {
    return this.#controllerEpoch
  }
  /** STALE_BROKER_EPOCH and STALE_CONTROLLER_EPOCH, or 0: then the controller's epoch is noted. Asked once for each of its requests. */
  refusalOf(request: { controllerEpoch: number; brokerEpoch?: bigint }): number {
    const brokerEpoch = request.brokerEpoch ?? -1n
    if (brokerEpoch >= 0n && brokerEpoch < this.#options.brokerEpoch()) return errors.staleBrokerEpoch.code
    if (request.controllerEpoch < this.#controllerEpoch) return errors.staleControllerEpoch.code
    this.#controllerEpoch = request.controllerEpoch
    return 0
  }

  async #applyLeaderAndIsr(request: LeaderAndIsrRequest): Promise<ResponseTo<typeof LeaderAndIsr>> {
    const errorCode = this.refusalOf(request)
    if (errorCode !== 0) return { errorCode, partitionErrors: [], topics: [] }
    const topics = []
    const startedAt = this.#options.host.clock.monotonic()
    let changes = 0
    for (const { topicName, topicId, partitionStates } of request.topicStates) {
      const partitionErrors: ResponseOf<typeof LeaderAndIsr>['partitionErrors'] = []
      for (const state of partitionStates)
        partitionErrors.push({ topicName, partitionIndex: state.partitionIndex, errorCode: await this.#applyState(topicName, topicId, state) })
      changes += partitionErrors.filter((each) => each.errorCode === 0).length
      topics.push({ topicId, partitionErrors })
    }
    await this.#fetchers.dropIdle()
    if (changes > 0) this.#options.host.logger.named('kafka.replication').info('roles taken', { partitions: changes, tookMs: Math.round(this.#options.host.clock.monotonic() - startedAt) })
    return { errorCode: 0, partitionErrors: topics.flatMap((topic) => topic.partitionErrors), topics }
  }

  #ofAnother({ log, topic, index, topicId }: Partition, asked: string): number {
    this.#options.host.logger.named('kafka.replication').error('a replica is not served: its directory belongs to a topic of another id, which was deleted, or to another cluster. Move the directory away while the broker is stopped; the records are copied from the leader', { partition: `${topic}-${index}`, directory: log.directory, stored: topicId, asked })
    return errors.inconsistentTopicId.code
  }
  async #applyState(topic: string, topicId: string, state: LeaderAndIsrState): Promise<number> {
    const { brokerId, host } = this.#options
    // The name becomes a folder's; a leader outside its ISR cannot know what is committed.
    const makesSense = isPartitionIndex(state.partitionIndex) && topicNameFault(topic) === undefined && (state.leader !== brokerId || state.isr.includes(brokerId))
    if (!makesSense) {
      host.logger.named('kafka.replication').error('the controller asks for what cannot be', { partition: `${topic}-${state.partitionIndex}`, leader: state.leader, isr: state.isr })
      return errors.invalidRequest.code
    }
    const known = this.find(topic, state.partitionIndex)
    if (known?.failure) return errors.kafkaStorageError.code
    const id = topicId === uuidZero ? undefined : topicId
    if (known?.topicId && id && known.topicId !== id) return this.#ofAnother(known, id)
    if (known && state.leaderEpoch < known.leaderEpoch) return errors.staleControllerEpoch.code
    if (known && state.leaderEpoch === known.leaderEpoch) {
      if (known.topicId || !id) return errors.staleControllerEpoch.code
      // The cluster has learnt topic ids while this replica was at work.
      await known.log.setTopicId(id)
      return 0
    }
    if (!state.replicas.includes(brokerId)) return errors.unknownTopicOrPartition.code
    let partition: Partition
    try {
      partition = known ?? (await this.#open(topic, state.partitionIndex, id, state.isNew))
      if (partition.topicId && id && partition.topicId !== id) return this.#ofAnother(partition, id)
      await this.#applyRole(partition, state)
      this.moves.resume(partition)
    } catch (error) {
      host.logger.named('kafka.replication').error('partition failed', { partition: `${topic}-${state.partitionIndex}`, error })
      return errors.kafkaStorageError.code
    }
    if (state.leader === brokerId) this.#announce({ kind: 'elected', topic, partition, leaderEpoch: state.leaderEpoch })
    else this.#announce({ kind: 'resigned', topic, index: state.partitionIndex, leaderEpoch: state.leaderEpoch })
    return 0
  }
  /** The fetcher lets go of the log before the role changes, and takes it up after. */
  async #applyRole(partition: Partition, { leader, leaderEpoch, partitionEpoch, isr, replicas }: LeaderAndIsrState): Promise<void> {
    const state: PartitionState = { leader, leaderEpoch, partitionEpoch, isr, replicas }
    await this.#fetchers.unfollow(partition)
    if (leader === this.#options.brokerId) return partition.becomeLeader(state)
    partition.becomeFollower(state)
    if (!this.#isLeaving) this.#fetchers.follow(partition)
  }
  async #open(topic: string, index: number, topicId: string | undefined, isNew: boolean): Promise<Partition> {
    const { logs, brokerId, host, minInsyncReplicas, prepareTopic, settings, isAlive } = this.#options
    let log = logs.get(topic, index)
    if (!log) {
      if (!this.#topics.has(topic)) await prepareTopic(topic)
      log = await logs.create(topic, index, { topicId, isNew })
    }
    const partition = new Partition({
      topic,
      index,
      log,
      brokerId,
      clock: host.clock,
      timers: host.timers,
      minInsyncReplicas: () => minInsyncReplicas(topic),
      lagMsMax: settings['replica.lag.time.max.ms'],
      backoffMs: settings['replica.fetch.backoff.ms'],
      isAlive,
      propose: (from, proposal) => this.#isrChanges.propose(from, proposal),
    })
    let partitions = this.#topics.get(topic)
    if (!partitions) this.#topics.set(topic, (partitions = []))
    partitions[index] = partition
    return partition
  }

  async #applyStopReplica(request: RequestOf<typeof StopReplica>): Promise<ResponseTo<typeof StopReplica>> {
    const errorCode = this.refusalOf(request)
    if (errorCode !== 0) return { errorCode, partitionErrors: [] }
    const partitionErrors = []
    for (const { topicName, partitionStates } of request.topicStates)
      for (const { partitionIndex, leaderEpoch, deletePartition } of partitionStates)
        partitionErrors.push({ topicName, partitionIndex, errorCode: await this.#stopReplica(topicName, partitionIndex, leaderEpoch, deletePartition) })
    return { errorCode: 0, partitionErrors }
  }
  async #stopReplica(topic: string, index: number, leaderEpoch: number, deletePartition: boolean): Promise<number> {
    const partition = this.find(topic, index)
    if (partition?.failure) return errors.kafkaStorageError.code
    // −2: the topic is being deleted, −1: the controller does not know; both are obeyed.
    if (partition && leaderEpoch >= 0 && leaderEpoch < partition.leaderEpoch) return errors.fencedLeaderEpoch.code
    if (partition) {
      await this.moves.cancel(partition)
      await this.#fetchers.unfollow(partition)
      partition.stop()
      this.#announce({ kind: 'resigned', topic, index, leaderEpoch: leaderEpoch >= 0 ? leaderEpoch : undefined })
    }
    if (!deletePartition) return 0
    const partitions = this.#topics.get(topic)
    if (partitions) {
      partitions[index] = undefined
      if (partitions.every((other) => other === undefined)) this.#topics.delete(topic)
    }
    if (!this.#options.logs.get(topic, index) && !this.#options.logs.future(topic, index)) return 0
    try {
      await this.#options.logs.delete(topic, index)
    } catch (error) {
      this.#options.host.logger.named('kafka.replication').error('partition not deleted', { partition: `${topic}-${index}`, error })
      return errors.kafkaStorageError.code
    }
    return 0
  }
}
