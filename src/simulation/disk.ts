/**
 * A disk in memory that can lose power. What was not synced may then be there, in part, or not at all, in any combination;
 * names follow the order of their changes, as a journal keeps them. It counts operations, fails on demand, and tells nothing of itself to the code under test.
 */
import type { Disk, DiskFile, FileFacts, Lock } from '../host/host.ts'
import { InUseError } from '../host/host.ts'
import { seededRandom, type SeededRandom } from './random.ts'

/** A write or truncation that no sync has confirmed. */
type Change = { kind: 'write'; position: number; bytes: Buffer } | { kind: 'truncate'; size: number }

class Inode {
  readonly id: number
  content: Buffer
  size: number
  durable: Buffer
  unsynced: Change[] = []
  modifiedMs = 0
  constructor(id: number, durable: Buffer) {
    this.id = id
    this.durable = durable
    this.content = Buffer.from(durable)
    this.size = durable.length
  }
  apply(change: Change): void {
    if (change.kind === 'truncate') {
      this.#reserve(change.size)
      if (change.size < this.size) this.content.fill(0, change.size, this.size)
      this.size = change.size
      return
    }
    const end = change.position + change.bytes.length
    this.#reserve(end)
    this.content.set(change.bytes, change.position)
    if (end > this.size) this.size = end
  }
  #reserve(size: number): void {
    if (size <= this.content.length) return
    const grown = Buffer.alloc(Math.max(size, this.content.length * 2))
    this.content.copy(grown, 0, 0, this.size)
    this.content = grown
  }
  get bytes(): Buffer {
    return this.content.subarray(0, this.size)
  }
  /** The first `count` changes are on the device from now on; what came after them is as unsure as before. */
  sync(count = this.unsynced.length): void {
    if (count === this.unsynced.length) this.durable = Buffer.from(this.bytes)
    else {
      const twin = new Inode(0, this.durable)
      for (const change of this.unsynced.slice(0, count)) twin.apply(change)
      this.durable = Buffer.from(twin.bytes)
    }
    this.unsynced.splice(0, count)
  }
}

/** A change of names: `to` is what a path means afterwards, undefined for nothing. */
interface Naming {
  directories: readonly string[]
  /** All or none of them are on the device. */
  changes: readonly NameChange[]
}
interface NameChange {
  path: string
  to: Inode | 'directory' | undefined
}

/** Thrown by every operation after the power is gone. */
export class PowerCutError extends Error {
  readonly code = 'EIO'
  constructor() {
    super('the power is gone')
  }
}

export interface Operation {
  kind: 'open' | 'create' | 'read' | 'write' | 'sync' | 'truncate' | 'rename' | 'remove' | 'makeDirectory' | 'syncDirectory' | 'list'
  path: string
}

export class SimulatedDisk implements Disk {
  /** Operations that change something, so far. */
  changes = 0
  /** The power goes before the change with this number. */
  powerCutAt = Infinity
  /** An error code (`ENOSPC`, `EIO`, `EROFS`) that the operation shall fail with. */
  failure: (operation: Operation) => string | undefined = () => undefined
  /** ms, for modification times. */
  now: () => number = () => 0
  #names = new Map<string, Inode | 'directory'>([['/', 'directory']])
  #durableNames = new Map<string, Inode | 'directory'>([['/', 'directory']])
  #namings: Naming[] = []
  readonly #locks = new Set<string>()
  #nextId = 1
  #isOff = false

