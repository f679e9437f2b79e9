/**
 * ListOffsets: an offset for a time, or an end of the log. Behaviour by version: v0 answers with a list of segment offsets; special
 * timestamps below the version that brought them are UNSUPPORTED_VERSION (reference §4.5).
 */
import { errors } from '../../protocol/errors.ts'
import { ListOffsets } from '../../protocol/list-offsets.ts'
import type { RequestOf, ResponseTo } from '../../protocol/api.ts'
import type { Partition } from '../../replication/partition.ts'
import { handler, type RequestContext } from '../handler.ts'

type Wish = RequestOf<typeof ListOffsets>['topics'][number]['partitions'][number]
type PartitionAnswer = ResponseTo<typeof ListOffsets>['topics'][number]['partitions'][number]

const special = { latest: -1n, earliest: -2n, maxTimestamp: -3n, earliestLocal: -4n, latestTiered: -5n } as const
const sinceVersion = new Map<bigint, number>([
  [special.latest, 0], [special.earliest, 0], [special.maxTimestamp, 7], [special.earliestLocal, 8], [special.latestTiered, 9],
])
const consumerReplicaId = -1
const debugReplicaId = -2
const isolation = { readUncommitted: 0, readCommitted: 1 } as const

export const listOffsets = handler({
  api: ListOffsets,
  inPlace: true,
  refuse: (errorCode, { topics }) => ({
    topics: topics.map(({ name, partitions }) => ({ name, partitions: partitions.map(({ partitionIndex }) => refused(partitionIndex, errorCode)) })),
  }),
  async answer({ topics, replicaId, isolationLevel }, context) {
    const asked = new Map<string, number>()
    for (const { name, partitions } of topics) for (const { partitionIndex } of partitions) asked.set(`${name}/${partitionIndex}`, (asked.get(`${name}/${partitionIndex}`) ?? 0) + 1)
    const answers = []
    for (const { name, partitions } of topics) {
      const results: PartitionAnswer[] = []
      for (const wish of partitions)
        results.push(
          asked.get(`${name}/${wish.partitionIndex}`)! > 1
            ? refused(wish.partitionIndex, errors.invalidRequest.code)
            : await offsetOf(name, wish, { replicaId, isolationLevel }, context),
        )
      answers.push({ name, partitions: results })
    }
    return { topics: answers }
  },
})

async function offsetOf(topic: string, wish: Wish, from: { replicaId: number; isolationLevel: number }, context: RequestContext): Promise<PartitionAnswer> {
  const { broker, version } = context
  const { partitionIndex, timestamp, currentLeaderEpoch } = wish
  const partition = broker.replicas.find(topic, partitionIndex)
  if (!partition)
    return refused(partitionIndex, (broker.metadata.partition(topic, partitionIndex) ? errors.notLeaderOrFollower : errors.unknownTopicOrPartition).code)
  const errorCode = partition.refusalFor({ epoch: currentLeaderEpoch, leaderOnly: from.replicaId !== debugReplicaId })
  if (errorCode !== 0) return refused(partitionIndex, errorCode)
  if (timestamp < 0n && version < (sinceVersion.get(timestamp) ?? Infinity)) return refused(partitionIndex, errors.unsupportedVersion.code)
  const end = endFor(partition, from, version)
  if (version === 0) return { partitionIndex, errorCode: 0, oldStyleOffsets: await oldStyleOffsets(partition, wish, end) }
  const found = (offset: number, at: bigint, leaderEpoch: number): PartitionAnswer => ({ partitionIndex, errorCode: 0, offset, timestamp: at, leaderEpoch, oldStyleOffsets: [] })
  // KIP-207: a new leader does not know yet how far the old one had committed.
  const unsure = from.replicaId === consumerReplicaId && partition.leading && !partition.committedEndKnown
  const notYet = () => refused(partitionIndex, version >= 5 ? errors.offsetNotAvailable.code : errors.leaderNotAvailable.code)
  switch (timestamp) {
    case special.latest:
      return unsure ? notYet() : found(end, -1n, partition.leaderEpoch)
    case special.earliest:
    case special.earliestLocal:
      return found(partition.log.logStartOffset, -1n, partition.log.epochOf(partition.log.logStartOffset))
    case special.latestTiered:
      return found(-1, -1n, -1)
    case special.maxTimestamp: {
      const last = await partition.log.offsetOfMaxTimestamp()
      return last && last.offset < end ? found(last.offset, last.timestamp, last.leaderEpoch) : found(-1, -1n, -1)
    }
    default: {
      const first = await partition.log.offsetForTimestamp(timestamp)
      if (first && first.offset < end) return found(first.offset, first.timestamp, first.leaderEpoch)
      return unsure && first ? notYet() : found(-1, -1n, -1)
    }
  }
}

/** What the asker may see: consumers up to the high watermark or the last stable offset, replicas to the end. */
function endFor(partition: Partition, { replicaId, isolationLevel }: { replicaId: number; isolationLevel: number }, version: number): number {
  if (replicaId !== consumerReplicaId) return partition.log.logEndOffset
  return version >= 2 && isolationLevel === isolation.readCommitted ? partition.log.lastStableOffset : partition.highWatermark
}

/** v0: base offsets of segments, newest first, of those modified before the timestamp; −1 the end too, −2 the start alone. */
async function oldStyleOffsets(partition: Partition, { timestamp, maxNumOffsets }: Wish, end: number): Promise<number[]> {
  if (timestamp === special.earliest) return [partition.log.logStartOffset].slice(0, maxNumOffsets)
  const bases = await partition.log.segmentBaseOffsetsBefore(timestamp === special.latest ? undefined : timestamp)
  const offsets = bases.map((base) => Math.max(base, partition.log.logStartOffset)).filter((base) => base < end)
  return (timestamp === special.latest ? [end, ...offsets.reverse()] : offsets.reverse()).slice(0, Math.max(0, maxNumOffsets))
}

function refused(partitionIndex: number, errorCode: number): PartitionAnswer {
  return { partitionIndex, errorCode, offset: -1, timestamp: -1n, leaderEpoch: -1, oldStyleOffsets: [] }
}
