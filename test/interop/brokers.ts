/** Clusters of either maker's brokers on an ensemble: made, looked at, disturbed. */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Admin, ITopicConfig, Kafka } from 'kafkajs'
import { afterAll, beforeAll } from 'vitest'
import { offsetsPartitionOf } from '../../src/kafka/groups/offsets-partition-of.ts'
import { ElectLeaders } from '../../src/kafka/protocol/elect-leaders.ts'
import type { ZooKeeperClient } from '../../src/zookeeper/client/client.ts'
import { isZooKeeperError } from '../../src/zookeeper/client/errors.ts'
import { askBroker } from './ask-broker.ts'
import { Ensemble, freeze, thaw, type Make } from './ensemble.ts'
import { asking, kafkaAt } from './kafkajs.ts'
import type { Network } from './network.ts'
import { until } from './process.ts'
import { disposeOf, kafkaServer, zookeeperMaker, type Maker, type Server, type ServerOptions } from './target.ts'
import { createTopics, viewOf } from './topics.ts'

type Lines = Record<string, string | number | boolean>

export interface BrokersOptions {
  /** More lines for every configuration file, or for that of one broker by its id. */
  readonly config?: Lines | ((id: number) => Lines)
  /** Servers of the ensemble come first in it, then the brokers. */
  readonly network?: Network
  /** Of the brokers. Default 6 s, for brokers that are killed; where none is, longer than anybody stands still. */
  readonly sessionTimeoutMs?: number
}

const offsetsPartitions = 3

/** Brokers 1 to n at an ensemble. */
export class Brokers {
  readonly ensemble: Ensemble
  readonly servers: Server[] = []
  /** For producers and consumers; the admin is connected. */
  readonly kafka: Kafka
  readonly admin: Admin
  readonly session: ZooKeeperClient
  readonly #options: (ServerOptions & { zookeeper: string })[]

  private constructor(ensemble: Ensemble, session: ZooKeeperClient, servers: Server[], options: (ServerOptions & { zookeeper: string })[]) {
    this.ensemble = ensemble
    this.servers = servers
    this.session = session
    this.#options = options
    this.kafka = kafkaAt(this.addresses, { requestTimeout: 10_000, connectionTimeout: 10_000 })
    this.admin = this.kafka.admin()
  }

  static async start(coordinators: readonly Make[], makers: readonly Maker[], { config, network, sessionTimeoutMs = 6_000 }: BrokersOptions = {}): Promise<Brokers> {
    const ensemble = await Ensemble.start(coordinators, { sessionTimeoutMs: Math.max(10_000, sessionTimeoutMs), ...(network && { network }) })
    const servers: Server[] = []
    try {
      const options = makers.map((_, at): ServerOptions & { zookeeper: string } => ({
        zookeeper: ensemble.addresses.join(),
        config: {
          'broker.id': at + 1,
          'zookeeper.session.timeout.ms': sessionTimeoutMs,
          'offsets.topic.replication.factor': Math.min(3, makers.length),
          'offsets.topic.num.partitions': offsetsPartitions,
          'auto.create.topics.enable': false,
          'auto.leader.rebalance.enable': false,
          'controlled.shutdown.retry.backoff.ms': 500,
          ...(typeof config === 'function' ? config(at + 1) : config),
        },
        ...(network && { host: network.hosts[coordinators.length + at], within: network.within(coordinators.length + at) }),
      }))
      for (const [at, maker] of makers.entries()) servers.push(await kafkaServer({ ...options[at], maker }))
      await Promise.all(servers.map((server) => server.start()))
      const brokers = new Brokers(ensemble, await ensemble.connect(), servers, options)
      await asking('an administrator connects', () => brokers.admin.connect())
      return brokers
    } catch (error) {
      for (const server of servers) await server.dispose()
      await ensemble.dispose()
      throw error
    }
  }

