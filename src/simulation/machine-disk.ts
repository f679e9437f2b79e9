/** A machine's disk as its process uses it: every operation takes time, a sync the most, and nothing answers a dead process. */
import { dirname } from 'node:path'
import type { Disk, DiskFile, FileFacts, Lock } from '../host/host.ts'
import { PowerCutError, type SimulatedDisk, type SimulatedFile } from './disk.ts'
import type { Owner, World } from './world.ts'

export interface DiskSpeed {
  /** A sync takes up to this long, ms. */
  syncMsMax: number
}

export class MachineDisk implements Disk {
  readonly #world: World
  readonly #owner: Owner
  readonly #disk: SimulatedDisk
  readonly #speed: DiskSpeed

  constructor(world: World, owner: Owner, disk: SimulatedDisk, speed: DiskSpeed) {
    this.#world = world
    this.#owner = owner
    this.#disk = disk
    this.#speed = speed
  }

  get isDead(): boolean {
    return !this.#owner.isAlive
  }
  alive(): SimulatedDisk {
    if (!this.#owner.isAlive) throw new PowerCutError()
    return this.#disk
  }
  /** Resolves when the operation's time is over; never, when the process has died meanwhile. */
  pass(): Promise<void> {
    return this.#world.sleep(this.#world.between(0.02, 0.2), this.#owner)
  }
  passSync(): Promise<void> {
    return this.#world.sleep(this.#world.between(0.1, this.#speed.syncMsMax), this.#owner)
  }

  openSync(path: string, mode: 'read' | 'write' | 'create'): DiskFile {
    return new MachineFile(this, this.alive().openSync(path, mode))
  }
  async open(path: string, mode: 'read' | 'write' | 'create'): Promise<DiskFile> {
    await this.pass()
    return this.openSync(path, mode)
  }
  readFileSync(path: string): Buffer {
    return this.alive().readFileSync(path)
  }
  async readFile(path: string): Promise<Buffer> {
    await this.pass()
    return this.readFileSync(path)
  }
  async replaceFile(path: string, content: Uint8Array | string, { durable = true, temporarySuffix = '.tmp' }: { mode?: number; durable?: boolean; temporarySuffix?: string } = {}): Promise<void> {
    const file = await this.open(`${path}${temporarySuffix}`, 'create')
    try {
      await file.truncate(0)
      await file.write([Buffer.from(content)], 0)
      if (durable) await file.sync()
    } finally {
      await file.close()
    }
    await this.rename(`${path}${temporarySuffix}`, path)
    if (durable) await this.syncDirectory(dirname(path))
  }
  factsSync(path: string): FileFacts | undefined {
    return this.alive().factsSync(path)
  }
  async facts(path: string): Promise<FileFacts | undefined> {
    await this.pass()
    return this.factsSync(path)
  }
  async list(directory: string): Promise<string[]> {
    await this.pass()
    return this.alive().list(directory)
  }
  async makeDirectory(path: string): Promise<void> {
    await this.pass()
    return this.alive().makeDirectory(path)
  }
  renameSync(from: string, to: string): void {
    this.alive().renameSync(from, to)
  }
  async rename(from: string, to: string): Promise<void> {
    await this.pass()
    return this.alive().rename(from, to)
  }
  async remove(path: string): Promise<void> {
    await this.pass()
    return this.alive().remove(path)
  }
  async removeTree(path: string): Promise<void> {
    await this.pass()
    return this.alive().removeTree(path)
  }
  async syncDirectory(path: string): Promise<void> {
    await this.passSync()
    return this.alive().syncDirectory(path)
  }
  async setModified(path: string, ms: number): Promise<void> {
    await this.pass()
    return this.alive().setModified(path, ms)
  }
  async space(): Promise<{ total: number; usable: number }> {
    await this.pass()
    return this.alive().space()
  }
  async lock(path: string): Promise<Lock> {
    await this.pass()
    const lock = await this.alive().lock(path)
    return { release: async () => (this.isDead ? undefined : lock.release()) }
  }
}

class MachineFile implements DiskFile {
  readonly #disk: MachineDisk
  readonly #file: SimulatedFile
  constructor(disk: MachineDisk, file: SimulatedFile) {
    this.#disk = disk
    this.#file = file
  }
  get path(): string {
    return this.#file.path
  }
  get #alive(): SimulatedFile {
    this.#disk.alive()
    return this.#file
  }
  readSync(into: Uint8Array, position: number): number {
    return this.#alive.readSync(into, position)
  }
  async read(into: Uint8Array, position: number): Promise<number> {
    await this.#disk.pass()
    return this.#alive.readSync(into, position)
  }
  writeSync(pieces: readonly Uint8Array[], position: number): void {
    this.#alive.writeSync(pieces, position)
  }
  async write(pieces: readonly Uint8Array[], position: number): Promise<void> {
    await this.#disk.pass()
    this.#alive.writeSync(pieces, position)
  }
  async sync(): Promise<void> {
    const finish = this.#alive.beginSync()
    await this.#disk.passSync()
    this.#disk.alive()
    finish()
  }
  truncateSync(size: number): void {
    this.#alive.truncateSync(size)
  }
  async truncate(size: number): Promise<void> {
    await this.#disk.pass()
    this.#alive.truncateSync(size)
  }
  sizeSync(): number {
    return this.#alive.sizeSync()
  }
  async size(): Promise<number> {
    await this.#disk.pass()
    return this.#alive.sizeSync()
  }
  closeSync(): void {
    this.#file.closeSync()
  }
  async close(): Promise<void> {
    await this.#disk.pass()
    this.#file.closeSync()
  }
}
