/** The tests' side of the foreign programs. */
import { describe, inject } from 'vitest'
import type { ProgramName } from './fetch.ts'
import { succeed } from './process.ts'
import type { RunOptions } from './process.ts'
import type {} from './programs.setup.ts'

/** A suite that needs programs. Without them it is skipped, and its name says for want of what. */
export function describeWith(names: readonly ProgramName[], title: string, body: () => void): void {
  const missing = names.filter((name) => 'missing' in inject('programs')[name])
  if (missing.length === 0) describe(title, body)
  else describe.skip(`${title} (SKIPPED: no ${missing.join(', ')})`, body)
}

/** Path of a program, or whatever else its line in the table promises. */
export function where(name: ProgramName): string {
  const found = inject('programs')[name]
  if ('missing' in found) throw new Error(`${name} is not installed: ${found.missing}`)
  return found.path
}

/** Runs a program that prints one JSON document, and answers that. */
export async function json(command: string, args: readonly (string | number)[], options?: RunOptions): Promise<unknown> {
  const { stdout, stderr } = await succeed(command, args.map(String), options)
  try {
    return JSON.parse(stdout)
  } catch (cause) {
    throw new Error(`no JSON from ${command.split('/').at(-1)} ${args.join(' ')}\nstdout: ${stdout}\nstderr: ${stderr}`, { cause })
  }
}

/** A program of `python/`: `python('kazoo_recipes', 'lock', address)`. */
export function python(program: string, ...args: (string | number)[]): Promise<unknown> {
  return json(where('python'), [new URL(`python/${program}.py`, import.meta.url).pathname, ...args])
}

/** A program of `go/`, named by its folder. */
export function go(program: string, ...args: (string | number)[]): Promise<unknown> {
  return json(`${where('go')}/${program}`, args)
}

/** Flags for a JVM that runs for seconds beside others on a small machine. */
export const smallJava = ['-Xmx256m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1']

/** A class of `java/` or of a library, with the class path of a program. */
export function java(program: ProgramName, className: string, ...args: (string | number)[]): Promise<unknown> {
  return json('java', [...smallJava, '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn', '-cp', where(program), className, ...args])
}

/** A name no other test of this run uses. */
export function unique(prefix: string): string {
  return `${prefix}-${Date.now().toString(36)}${Math.floor(Math.random() * 46_656).toString(36)}`
}
