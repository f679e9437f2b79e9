/**
 * The state of a partition's producers at an offset, which is the file's name: what precedes it need not be read again.
 *
 *     snapshot := version:int16=1 crc:uint32 count:int32 entry*       (CRC-32C of everything behind the checksum)
 *     entry := producerId:int64 epoch:int16 lastSequence:int32 lastOffset:int64 offsetDelta:int32 timestamp:int64
 *              coordinatorEpoch:int32 currentTransactionFirstOffset:int64     (−1 for none)
 *
 * Only the last batch of a producer survives.
 */
import { crc32c } from '../../wire/crc32c.ts'
import { int32At, int64At, setInt32, setInt64 } from '../records/batch.ts'
import { CorruptFileError } from './corrupt-file-error.ts'

const headSize = 10
const entrySize = 46

export interface SnapshotEntry {
  producerId: number
  epoch: number
  lastSequence: number
  lastOffset: number
  offsetDelta: number
  timestamp: bigint
  coordinatorEpoch: number
  currentTransactionFirstOffset: number
}

export function encodeSnapshot(entries: readonly SnapshotEntry[]): Buffer {
  const bytes = Buffer.allocUnsafe(headSize + entries.length * entrySize)
  bytes.writeInt16BE(1, 0)
  setInt32(bytes, 6, entries.length)
  entries.forEach((entry, index) => {
    const at = headSize + index * entrySize
    setInt64(bytes, at, entry.producerId)
    bytes.writeInt16BE(entry.epoch, at + 8)
    setInt32(bytes, at + 10, entry.lastSequence)
    setInt64(bytes, at + 14, entry.lastOffset)
    setInt32(bytes, at + 22, entry.offsetDelta)
    bytes.writeBigInt64BE(entry.timestamp, at + 26)
    setInt32(bytes, at + 34, entry.coordinatorEpoch)
    setInt64(bytes, at + 38, entry.currentTransactionFirstOffset)
  })
  bytes.writeUInt32BE(crc32c(bytes.subarray(6)), 2)
  return bytes
}

export function decodeSnapshot(path: string, bytes: Buffer): SnapshotEntry[] {
  if (bytes.length < headSize) throw new CorruptFileError(path, bytes.length, `${bytes.length} bytes, less than the head of a producer snapshot`)
  const version = bytes.readInt16BE(0)
  if (version !== 1) throw new CorruptFileError(path, 0, `version ${version}; known is 1`)
  const crc = crc32c(bytes.subarray(6))
  if (crc !== bytes.readUInt32BE(2)) throw new CorruptFileError(path, 2, `checksum ${bytes.readUInt32BE(2)} stored, ${crc} computed`)
  const count = int32At(bytes, 6)
  if (count < 0 || headSize + count * entrySize !== bytes.length) throw new CorruptFileError(path, 6, `${count} entries announced in ${bytes.length} bytes`)
  return Array.from({ length: count }, (_, index) => {
    const at = headSize + index * entrySize
    return {
      producerId: int64At(bytes, at),
      epoch: bytes.readInt16BE(at + 8),
      lastSequence: int32At(bytes, at + 10),
      lastOffset: int64At(bytes, at + 14),
      offsetDelta: int32At(bytes, at + 22),
      timestamp: bytes.readBigInt64BE(at + 26),
      coordinatorEpoch: int32At(bytes, at + 34),
      currentTransactionFirstOffset: int64At(bytes, at + 38),
    }
  })
}
