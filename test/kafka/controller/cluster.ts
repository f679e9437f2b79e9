/** Controllers and brokers on one ZooKeeper, without logs: what the controllers tell the brokers is kept and answered. */
import { BrokerSettings } from '../../../src/kafka/config/broker-settings.ts'
import { Controller } from '../../../src/kafka/controller/controller.ts'
import { BrokerRegistrar } from '../../../src/kafka/metadata/broker-registrar.ts'
import { KafkaZooKeeper } from '../../../src/kafka/metadata/kafka-zookeeper.ts'
import { MetadataCache } from '../../../src/kafka/metadata/metadata-cache.ts'
import type { Api, RequestOf } from '../../../src/kafka/protocol/api.ts'
import { errors } from '../../../src/kafka/protocol/errors.ts'
import { LeaderAndIsr } from '../../../src/kafka/protocol/leader-and-isr.ts'
import { StopReplica } from '../../../src/kafka/protocol/stop-replica.ts'
import { UpdateMetadata } from '../../../src/kafka/protocol/update-metadata.ts'
import { startService, testHost, type Service } from '../../zookeeper/client/service.ts'

export interface Told {
  readonly api: string
  readonly request: unknown
}
export class TestBroker {
  readonly metadata = new MetadataCache()
  readonly told: Told[] = []
  /** Of the controller obeyed last; an older one is refused, as a broker does. */
  controllerEpoch = 0
  /** Error codes of partitions, by `topic-index`, for LeaderAndIsr and StopReplica. */
  readonly errors = new Map<string, number>()

  answer(api: Api, request: unknown): unknown {
    const { controllerEpoch } = request as { controllerEpoch: number }
    if (controllerEpoch < this.controllerEpoch) return { errorCode: errors.staleControllerEpoch.code, partitionErrors: [], topics: [] }
    this.controllerEpoch = controllerEpoch
    this.told.push({ api: api.name, request })
    const errorOf = (topic: string, index: number): number => this.errors.get(`${topic}-${index}`) ?? 0
    if (api.key === UpdateMetadata.key) {
      this.metadata.update(request as RequestOf<typeof UpdateMetadata>)
      return { errorCode: 0 }
    }
    if (api.key === LeaderAndIsr.key) {
      const { topicStates } = request as RequestOf<typeof LeaderAndIsr>
      return { errorCode: 0, partitionErrors: [], topics: topicStates.map(({ topicName, topicId, partitionStates }) => ({ topicId, partitionErrors: partitionStates.map(({ partitionIndex }) => ({ topicName, partitionIndex, errorCode: errorOf(topicName, partitionIndex) })) })) }
    }
    const { topicStates } = request as RequestOf<typeof StopReplica>
    return { errorCode: 0, partitionErrors: topicStates.flatMap(({ topicName, partitionStates }) => partitionStates.map(({ partitionIndex }) => ({ topicName, partitionIndex, errorCode: errorOf(topicName, partitionIndex) }))) }
  }
  /** Partitions named in requests of an API, as `topic-index`. */
  partitions(api: string): string[] {
    return this.told.filter((each) => each.api === api).flatMap(({ request }) => (request as { topicStates: { topicName: string; partitionStates: { partitionIndex: number }[] }[] }).topicStates.flatMap(({ topicName, partitionStates }) => partitionStates.map(({ partitionIndex }) => `${topicName}-${partitionIndex}`)))
  }
}

export interface TestMember {
  readonly id: number
  readonly zookeeper: KafkaZooKeeper
  readonly registrar: BrokerRegistrar
  readonly controller: Controller
}

export class TestCluster {
  readonly service: Service
  readonly brokers = new Map<number, TestBroker>()
  readonly members = new Map<number, TestMember>()
  private constructor(service: Service) {
    this.service = service
  }
  static async start(): Promise<TestCluster> {
    return new TestCluster(await startService())
  }
  async add(id: number, { settings = {}, sessionTimeoutMs = 5_000 }: { settings?: Record<string, string>; sessionTimeoutMs?: number } = {}): Promise<TestMember> {
    const connection = { connect: this.service.connect, sessionTimeoutMs }
    const zookeeper = await KafkaZooKeeper.connect(testHost, connection)
    await zookeeper.makePersistentPaths()
    await zookeeper.clusterId()
    if (!this.brokers.has(id)) this.brokers.set(id, new TestBroker())
    const registrar = new BrokerRegistrar(testHost, {
      zookeeper,
      connection,
      directory: undefined,
      registration: () => ({ id, endpoints: [{ listener: 'PLAINTEXT', host: '127.0.0.1', port: 9000 + id, securityProtocol: 'PLAINTEXT' }], rack: undefined, jmxPort: -1 }),
    })
    const controller = new Controller(testHost, {
      brokerId: id,
      zookeeper,
      settings: new BrokerSettings(new Map(Object.entries(settings))),
      interBrokerListener: 'PLAINTEXT',
      epochObeyed: () => this.broker(id).controllerEpoch,
      toldBefore: (topic, topicId, index) => (this.broker(id).metadata.topic(topic)?.topicId === topicId ? this.broker(id).metadata.partition(topic, index) : undefined),
      channels: { send: async (to, api, request) => this.broker(to).answer(api, request) },
    })
    await registrar.start()
    await controller.start()
    const member = { id, zookeeper, registrar, controller }
    this.members.set(id, member)
    return member
  }
  broker(id: number): TestBroker {
    const broker = this.brokers.get(id)
    if (!broker) throw new Error(`there is no broker ${id}`)
    return broker
  }
  /** Stops the broker and ends its session, without a controlled shutdown. */
  async remove(id: number): Promise<void> {
    const member = this.members.get(id)
    this.members.delete(id)
    await member?.controller.stop()
    await member?.zookeeper.close()
  }
  /** The same, and what it remembers is gone, too. */
  async lose(id: number): Promise<void> {
    await this.remove(id)
    this.brokers.delete(id)
  }
  async stop(): Promise<void> {
    const ids = [...this.members.keys()]
    for (const id of ids) await this.remove(id)
    await this.service.stop()
  }
}
