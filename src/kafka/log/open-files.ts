/** Files that are opened when needed and closed when too many are: a broker has more files than a process may hold open. */
import type { Disk, DiskFile } from '../../host/host.ts'

export class OpenFiles {
  readonly disk: Disk
  readonly #countMax: number
  readonly #open = new Set<PooledFile>()
  #clock = 0

  constructor(disk: Disk, countMax = 900) {
    this.disk = disk
    this.#countMax = countMax
  }
  get count(): number {
    return this.#open.size
  }
  tick(): number {
    return ++this.#clock
  }
  opened(file: PooledFile): void {
    this.#open.add(file)
    if (this.#open.size <= this.#countMax) return
    let oldest: PooledFile | undefined
    for (const candidate of this.#open) if (candidate !== file && !candidate.pinned && (!oldest || candidate.usedAt < oldest.usedAt)) oldest = candidate
    oldest?.close()
  }
  closed(file: PooledFile): void {
    this.#open.delete(file)
  }
  /** Opens a file; when the process may not open another, some that were not used for longest are closed first. */
  openSync(path: string, mode: 'write' | 'create'): DiskFile {
    try {
      return this.disk.openSync(path, mode)
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if ((code !== 'EMFILE' && code !== 'ENFILE') || this.#open.size === 0) throw error
      const idle = [...this.#open].filter(({ pinned }) => !pinned).sort((a, b) => a.usedAt - b.usedAt)
      for (const file of idle.slice(0, Math.ceil(idle.length / 2))) file.close()
      return this.disk.openSync(path, mode)
    }
  }
}

/** One path with at most one descriptor. Renaming the file under an open descriptor is harmless; the new name is told by `path`. */
export class PooledFile {
  path: string
  usedAt = 0
  readonly #pool: OpenFiles
  #file: DiskFile | undefined
  #pins = 0

  constructor(pool: OpenFiles, path: string) {
    this.#pool = pool
    this.path = path
  }
  get pinned(): boolean {
    return this.#pins > 0
  }
  /** The open file; for synchronous use within this turn. */
  get file(): DiskFile {
    this.usedAt = this.#pool.tick()
    if (this.#file) return this.#file
    this.#file = this.#pool.openSync(this.path, 'write')
    this.#pool.opened(this)
    return this.#file
  }
  create(): DiskFile {
    if (this.#file) return this.#file
    this.#file = this.#pool.openSync(this.path, 'create')
    this.usedAt = this.#pool.tick()
    this.#pool.opened(this)
    return this.#file
  }
  /**
   * The same without what an older file of the name has left. An empty one is not cut: ext4 begins to write out a file that was cut to
   * nothing when it is closed, all of it and while the closing waits.
   */
  createEmpty(): DiskFile {
    const file = this.create()
    if (file.sizeSync() > 0) file.truncateSync(0)
    return file
  }
  /** Keeps the file open until the work is done. */
  async with<T>(work: (file: DiskFile) => Promise<T>): Promise<T> {
    const file = this.file
    this.#pins++
    try {
      return await work(file)
    } finally {
      this.#pins--
      // Somebody wanted it closed meanwhile.
      if (this.#closing && this.#pins === 0) this.close()
    }
  }
  #closing = false
  /** Renames the file. It is held open meanwhile, so that readers never look for it under a name it no longer has. */
  async rename(target: string): Promise<void> {
    await this.with(async () => {
      await this.#pool.disk.rename(this.path, target)
      this.path = target
    })
  }
  close(): void {
    if (this.#pins > 0) {
      this.#closing = true
      return
    }
    this.#closing = false
    this.#pool.closed(this)
    this.#file?.closeSync()
    this.#file = undefined
  }
}
