import { expect, test } from 'vitest'
import { runEnsemble } from '../../src/simulation/ensemble-run.ts'

test('an ensemble of three keeps its promises through crashes, power cuts, partitions and failing disks', { timeout: 240_000 }, async () => {
  let leaderships = 0
  for (let seed = 1; seed <= 3; seed++) {
    const report = await runEnsemble({ seed, faultyMs: 8_000 }).catch((error: Error) => {
      throw new Error(`npm run simulate -- ensemble --seed ${seed}: ${error.message}`, { cause: error })
    })
    expect(report.operations).toBeGreaterThan(200)
    leaderships += report.facts['leaderships']
  }
  expect(leaderships).toBeGreaterThan(2)
})

test('one seed is one run', { timeout: 60_000 }, async () => {
  const options = { seed: 3, faultyMs: 3_000 }
  expect(await runEnsemble(options)).toEqual(await runEnsemble(options))
})
