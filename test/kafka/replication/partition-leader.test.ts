import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { PartitionLeader, type Input } from '../../../src/kafka/replication/partition-leader.ts'
import { Watermark } from '../../../src/kafka/replication/watermark.ts'

const elected = (isr: number[], replicas = [1, 2, 3]) =>
  new PartitionLeader({ brokerId: 1, leaderEpoch: 5, partitionEpoch: 0, replicas, isr, logEndOffset: 10, highWatermark: 4 })

describe('the high watermark', () => {
  test('of a partition with one in-sync replica is the end of its log', () => {
    const leader = elected([1], [1])
    expect(leader.step({ kind: 'appended', logEndOffset: 10 })).toEqual([{ kind: 'highWatermarkAdvanced', to: 10 }])
  })
  test('waits for every member of the ISR', () => {
    const leader = elected([1, 2, 3])
    expect(leader.step({ kind: 'appended', logEndOffset: 20 })).toEqual([])
    expect(leader.step({ kind: 'fetched', replica: 2, fetchOffset: 15 })).toEqual([])
    expect(leader.step({ kind: 'fetched', replica: 3, fetchOffset: 12 })).toEqual([{ kind: 'highWatermarkAdvanced', to: 12 }])
  })
  test('stops waiting for a replica that left the ISR', () => {
    const leader = elected([1, 2])
    leader.step({ kind: 'appended', logEndOffset: 20 })
    expect(leader.step({ kind: 'isrChanged', isr: [1], partitionEpoch: 1 })).toEqual([{ kind: 'highWatermarkAdvanced', to: 20 }])
  })
  test('ignores an ISR change that is older than the one it knows', () => {
    const leader = elected([1, 2])
    leader.step({ kind: 'isrChanged', isr: [1, 2, 3], partitionEpoch: 3 })
    leader.step({ kind: 'isrChanged', isr: [1], partitionEpoch: 2 })
    expect([...leader.isr]).toEqual([1, 2, 3])
  })
  test('never retreats and never passes what the whole ISR has, whatever happens', () => {
    const input = fc.oneof(
      fc.nat(50).map((by) => ({ kind: 'appended' as const, by })),
      fc.record({ kind: fc.constant('fetched' as const), replica: fc.constantFrom(2, 3), fetchOffset: fc.nat(60) }),
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
          if (outputs.length > 0) for (const replica of leader.isr) expect(leader.highWatermark).toBeLessThanOrEqual(has.get(replica) ?? -1)
          last = leader.highWatermark
        }
      }),
    )
  })
})

describe('min.insync.replicas', () => {
  test('is never more than there are replicas', () => {
    expect(elected([1], [1]).hasEnoughReplicas(2)).toBe(true)
    expect(elected([1], [1, 2]).hasEnoughReplicas(2)).toBe(false)
  })
})

describe('a watermark', () => {
  test('wakes who waits for an offset it has reached, in the order of offsets, once', () => {
    const watermark = new Watermark(3)
    const woken: number[] = []
    watermark.whenReached(7, () => woken.push(7))
    watermark.whenReached(5, () => woken.push(5))
    watermark.whenReached(9, () => woken.push(9))
    watermark.whenReached(3, () => woken.push(3))
    expect(woken).toEqual([3])
    watermark.advance(7)
    watermark.advance(7)
    expect(woken).toEqual([3, 5, 7])
  })
  test('forgets a wish that was taken back', () => {
    const watermark = new Watermark(0)
    let woken = false
    watermark.whenReached(1, () => (woken = true))()
    watermark.advance(1)
    expect(woken).toBe(false)
  })
  test('does not go back', () => {
    expect(() => new Watermark(3).advance(2)).toThrow(/went back from 3 to 2/)
  })
})
