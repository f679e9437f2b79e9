/** What the leader of one partition knows of its replicas, and what follows from it (reference §3.1, §3.2, §3.4). No clock, no disk, no socket. */
import assert from 'node:assert'

export type Input =
  | { kind: 'appended'; logEndOffset: number }
  /** A follower asked for records from `fetchOffset` on: it has all before, from its log start on. `now`: monotonic ms, as everywhere here. */
  | { kind: 'fetched'; replica: number; fetchOffset: number; logStartOffset?: number; now: number }
  | { kind: 'ticked'; now: number }
  /** The controller has confirmed an ISR. */
  | { kind: 'isrChanged'; isr: readonly number[]; partitionEpoch: number }
  /** The controller has refused the proposal: `revert` to what is committed, or wait for the LeaderAndIsr that must be on its way. */
  | { kind: 'isrRefused'; reaction: 'revert' | 'wait' }
export type Output = { kind: 'highWatermarkAdvanced'; to: number } | { kind: 'proposeIsr'; isr: readonly number[]; partitionEpoch: number; leaderEpoch: number }

export interface Election {
  leaderEpoch: number
  partitionEpoch: number
  replicas: readonly number[]
  isr: readonly number[]
  /** Where the records of this epoch begin; not before the end of what is written. */
  epochStartOffset: number
  logEndOffset: number
  now: number
}
export interface Leadership extends Election {
  brokerId: number
  highWatermark: number
  /** `replica.lag.time.max.ms` */
  lagMsMax: number
  /** `min.insync.replicas` of the topic, which may change. */
  minInsyncReplicas: () => number
  /** Whether a broker may join the ISR: it is alive. */
  isEligible: (brokerId: number) => boolean
}

interface Follower {
  /** −1 until it has fetched in this leadership. */
  logEndOffset: number
  /** −1 until it has told. */
  logStartOffset: number
  lastFetchMs: number
  leaderEndAtLastFetch: number
  lastCaughtUpMs: number
}
/** While a change is pending its larger set counts for the high watermark, so that whichever holds at the controller is obeyed. */
type Isr =
  | { kind: 'committed'; members: readonly number[] }
  | { kind: 'expanding'; members: readonly number[]; proposed: readonly number[] }
  | { kind: 'shrinking'; members: readonly number[]; proposed: readonly number[] }

const never = -Infinity
const nothing: readonly Output[] = []

export class PartitionLeader {
  readonly #brokerId: number
  readonly #lagMsMax: number
  readonly #minInsyncReplicas: () => number
  readonly #isEligible: (brokerId: number) => boolean
  #leaderEpoch = -1
  #partitionEpoch = -1
  #epochStartOffset = 0
  #replicas: readonly number[] = []
  #isr: Isr = { kind: 'committed', members: [] }
  #maximal: ReadonlySet<number> = new Set()
  #logEndOffset: number
  #highWatermark: number
  #now: number
  readonly #followers = new Map<number, Follower>()

  constructor(leadership: Leadership) {
    this.#brokerId = leadership.brokerId
    this.#lagMsMax = leadership.lagMsMax
    this.#minInsyncReplicas = leadership.minInsyncReplicas
    this.#isEligible = leadership.isEligible
    this.#logEndOffset = leadership.logEndOffset
    this.#highWatermark = leadership.highWatermark
    this.#now = leadership.now
    this.#elected(leadership)
  }

