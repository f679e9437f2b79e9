/** What no server may say of itself, whatever fails around it. */
import type { LogLine } from '../machine.ts'
import { Violation } from './violation.ts'

/** The law that a line of a server's log breaks by telling of a bug of its own; undefined when it tells of none. */
export function bugIn({ machine, level, event, facts }: LogLine): Violation | undefined {
  if (level !== 'error') return undefined
  const cause = facts?.['error'] ?? facts?.['cause']
  const told = cause instanceof Error ? (cause.stack ?? cause.message) : String(cause ?? '')
  const isUnexpected = /^(Type|Range|Reference)Error\b/.test(told)
  return isUnexpected || /\bbug\b|digest|cannot be compacted/.test(event) ? new Violation('a server meets no bug of its own', `${machine}: ${event} ${told}`) : undefined
}
