/** The controller of a cluster: elected through ZooKeeper, one event after the other (reference §2). See README.md. */
import type { Host, Logger, Timer } from '../../host/host.ts'
import type { BrokerSettings } from '../config/broker-settings.ts'
import { interBrokerProtocol } from '../config/protocol-version.ts'
import { ControllerMovedError, ControllerZooKeeper } from '../metadata/controller-zookeeper.ts'
import { sameEndpoints } from '../metadata/broker-znode.ts'
import { randomUuid, type KafkaZooKeeper, type LiveBroker, type Office } from '../metadata/kafka-zookeeper.ts'
import { noLeader } from '../metadata/partition-state-znode.ts'
import { isReassigning } from '../metadata/topic-znode.ts'
import { ZnodeError } from '../metadata/znode-json.ts'
import { paths } from '../metadata/znode-paths.ts'
import { uuidZero } from '../../wire/schema.ts'
import type { RequestOf, ResponseOf, ResponseTo } from '../protocol/api.ts'
import type { AllocateProducerIds } from '../protocol/allocate-producer-ids.ts'
import type { AlterPartition } from '../protocol/alter-partition.ts'
import type { ControlledShutdown } from '../protocol/controlled-shutdown.ts'
import { errorByCode, errors } from '../protocol/errors.ts'
import { alterPartition } from './alter-partition.ts'
import { BrokerQueues, type BrokerAnswer, type BrokerChannels } from './broker-channels.ts'
import { ControllerContext, type PartitionContext } from './controller-context.ts'
import { readState, rewriteStates, type ControllerWork, type ToldState } from './controller-work.ts'
import { EventQueue } from './event-queue.ts'
import { bringOnline, initialPhases, takeBack, toOnline, toPhase } from './partition-phases.ts'
import { initialReplicaPhases, replicasOf, toReplicaPhase, type Replica } from './replica-phases.ts'
import { Reassignments, type Reassignment, type ReassignmentResult, type ReassignmentWish } from './reassignments.ts'
import { RequestBatch } from './request-batch.ts'
import { TopicDeletion } from './topic-deletion.ts'

export interface ControllerOptions {
  readonly brokerId: number
  readonly zookeeper: KafkaZooKeeper
  readonly channels: BrokerChannels
  /** Read when they are needed: some may change while the broker runs. */
  readonly settings: Pick<BrokerSettings, 'values'>
  /** Name of the listener brokers reach each other on. */
  readonly interBrokerListener: string
  /** The highest epoch of a controller that this broker has obeyed; 0 before the first. */
  readonly epochObeyed: () => number
  /** Asked when a controllership begins, and for partitions without a state. */
  readonly toldBefore: (topic: string, topicId: string, index: number) => ToldState | undefined
}
export interface ElectionResult {
  readonly topic: string
  readonly partition: number
  readonly errorCode: number
  readonly message: string | null
  /** Who leads from now on; −1 where nobody was elected. */
  readonly leader: number
}

const firstRebalanceMs = 5_000
const stopWaitMs = 2_000
/** After a controllership that could not begin. */
const electionRetryMs = 1_000

/** What exists only while this broker is controller. */
interface Term {
  readonly work: ControllerWork
  readonly deletion: TopicDeletion
  readonly reassignments: Reassignments
  rebalance: Timer | undefined
}

export class Controller {
  readonly #host: Host
  readonly #log: Logger
  readonly #options: ControllerOptions
  readonly #writes: ControllerZooKeeper
  readonly #context = new ControllerContext()
  readonly #queues: BrokerQueues
  readonly #events: EventQueue
  readonly #deletionWaiters = new Set<() => void>()
  #term: Term | undefined
  #featureEpoch = -1
  #retry: Timer | undefined
  #stopped = false

  constructor(host: Host, options: ControllerOptions) {
    this.#host = host
    this.#log = host.logger.named('kafka.controller')
    this.#options = options
    this.#writes = new ControllerZooKeeper(options.zookeeper)
    this.#queues = new BrokerQueues(host, options.channels, (answer) => this.#answered(answer))
    this.#events = new EventQueue((error) => this.#failed(error))
    options.zookeeper.sessions.follow({
      // At once, not in turn: the event that runs may itself wait for the new session.
      expired: () => this.#resign('the session with ZooKeeper has expired'),
      renewed: () => this.#lookAtOffice(),
    })
  }

  get isActive(): boolean {
    return this.#term !== undefined
  }
  /** −1 while this broker is not the controller. */
  get epoch(): number {
    return this.#term?.work.epoch ?? -1
  }

  /** Version of the znode `/feature` when this broker last read or wrote it; −1 when there is none. */
  get featureEpoch(): number {
    return this.#featureEpoch
  }

