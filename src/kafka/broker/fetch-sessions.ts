/**
 * Incremental fetch sessions (KIP-227; reference §3.9): the broker remembers which partitions a consumer or follower reads, so that a
 * request names only what changed and an answer only what is news. A machine: time and chance are arguments.
 */
import { errors } from '../protocol/errors.ts'

/** One partition as a fetcher asks for it. */
export interface FetchTarget {
  topic: string
  topicId: string
  partition: number
  currentLeaderEpoch: number
  fetchOffset: number
  lastFetchedEpoch: number
  logStartOffset: number
  maxBytes: number
}
interface CachedTarget extends FetchTarget {
  /** What it is found by. */
  readonly key: string
  sentHighWatermark: number
  sentLogStartOffset: number
}
/** What decides whether a partition is news. */
export interface FetchNews {
  errorCode: number
  recordsSize: number
  highWatermark: number
  logStartOffset: number
  preferredReadReplica: number
  diverging: boolean
}
export interface FetchSessionRequest {
  sessionId: number
  sessionEpoch: number
  targets: readonly FetchTarget[]
  forgotten: readonly { topic: string; topicId: string; partition: number }[]
  usesTopicIds: boolean
  /** A follower: its session may push out a consumer's. */
  privileged: boolean
}

class FetchSession {
  readonly id: number
  readonly privileged: boolean
  readonly usesTopicIds: boolean
  readonly createdAt: number
  lastUsedAt: number
  epoch = 1
  /** In the order in which they are served: partitions that gave data move to the end. */
  readonly targets = new Map<string, CachedTarget>()
  /** How many targets it had when it was last used: what eviction compares. */
  size = 0
  constructor(id: number, request: FetchSessionRequest, now: number) {
    this.id = id
    this.privileged = request.privileged
    this.usesTopicIds = request.usesTopicIds
    this.createdAt = now
    this.lastUsedAt = now
  }
}

const epochInitial = 0
const epochFinal = -1
/** A session idle for this long may be pushed out by any other (KIP-227). */
const evictableAfterMs = 120_000

/** One fetch within, or without, a session. */
export interface FetchContext {
  readonly errorCode: number
  /** Partitions to read, in the order in which they should be served. */
  readonly targets: readonly FetchTarget[]
  /** Id for the answer; 0: no session. */
  readonly sessionId: number
  /** Whether this partition belongs into the answer; remembers what was sent. To be asked once per answer. */
  isNews(target: FetchTarget, news: FetchNews): boolean
}

export const targetKey = (target: { topic: string; topicId: string; partition: number }, usesTopicIds: boolean): string =>
  `${usesTopicIds ? target.topicId : target.topic}/${target.partition}`

export class FetchSessions {
  readonly #slots: number
  readonly #freshId: () => number
  readonly #sessions = new Map<number, FetchSession>()
  evictions = 0

  /** `slots`: max.incremental.fetch.session.cache.slots. `freshId`: a random positive int32. */
  constructor({ slots, freshId }: { slots: number; freshId: () => number }) {
    this.#slots = slots
    this.#freshId = freshId
  }
  get size(): number {
    return this.#sessions.size
  }

