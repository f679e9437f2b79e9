/** Log lines as Kafka's own log4j prints them: `[2026-11-21 04:38:06,123] INFO event key=value (component)`. */
import type { Clock, LogFacts, Logger, LogLevel } from './host.ts'

const levels = { debug: 0, info: 1, warn: 2, error: 3 } as const

export interface LogSink {
  (line: string, level: LogLevel): void
}

/** Writes lines of `level` and above to `sink` (default: standard error). */
export function consoleLogger({ clock, level = 'info', sink = toStandardError, component = 'ottla' }: { clock: Clock; level?: LogLevel; sink?: LogSink; component?: string }): Logger {
  const log = (at: LogLevel) => (event: string, facts?: LogFacts) => {
    if (levels[at] >= levels[level]) sink(`[${timestamp(clock.now())}] ${at.toUpperCase()} ${event}${factsText(facts)} (${component})`, at)
  }
  return {
    debug: log('debug'),
    info: log('info'),
    warn: log('warn'),
    error: log('error'),
    named: (name) => consoleLogger({ clock, level, sink, component: name }),
  }
}

/** Says nothing: for tests and embedded instances. */
export const silentLogger: Logger = { debug() {}, info() {}, warn() {}, error() {}, named: () => silentLogger }

function toStandardError(line: string): void {
  process.stderr.write(`${line}\n`)
}
function timestamp(ms: number): string {
  const local = new Date(ms - new Date(ms).getTimezoneOffset() * 60_000).toISOString()
  return `${local.slice(0, 10)} ${local.slice(11, 19)},${local.slice(20, 23)}`
}
function factsText(facts: LogFacts | undefined): string {
  if (!facts) return ''
  let text = ''
  for (const [key, value] of Object.entries(facts)) if (value !== undefined) text += ` ${key}=${valueText(value)}`
  return text
}
function valueText(value: unknown): string {
  if (value instanceof Error) return `${value.message}${value.cause instanceof Error ? ` (${value.cause.message})` : ''}`
  if (typeof value === 'string') return /[\s="]/.test(value) ? JSON.stringify(value) : value
  if (typeof value === 'bigint') return String(value)
  return value !== null && typeof value === 'object' ? JSON.stringify(value) : String(value)
}
