/** Which replica a consumer is to read from (KIP-392; reference §3.8). */

/** The only `replica.selector.class` besides none; Apache's name of it. */
export const rackAwareSelector = 'org.apache.kafka.common.replica.RackAwareReplicaSelector'

export interface ReadableReplica {
  readonly id: number
  readonly rack: string | null
  readonly logEndOffset: number
  /** Monotonic ms. */
  readonly lastCaughtUpMs: number
}

/** The leader when it is in the consumer's rack or nobody is; else who has most of those in the rack, and of these who was level last. */
export function nearestReplica(rack: string, leader: { id: number; rack: string | null }, followers: readonly ReadableReplica[]): number {
  if (rack === '' || leader.rack === rack) return leader.id
  let best: ReadableReplica | undefined
  for (const follower of followers) {
    if (follower.rack !== rack) continue
    const isBetter = !best || follower.logEndOffset > best.logEndOffset || (follower.logEndOffset === best.logEndOffset && follower.lastCaughtUpMs > best.lastCaughtUpMs)
    if (isBetter) best = follower
  }
  return best?.id ?? leader.id
}
