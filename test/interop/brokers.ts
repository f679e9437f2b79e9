/** Clusters of either maker's brokers on an ensemble: made, looked at, disturbed. */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Kafka, logLevel, type Admin, type ITopicConfig } from 'kafkajs'
import { afterAll, beforeAll } from 'vitest'
import type { ZooKeeperClient } from '../../src/zookeeper/client/client.ts'
import { isZooKeeperError } from '../../src/zookeeper/client/errors.ts'
import { Ensemble, freeze, thaw, type Make } from './ensemble.ts'
import type { Network } from './network.ts'
import { until } from './process.ts'
import { disposeOf, kafkaServer, zookeeperMaker, type Maker, type Server, type ServerOptions } from './target.ts'

type Lines = Record<string, string | number | boolean>

export interface BrokersOptions {
  /** More lines for every configuration file, or for that of one broker by its id. */
  readonly config?: Lines | ((id: number) => Lines)
  /** Servers of the ensemble come first in it, then the brokers. */
  readonly network?: Network
}

const sessionTimeoutMs = 6_000
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
    this.kafka = new Kafka({ brokers: this.addresses, logLevel: logLevel.NOTHING, requestTimeout: 10_000, connectionTimeout: 3_000, retry: { retries: 60, initialRetryTime: 100, maxRetryTime: 500 } })
    this.admin = this.kafka.admin()
  }

  static async start(coordinators: readonly Make[], makers: readonly Maker[], { config, network }: BrokersOptions = {}): Promise<Brokers> {
    const ensemble = await Ensemble.start(coordinators, network && { network })
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
      await brokers.admin.connect()
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
  /** Empties the office until one of `maker` holds it, and until the others know it. */
  async ruledBy(maker: Maker): Promise<void> {
    await until(`a controller of ${maker}`, async () => {
      const id = await this.controllerId()
      if (id !== undefined && this.server(id).maker === maker) return (await this.asking('a broker tells who rules', (admin) => admin.describeCluster())).controller === id
      if (id !== undefined) await this.session.delete('/controller').catch((error: unknown) => { if (!isZooKeeperError(error)) throw error })
      return false
    })
  }
  /**
   * Asks until it is answered: kafkajs turns to the broker that it asked last or takes for the controller, also when that one has just stopped, has just begun, or
   * has not heard of something yet, and does not try another one by itself. Not for what must not be done twice.
   */
  async asking<T extends object | void>(what: string, ask: (admin: Admin) => Promise<T>): Promise<T> {
    let last: unknown
    const { answer } = await until(what, () => ask(this.admin).then((answer) => ({ answer }), (error: unknown) => void (last = error))).catch((cause: Error) => {
      throw new Error(`${cause.message}; last ${String(last)}`, { cause: last })
    })
    return answer
  }
  /** Makes a topic, also where the one who is asked dies after it has made it. */
  async create(topic: ITopicConfig): Promise<void> {
    await this.asking(`${topic.topic} is made`, async (admin) => {
      await admin.createTopics({ waitForLeaders: true, topics: [topic] }).catch(async (error: unknown) => {
        if (!(await admin.listTopics()).includes(topic.topic)) throw error
      })
    })
  }
  async partitions(topic: string): Promise<{ id: number; leader: number; isr: number[]; replicas: number[] }[]> {
    const { topics: [{ partitions }] } = await this.asking(`a broker tells of ${topic}`, (admin) => admin.fetchTopicMetadata({ topics: [topic] }))
    return partitions.map(({ partitionId, leader, isr, replicas }) => ({ id: partitionId, leader, isr: isr.toSorted(), replicas })).sort((one, other) => one.id - other.id)
  }
  async leader(topic: string, partition = 0): Promise<Server> {
    return this.server(await until(`a leader of ${topic}-${partition}`, async () => {
      const found = (await this.partitions(topic))[partition]
      return found && found.leader > 0 && found.leader
    }))
  }
  /** The partition of `__consumer_offsets` that keeps a group. */
  partitionOf(groupId: string): number {
    // String.hashCode of Java.
    const hash = [...groupId].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) | 0, 0)
    return Math.abs(hash) % offsetsPartitions
  }
  /** Whom the members of a group obey. */
  async coordinator(groupId: string): Promise<Server> {
    return this.leader('__consumer_offsets', this.partitionOf(groupId))
  }
  /** Waits until every replica of these topics is in sync. */
  async inSync(...topics: string[]): Promise<void> {
    await until(`all replicas of ${topics.join(', ')} in sync`, async () => {
      const found = await Promise.all(topics.map((topic) => this.partitions(topic)))
      return found.flat().every(({ isr, replicas, leader }) => isr.length === replicas.length && leader > 0)
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
