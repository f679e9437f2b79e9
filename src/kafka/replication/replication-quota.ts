/**
 * A bound for the bytes a second that replicas outside the ISR take (KIP-73, reference §3.10): on the leader's side for what it gives,
 * on the follower's for what it asks for. Counted and bound are only the replicas that the topic's configuration lists. A machine.
 */

export interface ReplicationQuotaFacts {
  readonly brokerId: number
  /** Bytes a second, asked for each time: it may change. */
  readonly rate: () => number
  /** `*`, or `partition:broker` pairs, of a topic. */
  readonly listOf: (topic: string) => readonly string[]
  /** `replication.quota.window.num` */
  readonly windowCount: number
  /** `replication.quota.window.size.seconds`, in ms. */
  readonly windowMs: number
}
interface Sample {
  /** Monotonic ms. */
  readonly since: number
  bytes: number
}
/** From here on it is no bound: the default is 2^63−1. */
const unbounded = 2 ** 62

export class ReplicationQuota {
  readonly #facts: ReplicationQuotaFacts
  #samples: Sample[] = []
  readonly #parsed = new WeakMap<readonly string[], ReadonlySet<number> | 'all'>()

  constructor(facts: ReplicationQuotaFacts) {
    this.#facts = facts
  }

  /** The replica on this broker is among those to be throttled, and there is a bound. */
  isThrottled(topic: string, index: number): boolean {
    if (this.#facts.rate() >= unbounded) return false
    const listed = this.#listed(topic)
    return listed === 'all' || listed.has(index)
  }
  record(bytes: number, now: number): void {
    const last = this.#samples.at(-1)
    if (last && now - last.since < this.#facts.windowMs) last.bytes += bytes
    else this.#samples.push({ since: now, bytes })
    this.#forget(now)
  }
  isExceeded(now: number): boolean {
    this.#forget(now)
    if (this.#samples.length === 0) return false
    let bytes = 0
    for (const sample of this.#samples) bytes += sample.bytes
    // A window that has just begun is no reason to take a few bytes for a high rate.
    const elapsedMs = Math.max(now - this.#samples[0].since, this.#facts.windowMs)
    return (bytes * 1_000) / elapsedMs > this.#facts.rate()
  }
  #forget(now: number): void {
    const { windowCount, windowMs } = this.#facts
    while (this.#samples.length > 0 && now - this.#samples[0].since >= windowCount * windowMs) this.#samples.shift()
  }

  /** Parsed once for each list: a change of the configuration makes another. */
  #listed(topic: string): ReadonlySet<number> | 'all' {
    const list = this.#facts.listOf(topic)
    let parsed = this.#parsed.get(list)
    if (!parsed) {
      const own = `:${this.#facts.brokerId}`
      parsed = list.length === 1 && list[0] === '*' ? 'all' : new Set(list.filter((pair) => pair.endsWith(own)).map((pair) => Number.parseInt(pair, 10)))
      this.#parsed.set(list, parsed)
    }
    return parsed
  }
}
