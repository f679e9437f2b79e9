/** The schema DSL: one object describes a message in all its versions. What is absent in a version gets its default. */

export type Scalar =
  | 'int8' | 'int16' | 'uint16' | 'int32' | 'uint32' | 'int64' | 'bigint64' | 'float64' | 'bool' | 'uuid' | 'string' | 'bytes' | 'view' | 'records'
export type Wire =
  | { kind: Scalar }
  | { kind: 'array'; element: AnyField }
  | { kind: 'struct'; fields: Fields }

export interface Rules {
  /** First and last version that have the field. */
  since: number
  until: number
  /** First version in which null is allowed; Infinity: never. */
  nullSince: number
  /** Last version in which null is allowed. */
  nullUntil: number
  /** Tag of a tagged field, −1 for an ordinary one, and the first version in which it is tagged. */
  tag: number
  tagSince: number
  /** What an absent field decodes to; undefined: the type's own default. */
  fallback: unknown
  /** Kept in the classic dialect even in a flexible version (the client id of a request header). */
  classic: boolean
}

const rulesDefault: Rules = {
  since: 0, until: Infinity, nullSince: Infinity, nullUntil: Infinity, tag: -1, tagSince: 0, fallback: undefined, classic: false,
}

export class Field<Out, In = Out, Omittable extends boolean = false> {
  declare readonly out: Out
  declare readonly in: In
  declare readonly omittable: Omittable
  readonly wire: Wire
  readonly rules: Rules
  constructor(wire: Wire, rules: Rules = rulesDefault) {
    this.wire = wire
    this.rules = rules
  }
  #but<O = Out, I = In, M extends boolean = Omittable>(change: Partial<Rules>): Field<O, I, M> {
    return new Field<O, I, M>(this.wire, { ...this.rules, ...change })
  }
  /** First version that has the field; in earlier ones it reads as its default and may be omitted when written. */
  since(version: number): Field<Out, In, true> {
    return this.#but<Out, In, true>({ since: version })
  }
  /** Last version that has the field (inclusive). */
  until(version: number): Field<Out, In, true> {
    return this.#but<Out, In, true>({ until: version })
  }
  /** Default of the field: read where it is absent, written where it is omitted. */
  or<F extends Out>(fallback: F): Field<Out, In, true> {
    return this.#but<Out, In, true>({ fallback })
  }
  /** Null is allowed from this version on, up to and including `until`. */
  orNull(since = 0, until = Infinity): Field<Out | null, In | null, Omittable> {
    return this.#but<Out | null, In | null>({ nullSince: since, nullUntil: until })
  }
  /** A tagged field (KIP-482), tagged from version `since` on. */
  tag(tag: number, since = 0): Field<Out, In, true> {
    return this.#but<Out, In, true>({ tag, tagSince: since })
  }
  /** Classic lengths even in a flexible version. */
  classic(): Field<Out, In, Omittable> {
    return this.#but({ classic: true })
  }
}

// oxlint-disable-next-line no-explicit-any -- a schema holds fields of every type
export type AnyField = Field<any, any, boolean>
export type Fields = { readonly [name: string]: AnyField }
type OmittableKeys<F extends Fields> = { [K in keyof F]: true extends F[K]['omittable'] ? K : never }[keyof F]
/** A decoded message: every field present, whatever the version. */
export type Decoded<F extends Fields> = { [K in keyof F]: F[K]['out'] }
/** What may be encoded: fields with a default can be left out. */
export type Encodable<F extends Fields> = { [K in Exclude<keyof F, OmittableKeys<F>>]: F[K]['in'] } & { [K in OmittableKeys<F>]?: F[K]['in'] }

const scalar = <Out, In = Out>(kind: Scalar) => new Field<Out, In>({ kind })
export const int8 = scalar<number>('int8')
export const int16 = scalar<number>('int16')
export const uint16 = scalar<number>('uint16')
export const int32 = scalar<number>('int32')
export const uint32 = scalar<number>('uint32')
/** An int64 that is refused beyond 2^53: offsets, producer ids. */
export const int64 = scalar<number>('int64')
/** The whole int64 range: timestamps, broker epochs, session ids, zxids. */
export const bigint64 = scalar<bigint>('bigint64')
export const float64 = scalar<number>('float64')
export const bool = scalar<boolean>('bool')
/** 16 bytes, shown as Kafka prints them: 22 characters of base64url. */
export const uuid = scalar<string>('uuid')
export const string = scalar<string>('string')
/** Bytes that are copied when read and may outlive the frame. */
export const bytes = scalar<Buffer, Uint8Array>('bytes')
/** Bytes that stay a window on the frame when read. */
export const view = scalar<Buffer, Uint8Array>('view')
/** Record batches: a window on the frame when read; spliced, in one piece or several, when written. */
export const records = scalar<Buffer, Uint8Array | readonly Uint8Array[]>('records')
export const uuidZero = 'AAAAAAAAAAAAAAAAAAAAAA'

// oxlint-disable-next-line no-explicit-any -- infers the element's own types
export function array<E extends Field<any, any, boolean> | Fields>(
  element: E,
): // oxlint-disable-next-line no-explicit-any
E extends Field<infer Out, infer In, any> ? Field<Out[], readonly In[]> : E extends Fields ? Field<Decoded<E>[], readonly Encodable<E>[]> : never {
  return new Field({ kind: 'array', element: element instanceof Field ? element : struct(element as Fields) }) as never
}
export function struct<F extends Fields>(fields: F): Field<Decoded<F>, Encodable<F>> {
  return new Field({ kind: 'struct', fields })
}

/** What the field reads as where it is absent. */
export function defaultOf(field: AnyField): unknown {
  if (field.rules.fallback !== undefined) return field.rules.fallback
  switch (field.wire.kind) {
    case 'bool': return false
    case 'bigint64': return 0n
    case 'string': return ''
    case 'uuid': return uuidZero
    case 'bytes': case 'view': case 'records': return Buffer.alloc(0)
    case 'array': return []
    case 'struct': return Object.fromEntries(Object.entries(field.wire.fields).map(([name, inner]) => [name, defaultOf(inner)]))
    default: return 0
  }
}
