/** What brokers, admin handlers and tools ask of the znodes: typed, repeated over lost connections. Controller writes: controller-zookeeper.ts. */
import { uuidZero } from '../../wire/schema.ts'
import type { Host, Logger } from '../../host/host.ts'
import type { ZooKeeperClient, Watcher } from '../../zookeeper/client/client.ts'
import { isZooKeeperError, ZooKeeperError } from '../../zookeeper/client/errors.ts'
import { decodeBroker, type BrokerRegistration } from './broker-znode.ts'
import { decodeClusterId, decodeController, decodeProducerIds, encodeClusterId, encodeLogDirEvent, encodeProducerIds, type ControllerNode } from './cluster-znodes.ts'
import { decodeEntityConfig, encodeConfigChange, encodeEntityConfig, type ConfigChange, type ConfigOverrides } from './config-znodes.ts'
import { decodePartitionState, type PartitionState } from './partition-state-znode.ts'
import { topicNameFault } from './topic-names.ts'
import { decodeTopic, encodeTopic, type TopicAssignment } from './topic-znode.ts'
import { ZnodeError } from './znode-json.ts'
import { paths, persistentPaths, type ConfigType } from './znode-paths.ts'
import { makePath, ZooKeeperSessions, type ZooKeeperSessionOptions } from './zookeeper-sessions.ts'

/** Reads in flight at once when many nodes are read: enough to fill the pipe, bounded. */
const batchSize = 1_000
const producerIdBlockLength = 1_000
/** Above all that were ever given one after the other; with 40 random bits of blocks above it still a safe integer. */
const strangeIds = 2 ** 40

export interface LiveBroker {
  readonly registration: BrokerRegistration
  /** Broker epoch: the czxid of the node. */
  readonly epoch: bigint
}

/** The cluster has no controller: configurations cannot be written (since 3.9 each write is checked against it). */
export class NoControllerError extends Error {}
export class MigrationError extends Error {}

/** `/controller` as it stands, and whose it is. */
export interface Office {
  readonly node: ControllerNode | ZnodeError
  readonly version: number
  /** This process's session holds it. */
  readonly isOwn: boolean
  /** No session does: it was made by KRaft's controllers, or by hand. */
  readonly isPersistent: boolean
}

export class KafkaZooKeeper {
  readonly sessions: ZooKeeperSessions
  readonly #host: Host
  readonly #log: Logger
  /** The end of the last block that was taken here. */
  #producerIdTaken = -1
  constructor(host: Host, sessions: ZooKeeperSessions) {
    this.#host = host
    this.#log = host.logger.named('kafka.metadata')
    this.sessions = sessions
  }
  static async connect(host: Host, options: ZooKeeperSessionOptions): Promise<KafkaZooKeeper> {
    return new KafkaZooKeeper(host, await ZooKeeperSessions.open(host, options))
  }
  close(): Promise<void> {
    return this.sessions.close()
  }
  run<T>(operation: (client: ZooKeeperClient, attempt: number) => Promise<T>): Promise<T> {
    return this.sessions.run(operation)
  }

