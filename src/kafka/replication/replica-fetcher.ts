/**
 * Copies partitions from one leader: one connection, one Fetch after the other (reference §3.3). The machines of the partitions decide; this
 * does. Partitions that come while a Fetch waits for records are asked for beside it, on a connection of their own, until it is answered.
 */
import type { Host, Logger, Timer } from '../../host/host.ts'
import { Seldom } from '../../host/logger.ts'
import { uuidZero } from '../../wire/schema.ts'
import { interBrokerProtocol, type InterBrokerProtocol } from '../config/protocol-version.ts'
import { KafkaConnection } from '../client/connection.ts'
import type { ResponseOf } from '../protocol/api.ts'
import { errorByCode } from '../protocol/errors.ts'
import { Fetch } from '../protocol/fetch.ts'
import { ListOffsets } from '../protocol/list-offsets.ts'
import { FetchSessionClient, wishKeys, type SessionWish } from './fetch-session-client.ts'
import type { Partition } from './partition.ts'
import type { FollowerOutput, PartitionFollower } from './partition-follower.ts'
import type { ReplicationQuota } from './replication-quota.ts'

export interface FetcherSettings {
  readonly 'inter.broker.protocol.version': string
  readonly 'replica.fetch.max.bytes': number
  readonly 'replica.fetch.response.max.bytes': number
  readonly 'replica.fetch.wait.max.ms': number
  readonly 'replica.fetch.min.bytes': number
  readonly 'replica.fetch.backoff.ms': number
  readonly 'replica.socket.timeout.ms': number
}
export interface FetcherOptions {
  readonly brokerId: number
  readonly brokerEpoch: () => bigint
  readonly leaderId: number
  /** `broker-<id>-fetcher-<n>` */
  readonly clientId: string
  readonly settings: FetcherSettings
  /** Where the leader listens for brokers; undefined while it is not known to live. */
  readonly endpointOf: (brokerId: number) => { host: string; port: number } | undefined
  readonly quota: ReplicationQuota
}
type FetchedPartition = ResponseOf<typeof Fetch>['responses'][number]['partitions'][number]

interface Following {
  readonly partition: Partition
  readonly follower: PartitionFollower
  /** It had all that was committed when it was last told: no throttle holds it back then. */
  level: boolean
  /** What is being done with the last answer. */
  busy: Promise<void> | undefined
  /** Part of a request, or about to be, beside the main one. */
  isBeside: boolean
  /** As it was asked for last. */
  wish: Wish | undefined
  /** Since when every answer was an error, monotonic ms. */
  failingSince: number | undefined
}
interface Wish extends SessionWish {
  readonly following: Following
}
/** The wish of now: the same object as long as nothing has changed, which is so for most of many partitions. */
function wishOf(following: Following, knowsIds: boolean): Wish {
  const { partition, follower, wish: last } = following
  const { logEndOffset, logStartOffset, latestEpoch } = partition.log
  const topicId = (knowsIds && partition.topicId) || uuidZero
  if (last && last.fetchOffset === logEndOffset && last.logStartOffset === logStartOffset && last.lastFetchedEpoch === latestEpoch && last.topicId === topicId) return last
  const { currentLeaderEpoch, fetchOffset, lastFetchedEpoch, logStartOffset: from } = follower.wish
  const { topic, index } = partition
  const keys = last?.topicId === topicId ? last.keys : wishKeys(topic, topicId, index)
  return (following.wish = { topic, topicId, partition: index, currentLeaderEpoch, fetchOffset, lastFetchedEpoch, logStartOffset: from, keys, following })
}
/** One request at a time. */
interface Lane {
  readonly session: FetchSessionClient<Wish>
  connection: KafkaConnection | undefined
  isAsking: boolean
  /** How often its connection was closed from here: what was asked for before is not waited for. */
  closings: number
  wake: (() => void) | undefined
  /** Partitions of the answer being worked on that wait for the controller now: told of together, as a failover concerns all. */
  readonly waiting: { name: string; errorCode: number }[]
}
const newLane = (session: FetchSessionClient<Wish>): Lane => ({ session, connection: undefined, isAsking: false, closings: 0, wake: undefined, waiting: [] })
/** So many are named in a line of the log. */
const namedMax = 5
/** Partitions come in bursts, one by one: those of so many milliseconds are asked for together. */
const besideDelayMs = 5
/** Topics without ids are asked for by name, and so are all where inter.broker.protocol.version knows no ids in Fetch. */
const fetchByName = 12
/** A leader that has not heard yet that it leads refuses for a moment: only what lasts longer is said. */
const refusedForMs = 10_000
const timestamps = { latest: -1n, earliest: -2n } as const

