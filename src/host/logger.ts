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

/** More troubles than this at a time are not told apart. */
const keysMax = 1_000

interface Trouble {
  saidAt: number
  /** How often it came without being said. */
  held: number
}

/** Lets a trouble that comes again and again into the log once in a while: at once the first time, afterwards with how often it came since. */
export class Seldom {
  readonly #clock: Clock
  readonly #everyMs: number
  readonly #troubles = new Map<string, Trouble>()

  constructor(clock: Clock, everyMs = 60_000) {
    this.#clock = clock
    this.#everyMs = everyMs
  }

  /** What to add to the line when it is to be written now; undefined when it is not. `key`: which trouble it is, the same each time it comes. */
  due(key: string): LogFacts | undefined {
    const now = this.#clock.monotonic()
    const trouble = this.#troubles.get(key)
    if (!trouble) {
      if (this.#troubles.size >= keysMax) this.#troubles.delete(this.#troubles.keys().next().value!)
      this.#troubles.set(key, { saidAt: now, held: 0 })
      return {}
    }
    if (now - trouble.saidAt < this.#everyMs) {
      trouble.held++
      return undefined
    }
    const { held } = trouble
    trouble.saidAt = now
    trouble.held = 0
    return held > 0 ? { timesSince: held } : {}
  }
  /** The trouble is over; whether there was one. */
  over(key: string): boolean {
    return this.#troubles.delete(key)
  }
}
