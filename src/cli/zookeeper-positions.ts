/**
 * Where a consumer of the days before brokers kept offsets begins, and keeps where it is: `/consumers/<group>` in ZooKeeper.
 *
 * ids/<consumer>                          ephemeral: who is there, and which topics it reads
 * owners/<topic>/<partition>              ephemeral: which consumer reads the partition
 * offsets/<topic>/<partition>             the next offset to read, in decimal
 *
 * Every consumer works the same shares out for itself whenever `ids` changes, and claims its partitions once the others have let go.
 */
import type { Host } from '../host/host.ts'
import type { KafkaClient } from '../kafka/client/client.ts'
import { range, type Subscriber } from '../kafka/client/assignors.ts'
import { partitionName, type TopicPartition } from '../kafka/client/offsets.ts'
import type { ZooKeeperClient } from '../zookeeper/client/client.ts'
import { isZooKeeperError } from '../zookeeper/client/errors.ts'
import { connectZooKeeper } from './brokers-in-zookeeper.ts'
import { endsOf, type OffsetReset } from './position-sources.ts'
import type { Position, PositionSource } from './record-consumer.ts'

export interface ZooKeeperPositionsOptions {
  host: Host
  client: KafkaClient
  connect: string
  groupId: string
  /** Otherwise everything under the group is removed at the end. */
  keepsGroup: boolean
  topics: () => Promise<string[]>
  reset: OffsetReset
}
const noNode = -101
const nodeExists = -110
const claimRetryMs = 250
const claimAttemptsMax = 120

export class ZooKeeperPositions implements PositionSource {
  changed = true
  readonly #options: ZooKeeperPositionsOptions
  readonly #zookeeper: ZooKeeperClient
  readonly #consumerId: string
  readonly #root: string
  #owned: TopicPartition[] = []

  private constructor(options: ZooKeeperPositionsOptions, zookeeper: ZooKeeperClient) {
    this.#options = options
    this.#zookeeper = zookeeper
    this.#root = `/consumers/${options.groupId}`
    const { host, groupId } = options
    this.#consumerId = `${groupId}_${host.network.hostName()}-${host.clock.now()}-${host.random.bytes(4).toString('hex')}`
  }
  static async open(options: ZooKeeperPositionsOptions): Promise<ZooKeeperPositions> {
    if (options.groupId.includes('/')) throw new Error(`the group id '${options.groupId}' must not contain '/': it becomes a path in ZooKeeper`)
    const zookeeper = await connectZooKeeper(options.host, options.connect)
    const positions = new ZooKeeperPositions(options, zookeeper)
    zookeeper.onState((event) => {
      // The ephemeral nodes went with the session, or nobody knows.
      if (event === 'expired' || event === 'disconnected') positions.changed = true
    })
    return positions
  }

