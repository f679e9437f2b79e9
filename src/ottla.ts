/**
 * Ottla as a library, and the only place that builds real hosts and wires the wings together.
 *
 *     const ottla = await Ottla.start()
 *     new Kafka({ brokers: [ottla.bootstrapServers] })
 *     await ottla.stop()
 *
 * `OttlaCluster.start({ brokers: 3, coordinators: 3 })` is the same with several of each, all in this process.
 */
import { dirname, join } from 'node:path'
import type { Host, Logger } from './host/host.ts'
import { silentLogger } from './host/logger.ts'
import { nodeHost, temporaryDirectory } from './host/node.ts'
import { freePort } from './host/ports.ts'
import { Broker } from './kafka/broker/broker.ts'
import { readBrokerConfig } from './kafka/config/broker-settings.ts'
import { bootstrapServers, plansOf, zookeeperConnect, type ClusterRecord } from './cli/up-layout.ts'
import { parseProperties, type PropertyEntry } from './wire/properties.ts'
import { parseZooCfg } from './zookeeper/server/config.ts'
import { ZooKeeperServer } from './zookeeper/server/server.ts'

export interface OttlaOptions {
  /** Where everything is kept. Default: a new temporary folder, removed by `stop`. */
  dataDir?: string
  /** Default 0: any free port. */
  kafkaPort?: number
  /** Default 0: any free port. */
  zookeeperPort?: number
  /** The interface to listen on; '' for all. Default 127.0.0.1. */
  host?: string
  /** `HOST:PORT` that clients are told to connect to, where something translates addresses. Default: the address they came to. */
  advertise?: string
  /** Connect string of a ZooKeeper service that runs already: then none is started. */
  zookeeperConnect?: string
  /** Further keys of server.properties. */
  broker?: Readonly<Record<string, string>>
  /** Default: says nothing. */
  logger?: Logger
  /** Called when broker or ZooKeeper cannot go on (a disk that takes no writes any more) and wants to be stopped. */
  onFailure?: (failure: Error) => void
}

/** What a single broker cannot have more than one of, and what a laptop need not wait for; the rest is Kafka's defaults. */
const singleBrokerDefaults: Readonly<Record<string, string>> = {
  'broker.id': '0',
  'offsets.topic.replication.factor': '1',
  'transaction.state.log.replication.factor': '1',
  'transaction.state.log.min.isr': '1',
  'group.initial.rebalance.delay.ms': '0',
}

export class Ottla {
  /** `host:port` of the broker. */
  readonly bootstrapServers: string
  /** `host:port` of the ZooKeeper service. */
  readonly zookeeperConnect: string
  readonly dataDir: string
  readonly broker: Broker
  readonly #zookeeper: ZooKeeperServer | undefined
  readonly #cleanUp: () => Promise<void>
  #stopped: Promise<void> | undefined

  private constructor(facts: { broker: Broker; zookeeper: ZooKeeperServer | undefined; dataDir: string; host: string; zookeeperConnect: string; cleanUp: () => Promise<void> }) {
    this.broker = facts.broker
    this.#zookeeper = facts.zookeeper
    this.dataDir = facts.dataDir
    this.bootstrapServers = `${facts.host}:${facts.broker.listeners[0].port}`
    this.zookeeperConnect = facts.zookeeperConnect
    this.#cleanUp = facts.cleanUp
  }

