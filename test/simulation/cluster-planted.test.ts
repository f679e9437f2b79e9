import { test, expect } from 'vitest'
import { InternalLog } from '../../src/kafka/broker/internal-log.ts'
import { ControllerContext } from '../../src/kafka/controller/controller-context.ts'
import { Group } from '../../src/kafka/groups/group.ts'
import type { CommitInput, Input as GroupInput, Output as GroupOutput } from '../../src/kafka/groups/steps.ts'
import { ControllerZooKeeper } from '../../src/kafka/metadata/controller-zookeeper.ts'
import { Partition, type AppendWish, type PartitionState } from '../../src/kafka/replication/partition.ts'
import { PartitionLeader, type Input, type Output } from '../../src/kafka/replication/partition-leader.ts'
import { ReplicaManager } from '../../src/kafka/replication/replica-manager.ts'
import { runCluster } from '../../src/simulation/kafka-run.ts'
import type { RunOptions } from '../../src/simulation/run.ts'
import { lawBroken, withBug } from './planted.ts'

const find = (options: Partial<RunOptions> = {}, seeds = 12) => (): Promise<string> => lawBroken(runCluster, seeds, { faultyMs: 8_000, ...options })
const planted = (bug: string, run: () => Promise<void>): void => test(`planted: ${bug}`, { timeout: 240_000 }, run)

