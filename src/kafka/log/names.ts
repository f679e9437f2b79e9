/** Names of files and directories, as Apache Kafka spells them (LogFileUtils, UnifiedLog). */

export const suffix = { log: '.log', index: '.index', timeIndex: '.timeindex', txnIndex: '.txnindex', snapshot: '.snapshot' } as const
export const deletedSuffix = '.deleted'
export const cleanedSuffix = '.cleaned'
export const swapSuffix = '.swap'
/** The files of one segment; a producer snapshot belongs to an offset rather than to a segment. */
export const segmentSuffixes = [suffix.log, suffix.index, suffix.timeIndex, suffix.txnIndex] as const

/** `moved-from` is Ottla's own, other brokers pass it over: the directory its partition comes from, while that may still be there. */
export const partitionFile = { epochs: 'leader-epoch-checkpoint', metadata: 'partition.metadata', movedFrom: 'moved-from' } as const
export const directoryFile = {
  meta: 'meta.properties',
  recoveryPoints: 'recovery-point-offset-checkpoint',
  logStarts: 'log-start-offset-checkpoint',
  highWatermarks: 'replication-offset-checkpoint',
  cleaner: 'cleaner-offset-checkpoint',
  cleanShutdown: '.kafka_cleanshutdown',
  lock: '.lock',
} as const

/** `00000000000000000042.log` */
export const fileName = (offset: number, ending: string): string => `${String(offset).padStart(20, '0')}${ending}`

const segmentFile = /^(\d{1,20})(\.log|\.index|\.timeindex|\.txnindex|\.snapshot)(\.deleted|\.cleaned|\.swap)?$/

/** What a file in a partition's directory is; undefined for all others. */
export function parseFileName(name: string): { offset: number; kind: string; state: string } | undefined {
  const match = segmentFile.exec(name)
  if (!match) return undefined
  const offset = Number(match[1])
  return Number.isSafeInteger(offset) ? { offset, kind: match[2], state: match[3] ?? '' } : undefined
}

export type PartitionDirectory =
  | { kind: 'partition'; topic: string; partition: number }
  | { kind: 'future'; topic: string; partition: number }
  | { kind: 'deleted' }
  | { kind: 'stray' }
  | { kind: 'ignored' }
  | { kind: 'unknown' }

const movedDirectory = /^(.+)-(\d+)\.([0-9a-f]{32})-(delete|future|stray)$/
/** Partitions are int32; no broker reads a checkpoint that names a larger one. */
const partitionMax = 0x7fff_ffff
const deletedDirectory = /^\S+-\S+\.\S+-delete$/
const partitionDirectory = /^(.+)-(\d+)$/

export function parseDirectoryName(name: string): PartitionDirectory {
  if (name === 'remote-log-index-cache' || name === '__cluster_metadata-0') return { kind: 'ignored' }
  const moved = movedDirectory.exec(name)
  if (moved && Number(moved[2]) > partitionMax) return { kind: 'unknown' }
  if (moved) {
    if (moved[4] === 'future') return { kind: 'future', topic: moved[1], partition: Number(moved[2]) }
    return { kind: moved[4] === 'delete' ? 'deleted' : 'stray' }
  }
  // Other brokers are not so strict with the unique part; a name that only ends like it is somebody's, and is not to be removed.
  if (deletedDirectory.test(name)) return { kind: 'deleted' }
  const match = partitionDirectory.exec(name)
  if (!match || Number(match[2]) > partitionMax || name.endsWith('-delete')) return { kind: 'unknown' }
  return { kind: 'partition', topic: match[1], partition: Number(match[2]) }
}

/** `<topic>-<p>.<32 hex digits>-delete`, of at most 255 characters: the topic is cut for it. */
export function directoryNameToDelete(topic: string, partition: number, unique: string): string {
  const ending = `-${partition}.${unique}-delete`
  return `${topic.slice(0, 255 - ending.length)}${ending}`
}
/** `<topic>-<p>.<32 hex digits>-future`; longer than 255 characters for topics with very long names, which cannot be moved then. */
export const futureDirectoryName = (topic: string, partition: number, unique: string): string => `${topic}-${partition}.${unique}-future`
