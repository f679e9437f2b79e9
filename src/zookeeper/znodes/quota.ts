/**
 * Quotas: znodes under /zookeeper/quota that limit a subtree and count what is in it (reference §1.16).
 *
 *     limits := "count=N,bytes=N" [ "=;byteHardLimit=N;countHardLimit=N" ]      -1: no limit
 *     stats  := "count=N,bytes=N"
 */
import { reserved } from './paths.ts'

export const limitsName = 'zookeeper_limits'
export const statsName = 'zookeeper_stats'

export interface Quota {
  count: number
  bytes: number
  countHardLimit: number
  byteHardLimit: number
}

/** Where the limits and the counts of a subtree are kept. */
export const limitsPath = (path: string): string => `${reserved.quota}${path}/${limitsName}`
export const statsPath = (path: string): string => `${reserved.quota}${path}/${statsName}`

/** Reads either text; what is missing or no number is −1, as Apache reads it. */
export function parseQuota(data: Uint8Array | null): Quota {
  const quota: Quota = { count: -1, bytes: -1, countHardLimit: -1, byteHardLimit: -1 }
  if (!data) return quota
  for (const pair of Buffer.from(data.buffer, data.byteOffset, data.length).toString('utf8').split(/[,;]+/)) {
    const [key, value] = pair.split('=')
    const number = Number(value)
    if (Object.hasOwn(quota, key) && Number.isSafeInteger(number)) quota[key as keyof Quota] = number
  }
  return quota
}
export function formatStats(count: number, bytes: number): Buffer {
  return Buffer.from(`count=${count},bytes=${bytes}`)
}

/** The subtrees that have limits. */
export class QuotaPaths {
  readonly #paths = new Set<string>()

  get size(): number {
    return this.#paths.size
  }
  add(path: string): void {
    this.#paths.add(path)
  }
  delete(path: string): void {
    this.#paths.delete(path)
  }
  clear(): void {
    this.#paths.clear()
  }
  [Symbol.iterator](): Iterator<string> {
    return this.#paths.values()
  }
  /** The deepest subtree with limits that `path` lies in, itself included; '' is the root. */
  covering(path: string): string | undefined {
    if (this.#paths.size === 0) return undefined
    for (let above = path === '/' ? '' : path; ; above = above.slice(0, above.lastIndexOf('/'))) {
      if (this.#paths.has(above)) return above
      if (above === '') return undefined
    }
  }
}
/** The subtree whose limits or counts are kept in children of `quotaNode`, which lies at or below /zookeeper/quota. */
export function quotaPathOf(quotaNode: string): string {
  return quotaNode.slice(reserved.quota.length)
}
