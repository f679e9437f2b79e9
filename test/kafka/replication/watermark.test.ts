/** Who waits for a watermark is told once: that it is reached, that the time is over, or that nobody may wait any more. */
import { expect, test } from 'vitest'
import { Watermark } from '../../../src/kafka/replication/watermark.ts'

const reached = 0
const late = 7
/** A watermark on a clock that is moved by hand; `told` has who was told what, in order. */
function watermarkAt(value: number) {
  let now = 0
  const timers: { at: number; run: () => void }[] = []
  const watermark = new Watermark(value, {
    clock: { now: () => now, monotonic: () => now },
    timers: {
      set(ms, then) {
        const timer = { at: now + ms, run: then }
        timers.push(timer)
        return { cancel: () => void (timers.includes(timer) && timers.splice(timers.indexOf(timer), 1)) }
      },
      every: () => expect.unreachable(),
      endOfTurn: () => expect.unreachable(),
      afterPromises: () => expect.unreachable(),
      sleep: () => expect.unreachable(),
    },
    late,
  })
  const told: [name: string, errorCode: number][] = []
  return {
    watermark,
    told,
    timers,
    wait: (name: string, offset: number, timeoutMs = 100) => watermark.wait(offset, timeoutMs, (errorCode) => told.push([name, errorCode])),
    passTo(time: number) {
      now = time
      for (const timer of timers.filter(({ at }) => at <= now)) {
        timers.splice(timers.indexOf(timer), 1)
        timer.run()
      }
    },
  }
}

test('it tells who waits for an offset it has reached, in the order of offsets, once', () => {
  const { watermark, told, wait } = watermarkAt(3)
  wait('seven', 7)
  wait('five', 5)
  wait('nine', 9)
  watermark.advance(7, reached)
  watermark.advance(8, reached)
  expect(told).toEqual([['five', reached], ['seven', reached]])
})
test('who waits in vain is told when its own time is over, whoever came first', () => {
  const { watermark, told, wait, passTo } = watermarkAt(0)
  wait('patient', 1, 100)
  wait('hasty', 2, 10)
  passTo(9)
  expect(told).toEqual([])
  passTo(10)
  expect(told).toEqual([['hasty', late]])
  passTo(100)
  watermark.advance(2, reached)
  expect(told).toEqual([['hasty', late], ['patient', late]])
})
test('one timer serves all, and who was told in time is not told again', () => {
  const { watermark, told, wait, timers, passTo } = watermarkAt(0)
  for (let offset = 1; offset <= 5; offset++) wait(`${offset}`, offset)
  expect(timers.length).toBe(1)
  watermark.advance(5, reached)
  passTo(50)
  wait('six', 6)
  passTo(149)
  expect(told.length).toBe(5)
  passTo(150)
  expect(told.slice(5)).toEqual([['six', late]])
  expect(timers.length).toBe(0)
})
test('when it is given up all are told, and it may begin anew below', () => {
  const { watermark, told, wait, timers } = watermarkAt(4)
  wait('a', 5)
  wait('b', 6)
  watermark.giveUp(9)
  expect(told).toEqual([['a', 9], ['b', 9]])
  expect(timers.length).toBe(0)
  watermark.reset(2)
  wait('c', 3)
  watermark.advance(3, reached)
  expect(told.slice(2)).toEqual([['c', reached]])
})
test('what is done when one is told may begin the next wait', () => {
  const { watermark, told, wait } = watermarkAt(0)
  watermark.wait(1, 100, () => wait('second', 2))
  watermark.advance(1, reached)
  expect(told).toEqual([])
  watermark.advance(2, reached)
  expect(told).toEqual([['second', reached]])
})
test('it does not go back', () => {
  expect(() => watermarkAt(3).watermark.advance(2, reached)).toThrow(/went back from 3 to 2/)
})
