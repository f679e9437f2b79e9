import { expect, test } from 'vitest'
import { runEnsemble } from '../../src/simulation/ensemble-run.ts'
import type { RunReport } from '../../src/simulation/run.ts'

/** Takes as many seeds as the time allows, and never less than a hundred: a slow machine looks at fewer of them. */
const seedsMin = 100
const seedsMax = 400
const budgetMs = 40_000

test('an ensemble of three keeps its promises through crashes, power cuts, partitions, elections and failing disks', { timeout: 600_000 }, async () => {
  const reports: RunReport[] = []
  const until = performance.now() + budgetMs
  for (let seed = 1; seed <= seedsMax && (seed <= seedsMin || performance.now() < until); seed++) {
    reports.push(await runEnsemble({ seed, faultyMs: 5_000 }).catch((error: Error) => {
      throw new Error(`npm run simulate -- ensemble --seed ${seed} --seconds 5: ${error.message}`, { cause: error })
    }))
  }
  const sum = (fact: (report: RunReport) => number | undefined): number => reports.reduce((total, report) => total + (fact(report) ?? 0), 0)
  expect(sum(({ operations }) => operations)).toBeGreaterThan(20_000)
  expect(sum(({ facts }) => facts['leaderships'])).toBeGreaterThan(2 * reports.length)
  // Every law was looked at, and every fault has happened.
  for (const law of reports.flatMap(({ laws }) => [...laws?.keys() ?? []])) expect(sum(({ laws }) => laws?.get(law)), law).toBeGreaterThan(reports.length)
  expect(new Set(reports.flatMap(({ faults }) => [...faults.keys()])).size).toBeGreaterThan(17)
})

test('one seed is one run', { timeout: 60_000 }, async () => {
  const options = { seed: 3, faultyMs: 3_000 }
  expect(await runEnsemble(options)).toEqual(await runEnsemble(options))
})
