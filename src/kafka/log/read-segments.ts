/** Reads whole batches out of a log's segments: finds the segment and the place in it, and cuts what must not be seen yet. */
import type { BufferPool } from '../../wire/buffer-pool.ts'
import { int32At, int64At, lengthEnd } from '../records/batch.ts'
import type { Refused } from './append.ts'
import type { Segment } from './segment.ts'

/** Reads up to this size from the newest segment are done at once: the page cache has them. */
const syncReadMax = 64 * 1024

export interface ReadWish {
  /** Inclusive. */
  offset: number
  maxBytes: number
  /** The first batch comes whole even when it is larger than `maxBytes`. */
  minOneBatch: boolean
  /** Batches that begin at or behind this offset are left out. */
  upTo: number
}
/** Whole batches in order, or a part of the first when there is no room for more of it; it may begin below the offset asked for. */
export interface ReadResult {
  errorCode: 0
  slices: Buffer[]
  size: number
  /** To be run when the slices are not looked at any more: their memory may be used again then. Nobody has to. */
  done?: () => void
}
export type ReadOutcome = ReadResult | Refused
export const emptyRead: ReadResult = { errorCode: 0, slices: [], size: 0 }

/** The last segment that begins at or before `offset`; the first when none does. */
export function segmentIndexFor(segments: readonly Segment[], offset: number): number {
  let low = 0
  let high = segments.length
  while (high - low > 1) {
    const middle = (low + high) >> 1
    if (segments[middle].baseOffset <= offset) low = middle
    else high = middle
  }
  return low
}

/** At once when the bytes are likely to be in memory. `rooms`: where large reads go. Throws or rejects with the disk's error, or with a `CorruptFileError`. */
export function readSegments(segments: readonly Segment[], { offset, maxBytes, minOneBatch, upTo }: ReadWish, rooms: BufferPool): ReadResult | Promise<ReadResult> {
  for (let index = segmentIndexFor(segments, offset); index < segments.length; index++) {
    const segment = segments[index]
    const found = segment.locate(offset)
    // Compaction may leave nothing of an offset; the next segment has the next batch.
    if (!found) continue
    const available = segment.writtenSize - found.position
    const size = Math.min(available, found.size > maxBytes ? (minOneBatch ? found.size : maxBytes) : maxBytes)
    if (size <= 0) return emptyRead
    if (size <= syncReadMax && index === segments.length - 1) {
      const bytes = Buffer.allocUnsafe(size)
      const filled = segment.log.file.readSync(bytes, found.position)
      return asRead(segment, bytes.subarray(0, filled), found.position, upTo)
    }
    const room = rooms.take(size)
    return segment.log.with((file) => file.read(room, found.position)).then((filled) => {
      const read = asRead(segment, room.subarray(0, filled), found.position, upTo)
      return { ...read, done: () => rooms.reuse(room) }
    })
  }
  return emptyRead
}
/** Cuts what must not be seen yet, and remembers where the reader will go on. */
function asRead(segment: Segment, bytes: Buffer, position: number, end: number): ReadResult {
  let at = 0
  let next = -1
  while (bytes.length - at >= 27) {
    const baseOffset = int64At(bytes, at)
    if (baseOffset >= end) {
      segment.hint(next, position + at)
      return { errorCode: 0, slices: at === 0 ? [] : [bytes.subarray(0, at)], size: at }
    }
    const size = lengthEnd + int32At(bytes, at + 8)
    if (size < 26 || at + size > bytes.length) break
    next = baseOffset + (bytes[at + 16] < 2 ? 1 : int32At(bytes, at + 23) + 1)
    at += size
  }
  if (next < 0) return bytes.length === 0 ? emptyRead : { errorCode: 0, slices: [bytes], size: bytes.length }
  segment.hint(next, position + at)
  // The part of a batch behind whole ones is of no use to anybody: it is asked for again.
  return { errorCode: 0, slices: [bytes.subarray(0, at)], size: at }
}
