import { expect, test } from 'vitest'
import { Simulation, Violation, type Bug } from './simulation.ts'

const steps = 2_000

test('whatever dies between any two steps, transactions are all or nothing, and end', () => {
  const total = { commits: 0, aborts: 0, fenced: 0, timeouts: 0 }
  for (let seed = 1; seed <= 60; seed++) {
    let summary
    try {
      summary = new Simulation(seed).run(steps)
    } catch (error) {
      throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error })
    }
    for (const key of Object.keys(total) as (keyof typeof total)[]) total[key] += summary[key]
  }
  // It is no proof when nothing happened.
  expect(total.commits).toBeGreaterThan(200)
  expect(total.aborts).toBeGreaterThan(100)
  expect(total.fenced).toBeGreaterThan(50)
  expect(total.timeouts).toBeGreaterThan(20)
})

const bugs: Bug[] = [
  'marker before the state record',
  'epoch not bumped',
  'LSO ahead',
  'offsets applied before the marker',
  'answer before the state record',
  'lost marker counted as written',
  'decision not resumed after a crash',
  'write not verified',
  'timeout aborts without fencing',
]
test.each(bugs)('a planted bug is noticed: %s', (bug) => {
  let found = 0
  for (let seed = 1; seed <= 300 && found === 0; seed++)
    try {
      new Simulation(seed, bug).run(steps)
    } catch (error) {
      if (!(error instanceof Violation)) throw error
      found = seed
    }
  expect(found).toBeGreaterThan(0)
})

test('the same seed is the same run', () => {
  expect(new Simulation(7).run(steps)).toEqual(new Simulation(7).run(steps))
})
