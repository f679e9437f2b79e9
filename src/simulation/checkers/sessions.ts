/** Sessions and what belongs to them: when they may expire, how often, and what goes with them. */
import { Violation } from './violation.ts'

interface Tracked {
  readonly client: string
  ended: boolean
}
interface Ephemeral {
  readonly session: bigint
  deleting: boolean
}
/** A frame may arrive in two pieces, and clocks do not run alike. */
const toleranceMs = 20
const clocksDiffer = 0.998

export class SessionLaws {
  readonly #sessions = new Map<bigint, Tracked>()
  readonly #latestOf = new Map<string, bigint>()
  readonly #ephemerals = new Map<string, Ephemeral>()
  readonly #zxids = new Map<bigint, bigint>()
  /** By server and its start: an end that was decided before a crash may have to be decided again after it. */
  readonly #expiries = new Set<string>()
  expired = 0

  /** The client was given this session, or has it again. */
  stands(session: bigint, client: string): void {
    const tracked = this.#sessions.get(session)
    if (tracked?.ended) throw new Violation('a session that has ended does not come back', `0x${session.toString(16)} of ${client} stands again`)
    if (tracked && tracked.client !== client) throw new Violation('a session id is given once', `0x${session.toString(16)} belongs to ${tracked.client}, and ${client} was given it`)
    if (!tracked) this.#sessions.set(session, { client, ended: false })
    this.#latestOf.set(client, session)
  }
  /** Its client was told that it has expired, or that it was closed. */
  ended(session: bigint): void {
    const tracked = this.#sessions.get(session)
    if (tracked) tracked.ended = true
  }
  /** The client has given the session up without a word. */
  abandoned(client: string): void {
    this.#latestOf.delete(client)
  }

  /** A server says that it ends a session; `silentMs` tells how long nothing had been heard of its client there. */
  expires(session: bigint, timeoutMs: number, facts: { server: string; start: number; silentMs: (client: string) => number }): void {
    this.expired++
    const key = `${facts.server} ${facts.start} ${session}`
    if (this.#expiries.has(key)) throw new Violation('a session expires at most once', `0x${session.toString(16)} expired twice on ${facts.server}`)
    this.#expiries.add(key)
    const tracked = this.#sessions.get(session)
    if (!tracked || this.#latestOf.get(tracked.client) !== session) return
    const silent = facts.silentMs(tracked.client)
    if (silent < timeoutMs * clocksDiffer - toleranceMs)
      throw new Violation('a session does not expire while its client is heard', `0x${session.toString(16)} of ${tracked.client} expired after ${Math.round(silent)} ms of silence; its timeout is ${timeoutMs} ms`)
  }

  ephemeralCreated(path: string, session: bigint): void {
    this.#ephemerals.set(path, { session, deleting: false })
  }
  ephemeralDeleting(path: string): void {
    const ephemeral = this.#ephemerals.get(path)
    if (ephemeral) ephemeral.deleting = true
  }
  /** Sessions of which it is known that they have ended: taken when a read begins. */
  begins(): ReadonlySet<bigint> {
    return new Set([...this.#sessions].filter(([, { ended }]) => ended).map(([id]) => id))
  }
  ephemeralFound(path: string, owner: bigint, endedBefore: ReadonlySet<bigint>): void {
    if (endedBefore.has(owner)) throw new Violation('ephemerals die with their session', `${path} is there, and its session 0x${owner.toString(16)} had ended before the read began`)
  }
  /** Asked within the session itself. */
  ephemeralMissing(path: string, session: bigint): void {
    const ephemeral = this.#ephemerals.get(path)
    if (ephemeral && ephemeral.session === session && !ephemeral.deleting) throw new Violation('ephemerals live as long as their session', `${path} is gone, and 0x${session.toString(16)} goes on`)
  }

  /** The last transaction that the session was shown. */
  shown(session: bigint, zxid: bigint): void {
    const before = this.#zxids.get(session) ?? 0n
    if (zxid < before) throw new Violation('zxids never go back on a session', `0x${session.toString(16)} was shown ${before} and then ${zxid}`)
    this.#zxids.set(session, zxid)
  }
}
