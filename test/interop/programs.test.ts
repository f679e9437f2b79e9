import { expect, inject, test } from 'vitest'
import type { Found } from './fetch.ts'
import { about, dispensable } from './fetch.ts'
import type { ProgramName } from './fetch.ts'

// On a person's machine a program that cannot be had skips its tests, loudly; a machine that decides about a change must have all that can be asked of it.
const everywhere = process.env.CI === 'true'

for (const name of Object.keys(inject('programs')) as ProgramName[]) {
  const found: Found = inject('programs')[name]
  const title = `${name} is here: ${about(name)}`
  if ('missing' in found && !(everywhere && dispensable(name) === undefined)) test.skip(`${title} (SKIPPED: ${found.missing.split('\n')[0]})`, () => {})
  else test(title, () => expect(found).toEqual({ path: expect.any(String) }))
}
