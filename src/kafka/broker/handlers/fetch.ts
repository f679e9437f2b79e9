/**
 * Fetch: records for consumers and followers, with sessions and waiting. Behaviour by version: below v3 limits are hard, below
 * v4 batches are converted down, v7 sessions, from v11 on consumers may read from followers, v13 topic ids, v16 names the new leader.
 */
import { uuidZero } from '../../../wire/schema.ts'
import type { Refused } from '../../log/append.ts'
import type { PartitionLog, ReadOutcome } from '../../log/partition-log.ts'
import { downConvert } from '../../records/convert.ts'
import { errors } from '../../protocol/errors.ts'
import { Fetch } from '../../protocol/fetch.ts'
import type { RequestOf, ResponseTo } from '../../protocol/api.ts'
import type { DataWaiter, Partition } from '../../replication/partition.ts'
import { nearestReplica, rackAwareSelector } from '../../replication/replica-selector.ts'
import { leaderHint, nodesOf } from '../endpoints.ts'
import type { FetchContext, FetchTarget } from '../fetch-sessions.ts'
import { handler, type RequestContext } from '../handler.ts'

type FetchRequest = RequestOf<typeof Fetch>
type Response = ResponseTo<typeof Fetch>
type PartitionAnswer = Response['responses'][number]['partitions'][number]

/** One partition's part of an answer, and what it was read for. */
interface Result {
  target: FetchTarget
  topic: string
  answer: PartitionAnswer
  recordsSize: number
  /** The partition, when there was no error; and how far it could be read when it was. */
  partition: Partition | undefined
  readableTo: number
  /** It has what is wanted, but may not give it now. */
  heldBack: boolean
}

const readCommitted = 1
const nothing = Buffer.alloc(0)
/** First version whose consumers name their rack and follow a preferred replica (KIP-392). */
const rackVersionMin = 11
/** First version that takes record batches as they are. */
const batchVersionMin = 4

export const fetch = handler({
  api: Fetch,
  inPlace: true,
  refuse: (errorCode) => ({ errorCode, responses: [] }),
  async answer(request, context) {
    const { broker, version } = context
    // Nobody has to say it; who does and means another cluster has come to the wrong door.
    if (request.clusterId !== null && request.clusterId !== broker.clusterId) return { errorCode: errors.inconsistentClusterId.code, responses: [] }
    const replicaId = version >= 15 ? request.replicaState.replicaId : request.replicaId
    const session = broker.fetchSessions.begin(
      {
        sessionId: request.sessionId,
        sessionEpoch: request.sessionEpoch,
        targets: targetsOf(request),
        forgotten: request.forgottenTopicsData.flatMap(({ topic, topicId, partitions }) => partitions.map((partition) => ({ topic, topicId, partition }))),
        usesTopicIds: version >= 13,
        privileged: replicaId >= 0,
      },
      broker.host.clock.monotonic(),
    )
    if (session.errorCode !== 0) return { errorCode: session.errorCode, responses: [] }
    const reader = new Reading(request, replicaId, session, context)
    return reader.answer()
  },
})

function targetsOf(request: FetchRequest): FetchTarget[] {
  const targets = []
  for (const { topic, topicId, partitions } of request.topics)
    for (const { partition, currentLeaderEpoch, fetchOffset, lastFetchedEpoch, logStartOffset, partitionMaxBytes } of partitions)
      targets.push({ topic, topicId, partition, currentLeaderEpoch, fetchOffset, lastFetchedEpoch, logStartOffset, maxBytes: partitionMaxBytes })
  return targets
}

const isRefused = (outcome: ReadOutcome): outcome is Refused => outcome.errorCode !== 0

class Reading {
  readonly #request: FetchRequest
  readonly #replicaId: number
  readonly #session: FetchContext
  readonly #context: RequestContext
  #waited = false

  constructor(request: FetchRequest, replicaId: number, session: FetchContext, context: RequestContext) {
    this.#request = request
    this.#replicaId = replicaId
    this.#session = session
    this.#context = context
  }

