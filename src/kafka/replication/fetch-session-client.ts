/** The asking side of incremental fetch sessions (KIP-227; reference §3.9): what of the wishes has to be said, given what the leader remembers. */
import { uuidZero } from '../../wire/schema.ts'
import { errors } from '../protocol/errors.ts'
import type { FetchWish } from './partition-follower.ts'

export interface SessionWish extends FetchWish {
  readonly topic: string
  readonly topicId: string
  readonly partition: number
}
export interface SessionRequest {
  readonly sessionId: number
  readonly sessionEpoch: number
  /** Topics are named by their ids: version 13 and later. */
  readonly byId: boolean
  readonly changed: readonly SessionWish[]
  readonly forgotten: readonly SessionWish[]
}

const epochInitial = 0
const epochFinal = -1
const key = (topic: string, partition: number): string => `${topic}/${partition}`

export class FetchSessionClient {
  #sessionId = 0
  #sessionEpoch = epochInitial
  #byId = true
  /** What the leader remembers, by topic id or name and partition. */
  #told = new Map<string, SessionWish>()
  readonly #isSingle: boolean

  /** `isSingle`: each request stands for itself, no session is asked for. */
  constructor({ isSingle = false }: { isSingle?: boolean } = {}) {
    this.#isSingle = isSingle
  }

  /** All partitions that are wanted now; the answer has to be given to `answered`, a lost one to `reset`. */
  begin(wishes: readonly SessionWish[]): SessionRequest {
    const byId = wishes.every(({ topicId }) => topicId !== uuidZero)
    if (byId !== this.#byId && this.#sessionEpoch !== epochInitial) this.#closeAndBegin()
    this.#byId = byId
    const wanted = new Map(wishes.map((wish) => [key(byId ? wish.topicId : wish.topic, wish.partition), wish]))
    const isFull = this.#sessionEpoch === epochInitial
    const changed = isFull ? wishes : wishes.filter((wish) => !same(this.#told.get(key(byId ? wish.topicId : wish.topic, wish.partition)), wish))
    const forgotten = isFull ? [] : [...this.#told].filter(([each]) => !wanted.has(each)).map(([, wish]) => wish)
    this.#told = wanted
    return { sessionId: this.#sessionId, sessionEpoch: this.#isSingle ? epochFinal : this.#sessionEpoch, byId, changed, forgotten }
  }
  /** What was asked for a partition that the answer names. */
  wishOf(topic: { topic: string; topicId: string }, partition: number): SessionWish | undefined {
    return this.#told.get(key(this.#byId ? topic.topicId : topic.topic, partition))
  }
  /** True when the answer's partitions count; false: the next request begins a session anew. */
  answered({ errorCode, sessionId }: { errorCode: number; sessionId: number }): boolean {
    if (errorCode !== 0) {
      if (errorCode === errors.fetchSessionIdNotFound.code) this.reset()
      else this.#closeAndBegin()
      return false
    }
    if (sessionId === 0) this.reset()
    else {
      this.#sessionEpoch = this.#sessionEpoch === 0x7fff_ffff || this.#sessionEpoch < 0 ? 1 : this.#sessionEpoch + 1
      this.#sessionId = sessionId
    }
    return true
  }
  /** A new connection, or no session to be had: everything is said again. */
  reset(): void {
    this.#sessionId = 0
    this.#sessionEpoch = epochInitial
  }
  #closeAndBegin(): void {
    this.#sessionEpoch = epochInitial
  }
}

function same(one: SessionWish | undefined, other: SessionWish): boolean {
  return (
    one !== undefined &&
    one.fetchOffset === other.fetchOffset &&
    one.currentLeaderEpoch === other.currentLeaderEpoch &&
    one.lastFetchedEpoch === other.lastFetchedEpoch &&
    one.logStartOffset === other.logStartOffset &&
    one.topicId === other.topicId
  )
}
