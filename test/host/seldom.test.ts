import { expect, test } from 'vitest'
import { Seldom } from '../../src/host/logger.ts'

test('a trouble is said at once and then once a minute, with how often it came; each by itself', () => {
  let now = 0
  const seldom = new Seldom({ now: () => 0, monotonic: () => now })
  expect(seldom.due('a')).toEqual({})
  expect(seldom.due('b')).toEqual({})
  for (now = 1_000; now < 60_000; now += 1_000) expect(seldom.due('a')).toBeUndefined()
  expect(seldom.due('a')).toEqual({ timesSince: 59 })
  expect(seldom.due('a')).toBeUndefined()
  expect(seldom.over('a')).toBe(true)
  expect(seldom.over('a')).toBe(false)
  expect(seldom.due('a')).toEqual({})
})

test('however many troubles there are, memory is bounded: the oldest is forgotten', () => {
  const seldom = new Seldom({ now: () => 0, monotonic: () => 0 })
  for (let number = 0; number < 3_000; number++) seldom.due(String(number))
  expect(seldom.over('0')).toBe(false)
  expect(seldom.over('1999')).toBe(false)
  expect(seldom.over('2000')).toBe(true)
  expect(seldom.over('2999')).toBe(true)
})
