import { expect, test } from 'vitest'
import { PositionHints } from '../../../src/kafka/log/position-hints.ts'

test('the last 64 writes are known, by their first offset alone', () => {
  const hints = new PositionHints()
  expect(hints.get(0)).toBeUndefined()
  for (let write = 0; write < 100; write++) hints.add(3 * write, 1000 * write)
  expect(hints.get(3 * 99)).toBe(99_000)
  expect(hints.get(3 * 36)).toBe(36_000)
  expect(hints.get(3 * 35)).toBeUndefined()
  expect(hints.get(3 * 99 - 1)).toBeUndefined()
})
test('what is cut off is forgotten, and may be written again elsewhere', () => {
  const hints = new PositionHints()
  hints.add(7, 100)
  hints.add(7, 90)
  expect(hints.get(7)).toBe(90)
  hints.clear()
  expect(hints.get(7)).toBeUndefined()
  expect(hints.get(0)).toBeUndefined()
  hints.add(8, 100)
  expect([hints.get(7), hints.get(8)]).toEqual([undefined, 100])
})
