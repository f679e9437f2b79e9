/** The controller's requests to the broker in the same process: plain values, no bytes. */
import type { MetadataCache } from '../metadata/metadata-cache.ts'
import type { Fields } from '../../wire/schema.ts'
import type { BrokerChannels } from '../controller/broker-channels.ts'
import type { Api, RequestOf, RequestTo, ResponseTo } from '../protocol/api.ts'
import { errors } from '../protocol/errors.ts'
import { LeaderAndIsr } from '../protocol/leader-and-isr.ts'
import { StopReplica } from '../protocol/stop-replica.ts'
import { UpdateMetadata } from '../protocol/update-metadata.ts'
import type { ReplicaManager } from '../replication/replica-manager.ts'

export class LocalChannel implements BrokerChannels {
  readonly #brokerId: number
  readonly #metadata: MetadataCache
  readonly #replicas: ReplicaManager
  #controllerEpoch = 0

  constructor(facts: { brokerId: number; metadata: MetadataCache; replicas: ReplicaManager }) {
    this.#brokerId = facts.brokerId
    this.#metadata = facts.metadata
    this.#replicas = facts.replicas
  }

  /** Requests take effect in the order in which they are sent. Rejects for any broker but this one: a cluster of several needs a network. */
  async send<Q extends Fields, S extends Fields>(brokerId: number, api: Api<Q, S>, request: RequestTo<Api<Q, S>>): Promise<ResponseTo<Api<Q, S>>> {
    if (brokerId !== this.#brokerId) throw new Error(`broker ${brokerId} is registered beside broker ${this.#brokerId}; clusters of several brokers are not supported yet`)
    return (await this.#answer(api, request)) as ResponseTo<Api<Q, S>>
  }
  #answer(api: Pick<Api, 'key' | 'name'>, request: unknown): unknown {
    switch (api.key) {
      case LeaderAndIsr.key:
        return this.#replicas.becomeLeaderOrFollower(request as RequestOf<typeof LeaderAndIsr>)
      case StopReplica.key:
        return this.#replicas.stopReplicas(request as RequestOf<typeof StopReplica>)
      case UpdateMetadata.key:
        return this.#updateMetadata(request as RequestOf<typeof UpdateMetadata>)
      default:
        throw new Error(`${api.name} is not a request of the controller`)
    }
  }
  #updateMetadata(request: RequestOf<typeof UpdateMetadata>): { errorCode: number } {
    if (request.controllerEpoch < this.#controllerEpoch) return { errorCode: errors.staleControllerEpoch.code }
    this.#controllerEpoch = request.controllerEpoch
    this.#metadata.update(request)
    return { errorCode: 0 }
  }
}
