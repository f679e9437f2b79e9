/**
 * A file of fixed-size entries in ascending order, as both indexes are. The active segment's file is preallocated and zero
 * behind its entries; it is trimmed when the segment is closed. New entries wait in memory until the data they speak of is written.
 */
import { CorruptFileError } from './corrupt-file-error.ts'
import { PooledFile, type OpenFiles } from './open-files.ts'

const pendingEntries = 64

export class IndexFile {
  readonly entrySize: number
  readonly #file: PooledFile
  #written: number
  /** There only while the segment takes appends. */
  #pending: Buffer | undefined
  #pendingCount = 0
  #countMax: number
  readonly #scratch: Buffer

  /** `entries`: how many valid ones the file has. */
  constructor(files: OpenFiles, path: string, { entrySize, entries, sizeMax }: { entrySize: number; entries: number; sizeMax: number }) {
    this.entrySize = entrySize
    this.#file = new PooledFile(files, path)
    this.#written = entries
    this.#countMax = Math.floor(sizeMax / entrySize)
    this.#scratch = Buffer.allocUnsafe(entrySize)
  }
  get path(): string {
    return this.#file.path
  }
  /** The directory has been renamed. */
  set path(path: string) {
    this.#file.path = path
  }
  rename(target: string): Promise<void> {
    return this.#file.rename(target)
  }
  get count(): number {
    return this.#written + this.#pendingCount
  }
  get countMax(): number {
    return this.#countMax
  }
  get isFull(): boolean {
    return this.count >= this.#countMax
  }
  /** Creates the file or makes an existing one as long as it may become. */
  preallocate(sizeMax: number): void {
    this.#countMax = Math.floor(sizeMax / this.entrySize)
    this.#file.create().truncateSync(Math.max(this.#countMax, this.count) * this.entrySize)
  }
  /** Creates the file, without entries. */
  empty(): void {
    this.keep(0)
    this.#file.createEmpty()
  }
  /** A buffer of one entry to fill; it counts as appended. */
  append(): { buffer: Buffer; at: number } {
    if (this.#pendingCount === pendingEntries) this.write()
    this.#pending ??= Buffer.allocUnsafe(this.entrySize * pendingEntries)
    return { buffer: this.#pending, at: this.#pendingCount++ * this.entrySize }
  }
  /** Puts waiting entries into the file. */
  write(): void {
    if (this.#pendingCount === 0 || !this.#pending) return
    this.#file.file.writeSync([this.#pending.subarray(0, this.#pendingCount * this.entrySize)], this.#written * this.entrySize)
    this.#written += this.#pendingCount
    this.#pendingCount = 0
  }
  /** Entry `index`, in a buffer that is valid until the next call. */
  entry(index: number): { buffer: Buffer; at: number } {
    if (index >= this.#written && this.#pending) return { buffer: this.#pending, at: (index - this.#written) * this.entrySize }
    const read = this.#file.file.readSync(this.#scratch, index * this.entrySize)
    if (read < this.entrySize) throw new CorruptFileError(this.path, index * this.entrySize, `the file ends within entry ${index} of ${this.#written}`)
    return { buffer: this.#scratch, at: 0 }
  }
  /** Index of the last entry for which `isAtMost` holds, −1 when for none. Entries ascend. */
  searchLast(isAtMost: (buffer: Buffer, at: number) => boolean): number {
    let low = -1
    let high = this.count
    while (high - low > 1) {
      const middle = (low + high) >> 1
      const { buffer, at } = this.entry(middle)
      if (isAtMost(buffer, at)) low = middle
      else high = middle
    }
    return low
  }
  /** Forgets all entries but the first `count`. */
  keep(count: number): void {
    this.write()
    this.#written = Math.min(this.#written, count)
  }
  /** Zeroes what lies behind the entries and leaves the file at full length (after `keep` in an active segment). */
  refill(): void {
    const file = this.#file.create()
    file.truncateSync(this.#written * this.entrySize)
    file.truncateSync(this.#countMax * this.entrySize)
  }
  /** Cuts the file to its entries. */
  trim(): void {
    this.write()
    this.#file.create().truncateSync(this.#written * this.entrySize)
    this.#pending = undefined
  }
  async sync(): Promise<void> {
    this.write()
    await this.#file.with((file) => file.sync())
  }
  close(): void {
    this.#file.close()
  }
}
