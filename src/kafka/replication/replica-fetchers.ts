/** Gives each partition that follows to a fetcher: one for each leader and each of `num.replica.fetchers`. */
import type { Host } from '../../host/host.ts'
import type { Partition } from './partition.ts'
import { ReplicaFetcher, type FetcherOptions } from './replica-fetcher.ts'
import { javaHashCode } from '../../wire/java-hash.ts'

export interface FetchersOptions extends Omit<FetcherOptions, 'leaderId' | 'clientId'> {
  /** `num.replica.fetchers` */
  readonly count: () => number
}

export class ReplicaFetchers {
  readonly #host: Host
  readonly #options: FetchersOptions
  readonly #fetchers = new Map<string, ReplicaFetcher>()
  readonly #fetcherOf = new Map<Partition, ReplicaFetcher>()
  #stopped = false

  constructor(host: Host, options: FetchersOptions) {
    this.#host = host
    this.#options = options
  }

  /** The partition follows from now on; it must not be followed for another leadership any more. */
  follow(partition: Partition): void {
    const leaderId = partition.follower?.leaderId ?? -1
    if (leaderId < 0 || this.#stopped) return
    const { count, ...options } = this.#options
    const fetcherId = Math.abs((Math.imul(31, javaHashCode(partition.topic)) + partition.index) | 0) % count()
    const key = `${leaderId}/${fetcherId}`
    let fetcher = this.#fetchers.get(key)
    if (!fetcher) this.#fetchers.set(key, (fetcher = new ReplicaFetcher(this.#host, { ...options, leaderId, clientId: `broker-${options.brokerId}-fetcher-${fetcherId}` })))
    this.#fetcherOf.set(partition, fetcher)
    fetcher.follow(partition)
  }
  /** Afterwards the partition's log is left alone. */
  async unfollow(partition: Partition): Promise<void> {
    const fetcher = this.#fetcherOf.get(partition)
    if (!fetcher) return
    this.#fetcherOf.delete(partition)
    await fetcher.unfollow(partition)
  }
  /** Ends fetchers without partitions. */
  async dropIdle(): Promise<void> {
    for (const [key, fetcher] of this.#fetchers) {
      if (!fetcher.isIdle) continue
      this.#fetchers.delete(key)
      await fetcher.stop()
    }
  }
  async stop(): Promise<void> {
    this.#stopped = true
    await Promise.all([...this.#fetchers.values()].map((fetcher) => fetcher.stop()))
    this.#fetchers.clear()
    this.#fetcherOf.clear()
  }
}