  /** The same leader in a later epoch: what the followers have told still holds. */
  reelect(election: Election): Output[] {
    this.#elected(election)
    return this.#advance()
  }
  #elected({ leaderEpoch, partitionEpoch, replicas, isr, epochStartOffset, logEndOffset, now }: Election): void {
    assert(isr.includes(this.#brokerId), 'a leader outside its ISR')
    assert(leaderEpoch > this.#leaderEpoch)
    this.#leaderEpoch = leaderEpoch
    this.#partitionEpoch = partitionEpoch
    this.#epochStartOffset = epochStartOffset
    this.#logEndOffset = logEndOffset
    this.#replicas = replicas
    this.#now = now
    this.#setIsr({ kind: 'committed', members: isr })
    for (const id of this.#followers.keys()) if (!replicas.includes(id)) this.#followers.delete(id)
    for (const id of replicas) {
      if (id === this.#brokerId) continue
      const known = this.#followers.get(id)
      // Who is in the ISR gets the whole time to show up; the others cannot hold back the high watermark until they have.
      const lastCaughtUpMs = isr.includes(id) ? now : never
      this.#followers.set(id, { logEndOffset: known?.logEndOffset ?? -1, logStartOffset: known?.logStartOffset ?? -1, lastFetchMs: lastCaughtUpMs, leaderEndAtLastFetch: known ? logEndOffset : Infinity, lastCaughtUpMs })
    }
  }

  get leaderEpoch(): number {
    return this.#leaderEpoch
  }
  get partitionEpoch(): number {
    return this.#partitionEpoch
  }
  /** Where this epoch's own records begin: a follower below it may still have to cut its log. */
  get epochStartOffset(): number {
    return this.#epochStartOffset
  }
  get replicas(): readonly number[] {
    return this.#replicas
  }
  /** As the controller has confirmed it, in its order. */
  get isr(): readonly number[] {
    return this.#isr.members
  }
  /** With those whose joining or leaving is not confirmed yet. */
  get maximalIsr(): ReadonlySet<number> {
    return this.#maximal
  }
  get isrIsPending(): boolean {
    return this.#isr.kind !== 'committed'
  }
  get highWatermark(): number {
    return this.#highWatermark
  }
  /** What a follower is known to have; −1: it has not told. */
  followerEnd(replica: number): number {
    return this.#followers.get(replica)?.logEndOffset ?? -1
  }
  /** Below it no live replica has records any more; −1 while one has not told. `own`: the leader's log start. */
  lowWatermark(own: number): number {
    let low = own
    for (const [id, { logStartOffset }] of this.#followers) if (logStartOffset < low && this.#isEligible(id)) low = logStartOffset
    return low
  }
  /** Followers a consumer may read from `offset` on: in sync, and they have it. The one that was level last comes first among equals. */
  readableFollowers(offset: number): { id: number; logEndOffset: number; lastCaughtUpMs: number }[] {
    const readable = []
    for (const [id, { logEndOffset, logStartOffset, lastCaughtUpMs }] of this.#followers)
      if (this.#isr.members.includes(id) && logStartOffset >= 0 && logStartOffset <= offset && offset <= logEndOffset) readable.push({ id, logEndOffset, lastCaughtUpMs })
    return readable
  }
  /** KIP-966's reading of min.insync.replicas: never more than there are replicas. */
  get minIsr(): number {
    return Math.min(this.#minInsyncReplicas(), this.#replicas.length)
  }
  /** Whether an append with acks=all is taken. */
  get hasEnoughReplicas(): boolean {
    return this.#isr.members.length >= this.minIsr
  }
  /** Whether an append that is committed now may be acknowledged. */
  get hadEnoughReplicas(): boolean {
    return this.#maximal.size >= this.minIsr
  }

  step(input: Input): readonly Output[] {
    switch (input.kind) {
      case 'appended':
        assert(input.logEndOffset >= this.#logEndOffset)
        this.#logEndOffset = input.logEndOffset
        return this.#advance()
      case 'fetched':
        return this.#fetched(input)
      case 'ticked':
        this.#now = Math.max(this.#now, input.now)
        return [...this.#shrink(), ...this.#advance()]
      case 'isrChanged':
        if (input.partitionEpoch < this.#partitionEpoch) return []
        this.#partitionEpoch = input.partitionEpoch
        this.#setIsr({ kind: 'committed', members: input.isr })
        return this.#advance()
      case 'isrRefused':
        if (input.reaction === 'revert') this.#setIsr({ kind: 'committed', members: this.#isr.members })
        return this.#advance()
      default:
        return input satisfies never
    }
  }

  #fetched({ replica, fetchOffset, logStartOffset, now }: Extract<Input, { kind: 'fetched' }>): readonly Output[] {
    const follower = this.#followers.get(replica)
    if (!follower) return nothing
    this.#now = Math.max(this.#now, now)
    if (fetchOffset >= this.#logEndOffset) follower.lastCaughtUpMs = now
    // It has now what was there when it asked before: so long ago it was level.
    else if (fetchOffset >= follower.leaderEndAtLastFetch) follower.lastCaughtUpMs = Math.max(follower.lastCaughtUpMs, follower.lastFetchMs)
    const isNews = follower.logEndOffset !== fetchOffset
    follower.logEndOffset = fetchOffset
    if (logStartOffset !== undefined) follower.logStartOffset = logStartOffset
    follower.lastFetchMs = now
    follower.leaderEndAtLastFetch = this.#logEndOffset
    if (!this.#maximal.has(replica)) return [...this.#expand(replica, follower), ...this.#advance()]
    // Each fetch names all partitions, most of which rest.
    return isNews ? this.#advance() : nothing
  }

  #expand(replica: number, { logEndOffset }: Follower): Output[] {
    if (this.#isr.kind !== 'committed') return []
    if (logEndOffset < this.#highWatermark || logEndOffset < this.#epochStartOffset || !this.#isEligible(replica)) return []
    const { members } = this.#isr
    return this.#propose({ kind: 'expanding', members, proposed: [...members, replica] })
  }
  #shrink(): Output[] {
    if (this.#isr.kind !== 'committed') return []
    const { members } = this.#isr
    const proposed = members.filter((id) => id === this.#brokerId || this.#isInSync(id))
    return proposed.length === members.length ? [] : this.#propose({ kind: 'shrinking', members, proposed })
  }
  #isInSync(replica: number): boolean {
    const follower = this.#followers.get(replica)
    return follower !== undefined && (follower.logEndOffset === this.#logEndOffset || this.#now - follower.lastCaughtUpMs <= this.#lagMsMax)
  }
  #propose(isr: Exclude<Isr, { kind: 'committed' }>): Output[] {
    this.#setIsr(isr)
    return [{ kind: 'proposeIsr', isr: isr.proposed, partitionEpoch: this.#partitionEpoch, leaderEpoch: this.#leaderEpoch }]
  }
  #setIsr(isr: Isr): void {
    this.#isr = isr
    this.#maximal = new Set(isr.kind === 'expanding' ? isr.proposed : isr.members)
  }

  /** A record is committed once all have it who are in sync, or about to be: nobody joins the ISR without what is committed. */
  #advance(): Output[] {
    if (this.#isr.members.length < this.#replicas.length && !this.hasEnoughReplicas) return []
    let committed = this.#logEndOffset
    for (const [id, follower] of this.#followers) {
      if (follower.logEndOffset >= committed) continue
      if (this.#maximal.has(id) || (this.#isInSync(id) && this.#isEligible(id))) committed = follower.logEndOffset
    }
    if (committed <= this.#highWatermark) return []
    this.#highWatermark = committed
    return [{ kind: 'highWatermarkAdvanced', to: committed }]
  }
}
