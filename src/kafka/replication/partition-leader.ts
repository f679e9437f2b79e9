/** What the leader of one partition knows of its replicas, and what follows from it (reference §3.1, §3.4). No clock, no disk, no socket. */
import assert from 'node:assert'

export type Input =
  | { kind: 'appended'; logEndOffset: number }
  /** A follower asked for records from `fetchOffset` on: it has all before. */
  | { kind: 'fetched'; replica: number; fetchOffset: number }
  | { kind: 'isrChanged'; isr: readonly number[]; partitionEpoch: number }
export type Output = { kind: 'highWatermarkAdvanced'; to: number }

export interface Leadership {
  brokerId: number
  leaderEpoch: number
  partitionEpoch: number
  replicas: readonly number[]
  isr: readonly number[]
  logEndOffset: number
  highWatermark: number
}

export class PartitionLeader {
  readonly leaderEpoch: number
  readonly replicas: readonly number[]
  readonly #brokerId: number
  #partitionEpoch: number
  #isr: ReadonlySet<number>
  #logEndOffset: number
  #highWatermark: number
  /** Log ends of the followers as far as they have told since this leadership began. */
  readonly #followers = new Map<number, number>()

  constructor(leadership: Leadership) {
    assert(leadership.isr.includes(leadership.brokerId), 'a leader outside its ISR')
    this.#brokerId = leadership.brokerId
    this.leaderEpoch = leadership.leaderEpoch
    this.replicas = leadership.replicas
    this.#partitionEpoch = leadership.partitionEpoch
    this.#isr = new Set(leadership.isr)
    this.#logEndOffset = leadership.logEndOffset
    this.#highWatermark = leadership.highWatermark
  }

  get isr(): ReadonlySet<number> {
    return this.#isr
  }
  get partitionEpoch(): number {
    return this.#partitionEpoch
  }
  get highWatermark(): number {
    return this.#highWatermark
  }
  /** KIP-966's reading of min.insync.replicas: never more than there are replicas. */
  minIsr(minInsyncReplicas: number): number {
    return Math.min(minInsyncReplicas, this.replicas.length)
  }
  hasEnoughReplicas(minInsyncReplicas: number): boolean {
    return this.#isr.size >= this.minIsr(minInsyncReplicas)
  }

  step(input: Input): Output[] {
    switch (input.kind) {
      case 'appended':
        assert(input.logEndOffset >= this.#logEndOffset)
        this.#logEndOffset = input.logEndOffset
        return this.advance()
      case 'fetched':
        this.#followers.set(input.replica, input.fetchOffset)
        return this.advance()
      case 'isrChanged':
        if (input.partitionEpoch <= this.#partitionEpoch) return []
        this.#partitionEpoch = input.partitionEpoch
        this.#isr = new Set(input.isr)
        return this.advance()
      default:
        return input satisfies never
    }
  }

  /** A record is committed once every in-sync replica has it. */
  protected advance(): Output[] {
    let committed = this.#logEndOffset
    for (const replica of this.#isr) if (replica !== this.#brokerId) committed = Math.min(committed, this.#followers.get(replica) ?? -1)
    if (committed <= this.#highWatermark) return []
    this.#highWatermark = committed
    return [{ kind: 'highWatermarkAdvanced', to: committed }]
  }
}
