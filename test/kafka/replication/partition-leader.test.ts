import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { PartitionLeader, type Input } from '../../../src/kafka/replication/partition-leader.ts'

const elected = (isr: number[], { replicas = [1, 2, 3], minIsr = 1, dead = [] as number[] } = {}) =>
  new PartitionLeader({
    brokerId: 1, leaderEpoch: 5, partitionEpoch: 0, replicas, isr, epochStartOffset: 10, logEndOffset: 10, highWatermark: 4, now: 0,
    lagMsMax: 100, minInsyncReplicas: () => minIsr, isEligible: (id) => !dead.includes(id),
  })

describe('the high watermark', () => {
  test('of a partition with one in-sync replica is the end of its log', () => {
    const leader = elected([1], { replicas: [1] })
    expect(leader.step({ kind: 'appended', logEndOffset: 10 })).toEqual([{ kind: 'highWatermarkAdvanced', to: 10 }])
  })
  test('waits for every member of the ISR', () => {
    const leader = elected([1, 2, 3])
    expect(leader.step({ kind: 'appended', logEndOffset: 20 })).toEqual([])
    expect(leader.step({ kind: 'fetched', replica: 2, fetchOffset: 15, now: 1 })).toEqual([])
    expect(leader.step({ kind: 'fetched', replica: 3, fetchOffset: 12, now: 1 })).toEqual([{ kind: 'highWatermarkAdvanced', to: 12 }])
  })
  test('stops waiting for a replica that left the ISR', () => {
    const leader = elected([1, 2])
    leader.step({ kind: 'appended', logEndOffset: 20 })
    leader.step({ kind: 'ticked', now: 101 })
    expect(leader.step({ kind: 'isrChanged', isr: [1], partitionEpoch: 1 })).toEqual([{ kind: 'highWatermarkAdvanced', to: 20 }])
  })
  test('goes on waiting for one outside the ISR that is level, until it is late: it may join at any moment', () => {
    const leader = elected([1, 2])
    leader.step({ kind: 'appended', logEndOffset: 20 })
    expect(leader.step({ kind: 'isrChanged', isr: [1], partitionEpoch: 1 })).toEqual([])
    expect(leader.step({ kind: 'ticked', now: 101 })).toEqual([{ kind: 'highWatermarkAdvanced', to: 20 }])
  })
  test('ignores an ISR change that is older than the one it knows', () => {
    const leader = elected([1, 2])
    leader.step({ kind: 'isrChanged', isr: [1, 2, 3], partitionEpoch: 3 })
    leader.step({ kind: 'isrChanged', isr: [1], partitionEpoch: 2 })
    expect(leader.isr).toEqual([1, 2, 3])
  })
  test('never retreats and never passes what the whole ISR has, whatever happens', () => {
    const input = fc.oneof(
      fc.nat(50).map((by) => ({ kind: 'appended' as const, by })),
      fc.record({ kind: fc.constant('fetched' as const), replica: fc.constantFrom(2, 3), fetchOffset: fc.nat(60), now: fc.nat(300) }),
      fc.record({ kind: fc.constant('isrChanged' as const), isr: fc.subarray([2, 3]).map((rest) => [1, ...rest]), partitionEpoch: fc.nat(20) }),
    )
    fc.assert(
      fc.property(fc.array(input, { maxLength: 40 }), (inputs) => {
        const leader = elected([1, 2])
        const has = new Map([[1, 10]])
        let last = leader.highWatermark
        for (const each of inputs) {
          const step: Input = each.kind === 'appended' ? { kind: 'appended', logEndOffset: has.get(1)! + each.by } : each
          if (step.kind === 'appended') has.set(1, step.logEndOffset)
          if (step.kind === 'fetched') has.set(step.replica, step.fetchOffset)
          const outputs = leader.step(step)
          expect(leader.highWatermark).toBeGreaterThanOrEqual(last)
          if (outputs.some(({ kind }) => kind === 'highWatermarkAdvanced')) for (const replica of leader.maximalIsr) expect(leader.highWatermark).toBeLessThanOrEqual(has.get(replica) ?? -1)
          last = leader.highWatermark
        }
      }),
    )
  })
})

