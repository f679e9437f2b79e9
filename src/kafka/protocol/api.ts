/** Declares one Kafka API: key, versions, request and response side by side. The codecs of each version are printed at first use. */
import assert from 'node:assert'
import { printCodec, type Codec } from '../../wire/codec.ts'
import type { Decoded, Encodable, Fields } from '../../wire/schema.ts'
import type { AnyField } from '../../wire/schema.ts'

/** One side of an API, with a codec for each version. */
export class Message<F extends Fields> {
  readonly name: string
  readonly fields: F
  readonly flexible: number
  readonly #codecs: (Codec<F> | undefined)[] = []
  constructor(name: string, fields: F, flexible: number) {
    this.name = name
    this.fields = fields
    this.flexible = flexible
  }
  codec(version: number): Codec<F> {
    return (this.#codecs[version] ??= printCodec(this.name, this.fields, version, version >= this.flexible ? 'compact' : 'classic'))
  }
}

export interface Api<Q extends Fields = Fields, S extends Fields = Fields> {
  readonly key: number
  readonly name: string
  /** First and last version, both inclusive. */
  readonly versions: readonly [number, number]
  /** First flexible version; Infinity when there is none. */
  readonly flexible: number
  readonly request: Message<Q>
  readonly response: Message<S>
}
export type RequestOf<A> = A extends Api<infer Q, Fields> ? Decoded<Q> : never
export type RequestTo<A> = A extends Api<infer Q, Fields> ? Encodable<Q> : never
export type ResponseOf<A> = A extends Api<Fields, infer S> ? Decoded<S> : never
export type ResponseTo<A> = A extends Api<Fields, infer S> ? Encodable<S> : never

/** Declares an API and checks that its schema is sound: tags unique and in flexible versions only, null not before the field exists. */
export function api<Q extends Fields, S extends Fields>(declared: {
  key: number
  name: string
  versions: readonly [number, number]
  flexible?: number
  request: Q
  response: S
}): Api<Q, S> {
  const flexible = declared.flexible ?? Infinity
  for (const fields of [declared.request, declared.response]) checkFields(declared.name, fields, flexible)
  return {
    key: declared.key,
    name: declared.name,
    versions: declared.versions,
    flexible,
    request: new Message(`${declared.name}Request`, declared.request, flexible),
    response: new Message(`${declared.name}Response`, declared.response, flexible),
  }
}

function checkFields(api: string, fields: Fields, flexible: number): void {
  const tags = new Set<number>()
  for (const [name, field] of Object.entries(fields)) {
    const { rules } = field
    if (rules.tag >= 0) {
      assert(!tags.has(rules.tag), `${api}.${name}: tag ${rules.tag} twice`)
      assert(Math.max(rules.since, rules.tagSince) >= flexible, `${api}.${name}: tagged before version ${flexible}`)
      tags.add(rules.tag)
    }
    assert(rules.since <= rules.until, `${api}.${name}: ends before it begins`)
    checkInner(api, field, flexible)
  }
}
function checkInner(api: string, field: AnyField, flexible: number): void {
  if (field.wire.kind === 'struct') checkFields(api, field.wire.fields, flexible)
  if (field.wire.kind === 'array') checkInner(api, field.wire.element, flexible)
}