  get isOff(): boolean {
    return this.#isOff
  }
  /** Paths of all files. */
  files(): string[] {
    return [...this.#names].flatMap(([path, entry]) => (entry === 'directory' ? [] : [path])).sort()
  }
  /** For tests: a file's bytes, to be looked at. */
  peek(path: string): Buffer {
    return this.#file(path).bytes
  }
  /** For tests: puts a durable file there. */
  plant(path: string, bytes: Uint8Array): void {
    for (let directory = parentOf(path); ; directory = parentOf(directory)) {
      this.#names.set(directory, 'directory')
      this.#durableNames.set(directory, 'directory')
      if (directory === '/') break
    }
    const inode = new Inode(this.#nextId++, Buffer.from(bytes))
    this.#names.set(path, inode)
    this.#durableNames.set(path, inode)
  }

  /** The process is gone, and its locks with it; what it wrote is where it was, synced or not. */
  dropLocks(): void {
    this.#locks.clear()
  }
  /** Everything as the processes saw it, locks gone: after a `kill -9`, and all of it on the device. */
  afterKill(): SimulatedDisk {
    return this.#copyOf(this.#names, (inode) => Buffer.from(inode.bytes))
  }
  /** What lies on the device when the power is back. With `keep: 'synced'` nothing unsynced survived, with `'some'` chance decides. */
  afterPowerCut({ seed, keep }: { seed: number; keep: 'synced' | 'some' }): SimulatedDisk {
    const random = seededRandom(seed)
    const names = new Map(this.#durableNames)
    // A journal keeps the order of names: a beginning of the unsynced changes is there.
    const kept = keep === 'synced' ? 0 : random.below(this.#namings.length + 1)
    for (const { changes } of this.#namings.slice(0, kept)) applyTo(names, changes)
    for (const path of names.keys()) if (path !== '/' && !hasParents(path, names)) names.delete(path)
    return this.#copyOf(names, (inode) => (keep === 'synced' ? Buffer.from(inode.durable) : tornContent(inode, random)))
  }
  #copyOf(names: ReadonlyMap<string, Inode | 'directory'>, contentOf: (inode: Inode) => Buffer): SimulatedDisk {
    const copy = new SimulatedDisk()
    copy.now = this.now
    for (const [path, entry] of names) {
      const twin = entry === 'directory' ? entry : new Inode(copy.#nextId++, contentOf(entry))
      if (twin !== 'directory' && entry !== 'directory') twin.modifiedMs = entry.modifiedMs
      copy.#names.set(path, twin)
      copy.#durableNames.set(path, twin)
    }
    return copy
  }

  #step(operation: Operation, changesSomething: boolean): void {
    if (changesSomething && !this.#isOff && this.changes++ >= this.powerCutAt) this.#isOff = true
    if (this.#isOff) throw new PowerCutError()
    const code = this.failure(operation)
    if (code !== undefined) throw Object.assign(new Error(`${code}: ${operation.kind} '${operation.path}'`), { code })
  }
  #file(path: string): Inode {
    const entry = this.#names.get(path)
    if (entry === undefined) throw missing(path)
    if (entry === 'directory') throw Object.assign(new Error(`EISDIR: '${path}'`), { code: 'EISDIR' })
    return entry
  }
  #name(path: string, to: Inode | 'directory' | undefined): void {
    this.#nameAll([{ path, to }], [parentOf(path)])
  }
  #nameAll(changes: readonly NameChange[], directories: readonly string[]): void {
    applyTo(this.#names, changes)
    this.#namings.push({ directories, changes })
  }

  openSync(given: string, mode: 'read' | 'write' | 'create'): SimulatedFile {
    const path = normal(given)
    let inode = this.#names.get(path)
    const creates = inode === undefined && mode === 'create'
    this.#step({ kind: creates ? 'create' : 'open', path }, creates)
    if (creates) {
      if (this.#names.get(parentOf(path)) !== 'directory') throw missing(path)
      inode = new Inode(this.#nextId++, Buffer.alloc(0))
      inode.modifiedMs = this.now()
      this.#name(path, inode)
    }
    return new SimulatedFile(path, this.#file(path), this, (kind, changes) => this.#step({ kind, path }, changes))
  }
  async open(path: string, mode: 'read' | 'write' | 'create'): Promise<SimulatedFile> {
    return this.openSync(path, mode)
  }
  readFileSync(given: string): Buffer {
    const path = normal(given)
    this.#step({ kind: 'read', path }, false)
    return Buffer.from(this.#file(path).bytes)
  }
  async readFile(path: string): Promise<Buffer> {
    return this.readFileSync(path)
  }
  async replaceFile(path: string, content: Uint8Array | string, { durable = true, temporarySuffix = '.tmp' }: { mode?: number; durable?: boolean; temporarySuffix?: string } = {}): Promise<void> {
    const file = this.openSync(`${path}${temporarySuffix}`, 'create')
    file.truncateSync(0)
    file.writeSync([Buffer.from(content)], 0)
    if (durable) await file.sync()
    file.closeSync()
    await this.rename(`${path}${temporarySuffix}`, path)
    if (durable) await this.syncDirectory(parentOf(normal(path)))
  }
  factsSync(given: string): FileFacts | undefined {
    const entry = this.#names.get(normal(given))
    if (this.#isOff) throw new PowerCutError()
    if (entry === undefined) return undefined
    if (entry === 'directory') return { kind: 'directory', size: 0, modifiedMs: 0, id: normal(given) }
    return { kind: 'file', size: entry.size, modifiedMs: entry.modifiedMs, id: String(entry.id) }
  }
  async facts(path: string): Promise<FileFacts | undefined> {
    return this.factsSync(path)
  }
  async list(given: string): Promise<string[]> {
    const directory = normal(given)
    this.#step({ kind: 'list', path: directory }, false)
    if (this.#names.get(directory) !== 'directory') throw missing(directory)
    const names: string[] = []
    for (const path of this.#names.keys()) if (path !== directory && parentOf(path) === directory) names.push(path.slice(directory === '/' ? 1 : directory.length + 1))
    return names.sort()
  }
  async makeDirectory(given: string): Promise<void> {
    const path = normal(given)
    const existing = this.#names.get(path)
    if (existing === 'directory') return
    if (existing) throw Object.assign(new Error(`EEXIST: file already exists, mkdir '${path}'`), { code: 'EEXIST' })
    if (path !== '/') await this.makeDirectory(parentOf(path))
    this.#step({ kind: 'makeDirectory', path }, true)
    this.#name(path, 'directory')
  }
  async rename(from: string, to: string): Promise<void> {
    this.renameSync(from, to)
  }
  renameSync(givenFrom: string, givenTo: string): void {
    const from = normal(givenFrom)
    const to = normal(givenTo)
    this.#step({ kind: 'rename', path: from }, true)
    const entry = this.#names.get(from)
    if (entry === undefined) throw missing(from)
    // A directory takes what is in it along. A journal has the whole of a rename, or nothing.
    const inside = entry === 'directory' ? [...this.#names].filter(([path]) => path.startsWith(`${from}/`)) : []
    const gone = [from, ...inside.map(([path]) => path)].map((path) => ({ path, to: undefined }))
    const come = inside.map(([path, inode]) => ({ path: `${to}${path.slice(from.length)}`, to: inode }))
    this.#nameAll([...gone, { path: to, to: entry }, ...come], [parentOf(from), parentOf(to)])
  }
  async remove(given: string): Promise<void> {
    const path = normal(given)
    this.#step({ kind: 'remove', path }, true)
    if (this.#names.has(path)) this.#name(path, undefined)
  }
  async removeTree(given: string): Promise<void> {
    const path = normal(given)
    this.#step({ kind: 'remove', path }, true)
    for (const inside of this.#names.keys()) if (inside === path || inside.startsWith(`${path}/`)) this.#name(inside, undefined)
  }
  async syncDirectory(given: string): Promise<void> {
    const directory = normal(given)
    this.#step({ kind: 'syncDirectory', path: directory }, true)
    const last = this.#namings.findLastIndex(({ directories }) => directories.includes(directory))
    // One journal: what was named before is on the device with it.
    for (const { changes } of this.#namings.splice(0, last + 1)) applyTo(this.#durableNames, changes)
  }
  async setModified(given: string, ms: number): Promise<void> {
    this.#file(normal(given)).modifiedMs = ms
  }
  async space(): Promise<{ total: number; usable: number }> {
    return { total: 2 ** 40, usable: 2 ** 39 }
  }
  async lock(given: string): Promise<Lock> {
    const path = normal(given)
    if (this.#locks.has(path)) throw new InUseError(`${path} is locked by another process. Only one process may use this folder; stop that one or choose another folder`)
    if (!this.#names.has(path)) this.openSync(path, 'create')
    this.#locks.add(path)
    return {
      release: async () => {
        this.#locks.delete(path)
      },
    }
  }
}

export class SimulatedFile implements DiskFile {
  readonly path: string
  readonly #inode: Inode
  readonly #disk: SimulatedDisk
  readonly #step: (kind: Operation['kind'], changes: boolean) => void
  #isOpen = true
  constructor(path: string, inode: Inode, disk: SimulatedDisk, step: (kind: Operation['kind'], changes: boolean) => void) {
    this.path = path
    this.#inode = inode
    this.#disk = disk
    this.#step = step
  }
  #check(kind: Operation['kind'], changes: boolean): void {
    if (!this.#isOpen) throw new Error(`${this.path} is closed`)
    this.#step(kind, changes)
  }
  readSync(into: Uint8Array, position: number): number {
    this.#check('read', false)
    const part = this.#inode.bytes.subarray(position, position + into.length)
    into.set(part)
    return part.length
  }
  async read(into: Uint8Array, position: number): Promise<number> {
    return this.readSync(into, position)
  }
  writeSync(pieces: readonly Uint8Array[], position: number): void {
    const bytes = Buffer.concat(pieces)
    const wasOff = this.#disk.isOff
    try {
      this.#check('write', true)
    } catch (error) {
      // The power may go in the middle of a write; a full disk takes a part of it.
      if (this.#isOpen && !wasOff) this.#change({ kind: 'write', position, bytes: bytes.subarray(0, Math.floor(bytes.length / 2)) })
      throw error
    }
    this.#change({ kind: 'write', position, bytes })
  }
  async write(pieces: readonly Uint8Array[], position: number): Promise<void> {
    this.writeSync(pieces, position)
  }
  truncateSync(size: number): void {
    this.#check('truncate', true)
    this.#change({ kind: 'truncate', size })
  }
  async truncate(size: number): Promise<void> {
    this.truncateSync(size)
  }
  #change(change: Change): void {
    this.#inode.unsynced.push(change)
    this.#inode.apply(change)
    this.#inode.modifiedMs = this.#disk.now()
  }
  async sync(): Promise<void> {
    this.beginSync()()
  }
  /** A sync that takes time: what is written between this call and the one of its result is not covered by it. */
  beginSync(): () => void {
    this.#check('sync', true)
    const { unsynced } = this.#inode
    const inode = this.#inode
    const last = unsynced[unsynced.length - 1]
    return () => {
      if (this.#disk.isOff) throw new PowerCutError()
      // Another sync may have covered a part meanwhile.
      inode.sync(last === undefined ? 0 : inode.unsynced.indexOf(last) + 1)
    }
  }
  async size(): Promise<number> {
    return this.#inode.size
  }
  sizeSync(): number {
    return this.#inode.size
  }
  async close(): Promise<void> {
    this.#isOpen = false
  }
  closeSync(): void {
    this.#isOpen = false
  }
}

/** Any of the unsynced changes may have reached the device, the last of them in part. */
function tornContent(inode: Inode, random: SeededRandom): Buffer {
  const twin = new Inode(0, Buffer.from(inode.durable))
  inode.unsynced.forEach((change, index) => {
    if (random.chance(0.5)) return
    const isLast = index === inode.unsynced.length - 1
    if (change.kind === 'write' && isLast && random.chance(0.5)) twin.apply({ ...change, bytes: change.bytes.subarray(0, random.below(change.bytes.length + 1)) })
    else twin.apply(change)
  })
  return Buffer.from(twin.bytes)
}
const normal = (path: string): string => (path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path.startsWith('/') ? path : `/${path}`)
const parentOf = (path: string): string => path.slice(0, path.lastIndexOf('/')) || '/'
function hasParents(path: string, names: ReadonlyMap<string, unknown>): boolean {
  for (let directory = parentOf(path); directory !== '/'; directory = parentOf(directory)) if (!names.has(directory)) return false
  return true
}
const missing = (path: string): Error => Object.assign(new Error(`ENOENT: no such file or directory, '${path}'`), { code: 'ENOENT' })
function applyTo(names: Map<string, Inode | 'directory'>, changes: readonly NameChange[]): void {
  for (const { path, to } of changes) {
    if (to === undefined) names.delete(path)
    else names.set(path, to)
  }
}
