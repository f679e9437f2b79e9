/**
 * Leaders and followers as machines, their logs in memory, elections, crashes, truncations and ISR changes in any order: what was
 * committed is never lost, no high watermark retreats, replicas agree below it. The planted bugs show that the laws would notice.
 */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { LeaderEpochs } from '../../../src/kafka/log/leader-epochs.ts'
import { PartitionFollower } from '../../../src/kafka/replication/partition-follower.ts'
import { PartitionLeader, type Output } from '../../../src/kafka/replication/partition-leader.ts'

type Bug = 'none' | 'truncation by high watermark' | 'ISR expanded too early' | 'high watermark ignores the ISR'
const ids = [1, 2, 3]

/** A log of which only the epochs of its records matter: two records at one offset are the same if their epochs are. */
class MemoryLog {
  records: number[] = []
  highWatermark = 0
  logStartOffset = 0
  epochs = new LeaderEpochs()
  get logEndOffset(): number {
    return this.records.length
  }
  get latestEpoch(): number {
    return this.epochs.latest
  }
  endOffsetForEpoch(epoch: number): { epoch: number; endOffset: number } {
    return this.epochs.endOf(epoch, this.records.length)
  }
  append(epoch: number): void {
    this.epochs.assign(epoch, this.records.length)
    this.records.push(epoch)
  }
  truncateTo(offset: number): void {
    this.records.length = Math.min(offset, this.records.length)
    this.epochs.truncateEnd(offset)
    this.highWatermark = Math.min(this.highWatermark, offset)
  }
}

class Cluster {
  readonly bug: Bug
  readonly logs = new Map(ids.map((id) => [id, new MemoryLog()]))
  readonly followers = new Map<number, PartitionFollower>()
  /** Who is alive; the others keep their logs. */
  readonly live = new Set(ids)
  leaderId = 0
  leader: PartitionLeader | undefined
  leaderEpoch = 0
  partitionEpoch = 0
  isr: readonly number[] = ids
  now = 0
  proposals: Extract<Output, { kind: 'proposeIsr' }>[] = []
  /** The records known to be committed, by offset: what any leader's high watermark has passed. */
  committed: number[] = []

