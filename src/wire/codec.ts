/**
 * Prints a codec for one message in one version and dialect with `new Function`, at first use: as fast as the best
 * hand-written code, and none of it lies on disk. `source` shows what was printed.
 */
import { Reader } from './reader.ts'
import { defaultOf, type AnyField, type Decoded, type Encodable, type Fields, type Scalar } from './schema.ts'
import { Writer } from './writer.ts'

/** How lengths and nulls are written. */
export type Dialect = 'classic' | 'compact' | 'jute'

export interface Codec<F extends Fields> {
  readonly source: string
  read(reader: Reader): Decoded<F>
  write(writer: Writer, message: Encodable<F>): void
}

/** The printed functions call these; everything that can fail on bad input fails here. */
const runtime = {
  length(r: Reader, dialect: Dialect, short: boolean): number {
    if (dialect === 'compact') return r.uvarint() - 1
    return short && dialect === 'classic' ? r.int16() : r.int32()
  },
  nil(r: Reader, name: string): never {
    throw r.malformed(`null for '${name}', which must not be null here`)
  },
  negative(r: Reader, name: string, length: number): never {
    throw r.malformed(`a length of ${length} for '${name}'`)
  },
  writeLength(w: Writer, dialect: Dialect, short: boolean, length: number): void {
    if (dialect === 'compact') w.uvarint(length + 1)
    else if (short && dialect === 'classic') {
      if (length > 0x7fff) throw new RangeError(`a string of ${length} bytes is longer than 32767`)
      w.int16(length)
    } else w.int32(length)
  },
  writeString(w: Writer, dialect: Dialect, value: string): void {
    if (dialect === 'jute') return w.sized(value)
    runtime.writeLength(w, dialect, true, Buffer.byteLength(value))
    w.utf8(value)
  },
  writeBytes(w: Writer, dialect: Dialect, value: Uint8Array): void {
    runtime.writeLength(w, dialect, false, value.length)
    w.raw(value)
  },
  writeRecords(w: Writer, dialect: Dialect, value: Uint8Array | readonly Uint8Array[]): void {
    if (value instanceof Uint8Array) return runtime.writeBytes(w, dialect, value)
    let size = 0
    for (const piece of value) size += piece.length
    runtime.writeLength(w, dialect, false, size)
    for (const piece of value) w.raw(piece)
  },
  missing(name: string): never {
    throw new TypeError(`'${name}' is null or missing, and this version has no null for it`)
  },
  /** Whether a tagged field may stay unwritten. */
  isDefault(value: unknown, fallback: unknown): boolean {
    if (value === undefined || value === fallback) return true
    if (value === null || fallback === null || typeof value !== 'object' || typeof fallback !== 'object') return false
    if (Array.isArray(value)) return Array.isArray(fallback) && value.length === 0 && fallback.length === 0
    if (value instanceof Uint8Array) return value.length === 0 && (fallback as Uint8Array).length === 0
    return Object.entries(fallback as object).every(([name, inner]) => runtime.isDefault((value as Record<string, unknown>)[name], inner))
  },
}

const fixedSizes: Partial<Record<Scalar, number>> = {
  int8: 1, bool: 1, int16: 2, uint16: 2, int32: 4, uint32: 4, int64: 8, bigint64: 8, float64: 8, uuid: 16,
}

class Printer {
  readonly #version: number
  readonly #dialect: Dialect
  readonly fallbacks: unknown[] = []
  #names = 0

  constructor(version: number, dialect: Dialect) {
    this.#version = version
    this.#dialect = dialect
  }

