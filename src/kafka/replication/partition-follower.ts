/** How the follower of one partition follows (reference §3.3): what it asks next, and what it does with the answer. No clock, no disk, no socket. */
import { errors } from '../protocol/errors.ts'

/** What the machine sees of its log; it changes nothing there itself. */
export interface FollowerLog {
  readonly logStartOffset: number
  readonly logEndOffset: number
  readonly highWatermark: number
  /** Of the last record or of the last leadership here; −1 when the log knows none. */
  readonly latestEpoch: number
  endOffsetForEpoch(epoch: number): { epoch: number; endOffset: number }
}

export interface FetchWish {
  readonly currentLeaderEpoch: number
  readonly fetchOffset: number
  readonly lastFetchedEpoch: number
  readonly logStartOffset: number
}
export interface Fetched {
  readonly errorCode: number
  readonly highWatermark: number
  readonly logStartOffset: number
  /** Set when the leader's log parts from this one before the offset asked for. */
  readonly divergingEpoch: { readonly epoch: number; readonly endOffset: number } | undefined
  readonly recordsSize: number
}

export type FollowerInput =
  | { kind: 'fetched'; sent: FetchWish; answer: Fetched; now: number }
  /** Answers to `askEnds`. */
  | { kind: 'endsKnown'; leaderStart: number; leaderEnd: number }
  /** Something failed for now: an append, a connection. */
  | { kind: 'failedForNow'; now: number }
/** What the driver does, in this order, before it asks for the next wish. */
export type FollowerOutput =
  /** The records of the answer go to the log. */
  | { kind: 'append' }
  /** After what was appended is written. */
  | { kind: 'know'; highWatermark: number; logStartOffset: number }
  | { kind: 'truncate'; to: number; belowHighWatermark: boolean }
  /** Nothing here is in the leader's log any more: everything goes, the log begins anew. */
  | { kind: 'startAt'; offset: number }
  /** The leader is to be asked where its log begins and ends. */
  | { kind: 'askEnds' }
  /** Nothing more to be done until the controller speaks. */
  | { kind: 'fail'; errorCode: number }

/** After the first refusal; each further one doubles it, up to `replica.fetch.backoff.ms`. */
const firstBackoffMs = 20

export class PartitionFollower {
  readonly leaderId: number
  readonly leaderEpoch: number
  readonly partitionEpoch: number
  readonly #log: FollowerLog
  readonly #backoffMs: number
  #notBefore = 0
  /** Errors in a row. */
  #refusals = 0
  #failed = false

  constructor(facts: { leaderId: number; leaderEpoch: number; partitionEpoch: number; log: FollowerLog; backoffMs: number }) {
    this.leaderId = facts.leaderId
    this.leaderEpoch = facts.leaderEpoch
    this.partitionEpoch = facts.partitionEpoch
    this.#log = facts.log
    this.#backoffMs = facts.backoffMs
  }

  /** When it wants to ask again, monotonic ms; undefined: not before the next LeaderAndIsr. */
  get notBefore(): number | undefined {
    return this.#failed ? undefined : this.#notBefore
  }
  get wish(): FetchWish {
    const { logEndOffset, logStartOffset, latestEpoch } = this.#log
    return { currentLeaderEpoch: this.leaderEpoch, fetchOffset: logEndOffset, lastFetchedEpoch: latestEpoch, logStartOffset }
  }

  step(input: FollowerInput): FollowerOutput[] {
    switch (input.kind) {
      case 'fetched':
        return this.#fetched(input)
      case 'endsKnown':
        return this.#endsKnown(input)
      case 'failedForNow':
        this.#notBefore = input.now + this.#backoffMs
        return []
      default:
        return input satisfies never
    }
  }

  #fetched({ sent, answer, now }: Extract<FollowerInput, { kind: 'fetched' }>): FollowerOutput[] {
    const { errorCode } = answer
    // An answer to a question of before a truncation says nothing about the log as it is.
    if (sent.fetchOffset !== this.#log.logEndOffset || sent.currentLeaderEpoch !== this.leaderEpoch) return []
    if (errorCode === 0) {
      this.#refusals = 0
      if (answer.divergingEpoch) return this.#truncate(this.#divergence(answer.divergingEpoch, sent.fetchOffset))
      return [...(answer.recordsSize > 0 ? [{ kind: 'append' } as const] : []), { kind: 'know', highWatermark: answer.highWatermark, logStartOffset: answer.logStartOffset }]
    }
    if (errorCode === errors.offsetOutOfRange.code) {
      this.#notBefore = now + this.#backoffMs
      return [{ kind: 'askEnds' }]
    }
    if (errorCode === errors.fencedLeaderEpoch.code) {
      this.#failed = true
      return [{ kind: 'fail', errorCode }]
    }
    // Most often the leader has not heard yet that it leads: it will in a moment.
    this.#notBefore = now + Math.min(this.#backoffMs, firstBackoffMs * 2 ** Math.min(this.#refusals++, 16))
    return []
  }

  /** Where to cut (KIP-595 in Fetch, as KIP-101): never by the high watermark, which may lag behind what is committed. */
  #divergence({ epoch, endOffset }: { epoch: number; endOffset: number }, fetchOffset: number): number {
    const { logEndOffset } = this.#log
    if (endOffset < 0) return Math.min(fetchOffset, logEndOffset)
    if (epoch < 0) return Math.min(endOffset, logEndOffset)
    const own = this.#log.endOffsetForEpoch(epoch)
    if (own.epoch < 0 || own.endOffset < 0) return Math.min(endOffset, logEndOffset)
    // An epoch the leader does not name is not in its log: this log ends where the earlier one did, and the next fetch tells the rest.
    if (own.epoch !== epoch) return Math.min(own.endOffset, logEndOffset)
    return Math.min(endOffset, own.endOffset, logEndOffset)
  }
  #truncate(to: number): FollowerOutput[] {
    return [{ kind: 'truncate', to, belowHighWatermark: to < this.#log.highWatermark }]
  }

  #endsKnown({ leaderStart, leaderEnd }: Extract<FollowerInput, { kind: 'endsKnown' }>): FollowerOutput[] {
    const { logEndOffset } = this.#log
    this.#notBefore = 0
    if (leaderEnd < logEndOffset) return this.#truncate(leaderEnd)
    if (leaderStart > logEndOffset) return [{ kind: 'startAt', offset: leaderStart }]
    return []
  }
}
