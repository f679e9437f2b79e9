/** This broker's questions to the controller, wherever that is: in this process, or on another broker (AlterPartition, AllocateProducerIds, ControlledShutdown). */
import type { Host } from '../../host/host.ts'
import type { Fields } from '../../wire/schema.ts'
import { ConnectionError, KafkaConnection } from '../client/connection.ts'
import { lineOf, type Line } from '../client/line.ts'
import type { Controller } from '../controller/controller.ts'
import type { MetadataCache } from '../metadata/metadata-cache.ts'
import type { Api, RequestOf, RequestTo, ResponseOf } from '../protocol/api.ts'
import { AllocateProducerIds } from '../protocol/allocate-producer-ids.ts'
import { AlterPartition } from '../protocol/alter-partition.ts'
import { ControlledShutdown } from '../protocol/controlled-shutdown.ts'
import { errorByCode, errors } from '../protocol/errors.ts'

export interface ControllerLinkOptions {
  brokerId: number
  controller: Controller
  /** Who is controller, and where, as this broker was last told: a stop must not wait for a ZooKeeper that is away. */
  metadata: Pick<MetadataCache, 'controllerId' | 'brokers' | 'onChange'>
  interBrokerListener: string
  timeoutMs: number
}
interface Open extends Line {
  readonly controllerId: number
}
/** The versions of AlterPartition: the controller answers within the highest that both know. */
const alterPartitionById = 3

export class ControllerLink {
  readonly #host: Host
  readonly #options: ControllerLinkOptions
  readonly #stopListening: () => void
  #open: Open | undefined

  constructor(host: Host, options: ControllerLinkOptions) {
    this.#host = host
    this.#options = options
    // Who is controller no more may be cut off: its answer is not waited for, the new one's is to be had at once.
    this.#stopListening = options.metadata.onChange(() => {
      if (this.#open?.controllerId !== options.metadata.controllerId) this.#forget(this.#open)
    })
  }

  /** Rejects when no controller can be reached. All topics have ids: with `named` the names count (version 1). */
  async alterPartition(request: RequestTo<typeof AlterPartition>, { named }: { named: boolean }): Promise<ResponseOf<typeof AlterPartition>> {
    const { controller } = this.#options
    if (controller.isActive) return (await controller.alterPartition(request as RequestOf<typeof AlterPartition>, named ? 1 : alterPartitionById)) as ResponseOf<typeof AlterPartition>
    return this.#ask(AlterPartition, request, named ? 1 : alterPartitionById, ({ errorCode }) => errorCode === errors.notController.code)
  }
  /** A block of producer ids. Rejects when the controller gives none now. */
  async allocateProducerIds(brokerEpoch: bigint): Promise<{ start: number; length: number }> {
    const { controller, brokerId } = this.#options
    if (controller.isActive) return controller.allocateProducerIds(brokerId, brokerEpoch)
    const { errorCode, producerIdStart, producerIdLen } = await this.#ask(AllocateProducerIds, { brokerId, brokerEpoch }, 0, (answer) => answer.errorCode === errors.notController.code)
    if (errorCode !== 0) throw new Error(`the controller gives broker ${brokerId} no producer ids (${errorByCode(errorCode).name})`)
    return { start: producerIdStart, length: producerIdLen }
  }
  /** Leaderships that are still with this broker; 0: it may go. Rejects when the controller cannot be reached or refuses. */
  async controlledShutdown(brokerEpoch: bigint): Promise<number> {
    const { controller, brokerId } = this.#options
    const request = { brokerId, brokerEpoch }
    const answer = controller.isActive
      ? await controller.controlledShutdown(request)
      : await this.#ask(ControlledShutdown, request, 3, (each) => each.errorCode === errors.staleControllerEpoch.code)
    if (answer.errorCode !== 0) throw new Error(`the controller refused to take over the leaderships of broker ${brokerId}: ${errorByCode(answer.errorCode).name}`)
    return answer.remainingPartitions.length
  }
  close(): void {
    this.#stopListening()
    this.#forget(this.#open)
  }

  async #ask<Q extends Fields, S extends Fields>(api: Api<Q, S>, request: RequestTo<Api<Q, S>>, versionMax: number, isElsewhere: (answer: ResponseOf<Api<Q, S>>) => boolean): Promise<ResponseOf<Api<Q, S>>> {
    const { controllerId } = this.#options.metadata
    if (controllerId < 0) throw new ConnectionError('no controller is known')
    if (this.#open?.controllerId !== controllerId) {
      this.#forget(this.#open)
      this.#open = { controllerId, ...lineOf(this.#dial(controllerId), `broker ${controllerId} is asked no more`) }
    }
    const open = this.#open
    try {
      const connection = await open.connection
      const answer = await connection.send(api, request, { version: connection.versionOf(api as never, versionMax) })
      if (isElsewhere(answer)) this.#forget(open)
      return answer
    } catch (error) {
      this.#forget(open)
      throw error
    }
  }
  #forget(open: Open | undefined): void {
    if (!open) return
    if (this.#open === open) this.#open = undefined
    open.giveUp()
  }
  async #dial(controllerId: number): Promise<KafkaConnection> {
    const { brokerId, metadata, interBrokerListener, timeoutMs } = this.#options
    const to = metadata.brokers.get(controllerId)?.endpoints.get(interBrokerListener)
    if (!to) throw new ConnectionError(`broker ${controllerId}, the controller, is not known with the listener ${interBrokerListener}`)
    return KafkaConnection.open({ host: this.#host, to, clientId: String(brokerId), requestTimeoutMs: timeoutMs, connectTimeoutMs: timeoutMs })
  }
}