  /** A broker and the ZooKeeper server that coordinates it, ready for clients. Several may run in one process. */
  static async start(options: OttlaOptions = {}): Promise<Ottla> {
    const host = nodeHost({ logger: options.logger ?? silentLogger })
    const temporary = options.dataDir === undefined
    const dataDir = options.dataDir ?? (await temporaryDirectory('ottla-'))
    const cleanUp = async (): Promise<void> => {
      if (temporary) await host.disk.removeTree(dataDir)
    }
    const address = options.host ?? '127.0.0.1'
    const reachable = address === '' ? 'localhost' : address
    let zookeeper: ZooKeeperServer | undefined
    try {
      zookeeper = options.zookeeperConnect === undefined ? await startZooKeeper(host, { dataDir: join(dataDir, 'zookeeper'), address, port: options.zookeeperPort ?? 0 }, options.onFailure) : undefined
      const zookeeperConnect = options.zookeeperConnect ?? `${address === '' ? '127.0.0.1' : address}:${zookeeper!.port}`
      const entries: PropertyEntry[] = Object.entries({
        ...singleBrokerDefaults,
        'listeners': `PLAINTEXT://${address}:${options.kafkaPort ?? 0}`,
        ...(options.advertise !== undefined && { 'advertised.listeners': `PLAINTEXT://${options.advertise}` }),
        'log.dirs': join(dataDir, 'kafka'),
        'zookeeper.connect': zookeeperConnect,
        ...options.broker,
      }).map(([key, value]) => ({ key, value }))
      const broker = await Broker.start(host, readBrokerConfig(entries).settings, { onFailure: options.onFailure })
      return new Ottla({ broker, zookeeper, dataDir, host: reachable, zookeeperConnect, cleanUp })
    } catch (error) {
      await zookeeper?.stop()
      await cleanUp()
      throw error
    }
  }

  /** A controlled, clean stop; a temporary folder is removed. */
  stop(): Promise<void> {
    return (this.#stopped ??= this.#stop())
  }
  async #stop(): Promise<void> {
    try {
      await this.broker.stop()
    } finally {
      await this.#zookeeper?.stop()
      await this.#cleanUp()
    }
  }
}

export interface OttlaClusterOptions extends Pick<OttlaOptions, 'dataDir' | 'broker' | 'logger' | 'onFailure'> {
  /** Default 3; their ids begin with 0. */
  brokers?: number
  /** Default 3; their ids begin with 1. */
  coordinators?: number
}

/** Brokers and an ensemble of ZooKeeper servers in one process, on free ports of 127.0.0.1; for tests of what happens when one of them is gone. */
export class OttlaCluster {
  /** `host:port` of each broker, with commas between. */
  readonly bootstrapServers: string
  /** The same of the ZooKeeper servers. */
  readonly zookeeperConnect: string
  readonly dataDir: string
  /** By id; one that was stopped is not there. */
  readonly brokers: ReadonlyMap<number, Broker>
  readonly #brokers: Map<number, Broker>
  readonly #starters: ReadonlyMap<number, () => Promise<Broker>>
  readonly #coordinators: readonly ZooKeeperServer[]
  readonly #cleanUp: () => Promise<void>
  #stopped: Promise<void> | undefined

  private constructor(facts: { record: ClusterRecord; dataDir: string; brokers: Map<number, Broker>; starters: ReadonlyMap<number, () => Promise<Broker>>; coordinators: readonly ZooKeeperServer[]; cleanUp: () => Promise<void> }) {
    this.bootstrapServers = bootstrapServers(facts.record)
    this.zookeeperConnect = zookeeperConnect(facts.record, loopback)
    this.dataDir = facts.dataDir
    this.brokers = this.#brokers = facts.brokers
    this.#starters = facts.starters
    this.#coordinators = facts.coordinators
    this.#cleanUp = facts.cleanUp
  }

