/**
 * Control records: the markers that end a transaction. A control batch holds one.
 *
 *     key := version:int16=0 type:int16 (0 abort, 1 commit)      value := version:int16=0 coordinatorEpoch:int32
 */
import { batchHeadSize, int32At, type Batch } from './batch.ts'
import { recordsOf } from './decode.ts'
import { encodeBatch } from './encode.ts'

export const controlType = { abort: 0, commit: 1 } as const

/** The type in the key of a control record; undefined for a key that is none. Types above 1 mark other things and are not for transactions. */
export function controlTypeOf(key: Uint8Array | null): number | undefined {
  if (key === null || key.length < 4) return undefined
  return (key[2] << 8) | key[3]
}
/** The coordinator epoch in the value of a marker. */
export function coordinatorEpochOf(value: Uint8Array | null): number | undefined {
  if (value === null || value.length < 6) return undefined
  return (value[2] << 24) | (value[3] << 16) | (value[4] << 8) | value[5]
}

export interface ControlRecord {
  readonly type: number | undefined
  /** Undefined where the value is too short for one. */
  readonly coordinatorEpoch: number | undefined
  readonly offset: number
  readonly timestamp: bigint
}
/** length attributes timestampDelta offsetDelta keyLength … valueLength … headerCount, as Apache's brokers and we write a marker. */
const usualSize = 17
const usualHead = 0x20_00_00_00
const usualKeyAt = 5
const usualValueAt = 10
/** The first record of a control batch; undefined when compaction has left none. Throws `CorruptBatchError`. */
export function controlRecordOf(batch: Batch): ControlRecord | undefined {
  const { bytes } = batch
  const at = batch.at + batchHeadSize
  const isUsual = batch.codec === 0 && batch.recordCount === 1 && batch.size === batchHeadSize + usualSize && !batch.isLogAppendTime
    && int32At(bytes, at) === usualHead && bytes[at + usualKeyAt - 1] === 8 && bytes[at + usualValueAt - 1] === 12 && bytes[at + usualSize - 1] === 0
  if (isUsual)
    return { type: (bytes[at + usualKeyAt + 2] << 8) | bytes[at + usualKeyAt + 3], coordinatorEpoch: int32At(bytes, at + usualValueAt + 2), offset: batch.baseOffset, timestamp: batch.baseTimestamp }
  const record = recordsOf(batch)[0] as ReturnType<typeof recordsOf>[number] | undefined
  return record && { type: controlTypeOf(record.key), coordinatorEpoch: coordinatorEpochOf(record.value), offset: record.offset, timestamp: record.timestamp }
}

export function encodeTransactionMarker(marker: {
  type: 'abort' | 'commit'
  producerId: number
  producerEpoch: number
  coordinatorEpoch: number
  timestamp: bigint | number
  partitionLeaderEpoch?: number
}): Buffer {
  const key = Buffer.from([0, 0, 0, controlType[marker.type]])
  const value = Buffer.alloc(6)
  value.writeInt32BE(marker.coordinatorEpoch, 2)
  return encodeBatch([{ key, value, timestamp: marker.timestamp }], {
    producerId: marker.producerId,
    producerEpoch: marker.producerEpoch,
    partitionLeaderEpoch: marker.partitionLeaderEpoch,
    isTransactional: true,
    isControl: true,
  })
}
