import { expect, test } from 'vitest'
import { nodeHost } from '../../../src/host/node.ts'
import { TurnWrites } from '../../../src/kafka/log/turn-writes.ts'

const { timers } = nodeHost()
const turn = (): Promise<void> => new Promise((done) => timers.endOfTurn(done))

test('what somebody waits for is written first, and answers leave before the rest is written, what follows from it included', async () => {
  const writes = new TurnWrites(timers)
  const done: string[] = []
  writes.add(() => done.push('batch'), false)
  writes.add(() => {
    done.push('decision')
    void Promise.resolve().then(() => {
      // As an answer and a marker follow from a decision, through promises.
      timers.afterPromises(() => done.push('answer'))
      writes.add(() => done.push('marker'), false)
    })
  }, true)
  await turn()
  expect(done).toEqual(['decision', 'answer', 'batch', 'marker'])
})
test('a first one that comes between the two still comes before the rest of the next turn', async () => {
  const writes = new TurnWrites(timers)
  const done: string[] = []
  writes.add(() => {
    done.push('batch')
    writes.add(() => done.push('next batch'), false)
    writes.add(() => done.push('next decision'), true)
    void Promise.resolve().then(() => writes.add(() => done.push('last batch'), false))
  }, false)
  await turn()
  await turn()
  expect(done.indexOf('next decision')).toBeLessThan(done.indexOf('last batch'))
  expect(done.toSorted()).toEqual(['batch', 'last batch', 'next batch', 'next decision'])
})
test('all of it can be written at once, with what it brings about', () => {
  const writes = new TurnWrites(timers)
  const done: string[] = []
  writes.add(() => {
    done.push('batch')
    writes.add(() => done.push('decision'), true)
  }, false)
  writes.run()
  expect(done).toEqual(['batch', 'decision'])
})
