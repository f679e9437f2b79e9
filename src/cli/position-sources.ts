/** Where a console consumer begins: in one partition, or in what its group gives it. */
import type { Host } from '../host/host.ts'
import type { KafkaClient } from '../kafka/client/client.ts'
import type { GroupMember } from '../kafka/client/group-member.ts'
import { earliest, latest, listOffsets, partitionName, type TopicPartition } from '../kafka/client/offsets.ts'
import type { Position, PositionSource } from './record-consumer.ts'

export type OffsetReset = 'earliest' | 'latest' | 'none'

/** Ends of the logs of these partitions. */
export async function endsOf(client: KafkaClient, partitions: readonly TopicPartition[], reset: 'earliest' | 'latest'): Promise<Position[]> {
  if (partitions.length === 0) return []
  const found = await listOffsets(client, partitions.map((one) => ({ ...one, timestamp: reset === 'earliest' ? earliest : latest })))
  return partitions.map((one) => ({ ...one, offset: found.get(partitionName(one)) ?? 0 }))
}

/** One partition from an offset or an end of its log. Nothing is committed. */
export class SinglePartition implements PositionSource {
  changed = true
  readonly #client: KafkaClient
  readonly #at: TopicPartition
  readonly #from: number | 'earliest' | 'latest'
  constructor(client: KafkaClient, at: TopicPartition, from: number | 'earliest' | 'latest') {
    this.#client = client
    this.#at = at
    this.#from = from
  }
  async assign(): Promise<readonly Position[]> {
    await this.#client.topic(this.#at.topic, { allowAutoTopicCreation: true })
    const positions = typeof this.#from === 'number' ? [{ ...this.#at, offset: this.#from }] : await endsOf(this.#client, [this.#at], this.#from)
    this.changed = false
    return positions
  }
  async commit(): Promise<void> {}
  async close(): Promise<void> {}
}

export interface GroupPositionsOptions {
  host: Host
  client: KafkaClient
  member: GroupMember
  /** Names to subscribe to, asked anew from time to time. */
  topics: () => Promise<string[]>
  metadataMaxAgeMs: number
  reset: OffsetReset
}
/** The partitions that a group gives its member, from its committed offsets. */
export class GroupPositions implements PositionSource {
  readonly #options: GroupPositionsOptions
  /** What was subscribed to, and how many partitions there were: a change means joining anew. */
  #seen = ''
  #refreshAt = Infinity
  #refreshing = false
  #grown = false
  #failure: Error | undefined
  constructor(options: GroupPositionsOptions) {
    this.#options = options
  }
  get changed(): boolean {
    if (this.#failure) throw this.#failure
    const { host, member } = this.#options
    if (host.clock.monotonic() >= this.#refreshAt && !this.#refreshing) this.#refresh()
    return this.#grown || member.mustJoin
  }
  async assign(before: readonly Position[]): Promise<readonly Position[]> {
    const { host, client, member, topics, metadataMaxAgeMs, reset } = this.#options
    const names = await topics()
    this.#seen = await this.#shape(names)
    this.#grown = false
    const partitions = await member.join(names)
    this.#refreshAt = host.clock.monotonic() + metadataMaxAgeMs
    const committed = partitions.length > 0 ? await member.committed(partitions) : new Map<string, number>()
    const held = new Map(before.map((one) => [partitionName(one), one.offset]))
    const known = partitions.flatMap((one) => {
      const offset = committed.get(partitionName(one)) ?? held.get(partitionName(one))
      return offset === undefined ? [] : [{ ...one, offset }]
    })
    const without = partitions.filter((one) => !committed.has(partitionName(one)) && !held.has(partitionName(one)))
    if (reset === 'none' && without.length > 0)
      throw new Error(`Undefined offset with no reset policy for partitions: [${without.map(partitionName).join(', ')}]`)
    return [...known, ...(await endsOf(client, without, reset === 'earliest' ? 'earliest' : 'latest'))]
  }
  #refresh(): void {
    this.#refreshing = true
    this.#options
      .topics()
      .then((names) => this.#shape(names))
      .then(
        (shape) => (this.#grown = shape !== this.#seen),
        (error: Error) => (this.#failure = error),
      )
      .finally(() => {
        this.#refreshing = false
        this.#refreshAt = this.#options.host.clock.monotonic() + this.#options.metadataMaxAgeMs
      })
  }
  async #shape(names: readonly string[]): Promise<string> {
    if (names.length === 0) return ''
    const { topics } = await this.#options.client.metadata(names, { allowAutoTopicCreation: true })
    return topics.map(({ name, partitions }) => `${name}:${partitions.length}`).sort().join()
  }
  async commit(positions: readonly Position[]): Promise<void> {
    await this.#options.member.commit(positions)
  }
  close(): Promise<void> {
    return this.#options.member.leave()
  }
}