  get addresses(): string[] {
    return this.servers.map(({ address }) => address)
  }
  id(server: Server): number {
    return this.servers.indexOf(server) + 1
  }
  server(id: number): Server {
    const server = this.servers[id - 1]
    if (!server) throw new Error(`there is no broker ${id}`)
    return server
  }
  /** Who is registered as the controller now; undefined while nobody is. */
  async controllerId(): Promise<number | undefined> {
    const { data } = await this.session.getData('/controller').catch((error: unknown) => {
      if (isZooKeeperError(error)) return { data: undefined }
      throw error
    })
    return data ? (JSON.parse(String(data)) as { brokerid: number }).brokerid : undefined
  }
  async controller(): Promise<Server> {
    return this.server(await until('a controller', () => this.controllerId()))
  }
  /** Addresses of the brokers that run. */
  get running(): string[] {
    return this.servers.filter(({ running }) => running).map(({ address }) => address)
  }
  /** Whether every broker that runs has been told that this one rules, and that all that run are there. */
  async obey(id: number): Promise<boolean> {
    const views = await Promise.all(this.running.map((address) => viewOf(address)))
    return views.every((view) => view?.controllerId === id && view.brokers.length === views.length)
  }
  /** Empties the office until a broker of this maker, or with this id, holds it, and until every broker knows. */
  async ruledBy(who: Maker | number): Promise<void> {
    await until(`the controller is ${who}, whom all brokers obey`, async () => {
      const id = await this.controllerId()
      if (id === undefined) return false
      if (who === id || who === this.server(id).maker) return this.obey(id)
      await this.session.delete('/controller').catch((error: unknown) => { if (!isZooKeeperError(error)) throw error })
      return false
    })
  }
  /** Asks kafkajs's administrator until it is answered; not for what must not be done twice. */
  asking<T>(what: string, ask: (admin: Admin) => Promise<T>): Promise<T> {
    return asking(what, () => ask(this.admin))
  }
  /** Makes topics, also where the one who is asked is not the controller any more, or dies after it has made them; every broker that runs knows them then. */
  create(...topics: readonly ITopicConfig[]): Promise<void> {
    return createTopics(this.admin, this.running, ...topics)
  }
  /** Ends of a topic's partitions, in order. */
  async ends(topic: string): Promise<number[]> {
    const offsets = await this.asking(`the ends of ${topic}`, (admin) => admin.fetchTopicOffsets(topic))
    return offsets.toSorted((one, other) => one.partition - other.partition).map(({ high }) => Number(high))
  }
  /**
   * As one of those brokers tells it that have seen the most elections, a second after the first answer at the latest: one that is cut off, or frozen, is behind. Others
   * may still not know it. `leader` is -1 where there is none.
   */
  async partitions(topic: string): Promise<PartitionState[]> {
    return until(`a broker tells of ${topic}`, async () => {
      const told: PartitionState[][] = []
      const asked = this.running.map(async (address) => void told.push(await partitionsAt(address, topic)))
      const isThere = await Promise.any(asked).then(() => true, () => false)
      if (!isThere) return undefined
      let timer: NodeJS.Timeout | undefined
      await Promise.race([Promise.allSettled(asked), new Promise((resolve) => (timer = setTimeout(resolve, 1_000)))])
      clearTimeout(timer)
      const elections = (partitions: PartitionState[]): number => partitions.reduce((sum, { epoch }) => sum + epoch, 0)
      const most = Math.max(...told.map(elections))
      const newest = told.filter((partitions) => elections(partitions) === most)
      return newest[Math.floor(Math.random() * newest.length)]
    })
  }
  async leader(topic: string, partition = 0): Promise<Server> {
    return this.server(await until(`a leader of ${topic}-${partition}`, async () => {
      const found = (await this.partitions(topic))[partition]
      return found && found.leader > 0 && found.leader
    }))
  }
  /** The partition of `__consumer_offsets` that keeps a group. */
  partitionOf(groupId: string): number {
    return offsetsPartitionOf(groupId, offsetsPartitions)
  }
  /** Whom the members of a group obey. */
  async coordinator(groupId: string): Promise<Server> {
    return this.leader('__consumer_offsets', this.partitionOf(groupId))
  }
  /** Waits until every replica of these topics is in sync, and every broker that runs knows. */
  async inSync(...topics: string[]): Promise<void> {
    await until(`all replicas of ${topics.join(', ')} in sync`, async () => {
      const found = await Promise.all(this.running.flatMap((address) => topics.map((topic) => partitionsAt(address, topic).catch(() => undefined))))
      return found.every((partitions) => partitions?.every(({ isr, replicas, leader }) => isr.length === replicas.length && leader > 0))
    })
  }
  /** The first segment of a partition, as it lies on a broker's disk; undefined where there is none (now). */
  segment(id: number, topic: string, partition = 0): Buffer | undefined {
    try {
      return readFileSync(join(this.server(id).dataDirectory, `${topic}-${partition}`, '00000000000000000000.log'))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
      throw error
    }
  }
  /** Waits until these brokers hold the same bytes of a partition, epochs of leaders included. */
  async sameBytes(topic: string, partition: number, [first, ...others]: readonly number[]): Promise<void> {
    await until(`the same bytes of ${topic}-${partition} on brokers ${[first, ...others].join()}`, () => {
      const bytes = this.segment(first, topic, partition)
      return bytes !== undefined && others.every((id) => this.segment(id, topic, partition)?.equals(bytes))
    })
  }
  /** Asks the controller once for elections of the preferred leaders of a topic: what it can do now is done, or the next who asks has it done. */
  async preferLeaders(topic: string): Promise<void> {
    const partitions = (await this.partitions(topic)).map(({ id }) => id)
    await askBroker(await this.controller(), ElectLeaders, { electionType: 0, timeoutMs: 5_000, topicPartitions: [{ topic, partitions }] }, { version: 2 })
  }
  /** Starts a broker that was killed. Apache's refuses while the session of its former life lasts. */
  async revive(server: Server): Promise<void> {
    const path = `/brokers/ids/${this.id(server)}`
    if (server.maker === 'apache') await until(`the old session of ${path} is over`, async () => !(await this.session.exists(path)))
    await server.start()
  }
  /** The stopped broker at this place is from now on another's, on the same folder and port. It is not started. */
  async replace(server: Server, maker: Maker): Promise<Server> {
    const at = this.servers.indexOf(server)
    return (this.servers[at] = await kafkaServer({ ...this.#options[at], maker, directory: server.directory, port: server.port }))
  }
  /** While it lasts the broker stands still, longer than its session. */
  async frozen(server: Server, meanwhile: () => Promise<void>): Promise<void> {
    try {
      await freeze(server)
      await until('its session is over', async () => !(await this.session.exists(`/brokers/ids/${this.id(server)}`)))
      await meanwhile()
    } finally {
      thaw(server)
    }
  }
  async dispose(): Promise<void> {
    await this.admin.disconnect().catch(() => {})
    for (const server of this.servers) await server.kill()
    await this.ensemble.dispose()
    for (const { directory } of this.servers) spawnSync('rm', ['-rf', directory])
  }
}

export interface PartitionState {
  readonly id: number
  readonly leader: number
  /** Of the leader. */
  readonly epoch: number
  /** Sorted. */
  readonly isr: readonly number[]
  readonly replicas: readonly number[]
}
async function partitionsAt(address: string, topic: string): Promise<PartitionState[]> {
  const found = (await viewOf(address, [topic]))?.topics[0]
  if (!found || found.partitions.length === 0) throw new Error(`${address} does not know ${topic}`)
  return found.partitions.map(({ partitionIndex, leaderId, leaderEpoch, isrNodes, replicaNodes }) => ({ id: partitionIndex, leader: leaderId, epoch: leaderEpoch, isr: isrNodes.toSorted(), replicas: replicaNodes })).sort((one, other) => one.id - other.id)
}

/**
 * Brokers 1 to n and one ZooKeeper server (`ZOOKEEPER` says whose) for a whole test file or suite, as `useCluster` has them: the answer's
 * field is there once tests run.
 */
export function useBrokers(makers: readonly Maker[], options: BrokersOptions = {}): { readonly brokers: Brokers } {
  const holder = {} as { brokers: Brokers }
  // Of the hooks after all tests the last comes first: clients go before servers.
  disposeOf(() => (holder.brokers ? [...holder.brokers.servers, ...holder.brokers.ensemble.servers] : []))
  beforeAll(async () => {
    holder.brokers = await Brokers.start([zookeeperMaker], makers, options)
  }, 300_000)
  afterAll(() => holder.brokers?.dispose())
  return holder
}
