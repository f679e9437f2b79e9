import { expect, test } from 'vitest'
import { told } from '../closing-line.ts'

/** The error of an assertion that fails, as vitest hands it to its reporters. */
function failing(assertion: () => void): { message: string; diff?: string } {
  try {
    assertion()
  } catch (error) {
    return error as Error
  }
  throw new Error('it did not fail')
}

test('a failure is told with all of its values, or with what differs where they are long', () => {
  const values = (last: number) => Object.fromEntries([1, 2, 3, 4, 5, 6, last].map((value, at) => [`value number ${at}`, value]))
  expect(told(failing(() => expect(values(7)).toEqual(values(8))))).toMatch(/'value number 6': 7 \}.*'value number 6': 8 \}/)
  const sentence = told({ message: 'expected much to deeply equal more'.padEnd(5_000, '.'), diff: '- Expected\n+ Received\n\n  {\n\u001b[32m-   "end": 8,\u001b[39m\n\u001b[31m+   "end": 7,\u001b[39m\n  }' })
  expect(sentence).toMatch(/^expected much to deeply equal more\.+ \| - "end": 8, \+ "end": 7,$/)
  expect(sentence.length).toBeLessThan(1_500)
  expect(told({ message: 'x'.repeat(5_000) })).toHaveLength(1_500)
})

test('what is behind an error is told with it, on one line', () => {
  expect(told({ message: 'nothing\n  came', cause: new Error('the broker was dead') })).toBe('nothing came (because: the broker was dead)')
  expect(told({})).toBe('no message')
})
