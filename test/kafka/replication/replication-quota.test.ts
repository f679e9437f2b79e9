import { expect, test } from 'vitest'
import { ReplicationQuota } from '../../../src/kafka/replication/replication-quota.ts'

function quotaOf(rate: { value: number }, lists: Record<string, readonly string[]>): ReplicationQuota {
  const none: readonly string[] = []
  return new ReplicationQuota({ brokerId: 2, rate: () => rate.value, listOf: (topic) => lists[topic] ?? none, windowCount: 11, windowMs: 1_000 })
}

test('only listed replicas of this broker are throttled, and none while there is no bound', () => {
  const rate = { value: 1_000 }
  const lists: Record<string, readonly string[]> = { all: ['*'], some: ['0:1', '1:2', '12:2', '3:12'] }
  const quota = quotaOf(rate, lists)
  expect([quota.isThrottled('all', 7), quota.isThrottled('none', 0)]).toEqual([true, false])
  expect([0, 1, 2, 3, 12].map((index) => quota.isThrottled('some', index))).toEqual([false, true, false, false, true])
  lists.some = []
  expect(quota.isThrottled('some', 1)).toBe(false)
  rate.value = 2 ** 63
  expect(quota.isThrottled('all', 7)).toBe(false)
})

test('the rate is that of the last eleven seconds, and a burst in the first counts as one second', () => {
  const quota = quotaOf({ value: 1_000 }, {})
  expect(quota.isExceeded(0)).toBe(false)
  quota.record(900, 100)
  expect(quota.isExceeded(110)).toBe(false)
  quota.record(200, 120)
  expect(quota.isExceeded(130)).toBe(true)
  // 1,100 bytes in 1.1 s are no more than the bound.
  expect(quota.isExceeded(1_200)).toBe(false)
  quota.record(10_000, 1_300)
  expect(quota.isExceeded(6_000)).toBe(true)
  expect(quota.isExceeded(11_099)).toBe(true)
  // The first window is forgotten; the second weighs more until it goes, too.
  expect(quota.isExceeded(11_100)).toBe(true)
  expect(quota.isExceeded(12_300)).toBe(false)
})

test('over a long time no more than the bound is let through, whatever the size of the pieces', () => {
  const quota = quotaOf({ value: 100_000 }, {})
  let given = 0
  for (let now = 0; now < 60_000; now += 50)
    if (!quota.isExceeded(now)) {
      quota.record(37_000, now)
      given += 37_000
    }
  expect(given).toBeGreaterThan(0.9 * 60 * 100_000)
  expect(given).toBeLessThan(1.1 * 60 * 100_000)
})