  constructor(bug: Bug) {
    this.bug = bug
    this.elect(1)
  }
  log(id: number): MemoryLog {
    return this.logs.get(id)!
  }
  elect(id: number): void {
    if (!this.live.has(id) || !this.isr.includes(id)) return
    this.isr = this.isr.filter((each) => this.live.has(each))
    this.leaderEpoch++
    this.partitionEpoch++
    const log = this.log(id)
    log.epochs.assign(this.leaderEpoch, log.logEndOffset)
    const election = { leaderEpoch: this.leaderEpoch, partitionEpoch: this.partitionEpoch, replicas: ids, isr: this.isr, epochStartOffset: log.logEndOffset, logEndOffset: log.logEndOffset, now: this.now }
    if (this.leader && this.leaderId === id) this.take(this.leader.reelect(election))
    else {
      this.leaderId = id
      this.leader = new PartitionLeader({ ...election, brokerId: id, highWatermark: log.highWatermark, lagMsMax: 100, minInsyncReplicas: () => 1, isEligible: (each) => this.live.has(each) })
      this.take(this.leader.step({ kind: 'appended', logEndOffset: log.logEndOffset }))
    }
    for (const each of ids) if (each !== id && this.live.has(each)) this.follow(each)
  }
  follow(id: number): void {
    const log = this.log(id)
    if (this.bug === 'truncation by high watermark') log.truncateTo(log.highWatermark)
    this.followers.set(id, new PartitionFollower({ leaderId: this.leaderId, leaderEpoch: this.leaderEpoch, partitionEpoch: this.partitionEpoch, log, backoffMs: 0 }))
  }
  append(): void {
    if (!this.leader) return
    const log = this.log(this.leaderId)
    log.append(this.leaderEpoch)
    this.take(this.leader.step({ kind: 'appended', logEndOffset: log.logEndOffset }))
  }
  fetch(id: number, most: number): void {
    const follower = this.followers.get(id)
    if (!this.leader || !follower || id === this.leaderId || !this.live.has(id)) return
    const leaderLog = this.log(this.leaderId)
    const log = this.log(id)
    const sent = follower.wish
    const facts = { errorCode: 0, highWatermark: this.leader.highWatermark, logStartOffset: 0 }
    const end = sent.lastFetchedEpoch < 0 ? { epoch: sent.lastFetchedEpoch, endOffset: Infinity } : leaderLog.endOffsetForEpoch(sent.lastFetchedEpoch)
    const parts = end.epoch < sent.lastFetchedEpoch || end.endOffset < sent.fetchOffset
    if (parts || sent.fetchOffset > leaderLog.logEndOffset) {
      for (const output of follower.step({ kind: 'fetched', sent, answer: { ...facts, divergingEpoch: end, recordsSize: 0 }, now: this.now })) if (output.kind === 'truncate') log.truncateTo(output.to)
      return
    }
    this.take(this.leader.step({ kind: 'fetched', replica: id, fetchOffset: sent.fetchOffset, now: this.now }))
    if (this.bug === 'ISR expanded too early' && !this.isr.includes(id)) this.proposals.push({ kind: 'proposeIsr', isr: [...this.isr, id], leaderEpoch: this.leaderEpoch, partitionEpoch: this.partitionEpoch })
    const records = leaderLog.records.slice(sent.fetchOffset, sent.fetchOffset + most)
    for (const output of follower.step({ kind: 'fetched', sent, answer: { ...facts, highWatermark: this.leader.highWatermark, divergingEpoch: undefined, recordsSize: records.length }, now: this.now })) {
      if (output.kind === 'append') for (const epoch of records) log.append(epoch)
      if (output.kind === 'know') log.highWatermark = Math.max(log.highWatermark, Math.min(output.highWatermark, log.logEndOffset))
    }
  }
  /** The controller answers what was proposed, if it is still about the state it has. */
  decide(): void {
    for (const { isr, leaderEpoch, partitionEpoch } of this.proposals.splice(0)) {
      if (leaderEpoch !== this.leaderEpoch || partitionEpoch !== this.partitionEpoch || !isr.every((id) => this.live.has(id))) {
        if (leaderEpoch === this.leaderEpoch) this.take(this.leader!.step({ kind: 'isrRefused', reaction: partitionEpoch === this.partitionEpoch ? 'revert' : 'wait' }))
        continue
      }
      this.isr = isr
      this.partitionEpoch++
      this.take(this.leader!.step({ kind: 'isrChanged', isr, partitionEpoch: this.partitionEpoch }))
    }
  }
  die(id: number): void {
    // Somebody of the ISR stays: wider failures lose records and are another law.
    if (this.isr.filter((each) => this.live.has(each) && each !== id).length === 0 || this.live.size === 1) return
    this.live.delete(id)
    this.followers.delete(id)
    if (id === this.leaderId) {
      this.leader = undefined
      this.elect(this.isr.find((each) => this.live.has(each))!)
    } else if (this.isr.includes(id)) this.elect(this.leaderId)
  }
  rise(id: number): void {
    if (this.live.has(id)) return
    this.live.add(id)
    this.follow(id)
  }
  take(outputs: readonly Output[]): void {
    for (const output of outputs) {
      if (output.kind === 'proposeIsr') this.proposals.push(output)
      else {
        const log = this.log(this.leaderId)
        const to = output.to
        if (to < log.highWatermark) throw new Error(`the high watermark went back from ${log.highWatermark} to ${to}`)
        log.highWatermark = to
      }
    }
    this.check()
  }
  check(): void {
    if (!this.leader) return
    const log = this.log(this.leaderId)
    const known = this.bug === 'high watermark ignores the ISR' ? log.logEndOffset : log.highWatermark
    for (let offset = 0; offset < Math.max(known, this.committed.length); offset++) {
      if (offset >= this.committed.length) this.committed.push(log.records[offset])
      else if (log.records[offset] !== this.committed[offset]) throw new Error(`offset ${offset} was committed in epoch ${this.committed[offset]}; leader ${this.leaderId} has ${log.records[offset]}`)
    }
  }
}

const step = fc.oneof(
  { weight: 5, arbitrary: fc.constant((cluster: Cluster) => cluster.append()) },
  { weight: 10, arbitrary: fc.record({ id: fc.constantFrom(...ids), most: fc.integer({ min: 1, max: 4 }) }).map(({ id, most }) => (cluster: Cluster) => cluster.fetch(id, most)) },
  { weight: 3, arbitrary: fc.constant((cluster: Cluster) => cluster.decide()) },
  { weight: 2, arbitrary: fc.integer({ min: 1, max: 150 }).map((ms) => (cluster: Cluster) => {
    cluster.now += ms
    if (cluster.leader) cluster.take(cluster.leader.step({ kind: 'ticked', now: cluster.now }))
  }) },
  { weight: 1, arbitrary: fc.constantFrom(...ids).map((id) => (cluster: Cluster) => cluster.die(id)) },
  { weight: 1, arbitrary: fc.constantFrom(...ids).map((id) => (cluster: Cluster) => cluster.rise(id)) },
  { weight: 1, arbitrary: fc.constantFrom(...ids).map((id) => (cluster: Cluster) => cluster.elect(id)) },
)
const run = (bug: Bug, numRuns: number): void =>
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120, size: 'max' }), (steps) => {
      const cluster = new Cluster(bug)
      for (const each of steps) each(cluster)
      for (const id of ids) cluster.rise(id)
      for (let round = 0; round < 100; round++) for (const id of ids) cluster.fetch(id, 10)
      const [first, ...others] = ids.map((id) => cluster.log(id).records.join())
      for (const other of others) expect(other).toBe(first)
    }),
    { numRuns, seed: 42, endOnFailure: bug !== 'none' },
  )

test('what is committed is never lost, high watermarks never retreat, and replicas agree in the end', () => run('none', 600))
for (const bug of ['truncation by high watermark', 'ISR expanded too early', 'high watermark ignores the ISR'] as const)
  test(`a planted bug is noticed: ${bug}`, () => expect(() => run(bug, 2_000)).toThrow(/Property failed/))
