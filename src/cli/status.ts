/** `ottla status`: the servers of a cluster, who leads what, and what is wrong. */
import { join, resolve } from 'node:path'
import { KafkaClient } from '../kafka/client/client.ts'
import { DescribeConfigs } from '../kafka/protocol/describe-configs.ts'
import { hostPort } from '../wire/host-port.ts'
import { brokersIn, connectZooKeeper } from './brokers-in-zookeeper.ts'
import { problemsOf, statusText, type BrokerStatus, type ClusterStatus, type CoordinatorStatus, type PartitionStatus } from './cluster-status.ts'
import { askWord, whyNoAnswer } from './four-letter-word.ts'
import { OptionError, Options } from './options.ts'
import { statusOptions } from './status-options.ts'
import { refuseCommandLine, type Tool, type ToolIo } from './tool.ts'
import { bootstrapServers, zookeeperConnect } from './up-layout.ts'
import { readRecord } from './up-record.ts'

interface Where {
  bootstrap: string | undefined
  zookeeper: string | undefined
  /** Brokers that should be there. */
  brokerIds: readonly number[]
  /** `ottla up` started no brokers. */
  withoutBrokers: boolean
}
const defaults: Where = { bootstrap: 'localhost:9092', zookeeper: '127.0.0.1:2181', brokerIds: [], withoutBrokers: false }

export const status: Tool = async (argv, io) => {
  let options: Options
  let where: Where
  try {
    options = new Options(statusOptions, argv)
    options.refuse('data-dir', ['bootstrap-server', 'zookeeper'])
    where = whereOf(options)
  } catch (error) {
    return refuseCommandLine(error, statusOptions, io)
  }
  const found = await gather(where, options.number('timeout')!, io)
  const problems = problemsOf(found)
  io.out(options.has('json') ? `${JSON.stringify({ ok: problems.length === 0, problems, ...found }, undefined, 2)}\n` : statusText(found, problems))
  return problems.length === 0 ? 0 : 1
}

function whereOf(options: Options): Where {
  if (options.has('bootstrap-server') || options.has('zookeeper')) return { bootstrap: options.value('bootstrap-server'), zookeeper: options.value('zookeeper'), brokerIds: [], withoutBrokers: false }
  const dataDir = resolve(options.value('data-dir')!)
  const record = readRecord(dataDir)
  if (record) {
    const listen = record.host === 'localhost' ? '' : record.host
    return { bootstrap: bootstrapServers(record) || undefined, zookeeper: zookeeperConnect(record, listen), brokerIds: record.brokers.map(({ id }) => id), withoutBrokers: record.brokers.length === 0 }
  }
  if (options.has('data-dir')) throw new OptionError(`${join(dataDir, 'ottla.json')} is not there: no ottla up has run on this folder. Name the one it ran on, or --bootstrap-server or --zookeeper`)
  return defaults
}

/** Never rejects: what does not answer is part of the status. */
async function gather(where: Where, timeoutMs: number, io: ToolIo): Promise<ClusterStatus> {
  let { bootstrap, zookeeper } = where
  let withoutBrokers = where.withoutBrokers
  let trouble: string | undefined
  if (bootstrap === undefined && !withoutBrokers && zookeeper !== undefined) {
    try {
      bootstrap = await brokersAt(zookeeper, io)
      withoutBrokers = bootstrap === undefined
    } catch (error) {
      trouble = (error as Error).message
    }
  }
  let kafka: ClusterStatus['kafka']
  if (bootstrap !== undefined) {
    const client = new KafkaClient({ host: io.host, bootstrapServers: bootstrap, clientId: 'ottla-status', requestTimeoutMs: timeoutMs, connectTimeoutMs: timeoutMs, callTimeoutMs: timeoutMs })
    try {
      kafka = await kafkaStatus(client, where.brokerIds)
      zookeeper ??= await zookeeperOf(client)
    } catch (error) {
      trouble = (error as Error).message
    } finally {
      await client.close()
    }
  }
  if (!withoutBrokers) kafka ??= { trouble, controllerId: undefined, brokers: [], topicCount: 0, partitions: [] }
  const coordinators = zookeeper === undefined ? [] : await Promise.all(addressesOf(zookeeper).map(coordinatorStatus))
  return { coordinators, kafka }
}

async function brokersAt(connect: string, io: ToolIo): Promise<string | undefined> {
  const session = await connectZooKeeper(io.host, connect)
  try {
    const known = await session.exists('/brokers/ids')
    if (known === undefined) return undefined
    return (await brokersIn(session, connect)).map(({ host, port }) => hostPort(host, port)).join(',')
  } finally {
    await session.close()
  }
}

