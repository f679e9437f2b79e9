/**
 * Moves replicas between the log directories of this broker (KIP-113, reference §3.11): beside the replica lies its copy, which follows it as
 * a follower follows its leader, and takes its place when it has everything.
 */
import type { Host, Logger } from '../../host/host.ts'
import { isRefused } from '../log/append.ts'
import type { LogManager } from '../log/log-manager.ts'
import type { PartitionLog } from '../log/partition-log.ts'
import { futureDirectoryName } from '../log/names.ts'
import { errors } from '../protocol/errors.ts'
import type { Partition } from './partition.ts'
import { PartitionFollower, type Fetched, type FetchWish, type FollowerOutput } from './partition-follower.ts'
import type { ReplicationQuota } from './replication-quota.ts'

export interface LogDirMovesOptions {
  readonly logs: LogManager
  readonly find: (topic: string, index: number) => Partition | undefined
  /** `replica.alter.log.dirs.io.max.bytes.per.second` */
  readonly quota: ReplicationQuota
  /** `replica.fetch.max.bytes` */
  readonly readMax: number
  /** `replica.fetch.backoff.ms` */
  readonly backoffMs: number
}
interface Move {
  readonly partition: Partition
  readonly future: PartitionLog
  isOver: boolean
  wake: (() => void) | undefined
  running: Promise<void>
}
const nameMax = 255
/** How often a copy that is level, or held back, looks again without being told. */
const lookAgainMs = 100

export class LogDirMoves {
  readonly #host: Host
  readonly #log: Logger
  readonly #options: LogDirMovesOptions
  readonly #moves = new Map<Partition, Move>()
  #isStopped = false

  constructor(host: Host, options: LogDirMovesOptions) {
    this.#host = host
    this.#log = host.logger.named('kafka.replication')
    this.#options = options
  }

  /** One partition of an AlterReplicaLogDirs request; answers its error code. */
  async request(topic: string, index: number, path: string): Promise<number> {
    const { logs, find } = this.#options
    if (futureDirectoryName(topic, index, '0'.repeat(32)).length > nameMax) return errors.invalidTopicException.code
    const directory = logs.directoryState(path)
    if (!directory) return errors.logDirNotFound.code
    const partition = find(topic, index)
    if (directory.failure || partition?.failure) return errors.kafkaStorageError.code
    if (!partition) {
      logs.prefer(topic, index, directory.path)
      return errors.replicaNotAvailable.code
    }
    const future = logs.future(topic, index)
    if (future && future.logDir !== directory.path) {
      await this.cancel(partition)
      await logs.dropFuture(topic, index)
    }
    if (partition.log.logDir === directory.path) return 0
    try {
      await logs.createFuture(partition.log, directory.path)
    } catch (error) {
      this.#log.error('a replica cannot be moved', { partition: partition.log.name, to: directory.path, error })
      return errors.kafkaStorageError.code
    }
    this.resume(partition)
    return 0
  }

