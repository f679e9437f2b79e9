import fc from 'fast-check'
import { expect, test } from 'vitest'
import { AckSets } from '../../../src/zookeeper/zab/acknowledgements.ts'
import { Backlog } from '../../../src/zookeeper/zab/backlog.ts'

test('a backlog is an array that is taken from the front', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(fc.constant('push' as const), fc.constant('shift' as const), fc.nat(20)), { maxLength: 200 }), (steps) => {
      const backlog = new Backlog<number>()
      const plain: number[] = []
      let next = 0
      for (const step of steps) {
        if (step === 'push') {
          backlog.push(next)
          plain.push(next++)
        } else if (step === 'shift') expect(backlog.shift()).toBe(plain.shift())
        else {
          const count = Math.min(step, plain.length)
          backlog.drop(count)
          plain.splice(0, count)
        }
        expect(backlog.length).toBe(plain.length)
        expect(backlog.first).toBe(plain[0])
        expect([...backlog]).toEqual(plain)
        if (plain.length > 0) expect(backlog.at(plain.length - 1)).toBe(plain[plain.length - 1])
      }
    }),
  )
})
test('a backlog that never empties keeps what waits and no more', () => {
  const backlog = new Backlog<number>()
  const wrong: number[] = []
  for (let number = 0; number < 50_000; number++) {
    backlog.push(number)
    if (number >= 10 && backlog.shift() !== number - 10) wrong.push(number)
  }
  expect(wrong).toEqual([])
  expect([...backlog]).toEqual(Array.from({ length: 10 }, (_, index) => 49_990 + index))
})
test('the same servers are one set, in whatever order they have acknowledged, and with one taken back', () => {
  const sets = new AckSets()
  const of = (...servers: number[]) => servers.reduce((set, server) => sets.with(set, server), sets.none)
  expect([...of(3, 1, 2).servers]).toEqual([1, 2, 3])
  expect(of(3, 1)).toBe(of(1, 3))
  expect(of(1, 1)).toBe(of(1))
  expect(sets.without(of(1, 2, 3), 2)).toBe(of(1, 3))
  expect(sets.without(of(1, 3), 2)).toBe(of(1, 3))
  expect(sets.without(of(1), 1)).toBe(sets.none)
  expect([...of(1).servers]).toEqual([1])
})
test('strangers who acknowledge under ever new numbers are counted rightly, and not all remembered', () => {
  const sets = new AckSets()
  const wrong: number[] = []
  for (let stranger = 100; stranger < 5_000; stranger++) if ([...sets.with(sets.with(sets.none, 1), stranger).servers].join() !== `1,${stranger}`) wrong.push(stranger)
  expect(wrong).toEqual([])
  expect(sets.with(sets.none, 1).next.size).toBeLessThanOrEqual(1024)
})
