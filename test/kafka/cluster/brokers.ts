/** Several brokers in one process on one ZooKeeper server, free ports: for tests of what they do together. */
import { join } from 'node:path'
import { silentLogger } from '../../../src/host/logger.ts'
import { nodeHost, temporaryDirectory } from '../../../src/host/node.ts'
import type { Connection, Host, Logger } from '../../../src/host/host.ts'
import { Broker } from '../../../src/kafka/broker/broker.ts'
import { KafkaConnection } from '../../../src/kafka/client/connection.ts'
import { readBrokerConfig } from '../../../src/kafka/config/broker-settings.ts'
import type { Api, RequestTo, ResponseOf } from '../../../src/kafka/protocol/api.ts'
import { CreateTopics } from '../../../src/kafka/protocol/create-topics.ts'
import { Fetch } from '../../../src/kafka/protocol/fetch.ts'
import { Produce } from '../../../src/kafka/protocol/produce.ts'
import { batchesIn, recordsOf } from '../../../src/kafka/records/decode.ts'
import { encodeBatch } from '../../../src/kafka/records/encode.ts'
import type { Fields } from '../../../src/wire/schema.ts'
import { ZooKeeperClient } from '../../../src/zookeeper/client/client.ts'
import { parseZooCfg } from '../../../src/zookeeper/server/config.ts'
import { ZooKeeperServer } from '../../../src/zookeeper/server/server.ts'

interface Wires {
  readonly sockets: Set<Connection>
  readonly listening: { close(): Promise<void> }[]
  cut: boolean
}
interface Member {
  readonly broker: Broker
  readonly wires: Wires
}
export class Brokers {
  readonly directory: string
  readonly zookeeperConnect: string
  readonly #zookeeper: ZooKeeperServer | undefined
  readonly #logger: Logger
  readonly #members = new Map<number, Member>()
  readonly #dying = new Map<number, Promise<unknown>>()
  readonly #sessions = new Map<number, { readonly id: bigint; readonly password: Buffer }>()
  readonly #host = nodeHost({ logger: silentLogger })
  readonly #settings: Readonly<Record<string, string>>

  private constructor(facts: { directory: string; zookeeper: ZooKeeperServer | undefined; zookeeperConnect: string; settings: Readonly<Record<string, string>>; logger: Logger }) {
    this.directory = facts.directory
    this.zookeeperConnect = facts.zookeeperConnect
    this.#zookeeper = facts.zookeeper
    this.#settings = facts.settings
    this.#logger = facts.logger
  }
  static async start(ids: readonly number[], { settings = {}, logger = silentLogger }: { settings?: Readonly<Record<string, string>>; logger?: Logger } = {}): Promise<Brokers> {
    const directory = await temporaryDirectory('ottla-cluster-')
    const config = parseZooCfg([`dataDir=${directory}/zookeeper`, 'clientPort=0', 'clientPortAddress=127.0.0.1', 'tickTime=200', 'maxSessionTimeout=60000', 'admin.enableServer=false'].join('\n'), 'test').config
    const zookeeper = await ZooKeeperServer.start(nodeHost({ logger: silentLogger }), config)
    const brokers = new Brokers({ directory, zookeeper, zookeeperConnect: `127.0.0.1:${zookeeper.port}`, settings, logger })
    for (const id of ids) await brokers.start(id)
    return brokers
  }

