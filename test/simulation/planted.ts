/** Bugs that are put into the shipped machines for the time of a few runs: a checker that finds none of them is worth nothing. */
import { expect } from 'vitest'
import { Violation } from '../../src/simulation/checkers/violation.ts'
import type { RunOptions } from '../../src/simulation/run.ts'

type Method = (this: never, ...args: never[]) => unknown

/** Replaces one method, or what a getter says, for as long as `run` lasts. */
export async function withBug<T>(prototype: object, name: string, replace: (original: Method) => Method, run: () => Promise<T>): Promise<T> {
  const descriptor = Object.getOwnPropertyDescriptor(prototype, name)
  const original: unknown = descriptor?.value ?? descriptor?.get
  if (!descriptor || typeof original !== 'function') throw new Error(`there is no method ${name} to replace`)
  Object.defineProperty(prototype, name, { ...descriptor, [descriptor.get ? 'get' : 'value']: replace(original as Method) })
  try {
    return await run()
  } finally {
    Object.defineProperty(prototype, name, descriptor)
  }
}

/** Runs seed after seed until a law is broken, and tells which. */
export async function lawBroken(run: (options: RunOptions) => Promise<unknown>, seedsMax: number, options: Partial<RunOptions> = {}): Promise<string> {
  for (let seed = 1; seed <= seedsMax; seed++) {
    try {
      await run({ seed, ...options })
    } catch (error) {
      if (error instanceof Violation) return error.law
      return `${(error as Error).name}: ${(error as Error).message}`
    }
  }
  expect.fail(`${seedsMax} seeds have found nothing`)
}
