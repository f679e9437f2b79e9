/**
 * The records of `__consumer_offsets`: key and value, each with a version before it.
 *
 *     key   := 0|1:int16 group:string topic:string partition:int32      an offset
 *            | 2:int16 group:string                                     a group
 *     value := version:int16 fields of that version; null removes what the key names
 *
 * Versions written: offset key 1, offset value 3 (1 when it has an expiry of its own), group value 3. All others are read.
 */
import { printCodec, type Codec } from '../../wire/codec.ts'
import { Reader } from '../../wire/reader.ts'
import { array, bigint64, bytes, int32, int64, string, type Decoded, type Encodable, type Fields } from '../../wire/schema.ts'
import { Writer } from '../../wire/writer.ts'
import { int64At } from '../records/batch.ts'

const offsetKeyFields = { group: string, topic: string, partition: int32 }
const groupKeyFields = { group: string }
const offsetValueFields = {
  offset: int64,
  leaderEpoch: int32.since(3).or(-1),
  metadata: string,
  commitTimestamp: bigint64,
  expireTimestamp: bigint64.since(1).until(1).or(-1n),
}
const groupValueFields = {
  protocolType: string,
  generation: int32,
  protocol: string.orNull(),
  leader: string.orNull(),
  currentStateTimestamp: bigint64.since(2).or(-1n),
  members: array({
    memberId: string,
    groupInstanceId: string.orNull(3).since(3).or(null),
    clientId: string,
    clientHost: string,
    rebalanceTimeout: int32.since(1).or(-1),
    sessionTimeout: int32,
    subscription: bytes,
    assignment: bytes,
  }),
}
export type OffsetValue = Decoded<typeof offsetValueFields>
export type GroupValue = Decoded<typeof groupValueFields>

export type OffsetsKey =
  | { kind: 'offset'; version: number; group: string; topic: string; partition: number }
  | { kind: 'group'; version: number; group: string }
  /** Groups of the newer protocols (key versions 3 and up): not ours, to be left alone. */
  | { kind: 'foreign'; version: number }

const stringSizeMax = 0x7fff
/** Whether the record's format has room for the string; flexible requests can bring longer ones. */
export function fitsRecord(text: string): boolean {
  return text.length * 3 <= stringSizeMax || Buffer.byteLength(text) <= stringSizeMax
}

/** A record version this release does not know, or a value that contradicts itself. */
export class UnknownRecordError extends Error {
  constructor(reason: string) {
    super(reason)
    this.name = 'UnknownRecordError'
  }
}

/** Codecs of a record's versions, printed at first use. */
class Versions<F extends Fields> {
  readonly name: string
  readonly fields: F
  readonly versionMax: number
  /** First flexible version. */
  readonly flexible: number
  readonly #codecs: (Codec<F> | undefined)[] = []
  constructor(name: string, fields: F, versionMax: number, flexible: number) {
    this.name = name
    this.fields = fields
    this.versionMax = versionMax
    this.flexible = flexible
  }
  #codec(version: number): Codec<F> {
    return (this.#codecs[version] ??= printCodec(this.name, this.fields, version, version >= this.flexible ? 'compact' : 'classic'))
  }
  read(bytesRead: Uint8Array): { version: number; value: Decoded<F> } {
    const reader = new Reader(bytesRead)
    const version = reader.int16()
    if (version < 0 || version > this.versionMax) throw new UnknownRecordError(`${this.name} of version ${version}; known are 0 to ${this.versionMax}`)
    return { version, value: this.#codec(version).read(reader) }
  }
  write(version: number, value: Encodable<F>): Buffer {
    const writer = new Writer()
    writer.int16(version)
    this.#codec(version).write(writer, value)
    return writer.toBuffer()
  }
}

export interface PlainOffset {
  readonly offset: number
  readonly leaderEpoch: number
  readonly metadata: string
  readonly commitTimestamp: number
}
/** Version, offset, leader epoch, length of the metadata, commit timestamp. */
const plainSizeMin = 2 + 8 + 4 + 2 + 8

/** Reads and writes keys and values; stateless but for its printed codecs. */
export class OffsetsRecords {
  readonly #offsetKey = new Versions('OffsetCommitKey', offsetKeyFields, 1, Infinity)
  readonly #groupKey = new Versions('GroupMetadataKey', groupKeyFields, 2, Infinity)
  readonly #offsetValue = new Versions('OffsetCommitValue', offsetValueFields, 4, 4)
  readonly #groupValue = new Versions('GroupMetadataValue', groupValueFields, 4, 4)

  readKey(key: Uint8Array): OffsetsKey {
    const version = new Reader(key).int16()
    if (version === 2) return { kind: 'group', version, group: this.#groupKey.read(key).value.group }
    if (version === 0 || version === 1) return { kind: 'offset', version, ...this.#offsetKey.read(key).value }
    return { kind: 'foreign', version }
  }
  offsetKey(group: string, topic: string, partition: number, version = 1): Buffer {
    return this.#offsetKey.write(version, { group, topic, partition })
  }
  groupKey(group: string): Buffer {
    return this.#groupKey.write(2, { group })
  }
  /**
   * The same for a part of `bytes`, where the value has the version written today and numbers that fit; undefined for any other. A
   * partition that is loaded has a million of them.
   */
  readPlainOffset(bytes: Buffer, from: number, size: number): PlainOffset | undefined {
    if (size < plainSizeMin || bytes[from] !== 0 || bytes[from + 1] !== 3) return undefined
    const metadataSize = bytes.readInt16BE(from + 14)
    if (metadataSize < 0 || size < plainSizeMin + metadataSize) return undefined
    const offset = int64At(bytes, from + 2)
    const commitTimestamp = int64At(bytes, from + 16 + metadataSize)
    if (!Number.isSafeInteger(offset) || !Number.isSafeInteger(commitTimestamp)) return undefined
    return { offset, leaderEpoch: bytes.readInt32BE(from + 10), metadata: metadataSize === 0 ? '' : bytes.toString('utf8', from + 16, from + 16 + metadataSize), commitTimestamp }
  }
  readOffset(value: Uint8Array): { version: number; value: OffsetValue } {
    return this.#offsetValue.read(value)
  }
  /** Without a version: 1 when the offset has an expiry of its own, which later versions cannot hold, else 3. */
  offsetValue(value: OffsetValue, version = value.expireTimestamp >= 0n ? 1 : 3): Buffer {
    return this.#offsetValue.write(version, value)
  }
  readGroup(value: Uint8Array): { version: number; value: GroupValue } {
    return this.#groupValue.read(value)
  }
  groupValue(value: GroupValue, version = 3): Buffer {
    return this.#groupValue.write(version, value)
  }
}
