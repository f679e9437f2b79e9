/**
 * Maps timestamps to offsets: sparse, written at the same moments as the offset index, and once more when a segment closes.
 *
 *     entry := timestamp:int64 relativeOffset:int32     (timestamps strictly ascending)
 *
 * An entry says: up to this record no timestamp is larger than this one.
 */
import { int32At, setInt32 } from '../records/batch.ts'
import { IndexFile } from './index-file.ts'
import type { OpenFiles } from './open-files.ts'

export const timeEntrySize = 12

export class TimeIndex extends IndexFile {
  readonly baseOffset: number
  #lastTimestamp: bigint | undefined
  constructor(files: OpenFiles, path: string, baseOffset: number, { entries, sizeMax }: { entries: number; sizeMax: number }) {
    super(files, path, { entrySize: timeEntrySize, entries, sizeMax })
    this.baseOffset = baseOffset
  }
  /** One slot is kept free for the entry of the closing segment. */
  override get isFull(): boolean {
    return this.count >= this.countMax - 1
  }
  /** −1n and the base offset when there is no entry. */
  last(): { timestamp: bigint; offset: number } {
    if (this.count === 0) return { timestamp: -1n, offset: this.baseOffset }
    const { buffer, at } = this.entry(this.count - 1)
    return { timestamp: buffer.readBigInt64BE(at), offset: this.baseOffset + int32At(buffer, at + 8) }
  }
  /** Adds an entry when its timestamp is larger than the last one's. */
  maybeAdd(timestamp: bigint, offset: number): void {
    this.#lastTimestamp ??= this.last().timestamp
    if (timestamp <= this.#lastTimestamp || this.count >= this.countMax) return
    const { buffer, at } = this.append()
    buffer.writeBigInt64BE(timestamp, at)
    setInt32(buffer, at + 8, offset - this.baseOffset)
    this.#lastTimestamp = timestamp
  }
  /** The offset from which records may have a timestamp of at least `timestamp`. */
  offsetFor(timestamp: bigint): number {
    const index = this.searchLast((buffer, at) => buffer.readBigInt64BE(at) <= timestamp)
    if (index < 0) return this.baseOffset
    const { buffer, at } = this.entry(index)
    return this.baseOffset + int32At(buffer, at + 8)
  }
  /** Drops entries at or behind `offset`. */
  truncateTo(offset: number): void {
    const relative = offset - this.baseOffset
    this.keep(this.searchLast((buffer, at) => int32At(buffer, at + 8) < relative) + 1)
  }
  override keep(count: number): void {
    super.keep(count)
    this.#lastTimestamp = undefined
  }
}
