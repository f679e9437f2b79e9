/** What members of an ensemble tell each other about who should lead: ids, states, votes, and which of two votes is better. */

/** `myid` of a peer: a whole number from 0. */
export type ServerId = number
export type PeerState = 'looking' | 'following' | 'leading' | 'observing'
/** What an election can end with. */
export type SettledState = Exclude<PeerState, 'looking'>

export interface Vote {
  readonly leader: ServerId
  /** Last zxid that the leader had logged when it proposed itself. */
  readonly zxid: bigint
  /** The round (logical clock) in which this vote was cast: from 1. */
  readonly electionEpoch: number
  /** The leader's `currentEpoch`; after the election the epoch that it has established. */
  readonly peerEpoch: number
}

/** Votes of those who may not vote carry this as leader and peerEpoch, and as zxid (Java's Long.MIN_VALUE, which a double holds exactly). */
export const noVote = -(2 ** 63)
export const noZxid = -(2n ** 63n)

/** The better history first, then the higher id. The epoch is `currentEpoch`, not the high half of the zxid (§8 trap 42). */
export function isBetter(vote: Vote, than: Vote): boolean {
  if (vote.peerEpoch !== than.peerEpoch) return vote.peerEpoch > than.peerEpoch
  if (vote.zxid !== than.zxid) return vote.zxid > than.zxid
  return vote.leader > than.leader
}
