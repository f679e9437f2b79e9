/** The watches this client has set, by kind and path, so that they can be delivered once and set again after a reconnect. Pure. */

export const eventTypes = {
  none: -1, created: 1, deleted: 2, dataChanged: 3, childrenChanged: 4, dataWatchRemoved: 5, childWatchRemoved: 6, persistentWatchRemoved: 7,
} as const
export type EventType = Exclude<keyof typeof eventTypes, 'none'>
const eventNames = new Map<number, EventType>(
  Object.entries(eventTypes).filter(([name]) => name !== 'none').map(([name, code]) => [code, name as EventType]),
)
export const eventTypeOf = (code: number): EventType | undefined => eventNames.get(code)

export interface WatchEvent {
  readonly type: EventType
  /** Without the chroot. */
  readonly path: string
}
export type Watcher = (event: WatchEvent) => void

export type WatchKind = 'data' | 'exists' | 'child' | 'persistent' | 'persistentRecursive'
export const watchKinds = ['data', 'exists', 'child', 'persistent', 'persistentRecursive'] as const satisfies WatchKind[]
/** What removeWatches names, and its number on the wire. */
export const removalTypes = { children: 1, data: 2, any: 3, persistent: 4, persistentRecursive: 5 } as const
export type RemovalType = keyof typeof removalTypes

const removedKinds: Record<RemovalType, readonly WatchKind[]> = {
  children: ['child'],
  data: ['data', 'exists'],
  persistent: ['persistent'],
  persistentRecursive: ['persistentRecursive'],
  any: watchKinds,
}
const removalEvents: Record<WatchKind, EventType> = {
  data: 'dataWatchRemoved',
  exists: 'dataWatchRemoved',
  child: 'childWatchRemoved',
  persistent: 'persistentWatchRemoved',
  persistentRecursive: 'persistentWatchRemoved',
}

/** Bytes of paths in one setWatches request: Apache's client splits there, so that no server refuses the frame. */
const pathBytesMax = 128 * 1024

export type WatchBatch = Record<WatchKind, string[]>

export class WatchRegistry {
  readonly #paths: Record<WatchKind, Map<string, Set<Watcher>>> = {
    data: new Map(), exists: new Map(), child: new Map(), persistent: new Map(), persistentRecursive: new Map(),
  }

  get size(): number {
    return watchKinds.reduce((sum, kind) => sum + this.#paths[kind].size, 0)
  }
  add(kind: WatchKind, path: string, watcher: Watcher): void {
    const watchers = this.#paths[kind].get(path)
    if (watchers) watchers.add(watcher)
    else this.#paths[kind].set(path, new Set([watcher]))
  }
  has(removal: RemovalType, path: string, watcher?: Watcher): boolean {
    return removedKinds[removal].some((kind) => {
      const watchers = this.#paths[kind].get(path)
      return watchers !== undefined && (watcher === undefined || watchers.has(watcher))
    })
  }
  /** Whether watchers of the kind would remain on the path without this one: then the server must keep its watch. */
  sharedWithOthers(removal: RemovalType, path: string, watcher: Watcher): boolean {
    return removedKinds[removal].some((kind) => {
      const watchers = this.#paths[kind].get(path)
      return watchers !== undefined && watchers.size > (watchers.has(watcher) ? 1 : 0)
    })
  }
  /** Forgets watches and returns whom to tell what. */
  remove(removal: RemovalType, path: string, watcher?: Watcher): [Watcher, EventType][] {
    const told: [Watcher, EventType][] = []
    for (const kind of removedKinds[removal]) {
      const watchers = this.#paths[kind].get(path)
      if (!watchers) continue
      for (const each of watcher ? (watchers.has(watcher) ? [watcher] : []) : [...watchers]) {
        watchers.delete(each)
        told.push([each, removalEvents[kind]])
      }
      if (watchers.size === 0) this.#paths[kind].delete(path)
    }
    return told
  }

  /** Who hears of an event; one-shot watches that fire are forgotten. A watcher hears once, whatever it is registered for. */
  fire(type: EventType, path: string): Watcher[] {
    const heard = new Set<Watcher>()
    const once = (kind: WatchKind): void => {
      for (const watcher of this.#paths[kind].get(path) ?? []) heard.add(watcher)
      this.#paths[kind].delete(path)
    }
    if (type !== 'childrenChanged') {
      once('data')
      once('exists')
    }
    if (type === 'childrenChanged' || type === 'deleted') once('child')
    for (const watcher of this.#paths.persistent.get(path) ?? []) heard.add(watcher)
    // A recursive watch is told of created, deleted and changed nodes below it, never of children lists.
    if (type !== 'childrenChanged' && this.#paths.persistentRecursive.size > 0) {
      for (const above of withAncestors(path)) for (const watcher of this.#paths.persistentRecursive.get(above) ?? []) heard.add(watcher)
    }
    return [...heard]
  }

  /** All watches, in portions that one request may carry. */
  batches(): WatchBatch[] {
    const batches: WatchBatch[] = []
    let batch: WatchBatch | undefined
    let size = 0
    for (const kind of watchKinds) {
      for (const path of this.#paths[kind].keys()) {
        if (!batch || size + path.length > pathBytesMax) {
          batches.push((batch = { data: [], exists: [], child: [], persistent: [], persistentRecursive: [] }))
          size = 0
        }
        batch[kind].push(path)
        size += path.length
      }
    }
    return batches
  }
  clear(): void {
    for (const kind of watchKinds) this.#paths[kind].clear()
  }
}

function* withAncestors(path: string): Iterable<string> {
  let at = path
  while (at.length > 1) {
    yield at
    at = at.slice(0, at.lastIndexOf('/'))
  }
  yield '/'
}
