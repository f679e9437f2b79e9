/**
 * Maps offsets to positions: sparse, one entry per `index.interval.bytes` of appends.
 *
 *     entry := relativeOffset:int32 position:int32     (relative to the segment's base offset; ascending)
 *
 * An entry holds the last offset of an append and the position where that append begins (LogSegment.append).
 */
import { int32At, setInt32 } from '../records/batch.ts'
import { IndexFile } from './index-file.ts'
import type { OpenFiles } from './open-files.ts'

export const offsetEntrySize = 8

export class OffsetIndex extends IndexFile {
  readonly baseOffset: number
  constructor(files: OpenFiles, path: string, baseOffset: number, { entries, sizeMax }: { entries: number; sizeMax: number }) {
    super(files, path, { entrySize: offsetEntrySize, entries, sizeMax })
    this.baseOffset = baseOffset
  }
  add(offset: number, position: number): void {
    const { buffer, at } = this.append()
    setInt32(buffer, at, offset - this.baseOffset)
    setInt32(buffer, at + 4, position)
  }
  /** Where to begin looking for `offset`: at the largest entry not beyond it, else at the beginning. */
  positionFor(offset: number): number {
    if (this.count === 0 || offset < this.baseOffset) return 0
    const relative = offset - this.baseOffset
    const index = this.searchLast((buffer, at) => int32At(buffer, at) <= relative)
    if (index < 0) return 0
    const { buffer, at } = this.entry(index)
    return int32At(buffer, at + 4)
  }
  /** Drops entries at or behind `offset`. */
  truncateTo(offset: number): void {
    const relative = offset - this.baseOffset
    this.keep(this.searchLast((buffer, at) => int32At(buffer, at) < relative) + 1)
  }
}
