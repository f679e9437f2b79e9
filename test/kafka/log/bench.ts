/** What tests of the log share: a host on a virtual disk, a manager on it, records that are easy to recognise. */
import type { Clock, Disk, Host, LogFacts, Logger, Network, Timers } from '../../../src/host/host.ts'
import { silentLogger } from '../../../src/host/logger.ts'
import { isRefused, type AppendOutcome } from '../../../src/kafka/log/append.ts'
import { logConfigDefaults, type LogConfig } from '../../../src/kafka/log/log-config.ts'
import { LogManager, type LogSettings } from '../../../src/kafka/log/log-manager.ts'
import type { PartitionLog } from '../../../src/kafka/log/partition-log.ts'
import { decodeBatches } from '../../../src/kafka/records/decode.ts'
import { encodeBatch, type BatchOptions } from '../../../src/kafka/records/encode.ts'
import type { NewRecord, Record } from '../../../src/kafka/records/record.ts'
import { seededRandom } from '../../../src/simulation/random.ts'

export const clusterId = 'abcdefghijklmnopqrstuv'
export const topicId = 'AAAAAAAAAAAAAAAAAAAAAQ'

export interface TestHost extends Host {
  /** Moves the clock and runs the timers that are due. */
  pass(ms: number): void
}

/** Time stands still until `pass`, or until somebody sleeps; the end of a turn is a microtask away. */
export function hostOn(disk: Disk, { start = 1_700_000_000_000, logger = silentLogger } = {}): TestHost {
  let now = start
  const due = new Set<{ at: number; every: number | undefined; run: () => void }>()
  const clock: Clock = { now: () => now, monotonic: () => now }
  const add = (ms: number, every: number | undefined, run: () => void) => {
    const timer = { at: now + ms, every, run }
    due.add(timer)
    return { cancel: () => void due.delete(timer) }
  }
  const timers: Timers = {
    set: (ms, run) => add(ms, undefined, run),
    every: (ms, run) => add(ms, ms, run),
    endOfTurn: (run) => queueMicrotask(run),
    afterPromises: (run) => process.nextTick(run),
    sleep: async (ms) => void (now += ms),
  }
  return {
    clock,
    timers,
    random: seededRandom(7),
    disk,
    network: undefined as unknown as Network,
    logger,
    pass(ms) {
      now += ms
      for (const timer of due) {
        if (timer.at > now) continue
        if (timer.every === undefined) due.delete(timer)
        else timer.at = now + timer.every
        timer.run()
      }
    },
  }
}

export interface Opened {
  manager: LogManager
  host: TestHost
  config: LogConfig
}
export async function openOn(disk: Disk, changes: Partial<LogConfig> = {}, { logDirs = ['/logs'], settings, host = hostOn(disk), cluster = clusterId, brokerId = 1 }: { logDirs?: string[]; settings?: LogSettings; host?: TestHost; cluster?: string; brokerId?: number } = {}): Promise<Opened> {
  // Preallocated indexes of 10 MiB would make the disk in memory slow.
  const config = { ...logConfigDefaults, segmentIndexBytes: 12_000, ...changes }
  const manager = await LogManager.open(host, { logDirs, brokerId, clusterId: cluster, defaults: config, configOf: () => config, settings })
  return { manager, host, config }
}

/** Resolves with the outcome when the append is done. */
export function append(log: PartitionLog, bytes: Uint8Array | readonly Uint8Array[], facts: { leaderEpoch?: number; origin?: 'client' | 'coordinator' | 'replication'; produceVersion?: number } = {}): Promise<AppendOutcome> {
  return new Promise((resolve, reject) => {
    const outcome: AppendOutcome = log.append(bytes, { leaderEpoch: 0, origin: 'client', ...facts }, (failure) => (failure ? reject(failure) : resolve(outcome)))
    if (outcome.errorCode !== 0) resolve(outcome)
  })
}
export const produce = (log: PartitionLog, records: readonly NewRecord[], options: BatchOptions = {}): Promise<AppendOutcome> => append(log, encodeBatch(records, options))
export const numbered = (from: number, count: number, timestamp = 1_700_000_000_000): NewRecord[] =>
  Array.from({ length: count }, (_, index) => ({ key: `k${from + index}`, value: `value ${from + index}`, timestamp: timestamp + from + index }))

/** Every record from the log's start on, in reads of `maxBytes`. */
export async function readAll(log: PartitionLog, maxBytes = 1000): Promise<Record[]> {
  const records: Record[] = []
  for (let offset = log.logStartOffset; offset < log.logEndOffset; ) {
    const read = await log.read({ offset, maxBytes, minOneBatch: true, upTo: log.logEndOffset })
    if (isRefused(read)) throw new Error(`reading at ${offset}: ${read.message}`)
    let next = offset
    for (const { batch, records: found } of decodeBatches(Buffer.concat(read.slices))) {
      for (const record of found) if (record.offset >= offset) records.push(record)
      next = batch.nextOffset
    }
    // Compaction may leave nothing behind the last record.
    if (next === offset) break
    offset = next
  }
  return records
}
export const textOf = (records: readonly Record[]): string[] => records.map(({ offset, key, value }) => `${offset}:${key?.toString() ?? 'null'}=${value?.toString() ?? 'null'}`)

/** What warnings and errors say. */
export function listening(): { events: string[]; logger: Logger } {
  const events: string[] = []
  const say = (event: string, facts?: LogFacts): void => void events.push(`${event} ${(facts?.['error'] as Error | undefined)?.message ?? JSON.stringify(facts)}`)
  const logger: Logger = { debug() {}, info() {}, warn: say, error: say, named: () => logger }
  return { events, logger }
}