planted('a follower cuts its log at its high watermark, whatever the epochs say', async () => {
  const law = await withBug(Partition.prototype, 'becomeFollower', (become) => function (this: Partition, state: PartitionState) {
    void this.log.truncateTo(this.log.highWatermark)
    become.call(this as never, state as never)
  } as never, find({ kinds: ['stop', 'kill', 'zombie'] }))
  expect(law).toBe('what is committed is on every in-sync replica')
})
planted('a follower joins the ISR as soon as it asks for records', async () => {
  const law = await withBug(PartitionLeader.prototype, 'step', (step) => function (this: PartitionLeader, input: Input) {
    const outputs = step.call(this as never, input as never) as Output[]
    if (input.kind === 'fetched' && !this.maximalIsr.has(input.replica) && !this.isrIsPending)
      outputs.push({ kind: 'proposeIsr', isr: [...this.isr, input.replica], partitionEpoch: this.partitionEpoch, leaderEpoch: this.leaderEpoch })
    return outputs
  } as never, find({ kinds: ['kill', 'stop'] }))
  expect(law).toMatch(/on every in-sync replica/)
})
planted('what one follower has, all are believed to have', async () => {
  const law = await withBug(PartitionLeader.prototype, 'step', (step) => function (this: PartitionLeader, input: Input) {
    const outputs = step.call(this as never, input as never) as Output[]
    if (input.kind === 'fetched') for (const replica of this.replicas) outputs.push(...(step.call(this as never, { ...input, replica } as never) as Output[]))
    return outputs
  } as never, find({ kinds: ['pause', 'kill', 'partition'] }))
  expect(law).toMatch(/on every in-sync replica/)
})
planted('a follower is believed to have what it was only sent', async () => {
  const ends = new WeakMap<object, number>()
  const law = await withBug(PartitionLeader.prototype, 'step', (step) => function (this: PartitionLeader, input: Input) {
    if (input.kind === 'appended') ends.set(this, input.logEndOffset)
    return step.call(this as never, (input.kind === 'fetched' ? { ...input, fetchOffset: Math.max(input.fetchOffset, ends.get(this) ?? 0) } : input) as never)
  } as never, find({ kinds: ['slowDisk', 'kill', 'slowLink'] }))
  expect(law).toMatch(/on every in-sync replica/)
})
planted('a new coordinator does not read the last batch of its partition', async () => {
  const law = await withBug(InternalLog.prototype, 'read', (read) => async function (this: never, ...rest: never[]) {
    const bytes = (await read.call(this, ...rest)) as Buffer
    let last = 0
    for (let at = 0; at < bytes.length; at += 12 + bytes.readInt32BE(at + 8)) last = at
    return bytes.subarray(0, last)
  } as never, find({ kinds: ['kill', 'stop'] }))
  // What is forgotten may be a group's newest generation, whose number is then given again, or the last of a transaction, which nobody ends.
  expect(law).toMatch(/committed|a member begins where its group is|a generation gives|no transaction hangs/)
})
planted('the controller elects another leader in the same epoch', async () => {
  const law = await withBug(ControllerZooKeeper.prototype, 'updateStates', (update) => function (this: never, writes: readonly { state: PartitionState }[]) {
    return update.call(this, writes.map((write) => ({ ...write, state: { ...write.state, leaderEpoch: 0 } })) as never)
  } as never, find({ scenario: 'records', kinds: ['kill', 'stop'] }))
  expect(law).toMatch(/one leader per partition and epoch|acknowledged|one record for ever|in-sync|serves again/)
})
planted('acks=all is taken for acks=1', async () => {
  const law = await withBug(Partition.prototype, 'append', (append) => function (this: never, pieces: never, size: never, wish: AppendWish, finished: never) {
    return append.call(this, pieces, size, { ...wish, requiredAcks: wish.requiredAcks && 1 } as never, finished)
  } as never, find({ kinds: ['kill', 'pause'] }))
  expect(law).toBe('what is acknowledged is on enough replicas')
})
planted('an append is acknowledged whatever min.insync.replicas says', async () => {
  const always = (): boolean => true
  const law = await withBug(PartitionLeader.prototype, 'hasEnoughReplicas', () => always, () => withBug(PartitionLeader.prototype, 'hadEnoughReplicas', () => always, find({ scenario: 'records', faultyMs: 15_000, kinds: ['deposed'] })))
  // Or a coordinator that is deposed keeps what a member of an ended generation commits.
  expect(law).toMatch(/what is acknowledged is on enough replicas|a generation that is over commits nothing/)
})
planted('committed offsets are answered before any replica has them', async () => {
  const law = await withBug(InternalLog.prototype, 'append', (append) => function (this: never, ...rest: never[]) {
    void append.call(this, ...rest)
    return Promise.resolve({ errorCode: 0, baseOffset: 0 })
  } as never, find({ scenario: 'records', kinds: ['kill', 'stop', 'deposed'] }))
  expect(law).toMatch(/committed|a member begins where its group is/)
})
planted('a new leader does not know the producers of its predecessor', async () => {
  const law = await withBug(Partition.prototype, 'becomeLeader', (become) => function (this: Partition, state: PartitionState) {
    if (!this.leading) this.log.expireProducers(Infinity)
    return become.call(this as never, state as never)
  } as never, find({ scenario: 'records', faultyMs: 20_000, kinds: ['deposed', 'pause'] }, 5))
  expect(law).toMatch(/a record is there once|in its order/)
})
planted('a broker obeys every controller, also one that another has replaced', async () => {
  const law = await withBug(ReplicaManager.prototype, 'refusalOf', () => () => 0, find({ scenario: 'records', faultyMs: 12_000, kinds: ['lateOrders'] }))
  expect(law).toBe('nobody obeys an older controller')
})
planted('a new controller takes a broker that was restarted meanwhile for one that has stayed', async () => {
  const law = await withBug(ControllerContext.prototype, 'restartedUnseen', () => () => [], find({ scenario: 'unsynced', faultyMs: 20_000, kinds: ['powerCut'] }))
  expect(law).toMatch(/what was (acknowledged|shown) is there|replicas agree below the high watermark|one record for ever|on every in-sync replica|committed|producer that repeats is answered|serves again/)
})
planted('a member is given the share of another', async () => {
  const shares = new WeakMap<object, Uint8Array>()
  const law = await withBug(Group.prototype, 'step', (step) => function (this: Group, input: GroupInput) {
    const outputs = step.call(this as never, input as never) as GroupOutput[]
    return outputs.map((output) => {
      if (output.kind !== 'synced' || output.answer.errorCode !== 0) return output
      const share = output.answer.assignment.length > 0 ? output.answer.assignment : (shares.get(this) ?? output.answer.assignment)
      shares.set(this, share)
      return { ...output, answer: { ...output.answer, assignment: share } }
    })
  } as never, find({ scenario: 'records', kinds: ['kill', 'pause'] }))
  expect(law).toBe('a generation gives a partition to one member')
})
planted('a coordinator takes commits of a generation that is over', async () => {
  const law = await withBug(Group.prototype, 'admitCommit', (admit) => function (this: Group, input: CommitInput) {
    const generation = input.member.generation < 0 ? input.member.generation : this.generation
    return admit.call(this as never, { ...input, member: { ...input.member, generation } } as never)
  } as never, find({ scenario: 'records', kinds: ['kill', 'pause'] }))
  expect(law).toBe('a generation that is over commits nothing')
})
planted('a coordinator takes commits of whoever was a member once', async () => {
  const law = await withBug(Group.prototype, 'admitCommit', () => () => 0, find({ scenario: 'records', kinds: ['kill', 'pause'] }))
  expect(law).toBe('a generation that is over commits nothing')
})
