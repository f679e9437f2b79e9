/** Offsets asked of the leaders, all partitions of one leader in one request. */
import { errorByCode, RefusedError } from '../protocol/errors.ts'
import { ListOffsets } from '../protocol/list-offsets.ts'
import type { KafkaClient } from './client.ts'

export interface TopicPartition {
  topic: string
  partition: number
}
export const latest = -1n
export const earliest = -2n

export const partitionName = ({ topic, partition }: TopicPartition): string => `${topic}-${partition}`

/** What is asked for each topic, in the shape that most requests have. */
export function byTopic<T extends TopicPartition>(partitions: readonly T[]): Map<string, T[]> {
  const topics = new Map<string, T[]>()
  for (const one of partitions) {
    const known = topics.get(one.topic)
    if (known) known.push(one)
    else topics.set(one.topic, [one])
  }
  return topics
}

/** The partitions grouped by the broker that leads them. Rejects, retriably, when one has no leader. */
export async function byLeader<T extends TopicPartition>(client: KafkaClient, partitions: readonly T[]): Promise<Map<number, T[]>> {
  const leaders = new Map<number, T[]>()
  for (const one of partitions) {
    const leader = await client.leaderOf(one.topic, one.partition)
    const known = leaders.get(leader)
    if (known) known.push(one)
    else leaders.set(leader, [one])
  }
  return leaders
}

/**
 * The offset of each partition at its `timestamp` (ms, or `latest`, `earliest`), by `partitionName`; −1 where no record is that late.
 * Retries until the time is up.
 */
export async function listOffsets(
  client: KafkaClient,
  wanted: readonly (TopicPartition & { timestamp: bigint })[],
  { readCommitted = false, callTimeoutMs }: { readCommitted?: boolean; callTimeoutMs?: number } = {},
): Promise<Map<string, number>> {
  const found = new Map<string, number>()
  await client.retrying('ListOffsets', async () => {
    const missing = wanted.filter((one) => !found.has(partitionName(one)))
    for (const [leader, partitions] of await byLeader(client, missing)) {
      const connection = await client.connectionTo({ kind: 'broker', id: leader })
      const version = connection.versionOf(ListOffsets)
      const topics = [...byTopic(partitions)].map(([name, list]) => ({
        name,
        partitions: list.map(({ partition, timestamp }) => ({ partitionIndex: partition, timestamp, maxNumOffsets: 1 })),
      }))
      const answer = await connection.send(ListOffsets, { replicaId: -1, isolationLevel: readCommitted ? 1 : 0, topics }, { version })
      for (const { name, partitions: answered } of answer.topics)
        for (const { partitionIndex, errorCode, offset, oldStyleOffsets } of answered) {
          if (errorCode !== 0) {
            client.forget({ kind: 'leader', topic: name, partition: partitionIndex })
            throw new RefusedError(errorByCode(errorCode), `offsets of ${name}-${partitionIndex}: ${errorByCode(errorCode).message}`)
          }
          found.set(partitionName({ topic: name, partition: partitionIndex }), version === 0 ? (oldStyleOffsets[0] ?? -1) : offset)
        }
    }
  }, callTimeoutMs)
  return found
}
