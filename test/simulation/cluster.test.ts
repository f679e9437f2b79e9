import { expect, test } from 'vitest'
import { runCluster } from '../../src/simulation/kafka-run.ts'

test('three brokers keep what they have acknowledged, once and in order, whoever fails', { timeout: 240_000 }, async () => {
  for (let seed = 1; seed <= 2; seed++) {
    const report = await runCluster({ seed, faultyMs: 8_000 }).catch((error: Error) => {
      throw new Error(`npm run simulate -- cluster --seed ${seed}: ${error.message}`, { cause: error })
    })
    expect(report.operations).toBeGreaterThan(200)
    // Where brokers do not sync each record, the states of partitions tell which power cuts may lose something.
    expect(report.facts['partitions']).toBeGreaterThanOrEqual(2)
  }
})
