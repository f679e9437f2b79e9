/** The asking side of incremental fetch sessions (KIP-227; reference §3.9): what of the wishes has to be said, given what the leader remembers. */
import { uuidZero } from '../../wire/schema.ts'
import { errors } from '../protocol/errors.ts'
import type { FetchWish } from './partition-follower.ts'

export interface SessionWish extends FetchWish {
  readonly topic: string
  readonly topicId: string
  readonly partition: number
  readonly keys: WishKeys
}
/** What a partition is remembered by; made once, as long as its topic's id is the same. */
export interface WishKeys {
  readonly idKey: string
  readonly nameKey: string
}
export interface SessionRequest<W extends SessionWish> {
  readonly sessionId: number
  readonly sessionEpoch: number
  /** Topics are named by their ids: version 13 and later. */
  readonly byId: boolean
  readonly changed: readonly W[]
  readonly forgotten: readonly W[]
}

const epochInitial = 0
const epochFinal = -1
const key = (topic: string, partition: number): string => `${topic}/${partition}`
export const wishKeys = (topic: string, topicId: string, partition: number): WishKeys => ({ idKey: key(topicId, partition), nameKey: key(topic, partition) })

export class FetchSessionClient<W extends SessionWish = SessionWish> {
  #sessionId = 0
  #sessionEpoch = epochInitial
  #byId = true
  /** What the leader remembers, by topic id or name and partition. */
  readonly #told = new Map<string, W>()
  readonly #isSingle: boolean

  /** `isSingle`: each request stands for itself, no session is asked for. */
  constructor({ isSingle = false }: { isSingle?: boolean } = {}) {
    this.#isSingle = isSingle
  }

  /**
   * All partitions that are wanted now, each once; the answer has to be given to `answered`, a lost one to `reset`. A wish that has not changed is
   * best given as the same object: partitions are many, and most of them rest.
   */
  begin(wishes: readonly W[]): SessionRequest<W> {
    const byId = wishes.every(({ topicId }) => topicId !== uuidZero)
    if (byId !== this.#byId && this.#sessionEpoch !== epochInitial) this.#closeAndBegin()
    this.#byId = byId
    const isFull = this.#sessionEpoch === epochInitial
    if (isFull) this.#told.clear()
    const told = this.#told
    const changed: W[] = []
    for (const wish of wishes) {
      const { idKey, nameKey } = wish.keys
      const its = byId ? idKey : nameKey
      const before = told.get(its)
      if (before === wish) continue
      told.set(its, wish)
      if (before === undefined || !same(before, wish)) changed.push(wish)
    }
    const forgotten = told.size === wishes.length ? [] : this.#forget(wishes)
    return { sessionId: this.#sessionId, sessionEpoch: this.#isSingle ? epochFinal : this.#sessionEpoch, byId, changed, forgotten }
  }
  #forget(wishes: readonly W[]): W[] {
    const wanted = new Set(wishes)
    const forgotten: W[] = []
    for (const [its, wish] of this.#told) {
      if (wanted.has(wish)) continue
      this.#told.delete(its)
      forgotten.push(wish)
    }
    return forgotten
  }
  /** What was asked for a partition that the answer names. */
  wishOf(topic: { topic: string; topicId: string }, partition: number): W | undefined {
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

function same(one: SessionWish, other: SessionWish): boolean {
  return (
    one.fetchOffset === other.fetchOffset &&
    one.currentLeaderEpoch === other.currentLeaderEpoch &&
    one.lastFetchedEpoch === other.lastFetchedEpoch &&
    one.logStartOffset === other.logStartOffset &&
    one.topicId === other.topicId
  )
}
