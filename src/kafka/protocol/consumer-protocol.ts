/**
 * What consumers tell each other inside JoinGroup and SyncGroup under the protocol type "consumer". The version comes first, an
 * int16 of its own. v1 adds the partitions a member owns, v2 the generation it owned them in, v3 its rack. Never flexible.
 * A newer version is read as the newest known one: new fields only ever come at the end.
 */
import { printCodec, type Codec } from '../../wire/codec.ts'
import { Reader } from '../../wire/reader.ts'
import { array, bytes, int32, string, type Decoded, type Encodable, type Fields } from '../../wire/schema.ts'
import { Writer } from '../../wire/writer.ts'

const versionMax = 3

class Versioned<F extends Fields> {
  readonly #name: string
  readonly #fields: F
  readonly #codecs: (Codec<F> | undefined)[] = []
  constructor(name: string, fields: F) {
    this.#name = name
    this.#fields = fields
  }
  #codec(version: number): Codec<F> {
    return (this.#codecs[version] ??= printCodec(this.#name, this.#fields, version, 'classic'))
  }
  decode(content: Uint8Array): Decoded<F> & { version: number } {
    const reader = new Reader(content)
    const version = reader.int16()
    if (version < 0) throw reader.malformed(`${this.#name} version ${version}`)
    return { version, ...this.#codec(Math.min(version, versionMax)).read(reader) }
  }
  encode(message: Encodable<F>, version: number): Buffer {
    const writer = new Writer()
    writer.int16(version)
    this.#codec(version).write(writer, message)
    return writer.toBuffer()
  }
}

const ownedPartitions = array({ topic: string, partitions: array(int32) })

export const Subscription = new Versioned('ConsumerProtocolSubscription', {
  topics: array(string),
  userData: bytes.orNull().or(null),
  ownedPartitions: ownedPartitions.since(1),
  generationId: int32.since(2).or(-1),
  rackId: string.orNull().since(3).or(null),
})
export const Assignment = new Versioned('ConsumerProtocolAssignment', {
  assignedPartitions: array({ topic: string, partitions: array(int32) }),
  userData: bytes.orNull().or(null),
})
