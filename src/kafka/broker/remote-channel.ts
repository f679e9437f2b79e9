/**
 * The controller's requests to other brokers: one connection for each, opened when it is needed, closed when the broker is gone. Nobody
 * asks for versions: they follow from inter.broker.protocol.version (reference §2.10, §2.11).
 */
import type { Host } from '../../host/host.ts'
import type { Fields } from '../../wire/schema.ts'
import { KafkaConnection } from '../client/connection.ts'
import type { BrokerChannels } from '../controller/broker-channels.ts'
import type { InterBrokerProtocol } from '../config/protocol-version.ts'
import type { KafkaZooKeeper } from '../metadata/kafka-zookeeper.ts'
import type { Api, RequestTo, ResponseTo } from '../protocol/api.ts'
import { LeaderAndIsr } from '../protocol/leader-and-isr.ts'
import { StopReplica } from '../protocol/stop-replica.ts'
import { UpdateMetadata } from '../protocol/update-metadata.ts'

export interface RemoteChannelOptions {
  /** Own id: brokers see it as the client id. */
  brokerId: number
  zookeeper: Pick<KafkaZooKeeper, 'broker'>
  interBrokerListener: string
  protocol: InterBrokerProtocol
  /** `controller.socket.timeout.ms` */
  timeoutMs: number
}

export class RemoteChannel implements BrokerChannels {
  readonly #host: Host
  readonly #options: RemoteChannelOptions
  readonly #versions: ReadonlyMap<number, number>
  readonly #connections = new Map<number, Promise<KafkaConnection>>()

  constructor(host: Host, options: RemoteChannelOptions) {
    this.#host = host
    this.#options = options
    const { leaderAndIsr, updateMetadata, stopReplica } = options.protocol
    this.#versions = new Map([
      [LeaderAndIsr.key, leaderAndIsr],
      [UpdateMetadata.key, updateMetadata],
      [StopReplica.key, stopReplica],
    ])
  }

  async send<Q extends Fields, S extends Fields>(brokerId: number, api: Api<Q, S>, request: RequestTo<Api<Q, S>>): Promise<ResponseTo<Api<Q, S>>> {
    const version = this.#versions.get(api.key)
    if (version === undefined) throw new Error(`${api.name} is not a request of the controller`)
    let opening = this.#connections.get(brokerId)
    if (!opening) this.#connections.set(brokerId, (opening = this.#open(brokerId)))
    try {
      const connection = await opening
      return (await connection.send(api, request, { version })) as ResponseTo<Api<Q, S>>
    } catch (error) {
      if (this.#connections.get(brokerId) === opening) this.forget(brokerId)
      throw error
    }
  }
  /** Ends the connection; a request without an answer is rejected. */
  forget(brokerId: number): void {
    const opening = this.#connections.get(brokerId)
    this.#connections.delete(brokerId)
    opening?.then((connection) => connection.close()).catch(() => undefined)
  }
  close(): void {
    for (const id of this.#connections.keys()) this.forget(id)
  }

  async #open(brokerId: number): Promise<KafkaConnection> {
    const { zookeeper, interBrokerListener, timeoutMs, brokerId: own } = this.#options
    const known = await zookeeper.broker(brokerId)
    if (!known) throw new Error(`broker ${brokerId} is not registered`)
    const endpoint = known.registration.endpoints.find(({ listener }) => listener === interBrokerListener)
    if (!endpoint) throw new Error(`broker ${brokerId} has no listener ${interBrokerListener}, which brokers here use among themselves (inter.broker.listener.name)`)
    return KafkaConnection.open({ host: this.#host, to: { host: endpoint.host, port: endpoint.port }, clientId: String(own), versions: 'fixed', requestTimeoutMs: timeoutMs, connectTimeoutMs: timeoutMs })
  }
}
