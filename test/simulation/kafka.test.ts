import { expect, test } from 'vitest'
import { runKafka } from '../../src/simulation/kafka-run.ts'

test('a broker and its ZooKeeper keep their promises through crashes, power cuts, partitions and slow disks', { timeout: 180_000 }, async () => {
  for (let seed = 1; seed <= 4; seed++) {
    const report = await runKafka({ seed, faultyMs: 10_000 }).catch((error: Error) => {
      throw new Error(`npm run simulate -- kafka --seed ${seed}: ${error.message}`, { cause: error })
    })
    expect(report.operations).toBeGreaterThan(300)
  }
})

test('one seed is one run', async () => {
  const options = { seed: 5, faultyMs: 3_000 }
  expect(await runKafka(options)).toEqual(await runKafka(options))
})
