/** Who becomes leader, by the kind of election (reference §2.4). Pure: given the state and who can serve, the answer follows. */
import { noLeader, recoveryStates, type PartitionState } from '../metadata/partition-state-znode.ts'

/** `known`: a state that the controller comes to know, and nobody has been elected by. */
export type ElectionKind = 'offline' | 'known' | 'preferred' | 'reassignment' | 'controlledShutdown'

export interface Candidates {
  /** In the order of preference. */
  readonly assigned: readonly number[]
  readonly isOnline: (brokerId: number) => boolean
}
export interface Elected {
  readonly leader: number
  readonly isr: readonly number[]
  readonly leaderRecoveryState: number
}

/** The first leader of a new partition: the first assigned replica that can serve, with all of those in sync. */
export function electFirst({ assigned, isOnline }: Candidates): Elected | undefined {
  const live = assigned.filter(isOnline)
  return live.length === 0 ? undefined : { leader: live[0], isr: live, leaderRecoveryState: recoveryStates.recovered }
}

/** The leader was lost. Only an unclean election takes a replica that was not in sync, and what it lacks is lost. */
export function electOffline({ assigned, isOnline }: Candidates, { isr, leaderRecoveryState }: Pick<PartitionState, 'isr' | 'leaderRecoveryState'>, uncleanAllowed: boolean): Elected | undefined {
  const clean = assigned.find((id) => isOnline(id) && isr.includes(id))
  if (clean !== undefined) return { leader: clean, isr: isr.filter(isOnline), leaderRecoveryState }
  const unclean = uncleanAllowed ? assigned.find(isOnline) : undefined
  return unclean === undefined ? undefined : { leader: unclean, isr: [unclean], leaderRecoveryState: recoveryStates.recovering }
}

/** The leader that lives goes on, in the next epoch. */
export function electKnown(candidates: Candidates, state: Pick<PartitionState, 'leader' | 'isr' | 'leaderRecoveryState'>, uncleanAllowed: boolean): Elected | undefined {
  const { leader, isr, leaderRecoveryState } = state
  if (candidates.isOnline(leader) && isr.includes(leader)) return { leader, isr: isr.filter(candidates.isOnline), leaderRecoveryState }
  return electOffline(candidates, state, uncleanAllowed)
}

export function electPreferred({ assigned, isOnline }: Candidates, { isr, leaderRecoveryState }: PartitionState): Elected | undefined {
  const head = assigned[0]
  return head !== undefined && isOnline(head) && isr.includes(head) ? { leader: head, isr, leaderRecoveryState } : undefined
}

/** The partition has moved: the first of where it lives now that is in sync. `assigned` is the target alone. */
export function electForReassignment({ assigned, isOnline }: Candidates, { isr, leaderRecoveryState }: PartitionState): Elected | undefined {
  const leader = assigned.find((id) => isOnline(id) && isr.includes(id))
  return leader === undefined ? undefined : { leader, isr, leaderRecoveryState }
}

/** Brokers that shut down give their leaderships to others in sync; they can still serve until then. */
export function electForShutdown({ assigned, isOnline }: Candidates, { isr, leaderRecoveryState }: PartitionState, shuttingDown: ReadonlySet<number>): Elected | undefined {
  const leader = assigned.find((id) => isOnline(id) && isr.includes(id) && !shuttingDown.has(id))
  return leader === undefined ? undefined : { leader, isr: isr.filter((id) => !shuttingDown.has(id)), leaderRecoveryState }
}

/** A replica can no longer serve: it leaves the ISR, unless it is the last one in it, who knows what was committed. */
export function withoutReplica({ leader, isr }: PartitionState, brokerId: number): Pick<PartitionState, 'leader' | 'isr'> {
  return { leader: leader === brokerId ? noLeader : leader, isr: isr.length === 1 ? isr : isr.filter((id) => id !== brokerId) }
}
