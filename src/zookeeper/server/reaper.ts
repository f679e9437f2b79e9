/** Empty containers and TTL znodes that ran out: found by looking from time to time, deleted by the server's own requests. */
import type { Timer, Timers } from '../../host/host.ts'
import { ttlOf } from '../znodes/owner.ts'
import type { ZnodeTree } from '../znodes/tree.ts'

export interface ReaperSettings {
  readonly checkIntervalMs: number
  readonly maxPerMinute: number
  /** Age at which a container that never had a child goes; 0: never. */
  readonly neverUsedMs: number
}

/** What may go now. `now`: wall clock, as ctime and mtime are. */
export function reapable(tree: ZnodeTree, now: number, neverUsedMs: number): string[] {
  const found: string[] = []
  for (const path of tree.containers()) {
    const node = tree.get(path)
    if (!node || node.childCount > 0) continue
    // Until the first child has come, an empty container is a new one.
    if (node.cversion > 0 || (neverUsedMs > 0 && now - node.ctime > neverUsedMs)) found.push(path)
  }
  for (const path of tree.ttls()) {
    const node = tree.get(path)
    if (node && node.childCount === 0 && now - node.mtime > ttlOf(node.ephemeralOwner)) found.push(path)
  }
  return found
}

/** Deletions come spread over the interval, so that a thousand of them are no burst. Returns what stops it. */
export function startReaper(timers: Timers, { checkIntervalMs, maxPerMinute }: ReaperSettings, find: () => string[], remove: (path: string) => void): () => void {
  const pauseMs = Math.max(1, Math.floor(60_000 / maxPerMinute))
  let waiting: string[] = []
  let step: Timer | undefined
  const next = (): void => {
    step = undefined
    const path = waiting.pop()
    if (path === undefined) return
    remove(path)
    if (waiting.length > 0) step = timers.set(pauseMs, next)
  }
  const look = timers.every(checkIntervalMs, () => {
    if (waiting.length > 0) return
    waiting = find().reverse()
    next()
  })
  return () => {
    look.cancel()
    step?.cancel()
    waiting = []
  }
}
