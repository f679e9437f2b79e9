/**
 * A disk in memory whose power can be cut at any operation. What was not synced may then be gone, be there, or be there in
 * part: pieces of a page, in any order; names of new files and renames until their folder was synced.
 */
import { dirname } from 'node:path'
import type { Disk, DiskFile, FileFacts } from '../../../src/host/host.ts'

export class PowerCut extends Error {}

type Pending = { at: number; bytes: Buffer } | { size: number }
interface Inode {
  id: number
  content: Buffer
  durable: Buffer
  pending: Pending[]
}
/** How much of what was not synced survives. */
export type Survival = 'nothing' | 'everything' | 'aPrefix' | 'somePages'

const pageSize = 4096

export class CrashDisk implements Disk {
  #names = new Map<string, Inode>()
  #durableNames = new Map<string, Inode>()
  readonly #folders = new Set<string>(['/'])
  #ids = 0
  /** Operations so far that changed something or waited for the device. */
  operations = 0
  /** The operation at which the power goes. */
  cutAt = Infinity

  #operate(): void {
    if (++this.operations >= this.cutAt) throw new PowerCut('the power is cut')
  }
  /** The power comes back. `chance` gives numbers in [0, 1). */
  crash(survival: Survival, chance: () => number): void {
    const survivors = new Map(this.#durableNames)
    if (survival !== 'nothing') {
      for (const [path, inode] of this.#names) if (survival === 'everything' || chance() < 0.5) survivors.set(path, inode)
      for (const path of this.#durableNames.keys()) if (!this.#names.has(path) && (survival === 'everything' || chance() < 0.5)) survivors.delete(path)
    }
    this.#names = survivors
    this.#durableNames = new Map(survivors)
    for (const inode of new Set(survivors.values())) {
      inode.content = settle(inode, survival, chance)
      inode.durable = inode.content
      inode.pending = []
    }
    this.cutAt = Infinity
  }
  /** The content itself: tests damage it. */
  contentOf(path: string): Buffer {
    return this.#inode(path).content
  }
  replaceContent(path: string, content: Buffer): void {
    const inode = this.#inode(path)
    inode.content = inode.durable = content
  }
  /** A copy of its durable state. */
  fork(): CrashDisk {
    const fork = new CrashDisk()
    for (const folder of this.#folders) fork.#folders.add(folder)
    for (const [path, { id, content }] of this.#names) {
      const copy: Inode = { id, content, durable: content, pending: [] }
      fork.#names.set(path, copy)
      fork.#durableNames.set(path, copy)
    }
    return fork
  }

  #inode(path: string): Inode {
    const inode = this.#names.get(path)
    if (!inode) throw Object.assign(new Error(`ENOENT: ${path}`), { code: 'ENOENT', path })
    return inode
  }
  openSync(path: string, mode: 'read' | 'write' | 'create'): DiskFile {
    let inode = this.#names.get(path)
    if (!inode && mode === 'create') {
      this.#operate()
      inode = { id: ++this.#ids, content: Buffer.alloc(0), durable: Buffer.alloc(0), pending: [] }
      this.#names.set(path, inode)
    }
    return this.#file(path, inode ?? this.#inode(path))
  }
  open(path: string, mode: 'read' | 'write' | 'create'): Promise<DiskFile> {
    return attempt(() => this.openSync(path, mode))
  }
  #file(path: string, inode: Inode): DiskFile {
    const read = (into: Uint8Array, position: number): number => Math.max(0, inode.content.copy(into, 0, position))
    const write = (pieces: readonly Uint8Array[], position: number): void => {
      const bytes = Buffer.concat(pieces)
      // The write is under way when the power goes: it may have arrived in part.
      inode.content = written(inode.content, position, bytes)
      inode.pending.push({ at: position, bytes })
      this.#operate()
    }
    const truncate = (size: number): void => {
      this.#operate()
      inode.content = resized(inode.content, size)
      inode.pending.push({ size })
    }
    return {
      path,
      read: (into, position) => attempt(() => read(into, position)),
      readSync: read,
      write: (pieces, position) => attempt(() => write(pieces, position)),
      writeSync: write,
      sync: () =>
        attempt(() => {
          this.#operate()
          inode.durable = inode.content
          inode.pending = []
        }),
      truncate: (size) => attempt(() => truncate(size)),
      truncateSync: truncate,
      size: () => attempt(() => inode.content.length),
      sizeSync: () => inode.content.length,
      close: () => Promise.resolve(),
      closeSync: () => {},
    }
  }
  readFileSync(path: string): Buffer {
    return this.#inode(path).content
  }
  readFile(path: string): Promise<Buffer> {
    return attempt(() => this.readFileSync(path))
  }
  async replaceFile(path: string, content: Uint8Array | string, { temporarySuffix = '.tmp' }: { temporarySuffix?: string } = {}): Promise<void> {
    const file = this.openSync(`${path}${temporarySuffix}`, 'create')
    await file.write([Buffer.from(content)], 0)
    await file.sync()
    await this.rename(`${path}${temporarySuffix}`, path)
    await this.syncDirectory(dirname(path))
  }
  factsSync(path: string): FileFacts | undefined {
    if (this.#folders.has(path)) return { kind: 'directory', size: 0, modifiedMs: 0, id: path }
    const inode = this.#names.get(path)
    return inode && { kind: 'file', size: inode.content.length, modifiedMs: 0, id: String(inode.id) }
  }
  facts(path: string): Promise<FileFacts | undefined> {
    return attempt(() => this.factsSync(path))
  }
  list(folder: string): Promise<string[]> {
    return attempt(() => [...this.#names.keys()].filter((path) => dirname(path) === folder).map((path) => path.slice(folder.length + 1)).sort())
  }
  makeDirectory(path: string): Promise<void> {
    for (let folder = path; !this.#folders.has(folder); folder = dirname(folder)) this.#folders.add(folder)
    return Promise.resolve()
  }
  rename(from: string, to: string): Promise<void> {
    return attempt(() => {
      this.#operate()
      const inode = this.#inode(from)
      this.#names.delete(from)
      this.#names.set(to, inode)
    })
  }
  remove(path: string): Promise<void> {
    return attempt(() => {
      this.#operate()
      this.#names.delete(path)
    })
  }
  removeTree(): Promise<void> {
    return Promise.reject(new Error('not needed here'))
  }
  syncDirectory(folder: string): Promise<void> {
    return attempt(() => {
      this.#operate()
      for (const path of new Set([...this.#names.keys(), ...this.#durableNames.keys()])) {
        if (dirname(path) !== folder) continue
        const inode = this.#names.get(path)
        if (inode) this.#durableNames.set(path, inode)
        else this.#durableNames.delete(path)
      }
    })
  }
  setModified(): Promise<void> {
    return Promise.resolve()
  }
  space(): Promise<{ total: number; usable: number }> {
    return Promise.resolve({ total: 1e9, usable: 1e9 })
  }
  lock(): Promise<{ release(): Promise<void> }> {
    return Promise.resolve({ release: () => Promise.resolve() })
  }
}

async function attempt<T>(operation: () => T): Promise<T> {
  return operation()
}
function resized(content: Buffer, size: number): Buffer {
  const made = Buffer.alloc(size)
  content.copy(made, 0, 0, Math.min(size, content.length))
  return made
}
function written(content: Buffer, at: number, bytes: Buffer): Buffer {
  const made = resized(content, Math.max(content.length, at + bytes.length))
  bytes.copy(made, at)
  return made
}
function settle({ durable, content, pending }: Inode, survival: Survival, chance: () => number): Buffer {
  if (survival === 'everything') return content
  if (survival === 'nothing') return durable
  let made = durable
  if (survival === 'aPrefix') {
    const kept = Math.floor(chance() * (pending.length + 1))
    for (const [index, change] of pending.entries()) {
      if (index > kept) break
      if ('size' in change) made = resized(made, change.size)
      else made = written(made, change.at, index < kept ? change.bytes : change.bytes.subarray(0, Math.floor(chance() * change.bytes.length)))
    }
    return made
  }
  // Sizes are kept by a journal, in order; pages arrive as they like.
  for (const change of pending) {
    if ('size' in change) {
      made = resized(made, change.size)
      continue
    }
    const { at, bytes } = change
    made = resized(made, Math.max(made.length, at + bytes.length))
    for (let from = 0; from < bytes.length; ) {
      const end = Math.min(bytes.length, from + pageSize - ((at + from) % pageSize))
      if (chance() < 0.5) bytes.copy(made, at + from, from, end)
      from = end
    }
  }
  return made
}
