/** Batches of `__transaction_state` as Apache's broker wrote them. */
import { readFileSync } from 'node:fs'

export function goldenBatches(partition: 1 | 2): Buffer[] {
  const text = readFileSync(new URL(`golden/transaction-state-${partition}.hex`, import.meta.url), 'utf8')
  return text.split('\n').filter((line) => line !== '' && !line.startsWith('#')).map((line) => Buffer.from(line, 'hex'))
}
