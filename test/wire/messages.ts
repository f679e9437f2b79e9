/** Random messages of a schema in one version, for fast-check. Absent fields have their default, so that a round trip is equality. */
import fc from 'fast-check'
import type { Dialect } from '../../src/wire/codec.ts'
import { defaultOf, type AnyField, type Fields } from '../../src/wire/schema.ts'
import { isNullable, isPresent } from './interpreter.ts'

const binaryStrings = fc.string({ unit: 'binary', maxLength: 12 })
const buffer = fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes))

/** `strings`: what its names and texts are drawn from. */
export function messages(fields: Fields, version: number, dialect: Dialect, strings: fc.Arbitrary<string> = binaryStrings): fc.Arbitrary<Record<string, unknown>> {
  const entries = Object.entries(fields).map(([name, field]) => {
    const here = isPresent(field, version) && !(field.rules.tag >= 0 && dialect !== 'compact')
    return [name, here ? values(field, version, dialect, strings) : fc.constant(null).map(() => defaultOf(field))] as const
  })
  return fc.record(Object.fromEntries(entries), { noNullPrototype: true })
}
function values(field: AnyField, version: number, dialect: Dialect, strings: fc.Arbitrary<string>): fc.Arbitrary<unknown> {
  const value = plainValues(field, version, dialect, strings)
  return isNullable(field, version) ? fc.option(value) : value
}
function plainValues({ wire }: AnyField, version: number, dialect: Dialect, strings: fc.Arbitrary<string>): fc.Arbitrary<unknown> {
  switch (wire.kind) {
    case 'int8': return fc.integer({ min: -0x80, max: 0x7f })
    case 'int16': return fc.integer({ min: -0x8000, max: 0x7fff })
    case 'uint16': return fc.integer({ min: 0, max: 0xffff })
    case 'int32': return fc.integer()
    case 'uint32': return fc.integer({ min: 0, max: 0xffff_ffff })
    case 'int64': return fc.maxSafeInteger()
    case 'bigint64': return fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })
    case 'float64': return fc.double({ noNaN: true })
    case 'bool': return fc.boolean()
    case 'uuid': return fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => Buffer.from(bytes).toString('base64url'))
    case 'string': return strings
    case 'bytes': case 'view': case 'records': return buffer
    case 'array': return fc.array(values(wire.element, version, dialect, strings), { maxLength: 3 })
    case 'struct': return messages(wire.fields, version, dialect, strings)
    default: return wire satisfies never
  }
}
