/**
 * Watches: who wants to hear of which path, and how (reference §1.14). One manager for data (created, changed, deleted) and one
 * for children. The three modes are independent bits of one watch, as since 3.9.
 */
import { eventType } from '../protocol/op-codes.ts'
import type { Acl } from '../protocol/records.ts'
import { parentOf } from './paths.ts'

export const watchMode = { oneShot: 1, persistent: 2, recursive: 4 } as const

/** One connection, as watches see it. It decides itself whether it may see the znode (READ in `acl`). */
export interface Watcher {
  notify(type: number, path: string, zxid: bigint, acl: readonly Acl[]): void
}
interface Watch {
  readonly watcher: Watcher
  modes: number
}

/** Watches of one kind. A path mostly has one watcher: then there is no map for it. */
class WatchTable {
  readonly #byPath = new Map<string, Watch | Map<Watcher, Watch>>()
  readonly #byWatcher = new Map<Watcher, Set<string>>()
  /** Recursive watches: without any, a change looks at its own path alone. */
  #recursive = 0
  #size = 0

  get size(): number {
    return this.#size
  }
  get pathCount(): number {
    return this.#byPath.size
  }
  get watcherCount(): number {
    return this.#byWatcher.size
  }

  add(path: string, watcher: Watcher, mode: number): void {
    let watch = this.#find(path, watcher)
    if (!watch) {
      watch = { watcher, modes: 0 }
      const there = this.#byPath.get(path)
      if (there === undefined) this.#byPath.set(path, watch)
      else if (there instanceof Map) there.set(watcher, watch)
      else this.#byPath.set(path, new Map([[there.watcher, there], [watcher, watch]]))
      const paths = this.#byWatcher.get(watcher)
      if (paths) paths.add(path)
      else this.#byWatcher.set(watcher, new Set([path]))
      this.#size++
    }
    if (mode === watchMode.recursive && !(watch.modes & watchMode.recursive)) this.#recursive++
    watch.modes |= mode
  }
  has(path: string, watcher: Watcher, modes: number): boolean {
    const watch = this.#find(path, watcher)
    return watch !== undefined && (watch.modes & modes) !== 0
  }
  /** Takes these modes off; false where the watcher had none of them. */
  remove(path: string, watcher: Watcher, modes: number): boolean {
    const watch = this.#find(path, watcher)
    if (!watch || !(watch.modes & modes)) return false
    if (watch.modes & modes & watchMode.recursive) this.#recursive--
    watch.modes &= ~modes
    if (watch.modes === 0) this.#drop(path, watch)
    return true
  }
  removeWatcher(watcher: Watcher): void {
    const paths = this.#byWatcher.get(watcher)
    if (paths) for (const path of paths) this.remove(path, watcher, watchMode.oneShot | watchMode.persistent | watchMode.recursive)
  }
  /** Tells everybody concerned, once each; one-shot watches go. `except`: who has been told of the same change already. */
  trigger(type: number, path: string, zxid: bigint, acl: readonly Acl[], except?: ReadonlySet<Watcher>): Set<Watcher> | undefined {
    const exact = this.#byPath.get(path)
    if (exact === undefined && this.#recursive === 0) return undefined
    const told = new Set<Watcher>()
    if (exact instanceof Map) for (const watch of exact.values()) this.#fire(path, watch, type, told)
    else if (exact) this.#fire(path, exact, type, told)
    if (this.#recursive > 0 && type !== eventType.nodeChildrenChanged && path !== '/')
      for (let above = parentOf(path); ; above = parentOf(above)) {
        const watches = this.#byPath.get(above === '' ? '/' : above)
        if (watches instanceof Map) {
          for (const { watcher, modes } of watches.values()) if (modes & watchMode.recursive) told.add(watcher)
        } else if (watches && watches.modes & watchMode.recursive) told.add(watches.watcher)
        if (above === '') break
      }
    for (const watcher of told) if (!except?.has(watcher)) watcher.notify(type, path, zxid, acl)
    return told
  }
  #fire(path: string, watch: Watch, type: number, told: Set<Watcher>): void {
    // A recursive watch hears of created and deleted descendants instead of changed children.
    if (type !== eventType.nodeChildrenChanged || watch.modes & ~watchMode.recursive) told.add(watch.watcher)
    if (!(watch.modes & watchMode.oneShot)) return
    watch.modes &= ~watchMode.oneShot
    if (watch.modes === 0) this.#drop(path, watch)
  }

  byWatcher(): ReadonlyMap<Watcher, ReadonlySet<string>> {
    return this.#byWatcher
  }
  *byPath(): Iterable<[string, Watcher[]]> {
    for (const [path, there] of this.#byPath) yield [path, there instanceof Map ? [...there.keys()] : [there.watcher]]
  }

  #find(path: string, watcher: Watcher): Watch | undefined {
    const there = this.#byPath.get(path)
    if (there instanceof Map) return there.get(watcher)
    return there?.watcher === watcher ? there : undefined
  }
  #drop(path: string, watch: Watch): void {
    const there = this.#byPath.get(path)
    if (there instanceof Map) {
      there.delete(watch.watcher)
      if (there.size === 0) this.#byPath.delete(path)
    } else this.#byPath.delete(path)
    const paths = this.#byWatcher.get(watch.watcher)
    paths?.delete(path)
    if (paths?.size === 0) this.#byWatcher.delete(watch.watcher)
    this.#size--
  }
}

export class Watches {
  readonly data = new WatchTable()
  readonly children = new WatchTable()

  removeWatcher(watcher: Watcher): void {
    this.data.removeWatcher(watcher)
    this.children.removeWatcher(watcher)
  }
  /** Nobody waits for anything: whoever changes the tree need not say so. */
  get isEmpty(): boolean {
    return this.data.size === 0 && this.children.size === 0
  }
  created(path: string, zxid: bigint, acl: readonly Acl[], parentAcl: readonly Acl[]): void {
    this.data.trigger(eventType.nodeCreated, path, zxid, acl)
    this.#childrenChanged(path, zxid, parentAcl)
  }
  changed(path: string, zxid: bigint, acl: readonly Acl[]): void {
    this.data.trigger(eventType.nodeDataChanged, path, zxid, acl)
  }
  deleted(path: string, zxid: bigint, acl: readonly Acl[], parentAcl: readonly Acl[]): void {
    const told = this.data.trigger(eventType.nodeDeleted, path, zxid, acl)
    this.children.trigger(eventType.nodeDeleted, path, zxid, acl, told)
    this.#childrenChanged(path, zxid, parentAcl)
  }
  #childrenChanged(path: string, zxid: bigint, parentAcl: readonly Acl[]): void {
    this.children.trigger(eventType.nodeChildrenChanged, parentOf(path) || '/', zxid, parentAcl)
  }
}
