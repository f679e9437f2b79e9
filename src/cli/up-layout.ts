/** What a pseudo-cluster on one machine consists of: processes, ports, folders and configuration files. Pure. */
import { join } from 'node:path'
import { hostPort } from '../wire/host-port.ts'

export interface BrokerPlace {
  id: number
  port: number
}
export interface CoordinatorPlace {
  /** `myid`, from 1. */
  id: number
  /** For clients; 0 in the record of a process that chose another. */
  port: number
  /** Between members; both 0 for a coordinator that is alone. */
  quorum: number
  election: number
}
/** What is remembered in the data folder. */
export interface ClusterRecord {
  /** Where clients of this machine reach it. */
  host: string
  brokers: BrokerPlace[]
  coordinators: CoordinatorPlace[]
}

/** A process to supervise. `name` is also that of its log. */
export interface ServerPlan {
  kind: 'broker' | 'coordinator'
  name: string
  script: string
  configFile: string
  configText: string
  /** Files besides the configuration that have to be there, with what they hold. */
  files: Readonly<Record<string, string>>
  /** Client port first. */
  ports: readonly number[]
}
export interface LayoutOptions {
  /** Absolute. */
  dataDir: string
  /** Address to listen on; '': every interface. */
  listen: string
  /** HOST of `--advertise` and the port of the first broker there, where something translates addresses. */
  advertise?: { host: string; port: number }
  overrides: readonly { key: string; value: string }[]
}

/** How far the ports between coordinators lie above those for clients: 2181, 2888, 3888 are the usual ones. */
export const quorumDistance = 2888 - 2181
export const electionDistance = 3888 - 2181

/** The first broker and a coordinator that is alone keep the folders that a single process has, so that it can grow. */
export const brokerFolder = (dataDir: string, id: number): string => join(dataDir, id === 0 ? 'kafka' : `kafka-${id}`)
export const coordinatorFolder = (dataDir: string, id: number, count: number): string => join(dataDir, count === 1 ? 'zookeeper' : `zookeeper-${id}`)

export const bootstrapServers = ({ host, brokers }: ClusterRecord): string => brokers.map(({ port }) => hostPort(host, port)).join(',')
export const zookeeperConnect = ({ coordinators }: ClusterRecord, listen: string): string => coordinators.map(({ port }) => hostPort(listen === '' ? '127.0.0.1' : listen, port)).join(',')

export function plansOf(record: ClusterRecord, options: LayoutOptions): ServerPlan[] {
  return [...record.coordinators.map((one) => coordinatorPlan(one, record, options)), ...record.brokers.map((one) => brokerPlan(one, record, options))]
}

const head = '# Written by `ottla up` at each start: changes here are lost.'
/** Java's properties: a backslash is an escape. */
const text = (entries: Readonly<Record<string, string | number>>): string =>
  `${head}\n${Object.entries(entries).map(([key, value]) => `${key}=${String(value).replaceAll('\\', '\\\\')}`).join('\n')}\n`

function coordinatorPlan({ id, port, quorum, election }: CoordinatorPlace, { coordinators }: ClusterRecord, { dataDir, listen }: LayoutOptions): ServerPlan {
  const folder = coordinatorFolder(dataDir, id, coordinators.length)
  const alone = coordinators.length === 1
  // The members are all on this machine, whoever the clients are.
  const members = alone ? {} : Object.fromEntries(coordinators.map((one) => [`server.${one.id}`, `127.0.0.1:${one.quorum}:${one.election}`]))
  return {
    kind: 'coordinator',
    name: `coordinator-${id}`,
    script: 'zookeeper-server-start.js',
    configFile: join(dataDir, 'config', `coordinator-${id}.cfg`),
    configText: text({
      dataDir: folder,
      clientPort: port,
      ...(listen !== '' && { clientPortAddress: listen }),
      tickTime: 2000,
      initLimit: 10,
      syncLimit: 5,
      maxClientCnxns: 0,
      'admin.enableServer': 'false',
      'autopurge.purgeInterval': 1,
      ...members,
    }),
    files: alone ? {} : { [join(folder, 'myid')]: `${id}\n` },
    ports: alone ? [port] : [port, quorum, election],
  }
}

function brokerPlan({ id, port }: BrokerPlace, record: ClusterRecord, { dataDir, listen, advertise, overrides }: LayoutOptions): ServerPlan {
  const copies = Math.min(3, record.brokers.length)
  const told = advertise ? hostPort(advertise.host, advertise.port + record.brokers.findIndex((one) => one.id === id)) : hostPort(record.host, port)
  return {
    kind: 'broker',
    name: `broker-${id}`,
    script: 'kafka-server-start.js',
    configFile: join(dataDir, 'config', `broker-${id}.properties`),
    configText: text({
      'broker.id': id,
      listeners: `PLAINTEXT://${hostPort(listen, port)}`,
      'advertised.listeners': `PLAINTEXT://${told}`,
      'log.dirs': brokerFolder(dataDir, id),
      'zookeeper.connect': zookeeperConnect(record, listen),
      // What fewer brokers than three cannot have; with three these are Apache's defaults.
      'offsets.topic.replication.factor': copies,
      'transaction.state.log.replication.factor': copies,
      'transaction.state.log.min.isr': Math.min(2, copies),
      'group.initial.rebalance.delay.ms': 0,
      // When all stop at once there is nobody to hand leaderships to: that is found out sooner.
      'controlled.shutdown.retry.backoff.ms': 500,
      ...Object.fromEntries(overrides.map(({ key, value }) => [key, value])),
    }),
    files: {},
    ports: [port],
  }
}
