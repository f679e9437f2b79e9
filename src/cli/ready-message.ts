/** What `ottla up` prints when everything listens. */
import { bootstrapServers as serversOf, zookeeperConnect as connectOf, type ClusterRecord } from './up-layout.ts'

export interface ReadyFacts {
  version: string
  /** HOST:PORT lists as clients take them. */
  bootstrapServers: string
  zookeeperConnect: string
  dataDir: string
  /** Said to clients instead, when there is one. */
  advertised: string | undefined
  /** Where the tools lie, as one would type it here. */
  bin: string
  seconds: number
}

export function readyMessage({ version, bootstrapServers, zookeeperConnect, dataDir, advertised, bin, seconds }: ReadyFacts): string {
  const kafka = `--bootstrap-server ${bootstrapServers}`
  return `Ottla ${version} is ready after ${seconds.toFixed(2)} s.

  Kafka      ${bootstrapServers}${advertised === undefined ? '' : `   (clients are told ${advertised})`}
  ZooKeeper  ${zookeeperConnect}
  Data       ${dataDir}

To try it, in another terminal:

  ${bin}/kafka-topics.sh ${kafka} --create --topic hello
  echo 'Hello, world' | ${bin}/kafka-console-producer.sh ${kafka} --topic hello
  ${bin}/kafka-console-consumer.sh ${kafka} --topic hello --from-beginning --max-messages 1

Ctrl-C stops both cleanly.
`
}

export interface ClusterReadyFacts {
  version: string
  record: ClusterRecord
  /** Address listened on; '': every interface. */
  listen: string
  dataDir: string
  advertised: string | undefined
  bin: string
  seconds: number
  /** Of a broker or coordinator, by the name of its log. */
  processId(name: string): number | undefined
  restart: boolean
}
/** The same of several processes. */
export function clusterReadyMessage({ version, record, listen, dataDir, advertised, bin, seconds, processId, restart }: ClusterReadyFacts): string {
  const { brokers, coordinators } = record
  const connect = connectOf(record, listen)
  const servers = serversOf(record)
  const rows = [
    ...coordinators.map(({ id, port, quorum, election }) => [`coordinator-${id}`, `port ${port}${quorum === 0 ? '' : `, among themselves ${quorum} and ${election}`}`, processId(`coordinator-${id}`)]),
    ...brokers.map(({ id, port }) => [`broker-${id}`, `port ${port}`, processId(`broker-${id}`)]),
  ]
  const widths = [0, 1].map((column) => Math.max(...rows.map((row) => String(row[column]).length)))
  const processes = rows.map(([name, ports, id]) => `  ${String(name).padEnd(widths[0])}  ${String(ports).padEnd(widths[1])}  process ${id}`)
  const kafka = `--bootstrap-server ${servers}`
  const toTry = brokers.length === 0
    ? [`${bin}/zkCli.sh -server ${connect} ls /`]
    : [
        `${bin}/kafka-topics.sh ${kafka} --create --topic hello --partitions 3 --replication-factor ${Math.min(3, brokers.length)}`,
        `echo 'Hello, world' | ${bin}/kafka-console-producer.sh ${kafka} --topic hello`,
        `${bin}/kafka-console-consumer.sh ${kafka} --topic hello --from-beginning --max-messages 1`,
        `${bin}/ottla status --data-dir ${dataDir}`,
      ]
  return `Ottla ${version} is ready after ${seconds.toFixed(2)} s.

${brokers.length === 0 ? '' : `  Kafka      ${servers}${advertised === undefined ? '' : `   (clients are told ${advertised})`}\n`}  ZooKeeper  ${connect}
  Data       ${dataDir}
  Logs       ${dataDir}/logs

${processes.join('\n')}

To try it, in another terminal:

${toTry.map((line) => `  ${line}`).join('\n')}

${restart ? 'A process that ends is started again. ' : ''}Ctrl-C stops ${brokers.length === 0 ? 'all' : 'all, the brokers first'}.
`
}
