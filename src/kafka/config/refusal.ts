/** What is wrong with a configuration, as data that reads the same in the log, on the terminal and in an answer. */
import { readValue, type Definition, type ReadValue } from './definition.ts'
import type { PropertyEntry } from '../../wire/properties.ts'

export interface ConfigRefusal {
  key: string
  /**
   * `invalid`: not a value of the type or range, or against another key. `unsupported`: valid, but it would promise what
   * does not work yet. `unknown`: no such key. `notDynamic`: cannot be changed on that level without a restart.
   */
  kind: 'invalid' | 'unsupported' | 'unknown' | 'notDynamic'
  reason: string
  /** The whole sentence: where, key, value, reason, range. */
  message: string
}

/** A configuration that cannot be used: every refusal is a line of the message. */
export class ConfigError extends Error {
  readonly refusals: readonly ConfigRefusal[]
  constructor(refusals: readonly ConfigRefusal[]) {
    super(refusals.map(({ message }) => message).join('\n'))
    this.name = 'ConfigError'
    this.refusals = refusals
  }
}

/** Reads one value; passwords never appear in the sentence. */
export function readEntry(definition: Definition, entry: PropertyEntry, { internal = false } = {}): { value: unknown } | { refusal: ConfigRefusal } {
  const read: ReadValue = readValue(definition, entry.value)
  if (!read.ok) return { refusal: invalid(definition, entry, read.reason) }
  const why = internal ? undefined : definition.unsupported(read.value)
  if (why !== undefined) {
    return { refusal: { key: entry.key, kind: 'unsupported', reason: why, message: `${where(entry)}${entry.key}=${shown(definition, entry.value)} is not supported: ${why}` } }
  }
  return { value: read.value }
}

export function invalid(definition: Definition | undefined, entry: PropertyEntry, reason: string): ConfigRefusal {
  const wanted = definition ? ` (wanted: ${definition.type}${definition.range && definition.range.length < 200 ? ` ${definition.range}` : ''})` : ''
  return { key: entry.key, kind: 'invalid', reason, message: `${where(entry)}Invalid value ${shown(definition, entry.value)} for configuration ${entry.key}: ${reason}${wanted}` }
}

/** `server.properties:12: `, or nothing for an entry without a place. */
export function where({ file, line }: PropertyEntry): string {
  return file === undefined ? '' : line === undefined ? `${file}: ` : `${file}:${line}: `
}

function shown(definition: Definition | undefined, value: string): string {
  return definition?.type === 'password' ? '[hidden]' : value === '' ? "''" : value
}
