/** What one configuration key is: type, default, range, who may change it, what it does here; and how its text is read. */

export type ConfigType = 'boolean' | 'string' | 'int' | 'short' | 'long' | 'double' | 'list' | 'class' | 'password'
/** Where a change without restart is allowed: nowhere, for one broker, or for one broker and as the cluster's default. */
export type UpdateMode = 'read-only' | 'per-broker' | 'cluster-wide'

/**
 * What Ottla does with the key. `works`: what it says. `ignored`: means nothing here, accepted. `refused`: it protects,
 * limits or keeps something and does not work yet, so that any value but the default is refused by name.
 */
export type Standing = { kind: 'works' } | { kind: 'ignored'; why: string } | { kind: 'refused'; why: string }

export interface Definition<Value = unknown> {
  readonly type: ConfigType
  /** The default as Kafka prints it; null: none. */
  readonly default: string | null
  /** The range in words, as Kafka prints it; '' when every value of the type is good. */
  readonly range: string
  /** As in Kafka. */
  readonly update: UpdateMode
  /** Kafka takes a change up at once, this broker at its next start. */
  readonly atStart: boolean
  readonly standing: Standing
  /** Not shown by DescribeConfigs. */
  readonly internal: boolean
  readonly about: string
  /** What is wrong with a value of the right type, or undefined. */
  refuse(value: unknown): string | undefined
  /** Why a valid value is not accepted yet, or undefined. */
  unsupported(value: unknown): string | undefined
  /** Carries the type of a value; never there. */
  readonly value?: Value
}
export type ValueOf<D> = D extends Definition<infer Value> ? Value : never
// oxlint-disable-next-line no-explicit-any -- a table holds definitions of every type
export type Definitions = { readonly [name: string]: Definition<any> }
export type ValuesOf<T extends Definitions> = { readonly [K in keyof T]: ValueOf<T[K]> }

export interface Details {
  /** Smallest and largest value, both inclusive. */
  from?: number
  to?: number
  oneOf?: readonly string[]
  /** Any other rule, with the words for it. */
  rule?: { range: string; refuse(value: unknown): string | undefined }
  update?: UpdateMode
  ignored?: string
  /** Refused with these words unless it has the default. */
  refused?: string
  /** Works for some values only. */
  only?: { ok(value: unknown): boolean; why: string }
  internal?: boolean
  atStart?: true
}

/** 2^63−1: "never" and "without bound" in many defaults. As a number it rounds up by one, which nothing depends on. */
export const longMax = 9223372036854775807n

type OrNull<Default, Value> = Default extends null ? Value | null : Value

export const bool = (fallback: boolean, about: string, details?: Details): Definition<boolean> => define('boolean', fallback, about, details)
export const int = <D extends number | null>(fallback: D, about: string, details?: Details): Definition<OrNull<D, number>> => define('int', fallback, about, details)
export const short = (fallback: number, about: string, details?: Details): Definition<number> => define('short', fallback, about, details)
export const long = <D extends number | bigint | null>(fallback: D, about: string, details?: Details): Definition<OrNull<D, number>> => define('long', fallback, about, details)
export const double = (fallback: number, about: string, details?: Details): Definition<number> => define('double', fallback, about, details)
export const text = <D extends string | null>(fallback: D, about: string, details?: Details): Definition<OrNull<D, string>> => define('string', fallback, about, details)
export const list = (fallback: string | null, about: string, details?: Details): Definition<readonly string[]> => define('list', fallback, about, details)
export const className = (fallback: string | null, about: string, details?: Details): Definition<string | null> => define('class', fallback, about, details)
export const password = (about: string, details?: Details): Definition<string | null> => define('password', null, about, details)

function define<Value>(type: ConfigType, fallback: string | number | bigint | boolean | null, about: string, details: Details = {}): Definition<Value> {
  return {
    type,
    default: fallback === null ? null : type === 'double' ? formatDouble(Number(fallback)) : String(fallback),
    range: rangeOf(details),
    update: details.update ?? 'read-only',
    standing: details.refused !== undefined ? { kind: 'refused', why: details.refused } : details.ignored !== undefined ? { kind: 'ignored', why: details.ignored } : { kind: 'works' },
    atStart: details.atStart ?? false,
    internal: details.internal ?? false,
    about,
    refuse: (value) => refusalOf(value, details),
    unsupported(value) {
      if (details.only && !details.only.ok(value)) return details.only.why
      if (details.refused === undefined) return undefined
      const standard = parse(type, this.default)
      return standard.ok && String(standard.value ?? '') === String(value ?? '') ? undefined : details.refused
    },
  }
}

