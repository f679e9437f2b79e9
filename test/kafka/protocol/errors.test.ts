import { expect, test } from 'vitest'
import { errorByCode, errors, RefusedError } from '../../../src/kafka/protocol/errors.ts'

test('codes run from -1 to 127, each once, under the name of the protocol', () => {
  expect(Object.values(errors).map(({ code }) => code)).toEqual(Array.from({ length: 129 }, (_, index) => index - 1))
  for (const [key, { name }] of Object.entries(errors)) {
    const camel = name.toLowerCase().replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase())
    expect(key).toBe(camel)
  }
})
test('an unknown code is told as it came', () => {
  expect(errorByCode(6)).toBe(errors.notLeaderOrFollower)
  expect(errorByCode(4711)).toMatchObject({ code: 4711, name: 'ERROR_4711', retriable: false })
})
test("a refusal as an exception has the broker's own sentence, or else the table's", () => {
  expect(new RefusedError(36, "Topic 'a' already exists.").message).toBe("Topic 'a' already exists.")
  expect(new RefusedError(errors.notController, null).message).toContain('(NOT_CONTROLLER)')
})
