/** Reads and writes messages by walking the schema: slow, short, and the oracle that printed codecs have to agree with. */
import type { Dialect } from '../../src/wire/codec.ts'
import type { Reader } from '../../src/wire/reader.ts'
import { defaultOf, type AnyField, type Fields } from '../../src/wire/schema.ts'
import { Writer } from '../../src/wire/writer.ts'

type Message = Record<string, unknown>
const lengthKinds = ['string', 'bytes', 'view', 'records']

export function isPresent({ rules }: AnyField, version: number): boolean {
  return version >= rules.since && version <= rules.until
}
export function isTagged({ rules }: AnyField, version: number, dialect: Dialect): boolean {
  return dialect === 'compact' && rules.tag >= 0 && version >= rules.tagSince
}
export function isNullable({ rules }: AnyField, version: number): boolean {
  return version >= rules.nullSince && version <= rules.nullUntil
}

export function interpretWrite(w: Writer, fields: Fields, version: number, dialect: Dialect, message: Message): void {
  const entries = Object.entries(fields).filter(([, field]) => isPresent(field, version))
  const valueOf = (name: string, field: AnyField) => (message[name] === undefined ? defaultOf(field) : message[name])
  for (const [name, field] of entries) if (!isTagged(field, version, dialect)) writeValue(w, field, version, dialect, valueOf(name, field))
  if (dialect !== 'compact') return
  const tagged = entries.filter(([, field]) => isTagged(field, version, dialect)).sort((a, b) => a[1].rules.tag - b[1].rules.tag)
  const written = tagged.filter(([name, field]) => !sameValue(valueOf(name, field), defaultOf(field)))
  w.uvarint(written.length)
  for (const [name, field] of written) {
    const inner = new Writer()
    writeValue(inner, field, version, dialect, message[name])
    const content = inner.toBuffer()
    w.uvarint(field.rules.tag)
    w.uvarint(content.length)
    w.raw(content)
  }
}
function writeValue(w: Writer, field: AnyField, version: number, dialect: Dialect, value: unknown): void {
  const { wire } = field
  if (wire.kind === 'struct') {
    if (isNullable(field, version)) w.int8(value === null ? -1 : 1)
    if (value !== null) interpretWrite(w, wire.fields, version, dialect, value as Message)
  } else if (wire.kind === 'array' || lengthKinds.includes(wire.kind)) {
    const content = wire.kind === 'string' && value !== null ? Buffer.from(value as string) : (value as unknown[] | Buffer | null)
    const length = content === null ? -1 : content.length
    if (dialect === 'compact') w.uvarint(length + 1)
    else if (wire.kind === 'string') w.int16(length)
    else w.int32(length)
    if (wire.kind === 'array') for (const element of (content as unknown[] | null) ?? []) writeValue(w, wire.element, version, dialect, element)
    else if (content) w.raw(content as Buffer)
  } else (w[wire.kind as 'int32'] as (value: unknown) => void)(value)
}

export function interpretRead(r: Reader, fields: Fields, version: number, dialect: Dialect): Message {
  const message: Message = {}
  for (const [name, field] of Object.entries(fields)) {
    const here = isPresent(field, version) && !isTagged(field, version, dialect)
    message[name] = here ? readValue(r, field, version, dialect) : defaultOf(field)
  }
  if (dialect !== 'compact') return message
  for (let count = r.uvarint(); count > 0; count--) {
    const tag = r.uvarint()
    const end = r.uvarint() + r.offset
    const known = Object.entries(fields).find(([, field]) => field.rules.tag === tag && isPresent(field, version))
    if (known) message[known[0]] = readValue(r, known[1], version, dialect)
    r.skip(end - r.offset)
  }
  return message
}
function readValue(r: Reader, field: AnyField, version: number, dialect: Dialect): unknown {
  const { wire } = field
  if (wire.kind === 'struct') return isNullable(field, version) && r.int8() < 0 ? null : interpretRead(r, wire.fields, version, dialect)
  if (wire.kind !== 'array' && !lengthKinds.includes(wire.kind)) return (r[wire.kind as 'int32'] as () => unknown)()
  const length = dialect === 'compact' ? r.uvarint() - 1 : wire.kind === 'string' ? r.int16() : r.int32()
  if (length < 0) return null
  if (wire.kind === 'array') return Array.from({ length }, () => readValue(r, wire.element, version, dialect))
  return wire.kind === 'string' ? r.utf8(length) : r.copy(length)
}

function sameValue(a: unknown, b: unknown): boolean {
  const text = (value: unknown) => JSON.stringify(value, (_, inner: unknown) => (typeof inner === 'bigint' ? `${inner}n` : inner))
  return text(a) === text(b)
}