  /** Goes on with the move of a partition, if there is one. */
  resume(partition: Partition): void {
    const future = this.#options.logs.future(partition.topic, partition.index)
    if (!future || this.#isStopped || this.#moves.has(partition)) return
    const move: Move = { partition, future, isOver: false, wake: undefined, running: Promise.resolve() }
    this.#moves.set(partition, move)
    move.running = this.#run(move).finally(() => {
      if (this.#moves.get(partition) === move) this.#moves.delete(partition)
    })
  }
  /** Afterwards nothing is copied from or for the partition; what was copied stays, for `resume`. */
  async cancel(partition: Partition): Promise<void> {
    const move = this.#moves.get(partition)
    if (!move) return
    move.isOver = true
    move.wake?.()
    await move.running
  }
  async stop(): Promise<void> {
    this.#isStopped = true
    await Promise.all([...this.#moves.keys()].map((partition) => this.cancel(partition)))
  }

  async #run(move: Move): Promise<void> {
    const { partition, future } = move
    const { backoffMs, quota, logs } = this.#options
    this.#log.info('a replica begins to move', { partition: future.name, from: partition.log.logDir, to: future.logDir, at: future.logEndOffset, of: partition.log.logEndOffset })
    const follower = new PartitionFollower({ leaderId: -1, leaderEpoch: -1, partitionEpoch: -1, log: future, backoffMs })
    const forget = partition.log.onAppend(() => move.wake?.())
    try {
      while (!move.isOver && !partition.failure && !partition.log.failure && !future.failure) {
        if (logs.replaceByFuture(partition.log, future)) {
          partition.movedTo(future)
          return
        }
        if (quota.isExceeded(this.#host.clock.monotonic())) await this.#pause(move, { untilTold: false })
        else if (!(await this.#copy(move, follower))) await this.#pause(move, { untilTold: true })
      }
    } catch (error) {
      if (!future.failure && !partition.log.failure) this.#log.error('the move of a replica has failed; it stays where it is', { partition: future.name, to: future.logDir, error })
    } finally {
      forget()
    }
  }
  /** Whether there was anything to do. */
  async #copy({ partition, future }: Move, follower: PartitionFollower): Promise<boolean> {
    const { readMax, quota } = this.#options
    const { log } = partition
    const sent = follower.wish
    const { answer, records } = await readFrom(log, sent, readMax)
    const now = this.#host.clock.monotonic()
    let hasWorked = answer.recordsSize > 0 || answer.errorCode !== 0 || answer.divergingEpoch !== undefined
    quota.record(answer.recordsSize, now)
    const todo: FollowerOutput[] = follower.step({ kind: 'fetched', sent, answer, now })
    for (let output = todo.shift(); output; output = todo.shift())
      switch (output.kind) {
        case 'append':
          await append(future, records)
          break
        case 'know':
          future.setHighWatermark(Math.min(output.highWatermark, future.logEndOffset))
          if (output.logStartOffset > future.logStartOffset) await future.deleteRecords(Math.min(output.logStartOffset, future.highWatermark))
          break
        case 'truncate':
          await future.truncateTo(output.to)
          break
        case 'startAt':
          await future.startAt(output.offset)
          break
        case 'askEnds':
          todo.push(...follower.step({ kind: 'endsKnown', leaderStart: log.logStartOffset, leaderEnd: log.logEndOffset }))
          break
        case 'fail':
          hasWorked = false
          break
        default:
          output satisfies never
      }
    return hasWorked
  }
  #pause(move: Move, { untilTold }: { untilTold: boolean }): Promise<void> {
    return new Promise((done) => {
      const finish = (): void => {
        timer.cancel()
        move.wake = undefined
        done()
      }
      const timer = this.#host.timers.set(lookAgainMs, finish)
      move.wake = untilTold ? finish : () => void (move.isOver && finish())
    })
  }
}

/** What a leader would answer a follower that asks so. */
async function readFrom(log: PartitionLog, { fetchOffset, lastFetchedEpoch }: FetchWish, maxBytes: number): Promise<{ answer: Fetched; records: Buffer[] }> {
  const answer: Fetched = { errorCode: 0, highWatermark: log.highWatermark, logStartOffset: log.logStartOffset, divergingEpoch: undefined, recordsSize: 0 }
  const outOfRange = { answer: { ...answer, errorCode: errors.offsetOutOfRange.code }, records: [] }
  if (lastFetchedEpoch >= 0) {
    const { epoch, endOffset } = log.endOffsetForEpoch(lastFetchedEpoch)
    if (epoch < 0 || endOffset < 0) return outOfRange
    if (epoch < lastFetchedEpoch || endOffset < fetchOffset) return { answer: { ...answer, divergingEpoch: { epoch, endOffset } }, records: [] }
  }
  if (fetchOffset < log.logStartOffset || fetchOffset > log.logEndOffset) return outOfRange
  const outcome = await log.read({ offset: fetchOffset, maxBytes, minOneBatch: true, upTo: log.logEndOffset })
  if (isRefused(outcome)) throw new Error((outcome as { message: string }).message)
  return { answer: { ...answer, recordsSize: outcome.size }, records: outcome.slices }
}
function append(future: PartitionLog, records: readonly Buffer[]): Promise<void> {
  return new Promise((done, fail) => {
    const outcome = future.append(records, { leaderEpoch: -1, origin: 'replication' }, (failure) => (failure ? fail(failure) : done()))
    if (isRefused(outcome)) fail(new Error(outcome.message))
  })
}
