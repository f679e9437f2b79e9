/** Sessions and what belongs to them: when they may expire, how often, and what goes with them. */
import { Violation } from './violation.ts'

interface Tracked {
  readonly client: string
  readonly timeoutMs: number
  /** How many sessions had ended before it; undefined: it goes on, as far as is known. */
  ended: number | undefined
  /** Its client has asked for its end. */
  isLeaving: boolean
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
  #ended = 0

  /** The client was given this session, or has it again. */
  stands(session: bigint, client: string, timeoutMs = 0): void {
    const tracked = this.#sessions.get(session)
    if (tracked?.ended !== undefined) throw new Violation('a session that has ended does not come back', `0x${session.toString(16)} of ${client} stands again`)
    if (tracked && tracked.client !== client) throw new Violation('a session id is given once', `0x${session.toString(16)} belongs to ${tracked.client}, and ${client} was given it`)
    if (!tracked) this.#sessions.set(session, { client, timeoutMs, ended: undefined, isLeaving: false })
    this.#latestOf.set(client, session)
  }
  /** Its client was told that it has expired, or that it was closed. */
  ended(session: bigint): void {
    const tracked = this.#sessions.get(session)
    if (tracked) tracked.ended ??= this.#ended++
  }
  /** The client is about to ask for its end. */
  leaves(session: bigint): void {
    const tracked = this.#sessions.get(session)
    if (tracked) tracked.isLeaving = true
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
    this.#mayExpire(session, tracked, silent, timeoutMs)
  }
  #mayExpire(session: bigint, { client }: Tracked, silentMs: number, timeoutMs: number): void {
    if (silentMs < timeoutMs * clocksDiffer - toleranceMs)
      throw new Violation('a session does not expire while its client is heard', `0x${session.toString(16)} of ${client} expired after ${Math.round(silentMs)} ms of silence; its timeout is ${timeoutMs} ms`)
  }
  /**
   * The leader of an ensemble ends a session, for whatever reason. `silentMs` tells how long no member had heard of its client; undefined:
   * members could not tell each other all this time.
   */
  ends(session: bigint, leadership: string, silentMs: (client: string, timeoutMs: number) => number | undefined): void {
    this.expired++
    const tracked = this.#sessions.get(session)
    if (tracked?.isLeaving) return
    const key = `${leadership} ${session}`
    if (this.#expiries.has(key)) throw new Violation('a session expires at most once', `0x${session.toString(16)} ended twice with ${leadership}`)
    this.#expiries.add(key)
    if (!tracked || this.#latestOf.get(tracked.client) !== session) return
    const silent = silentMs(tracked.client, tracked.timeoutMs)
    if (silent !== undefined) this.#mayExpire(session, tracked, silent, tracked.timeoutMs)
  }

  ephemeralCreated(path: string, session: bigint): void {
    this.#ephemerals.set(path, { session, deleting: false })
  }
  ephemeralDeleting(path: string): void {
    const ephemeral = this.#ephemerals.get(path)
    if (ephemeral) ephemeral.deleting = true
  }
  /** How many sessions are known to have ended: taken when a read begins. */
  begins(): number {
    return this.#ended
  }
  hasEnded(session: bigint): boolean {
    return this.#sessions.get(session)?.ended !== undefined
  }
  ephemeralFound(path: string, owner: bigint, endedBefore: number): void {
    if ((this.#sessions.get(owner)?.ended ?? Infinity) < endedBefore) throw new Violation('ephemerals die with their session', `${path} is there, and its session 0x${owner.toString(16)} had ended before the read began`)
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