describe('min.insync.replicas', () => {
  test('is never more than there are replicas', () => {
    expect(elected([1], { replicas: [1], minIsr: 2 }).hasEnoughReplicas).toBe(true)
    expect(elected([1], { replicas: [1, 2], minIsr: 2 }).hasEnoughReplicas).toBe(false)
  })
  test('holds the high watermark back while the ISR is smaller', () => {
    const leader = elected([1, 2], { minIsr: 2 })
    leader.step({ kind: 'isrChanged', isr: [1], partitionEpoch: 1 })
    expect(leader.step({ kind: 'appended', logEndOffset: 20 })).toEqual([])
    expect(leader.step({ kind: 'isrChanged', isr: [1, 2], partitionEpoch: 2 })).toEqual([])
    expect(leader.step({ kind: 'fetched', replica: 2, fetchOffset: 20, now: 1 })).toEqual([{ kind: 'highWatermarkAdvanced', to: 20 }])
  })
})

describe('the ISR', () => {
  const proposal = (isr: number[], partitionEpoch = 0) => ({ kind: 'proposeIsr', isr, partitionEpoch, leaderEpoch: 5 })
  test('loses a follower that falls silent; the high watermark waits until the controller agrees', () => {
    const leader = elected([1, 2, 3])
    leader.step({ kind: 'appended', logEndOffset: 20 })
    leader.step({ kind: 'fetched', replica: 2, fetchOffset: 20, now: 90 })
    expect(leader.step({ kind: 'ticked', now: 101 })).toEqual([proposal([1, 2])])
    expect(leader.step({ kind: 'ticked', now: 200 })).toEqual([])
    expect(leader.step({ kind: 'isrChanged', isr: [1, 2], partitionEpoch: 1 })).toEqual([{ kind: 'highWatermarkAdvanced', to: 20 }])
  })
  test('keeps a follower that is behind but was level not long ago', () => {
    const leader = elected([1, 2])
    for (let now = 10; now < 500; now += 10) {
      leader.step({ kind: 'appended', logEndOffset: 10 + now })
      leader.step({ kind: 'fetched', replica: 2, fetchOffset: now, now })
      expect(leader.step({ kind: 'ticked', now })).not.toContainEqual(expect.objectContaining({ kind: 'proposeIsr' }))
    }
  })
  test('gains a follower only when it has all that is committed and the whole of the epochs before', () => {
    const leader = elected([1])
    leader.step({ kind: 'appended', logEndOffset: 20 })
    expect(leader.highWatermark).toBe(20)
    expect(leader.step({ kind: 'fetched', replica: 2, fetchOffset: 19, now: 1 })).toEqual([])
    leader.step({ kind: 'appended', logEndOffset: 30 })
    expect(leader.step({ kind: 'fetched', replica: 2, fetchOffset: 30, now: 2 })).toEqual([proposal([1, 2])])
    const young = elected([1, 3])
    expect(young.step({ kind: 'fetched', replica: 2, fetchOffset: 9, now: 2 })).toEqual([])
    expect(young.step({ kind: 'fetched', replica: 2, fetchOffset: 10, now: 3 })).toEqual([proposal([1, 3, 2])])
  })
  test('does not gain a broker that is not alive', () => {
    expect(elected([1, 3], { dead: [2] }).step({ kind: 'fetched', replica: 2, fetchOffset: 10, now: 1 })).toEqual([])
  })
  test('counts who is about to join at once: nobody joins without what is committed', () => {
    const leader = elected([1, 3])
    leader.step({ kind: 'fetched', replica: 2, fetchOffset: 10, now: 1 })
    leader.step({ kind: 'appended', logEndOffset: 20 })
    leader.step({ kind: 'fetched', replica: 3, fetchOffset: 20, now: 2 })
    expect(leader.highWatermark).toBe(10)
    expect(leader.step({ kind: 'fetched', replica: 2, fetchOffset: 20, now: 3 })).toEqual([{ kind: 'highWatermarkAdvanced', to: 20 }])
  })
  test('a refused change is taken back, or waits for the controller', () => {
    const leader = elected([1, 3])
    leader.step({ kind: 'fetched', replica: 2, fetchOffset: 10, now: 1 })
    leader.step({ kind: 'isrRefused', reaction: 'wait' })
    expect([...leader.maximalIsr]).toEqual([1, 3, 2])
    leader.step({ kind: 'isrRefused', reaction: 'revert' })
    expect([...leader.maximalIsr]).toEqual([1, 3])
    expect(leader.isrIsPending).toBe(false)
  })
  test('in a later epoch of the same leader what followers have told still counts', () => {
    const leader = elected([1, 2, 3])
    leader.step({ kind: 'fetched', replica: 2, fetchOffset: 10, now: 1 })
    const outputs = leader.reelect({ leaderEpoch: 6, partitionEpoch: 1, replicas: [1, 2, 3], isr: [1, 2], epochStartOffset: 10, logEndOffset: 10, now: 2 })
    expect(outputs).toEqual([{ kind: 'highWatermarkAdvanced', to: 10 }])
  })
})