  /** Begins a fetch; changes the session as the request says. */
  begin(request: FetchSessionRequest, now: number): FetchContext {
    const { sessionId, sessionEpoch } = request
    if (sessionEpoch === epochInitial || sessionEpoch === epochFinal) {
      if (sessionId !== 0) this.#sessions.delete(sessionId)
      if (sessionEpoch === epochFinal || request.targets.length === 0) return full(request.targets, 0)
      return this.#create(request, now)
    }
    const session = this.#sessions.get(sessionId)
    if (!session) return refused(errors.fetchSessionIdNotFound.code)
    if (session.usesTopicIds !== request.usesTopicIds) return refused(errors.fetchSessionTopicIdError.code)
    if (session.epoch !== sessionEpoch) return refused(errors.invalidFetchSessionEpoch.code)
    session.epoch = session.epoch === 0x7fff_ffff ? 1 : session.epoch + 1
    session.lastUsedAt = now
    for (const target of request.targets) {
      const key = targetKey(target, session.usesTopicIds)
      const cached = session.targets.get(key)
      if (cached) Object.assign(cached, target, { topic: target.topic || cached.topic })
      else session.targets.set(key, { ...target, key, sentHighWatermark: -1, sentLogStartOffset: -1 })
    }
    for (const gone of request.forgotten) session.targets.delete(targetKey(gone, session.usesTopicIds))
    session.size = session.targets.size
    if (session.size === 0) {
      this.#sessions.delete(session.id)
      return full([], 0)
    }
    return { errorCode: 0, targets: [...session.targets.values()], sessionId: session.id, isNews: (target, news) => noteNews(session, target, news) }
  }

  #create(request: FetchSessionRequest, now: number): FetchContext {
    if (!this.#makeRoom(request, now)) return full(request.targets, 0)
    let id: number
    do id = this.#freshId()
    while (id === 0 || this.#sessions.has(id))
    const session = new FetchSession(id, request, now)
    for (const target of request.targets) {
      const key = targetKey(target, request.usesTopicIds)
      session.targets.set(key, { ...target, key, sentHighWatermark: -1, sentLogStartOffset: -1 })
    }
    session.size = session.targets.size
    this.#sessions.set(id, session)
    return {
      errorCode: 0,
      targets: [...session.targets.values()],
      sessionId: id,
      // The first answer of a session is a full one, and is remembered.
      isNews(target, news) {
        noteNews(session, target, news)
        return true
      },
    }
  }

  /** KIP-227: a newcomer may push out a session that is idle for long, or a smaller one of no higher privilege. */
  #makeRoom(request: FetchSessionRequest, now: number): boolean {
    if (this.#sessions.size < this.#slots) return true
    let oldest: FetchSession | undefined
    let least: FetchSession | undefined
    for (const session of this.#sessions.values()) {
      if (!oldest || session.lastUsedAt < oldest.lastUsedAt) oldest = session
      if (now - session.createdAt > evictableAfterMs || (request.privileged && !session.privileged))
        if (!least || rank(session) < rank(least)) least = session
    }
    const victim =
      oldest && now - oldest.lastUsedAt > evictableAfterMs
        ? oldest
        : least && rank(least) < rank({ privileged: request.privileged, size: request.targets.length })
          ? least
          : undefined
    if (!victim) return false
    this.#sessions.delete(victim.id)
    this.evictions++
    return true
  }
}

const rank = ({ privileged, size }: { privileged: boolean; size: number }): number => (privileged ? 1e9 : 0) + size

/** `target`: one that the session has given out. */
function noteNews(session: FetchSession, target: FetchTarget, news: FetchNews): boolean {
  const { key } = target as CachedTarget
  const cached = session.targets.get(key)
  if (!cached) return true
  let isNews = news.recordsSize > 0 || news.preferredReadReplica >= 0 || news.diverging
  if (cached.sentHighWatermark !== news.highWatermark) {
    isNews = true
    cached.sentHighWatermark = news.highWatermark
  }
  if (cached.sentLogStartOffset !== news.logStartOffset) {
    isNews = true
    cached.sentLogStartOffset = news.logStartOffset
  }
  if (news.errorCode !== 0) {
    // Errors are always sent, and so is what follows when they are over.
    isNews = true
    cached.sentHighWatermark = -1
  }
  if (news.recordsSize > 0) {
    session.targets.delete(key)
    session.targets.set(key, cached)
  }
  return isNews
}
function full(targets: readonly FetchTarget[], sessionId: number): FetchContext {
  return { errorCode: 0, targets, sessionId, isNews: () => true }
}
function refused(errorCode: number): FetchContext {
  return { errorCode, targets: [], sessionId: 0, isNews: () => false }
}
