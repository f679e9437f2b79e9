/** One record, decoded: for tools, coordinators, compaction and conversion, never for the path of plain appends. */
import type { Reader } from '../../wire/reader.ts'

export interface Header {
  key: string
  value: Buffer | null
}

export interface Record {
  offset: number
  /** ms, the whole range of int64; −1 for none. For a LogAppendTime batch its one timestamp. */
  timestamp: bigint
  key: Buffer | null
  value: Buffer | null
  headers: readonly Header[]
  /** −1 for none. */
  sequence: number
}

/** What a builder needs of a record. */
export interface NewRecord {
  timestamp?: bigint | number
  key: Uint8Array | string | null
  value: Uint8Array | string | null
  headers?: readonly { key: string; value: Uint8Array | string | null }[]
}

export const noHeaders: readonly Header[] = []

/** Reads one record of magic 2; key and value are views. The offset and sequence are deltas still. */
export function readRecord(reader: Reader): { timestampDelta: bigint; offsetDelta: number; key: Buffer | null; value: Buffer | null; headers: readonly Header[] } {
  const size = reader.varint()
  const end = reader.offset + size
  if (size < 6 || end > reader.end) throw reader.malformed(`a record of ${size} bytes, ${reader.remaining} left`)
  reader.int8()
  const timestampDelta = reader.bigvarlong()
  const offsetDelta = reader.varint()
  const key = readBytes(reader)
  const value = readBytes(reader)
  const count = reader.varint()
  let headers = noHeaders
  if (count !== 0) {
    reader.claim(count, 2)
    const read: Header[] = []
    for (let index = 0; index < count; index++) {
      const headerKey = readBytes(reader)
      if (headerKey === null) throw reader.malformed('a header without key')
      read.push({ key: headerKey.toString('utf8'), value: readBytes(reader) })
    }
    headers = read
  }
  if (reader.offset !== end) throw reader.malformed(`a record's parts end at byte ${reader.offset}, the record at ${end}`)
  return { timestampDelta, offsetDelta, key, value, headers }
}
function readBytes(reader: Reader): Buffer | null {
  const size = reader.varint()
  if (size === -1) return null
  return reader.view(size)
}
