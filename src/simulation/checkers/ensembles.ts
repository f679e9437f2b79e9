/**
 * What an ensemble promises whatever happens to its members: fed with what each member does to its own history. A history is a list of
 * zxids, and all histories begin with nothing, so that equal places mean equal prefixes. Who decides follows from the histories too: a
 * configuration is in force once the transaction that brings it is committed, or a leader is established that knows it; to that end a quorum
 * of it is needed, and one of the configuration before.
 */
import { Violation } from './violation.ts'

interface Member {
  /** Zxids in its log, and of what was in it before a snapshot took its place. */
  history: bigint[]
  /** How many of them it has applied. */
  applied: number
  /** The epoch in which it serves clients. */
  serving: number | undefined
  promised: number
  served: number
  /** A snapshot that it is about to take over: which of two histories a crash leaves, the files decide. */
  installing: { readonly zxid: bigint; readonly history: bigint[] } | undefined
}
/** A configuration of the ensemble. */
export interface Membership {
  /** Zxid of the transaction that brought it; without a counter: what the ensemble began with. */
  readonly version: bigint
  readonly voters: ReadonlySet<number>
}
const hasQuorum = ({ voters }: Membership, servers: ReadonlySet<number>): boolean => 2 * [...voters].filter((voter) => servers.has(voter)).length > voters.size
const told = ({ version, voters }: Membership): string => `${[...voters].join(', ')} (version ${hex(version)})`
const zero = (zxid: bigint): boolean => (zxid & 0xffff_ffffn) === 0n
const hex = (zxid: bigint | undefined): string => (zxid === undefined ? 'nothing' : `0x${zxid.toString(16)}`)

export class EnsembleLaws {
  readonly #members = new Map<number, Member>()
  #inForce: Membership
  /** Who votes in a configuration, by the transaction that brings it. */
  readonly #brought = new Map<bigint, ReadonlySet<number>>()
  /** Who has led which epoch. */
  readonly #leaders = new Map<number, number>()
  /** All that was ever logged: the text is anything that tells two transactions apart. */
  readonly #texts = new Map<bigint, string>()
  /** State after a transaction, by zxid, and who had it first. */
  readonly #states = new Map<bigint, { state: string; server: number }>()
  /** What is committed, in its order, and the place of each. */
  readonly #committed: bigint[] = []
  readonly #place = new Map<bigint, number>()
  readonly #acknowledged = new Set<bigint>()
  /** Which request of which session a transaction carries out, and the last one of each session that is committed. */
  readonly #asked = new Map<bigint, { readonly session: bigint; readonly cxid: number }>()
  readonly #carriedOut = new Map<bigint, number>()
  /** How often each law was looked at. */
  readonly checks = new Map<string, number>()

  /** `voters`: who decides at first. */
  constructor(voters: Iterable<number>) {
    this.#inForce = { version: 0n, voters: new Set(voters) }
  }

  get committed(): number {
    return this.#committed.length
  }
  /** The epoch in which all serve who serve, where nobody has been established in a later one. */
  get settledEpoch(): number | undefined {
    const latest = Math.max(...this.#leaders.keys())
    for (const { serving } of this.#members.values()) if (serving !== undefined && serving !== latest) return undefined
    return latest
  }
  #checks(law: string, holds: boolean, found: () => string): void {
    this.checks.set(law, (this.checks.get(law) ?? 0) + 1)
    if (!holds) throw new Violation(law, found())
  }
  #member(server: number): Member {
    let member = this.#members.get(server)
    if (!member) this.#members.set(server, (member = { history: [], applied: 0, serving: undefined, promised: -1, served: -1, installing: undefined }))
    return member
  }

  // ---- histories

