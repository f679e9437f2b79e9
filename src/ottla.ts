/**
 * Ottla as a library, and the only place that builds real hosts and wires the wings together.
 *
 *     const ottla = await Ottla.start()
 *     new Kafka({ brokers: [ottla.bootstrapServers] })
 *     await ottla.stop()
 */
import { join } from 'node:path'
import type { Host, Logger } from './host/host.ts'
import { silentLogger } from './host/logger.ts'
import { nodeHost, temporaryDirectory } from './host/node.ts'
import { Broker } from './kafka/broker/broker.ts'
import { readBrokerConfig } from './kafka/config/broker-settings.ts'
import type { PropertyEntry } from './wire/properties.ts'
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

function startZooKeeper(host: Host, { dataDir, address, port }: { dataDir: string; address: string; port: number }, onFailure?: (failure: Error) => void): Promise<ZooKeeperServer> {
  const lines = [`dataDir=${dataDir}`, `clientPort=${port}`, ...(address === '' ? [] : [`clientPortAddress=${address}`]), 'tickTime=2000', 'maxClientCnxns=0', 'admin.enableServer=false', 'autopurge.purgeInterval=1']
  return ZooKeeperServer.start(host, parseZooCfg(lines.join('\n'), 'built-in configuration').config, {
    onFailure: (error) => onFailure?.(error instanceof Error ? error : new Error(String(error))),
  })
}
