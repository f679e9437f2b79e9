/**
 * Control records: the markers that end a transaction. A control batch holds one.
 *
 *     key := version:int16=0 type:int16 (0 abort, 1 commit)      value := version:int16=0 coordinatorEpoch:int32
 */
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