  get ids(): number[] {
    return [...this.#members.keys()]
  }
  broker(id: number): Broker {
    return this.#members.get(id)!.broker
  }
  async start(id: number, settings: Readonly<Record<string, string>> = {}): Promise<void> {
    // Its logs are locked until the last of it is gone.
    await this.#dying.get(id)
    const wires: Wires = { sockets: new Set(), listening: [], cut: false }
    const entries = Object.entries({
      'broker.id': String(id),
      'listeners': 'PLAINTEXT://127.0.0.1:0',
      'log.dirs': join(this.directory, `kafka-${id}`),
      'zookeeper.connect': this.zookeeperConnect,
      // `kill` ends the session: no test waits for it, and none ends because the machine stood still.
      'zookeeper.session.timeout.ms': '30000',
      'offsets.topic.num.partitions': '3',
      'offsets.topic.replication.factor': '3',
      'group.initial.rebalance.delay.ms': '0',
      'controlled.shutdown.retry.backoff.ms': '200',
      'replica.fetch.backoff.ms': '100',
      ...this.#settings,
      ...settings,
    }).map(([key, value]) => ({ key, value }))
    const broker = await Broker.start(cuttable(nodeHost({ logger: this.#logger.named(`broker-${id}`) }), wires), readBrokerConfig(entries).settings)
    this.#members.set(id, { broker, wires })
  }
  async stop(id: number): Promise<void> {
    const member = this.#members.get(id)
    this.#members.delete(id)
    await member?.broker.stop()
  }
  /** As a power cut seen from outside: every socket dies at once, then what is left is thrown away without a word to anybody. Nobody notices before `expire`. */
  async kill(id: number): Promise<void> {
    await this.cut(id)
    await this.expire(id)
  }
  /** The first half of `kill`. */
  async cut(id: number): Promise<void> {
    const { broker, wires } = this.#members.get(id)!
    const { client } = broker.services.zookeeper.sessions
    this.#sessions.set(id, client.session)
    client.abandon()
    this.#members.delete(id)
    wires.cut = true
    for (const socket of wires.sockets) socket.destroy()
    for (const each of wires.listening) void each.close()
    this.#dying.set(id, broker.stop().catch(() => undefined))
  }
  /** The session of one that was cut off ends, as if its time were over. */
  async expire(id: number): Promise<void> {
    const heir = await ZooKeeperClient.connect(this.#host, { connect: this.zookeeperConnect, sessionTimeoutMs: 30_000, session: this.#sessions.get(id)! })
    await heir.close()
  }
  async stopAll(): Promise<void> {
    for (const id of this.ids) await this.stop(id)
    await Promise.all(this.#dying.values())
    await this.#zookeeper?.stop()
    await this.#host.disk.removeTree(this.directory)
  }

  /** Asks a broker; `controllerId`, also while there is none. */
  async ask<Q extends Fields, S extends Fields>(id: number, api: Api<Q, S>, version: number, request: RequestTo<Api<Q, S>>): Promise<ResponseOf<Api<Q, S>>> {
    if (id < 0) await until(() => this.controllerId >= 0)
    const { host, port } = this.broker(id < 0 ? this.controllerId : id).listeners[0]
    const connection = await KafkaConnection.open({ host: this.#host, to: { host, port }, clientId: 'test', connectTimeoutMs: 60_000 })
    try {
      return (await connection.send(api, request, { version, timeoutMs: 120_000 })) as ResponseOf<Api<Q, S>>
    } finally {
      connection.close()
    }
  }
  get controllerId(): number {
    return this.ids.find((id) => this.broker(id).services.controller.isActive) ?? -1
  }
  /** One partition; its first replica leads. */
  async createTopic(name: string, { replicas = [1, 2, 3], configs = {} }: { replicas?: readonly number[]; configs?: Record<string, string> } = {}): Promise<void> {
    const answer = await this.ask(this.controllerId, CreateTopics, 7, {
      topics: [{ name, numPartitions: -1, replicationFactor: -1, assignments: [{ partitionIndex: 0, brokerIds: replicas }], configs: Object.entries(configs).map(([key, value]) => ({ name: key, value })) }],
      timeoutMs: 60_000,
      validateOnly: false,
    })
    if (answer.topics[0].errorCode !== 0) throw new Error(`${name}: ${answer.topics[0].errorCode} ${answer.topics[0].errorMessage}`)
    for (const id of this.ids) await until(() => this.broker(id).services.metadata.topic(name)?.partitions.length === 1)
  }
  /** What a broker knows of a partition; undefined also where there is no such broker (a controller) at this moment. */
  view(topic: string, index = 0, from = this.ids[0]) {
    return this.#members.get(from)?.broker.services.metadata.partition(topic, index)
  }
  leaderOf(topic: string, index = 0): number {
    return this.ids.find((id) => this.broker(id).services.replicas.find(topic, index)?.leading) ?? -1
  }
  /** Repeats until it is acknowledged; returns the offset. */
  async produce(topic: string, value: string, { acks = -1, index = 0 }: { acks?: number; index?: number } = {}): Promise<number> {
    for (let left = 1_200; ; left--) {
      let errorCode = -1
      const leader = this.leaderOf(topic, index)
      if (leader >= 0) {
        const records = encodeBatch([{ key: null, value: Buffer.from(value), headers: [] }])
        const answer = await this.ask(leader, Produce, 9, { transactionalId: null, acks, timeoutMs: 60_000, topicData: [{ name: topic, partitionData: [{ index, records }] }] }).catch(() => undefined)
        const result = answer?.responses[0].partitionResponses[0]
        if (result?.errorCode === 0) return result.baseOffset
        errorCode = result?.errorCode ?? -1
      }
      if (left === 0) throw new Error(`not acknowledged: error ${errorCode}`)
      await this.#host.timers.sleep(50)
    }
  }
  /** All committed values. */
  async values(topic: string, index = 0): Promise<string[]> {
    const leader = this.leaderOf(topic, index)
    // A leader that has just begun does not know yet what is committed.
    await until(() => this.broker(leader).services.replicas.find(topic, index)!.committedEndKnown)
    const answer = await this.ask(leader, Fetch, 12, { maxWaitMs: 0, minBytes: 1, sessionEpoch: -1, topics: [{ topic, partitions: [{ partition: index, fetchOffset: 0, partitionMaxBytes: 1 << 24 }] }], forgottenTopicsData: [], rackId: '' })
    const records = answer.responses[0].partitions[0].records
    const values: string[] = []
    for (const batch of batchesIn(records ?? Buffer.alloc(0))) for (const { value } of recordsOf(batch)) values.push(String(value))
    return values
  }
}
/** Polls: these tests watch several brokers at once, and none of them tells when all agree. */
export async function until(holds: () => boolean | Promise<boolean>, timeoutMs = 120_000): Promise<void> {
  const { timers, clock } = nodeHost({ logger: silentLogger })
  for (const end = clock.monotonic() + timeoutMs; !(await holds()); await timers.sleep(20)) if (clock.monotonic() > end) throw new Error(`did not come true within ${timeoutMs} ms: ${holds}`)
}

/** A host whose sockets can be cut all at once. */
function cuttable(host: Host, wires: Wires): Host {
  const keep = (socket: Connection): Connection => {
    if (wires.cut) socket.destroy()
    wires.sockets.add(socket)
    return socket
  }
  return {
    ...host,
    network: {
      resolve: (name) => host.network.resolve(name),
      hostName: () => host.network.hostName(),
      async connect(to) {
        if (wires.cut) throw new Error('cut off')
        return keep(await host.network.connect(to))
      },
      async listen(at, accept) {
        const socket = await host.network.listen(at, (connection) => accept(keep(connection)))
        wires.listening.push(socket)
        return socket
      },
    },
  }
}