function rangeOf({ from, to, oneOf, rule }: Details): string {
  if (rule) return rule.range
  if (oneOf) return `[${oneOf.join(', ')}]`
  if (from !== undefined) return to === undefined ? `[${from},...]` : `[${from},...,${to}]`
  return ''
}
function refusalOf(value: unknown, { from, to, oneOf, rule }: Details): string | undefined {
  if (value === null) return undefined
  if (typeof value === 'number') {
    if (from !== undefined && value < from) return `Value must be at least ${from}`
    if (to !== undefined && value > to) return `Value must be no more than ${to}`
  }
  if (oneOf) {
    for (const item of Array.isArray(value) ? value : [value]) if (!oneOf.includes(String(item))) return `String must be one of: ${oneOf.join(', ')}`
  }
  return rule?.refuse(value)
}

/** A text read as the key's type and checked against its range. */
export type ReadValue = { ok: true; value: unknown } | { ok: false; reason: string }

const integerBounds = {
  short: [-(2n ** 15n), 2n ** 15n - 1n],
  int: [-(2n ** 31n), 2n ** 31n - 1n],
  long: [-(2n ** 63n), 2n ** 63n - 1n],
} as const

/** Reads a value as Apache's ConfigDef does: trimmed; null stands for "no value". */
export function readValue(definition: Definition, raw: string | null): ReadValue {
  const parsed = parse(definition.type, raw)
  if (!parsed.ok) return parsed
  const reason = definition.refuse(parsed.value)
  return reason === undefined ? parsed : { ok: false, reason }
}

function parse(type: ConfigType, raw: string | null): ReadValue {
  if (raw === null) return { ok: true, value: type === 'list' ? [] : null }
  if (type === 'password') return { ok: true, value: raw }
  const trimmed = raw.trim()
  switch (type) {
    case 'string': case 'class': return { ok: true, value: trimmed }
    case 'list': return { ok: true, value: trimmed === '' ? [] : trimmed.split(/\s*,\s*/) }
    case 'boolean': {
      const lower = trimmed.toLowerCase()
      return lower === 'true' || lower === 'false' ? { ok: true, value: lower === 'true' } : { ok: false, reason: 'Expected value to be either true or false' }
    }
    case 'double': {
      const value = Number(trimmed)
      return trimmed !== '' && !Number.isNaN(value) && !/^[+-]?0[xob]/i.test(trimmed) ? { ok: true, value } : { ok: false, reason: 'Not a number of type DOUBLE' }
    }
    case 'short': case 'int': case 'long': {
      const wrong: ReadValue = { ok: false, reason: `Not a number of type ${type.toUpperCase()}` }
      if (!/^[+-]?[0-9]{1,30}$/.test(trimmed)) return wrong
      const exact = BigInt(trimmed.replace(/^\+/, ''))
      const [low, high] = integerBounds[type]
      return exact >= low && exact <= high ? { ok: true, value: Number(exact) } : wrong
    }
    default: return type satisfies never
  }
}

/** The text of a value as DescribeConfigs shows it: trimmed, booleans lower case, doubles as Java prints them. */
export function normalText(definition: Definition, raw: string | null): string | null {
  if (raw === null) return null
  switch (definition.type) {
    case 'boolean': return raw.trim().toLowerCase()
    case 'double': return formatDouble(Number(raw.trim()))
    case 'short': case 'int': case 'long': return String(BigInt(raw.trim().replace(/^\+/, '')))
    case 'list': return raw.trim().split(/\s*,\s*/).join(',')
    case 'password': return raw
    default: return raw.trim()
  }
}

/** `Double.toString` of Java: always with a fraction, scientific outside 10^-3..10^7. */
export function formatDouble(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'NaN' : value > 0 ? 'Infinity' : '-Infinity'
  const size = Math.abs(value)
  if (size === 0 || (size >= 1e-3 && size < 1e7)) return Number.isInteger(value) ? `${value}.0` : String(value)
  const [mantissa, exponent] = value.toExponential().split('e')
  return `${mantissa.includes('.') ? mantissa : `${mantissa}.0`}E${Number(exponent)}`
}