  /** Resolves when it is known who is controller, and, if it is this broker, when all is set up and on its way to the brokers. */
  async start(): Promise<void> {
    await this.#events.ask(() => this.#controllerChanged())
  }
  /** Waits for the event that runs, but not for a ZooKeeper that is not there. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#retry?.cancel()
    this.#resign('the broker stops')
    await new Promise<void>((done) => {
      const timer = this.#host.timers.set(stopWaitMs, done)
      void this.#events.idle().then(() => {
        timer.cancel()
        done()
      })
    })
  }

  // — questions of brokers and admins —

  async controlledShutdown(request: RequestOf<typeof ControlledShutdown>): Promise<ResponseTo<typeof ControlledShutdown>> {
    return this.#ask(() => this.#controlledShutdown(request), { errorCode: errors.staleControllerEpoch.code, remainingPartitions: [] })
  }
  async alterPartition(request: RequestOf<typeof AlterPartition>, version: number): Promise<ResponseTo<typeof AlterPartition>> {
    return this.#ask(async (term) => {
      const { answer, accepted, conflicts } = await alterPartition(term.work, request, version)
      if (conflicts.length > 0) this.#later(term, () => rewriteStates(term.work, conflicts))
      // After the answer, as Apache's: whoever has asked knows its ISR before it hears of the new assignment.
      if (accepted.some(({ assignment }) => isReassigning(assignment))) this.#later(term, () => term.reassignments.completeReady(accepted))
      return answer
    }, { throttleTimeMs: 0, errorCode: errors.notController.code, topics: [] })
  }
  /** In the controllership that has it on its mind, and each by itself: the next has other partitions. */
  #later(term: Term, event: () => Promise<void>): void {
    this.#events.put(async () => {
      if (this.#term === term) await event()
    })
  }
  /** Moves partitions to other brokers, or takes that back. Undefined when this broker is not the controller. */
  async alterPartitionReassignments(wishes: readonly ReassignmentWish[]): Promise<ReassignmentResult[] | undefined> {
    return this.#ask(({ reassignments }) => reassignments.ask(wishes), undefined)
  }
  /** What is being moved, of the partitions asked for or all. Undefined when this broker is not the controller. */
  async partitionReassignments(asked: readonly { topic: string; partition: number }[] | undefined): Promise<Reassignment[] | undefined> {
    return this.#ask(async ({ reassignments }) => reassignments.list(asked), undefined)
  }
  /** A block of producer ids for a broker. Rejects when this broker is not the controller or does not know that life of the broker. */
  async allocateProducerIds(brokerId: number, brokerEpoch: bigint): Promise<{ start: number; length: number }> {
    const { errorCode, producerIdStart, producerIdLen } = await this.answerAllocateProducerIds({ brokerId, brokerEpoch })
    if (errorCode !== 0) throw new Error(`the controller gives broker ${brokerId} no producer ids (${errorByCode(errorCode).name})`)
    return { start: producerIdStart, length: producerIdLen }
  }
  /** AllocateProducerIds (reference §2.9). */
  async answerAllocateProducerIds({ brokerId, brokerEpoch }: RequestOf<typeof AllocateProducerIds>): Promise<ResponseOf<typeof AllocateProducerIds>> {
    const refusal = (errorCode: number) => ({ throttleTimeMs: 0, errorCode, producerIdStart: 0, producerIdLen: 0 })
    return this.#ask(async () => {
      const broker = this.#context.brokers.get(brokerId)
      if (!broker) return refusal(errors.brokerIdNotRegistered.code)
      if (broker.epoch !== brokerEpoch) return refusal(errors.staleBrokerEpoch.code)
      const { start, length } = await this.#options.zookeeper.takeProducerIds(brokerId)
      return { throttleTimeMs: 0, errorCode: 0, producerIdStart: start, producerIdLen: length }
    }, refusal(errors.notController.code))
  }
  /** Undefined when this broker is not the controller. Without `partitions`: all. */
  async electLeaders(kind: 'preferred' | 'unclean', partitions: readonly { topic: string; partition: number }[] | undefined): Promise<ElectionResult[] | undefined> {
    return this.#ask(({ work }) => this.#electLeaders(work, kind, partitions), undefined)
  }
  /** A topic (or, without one, the default) allows unclean elections from now on. */
  uncleanElectionEnabled(topic: string | undefined): void {
    this.#events.put(async () => {
      if (this.#term) await bringOnline(this.#term.work, topic === undefined ? undefined : new Set([topic]))
    })
  }
  /** Of a topic: whether it is on its way out. */
  isDeleting(topic: string): boolean {
    return this.#context.isDeleting(topic)
  }
  isReassigning(topic: string): boolean {
    return this.#context.isReassigningTopic(topic)
  }
  /** Resolves when the last trace of the topics is gone from ZooKeeper, or after `timeoutMs`: their names are free then. */
  async whenDeleted(topics: readonly string[], timeoutMs: number): Promise<void> {
    if (!topics.some((topic) => this.isDeleting(topic))) return
    await new Promise<void>((done) => {
      const look = (): void => {
        if (!topics.some((topic) => this.isDeleting(topic))) settle()
      }
      const settle = (): void => {
        timer.cancel()
        this.#deletionWaiters.delete(look)
        done()
      }
      const timer = this.#host.timers.set(timeoutMs, settle)
      this.#deletionWaiters.add(look)
    })
  }
  #deleted(topic: string): void {
    this.#log.info('topic deleted', { topic })
    for (const look of this.#deletionWaiters) look()
  }

  #ask<T>(answer: (term: Term) => Promise<T>, notController: T): Promise<T> {
    if (!this.#term) return Promise.resolve(notController)
    return this.#events.ask(async () => {
      if (!this.#term) return notController
      try {
        return await answer(this.#term)
      } catch (error) {
        if (!(error instanceof ControllerMovedError)) throw error
        this.#failed(error)
        return notController
      }
    })
  }

  // — the office —

  #lookAtOffice(): void {
    this.#events.putOnce('controller', async () => {
      if (this.#stopped || this.#retry) return
      try {
        await this.#controllerChanged()
      } catch (error) {
        this.#failed(error)
        if (error instanceof ControllerMovedError || this.#stopped) return
        this.#retry = this.#host.timers.set(electionRetryMs, () => {
          this.#retry = undefined
          this.#lookAtOffice()
        })
      }
    })
  }
  async #controllerChanged(): Promise<void> {
    if (this.#stopped) return
    const { zookeeper, brokerId } = this.#options
    // The watch first: a change after it makes this run again.
    await zookeeper.watchController(() => this.#lookAtOffice())
    const office = await zookeeper.office()
    if (office && (await this.#isHeld(office))) return
    if (this.#term) this.#resign('/controller is gone')
    const election = await this.#writes.elect(brokerId, { nowMs: this.#host.clock.now(), obeyed: this.#options.epochObeyed() })
    if ('controllerId' in election) {
      this.#featureEpoch = await this.#writes.featureEpoch()
      this.#log.info('another broker is controller', { controller: election.controllerId })
      return
    }
    if (this.#stopped) return
    if (election.mended) this.#log.error('the epoch of the last controller could not be read and was concluded from the partitions: /controller_epoch is written anew', { error: election.mended, epoch: election.epoch })
    this.#log.info('elected controller', { epoch: election.epoch })
    try {
      await this.#begin(election.epoch)
    } catch (error) {
      // An office held without doing its work helps nobody: another broker may fare better.
      if (!(error instanceof ControllerMovedError)) await this.#writes.leaveOffice().catch(() => undefined)
      this.#resign('the controllership could not begin')
      throw error
    }
  }

  /** Whether somebody governs by what stands in /controller. The session that holds it decides, not what somebody may have written into it. */
  async #isHeld(office: Office): Promise<boolean> {
    const { node, isOwn, isPersistent, version } = office
    const { brokerId } = this.#options
    const isDamaged = node instanceof ZnodeError
    if (isOwn && this.#term) {
      if (isDamaged || node.brokerId !== brokerId) {
        this.#log.error('/controller was changed by somebody else than the controller: it is written anew', { found: isDamaged ? node.message : `broker ${node.brokerId}`, controller: brokerId })
        await this.#writes.restoreOffice(brokerId, { nowMs: this.#host.clock.now(), version })
      }
      return true
    }
    // This broker's, who does not govern: its epoch was taken away. Nobody's: a session makes it, or a controller of KRaft, who says so.
    const isVacant = isOwn || (isPersistent && (isDamaged || node.kraftControllerEpoch <= 0))
    if (isVacant && (await this.#writes.clearOffice(office))) {
      this.#log.error('/controller was held by nobody who governs: it is deleted, and the brokers elect', { found: isDamaged ? node.message : `broker ${node.brokerId}` })
      return false
    }
    if (this.#term) this.#resign(isDamaged ? 'somebody else holds /controller' : `broker ${node.brokerId} is controller`)
    if (isDamaged) this.#log.error('/controller cannot be read. Whoever holds it goes on; delete it, and the brokers elect a controller', { error: node })
    this.#featureEpoch = await this.#writes.featureEpoch()
    return true
  }

  #resign(reason: string): void {
    if (!this.#term) return
    this.#log.info('no longer controller', { reason })
    this.#term.rebalance?.cancel()
    this.#term.work.batch.clear()
    this.#term = undefined
    this.#writes.resign()
    this.#queues.clear()
    this.#context.clear()
  }
  #failed(error: unknown): void {
    if (this.#stopped) return
    if (error instanceof ControllerMovedError) {
      this.#resign('another broker was elected')
      this.#lookAtOffice()
      return
    }
    this.#log.error('an event of the controller failed', { error })
  }

  /** Reads the cluster, tells the brokers who lives, then which replica is what (reference §2.1). */
  async #begin(epoch: number): Promise<void> {
    const { brokerId, settings, interBrokerListener } = this.#options
    const context = this.#context
    const startedAt = this.#host.clock.monotonic()
    // A controllership that ended in the middle of an event may have left something behind.
    context.clear()
    this.#queues.clear()
    const batch = new RequestBatch(context, interBrokerListener)
    const protocol = interBrokerProtocol(settings.values['inter.broker.protocol.version'])
    const work: ControllerWork = {
      log: this.#log,
      context,
      zookeeper: this.#options.zookeeper,
      writes: this.#writes,
      batch,
      epoch,
      leaderRecovery: protocol.leaderRecovery,
      uncleanElectionByDefault: () => settings.values['unclean.leader.election.enable'],
      toldBefore: ({ topic, index }) => {
        const topicId = context.topics.get(topic)?.topicId
        return topicId === undefined ? undefined : this.#options.toldBefore(topic, topicId, index)
      },
      flush: () => {
        const requests = batch.take(brokerId, epoch)
        if (this.#term?.work === work) this.#queues.push(requests)
      },
    }
    const deletion = new TopicDeletion(work, settings.values['delete.topic.enable'], (topic) => this.#deleted(topic))
    const term: Term = { work, deletion, reassignments: new Reassignments(work, deletion, () => this.#reassignmentsAsked()), rebalance: undefined }
    this.#term = term
    this.#featureEpoch = await this.#writes.makeFeatureNode(protocol.featureZnode)
    await this.#dropOldNotifications()
    await this.#readBrokers()
    await this.#readTopics()
    const setBack = takeBack(work, context.partitions())
    const doomed = await this.#watchDeletions()
    if (this.#term !== term) return
    for (const id of context.brokers.keys()) this.#queues.add(id)
    for (const topic of doomed) if (context.topics.has(topic) && settings.values['delete.topic.enable']) context.topicsToDelete.add(topic)
    batch.updateMetadata(context.liveOrShuttingDownIds(), [])
    work.flush()
    const restarted = context.restartedUnseen(brokerId, (partition) => work.toldBefore(partition) !== undefined)
    for (const { brokerId, partition } of restarted) context.setReplicaFailed(brokerId, partition, true)
    if (restarted.length > 0) this.#log.info('brokers have been restarted while nobody governed: their replicas leave the ISRs until they have caught up', { brokers: [...new Set(restarted.map(({ brokerId }) => brokerId))], replicas: restarted.length })
    const readMs = this.#host.clock.monotonic() - startedAt
    const { online, offline } = initialReplicaPhases(context)
    initialPhases(context)
    for (const partition of setBack) partition.phase = 'offline'
    // Leaders first: nobody is served before, and an election takes those who are gone out of the ISR with the same write. Brokers hear of the outcome, once.
    await toReplicaPhase({ ...work, flush: () => {} }, online, 'online')
    await bringOnline(work)
    const electedMs = this.#host.clock.monotonic() - startedAt
    await toReplicaPhase(work, offline, 'offline')
    for (const { brokerId, partition } of restarted) context.setReplicaFailed(brokerId, partition, false)
    await toReplicaPhase(work, restarted, 'online')
    await term.reassignments.resume()
    await term.reassignments.readZnode()
    for (const topic of doomed) if (context.isDeleting(topic) && offline.some(({ partition }) => partition.topic === topic)) context.deletionIneligible.add(topic)
    await term.deletion.queue(doomed)
    await this.#preferredElectionAsked()
    this.#log.info('controls the cluster', { epoch, brokers: context.liveOrShuttingDownIds(), topics: context.topics.size, readMs: Math.round(readMs), electedMs: Math.round(electedMs), tookMs: Math.round(this.#host.clock.monotonic() - startedAt) })
    if (settings.values['auto.leader.rebalance.enable']) this.#scheduleRebalance(term, firstRebalanceMs)
  }
  readonly #damaged = (error: ZnodeError): void => this.#log.error('a notification is left out and deleted: it cannot be read', { error })
  async #dropOldNotifications(): Promise<void> {
    const [isr, logDirs] = await Promise.all([this.#writes.isrChanges(() => this.#isrChanged(), this.#damaged), this.#writes.logDirEvents(() => this.#logDirFailed(), this.#damaged)])
    await this.#writes.deleteChildren(paths.isrChanges, isr.names)
    await this.#writes.deleteChildren(paths.logDirEvents, logDirs.names)
  }
  async #readBrokers(): Promise<void> {
    const { zookeeper } = this.#options
    const ids = await zookeeper.brokerIds(() => this.#brokersChanged())
    for (const broker of await zookeeper.each(ids, (id) => zookeeper.broker(id, () => this.#brokerChanged(id)))) if (broker) this.#context.brokers.set(broker.registration.id, broker)
  }
  async #readTopics(): Promise<void> {
    await this.#addTopics(await this.#options.zookeeper.topicNames(() => this.#topicsChanged()))
  }
  /** Reads topics with their partitions' states into the context. */
  async #addTopics(names: readonly string[]): Promise<PartitionContext[]> {
    const { zookeeper } = this.#options
    const added: PartitionContext[] = []
    const found = await zookeeper.each(names, async (name) => ({ name, assignment: await this.#readable(name, () => zookeeper.topic(name, () => this.#topicChanged(name))) }))
    for (const { name, assignment } of found) {
      if (!assignment) continue
      const withId = assignment.topicId === undefined ? { ...assignment, topicId: randomUuid(this.#host) } : assignment
      if (withId !== assignment) await this.#writes.setTopic(name, withId)
      added.push(...this.#context.addTopic(name, withId).partitions.values())
    }
    const states = await zookeeper.each(added, async ({ topic, index }) => {
      try {
        return await zookeeper.writtenState(topic, index)
      } catch (error) {
        if (!(error instanceof ZnodeError)) throw error
        // Read again to hear of its repair; that may have come in between.
        return this.#readable(topic, () => zookeeper.writtenState(topic, index, () => this.#topicsChanged()), 'unreadable' as const)
      }
    })
    const unreadable = new Set<string>()
    for (const [index, partition] of added.entries()) {
      const found = states[index]
      if (found === 'unreadable') unreadable.add(partition.topic)
      else [partition.state, partition.foundZxid] = [found?.state, found?.zxid]
    }
    for (const topic of unreadable) this.#context.removeTopic(topic)
    return added.filter(({ topic }) => !unreadable.has(topic))
  }
  /** What somebody has damaged is left alone and named; the other topics are served all the same. */
  async #readable<T, I = undefined>(topic: string, read: () => Promise<T>, instead?: I): Promise<T | I> {
    try {
      return await read()
    } catch (error) {
      if (!(error instanceof ZnodeError)) throw error
      this.#log.error('a znode of a topic cannot be read: the topic goes on as it was known, or is not served until the node is repaired or the topic deleted', { topic, error })
      return instead as I
    }
  }
  #watchDeletions(): Promise<string[]> {
    return this.#writes.topicsToDelete(() => this.#deletionsAsked())
  }

  // — events —

  /** Runs `event` in its turn, if this is still the same controllership by then. */
  #when(key: string, event: (term: Term) => Promise<void>): void {
    this.#events.putOnce(key, async () => {
      if (this.#term) await event(this.#term)
    })
  }

  #brokersChanged(): void {
    this.#when('brokers', async ({ work }) => {
      const context = this.#context
      const before = new Map(context.brokers)
      const { zookeeper } = this.#options
      const ids = await zookeeper.brokerIds(() => this.#brokersChanged())
      const live = new Map<number, LiveBroker>()
      for (const broker of await zookeeper.each(ids, (id) => zookeeper.broker(id, before.has(id) ? undefined : () => this.#brokerChanged(id)))) if (broker) live.set(broker.registration.id, broker)
      const dead = [...before.keys()].filter((id) => !live.has(id))
      const bounced = [...live.values()].filter(({ registration, epoch }) => (before.get(registration.id)?.epoch ?? epoch) < epoch)
      const fresh = [...live.values()].filter(({ registration }) => !before.has(registration.id))
      this.#log.info('brokers changed', { live: [...live.keys()], started: fresh.map(({ registration }) => registration.id), gone: dead, bounced: bounced.map(({ registration }) => registration.id) })
      const gone = [...dead, ...bounced.map(({ registration }) => registration.id)]
      if (gone.length > 0) await this.#brokersFailed(work, gone)
      const started = [...fresh, ...bounced]
      if (started.length > 0) await this.#brokersStarted(started)
    })
  }
  async #brokersFailed(work: ControllerWork, ids: readonly number[]): Promise<void> {
    const context = this.#context
    const startedAt = this.#host.clock.monotonic()
    for (const id of ids) {
      context.brokers.delete(id)
      context.shuttingDown.delete(id)
      context.forgetFailedReplicas(id)
      this.#queues.remove(id)
    }
    const replicas = ids.flatMap((brokerId) => context.partitionsOn(brokerId).map((partition) => ({ brokerId, partition })))
    await this.#replicasFailed(work, replicas)
    // Brokers without replicas are gone without any partition changing: say so all the same.
    work.batch.updateMetadata(context.liveOrShuttingDownIds(), [])
    work.flush()
    this.#log.info('partitions go on without brokers that are gone', { brokers: ids, replicas: replicas.length, tookMs: Math.round(this.#host.clock.monotonic() - startedAt) })
  }
  async #replicasFailed(work: ControllerWork, replicas: readonly Replica[]): Promise<void> {
    const context = this.#context
    const leaderless = new Set(replicas.filter(({ brokerId, partition }) => partition.state?.leader === brokerId && !context.isDeleting(partition.topic)).map(({ partition }) => partition))
    toPhase(work, leaderless, 'offline')
    await bringOnline(work)
    const isDoomed = ({ partition }: Replica): boolean => context.isDeleting(partition.topic)
    const doomed = replicas.filter(isDoomed)
    await toReplicaPhase(work, replicas.filter((replica) => !isDoomed(replica)), 'offline')
    if (doomed.length > 0) {
      await toReplicaPhase(work, doomed.filter(({ brokerId, partition }) => ['deletionStarted', 'offline'].includes(partition.replicas.get(brokerId) ?? '')), 'deletionIneligible')
      this.#term?.deletion.makeIneligible(new Set(doomed.map(({ partition }) => partition.topic)))
    }
  }
  async #brokersStarted(brokers: readonly LiveBroker[]): Promise<void> {
    const term = this.#term
    if (!term) return
    const { work } = term
    const context = this.#context
    const before = context.liveOrShuttingDownIds()
    const ids = brokers.map(({ registration }) => registration.id)
    for (const broker of brokers) {
      context.brokers.set(broker.registration.id, broker)
      context.shuttingDown.delete(broker.registration.id)
      context.forgetFailedReplicas(broker.registration.id)
      this.#queues.add(broker.registration.id)
    }
    work.batch.updateMetadata(before, [])
    work.flush()
    work.batch.updateMetadata(ids, context.partitions())
    work.flush()
    const replicas = ids.flatMap((brokerId) => context.partitionsOn(brokerId).map((partition) => ({ brokerId, partition })))
    await toReplicaPhase(work, replicas.filter(({ partition }) => !context.isDeleting(partition.topic)), 'online')
    await bringOnline(work)
    await term.reassignments.resume(ids)
    const waiting = new Set(replicas.map(({ partition }) => partition.topic).filter((topic) => context.isDeleting(topic)))
    if (waiting.size > 0) await term.deletion.makeEligible(waiting)
  }
  #brokerChanged(id: number): void {
    this.#when(`broker ${id}`, async ({ work }) => {
      const broker = await this.#options.zookeeper.broker(id, () => this.#brokerChanged(id))
      const known = this.#context.brokers.get(id)
      // One whose registration could not be read may have been repaired.
      if (broker && !known) return this.#brokersChanged()
      if (!broker || !known) return
      // A new epoch is a restart: the list of brokers tells of it.
      if (broker.epoch !== known.epoch || sameEndpoints(broker.registration, known.registration)) return
      this.#context.brokers.set(id, broker)
      work.batch.updateMetadata(this.#context.liveOrShuttingDownIds(), [])
      work.flush()
    })
  }

  #topicsChanged(): void {
    this.#when('topics', async ({ work }) => {
      const names = new Set(await this.#options.zookeeper.topicNames(() => this.#topicsChanged()))
      const vanished = [...this.#context.topics.keys()].filter((name) => !names.has(name) && !this.#context.isDeleting(name))
      for (const name of vanished) this.#context.removeTopic(name)
      if (vanished.length > 0)
        this.#log.error('topics were deleted from ZooKeeper by somebody else than the controller: brokers go on with them as they are, and find no other leader. Put the znodes back with the topic_id that partition.metadata in the log directories has; kafka-topics.sh deletes topics', {
          topics: fewOf(vanished), path: paths.topics,
        })
      const fresh = [...names].filter((name) => !this.#context.topics.has(name))
      const partitions = await this.#addTopics(fresh)
      if (fresh.length > 0) this.#log.info('topics created', { topics: fewOf(fresh) })
      await this.#partitionsCreated(work, partitions)
    })
  }
  #topicChanged(topic: string): void {
    this.#when(`topic ${topic}`, async ({ work }) => {
      const known = this.#context.topics.get(topic)
      const assignment = await this.#readable(topic, () => this.#options.zookeeper.topic(topic, () => this.#topicChanged(topic)))
      // One that could not be read before may have been repaired.
      if (assignment && !known) return this.#topicsChanged()
      if (!known || !assignment) return
      if (assignment.topicId !== known.topicId) {
        if (this.#context.withForeignId.delete(topic)) {
          this.#context.removeTopic(topic)
          return this.#topicsChanged()
        }
        this.#log.error('the id of a topic was changed by somebody else than the controller: brokers keep the one they know; put it back, or the next controller begins with a topic that they refuse', { topic, known: known.topicId, found: assignment.topicId })
      }
      const moved = [...known.partitions.values()].filter(({ index, assignment: { replicas } }) => assignment.partitions.has(index) && assignment.partitions.get(index)?.replicas.join() !== replicas.join())
      if (moved.length > 0 && assignment.topicId === known.topicId && !this.#context.isDeleting(topic)) {
        // Begun with what somebody had written, where nobody in sync is a replica: this is its repair.
        const isRepaired = moved.some(({ index, state, assignment: { replicas } }) => state?.isr.some((id) => !replicas.includes(id)) && state.isr.every((id) => assignment.partitions.get(index)?.replicas.includes(id)))
        if (isRepaired) {
          this.#context.removeTopic(topic)
          return this.#topicsChanged()
        }
        this.#log.error('the replicas of partitions were changed by somebody else than the controller: they stay where they are. Put back what stood there, and move partitions with kafka-reassign-partitions.sh', { topic, path: paths.topic(topic), partitions: moved.map(({ index }) => index) })
      }
      const added = [...assignment.partitions].filter(([index]) => !known.partitions.has(index))
      if (added.length === 0) return
      if (this.#context.isDeleting(topic)) {
        this.#log.warn('partitions were added to a topic that is being deleted; they are taken back', { topic })
        await this.#writes.setTopic(topic, { topicId: known.topicId, partitions: new Map([...known.partitions].map(([index, partition]) => [index, partition.assignment])) })
        return
      }
      const partitions = added.map(([index, replicas]) => this.#context.addPartition(known, index, replicas))
      this.#log.info('partitions created', { topic, partitions: partitions.map(({ index }) => index) })
      await this.#partitionsCreated(work, partitions)
    })
  }
  async #partitionsCreated(work: ControllerWork, partitions: readonly PartitionContext[]): Promise<void> {
    if (partitions.length === 0) return
    const withState = partitions.filter(({ state }) => state)
    const fresh = partitions.filter(({ state }) => !state)
    toPhase(work, partitions, 'new')
    await toReplicaPhase(work, replicasOf(fresh), 'new')
    await toOnline(work, fresh)
    await toReplicaPhase(work, replicasOf(fresh), 'online')
    // Nodes that somebody has put there with their states, as a restored backup, or repaired. Leaders that live have a new epoch, too: what they
    // asked while the topic was unknown has been refused, and they do not ask again in the old one.
    for (const partition of withState) {
      for (const id of partition.assignment.replicas) partition.replicas.set(id, this.#context.isReplicaOnline(id, partition) ? 'online' : 'offline')
      partition.phase = 'offline'
    }
    takeBack(work, withState)
    await toOnline(work, withState, 'known')
  }
  #deletionsAsked(): void {
    this.#when('deletions', async ({ deletion }) => deletion.queue(await this.#watchDeletions()))
  }

  #reassignmentsAsked(): void {
    this.#when('reassignments', ({ reassignments }) => reassignments.readZnode())
  }

  #isrChanged(): void {
    this.#when('isr changes', async ({ work, reassignments }) => {
      const { names, partitions } = await this.#writes.isrChanges(() => this.#isrChanged(), this.#damaged)
      const known = partitions.map(({ topic, partition }) => this.#context.partition(topic, partition)).filter((partition) => partition !== undefined)
      const states = await this.#options.zookeeper.each(known, ({ topic, index }) => readState(work, topic, index))
      for (const [index, partition] of known.entries()) partition.state = states[index] ?? partition.state
      work.batch.updateMetadata(this.#context.liveOrShuttingDownIds(), known)
      work.flush()
      await this.#writes.deleteChildren(paths.isrChanges, names)
      await reassignments.completeReady(known)
    })
  }
  #logDirFailed(): void {
    this.#when('log dirs', async ({ work }) => {
      const { names, brokerIds } = await this.#writes.logDirEvents(() => this.#logDirFailed(), this.#damaged)
      // The brokers' answers to LeaderAndIsr say which replicas are lost.
      for (const brokerId of new Set(brokerIds)) await toReplicaPhase(work, this.#context.partitionsOn(brokerId).map((partition) => ({ brokerId, partition })), 'online')
      await this.#writes.deleteChildren(paths.logDirEvents, names)
    })
  }
  async #preferredElectionAsked(): Promise<void> {
    const again = (): void => this.#when('preferred election', () => this.#preferredElectionAsked())
    const partitions = await this.#writes.preferredElection(again, this.#damaged)
    if (!partitions || !this.#term) return
    await this.#electLeaders(this.#term.work, 'preferred', partitions)
    await this.#writes.deletePreferredElection()
    await this.#writes.preferredElection(again, this.#damaged)
  }

  #answered(answer: BrokerAnswer): void {
    this.#events.put(async () => {
      if (!this.#term) return
      if (answer.kind === 'leaderAndIsr') await this.#leaderAndIsrAnswered(this.#term.work, answer)
      else await this.#stopReplicaAnswered(this.#term, answer)
    })
  }
  async #leaderAndIsrAnswered(work: ControllerWork, { brokerId, response, request }: BrokerAnswer & { kind: 'leaderAndIsr' }): Promise<void> {
    if (response.errorCode !== 0) {
      this.#log.warn('a broker refused LeaderAndIsr', { broker: brokerId, errorCode: response.errorCode })
      return
    }
    const nameOf = new Map((request.topicStates ?? []).map(({ topicName, topicId }) => [topicId ?? uuidZero, topicName]))
    const failed: Replica[] = []
    const back: Replica[] = []
    for (const { topicId, partitionErrors } of response.topics ?? [])
      for (const { partitionIndex, errorCode } of partitionErrors) {
        const partition = this.#context.partition(nameOf.get(topicId) ?? '', partitionIndex)
        if (!partition) continue
        if (errorCode === errors.inconsistentTopicId.code && !this.#context.withForeignId.has(partition.topic)) {
          this.#context.withForeignId.add(partition.topic)
          this.#log.error('a broker holds the log of a topic under another id: if somebody has changed the id in the znode, put back what partition.metadata in the log directories has', { topic: partition.topic, broker: brokerId, path: paths.topic(partition.topic), topicId })
        }
        if (errorCode === errors.kafkaStorageError.code) {
          if (this.#context.setReplicaFailed(brokerId, partition, true)) failed.push({ brokerId, partition })
        } else if (errorCode === 0 && this.#context.setReplicaFailed(brokerId, partition, false)) back.push({ brokerId, partition })
      }
    if (failed.length > 0) {
      this.#log.warn('replicas are offline', { broker: brokerId, partitions: failed.map(({ partition }) => `${partition.topic}-${partition.index}`) })
      await this.#replicasFailed(work, failed)
    }
    if (back.length > 0) {
      await toReplicaPhase(work, back.filter(({ partition }) => !this.#context.isDeleting(partition.topic)), 'online')
      await bringOnline(work)
    }
  }
  async #stopReplicaAnswered({ deletion }: Term, { brokerId, response, request }: BrokerAnswer & { kind: 'stopReplica' }): Promise<void> {
    const errorOf = new Map(response.partitionErrors.map(({ topicName, partitionIndex, errorCode }) => [`${topicName}-${partitionIndex}`, errorCode]))
    const succeeded: Replica[] = []
    const failed: Replica[] = []
    for (const { topicName, partitionStates } of request.topicStates ?? [])
      for (const { partitionIndex, deletePartition } of partitionStates) {
        const partition = this.#context.partition(topicName, partitionIndex)
        if (!deletePartition || !partition) continue
        const errorCode = response.errorCode || (errorOf.get(`${topicName}-${partitionIndex}`) ?? 0)
        ;(errorCode === 0 ? succeeded : failed).push({ brokerId, partition })
      }
    if (succeeded.length > 0) await deletion.succeeded(succeeded)
    if (failed.length > 0) await deletion.failed(failed)
  }

  // — answers —

  /** Moves away what others can lead; what stays with one replica is not counted (reference §2.7). */
  async #controlledShutdown({ brokerId, brokerEpoch }: RequestOf<typeof ControlledShutdown>): Promise<ResponseTo<typeof ControlledShutdown>> {
    const context = this.#context
    const known = context.brokers.get(brokerId)
    if (!known) return { errorCode: errors.brokerNotAvailable.code, remainingPartitions: [] }
    if (brokerEpoch >= 0n && brokerEpoch < known.epoch) return { errorCode: errors.staleBrokerEpoch.code, remainingPartitions: [] }
    const term = this.#term
    if (!term) return { errorCode: errors.staleControllerEpoch.code, remainingPartitions: [] }
    context.shuttingDown.add(brokerId)
    this.#log.info('a broker shuts down', { broker: brokerId })
    const movable = (): PartitionContext[] => context.partitionsOn(brokerId).filter(({ assignment, state, topic }) => assignment.replicas.length > 1 && state !== undefined && !context.isDeleting(topic))
    const led = movable().filter(({ state }) => state?.leader === brokerId)
    await toOnline(term.work, led, 'controlledShutdown')
    const followed = movable().filter(({ state }) => state?.leader !== brokerId)
    await toReplicaPhase(term.work, followed.map((partition) => ({ brokerId, partition })), 'offline')
    const remaining = movable().filter(({ state }) => state?.leader === brokerId)
    return { errorCode: 0, remainingPartitions: remaining.map(({ topic, index }) => ({ topicName: topic, partitionIndex: index })) }
  }

  async #electLeaders(work: ControllerWork, kind: 'preferred' | 'unclean', asked: readonly { topic: string; partition: number }[] | undefined): Promise<ElectionResult[]> {
    const context = this.#context
    const results: ElectionResult[] = []
    const say = (topic: string, partition: number, error: { code: number }, message: string | null, leader = noLeader): void => void results.push({ topic, partition, errorCode: error.code, message, leader })
    const eligible: PartitionContext[] = []
    // Of all partitions those of a topic that is being deleted, and that waits for a broker, are none: nobody sees them any more.
    const wanted = asked ?? [...context.partitions()].filter(({ topic }) => !context.isDeleting(topic)).map(({ topic, index }) => ({ topic, partition: index }))
    for (const { topic, partition: index } of wanted) {
      const partition = context.partition(topic, index)
      if (!partition) say(topic, index, errors.unknownTopicOrPartition, 'The partition does not exist.')
      else if (context.isDeleting(topic)) say(topic, index, errors.invalidTopicException, 'The topic is being deleted')
      else if (this.#needsElection(partition, kind)) eligible.push(partition)
      else if (asked) say(topic, index, errors.electionNotNeeded, 'Leader election not needed for topic partition.')
    }
    const { elected, failed } = await toOnline(work, eligible, kind === 'preferred' ? 'preferred' : 'offline', kind === 'unclean')
    for (const { topic, index, state } of elected) say(topic, index, errors.none, null, state?.leader)
    const none = kind === 'preferred' ? errors.preferredLeaderNotAvailable : errors.eligibleLeadersNotAvailable
    for (const { topic, index, state, assignment } of failed)
      say(topic, index, none, `Failed to elect leader for partition ${topic}-${index}: replicas are ${assignment.replicas.join(',')}, in sync ${state?.isr.join(',') ?? 'none'}, live brokers ${context.liveBrokerIds().join(',')}`)
    return results
  }
  #needsElection(partition: PartitionContext, kind: 'preferred' | 'unclean'): boolean {
    const leader = partition.state?.leader ?? noLeader
    if (kind === 'preferred') return leader !== partition.assignment.replicas[0]
    return leader === noLeader || !this.#context.isLive(leader)
  }

  // — balance —

  #scheduleRebalance(term: Term, afterMs: number): void {
    term.rebalance = this.#host.timers.set(afterMs, () => {
      this.#when('rebalance', async (now) => {
        if (now !== term) return
        try {
          await this.#rebalance(term.work)
        } finally {
          if (this.#term === term) this.#scheduleRebalance(term, this.#options.settings.values['leader.imbalance.check.interval.seconds'] * 1_000)
        }
      })
    })
  }
  /** Brings leaderships back to preferred replicas where too many have left them. */
  async #rebalance(work: ControllerWork): Promise<void> {
    const context = this.#context
    const byPreferred = new Map<number, PartitionContext[]>()
    for (const partition of context.partitions()) {
      if (context.isDeleting(partition.topic)) continue
      const preferred = partition.assignment.replicas[0]
      const list = byPreferred.get(preferred)
      if (list) list.push(partition)
      else byPreferred.set(preferred, [partition])
    }
    for (const [brokerId, partitions] of byPreferred) {
      const away = partitions.filter(({ state }) => state && state.leader !== brokerId)
      if ((away.length / partitions.length) * 100 <= this.#options.settings.values['leader.imbalance.per.broker.percentage']) continue
      const movable = away.filter((partition) => context.isReplicaOnline(brokerId, partition) && partition.state?.isr.includes(brokerId))
      if (movable.length > 0) await toOnline(work, movable, 'preferred')
    }
  }
}
/** For the log: the names, or of many how many there are. */
const fewOf = (names: readonly string[]): readonly string[] | number => (names.length > 20 ? names.length : names)
