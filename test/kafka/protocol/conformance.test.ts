import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { apis, apiByKey } from '../../../src/kafka/protocol/apis.ts'
import { defaultOf, type AnyField, type Fields } from '../../../src/wire/schema.ts'

/** The message definitions of the release, where this machine has them. They stay out of the project. */
const folder = new URL('../../../../shared/reference/kafka-messages/3.9/', import.meta.url)
const present = existsSync(folder)
if (!present) console.warn(`SKIPPED: schemas are not compared with the release's own, because ${folder.pathname} does not exist`)

interface Definition {
  apiKey?: number
  type: string
  name: string
  validVersions: string
  flexibleVersions: string
  fields: DefinedField[]
  commonStructs?: { name: string; fields: DefinedField[] }[]
}
interface DefinedField {
  name: string
  type: string
  versions: string
  nullableVersions?: string
  taggedVersions?: string
  tag?: number
  default?: string | number | boolean
  fields?: DefinedField[]
}
type Range = readonly [number, number]
const none: Range = [1, 0]

function rangeOf(text: string | undefined): Range {
  if (text === undefined || text === 'none') return none
  const found = /^(\d+)(?:(\+)|-(\d+))?$/.exec(text)
  if (!found) throw new Error(`versions '${text}'`)
  return [Number(found[1]), found[2] ? Infinity : Number(found[3] ?? found[1])]
}
const has = ([first, last]: Range, version: number) => version >= first && version <= last
const camel = (name: string) => name[0].toLowerCase() + name.slice(1)

/** int64 fields that hold more than offsets and ids: declared as bigint64. */
const wholeInt64 = /Timestamp|TimestampMs|BrokerEpoch|ReplicaEpoch|RetentionTimeMs|LogAppendTimeMs|StartTimeMs|LifetimeMs|PeriodMs|DurationFilter|TimePeriodMs/
const numberAllTheSame = /SessionLifetimeMs/

/** What a definition and a schema say of a field in one version, in one form. */
interface Facts {
  type: string
  nullable: boolean
  tag: number | undefined
  fallback: unknown
  fields?: Record<string, Facts>
}

function defined(definition: Definition, fields: DefinedField[], version: number): Record<string, Facts> {
  const facts: Record<string, Facts> = {}
  for (const field of fields) {
    if (!has(rangeOf(field.versions), version)) continue
    const array = field.type.startsWith('[]')
    const element = array ? field.type.slice(2) : field.type
    const inner = field.fields ?? definition.commonStructs?.find(({ name }) => name === element)?.fields
    const whole = element === 'int64' && wholeInt64.test(field.name) && !numberAllTheSame.test(field.name)
    const type = inner ? 'struct' : whole ? 'bigint64' : element
    facts[camel(field.name)] = {
      type: array ? `[]${type}` : type,
      nullable: has(rangeOf(field.nullableVersions), version),
      tag: has(rangeOf(field.taggedVersions), version) ? field.tag : undefined,
      fallback: definedDefault(field, array, type),
      ...(inner ? { fields: defined(definition, inner, version) } : {}),
    }
  }
  return facts
}
function definedDefault(field: DefinedField, array: boolean, type: string): unknown {
  const { default: value } = field
  if (value === 'null') return null
  if (array) return '[]'
  switch (type) {
    case 'struct': return '{}'
    case 'string': return value ?? ''
    case 'bool': return String(value) === 'true'
    case 'bytes': case 'records': return 'empty'
    case 'uuid': return 'AAAAAAAAAAAAAAAAAAAAAA'
    case 'bigint64': return BigInt(value as number ?? 0)
    default: return Number(value ?? 0)
  }
}