  /** The nodes every cluster has. */
  async makePersistentPaths(): Promise<void> {
    await Promise.all(persistentPaths.map((path) => this.run((zk) => makePath(zk, path))))
  }
  /** Of one of the persistent paths. Where somebody has deleted it, it is made anew: nobody would hear of what is to come below it. */
  async children(path: string, watch?: Watcher): Promise<string[]> {
    return (await this.childrenOf(path, watch)).names
  }
  /** The same, and the zxid that created the path: another one, and what has a name seen before is something else. */
  async childrenOf(path: string, watch?: Watcher): Promise<{ names: string[]; parent: bigint }> {
    const { children, stat } = await this.#below(path, (zk) => zk.getChildren(path, { watch }))
    return { names: children, parent: stat.czxid }
  }
  /** What needs one of the persistent paths. Where somebody has deleted it, who follows it may not have heard of that yet. */
  #below<T>(path: string, operation: (zk: ZooKeeperClient) => Promise<T>): Promise<T> {
    return this.run(async (zk) => {
      try {
        return await operation(zk)
      } catch (error) {
        if (!isZooKeeperError(error, 'noNode')) throw error
        this.#log.error('a znode that every cluster has was deleted by somebody: it is made anew, without what was below it', { path })
        await makePath(zk, path)
        return operation(zk)
      }
    })
  }
  /**
   * The cluster's id; given at random by the first broker, before there is a controller. One that was deleted or damaged since is not given
   * anew: no broker of the cluster could start with the log directories that it has. Rejects with a ZnodeError then.
   */
  async clusterId(): Promise<string> {
    const remedy = `Write {"version":"1","id":"<id>"} there, with the cluster.id that meta.properties has in a log directory of this cluster`
    const given = async (): Promise<string | undefined> => {
      const known = await this.#dataOf(paths.clusterId)
      const found = known && readable(() => decodeClusterId(known.data))
      if (found instanceof ZnodeError) throw new ZnodeError(paths.clusterId, `cannot be read. ${remedy}`, { cause: found })
      return found
    }
    const known = await given()
    if (known !== undefined) return known
    if (await this.run((zk) => zk.exists(paths.controllerEpoch))) {
      // The first broker may have given it, and become controller, since it was looked for.
      const givenSince = await given()
      if (givenSince !== undefined) return givenSince
      throw new ZnodeError(paths.clusterId, `is missing, and the cluster is no new one. ${remedy}`)
    }
    const id = randomUuid(this.#host)
    try {
      await this.run(async (zk) => {
        await makePath(zk, '/cluster')
        await zk.create(paths.clusterId, encodeClusterId(id))
      })
      return id
    } catch (error) {
      if (!isZooKeeperError(error, 'nodeExists')) throw error
      return decodeClusterId((await this.#dataOf(paths.clusterId))?.data ?? null)
    }
  }
  /**
   * An id that no broker has had: above `reserved.broker.max.id`, and of none that is registered or has replicas. The counter in
   * `/brokers/seqid` begins anew when somebody has deleted it; an id that it gives once more would make an empty folder somebody's replicas.
   */
  async generateBrokerId(reservedMax: number): Promise<number> {
    const taken = await this.#knownIds()
    for (;;) {
      await this.run((zk) => makePath(zk, paths.sequenceId))
      const id = (await this.run((zk) => zk.setData(paths.sequenceId, Buffer.alloc(0)))).version + reservedMax
      if (!taken.has(id)) return id
    }
  }
  /** Brokers that are registered or that replicas are assigned to, as far as topics can be read. */
  async #knownIds(): Promise<Set<number>> {
    const ids = new Set(await this.brokerIds())
    await this.each(await this.topicNames(), async (topic) => {
      try {
        for (const { replicas } of (await this.topic(topic))?.partitions.values() ?? []) for (const id of replicas) ids.add(id)
      } catch (error) {
        if (!(error instanceof ZnodeError)) throw error
      }
    })
    return ids
  }

  async brokerIds(watch?: Watcher): Promise<number[]> {
    return (await this.children(paths.brokers, watch)).map(Number).sort((one, other) => one - other)
  }
  /** Undefined when it is not registered, or in a way that cannot be read. */
  async broker(id: number, watch?: Watcher): Promise<LiveBroker | undefined> {
    const node = await this.#dataOf(paths.broker(id), watch)
    try {
      return node && { registration: decodeBroker(id, node.data), epoch: node.stat.czxid }
    } catch (error) {
      if (!(error instanceof ZnodeError)) throw error
      this.#log.error('the registration of a broker cannot be read; it counts as absent', { broker: id, error })
      return undefined
    }
  }
  async brokers(watch?: Watcher): Promise<LiveBroker[]> {
    const ids = await this.brokerIds(watch)
    return (await this.each(ids, (id) => this.broker(id))).filter((broker) => broker !== undefined)
  }

  async topicNames(watch?: Watcher): Promise<string[]> {
    return this.children(paths.topics, watch)
  }
  /** Undefined for what is no name of a topic: nothing below its path could be one. */
  async topic(topic: string, watch?: Watcher): Promise<TopicAssignment | undefined> {
    if (topicNameFault(topic) !== undefined) return undefined
    const node = await this.#dataOf(paths.topic(topic), watch)
    return node && decodeTopic(topic, node.data)
  }
  /** Those of `topics` that exist. */
  async topics(topics: Iterable<string>): Promise<Map<string, TopicAssignment>> {
    const found = await this.each([...topics], async (topic) => [topic, await this.topic(topic)] as const)
    return new Map(found.filter((entry): entry is [string, TopicAssignment] => entry[1] !== undefined))
  }
  async partitionState(topic: string, index: number): Promise<PartitionState | undefined> {
    return (await this.writtenState(topic, index))?.state
  }
  /** The same, and the zxid of the write that made it so. */
  async writtenState(topic: string, index: number, watch?: Watcher): Promise<{ state: PartitionState; zxid: bigint } | undefined> {
    const node = await this.#dataOf(paths.partitionState(topic, index), watch)
    return node && { state: decodePartitionState(topic, index, node.data, node.stat.version), zxid: node.stat.mzxid }
  }
  /** Version of the node that holds a state, whatever is in it; undefined when there is none. */
  async stateVersion(topic: string, index: number): Promise<number | undefined> {
    return (await this.run((zk) => zk.exists(paths.partitionState(topic, index))))?.version
  }
  /** Where a topic is created: its configuration first, then the node that the controller watches. False when it exists. */
  async createTopic(topic: string, assignment: TopicAssignment, overrides: ConfigOverrides): Promise<boolean> {
    await this.setEntityConfig('topics', topic, overrides)
    const data = encodeTopic(assignment)
    return this.run(async (zk, attempt) => {
      try {
        await zk.create(paths.topic(topic), data)
        return true
      } catch (error) {
        if (!isZooKeeperError(error, 'nodeExists')) throw error
        // After a lost connection it may be ours: the topic id is random, so equal data proves it.
        return attempt > 0 && (await this.#dataOf(paths.topic(topic)))?.data?.equals(data) === true
      }
    })
  }
  /** For added partitions: any version, as Apache's handler does. The controller hears of it through its watch. */
  async setTopicAssignment(topic: string, assignment: TopicAssignment): Promise<void> {
    await this.run((zk) => zk.setData(paths.topic(topic), encodeTopic(assignment)))
  }
  /** The same, unless the topic is not as it was `from` which was decided: then false, and nothing is written. */
  async replaceTopicAssignment(topic: string, from: TopicAssignment, to: TopicAssignment): Promise<boolean> {
    const [before, after] = [encodeTopic(from), encodeTopic(to)]
    return this.run(async (zk, attempt) => {
      const node = await this.#dataOf(paths.topic(topic))
      const now = node && encodeTopic(decodeTopic(topic, node.data))
      // After a lost connection it may be done already.
      if (attempt > 0 && now?.equals(after)) return true
      if (!node || !now?.equals(before)) return false
      try {
        await zk.setData(paths.topic(topic), after, node.stat.version)
        return true
      } catch (error) {
        if (isZooKeeperError(error, 'badVersion', 'noNode')) return false
        throw error
      }
    })
  }
  async isMarkedForDeletion(topic: string): Promise<boolean> {
    if (topicNameFault(topic) !== undefined) return false
    return (await this.run((zk) => zk.exists(paths.deletedTopic(topic)))) !== undefined
  }
  /** Asks the controller to delete a topic. False when that is under way already. */
  async markForDeletion(topic: string): Promise<boolean> {
    try {
      await this.run((zk) => zk.create(paths.deletedTopic(topic)))
      return true
    } catch (error) {
      if (isZooKeeperError(error, 'nodeExists')) return false
      throw error
    }
  }

  async controller(watch?: Watcher): Promise<{ node: ControllerNode; version: number } | undefined> {
    const node = await this.#dataOf(paths.controller, watch)
    return node && { node: decodeController(node.data), version: node.stat.version }
  }
  /** The same, whatever is in it. */
  async office(): Promise<Office | undefined> {
    const node = await this.#dataOf(paths.controller)
    if (!node) return undefined
    const { ephemeralOwner, version } = node.stat
    return { node: readable(() => decodeController(node.data)), version, isOwn: ephemeralOwner === this.sessions.sessionId, isPersistent: ephemeralOwner === 0n }
  }
  /** Tells once of the next creation, change or deletion, whether the node is there now or not. */
  async watchController(watch: Watcher): Promise<boolean> {
    return (await this.run((zk) => zk.exists(paths.controller, { watch }))) !== undefined
  }

  /** Overrides of one entity; none when there is no node. */
  async entityConfig(type: ConfigType, entity: string): Promise<Record<string, string>> {
    const path = paths.entityConfig(type, entity)
    const node = await this.#dataOf(path)
    return decodeEntityConfig(path, node?.data ?? null)
  }
  async entityNames(type: ConfigType): Promise<string[]> {
    return this.run((zk) => zk.listChildren(paths.entityConfigs(type)))
  }
  /** Those that cannot be read come as the error that says so. */
  async entityConfigs(type: ConfigType): Promise<Map<string, Record<string, string> | ZnodeError>> {
    const names = await this.entityNames(type)
    return new Map(await this.each(names, async (name) => [name, await this.readableConfig(type, name)] as const))
  }
  async readableConfig(type: ConfigType, entity: string): Promise<Record<string, string> | ZnodeError> {
    return this.entityConfig(type, entity).catch((error: unknown) => {
      if (!(error instanceof ZnodeError)) throw error
      return error
    })
  }
  /** Replaces all overrides of an entity. Refused while the cluster has no controller or a KRaft one is taking over. */
  async setEntityConfig(type: ConfigType, entity: string, overrides: ConfigOverrides): Promise<void> {
    const path = paths.entityConfig(type, entity)
    const data = encodeEntityConfig(overrides)
    let exists: boolean | undefined
    for (let conflicts = 0; ; conflicts++) {
      const controller = await this.office()
      // One that cannot be read is written anew by its holder, or somebody has to delete it.
      if (!controller || controller.node instanceof ZnodeError) throw new NoControllerError(`the configuration of ${type}/${entity} cannot be written: the cluster has no controller at the moment`, { cause: controller?.node })
      if (controller.node.kraftControllerEpoch > 0) throw new MigrationError(`the configuration of ${type}/${entity} cannot be written: the cluster is being migrated to KRaft`)
      exists ??= (await this.run((zk) => zk.exists(path))) !== undefined
      const write = exists ? ({ op: 'setData', path, data } as const) : ({ op: 'create', path, data } as const)
      try {
        await this.run((zk) => zk.multi([{ op: 'check', path: paths.controller, version: controller.version }, write]))
        return
      } catch (error) {
        if (!isZooKeeperError(error, 'noNode', 'nodeExists', 'badVersion') || conflicts === 10) throw error
        if (error.path === path && error.is('noNode') && !exists) await this.run((zk) => makePath(zk, path.slice(0, path.lastIndexOf('/'))))
        exists = undefined
      }
    }
  }
  /** Tells all brokers that an entity's configuration has changed; answers the zxid of the notification. */
  notifyConfigChange(change: ConfigChange): Promise<bigint> {
    return this.#notify(paths.configChange, encodeConfigChange(change))
  }
  /** Tells the controller that a log dir of this broker has failed. */
  async notifyLogDirFailure(brokerId: number): Promise<void> {
    await this.#notify(paths.logDirEvent, encodeLogDirEvent(brokerId))
  }
  async #notify(prefix: string, data: Buffer): Promise<bigint> {
    const { stat } = await this.#below(prefix.slice(0, prefix.lastIndexOf('/')), (zk) => zk.createWithStat(prefix, data, { mode: 'persistentSequential' }))
    return stat.czxid
  }

  /**
   * The next block of producer ids, taken for `brokerId`. An id that is given twice makes one producer's records duplicates of another's,
   * acknowledged and not written: where it cannot be told which were given, the block is one that nobody has come near.
   */
  async takeProducerIds(brokerId: number): Promise<{ start: number; length: number }> {
    await this.run((zk) => makePath(zk, paths.producerIds))
    for (;;) {
      const { data, stat } = await this.run((zk) => zk.getData(paths.producerIds))
      const known = await this.#nextProducerId(data, stat)
      const first = known instanceof ZnodeError ? strangeIds + this.#host.random.bytes(5).readUIntBE(0, 5) * producerIdBlockLength : known
      const block = { brokerId, first, last: first + producerIdBlockLength - 1 }
      const taken = await this.run((zk) => zk.setData(paths.producerIds, encodeProducerIds(block), stat.version)).catch((error: unknown) => {
        if (!isZooKeeperError(error, 'badVersion')) throw error
      })
      if (!taken) continue
      if (known instanceof ZnodeError) this.#log.error('which producer ids were given cannot be told any more: they go on far away from those that were, so that no two producers have the same', { error: known, first })
      this.#producerIdTaken = block.last
      return { start: first, length: producerIdBlockLength }
    }
  }
  /** What comes after the last block; the error that says why that cannot be told. */
  async #nextProducerId(data: Uint8Array | null, { version, czxid }: { version: number; czxid: bigint }): Promise<number | ZnodeError> {
    const path = paths.producerIds
    const block = readable(() => decodeProducerIds(data))
    if (block instanceof ZnodeError) return block
    if (block && block.last < this.#producerIdTaken) return new ZnodeError(path, `ends at ${block.last}, and ${this.#producerIdTaken} was given`)
    if (block) return Number.isSafeInteger(block.last + producerIdBlockLength) ? block.last + 1 : new ZnodeError(path, `ends at ${block.last}, which leaves none`)
    // Never written: the first broker makes it, and only then the cluster's id.
    const cluster = await this.run((zk) => zk.exists(paths.clusterId))
    return version === 0 && cluster && czxid < cluster.czxid ? 0 : new ZnodeError(path, 'was deleted or emptied')
  }

  /** Offsets of the old consumers, and of OffsetCommit v0. Undefined when none was committed. */
  async committedOffset(group: string, topic: string, partition: number): Promise<number | undefined> {
    const text = (await this.#dataOf(paths.committedOffset(group, topic, partition)))?.data?.toString('utf8')
    return text !== undefined && /^-?\d+$/.test(text) ? Number(text) : undefined
  }
  async setCommittedOffset(group: string, topic: string, partition: number, offset: number): Promise<void> {
    const path = paths.committedOffset(group, topic, partition)
    await this.run(async (zk) => {
      try {
        await zk.setData(path, String(offset))
      } catch (error) {
        if (!isZooKeeperError(error, 'noNode')) throw error
        await makePath(zk, path)
        await zk.setData(path, String(offset))
      }
    })
  }

  /** Maps items to promises, a bounded number at a time. */
  async each<T, R>(items: readonly T[], map: (item: T) => Promise<R>): Promise<R[]> {
    if (items.length <= batchSize) return Promise.all(items.map(map))
    const results: R[] = []
    for (let from = 0; from < items.length; from += batchSize) results.push(...(await Promise.all(items.slice(from, from + batchSize).map(map))))
    return results
  }
  async #dataOf(path: string, watch?: Watcher): Promise<Awaited<ReturnType<ZooKeeperClient['getData']>> | undefined> {
    return this.run((zk) => zk.getData(path, { watch })).catch((error: unknown) => {
      if (error instanceof ZooKeeperError && error.is('noNode')) return undefined
      throw error
    })
  }
}

function readable<T>(read: () => T): T | ZnodeError {
  try {
    return read()
  } catch (error) {
    if (!(error instanceof ZnodeError)) throw error
    return error
  }
}

/** A random id as Kafka makes them: never the zero id, never one that begins with a dash (tools would take it for an option). */
export function randomUuid(host: Pick<Host, 'random'>): string {
  for (;;) {
    const bytes = host.random.bytes(16)
    bytes[6] = (bytes[6] & 0x0f) | 0x40
    bytes[8] = (bytes[8] & 0x3f) | 0x80
    const text = bytes.toString('base64url')
    if (text !== uuidZero && !text.startsWith('-')) return text
  }
}