/** `host:port[,…][/chroot]`, as addresses. */
function addressesOf(connect: string): { host: string; port: number }[] {
  const slash = connect.indexOf('/')
  return (slash < 0 ? connect : connect.slice(0, slash)).split(',').map((part) => {
    const found = /^\s*(?:\[(.+)\]|([^:]+))(?::(\d+))?\s*$/.exec(part)
    return { host: found?.[1] ?? found?.[2] ?? part, port: Number(found?.[3] ?? 2181) }
  })
}
async function coordinatorStatus({ host, port }: { host: string; port: number }): Promise<CoordinatorStatus> {
  const address = hostPort(host, port)
  let answer: string
  try {
    answer = await askWord(host, port, 'srvr')
  } catch (error) {
    return { address, mode: undefined, trouble: whyNoAnswer(error as NodeJS.ErrnoException, host, port) }
  }
  const field = (name: string): string | undefined => new RegExp(`^${name}: (.*)$`, 'm').exec(answer)?.[1]
  const mode = field('Mode')
  if (mode === undefined) return { address, mode, trouble: /not currently serving/.test(answer) ? 'it is without a leader (fewer than a majority see each other, or an election is going on)' : `it answered srvr with ${JSON.stringify(answer.trim().slice(0, 100))}` }
  return { address, mode, zxid: field('Zxid'), connections: Number(field('Connections') ?? 0) }
}

async function zookeeperOf(client: KafkaClient): Promise<string | undefined> {
  const [id] = client.brokers.keys()
  const answer = await client.call({ kind: 'broker', id }, DescribeConfigs, { resources: [{ resourceType: 4, resourceName: String(id), configurationKeys: ['zookeeper.connect'] }] }, { errorsIn: (response) => response.results })
  return answer.results[0]?.configs.find(({ name }) => name === 'zookeeper.connect')?.value || undefined
}

async function kafkaStatus(client: KafkaClient, expected: readonly number[]): Promise<NonNullable<ClusterStatus['kafka']>> {
  const { topics, brokers, controllerId } = await client.retrying('Metadata', () => client.metadata(null))
  const names = topics.flatMap(({ name, errorCode }) => (name === null || errorCode !== 0 ? [] : [name]))
  const [minIsr, troubles] = await Promise.all([minIsrOf(client, names), troublesOf(client, brokers.map(({ nodeId }) => nodeId))])
  const partitions = topics.flatMap(({ name, partitions: all }): PartitionStatus[] =>
    all.map(({ partitionIndex, leaderId, replicaNodes, isrNodes }) => ({
      topic: name!, partition: partitionIndex, leader: leaderId < 0 ? undefined : leaderId, replicas: replicaNodes, isr: isrNodes, minIsr: minIsr.get(name!),
    })).sort((a, b) => a.partition - b.partition)).sort((a, b) => (a.topic < b.topic ? -1 : a.topic > b.topic ? 1 : a.partition - b.partition))
  const addresses = new Map(brokers.map(({ nodeId, host, port }) => [nodeId, hostPort(host, port)]))
  const ids = [...new Set([...addresses.keys(), ...expected, ...partitions.flatMap(({ replicas }) => replicas)])].sort((a, b) => a - b)
  return {
    controllerId: controllerId < 0 ? undefined : controllerId,
    brokers: ids.map((id): BrokerStatus => ({
      id,
      address: addresses.get(id),
      ...(troubles.has(id) && { trouble: troubles.get(id)! }),
      isController: id === controllerId,
      leads: partitions.filter(({ leader }) => leader === id).length,
      holds: partitions.filter(({ replicas }) => replicas.includes(id)).length,
    })),
    topicCount: names.length,
    partitions,
  }
}
/** Of brokers that are registered and do not answer: why. */
async function troublesOf(client: KafkaClient, ids: readonly number[]): Promise<Map<number, string>> {
  const troubles = await Promise.all(ids.map(async (id) => {
    try {
      await client.connectionTo({ kind: 'broker', id })
      return []
    } catch (error) {
      return [[id, innermost(error as Error).message] as const]
    }
  }))
  return new Map(troubles.flat())
}
const innermost = (error: Error): Error => (error.cause instanceof Error ? innermost(error.cause) : error)
/** Empty when nobody can say: it is no reason to say nothing of the cluster. */
async function minIsrOf(client: KafkaClient, names: readonly string[]): Promise<Map<string, number>> {
  if (names.length === 0) return new Map()
  try {
    const { results } = await client.call({ kind: 'any' }, DescribeConfigs, { resources: names.map((resourceName) => ({ resourceType: 2, resourceName, configurationKeys: ['min.insync.replicas'] })) })
    return new Map(results.flatMap(({ resourceName, configs }) => configs.filter(({ name }) => name === 'min.insync.replicas').map(({ value }) => [resourceName, Number(value)] as const)))
  } catch {
    return new Map()
  }
}