  /** A member has read its files: they end with this transaction, and all of it is applied. */
  restored(server: number, lastZxid: bigint): void {
    const member = this.#member(server)
    // Files that end where the snapshot does and the log never did are the snapshot's. It may end with the beginning of an epoch, which no
    // log holds: only who was established in that epoch, and who took over what that leader had then, ever has this zxid, so it names one
    // history too, and none of before.
    const { installing } = member
    if (installing?.zxid === lastZxid && !member.history.includes(lastZxid)) member.history = installing.history
    member.installing = undefined
    member.history = upTo(member.history, lastZxid)
    const last = member.history.at(-1)
    this.#keeps()
    this.#checks('a member starts with what it has logged', zero(lastZxid) || last === lastZxid, () => `server ${server} starts with ${hex(lastZxid)}, and has logged nothing behind ${hex(last)}`)
    this.#rests(member)
  }
  /** It writes a transaction to its log. `voters`: of the configuration that it brings. `asked`: what request of which session it carries out. */
  appended(server: number, zxid: bigint, text: string, voters?: ReadonlySet<number>, asked?: { readonly session: bigint; readonly cxid: number }): void {
    const { history } = this.#member(server)
    const known = this.#texts.get(zxid)
    this.#checks('a zxid names one transaction', known === undefined || known === text, () => `server ${server} logs '${text}' as ${hex(zxid)}, which was '${known}'`)
    this.#texts.set(zxid, text)
    if (voters) this.#brought.set(zxid, voters)
    if (asked) this.#asked.set(zxid, asked)
    const last = history.at(-1)
    this.#checks('a log grows in the order of its zxids', last === undefined || zxid > last, () => `server ${server} logs ${hex(zxid)} after ${hex(last)}`)
    history.push(zxid)
  }
  /** It cuts its log behind this transaction, and applies what is left. */
  truncated(server: number, zxid: bigint): void {
    const member = this.#member(server)
    member.history = upTo(member.history, zxid)
    this.#keeps()
    this.#rests(member)
  }
  /** It is about to replace everything by what `from` has up to this transaction; `installed`: it has. */
  installs(server: number, from: number, zxid: bigint): void {
    this.#member(server).installing = { zxid, history: upTo(this.#member(from).history, zxid) }
  }
  installed(server: number): void {
    const member = this.#member(server)
    member.history = member.installing?.history ?? member.history
    member.installing = undefined
    this.#rests(member)
  }
  /** It serves nobody any more, and has applied all that it has logged. */
  stopped(server: number): void {
    this.#rests(this.#member(server))
  }
  /** What was committed last, and so all before it. Who has it in the log may be down; a cut that is made good at once leaves the others. */
  #keeps(): void {
    const place = this.#committed.length - 1
    const zxid = this.#committed[place]
    if (zxid === undefined) return
    const holders = this.#holders(place, zxid)
    this.#checks('a quorum keeps what is committed', hasQuorum(this.#inForce, holders), () => `${hex(zxid)} is committed, and only ${[...holders].join(', ')} have it in their logs; voters are ${told(this.#inForce)}`)
  }
  #holders(place: number, zxid: bigint): ReadonlySet<number> {
    return new Set([...this.#members].filter(([, { history }]) => history[place] === zxid).map(([server]) => server))
  }
  #rests(member: Member): void {
    member.applied = member.history.length
    member.serving = undefined
  }
  /** It has been told that this transaction is committed, and has applied it. `state`: anything that tells two states apart. */
  delivered(server: number, zxid: bigint, state: string): void {
    const member = this.#member(server)
    const next = member.history[member.applied]
    this.#checks('transactions are applied in the order of the log', next === zxid, () => `server ${server} applies ${hex(zxid)}, and ${hex(next)} is the next one in its log`)
    member.applied++
    const known = this.#states.get(zxid)
    if (!known) this.#states.set(zxid, { state, server })
    else this.#checks('committed prefixes never differ', known.state === state, () => `${hex(zxid)} makes ${state} of server ${server}, and made ${known.state} of server ${known.server}`)
    if (member.serving !== undefined) this.#commits(server, member.applied - 1, zxid)
  }
  #commits(server: number, place: number, zxid: bigint): void {
    if (place < this.#committed.length) {
      const expected = this.#committed[place]
      return this.#checks('committed prefixes never differ', expected === zxid, () => `server ${server} delivers ${hex(zxid)} where ${hex(expected)} was committed`)
    }
    const holders = this.#holders(place, zxid)
    const voters = this.#brought.get(zxid)
    for (const config of voters ? [this.#inForce, { version: zxid, voters }] : [this.#inForce])
      this.#checks('what is committed is in the logs of a quorum', hasQuorum(config, holders), () => `server ${server} delivers ${hex(zxid)}, which only ${[...holders].join(', ')} have logged; voters are ${told(config)}`)
    this.#commit(zxid)
  }
  #commit(zxid: bigint): void {
    this.#place.set(zxid, this.#committed.length)
    this.#committed.push(zxid)
    const asked = this.#asked.get(zxid)
    if (asked) {
      // Also over reconnects: what was asked on the connection before the last one is refused once the session has moved.
      const last = this.#carriedOut.get(asked.session) ?? 0
      this.#carriedOut.set(asked.session, asked.cxid)
      this.#checks('a session writes in the order it asks', asked.cxid > last, () => `${hex(zxid)} carries out request ${asked.cxid} of session 0x${asked.session.toString(16)}, and request ${last} was carried out before`)
    }
    const voters = this.#brought.get(zxid)
    if (voters && zxid > this.#inForce.version) this.#inForce = { version: zxid, voters }
  }

  // ---- epochs

  /** It has made durable that it takes part in no older epoch. */
  promised(server: number, epoch: number): void {
    const member = this.#member(server)
    this.#checks('no epoch is promised twice', epoch > member.promised, () => `server ${server} has promised epoch ${member.promised}, and accepts ${epoch}`)
    member.promised = epoch
  }
  /** It leads an epoch from now on, in this configuration, and what it has is what is committed. */
  leads(server: number, epoch: number, config: Membership = this.#inForce): void {
    const member = this.#member(server)
    const before = this.#inForce
    const other = this.#leaders.get(epoch)
    this.#checks('an epoch has one leader', other === undefined || other === server, () => `servers ${other} and ${server} were both established in epoch ${epoch}`)
    this.#begins(server, member, epoch)
    this.#leaders.set(epoch, server)
    const at = this.#committed.findIndex((zxid, place) => member.history[place] !== zxid)
    const missing = this.#committed[at]
    this.#checks('what was acknowledged is in every later leader', at < 0, () => `server ${server} leads epoch ${epoch} without ${hex(missing)}, which was ${this.#acknowledged.has(missing) ? 'acknowledged' : 'committed'}; in its place it has ${hex(member.history[at])}`)
    for (const zxid of member.history.slice(this.#committed.length)) this.#commit(zxid)
    this.#inherits(server, before, config)
    const promising = new Set([...this.#members].filter(([, { promised }]) => promised >= epoch).map(([id]) => id))
    for (const each of [before, config]) {
      this.#checks('a leader has the promises of a quorum', hasQuorum(each, promising), () => `server ${server} leads epoch ${epoch}, which only ${[...promising].join(', ')} have promised; voters are ${told(each)}`)
      this.#inForce = each
      this.#keeps()
    }
  }
  /** It puts a configuration in force before it serves; where it has no vote in it, it serves nobody, and hands over. */
  establishes(server: number, config: Membership): void {
    const member = this.#member(server)
    this.leads(server, member.promised, config)
    member.serving = undefined
  }
  /** The configuration that a leader goes by is its history's latest, or a later one that it has been told of. */
  #inherits(server: number, before: Membership, config: Membership): void {
    const latest = this.#inForce
    this.#checks('a leader goes by the latest configuration', config.version >= latest.version, () => `server ${server} leads in the configuration ${told(config)}, and knows ${told(latest)}`)
    const proposed = zero(config.version) ? before.voters : this.#brought.get(config.version)
    this.#checks('a configuration is what was proposed', proposed?.size === config.voters.size && [...proposed].every((id) => config.voters.has(id)), () => `server ${server} leads in the configuration ${told(config)}, and proposed were ${[...proposed ?? []].join(', ')}`)
  }
  /** It follows or observes the leader of this epoch, and serves clients from now on; `version` of the configuration in force there. */
  follows(server: number, epoch: number, version = 0n): void {
    const member = this.#member(server)
    this.#checks('no configuration is in force before a quorum knows it', version <= this.#inForce.version, () => `server ${server} serves in configuration ${hex(version)}, and ${told(this.#inForce)} is in force`)
    this.#checks('nobody serves before the leader of the epoch is established', this.#leaders.has(epoch), () => `server ${server} serves in epoch ${epoch}, which has no leader yet`)
    this.#begins(server, member, epoch)
    for (let place = 0; place < member.applied; place++) {
      if (member.history[place] === this.#committed[place]) continue
      this.#checks('committed prefixes never differ', false, () => `server ${server} serves with ${hex(member.history[place])} where ${hex(this.#committed[place])} is committed`)
    }
  }
  #begins(server: number, member: Member, epoch: number): void {
    this.#checks('nobody serves in an epoch older than it has promised', epoch >= member.promised, () => `server ${server} serves in epoch ${epoch}, and has promised ${member.promised}`)
    this.#checks('epochs never go back', epoch >= member.served, () => `server ${server} served in epoch ${member.served}, and serves in ${epoch}`)
    member.served = epoch
    member.serving = epoch
  }

  // ---- clients

  /** A client was told that this write has succeeded, or has seen it. */
  acknowledged(zxid: bigint): void {
    this.#checks('only what is committed is shown', this.#place.has(zxid), () => `a client was shown ${hex(zxid)}, which is committed nowhere`)
    this.#acknowledged.add(zxid)
  }
}

/** Histories ascend. */
function upTo(history: readonly bigint[], zxid: bigint): bigint[] {
  let count = history.length
  while (count > 0 && history[count - 1] > zxid) count--
  return history.slice(0, count)
}
