/** The JSON files of kafka-reassign-partitions.sh: what is to be moved where, and which topics a proposal is wanted for. */
import { readFileSync } from 'node:fs'

export interface WantedPartition {
  readonly topic: string
  readonly partition: number
  readonly replicas: readonly number[]
  /** One for each replica; `any` leaves the choice to the broker. */
  readonly logDirs: readonly string[]
}
/** A replica that is to lie in one log dir. */
export interface WantedLogDir {
  readonly topic: string
  readonly partition: number
  readonly brokerId: number
  readonly logDir: string
}

const anyLogDir = 'any'

function documentIn(file: string): Record<string, unknown> {
  const text = readFileSync(file, 'utf8')
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (cause) {
    throw new Error(`${file} holds no JSON: ${(cause as Error).message}`, { cause })
  }
  if (json === null || typeof json !== 'object' || Array.isArray(json)) throw new Error(`${file} holds no JSON object`)
  const { version = 1 } = json as { version?: unknown }
  if (version !== 1) throw new Error(`Not supported version field value ${JSON.stringify(version)}`)
  return json as Record<string, unknown>
}
function listIn(file: string, document: Record<string, unknown>, name: string): Record<string, unknown>[] {
  const list = document[name] ?? []
  if (!Array.isArray(list) || list.some((each) => each === null || typeof each !== 'object')) throw new Error(`'${name}' of ${file} should be a list of objects`)
  return list as Record<string, unknown>[]
}
const isNumber = (value: unknown): value is number => Number.isSafeInteger(value)

export function readReassignmentFile(file: string): WantedPartition[] {
  return listIn(file, documentIn(file), 'partitions').map((each) => {
    const { topic, partition, replicas } = each
    if (typeof topic !== 'string' || !isNumber(partition) || !Array.isArray(replicas) || !replicas.every(isNumber))
      throw new Error(`${JSON.stringify(each)} in ${file} should have a topic, a partition and a list of replicas`)
    const logDirs = each.log_dirs ?? replicas.map(() => anyLogDir)
    if (!Array.isArray(logDirs) || logDirs.some((dir) => typeof dir !== 'string')) throw new Error(`'log_dirs' of ${topic}-${partition} in ${file} should be a list of paths, or "any"`)
    if (logDirs.length !== replicas.length)
      throw new Error(`Size of replicas list [${replicas.join(', ')}] is different from size of log dirs list [${logDirs.join(', ')}] for partition ${topic}-${partition}`)
    return { topic, partition, replicas, logDirs: logDirs as string[] }
  })
}
export function logDirsIn(wanted: readonly WantedPartition[]): WantedLogDir[] {
  return wanted.flatMap(({ topic, partition, replicas, logDirs }) => replicas.map((brokerId, index) => ({ topic, partition, brokerId, logDir: logDirs[index] }))).filter(({ logDir }) => logDir !== anyLogDir)
}
/** What can be carried out: each partition once, with at least one replica, none of them twice. */
export function checkExecutable(wanted: readonly WantedPartition[]): void {
  if (wanted.length === 0) throw new Error('Partition reassignment list cannot be empty')
  if (wanted.some(({ replicas }) => replicas.length === 0)) throw new Error('Partition replica list cannot be empty')
  const twice = duplicates(wanted.map(nameOf))
  if (twice.length > 0) throw new Error(`Partition reassignment contains duplicate topic partitions: ${twice.join(',')}`)
  const repeated = wanted.filter(({ replicas }) => duplicates(replicas).length > 0)
  if (repeated.length > 0)
    throw new Error(`Partition replica lists may not contain duplicate entries: ${repeated.map((each) => `${nameOf(each)} contains multiple entries for ${duplicates(each.replicas).join(',')}`).join('. ')}`)
}

export function readTopicsFile(file: string): string[] {
  const topics = listIn(file, documentIn(file), 'topics').map((each) => {
    if (typeof each.topic !== 'string') throw new Error(`${JSON.stringify(each)} in ${file} should have a topic`)
    return each.topic
  })
  const twice = duplicates(topics)
  if (twice.length > 0) throw new Error(`List of topics to reassign contains duplicate entries: [${twice.join(', ')}]`)
  return topics
}
export function brokerList(text: string): number[] {
  const ids = text.split(',').map((word) => {
    if (!/^[+-]?\d+$/.test(word)) throw new Error(`'${word}' of --broker-list is not a broker id`)
    return Number(word)
  })
  const twice = duplicates(ids)
  if (twice.length > 0) throw new Error(`Broker list contains duplicate entries: [${twice.join(', ')}]`)
  return ids
}

/** One line of JSON, by topic and partition, that `--reassignment-json-file` takes back. */
export function formatReassignment(partitions: readonly Pick<WantedPartition, 'topic' | 'partition' | 'replicas'>[]): string {
  const sorted = [...partitions].sort(byName)
  return JSON.stringify({ version: 1, partitions: sorted.map(({ topic, partition, replicas }) => ({ topic, partition, replicas, log_dirs: replicas.map(() => anyLogDir) })) })
}
export const nameOf = ({ topic, partition }: { topic: string; partition: number }): string => `${topic}-${partition}`
export function byName(one: { topic: string; partition: number }, other: { topic: string; partition: number }): number {
  return one.topic === other.topic ? one.partition - other.partition : one.topic < other.topic ? -1 : 1
}
function duplicates<T>(items: readonly T[]): T[] {
  return [...new Set(items.filter((item, index) => items.indexOf(item) !== index))]
}
