/** The producer snapshots of one log, each named by the offset it was taken at. */
import { deletedSuffix, fileName, suffix } from './names.ts'
import { type OpenFiles, PooledFile } from './open-files.ts'
import { encodeSnapshot } from './producer-snapshot.ts'
import type { ProducerState } from './producer-state.ts'

export class SnapshotFiles {
  readonly #files: OpenFiles
  readonly #written: (path: string) => void
  #offsets: number[]

  /** `offsets`: those on disk; `written` is told the path of each new one, which is not on the device yet. */
  constructor(files: OpenFiles, offsets: readonly number[], written: (path: string) => void) {
    this.#files = files
    this.#written = written
    this.#offsets = [...offsets].sort((a, b) => a - b)
  }
  get offsets(): readonly number[] {
    return this.#offsets
  }
  static #path(directory: string, offset: number): string {
    return `${directory}/${fileName(offset, suffix.snapshot)}`
  }

  /** At once, unless there is one of this offset. */
  write(directory: string, offset: number, producers: ProducerState): void {
    if (this.#offsets.includes(offset)) return
    const path = SnapshotFiles.#path(directory, offset)
    const snapshot = new PooledFile(this.#files, path)
    try {
      snapshot.createEmpty()
      snapshot.file.writeSync([encodeSnapshot(producers.toSnapshot())], 0)
    } finally {
      snapshot.close()
    }
    this.#offsets.push(offset)
    this.#written(path)
  }
  /** Renames that of a segment which goes; its new path, undefined where there is none. */
  async retire(directory: string, offset: number): Promise<string | undefined> {
    if (!this.#offsets.includes(offset)) return undefined
    this.#offsets = this.#offsets.filter((each) => each !== offset)
    const path = SnapshotFiles.#path(directory, offset)
    await this.#files.disk.rename(path, `${path}${deletedSuffix}`)
    return `${path}${deletedSuffix}`
  }
  async removeBehind(directory: string, offset: number): Promise<void> {
    for (const each of this.#offsets.filter((at) => at > offset)) await this.#files.disk.remove(SnapshotFiles.#path(directory, each))
    this.#offsets = this.#offsets.filter((at) => at <= offset)
  }
  /** Removes, soon, all but the newest and those at these base offsets: others have no segment to belong to. */
  keepOnly(directory: string, bases: ReadonlySet<number>): void {
    const newest = this.#offsets[this.#offsets.length - 1]
    const stray = this.#offsets.filter((offset) => offset !== newest && !bases.has(offset))
    this.#offsets = this.#offsets.filter((offset) => !stray.includes(offset))
    for (const offset of stray) this.#files.disk.remove(SnapshotFiles.#path(directory, offset)).catch(() => {})
  }
}
