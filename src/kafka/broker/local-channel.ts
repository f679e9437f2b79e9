/** The controller's requests to the broker in the same process are plain values, without bytes; those to others go over connections. */
import type { Fields } from '../../wire/schema.ts'
import type { BrokerChannels } from '../controller/broker-channels.ts'
import type { Api, RequestOf, RequestTo, ResponseTo } from '../protocol/api.ts'
import { LeaderAndIsr } from '../protocol/leader-and-isr.ts'
import { StopReplica } from '../protocol/stop-replica.ts'
import { UpdateMetadata } from '../protocol/update-metadata.ts'
import type { ControllerRequests } from './controller-requests.ts'
import type { RemoteChannel } from './remote-channel.ts'

export class LocalChannel implements BrokerChannels {
  readonly #brokerId: number
  readonly #requests: ControllerRequests
  readonly #others: RemoteChannel

  constructor(facts: { brokerId: number; requests: ControllerRequests; others: RemoteChannel }) {
    this.#brokerId = facts.brokerId
    this.#requests = facts.requests
    this.#others = facts.others
  }

  /** Requests take effect in the order in which they are sent. */
  async send<Q extends Fields, S extends Fields>(brokerId: number, api: Api<Q, S>, request: RequestTo<Api<Q, S>>): Promise<ResponseTo<Api<Q, S>>> {
    if (brokerId !== this.#brokerId) return this.#others.send(brokerId, api, request)
    return (await this.#answer(api, request)) as ResponseTo<Api<Q, S>>
  }
  forget(brokerId: number): void {
    this.#others.forget(brokerId)
  }
  #answer(api: Pick<Api, 'key' | 'name'>, request: unknown): unknown {
    switch (api.key) {
      case LeaderAndIsr.key:
        return this.#requests.leaderAndIsr(request as RequestOf<typeof LeaderAndIsr>)
      case StopReplica.key:
        return this.#requests.stopReplica(request as RequestOf<typeof StopReplica>)
      case UpdateMetadata.key:
        return this.#requests.updateMetadata(request as RequestOf<typeof UpdateMetadata>)
      default:
        throw new Error(`${api.name} is not a request of the controller`)
    }
  }
}
