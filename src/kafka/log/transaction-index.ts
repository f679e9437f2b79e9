/**
 * The aborted transactions that end in a segment; the file exists only when there are some. Small, so it is held in memory.
 *
 *     entry := version:int16=0 producerId:int64 firstOffset:int64 lastOffset:int64 lastStableOffset:int64
 *
 * `lastOffset` is the marker's; `lastStableOffset` what it was once this transaction was done.
 */
import { int64At, setInt64 } from '../records/batch.ts'
import { CorruptFileError } from './corrupt-file-error.ts'
import { PooledFile, type OpenFiles } from './open-files.ts'

const entrySize = 34

export interface AbortedTransaction {
  producerId: number
  firstOffset: number
  lastOffset: number
  lastStableOffset: number
}

export class TransactionIndex {
  readonly #file: PooledFile
  #entries: AbortedTransaction[] = []
  #written = 0

  constructor(files: OpenFiles, path: string) {
    this.#file = new PooledFile(files, path)
  }
  get path(): string {
    return this.#file.path
  }
  /** The directory has been renamed. */
  set path(path: string) {
    this.#file.path = path
  }
  async rename(target: string): Promise<void> {
    if (this.exists) await this.#file.rename(target)
    else this.#file.path = target
  }
  get entries(): readonly AbortedTransaction[] {
    return this.#entries
  }
  /** Whether there is a file. */
  get exists(): boolean {
    return this.#written > 0
  }
  /** Reads the file's content; throws `CorruptFileError` when it is no transaction index of a segment that begins at `baseOffset`. */
  load(bytes: Buffer, baseOffset: number): void {
    if (bytes.length % entrySize !== 0) throw new CorruptFileError(this.path, bytes.length - (bytes.length % entrySize), `${bytes.length % entrySize} bytes of an entry of ${entrySize}`)
    const entries: AbortedTransaction[] = []
    for (let at = 0; at < bytes.length; at += entrySize) {
      const version = bytes.readInt16BE(at)
      if (version !== 0) throw new CorruptFileError(this.path, at, `version ${version}; known is 0`)
      const entry = { producerId: int64At(bytes, at + 2), firstOffset: int64At(bytes, at + 10), lastOffset: int64At(bytes, at + 18), lastStableOffset: int64At(bytes, at + 26) }
      if (entry.lastOffset < baseOffset || entry.lastOffset < entry.firstOffset)
        throw new CorruptFileError(this.path, at, `a transaction from ${entry.firstOffset} to ${entry.lastOffset} in a segment from ${baseOffset}`)
      entries.push(entry)
    }
    this.#entries = entries
    this.#written = entries.length
  }
  add(entry: AbortedTransaction): void {
    this.#entries.push(entry)
  }
  write(): void {
    if (this.#written === this.#entries.length) return
    const bytes = Buffer.alloc((this.#entries.length - this.#written) * entrySize)
    this.#entries.slice(this.#written).forEach((entry, index) => {
      const at = index * entrySize
      setInt64(bytes, at + 2, entry.producerId)
      setInt64(bytes, at + 10, entry.firstOffset)
      setInt64(bytes, at + 18, entry.lastOffset)
      setInt64(bytes, at + 26, entry.lastStableOffset)
    })
    this.#file.create().writeSync([bytes], this.#written * entrySize)
    this.#written = this.#entries.length
  }
  /** Drops the transactions that end at or behind `offset`. */
  truncateTo(offset: number): void {
    const kept = this.#entries.filter((entry) => entry.lastOffset < offset)
    if (kept.length === this.#entries.length) return
    this.#entries = kept
    if (this.#written > kept.length) {
      this.#written = kept.length
      this.#file.create().truncateSync(kept.length * entrySize)
    }
  }
  reset(): void {
    this.truncateTo(-1)
  }
  async sync(): Promise<void> {
    this.write()
    if (this.#written > 0) await this.#file.with((file) => file.sync())
  }
  close(): void {
    this.#file.close()
  }
}
