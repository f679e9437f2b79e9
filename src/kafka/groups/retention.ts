/** Which committed offsets have outlived their group's interest (KIP-211). */
import type { Commit, CommittedOffsets } from './committed-offsets.ts'

export interface RetentionFacts {
  /** No members; offsets of a group that once had some expire from the moment it emptied. */
  readonly isEmpty: boolean
  readonly isStable: boolean
  /** Undefined for a group that only ever stored offsets (a simple consumer). */
  readonly protocolType: string | undefined
  /** When the group got into its state, ms since 1970; undefined when loaded from a record too old to say. */
  readonly stateTimestamp: number | undefined
  /** What the members of a consumer group read; undefined when unknown. */
  readonly subscribedTopics: ReadonlySet<string> | undefined
}

export function expiredOffsets(offsets: CommittedOffsets, group: RetentionFacts, { now, retentionMs }: { now: number; retentionMs: number }): Commit[] {
  const since = expiryBase(group)
  if (since === undefined) return []
  const expired: Commit[] = []
  for (const commit of offsets) {
    if (group.isStable && group.subscribedTopics?.has(commit.topic)) continue
    if (offsets.isInFlight(commit)) continue
    // Only clients of before 2.1 (OffsetCommit v2–4) ask for a retention of their own; it counts alone.
    const isExpired = commit.expireTimestamp === undefined ? now - since(commit) >= retentionMs : now >= commit.expireTimestamp
    if (isExpired) expired.push(commit)
  }
  return expired
}

/** From when retention counts; undefined: nothing of this group expires now. */
function expiryBase(group: RetentionFacts): ((commit: Commit) => number) | undefined {
  if (group.protocolType === undefined) return ({ commitTimestamp }) => commitTimestamp
  if (group.isEmpty) return ({ commitTimestamp }) => group.stateTimestamp ?? commitTimestamp
  if (group.isStable && group.subscribedTopics !== undefined) return ({ commitTimestamp }) => commitTimestamp
  return undefined
}
