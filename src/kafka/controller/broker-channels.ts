/** One queue for each broker: its requests go out in order, one at a time, each repeated until it is answered or the broker is gone. */
import type { Host, Logger } from '../../host/host.ts'
import type { Api, RequestTo, ResponseTo } from '../protocol/api.ts'
import { LeaderAndIsr } from '../protocol/leader-and-isr.ts'
import { StopReplica } from '../protocol/stop-replica.ts'
import { UpdateMetadata } from '../protocol/update-metadata.ts'
import type { BrokerRequest } from './request-batch.ts'

/** How requests reach brokers. Given from outside: in the process for the own broker, over connections for others. */
export interface BrokerChannels {
  /**
   * `request` is a value of `api`'s request, the promise one of its response. Rejects when there is none to be had (connection lost,
   * time out): the request is then repeated.
   */
  send(brokerId: number, api: Api, request: unknown): Promise<unknown>
  /** The broker is gone, or this one no longer controller: what is under way to it may be given up. */
  forget?(brokerId: number): void
}

export type BrokerAnswer =
  | { kind: 'leaderAndIsr'; brokerId: number; request: RequestTo<typeof LeaderAndIsr>; response: ResponseTo<typeof LeaderAndIsr> }
  | { kind: 'stopReplica'; brokerId: number; request: RequestTo<typeof StopReplica>; response: ResponseTo<typeof StopReplica> }

const retryMs = 100

interface Queue {
  readonly waiting: BrokerRequest[]
  sending: boolean
}

export class BrokerQueues {
  readonly #host: Host
  readonly #log: Logger
  readonly #channels: BrokerChannels
  readonly #answered: (answer: BrokerAnswer) => void
  readonly #queues = new Map<number, Queue>()

  constructor(host: Host, channels: BrokerChannels, answered: (answer: BrokerAnswer) => void) {
    this.#host = host
    this.#log = host.logger.named('kafka.controller')
    this.#channels = channels
    this.#answered = answered
  }
  add(brokerId: number): void {
    if (!this.#queues.has(brokerId)) this.#queues.set(brokerId, { waiting: [], sending: false })
  }
  /** What waits for the broker is dropped: whoever comes back is told everything anew. */
  remove(brokerId: number): void {
    this.#queues.delete(brokerId)
    this.#channels.forget?.(brokerId)
  }
  clear(): void {
    for (const id of this.#queues.keys()) this.#channels.forget?.(id)
    this.#queues.clear()
  }
  push(requests: readonly BrokerRequest[]): void {
    for (const request of requests) {
      const queue = this.#queues.get(request.brokerId)
      if (!queue) continue
      queue.waiting.push(request)
      if (!queue.sending) void this.#drain(request.brokerId, queue)
    }
  }
  async #drain(brokerId: number, queue: Queue): Promise<void> {
    queue.sending = true
    while (this.#queues.get(brokerId) === queue) {
      const request = queue.waiting.shift()
      if (!request) break
      for (let attempt = 1; this.#queues.get(brokerId) === queue; attempt++) {
        try {
          const answer = await this.#send(request)
          if (answer && this.#queues.get(brokerId) === queue) this.#answered(answer)
          break
        } catch (error) {
          if (attempt === 1) this.#log.warn('a broker did not answer; asking again', { broker: brokerId, request: request.kind, error })
          await this.#host.timers.sleep(retryMs)
        }
      }
    }
    queue.sending = false
  }
  async #send(item: BrokerRequest): Promise<BrokerAnswer | undefined> {
    switch (item.kind) {
      case 'leaderAndIsr': return { ...item, response: (await this.#channels.send(item.brokerId, LeaderAndIsr, item.request)) as ResponseTo<typeof LeaderAndIsr> }
      case 'stopReplica': return { ...item, response: (await this.#channels.send(item.brokerId, StopReplica, item.request)) as ResponseTo<typeof StopReplica> }
      case 'updateMetadata': {
        const { errorCode } = (await this.#channels.send(item.brokerId, UpdateMetadata, item.request)) as ResponseTo<typeof UpdateMetadata>
        if (errorCode !== 0) this.#log.debug('UpdateMetadata refused', { broker: item.brokerId, errorCode })
        return undefined
      }
      default: return item satisfies never
    }
  }
}