export class ReplicaFetcher {
  readonly #host: Host
  readonly #log: Logger
  readonly #options: FetcherOptions
  readonly #protocol: InterBrokerProtocol
  readonly #followings = new Map<Partition, Following>()
  readonly #main = newLane(new FetchSessionClient<Wish>())
  readonly #beside = newLane(new FetchSessionClient<Wish>({ isSingle: true }))
  #besideTimer: Timer | undefined
  #besideRun: Promise<void> | undefined
  #besideEnds = false
  #hasBeside = false
  #running = false
  #stopped = false
  #complained = false
  /** Of partitions, by name. */
  readonly #troubles: Seldom

  constructor(host: Host, options: FetcherOptions) {
    this.#host = host
    this.#log = host.logger.named('kafka.replication')
    this.#options = options
    this.#troubles = new Seldom(host.clock)
    this.#protocol = interBrokerProtocol(options.settings['inter.broker.protocol.version'])
  }

  get isIdle(): boolean {
    return this.#followings.size === 0
  }
  /** The partition has to follow this fetcher's leader. */
  follow(partition: Partition): void {
    const { follower } = partition
    if (!follower || this.#stopped) return
    const following: Following = { partition, follower, level: false, busy: undefined, isBeside: this.#main.isAsking, wish: undefined, failingSince: undefined }
    this.#followings.set(partition, following)
    this.#main.wake?.()
    if (!this.#running) void this.#run()
    else if (following.isBeside) this.#askBeside()
  }
  #askBeside(): void {
    this.#hasBeside = true
    this.#besideTimer ??= this.#host.timers.set(besideDelayMs, () => this.#startBeside())
  }
  /** Afterwards nothing is written to the partition's log from here any more. */
  async unfollow(partition: Partition): Promise<void> {
    const following = this.#followings.get(partition)
    this.#followings.delete(partition)
    await following?.busy
  }
  async stop(): Promise<void> {
    this.#stopped = true
    const busy = [...this.#followings.values()].map((following) => following.busy)
    this.#followings.clear()
    this.#besideTimer?.cancel()
    this.#close(this.#main)
    this.#close(this.#beside)
    this.#main.wake?.()
    await Promise.all(busy)
  }

  async #run(): Promise<void> {
    this.#running = true
    while (!this.#stopped && this.#followings.size > 0) {
      await this.#endBeside()
      const { ready, waitMs } = this.#ready(() => true)
      if (ready.length === 0) await this.#pause(this.#main, waitMs)
      else if ((await this.#fetch(this.#main, ready, waitMs)) === 'failed') await this.#pause(this.#main, this.#options.settings['replica.fetch.backoff.ms'])
    }
    this.#running = false
    await this.#endBeside()
    this.#close(this.#main)
  }
  /** Who may be asked for now, and how long it is until somebody else may be. */
  #ready(isMeant: (following: Following) => boolean): { ready: Following[]; waitMs: number } {
    const now = this.#host.clock.monotonic()
    const ready: Following[] = []
    let next = Infinity
    for (const following of this.#followings.values()) {
      const { notBefore } = following.follower
      if (notBefore === undefined || following.busy || !isMeant(following)) continue
      if (notBefore > now) next = Math.min(next, notBefore)
      else if (this.#isHeldBack(following, now)) next = Math.min(next, now + this.#options.settings['replica.fetch.backoff.ms'])
      else ready.push(following)
    }
    return { ready, waitMs: next - now }
  }
  #close(lane: Lane): void {
    lane.closings++
    lane.connection?.close()
    lane.connection = undefined
    lane.wake?.()
  }

  /** Newcomers are asked for with those who came before them; a request that waits without them is given up. */
  #startBeside(): void {
    this.#besideTimer = undefined
    this.#close(this.#beside)
    this.#besideRun ??= this.#runBeside().finally(() => (this.#besideRun = undefined))
  }
  async #runBeside(): Promise<void> {
    while (!this.#besideEnds && !this.#stopped) {
      const { ready, waitMs } = this.#ready(({ isBeside }) => isBeside)
      if (ready.length === 0) await this.#pause(this.#beside, waitMs)
      else if ((await this.#fetch(this.#beside, ready, waitMs)) === 'failed') return
    }
  }
  /** The main request takes over. */
  async #endBeside(): Promise<void> {
    if (!this.#hasBeside) return
    this.#hasBeside = false
    this.#besideTimer?.cancel()
    this.#besideTimer = undefined
    this.#besideEnds = true
    this.#close(this.#beside)
    await this.#besideRun
    this.#besideEnds = false
    for (const following of this.#followings.values()) following.isBeside = false
  }
  #isHeldBack({ partition: { topic, index }, level }: Following, now: number): boolean {
    const { quota } = this.#options
    return !level && quota.isThrottled(topic, index) && quota.isExceeded(now)
  }
  /** Until then, or until something changes. */
  #pause(lane: Lane, ms: number): Promise<void> {
    return new Promise((done) => {
      let timer: Timer | undefined
      const finish = (): void => {
        timer?.cancel()
        lane.wake = undefined
        done()
      }
      if (ms < Infinity) timer = this.#host.timers.set(Math.max(1, Math.ceil(ms)), finish)
      lane.wake = finish
    })
  }

  /** `othersMs`: when somebody who is left out wants to be asked for: nobody waits for records longer than that. */
  async #fetch(lane: Lane, ready: readonly Following[], othersMs: number): Promise<'answered' | 'given up' | 'failed'> {
    const { session, closings } = lane
    let answer: ResponseOf<typeof Fetch>
    lane.isAsking = true
    try {
      answer = await this.#ask(lane, ready, othersMs)
    } catch (error) {
      session.reset()
      if (this.#stopped || lane.closings !== closings) return 'given up'
      this.#close(lane)
      if (!this.#complained) this.#log.warn('records could not be fetched; trying again', { leader: this.#options.leaderId, partitions: ready.length, error })
      this.#complained = true
      return 'failed'
    } finally {
      lane.isAsking = false
    }
    if (this.#complained) this.#log.info('records are fetched again', { leader: this.#options.leaderId })
    this.#complained = false
    if (!session.answered(answer)) {
      this.#log.debug('the fetch session begins anew', { leader: this.#options.leaderId, because: errorByCode(answer.errorCode).name })
      return 'answered'
    }
    const work: Promise<void>[] = []
    for (const topic of answer.responses)
      for (const fetched of topic.partitions) {
        const sent = session.wishOf(topic, fetched.partitionIndex)
        if (!sent) continue
        const { following } = sent
        if (this.#followings.get(following.partition) !== following) continue
        following.busy = this.#apply(lane, following, sent, fetched).finally(() => (following.busy = undefined))
        work.push(following.busy)
      }
    await Promise.all(work)
    this.#tellWaiting(lane)
    return 'answered'
  }

  #tellWaiting({ waiting }: Lane): void {
    if (waiting.length === 0) return
    const names = waiting.slice(0, namedMax).map(({ name }) => name).join(', ')
    this.#log.info('followers wait for the controller', {
      leader: this.#options.leaderId,
      partitions: waiting.length,
      named: waiting.length > namedMax ? `${names}, …` : names,
      because: [...new Set(waiting.map(({ errorCode }) => errorByCode(errorCode).name))].join(', '),
    })
    waiting.length = 0
  }

  async #ask(lane: Lane, ready: readonly Following[], othersMs: number): Promise<ResponseOf<typeof Fetch>> {
    const { brokerId, brokerEpoch, settings } = this.#options
    const connection = await this.#connected(lane)
    const knowsIds = this.#protocol.fetch > fetchByName
    const wishes = ready.map((following) => wishOf(following, knowsIds))
    const { sessionId, sessionEpoch, byId, changed, forgotten } = lane.session.begin(wishes)
    const partitionMaxBytes = settings['replica.fetch.max.bytes']
    return connection.send(
      Fetch,
      {
        replicaId: brokerId,
        replicaState: { replicaId: brokerId, replicaEpoch: brokerEpoch() },
        maxWaitMs: Math.min(settings['replica.fetch.wait.max.ms'], Math.ceil(othersMs)),
        minBytes: settings['replica.fetch.min.bytes'],
        maxBytes: settings['replica.fetch.response.max.bytes'],
        isolationLevel: 0,
        sessionId,
        sessionEpoch,
        topics: byTopic(changed).map(([first, wished]) => ({
          topic: first.topic,
          topicId: first.topicId,
          partitions: wished.map(({ partition, currentLeaderEpoch, fetchOffset, lastFetchedEpoch, logStartOffset }) => ({ partition, currentLeaderEpoch, fetchOffset, lastFetchedEpoch, logStartOffset, partitionMaxBytes })),
        })),
        forgottenTopicsData: byTopic(forgotten).map(([first, gone]) => ({ topic: first.topic, topicId: first.topicId, partitions: gone.map(({ partition }) => partition) })),
        rackId: '',
      },
      { version: byId ? this.#protocol.fetch : fetchByName },
    )
  }
  async #connected(lane: Lane): Promise<KafkaConnection> {
    if (lane.connection && !lane.connection.closed) return lane.connection
    const { leaderId, clientId, settings, endpointOf } = this.#options
    const { closings } = lane
    lane.session.reset()
    const to = endpointOf(leaderId)
    if (!to) throw new Error(`broker ${leaderId} is not known to live`)
    const timeoutMs = settings['replica.socket.timeout.ms']
    const connection = await KafkaConnection.open({ host: this.#host, to, clientId, versions: 'fixed', requestTimeoutMs: timeoutMs, connectTimeoutMs: timeoutMs, reusesRoom: true })
    if (this.#stopped || lane.closings !== closings) {
      connection.close()
      throw new Error('not wanted any more')
    }
    return (lane.connection = connection)
  }

  async #apply(lane: Lane, following: Following, sent: SessionWish, fetched: FetchedPartition): Promise<void> {
    const { partition, follower } = following
    const { errorCode, highWatermark, logStartOffset, divergingEpoch, records } = fetched
    const name = `${partition.topic}-${partition.index}`
    if (errorCode !== 0) this.#log.debug('a partition could not be fetched', { partition: name, leader: this.#options.leaderId, because: errorByCode(errorCode).name })
    const diverging = divergingEpoch.epoch >= 0 || divergingEpoch.endOffset >= 0 ? divergingEpoch : undefined
    const answer = { errorCode, highWatermark, logStartOffset, divergingEpoch: diverging, recordsSize: records?.length ?? 0 }
    const now = this.#host.clock.monotonic()
    try {
      for (const output of follower.step({ kind: 'fetched', sent, answer, now })) await this.#do(lane, following, output, records)
      if (errorCode === 0) {
        following.level = highWatermark <= partition.log.logEndOffset
        following.failingSince = undefined
        if (this.#troubles.over(name)) this.#log.info('records of a partition are copied again', { partition: name, leader: this.#options.leaderId })
      } else this.#refused(following, name, errorCode, now)
      if (answer.recordsSize > 0 && this.#options.quota.isThrottled(partition.topic, partition.index)) this.#options.quota.record(answer.recordsSize, now)
    } catch (error) {
      if (partition.log.failure) return
      const repeated = this.#troubles.due(name)
      if (repeated) this.#log.warn('records of a partition cannot be copied; trying again', { partition: name, leader: this.#options.leaderId, error, ...repeated })
      follower.step({ kind: 'failedForNow', now: this.#host.clock.monotonic() })
    }
  }
  #refused(following: Following, name: string, errorCode: number, now: number): void {
    following.failingSince ??= now
    if (now - following.failingSince < refusedForMs) return
    const repeated = this.#troubles.due(name)
    if (repeated) this.#log.warn('the leader gives no records of a partition; asking again. Its log may say why', { partition: name, leader: this.#options.leaderId, because: errorByCode(errorCode).name, ...repeated })
  }
  async #do(lane: Lane, following: Following, output: FollowerOutput, records: Buffer | null): Promise<void> {
    const { partition, follower } = following
    const { log } = partition
    const facts = { partition: `${partition.topic}-${partition.index}`, leader: follower.leaderId, leaderEpoch: follower.leaderEpoch }
    switch (output.kind) {
      case 'append':
        return partition.appendReplicated(records!)
      case 'know':
        return partition.followerKnows(output)
      case 'truncate':
        this.#log[output.belowHighWatermark ? 'warn' : 'info']('the log parts from the leader\'s and is cut', { ...facts, from: log.logEndOffset, to: output.to, highWatermark: log.highWatermark })
        await log.truncateTo(output.to)
        return partition.followerKnows({ highWatermark: -1, logStartOffset: -1 })
      case 'startAt':
        this.#log.warn('nothing of the log is in the leader\'s any more; it begins anew', { ...facts, from: log.logEndOffset, at: output.offset })
        await log.startAt(output.offset)
        return partition.followerKnows({ highWatermark: -1, logStartOffset: -1 })
      case 'askEnds': {
        const [leaderEnd, leaderStart] = await Promise.all([this.#offsetOf(lane, following, timestamps.latest), this.#offsetOf(lane, following, timestamps.earliest)])
        for (const next of follower.step({ kind: 'endsKnown', leaderEnd, leaderStart })) await this.#do(lane, following, next, null)
        return
      }
      case 'fail':
        lane.waiting.push({ name: facts.partition, errorCode: output.errorCode })
        return
      default:
        return output satisfies never
    }
  }
  async #offsetOf(lane: Lane, { partition, follower }: Following, timestamp: bigint): Promise<number> {
    const connection = await this.#connected(lane)
    const answer = await connection.send(
      ListOffsets,
      { replicaId: this.#options.brokerId, isolationLevel: 0, topics: [{ name: partition.topic, partitions: [{ partitionIndex: partition.index, currentLeaderEpoch: follower.leaderEpoch, timestamp }] }] },
      { version: this.#protocol.listOffsets },
    )
    const found = answer.topics[0]?.partitions[0]
    if (!found || found.errorCode !== 0) throw new Error(`the leader did not say where ${partition.topic}-${partition.index} ${timestamp === timestamps.latest ? 'ends' : 'begins'}: ${errorByCode(found?.errorCode ?? -1).name}`)
    return found.offset
  }
}

function byTopic(wishes: readonly SessionWish[]): [SessionWish, SessionWish[]][] {
  const topics = new Map<string, SessionWish[]>()
  for (const wish of wishes) {
    const list = topics.get(wish.topic)
    if (list) list.push(wish)
    else topics.set(wish.topic, [wish])
  }
  return [...topics.values()].map((list) => [list[0], list])
}