  async assign(): Promise<readonly Position[]> {
    const { topics, client, reset } = this.#options
    if (this.#zookeeper.state === 'expired' || this.#zookeeper.state === 'closed')
      throw new Error('the ZooKeeper session of this consumer has expired; its partitions may belong to others by now. Start it again')
    const names = await topics()
    await this.#register(names)
    this.changed = false
    const members = await this.#members()
    const counts = new Map<string, number>()
    for (const name of new Set(members.flatMap((member) => member.topics))) counts.set(name, await this.#partitionsOf(name))
    const share = range(members, (topic) => counts.get(topic) ?? 0).get(this.#consumerId) ?? new Map<string, number[]>()
    const wanted = [...share].flatMap(([topic, partitions]) => partitions.map((partition) => ({ topic, partition })))
    await this.#release(this.#owned.filter((one) => !wanted.some((other) => partitionName(other) === partitionName(one))))
    for (const one of wanted) await this.#claim(one)
    const kept: Position[] = []
    const fresh: TopicPartition[] = []
    for (const one of this.#owned) {
      const offset = await this.#offset(one)
      if (offset === undefined) fresh.push(one)
      else kept.push({ ...one, offset })
    }
    return [...kept, ...(await endsOf(client, fresh, reset === 'earliest' ? 'earliest' : 'latest'))]
  }
  async commit(positions: readonly Position[]): Promise<void> {
    for (const { topic, partition, offset } of positions) {
      const path = `${this.#root}/offsets/${topic}/${partition}`
      const data = String(offset)
      try {
        await this.#zookeeper.setData(path, Buffer.from(data))
      } catch (error) {
        if (!has(error, noNode)) throw error
        await this.#make(path, data)
      }
    }
  }
  async close(): Promise<void> {
    try {
      await this.#release(this.#owned)
      if (!this.#options.keepsGroup) await this.#zookeeper.deleteTree(this.#root)
    } catch (error) {
      if (!has(error, noNode)) throw error
    } finally {
      await this.#zookeeper.close()
    }
  }

  async #register(topics: readonly string[]): Promise<void> {
    const subscription = { version: 1, subscription: Object.fromEntries(topics.map((topic) => [topic, 1])), pattern: 'white_list', timestamp: String(this.#options.host.clock.now()) }
    await this.#make(`${this.#root}/ids/${this.#consumerId}`, JSON.stringify(subscription), 'ephemeral')
  }
  async #members(): Promise<Subscriber[]> {
    const { children } = await this.#zookeeper.getChildren(`${this.#root}/ids`, { watch: () => (this.changed = true) })
    const members: Subscriber[] = []
    for (const memberId of children) {
      try {
        const { data } = await this.#zookeeper.getData(`${this.#root}/ids/${memberId}`)
        const { subscription = {} } = JSON.parse(data?.toString() ?? '{}') as { subscription?: Record<string, number> }
        members.push({ memberId, groupInstanceId: null, topics: Object.keys(subscription) })
      } catch (error) {
        if (!has(error, noNode)) throw error
      }
    }
    return members
  }
  async #partitionsOf(topic: string): Promise<number> {
    const { topics } = await this.#options.client.metadata([topic])
    return topics[0]?.partitions.length ?? 0
  }
  async #claim(one: TopicPartition): Promise<void> {
    if (this.#owned.some((other) => partitionName(other) === partitionName(one))) return
    const path = `${this.#root}/owners/${one.topic}/${one.partition}`
    for (let attempt = 0; attempt < claimAttemptsMax; attempt++) {
      if (await this.#make(path, this.#consumerId, 'ephemeral')) {
        this.#owned.push(one)
        return
      }
      // Its owner has not let go yet; if the group changes meanwhile, the shares are worked out anew.
      if (this.changed) return
      await this.#options.host.timers.sleep(claimRetryMs)
    }
    throw new Error(`${partitionName(one)} is still owned by another consumer of group '${this.#options.groupId}' (${path})`)
  }
  async #release(partitions: readonly TopicPartition[]): Promise<void> {
    for (const one of partitions) {
      try {
        await this.#zookeeper.delete(`${this.#root}/owners/${one.topic}/${one.partition}`)
      } catch (error) {
        if (!has(error, noNode)) throw error
      }
    }
    this.#owned = this.#owned.filter((one) => !partitions.includes(one))
  }
  async #offset({ topic, partition }: TopicPartition): Promise<number | undefined> {
    try {
      const { data } = await this.#zookeeper.getData(`${this.#root}/offsets/${topic}/${partition}`)
      const offset = Number(data?.toString())
      return Number.isSafeInteger(offset) && offset >= 0 ? offset : undefined
    } catch (error) {
      if (has(error, noNode)) return undefined
      throw error
    }
  }
  /** Creates a node and what is missing above it; false when the node exists. */
  async #make(path: string, data: string, mode: 'persistent' | 'ephemeral' = 'persistent'): Promise<boolean> {
    for (;;) {
      try {
        await this.#zookeeper.create(path, Buffer.from(data), { mode })
        return true
      } catch (error) {
        if (has(error, nodeExists)) return false
        if (!has(error, noNode)) throw error
        await this.#make(path.slice(0, path.lastIndexOf('/')), '')
      }
    }
  }
}
function has(error: unknown, code: number): boolean {
  return isZooKeeperError(error) && error.code === code
}
