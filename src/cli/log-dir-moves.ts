/** Where replicas lie on their brokers, and moves between the log dirs of one broker, for kafka-reassign-partitions.sh. */
import type { KafkaClient } from '../kafka/client/client.ts'
import { AlterReplicaLogDirs } from '../kafka/protocol/alter-replica-log-dirs.ts'
import { DescribeLogDirs } from '../kafka/protocol/describe-log-dirs.ts'
import { errorByCode, errors } from '../kafka/protocol/errors.ts'
import type { WantedLogDir } from './reassignment-file.ts'
import type { ToolIo } from './tool.ts'

/** Undefined where the broker has no such replica. */
export interface LogDirMove {
  readonly wanted: WantedLogDir
  readonly current: string | undefined
  /** Where the replica is being copied to. */
  readonly future: string | undefined
}
const retryMs = 100

const keyOf = ({ topic, partition, brokerId }: WantedLogDir): string => `${topic}-${partition}-${brokerId}`
function sorted<T extends WantedLogDir>(moves: readonly T[]): T[] {
  return [...moves].sort((one, other) => one.brokerId - other.brokerId || (one.topic === other.topic ? one.partition - other.partition : one.topic < other.topic ? -1 : 1))
}
function byTopic(moves: readonly WantedLogDir[]): [string, number[]][] {
  return [...new Set(moves.map(({ topic }) => topic))].map((topic) => [topic, moves.filter((move) => move.topic === topic).map(({ partition }) => partition)])
}

export async function movesOf(client: KafkaClient, wanted: readonly WantedLogDir[]): Promise<LogDirMove[]> {
  const current = new Map<string, string>()
  const future = new Map<string, string>()
  for (const id of new Set(wanted.map(({ brokerId }) => brokerId))) {
    const own = wanted.filter(({ brokerId }) => brokerId === id)
    const { results } = await client.call({ kind: 'broker', id }, DescribeLogDirs, { topics: byTopic(own).map(([topic, partitions]) => ({ topic, partitions })) })
    for (const { errorCode, logDir, topics } of results) {
      if (errorCode !== 0) continue
      for (const { name, partitions } of topics) for (const { partitionIndex, isFutureKey } of partitions) (isFutureKey ? future : current).set(`${name}-${partitionIndex}-${id}`, logDir)
    }
  }
  return wanted.map((each) => ({ wanted: each, current: current.get(keyOf(each)), future: future.get(keyOf(each)) }))
}

/** Says of each how far it is. True when none is under way. */
export async function verifyLogDirs(client: KafkaClient, wanted: readonly WantedLogDir[], io: ToolIo): Promise<boolean> {
  const moves = new Map((await movesOf(client, wanted)).map((move) => [move.wanted, move]))
  const lines = sorted(wanted).map((each) => {
    const { current, future } = moves.get(each)!
    const { topic, partition, brokerId, logDir } = each
    if (current === undefined) return `Partition ${topic}-${partition} is not found in any live log dir on broker ${brokerId}. There is likely an offline log directory on the broker.`
    if (future === logDir) return `Reassignment of replica ${keyOf(each)} is still in progress.`
    if (future !== undefined) return `Partition ${topic}-${partition} on broker ${brokerId} is being moved to log dir ${future} instead of ${logDir}.`
    if (current !== logDir) return `Partition ${topic}-${partition} on broker ${brokerId} is not being moved from log dir ${current} to ${logDir}.`
    return `Reassignment of replica ${keyOf(each)} completed successfully.`
  })
  io.out(`${lines.join('\n')}\n`)
  return [...moves.values()].every(({ future }) => future === undefined)
}

/** Begins the moves. A replica that is only on its way to the broker is asked for again, until the time is over. */
export async function moveLogDirs(client: KafkaClient, wanted: readonly WantedLogDir[], timeoutMs: number, io: ToolIo): Promise<void> {
  const { clock, timers } = io.host
  const deadline = clock.monotonic() + timeoutMs
  let pending = sorted(wanted)
  for (;;) {
    const started = await begin(client, pending)
    for (const each of pending.filter((one) => started.has(one)))
      io.out(`Successfully started moving log directory to ${each.logDir} for replica ${each.topic}-${each.partition} with broker ${each.brokerId} \n`)
    pending = pending.filter((each) => !started.has(each))
    if (pending.length === 0) return
    if (clock.monotonic() >= deadline) throw new Error(`Timed out before log directory move${pending.length === 1 ? '' : 's'} could be started for: ${pending.map(keyOf).join(',')}`)
    await timers.sleep(retryMs)
  }
}
async function begin(client: KafkaClient, wanted: readonly WantedLogDir[]): Promise<Set<WantedLogDir>> {
  const started = new Set<WantedLogDir>()
  for (const id of new Set(wanted.map(({ brokerId }) => brokerId))) {
    const own = wanted.filter(({ brokerId }) => brokerId === id)
    const paths = [...new Set(own.map(({ logDir }) => logDir))]
    const dirs = paths.map((path) => ({ path, topics: byTopic(own.filter(({ logDir }) => logDir === path)).map(([name, partitions]) => ({ name, partitions })) }))
    const { results } = await client.call({ kind: 'broker', id }, AlterReplicaLogDirs, { dirs })
    for (const { topicName, partitions } of results)
      for (const { partitionIndex, errorCode } of partitions) {
        const each = own.find(({ topic, partition }) => topic === topicName && partition === partitionIndex)
        if (!each) continue
        if (errorCode === 0) started.add(each)
        else if (errorCode !== errors.replicaNotAvailable.code) throw new Error(`Failed to alter dir for ${keyOf(each)}: ${errorByCode(errorCode).message}`)
      }
  }
  return started
}
