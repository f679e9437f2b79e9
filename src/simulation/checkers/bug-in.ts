/** What no server may say of itself, whatever fails around it. */
import type { LogLine } from '../machine.ts'

/** What a line of a server's log tells of a bug of its own; undefined when it does not. */
export function bugIn({ machine, level, event, facts }: LogLine): string | undefined {
  if (level !== 'error') return undefined
  const cause = facts?.['error'] ?? facts?.['cause']
  const told = cause instanceof Error ? (cause.stack ?? cause.message) : String(cause ?? '')
  const isUnexpected = /^(Type|Range|Reference)Error\b/.test(told)
  return isUnexpected || /\bbug\b|digest|cannot be compacted/.test(event) ? `${machine}: ${event} ${told}` : undefined
}