  async answer(): Promise<Response> {
    const { maxWaitMs, minBytes } = this.#request
    let results = await this.#readAll()
    if (maxWaitMs > 0 && this.#shouldWait(results, minBytes)) {
      await this.#wait(results, minBytes, maxWaitMs)
      this.#waited = true
      results = await this.#readAll(results)
    }
    if (this.#replicaId >= 0) this.#count(results)
    return this.#shape(results)
  }
  /** In sync or not: what a throttled replica was given counts. */
  #count(results: readonly Result[]): void {
    const { leaderQuota, host } = this.#context.broker
    for (const { partition, recordsSize } of results)
      if (partition && recordsSize > 0 && leaderQuota.isThrottled(partition.topic, partition.index)) leaderQuota.record(recordsSize, host.clock.monotonic())
  }

  /** `before`: what was found before the wait, in the same order. */
  async #readAll(before?: readonly Result[]): Promise<Result[]> {
    const { broker, version } = this.#context
    let left = Math.min(version >= 3 ? this.#request.maxBytes : 0x7fff_ffff, broker.fetchMaxBytes)
    let first = version >= 3
    const results: Result[] = []
    for (const [place, target] of this.#session.targets.entries()) {
      if (before && this.#stillHolds(before[place])) {
        results.push(before[place])
        continue
      }
      // Most partitions of a follower rest: no promise for each of them.
      const reading = this.#read(target, Math.max(0, Math.min(left, target.maxBytes)), first)
      const result = reading instanceof Promise ? await reading : reading
      if (result.recordsSize > 0) first = false
      left -= result.recordsSize
      results.push(result)
    }
    return results
  }

