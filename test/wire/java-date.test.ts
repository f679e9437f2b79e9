import { expect, test } from 'vitest'
import { javaDate } from '../../src/wire/java-date.ts'

test('dates are those of the calendar, in the form of java.util.Date', () => {
  const asJava = (ms: number): string => new Date(ms).toUTCString().replace(/^(\w+), (\d+) (\w+) (-?)0*(\d+) ([\d:]+) GMT$/, '$1 $3 $2 $6 UTC $4$5')
  expect(javaDate(0)).toBe('Thu Jan 01 00:00:00 UTC 1970')
  expect(javaDate(1_795_234_811_999)).toBe(asJava(1_795_234_811_999))
  const day = 86_400_000
  // Every day from 1898 to 2101, leap years of every kind among them, at another time each.
  for (let at = -26_000; at < 48_000; at++) expect(javaDate(at * day + at * 37_337)).toBe(asJava(at * day + at * 37_337))
})
