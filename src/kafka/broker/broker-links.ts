/**
 * What brokers ask of each other for the sake of transactions: one connection to each, opened when it is needed. Nobody asks for versions:
 * they follow from inter.broker.protocol.version, and are the same for all that are spoken here (reference §4.3, §5.6).
 */
import type { Host } from '../../host/host.ts'
import type { Fields } from '../../wire/schema.ts'
import { ConnectionError, KafkaConnection } from '../client/connection.ts'
import type { MetadataCache } from '../metadata/metadata-cache.ts'
import type { Api, RequestTo, ResponseOf } from '../protocol/api.ts'

export interface BrokerLinksOptions {
  readonly clientId: string
  readonly metadata: Pick<MetadataCache, 'brokers'>
  readonly interBrokerListener: string
  /** `request.timeout.ms` */
  readonly timeoutMs: number
}

export class BrokerLinks {
  readonly #host: Host
  readonly #options: BrokerLinksOptions
  readonly #connections = new Map<number, Promise<KafkaConnection>>()
  #isClosed = false

  constructor(host: Host, options: BrokerLinksOptions) {
    this.#host = host
    this.#options = options
  }

  /** Rejects when the broker cannot be reached or does not answer in time; the next request tries a new connection. */
  async send<Q extends Fields, S extends Fields>(brokerId: number, api: Api<Q, S>, request: RequestTo<Api<Q, S>>, version: number): Promise<ResponseOf<Api<Q, S>>> {
    let opening = this.#connections.get(brokerId)
    if (!opening) this.#connections.set(brokerId, (opening = this.#open(brokerId)))
    try {
      return await (await opening).send(api, request, { version })
    } catch (error) {
      if (this.#connections.get(brokerId) === opening) this.#forget(brokerId)
      throw error
    }
  }
  close(): void {
    this.#isClosed = true
    for (const id of this.#connections.keys()) this.#forget(id)
  }

  #forget(brokerId: number): void {
    const opening = this.#connections.get(brokerId)
    this.#connections.delete(brokerId)
    opening?.then((connection) => connection.close()).catch(() => undefined)
  }
  async #open(brokerId: number): Promise<KafkaConnection> {
    const { metadata, interBrokerListener, timeoutMs, clientId } = this.#options
    if (this.#isClosed) throw new ConnectionError('this broker is stopping')
    const endpoint = metadata.brokers.get(brokerId)?.endpoints.get(interBrokerListener)
    if (!endpoint) throw new ConnectionError(`broker ${brokerId} is not there, or has no listener ${interBrokerListener}, which brokers here use among themselves (inter.broker.listener.name)`)
    return KafkaConnection.open({ host: this.#host, to: endpoint, clientId, versions: 'fixed', requestTimeoutMs: timeoutMs, connectTimeoutMs: timeoutMs })
  }
}
