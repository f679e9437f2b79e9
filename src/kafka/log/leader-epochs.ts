/** Which offset each leader epoch began at (LeaderEpochFileCache). Epochs and offsets both grow strictly. */
import { checkpointText, parseCheckpoint } from './checkpoint.ts'
import { CorruptFileError } from './corrupt-file-error.ts'

export interface EpochStart {
  epoch: number
  startOffset: number
}
export interface EpochEnd {
  epoch: number
  endOffset: number
}
export const unknownEpochEnd: EpochEnd = { epoch: -1, endOffset: -1 }

export class LeaderEpochs {
  #entries: EpochStart[]
  constructor(entries: readonly EpochStart[] = []) {
    this.#entries = [...entries]
  }
  /** Reads the text of a `leader-epoch-checkpoint`. */
  static parse(path: string, text: string): LeaderEpochs {
    const epochs = new LeaderEpochs()
    for (const [epoch, startOffset] of parseCheckpoint(path, text, 2)) {
      const entry = { epoch: Number(epoch), startOffset: Number(startOffset) }
      if (!Number.isInteger(entry.epoch) || entry.epoch < 0 || !Number.isSafeInteger(entry.startOffset) || entry.startOffset < 0)
        throw new CorruptFileError(path, 0, `'${epoch} ${startOffset}' is no epoch and offset`)
      epochs.assign(entry.epoch, entry.startOffset)
    }
    return epochs
  }
  get entries(): readonly EpochStart[] {
    return this.#entries
  }
  /** −1 when there is none. */
  get latest(): number {
    return this.#entries.length === 0 ? -1 : this.#entries[this.#entries.length - 1].epoch
  }
  toText(): string {
    return checkpointText(this.#entries.map(({ epoch, startOffset }) => `${epoch} ${startOffset}`))
  }
  /** A new epoch from `startOffset` on. Entries it contradicts (same or later epoch, same or later offset) go. True when something changed. */
  assign(epoch: number, startOffset: number): boolean {
    if (epoch < 0 || startOffset < 0) return false
    const last = this.#entries[this.#entries.length - 1]
    if (last && last.epoch === epoch && startOffset >= last.startOffset) return false
    while (this.#entries.length > 0) {
      const { epoch: lastEpoch, startOffset: lastStart } = this.#entries[this.#entries.length - 1]
      if (lastEpoch < epoch && lastStart < startOffset) break
      this.#entries.pop()
    }
    this.#entries.push({ epoch, startOffset })
    return true
  }
  /** The largest epoch not above `epoch` and where it ends; −1, −1 when unknown (reference §3.7). */
  endOf(epoch: number, logEndOffset: number): EpochEnd {
    if (epoch < 0) return unknownEpochEnd
    if (epoch === this.latest) return { epoch, endOffset: logEndOffset }
    const next = this.#entries.findIndex((entry) => entry.epoch > epoch)
    if (next < 0) return unknownEpochEnd
    const found = next === 0 ? epoch : this.#entries[next - 1].epoch
    return { epoch: found, endOffset: this.#entries[next].startOffset }
  }
  /** The epoch of the record at `offset`; −1 when unknown. */
  at(offset: number): number {
    for (let index = this.#entries.length - 1; index >= 0; index--) if (this.#entries[index].startOffset <= offset) return this.#entries[index].epoch
    return -1
  }
  /** Drops entries that start at or behind `endOffset`. True when something changed. */
  truncateEnd(endOffset: number): boolean {
    const kept = this.#entries.filter((entry) => entry.startOffset < endOffset)
    if (kept.length === this.#entries.length) return false
    this.#entries = kept
    return true
  }
  /** The entry before a new log start begins there now. True when something changed. */
  truncateStart(startOffset: number): boolean {
    let keep = -1
    this.#entries.forEach((entry, index) => {
      if (entry.startOffset <= startOffset) keep = index
    })
    if (keep < 0 || (keep === 0 && this.#entries[0].startOffset === startOffset)) return false
    this.#entries = [{ epoch: this.#entries[keep].epoch, startOffset }, ...this.#entries.slice(keep + 1)]
    return true
  }
}