  #fresh(): string {
    return `v${this.#names++}`
  }
  #present(field: AnyField): boolean {
    return this.#version >= field.rules.since && this.#version <= field.rules.until
  }
  #tagged(field: AnyField): boolean {
    return this.#dialect === 'compact' && field.rules.tag >= 0 && this.#version >= field.rules.tagSince
  }
  #nullable(field: AnyField): boolean {
    return this.#version >= field.rules.nullSince && this.#version <= field.rules.nullUntil
  }
  #dialectOf(field: AnyField): Dialect {
    return field.rules.classic ? 'classic' : this.#dialect
  }
  #split(fields: Fields): { plain: [string, AnyField][]; tagged: [string, AnyField][]; absent: [string, AnyField][] } {
    const plain: [string, AnyField][] = []
    const tagged: [string, AnyField][] = []
    const absent: [string, AnyField][] = []
    for (const entry of Object.entries(fields)) {
      if (!this.#present(entry[1])) absent.push(entry)
      else if (this.#tagged(entry[1])) tagged.push(entry)
      else plain.push(entry)
    }
    return { plain, tagged: tagged.sort((a, b) => a[1].rules.tag - b[1].rules.tag), absent }
  }
  /** A default as an expression; arrays and structs are made anew each time, so that nobody shares one. */
  #fallback(field: AnyField): string {
    return this.#literal(defaultOf(field))
  }
  #literal(value: unknown): string {
    if (typeof value === 'bigint') return `${value}n`
    if (value === null || typeof value !== 'object') return JSON.stringify(value)
    if (Array.isArray(value)) return `[${value.map((each) => this.#literal(each)).join(', ')}]`
    if (Buffer.isBuffer(value)) return value.length === 0 ? 'Buffer.alloc(0)' : `Buffer.from(${this.#shared(value)})`
    return `{ ${Object.entries(value).map(([name, inner]) => `${JSON.stringify(name)}: ${this.#literal(inner)}`).join(', ')} }`
  }
  /** The same value each time, for those who only look at it. */
  #shared(value: unknown): string {
    if (value === null || typeof value !== 'object') return this.#literal(value)
    return `d[${this.fallbacks.push(value) - 1}]`
  }
  #sizeMin(field: AnyField): number {
    const { wire } = field
    if (wire.kind === 'struct') {
      if (this.#nullable(field)) return 1
      const { plain } = this.#split(wire.fields)
      return plain.reduce((sum, [, inner]) => sum + this.#sizeMin(inner), this.#dialect === 'compact' ? 1 : 0)
    }
    const fixed = wire.kind === 'array' ? undefined : fixedSizes[wire.kind]
    if (fixed !== undefined) return fixed
    const dialect = this.#dialectOf(field)
    return dialect === 'compact' ? 1 : dialect === 'classic' && wire.kind === 'string' ? 2 : 4
  }

  /** Statements that read the field into a new variable, and that variable's name. */
  #read(name: string, field: AnyField, out: string[]): string {
    const variable = this.#fresh()
    const { wire } = field
    const quoted = JSON.stringify(name)
    const dialect = this.#dialectOf(field)
    const fixed = wire.kind !== 'array' && wire.kind !== 'struct' && fixedSizes[wire.kind]
    if (fixed) {
      out.push(`const ${variable} = r.${wire.kind}()`)
      return variable
    }
    if (wire.kind === 'struct') {
      out.push(`let ${variable} = null`)
      if (this.#nullable(field)) out.push(`if (r.int8() >= 0) {`)
      const inner: string[] = []
      const literal = this.#readStruct(wire.fields, inner)
      out.push('{', ...inner, `${variable} = ${literal}`, '}')
      if (this.#nullable(field)) out.push('}')
      return variable
    }
    const length = this.#fresh()
    out.push(`const ${length} = h.length(r, '${dialect}', ${wire.kind === 'string'})`)
    const absent = this.#nullable(field) ? 'null' : dialect === 'jute' && wire.kind !== 'array' ? this.#fallback(field) : `h.nil(r, ${quoted})`
    out.push(`let ${variable}`, `if (${length} < 0) ${variable} = ${length} === -1 ? ${absent} : h.negative(r, ${quoted}, ${length})`)
    if (wire.kind === 'array') {
      const index = this.#fresh()
      const inner: string[] = []
      const element = this.#read(name, wire.element, inner)
      out.push('else {', `r.claim(${length}, ${this.#sizeMin(wire.element)})`, `${variable} = new Array(${length})`)
      out.push(`for (let ${index} = 0; ${index} < ${length}; ${index}++) {`, ...inner, `${variable}[${index}] = ${element}`, '}', '}')
    } else out.push(`else ${variable} = r.${wire.kind === 'string' ? 'utf8' : wire.kind === 'bytes' ? 'copy' : 'view'}(${length})`)
    return variable
  }
  #readStruct(fields: Fields, out: string[]): string {
    const { plain, tagged, absent } = this.#split(fields)
    const variables = new Map<string, string>()
    for (const [name, field] of plain) variables.set(name, this.#read(name, field, out))
    for (const [name, field] of tagged) {
      const variable = this.#fresh()
      variables.set(name, variable)
      out.push(`let ${variable} = ${this.#fallback(field)}`)
    }
    if (this.#dialect === 'compact') {
      if (tagged.length === 0) out.push('r.skipTags()')
      else {
        const count = this.#fresh()
        const end = this.#fresh()
        const cases: string[] = []
        for (const [name, field] of tagged) {
          const inner: string[] = []
          const value = this.#read(name, field, inner)
          cases.push(`case ${field.rules.tag}: {`, ...inner, `${variables.get(name)} = ${value}; break }`)
        }
        out.push(`for (let ${count} = r.uvarint(); ${count} > 0; ${count}--) {`, `const tag = r.uvarint(), ${end} = r.uvarint() + r.offset`)
        out.push('switch (tag) {', ...cases, '}', `if (${end} < r.offset) throw r.malformed('a tagged field shorter than its content')`)
        out.push(`r.skip(${end} - r.offset)`, '}')
      }
    }
    for (const [name, field] of absent) variables.set(name, this.#fallback(field))
    return `{ ${Object.keys(fields).map((name) => `${JSON.stringify(name)}: ${variables.get(name)}`).join(', ')} }`
  }

  #write(name: string, field: AnyField, value: string, out: string[]): void {
    const { wire } = field
    const dialect = this.#dialectOf(field)
    if (wire.kind !== 'array' && wire.kind !== 'struct' && fixedSizes[wire.kind]) {
      out.push(`w.${wire.kind}(${value})`)
      return
    }
    const nullable = this.#nullable(field)
    if (wire.kind === 'struct') {
      if (nullable) out.push(`if (${value} === null) w.int8(-1)`, 'else {', 'w.int8(1)')
      this.#writeStruct(wire.fields, value, out)
      if (nullable) out.push('}')
      return
    }
    const short = wire.kind === 'string'
    out.push(`if (${value} == null) ${nullable || dialect === 'jute' ? `h.writeLength(w, '${dialect}', ${short}, -1)` : `h.missing(${JSON.stringify(name)})`}`)
    if (wire.kind === 'string') out.push(`else h.writeString(w, '${dialect}', ${value})`)
    else if (wire.kind === 'records') out.push(`else h.writeRecords(w, '${dialect}', ${value})`)
    else if (wire.kind !== 'array') out.push(`else h.writeBytes(w, '${dialect}', ${value})`)
    else {
      const element = this.#fresh()
      out.push('else {', `h.writeLength(w, '${dialect}', false, ${value}.length)`, `for (const ${element} of ${value}) {`)
      this.#write(name, wire.element, element, out)
      out.push('}', '}')
    }
  }
  #writeStruct(fields: Fields, from: string, out: string[]): void {
    const { plain, tagged } = this.#split(fields)
    const valueOf = (name: string, field: AnyField) => {
      const variable = this.#fresh()
      const property = `${from}[${JSON.stringify(name)}]`
      const { fallback, tag } = field.rules
      // Nobody may omit the others; where somebody does all the same, null lengths and NaN are refused further down.
      const omittable = fallback !== undefined || tag >= 0 || field.rules.since > 0 || field.rules.until !== Infinity
      out.push(omittable ? `let ${variable} = ${property}; if (${variable} === undefined) ${variable} = ${this.#shared(defaultOf(field))}` : `const ${variable} = ${property}`)
      return variable
    }
    for (const [name, field] of plain) {
      out.push('{')
      this.#write(name, field, valueOf(name, field), out)
      out.push('}')
    }
    if (this.#dialect !== 'compact') return
    if (tagged.length === 0) {
      out.push('w.uvarint(0)')
      return
    }
    const count = this.#fresh()
    out.push(`let ${count} = 0`)
    const bodies: string[] = []
    for (const [name, field] of tagged) {
      const set = this.#fresh()
      const property = `${from}[${JSON.stringify(name)}]`
      out.push(`const ${set} = !h.isDefault(${property}, ${this.#shared(defaultOf(field))})`, `if (${set}) ${count}++`)
      const mark = this.#fresh()
      bodies.push(`if (${set}) {`, `w.uvarint(${field.rules.tag})`, `const ${mark} = w.beginSized()`)
      this.#write(name, field, property, bodies)
      bodies.push(`w.endSized(${mark})`, '}')
    }
    out.push(`w.uvarint(${count})`, ...bodies)
  }

  print(fields: Fields): { read: string; write: string } {
    const reading: string[] = []
    const literal = this.#readStruct(fields, reading)
    const writing: string[] = []
    this.#writeStruct(fields, 'o', writing)
    return { read: [...reading, `return ${literal}`].join('\n'), write: writing.join('\n') }
  }
}

/** Prints the codec of `fields` in one version. Keep the result: printing costs about 0.1 ms. */
export function printCodec<F extends Fields>(name: string, fields: F, version: number, dialect: Dialect): Codec<F> {
  const printer = new Printer(version, dialect)
  const { read, write } = printer.print(fields)
  const source = `return { read(r) {\n${read}\n}, write(w, o) {\n${write}\n} }\n//# sourceURL=${name}.v${version}.${dialect}`
  const made = new Function('h', 'd', source)(runtime, printer.fallbacks) as Pick<Codec<F>, 'read' | 'write'>
  return { source, read: made.read, write: made.write }
}

/** One ZooKeeper record: fields in the jute dialect, which has no versions. */
export class JuteRecord<F extends Fields> {
  readonly name: string
  readonly fields: F
  #codec: Codec<F> | undefined
  constructor(name: string, fields: F) {
    this.name = name
    this.fields = fields
  }
  get codec(): Codec<F> {
    return (this.#codec ??= printCodec(this.name, this.fields, 0, 'jute'))
  }
  read(reader: Reader): Decoded<F> {
    return this.codec.read(reader)
  }
  write(writer: Writer, message: Encodable<F>): void {
    this.codec.write(writer, message)
  }
  decode(bytes: Uint8Array): Decoded<F> {
    return this.codec.read(new Reader(bytes))
  }
  encode(message: Encodable<F>): Buffer {
    const writer = new Writer()
    this.codec.write(writer, message)
    return writer.toBuffer()
  }
}
export type Message<R> = R extends JuteRecord<infer F> ? Decoded<F> : never

/** Declares a ZooKeeper record. */
export function record<F extends Fields>(name: string, fields: F): JuteRecord<F> {
  return new JuteRecord(name, fields)
}
