/** Sets of servers that have acknowledged the same proposals. Each set is one object, so that the thousands of proposals on their way have none of their own. */
import type { QuorumConfig } from './quorum-config.ts'

/** So many sets are remembered; strangers may acknowledge too, and count for nothing. */
const setsMax = 1024

export class AckSet {
  readonly servers: ReadonlySet<number>
  /** Whether they are a quorum of these configurations, where that was asked last. */
  judged: { readonly configs: readonly QuorumConfig[]; readonly isQuorum: boolean } | undefined
  readonly next = new Map<number, AckSet>()

  constructor(servers: ReadonlySet<number>) {
    this.servers = servers
  }
}

export class AckSets {
  readonly none = new AckSet(new Set())
  readonly #known = new Map<string, AckSet>([['', this.none]])

  /** `set` and this server. */
  with(set: AckSet, server: number): AckSet {
    let next = set.next.get(server)
    if (next) return next
    next = set.servers.has(server) ? set : this.#of([...set.servers, server])
    if (set.next.size < setsMax) set.next.set(server, next)
    return next
  }
  without(set: AckSet, server: number): AckSet {
    return set.servers.has(server) ? this.#of([...set.servers].filter((other) => other !== server)) : set
  }
  #of(servers: number[]): AckSet {
    const key = servers.sort((one, other) => one - other).join(' ')
    let set = this.#known.get(key)
    if (!set) {
      if (this.#known.size >= setsMax) this.#known.clear()
      this.#known.set(key, (set = new AckSet(new Set(servers))))
    }
    return set
  }
}
