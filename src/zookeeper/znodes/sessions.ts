/**
 * Sessions: their ids, their passwords, and when they expire (reference §1.4). Time comes in as an argument, in ms of a clock that
 * never goes back. Sessions expire in buckets of one tick, so that thousands of pings move nothing.
 */

/** 16 bytes that anybody can compute from the id: any server of any maker must be able to check them. java.util.Random, seeded. */
export function passwordOf(sessionId: bigint): Buffer {
  const password = Buffer.alloc(16)
  let state = (BigInt.asUintN(64, sessionId ^ 0xb341_5c00n) ^ 0x5_deec_e66dn) & 0xffff_ffff_ffffn
  for (let at = 0; at < 16; at += 4) {
    state = (state * 0x5_deec_e66dn + 0xbn) & 0xffff_ffff_ffffn
    password.writeUInt32LE(Number((state >> 16n) & 0xffff_ffffn), at)
  }
  return password
}

/** First id of a server's life: its number in the high byte, then milliseconds, so that a restart never repeats one. */
export function firstSessionId(serverId: number, elapsedMs: number): bigint {
  const time = BigInt.asUintN(64, BigInt(Math.floor(elapsedMs)) << 24n) >> 8n
  const id = BigInt.asIntN(64, time | (BigInt(serverId) << 56n))
  return id === -(1n << 63n) ? id + 1n : id
}

export class Session {
  readonly id: bigint
  /** As agreed with the client at its last connect. */
  timeoutMs: number
  /** End of the tick in which the session expires unless touched. */
  expiresAt = 0
  /** Its end is decided and on its way through the log: nothing more is taken from it. */
  closing = false
  /** Through whom its requests come, where a leader tracks it; undefined: nobody has said so yet. */
  owner: number | undefined
  /** Known to this server alone: it is in no log, lives by what its one connection says, and may own nothing. */
  isLocal = false

  constructor(id: bigint, timeoutMs: number) {
    this.id = id
    this.timeoutMs = timeoutMs
  }
}

export class Sessions {
  readonly #tickMs: number
  readonly #byId = new Map<bigint, Session>()
  readonly #buckets = new Map<number, Set<Session>>()
  /** Local sessions are given up by their server, the others by the leader: each kind has its buckets. */
  readonly #localBuckets = new Map<number, Set<Session>>()
  #localCount = 0
  #nextId: bigint
  /** Where another server tracks the sessions: those heard of since it was told last, with their timeouts. */
  #touched: Map<bigint, number> | undefined

  constructor({ tickMs, firstId }: { tickMs: number; firstId: bigint }) {
    this.#tickMs = tickMs
    this.#nextId = firstId
  }

  get size(): number {
    return this.#byId.size
  }
  get localCount(): number {
    return this.#localCount
  }
  newId(): bigint {
    const id = this.#nextId
    this.#nextId = BigInt.asIntN(64, id + 1n)
    return id
  }
  get(id: bigint): Session | undefined {
    return this.#byId.get(id)
  }
  /** Tracks a session from now on with its full timeout; one that is tracked already is touched, and local no more. */
  add(id: bigint, timeoutMs: number, now: number): Session {
    let session = this.#byId.get(id)
    if (!session) {
      session = new Session(id, timeoutMs)
      this.#byId.set(id, session)
    }
    this.upgrade(session)
    this.touch(session, now)
    return session
  }
  /** A new session that no other server hears of. */
  addLocal(timeoutMs: number, now: number): Session {
    const session = new Session(this.newId(), timeoutMs)
    session.isLocal = true
    this.#localCount++
    this.#byId.set(session.id, session)
    this.touch(session, now)
    return session
  }
  /** From now on it is one that the ensemble knows. */
  upgrade(session: Session): void {
    if (!session.isLocal) return
    this.#leaveBucket(session)
    session.isLocal = false
    this.#localCount--
    if (!session.closing) this.#enterBucket(session)
  }
  /** False where the session is ending or gone. */
  touch(session: Session, now: number): boolean {
    if (session.closing) return false
    if (!session.isLocal) this.#touched?.set(session.id, session.timeoutMs)
    const expiresAt = (Math.floor((now + session.timeoutMs) / this.#tickMs) + 1) * this.#tickMs
    if (expiresAt <= session.expiresAt) return true
    this.#leaveBucket(session)
    session.expiresAt = expiresAt
    this.#enterBucket(session)
    return true
  }
  /** Forgets all sessions. `reports`: whether those heard of from now on are to be told to another server. */
  clear({ reports = false }: { reports?: boolean } = {}): void {
    this.#byId.clear()
    this.#buckets.clear()
    this.#localBuckets.clear()
    this.#localCount = 0
    this.#touched = reports ? new Map() : undefined
  }
  /** Sessions heard of since the last call; empty where nobody wants to know. */
  takeTouched(): ReadonlyMap<bigint, number> {
    const touched = this.#touched ?? new Map<bigint, number>()
    if (this.#touched) this.#touched = new Map()
    return touched
  }
  remove(id: bigint): void {
    const session = this.#byId.get(id)
    if (!session) return
    session.closing = true
    this.#byId.delete(id)
    this.#leaveBucket(session)
    if (session.isLocal) this.#localCount--
  }
  /** Sessions whose time is over, marked as closing: each is answered once, and its end has to be logged. */
  expire(now: number): Session[] {
    return this.#expire(this.#buckets, now)
  }
  /** The same for local sessions, whose end is nobody else's business. */
  expireLocal(now: number): Session[] {
    return this.#expire(this.#localBuckets, now)
  }
  #expire(buckets: Map<number, Set<Session>>, now: number): Session[] {
    const expired: Session[] = []
    for (const [expiresAt, bucket] of buckets) {
      if (expiresAt > now) continue
      buckets.delete(expiresAt)
      for (const session of bucket) {
        session.closing = true
        expired.push(session)
      }
    }
    return expired
  }
  /** For `dump`: sessions by the time they expire at, earliest first. */
  buckets({ local = false }: { local?: boolean } = {}): { expiresAt: number; sessions: Session[] }[] {
    return [...(local ? this.#localBuckets : this.#buckets)].sort(([one], [other]) => one - other).map(([expiresAt, sessions]) => ({ expiresAt, sessions: [...sessions] }))
  }

  #enterBucket(session: Session): void {
    const buckets = session.isLocal ? this.#localBuckets : this.#buckets
    const bucket = buckets.get(session.expiresAt)
    if (bucket) bucket.add(session)
    else buckets.set(session.expiresAt, new Set([session]))
  }
  #leaveBucket(session: Session): void {
    const buckets = session.isLocal ? this.#localBuckets : this.#buckets
    const bucket = buckets.get(session.expiresAt)
    if (bucket?.delete(session) && bucket.size === 0) buckets.delete(session.expiresAt)
  }
}
