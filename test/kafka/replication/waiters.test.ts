import { expect, test } from 'vitest'
import { Waiters } from '../../../src/kafka/replication/waiters.ts'

test('in the order in which they came, without those who have left', () => {
  const waiters = new Waiters<string>()
  for (const each of ['a', 'b', 'c', 'd']) waiters.add(each)
  expect(['c', 'a', 'x'].map((each) => waiters.delete(each))).toEqual([true, true, false])
  expect([...waiters]).toEqual(['b', 'd'])
  expect(waiters.size).toBe(2)
  waiters.clear()
  expect([...waiters]).toEqual([])
})
test('who is told may leave, and others may come, while all are told', () => {
  const waiters = new Waiters<string>()
  for (const each of ['a', 'b', 'c']) waiters.add(each)
  const told: string[] = []
  for (const each of waiters) {
    told.push(each)
    waiters.delete(each)
    waiters.add(`${each} again`)
  }
  expect(told).toEqual(['a', 'b', 'c'])
  expect([...waiters]).toEqual(['a again', 'b again', 'c again'])
})
