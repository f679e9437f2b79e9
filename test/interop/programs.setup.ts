import type { TestProject } from 'vitest/node'
import { about, fetchAll } from './fetch.ts'
import type { Found, ProgramName } from './fetch.ts'

declare module 'vitest' {
  interface ProvidedContext {
    programs: Record<ProgramName, Found>
  }
}

/** Installs the foreign programs before the first test; says after the last which of them were missing. */
export default async function setup(project: TestProject): Promise<() => void> {
  const programs = await fetchAll()
  project.provide('programs', programs)
  return () => {
    for (const [name, found] of Object.entries(programs) as [ProgramName, Found][]) {
      if ('missing' in found) console.log(`SKIPPED for want of ${name}, ${about(name)}: ${found.missing}`)
    }
  }
}