function declared(fields: Fields, version: number, flexible: boolean): Record<string, Facts> {
  const facts: Record<string, Facts> = {}
  for (const [name, field] of Object.entries(fields)) {
    const { rules } = field
    if (version < rules.since || version > rules.until) continue
    const inner = innerOf(field)
    facts[name] = {
      type: typeOf(field),
      nullable: version >= rules.nullSince && version <= rules.nullUntil,
      tag: rules.tag >= 0 && flexible && version >= rules.tagSince ? rules.tag : undefined,
      fallback: declaredDefault(field),
      ...(inner ? { fields: declared(inner, version, flexible) } : {}),
    }
  }
  return facts
}
function typeOf({ wire }: AnyField): string {
  return wire.kind === 'array' ? `[]${typeOf(wire.element)}` : wire.kind
}
function innerOf({ wire }: AnyField): Fields | undefined {
  return wire.kind === 'array' ? innerOf(wire.element) : wire.kind === 'struct' ? wire.fields : undefined
}
function declaredDefault(field: AnyField): unknown {
  const value = defaultOf(field)
  if (Array.isArray(value)) return '[]'
  if (Buffer.isBuffer(value)) return 'empty'
  return value !== null && typeof value === 'object' ? '{}' : value
}

describe.runIf(present)('every schema says what the release says, field by field and version by version', () => {
  const definitions = present
    ? readdirSync(folder).map((name) => JSON.parse(readFileSync(new URL(name, folder), 'utf8').replace(/^\s*\/\/.*$/gm, '')) as Definition)
    : []
  for (const definition of definitions) {
    if (definition.type !== 'request' && definition.type !== 'response') continue
    const api = definition.apiKey === undefined ? undefined : apiByKey(definition.apiKey)
    if (!api) continue
    test(definition.name, () => {
      const flexible = rangeOf(definition.flexibleVersions)
      const side = definition.type === 'request' ? api.request : api.response
      expect(side.name).toBe(definition.name)
      expect(api.versions).toEqual(rangeOf(definition.validVersions))
      expect(api.flexible).toBe(flexible === none ? Infinity : flexible[0])
      for (let version = api.versions[0]; version <= api.versions[1]; version++) {
        const wanted = defined(definition, definition.fields, version)
        const found = declared(side.fields, version, has(flexible, version))
        expect(found, `version ${version}`).toEqual(wanted)
        // Tagged or not, fields are read in the order of their declaration.
        expect(orderOf(found), `order in version ${version}`).toEqual(orderOf(wanted))
      }
    })
  }
  test('both sides of every API were found', () => {
    const keys = definitions.filter(({ type }) => type === 'request' || type === 'response').map(({ apiKey }) => apiKey)
    for (const api of apis) expect(keys.filter((key) => key === api.key), api.name).toHaveLength(2)
  })
})
function orderOf(facts: Record<string, Facts>): unknown[] {
  return Object.entries(facts).map(([name, { fields }]) => (fields ? [name, orderOf(fields)] : name))
}

/** What a broker coordinated by ZooKeeper advertises in 3.9, and 75, which tools use when it is offered. */
const keysOfRelease = [...Array.from({ length: 52 }, (_, key) => key), 56, 57, 58, 60, 61, 65, 66, 67, 68, 69, 75]
test('the table holds every API of a broker coordinated by ZooKeeper, in the order of keys', () => {
  expect(apis.map(({ key }) => key)).toEqual(keysOfRelease)
  for (const { key } of apis) expect(apiByKey(key)?.key).toBe(key)
  expect(apiByKey(52)).toBeUndefined()
  expect(apiByKey(-1)).toBeUndefined()
})
test('no array element is written as nothing, so that a short frame cannot claim many', () => {
  const check = (fields: Fields, version: number, path: string, flexible: boolean): void => {
    for (const [name, field] of Object.entries(fields)) {
      const inner = innerOf(field)
      if (!inner || version < field.rules.since || version > field.rules.until) continue
      const plain = Object.values(inner).filter(({ rules }) => version >= rules.since && version <= rules.until)
      expect(flexible || plain.length > 0, `${path}.${name} v${version}`).toBe(true)
      check(inner, version, `${path}.${name}`, flexible)
    }
  }
  for (const api of apis)
    for (let version = api.versions[0]; version <= api.versions[1]; version++)
      for (const side of [api.request, api.response]) check(side.fields, version, side.name, version >= api.flexible)
})