  /** Resolves when every broker serves. Offsets and transactions have as many copies as Apache's defaults ask for and brokers there are. */
  static async start({ brokers: brokerCount = 3, coordinators: coordinatorCount = 3, ...options }: OttlaClusterOptions = {}): Promise<OttlaCluster> {
    const host = nodeHost({ logger: options.logger ?? silentLogger })
    const temporary = options.dataDir === undefined
    const dataDir = options.dataDir ?? (await temporaryDirectory('ottla-'))
    const chosen = new Set<number>()
    while (chosen.size < brokerCount + 3 * coordinatorCount) chosen.add(await freePort(loopback, chosen))
    const ports = [...chosen]
    const member = coordinatorCount > 1
    const record: ClusterRecord = {
      host: loopback,
      brokers: Array.from({ length: brokerCount }, (_, id) => ({ id, port: ports.pop()! })),
      coordinators: Array.from({ length: coordinatorCount }, (_, index) => ({ id: index + 1, port: ports.pop()!, quorum: member ? ports.pop()! : 0, election: member ? ports.pop()! : 0 })),
    }
    const plans = plansOf(record, { dataDir, listen: loopback, overrides: Object.entries(options.broker ?? {}).map(([key, value]) => ({ key, value })) })
    const onFailure = (error: unknown): void => options.onFailure?.(error instanceof Error ? error : new Error(String(error)))
    const started: { stop(): Promise<void> }[] = []
    const brokers = new Map<number, Broker>()
    const cleanUp = async (): Promise<void> => {
      if (temporary) await host.disk.removeTree(dataDir)
    }
    try {
      for (const { files } of plans)
        for (const [path, content] of Object.entries(files)) {
          await host.disk.makeDirectory(dirname(path))
          await host.disk.replaceFile(path, content)
        }
      const coordinators = await Promise.all(plans.filter(({ kind }) => kind === 'coordinator').map(async ({ configText, name }) => {
        const server = await ZooKeeperServer.start(host, parseZooCfg(configText, name).config, { onFailure })
        started.push(server)
        return server
      }))
      const starters = new Map(plans.filter(({ kind }) => kind === 'broker').map(({ configText, name }, id) => [id, () => Broker.start(host, readBrokerConfig(parseProperties(configText, name)).settings, { onFailure })] as const))
      await Promise.all([...starters].map(async ([id, start]) => {
        const broker = await start()
        started.unshift(broker)
        brokers.set(id, broker)
      }))
      return new OttlaCluster({ record, dataDir, brokers, starters, coordinators, cleanUp })
    } catch (error) {
      for (const server of started) await server.stop().catch(() => {})
      await cleanUp()
      throw error
    }
  }

  /** One broker stops in good order; its partitions get other leaders, its data stays. */
  async stopBroker(id: number): Promise<void> {
    const broker = this.brokers.get(id)
    if (!broker) throw new Error(`broker ${id} does not run; those that do: ${[...this.brokers.keys()].join(', ') || 'none'}`)
    this.#brokers.delete(id)
    await broker.stop()
  }
  /** It returns, on its port and its data. */
  async startBroker(id: number): Promise<void> {
    const start = this.#starters.get(id)
    if (!start || this.brokers.has(id)) throw new Error(start ? `broker ${id} runs already` : `there is no broker ${id}; the cluster was started with ${[...this.#starters.keys()].join(', ')}`)
    this.#brokers.set(id, await start())
  }

  /** The brokers one after the other, then the coordinators; a temporary folder is removed. */
  stop(): Promise<void> {
    return (this.#stopped ??= this.#stop())
  }
  async #stop(): Promise<void> {
    try {
      for (const id of [...this.brokers.keys()].sort((a, b) => b - a)) await this.stopBroker(id)
    } finally {
      await Promise.all(this.#coordinators.map((server) => server.stop()))
      await this.#cleanUp()
    }
  }
}

const loopback = '127.0.0.1'

function startZooKeeper(host: Host, { dataDir, address, port }: { dataDir: string; address: string; port: number }, onFailure?: (failure: Error) => void): Promise<ZooKeeperServer> {
  const lines = [`dataDir=${dataDir}`, `clientPort=${port}`, ...(address === '' ? [] : [`clientPortAddress=${address}`]), 'tickTime=2000', 'maxClientCnxns=0', 'admin.enableServer=false', 'autopurge.purgeInterval=1']
  return ZooKeeperServer.start(host, parseZooCfg(lines.join('\n'), 'built-in configuration').config, {
    onFailure: (error) => onFailure?.(error instanceof Error ? error : new Error(String(error))),
  })
}
