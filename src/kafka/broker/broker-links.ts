/**
 * What brokers ask of each other for the sake of transactions: one connection to each, opened when it is needed. Nobody asks for versions:
 * they follow from inter.broker.protocol.version, and are the same for all that are spoken here (reference §4.3, §5.6).
 */
import type { Host } from '../../host/host.ts'
import type { Fields } from '../../wire/schema.ts'
import { ConnectionError, KafkaConnection } from '../client/connection.ts'
import { lineOf, type Line } from '../client/line.ts'
import type { MetadataCache } from '../metadata/metadata-cache.ts'
import type { Api, RequestTo, ResponseOf } from '../protocol/api.ts'

export interface BrokerLinksOptions {
  readonly clientId: string
  readonly metadata: Pick<MetadataCache, 'brokers' | 'onChange'>
  readonly interBrokerListener: string
  /** `request.timeout.ms` */
  readonly timeoutMs: number
}

interface Link extends Line {
  readonly to: Endpoint | undefined
}
type Endpoint = { readonly host: string; readonly port: number }

export class BrokerLinks {
  readonly #host: Host
  readonly #options: BrokerLinksOptions
  readonly #links = new Map<number, Link>()
  readonly #stopListening: () => void
  #isClosed = false

  constructor(host: Host, options: BrokerLinksOptions) {
    this.#host = host
    this.#options = options
    // Who is gone may have been cut off, and answers nothing that it was asked: others lead its partitions by now.
    this.#stopListening = options.metadata.onChange(() => {
      for (const [brokerId, { to }] of this.#links) {
        const now = this.#endpointOf(brokerId)
        if (now?.host !== to?.host || now?.port !== to?.port) this.#forget(brokerId)
      }
    })
  }

  /** Rejects when the broker cannot be reached, does not answer in time or is gone; the next request tries a new connection. */
  async send<Q extends Fields, S extends Fields>(brokerId: number, api: Api<Q, S>, request: RequestTo<Api<Q, S>>, version: number): Promise<ResponseOf<Api<Q, S>>> {
    let link = this.#links.get(brokerId)
    if (!link) this.#links.set(brokerId, (link = { to: this.#endpointOf(brokerId), ...lineOf(this.#dial(brokerId), `broker ${brokerId} is not waited for any more`) }))
    try {
      return await (await link.connection).send(api, request, { version })
    } catch (error) {
      if (this.#links.get(brokerId) === link) this.#forget(brokerId)
      throw error
    }
  }
  close(): void {
    this.#isClosed = true
    this.#stopListening()
    for (const id of this.#links.keys()) this.#forget(id)
  }

  #forget(brokerId: number): void {
    this.#links.get(brokerId)?.giveUp()
    this.#links.delete(brokerId)
  }
  #endpointOf(brokerId: number): Endpoint | undefined {
    return this.#options.metadata.brokers.get(brokerId)?.endpoints.get(this.#options.interBrokerListener)
  }
  async #dial(brokerId: number): Promise<KafkaConnection> {
    const { interBrokerListener, timeoutMs, clientId } = this.#options
    if (this.#isClosed) throw new ConnectionError('this broker is stopping')
    const to = this.#endpointOf(brokerId)
    if (!to) throw new ConnectionError(`broker ${brokerId} is not there, or has no listener ${interBrokerListener}, which brokers here use among themselves (inter.broker.listener.name)`)
    return KafkaConnection.open({ host: this.#host, to, clientId, versions: 'fixed', requestTimeoutMs: timeoutMs, connectTimeoutMs: timeoutMs })
  }
}
