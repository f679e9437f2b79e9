/** Who is in a group: members by id, static members by instance, ids handed out but not yet used, and what protocols all support. */
import assert from 'node:assert'

/** An assignment strategy a member supports, with what it tells the leader about itself under it. */
export interface Protocol {
  readonly name: string
  readonly metadata: Uint8Array
}

export interface Identity {
  readonly instanceId: string | null
  readonly clientId: string
  /** As Java prints an address: `/10.0.0.1`. */
  readonly clientHost: string
}

/** What a static member was before somebody took over its instance id, until that is on record. */
export interface Predecessor {
  readonly id: string
  readonly clientId: string
  readonly clientHost: string
  readonly protocols: readonly Protocol[]
  readonly rebalanceTimeoutMs: number
  readonly sessionTimeoutMs: number
}

export class Member {
  id: string
  readonly instanceId: string | null
  clientId: string
  clientHost: string
  protocols: readonly Protocol[]
  rebalanceTimeoutMs: number
  sessionTimeoutMs: number
  assignment: Uint8Array = new Uint8Array(0)
  /** Tickets of the requests that wait, if any. */
  joinTicket: number | undefined
  syncTicket: number | undefined
  /** Has not been told its id and generation yet: it cannot send heartbeats. */
  isNew = false
  /** The member is given up when nothing was heard of it by then; Infinity while it waits for us. */
  deadline = Infinity
  predecessor: Predecessor | undefined

  constructor(id: string, identity: Identity, protocols: readonly Protocol[], timeouts: { rebalanceMs: number; sessionMs: number }) {
    this.id = id
    this.instanceId = identity.instanceId
    this.clientId = identity.clientId
    this.clientHost = identity.clientHost
    this.protocols = protocols
    this.rebalanceTimeoutMs = timeouts.rebalanceMs
    this.sessionTimeoutMs = timeouts.sessionMs
  }

  metadataFor(protocol: string): Uint8Array {
    const found = this.protocols.find(({ name }) => name === protocol)
    assert(found, `member ${this.id} does not support the chosen protocol ${protocol}`)
    return found.metadata
  }
  /** Same protocols in the same order with the same metadata. */
  matches(protocols: readonly Protocol[]): boolean {
    return this.protocols.length === protocols.length && this.protocols.every(({ name, metadata }, index) =>
      name === protocols[index].name && Buffer.compare(metadata, protocols[index].metadata) === 0)
  }
}

export class Members {
  readonly #byId = new Map<string, Member>()
  readonly #idByInstance = new Map<string, string>()
  /** How many members support a protocol. */
  readonly #supporters = new Map<string, number>()
  /** Ids handed out with MEMBER_ID_REQUIRED, with the time at which they are forgotten, oldest first. */
  readonly pending = new Map<string, number>()

  get size(): number {
    return this.#byId.size
  }
  get staticCount(): number {
    return this.#idByInstance.size
  }
  get(id: string): Member | undefined {
    return this.#byId.get(id)
  }
  has(id: string): boolean {
    return this.#byId.has(id)
  }
  idOfInstance(instanceId: string): string | undefined {
    return this.#idByInstance.get(instanceId)
  }
  [Symbol.iterator](): MapIterator<Member> {
    return this.#byId.values()
  }
  first(): Member | undefined {
    return this.#byId.values().next().value
  }
  countAwaitingJoin(): number {
    let count = 0
    for (const member of this) if (member.joinTicket !== undefined) count++
    return count
  }
  allAwaitJoin(): boolean {
    for (const member of this) if (member.joinTicket === undefined) return false
    return true
  }
  rebalanceTimeoutMs(): number {
    let max = 0
    for (const member of this) max = Math.max(max, member.rebalanceTimeoutMs)
    return max
  }

  add(member: Member): void {
    assert(!this.#byId.has(member.id))
    if (member.instanceId !== null) {
      assert(!this.#idByInstance.has(member.instanceId))
      this.#idByInstance.set(member.instanceId, member.id)
    }
    this.#byId.set(member.id, member)
    this.#count(member.protocols, 1)
    this.pending.delete(member.id)
  }
  remove(member: Member): void {
    if (!this.#byId.delete(member.id)) return
    this.#count(member.protocols, -1)
    if (member.instanceId !== null) this.#idByInstance.delete(member.instanceId)
  }
  clear(): void {
    for (const member of this) this.remove(member)
    this.pending.clear()
  }
  /** The static member goes on under a new id. */
  rename(member: Member, id: string): void {
    assert(member.instanceId !== null)
    this.#byId.delete(member.id)
    member.id = id
    this.#byId.set(id, member)
    this.#idByInstance.set(member.instanceId, id)
  }
  update(member: Member, protocols: readonly Protocol[], timeouts: { rebalanceMs: number; sessionMs: number }): void {
    this.#count(member.protocols, -1)
    member.protocols = protocols
    this.#count(protocols, 1)
    member.rebalanceTimeoutMs = timeouts.rebalanceMs
    member.sessionTimeoutMs = timeouts.sessionMs
  }
  #count(protocols: readonly Protocol[], by: 1 | -1): void {
    for (const name of new Set(protocols.map((protocol) => protocol.name))) {
      const count = (this.#supporters.get(name) ?? 0) + by
      if (count === 0) this.#supporters.delete(name)
      else this.#supporters.set(name, count)
    }
  }

  /** Whether a member with these protocols could share one with everybody else. */
  supportAny(protocols: readonly Protocol[]): boolean {
    return protocols.some(({ name }) => (this.#supporters.get(name) ?? 0) === this.size)
  }
  /** Of the protocols all support, the one most members like best; among equals the one named first. */
  selectProtocol(): string {
    const votes = new Map<string, number>()
    for (const member of this) {
      const choice = member.protocols.find(({ name }) => this.#supporters.get(name) === this.size)
      assert(choice, `member ${member.id} shares no protocol with the others`)
      votes.set(choice.name, (votes.get(choice.name) ?? 0) + 1)
    }
    let best: string | undefined
    for (const [name, count] of votes) if (best === undefined || count > (votes.get(best) ?? 0)) best = name
    assert(best !== undefined, 'a protocol is chosen among members')
    return best
  }
}
