/** Batches of `__consumer_offsets` as Apache's broker wrote them. */
import { readFileSync } from 'node:fs'

export function goldenBatches(partition: 0 | 2 | 3): Buffer[] {
  const text = readFileSync(new URL(`golden/consumer-offsets-${partition}.hex`, import.meta.url), 'utf8')
  return text.split('\n').filter((line) => line !== '' && !line.startsWith('#')).map((line) => Buffer.from(line, 'hex'))
}