  /** There was nothing to read, and nothing has changed that the answer would say. */
  #stillHolds({ target, partition, answer, recordsSize, readableTo, heldBack }: Result): boolean {
    return (
      partition !== undefined && recordsSize === 0 && !heldBack &&
      this.#readableTo(partition) === readableTo &&
      partition.highWatermark === answer.highWatermark &&
      partition.log.logStartOffset === answer.logStartOffset &&
      Math.min(partition.log.lastStableOffset, partition.highWatermark) === answer.lastStableOffset &&
      (this.#replicaId < 0 || partition.replicas.includes(this.#replicaId)) &&
      partition.refusalFor({ epoch: target.currentLeaderEpoch, leaderOnly: this.#replicaId >= 0 || this.#context.version < rackVersionMin }) === 0
    )
  }
  #failed(target: FetchTarget, topic: string, errorCode: number): Result {
    const withHint = this.#context.version >= 16 && (errorCode === errors.notLeaderOrFollower.code || errorCode === errors.fencedLeaderEpoch.code)
    const answer: PartitionAnswer = {
      partitionIndex: target.partition,
      errorCode,
      highWatermark: -1,
      lastStableOffset: -1,
      logStartOffset: -1,
      abortedTransactions: [],
      records: nothing,
      ...(withHint && { currentLeader: leaderHint(this.#context, topic, target.partition) }),
    }
    return { target, topic, answer, recordsSize: 0, partition: undefined, readableTo: -1, heldBack: false }
  }
  #read(target: FetchTarget, maxBytes: number, minOneBatch: boolean): Result | Promise<Result> {
    const { broker, version } = this.#context
    const topic = version >= 13 ? (broker.metadata.topicName(target.topicId) ?? '') : target.topic
    const failed = (errorCode: number): Result => this.#failed(target, topic, errorCode)
    if (topic === '') return failed((version >= 13 ? errors.unknownTopicId : errors.unknownTopicOrPartition).code)
    const partition = broker.replicas.find(topic, target.partition)
    if (!partition) return failed((broker.metadata.partition(topic, target.partition) ? errors.notLeaderOrFollower : errors.unknownTopicOrPartition).code)
    if (version >= 13 && partition.topicId && target.topicId !== uuidZero && partition.topicId !== target.topicId) return failed(errors.inconsistentTopicId.code)
    const asReplica = this.#replicaId >= 0
    const errorCode = partition.refusalFor({ epoch: target.currentLeaderEpoch, leaderOnly: asReplica || version < rackVersionMin })
    if (errorCode !== 0) return failed(errorCode === errors.kafkaStorageError.code && version <= 5 ? errors.notLeaderOrFollower.code : errorCode)
    if (asReplica && !partition.replicas.includes(this.#replicaId))
      return failed((target.currentLeaderEpoch >= 0 ? errors.unknownLeaderEpoch : errors.notLeaderOrFollower).code)

    const { log } = partition
    const { highWatermark } = partition
    const lastStableOffset = Math.min(log.lastStableOffset, highWatermark)
    const committedOnly = this.#request.isolationLevel === readCommitted
    const readableTo = asReplica ? log.logEndOffset : committedOnly ? lastStableOffset : highWatermark
    const answer: PartitionAnswer = {
      partitionIndex: target.partition,
      errorCode: 0,
      highWatermark,
      lastStableOffset,
      logStartOffset: log.logStartOffset,
      abortedTransactions: committedOnly ? [] : null,
      records: nothing,
    }
    const result: Result = { target, topic, answer, recordsSize: 0, partition, readableTo, heldBack: false }
    if (target.lastFetchedEpoch >= 0) {
      const { epoch, endOffset } = log.endOffsetForEpoch(target.lastFetchedEpoch)
      if (epoch < 0 || endOffset < 0 || target.fetchOffset < log.logStartOffset) return failed(errors.offsetOutOfRange.code)
      if (epoch < target.lastFetchedEpoch || endOffset < target.fetchOffset) {
        answer.divergingEpoch = { epoch, endOffset }
        return result
      }
    }
    // Who has fallen and follows now may have less than a consumer of its leadership has read. OFFSET_OUT_OF_RANGE, as Apache's says, would make that begin anew.
    if (!asReplica && !partition.leading && target.fetchOffset > log.logEndOffset) return failed(errors.notLeaderOrFollower.code)
    if (target.fetchOffset < log.logStartOffset || target.fetchOffset > log.logEndOffset) return failed(errors.offsetOutOfRange.code)
    // Zstandard came with v10; older clients cannot read it (KIP-110).
    if (version < 10 && log.config.compressionType === 'zstd') return failed(errors.unsupportedCompressionType.code)
    // Once: what the follower has it said when it asked, not when it is answered.
    if (asReplica && !this.#waited) partition.followerFetched(this.#replicaId, target)
    const preferred = asReplica ? undefined : this.#preferredReplica(partition, target.fetchOffset)
    if (preferred !== undefined) {
      answer.preferredReadReplica = preferred
      return result
    }
    if (target.fetchOffset >= readableTo) return result
    if (asReplica && this.#isHeldBack(partition)) return { ...result, heldBack: true }
    const reading = log.read({ offset: target.fetchOffset, maxBytes, minOneBatch, upTo: readableTo })
    return reading instanceof Promise ? reading.then((outcome) => this.#given(result, log, outcome)) : this.#given(result, log, reading)
  }
  /** With what the log has given. */
  #given(result: Result, log: PartitionLog, outcome: ReadOutcome): Result {
    const { target, topic, answer, readableTo } = result
    const { version } = this.#context
    const failed = (errorCode: number): Result => this.#failed(target, topic, errorCode)
    if (isRefused(outcome)) return failed(outcome.errorCode)
    answer.records = outcome.slices
    if (outcome.done) this.#context.onSent(outcome.done)
    result.recordsSize = outcome.size
    if (this.#request.isolationLevel === readCommitted && outcome.size > 0) answer.abortedTransactions = log.abortedTransactions(target.fetchOffset, readableTo)
    if (version < batchVersionMin && outcome.size > 0) {
      const converted = downConvert(Buffer.concat(outcome.slices), version <= 1 ? 0 : 1, target.fetchOffset)
      if (converted.kind === 'unsupported') return failed(errors.unsupportedCompressionType.code)
      answer.records = converted.bytes
    }
    return result
  }

  /** A follower that is nearer to the consumer than this leader. */
  #preferredReplica(partition: Partition, offset: number): number | undefined {
    const { broker, version, listener } = this.#context
    const { leader } = partition
    const { rackId } = this.#request
    if (version < rackVersionMin || rackId === '' || !leader || broker.settings.values['replica.selector.class'] !== rackAwareSelector) return undefined
    const { brokers } = broker.metadata
    const followers = leader
      .readableFollowers(offset)
      .filter(({ id }) => brokers.get(id)?.endpoints.has(listener))
      .map((follower) => ({ ...follower, rack: brokers.get(follower.id)!.rack }))
    const nearest = nearestReplica(rackId, { id: broker.brokerId, rack: broker.settings.values['broker.rack'] }, followers)
    return nearest === broker.brokerId ? undefined : nearest
  }

  /** A follower that is not in sync takes no more than its bound allows (KIP-73). */
  #isHeldBack(partition: Partition): boolean {
    const { leaderQuota, host } = this.#context.broker
    return leaderQuota.isThrottled(partition.topic, partition.index) && !partition.leader?.isr.includes(this.#replicaId) && leaderQuota.isExceeded(host.clock.monotonic())
  }

  #shouldWait(results: readonly Result[], minBytes: number): boolean {
    if (results.length === 0) return false
    let size = 0
    for (const { answer, recordsSize } of results) {
      if (answer.errorCode !== 0 || answer.divergingEpoch || answer.preferredReadReplica !== undefined) return false
      size += recordsSize
    }
    return size < minBytes
  }

  /** Until enough has come for it to be worth while to read again, the time is over, or the client is gone. */
  #wait(results: readonly Result[], minBytes: number, maxWaitMs: number): Promise<void> {
    const { broker } = this.#context
    let size = 0
    for (const { recordsSize } of results) size += recordsSize
    return new Promise((done) => {
      const finish = (): void => {
        timer.cancel()
        forgetClose()
        for (const { partition } of results) partition?.removeWaiter(waiter)
        done()
      }
      const waiter: DataWaiter = { missing: minBytes - size, wake: finish }
      const timer = broker.host.timers.set(maxWaitMs, finish)
      let forgetClose = (): void => {}
      forgetClose = this.#context.onClosed(finish)
      // Something may have come while the disk was being read.
      const news = results.some(({ partition, readableTo, heldBack }) => partition !== undefined && !heldBack && this.#readableTo(partition) !== readableTo)
      if (news) finish()
      else for (const { partition, heldBack } of results) if (!heldBack) partition?.addWaiter(waiter, this.#replicaId >= 0)
    })
  }
  #readableTo(partition: Partition): number {
    if (this.#replicaId >= 0) return partition.log.logEndOffset
    return this.#request.isolationLevel === readCommitted ? Math.min(partition.log.lastStableOffset, partition.highWatermark) : partition.highWatermark
  }

  #shape(results: readonly Result[]): Response {
    const { version } = this.#context
    const byTopic = new Map<string, Response['responses'][number] & { partitions: PartitionAnswer[] }>()
    const shown: PartitionAnswer[] = []
    for (const { target, topic, answer, recordsSize } of results) {
      const news = {
        errorCode: answer.errorCode,
        recordsSize,
        highWatermark: answer.highWatermark,
        logStartOffset: answer.logStartOffset ?? -1,
        preferredReadReplica: answer.preferredReadReplica ?? -1,
        diverging: answer.divergingEpoch !== undefined,
      }
      if (!this.#session.isNews(target, news)) continue
      const key = version >= 13 ? target.topicId : topic || target.topic
      let group = byTopic.get(key)
      if (!group) byTopic.set(key, (group = { topic: topic || target.topic, topicId: target.topicId, partitions: [] }))
      group.partitions.push(answer)
      shown.push(answer)
    }
    return {
      errorCode: 0,
      sessionId: this.#session.sessionId,
      responses: [...byTopic.values()],
      nodeEndpoints: version >= 16 ? nodesOf(this.#context, shown) : [],
    }
  }
}
