/** The throttles that kafka-reassign-partitions.sh sets while partitions move, and takes back afterwards. */
import type { KafkaClient } from '../kafka/client/client.ts'
import { IncrementalAlterConfigs } from '../kafka/protocol/incremental-alter-configs.ts'

/** Where the bytes of a partition come from, and where they go to. */
export interface Move {
  readonly topic: string
  readonly partition: number
  readonly sources: readonly number[]
  readonly destinations: readonly number[]
}
const brokerThrottles = ['leader.replication.throttled.rate', 'follower.replication.throttled.rate', 'replica.alter.log.dirs.io.max.bytes.per.second'] as const
const topicThrottles = ['leader.replication.throttled.replicas', 'follower.replication.throttled.replicas'] as const
const resources = { topic: 2, broker: 4 } as const
const set = 0
const remove = 1

interface Wish {
  readonly name: string
  readonly value: string | null
}
/** A broker's configuration is changed by that broker, a topic's by anyone. */
async function alter(client: KafkaClient, target: { broker: number } | { topic: string }, wishes: readonly Wish[]): Promise<void> {
  const configs = wishes.map(({ name, value }) => ({ name, value, configOperation: value === null ? remove : set }))
  const [to, resourceType, resourceName] = 'broker' in target ? [{ kind: 'broker', id: target.broker } as const, resources.broker, String(target.broker)] : [{ kind: 'any' } as const, resources.topic, target.topic]
  await client.call(to, IncrementalAlterConfigs, { resources: [{ resourceType, resourceName, configs }], validateOnly: false }, { errorsIn: (response) => response.responses })
}

/** Between brokers, bytes a second each way: on every broker that takes part, for the moving replicas alone. */
export async function throttleMoves(client: KafkaClient, moves: readonly Move[], bytesPerSecond: number): Promise<void> {
  for (const topic of new Set(moves.map((move) => move.topic))) {
    const own = moves.filter((move) => move.topic === topic)
    const list = (of: (move: Move) => readonly number[]): string => [...new Set(own.flatMap((move) => of(move).map((id) => `${move.partition}:${id}`)))].sort().join(',')
    await alter(client, { topic }, [
      { name: 'leader.replication.throttled.replicas', value: list(({ sources }) => sources) },
      { name: 'follower.replication.throttled.replicas', value: list(({ sources, destinations }) => destinations.filter((id) => !sources.includes(id))) },
    ])
  }
  const value = String(bytesPerSecond)
  for (const broker of sortedIds(moves.flatMap(({ sources, destinations }) => [...sources, ...destinations])))
    await alter(client, { broker }, [{ name: 'leader.replication.throttled.rate', value }, { name: 'follower.replication.throttled.rate', value }])
}
/** Between the log dirs of each of the brokers. */
export async function throttleLogDirs(client: KafkaClient, brokers: readonly number[], bytesPerSecond: number): Promise<void> {
  for (const broker of sortedIds(brokers)) await alter(client, { broker }, [{ name: 'replica.alter.log.dirs.io.max.bytes.per.second', value: String(bytesPerSecond) }])
}
export async function clearThrottles(client: KafkaClient, brokers: readonly number[], topics: readonly string[]): Promise<void> {
  for (const broker of brokers) await alter(client, { broker }, brokerThrottles.map((name) => ({ name, value: null })))
  for (const topic of topics) await alter(client, { topic }, topicThrottles.map((name) => ({ name, value: null })))
}
export const sortedIds = (ids: readonly number[]): number[] => [...new Set(ids)].sort((one, other) => one - other)
