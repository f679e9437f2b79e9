/**
 * Fast leader election (reference §4.3–4.4) as a machine: what one peer knows of a round, and what follows from it. No clock, no socket.
 * It serves all states: a settled peer answers those who still look.
 */
import { hasQuorumInAll, sameMembership, votersOf, weightOf, type QuorumConfig } from './quorum-config.ts'
import type { Notification } from './notification.ts'
import { isBetter, noVote, noZxid, type PeerState, type ServerId, type SettledState, type Vote } from './vote.ts'

export interface ElectionSettings {
  readonly serverId: ServerId
  readonly config: QuorumConfig
  /** A configuration that is proposed but not committed yet: both have to agree. */
  readonly lastSeen?: QuorumConfig
  /** Whether a newer configuration in a notification is taken over while looking. */
  readonly reconfigEnabled?: boolean
  /** First and longest wait before proposals are sent again, ms; it doubles in between. */
  readonly minNotificationMs?: number
  readonly maxNotificationMs?: number
  /** How long a quorum waits for a better vote, ms. */
  readonly finalizeMs?: number
  /**
   * The same where every voter has voted or refuses connections, ms. Not 0: one that refuses may just be starting, and a vote may be an old
   * one that a settled server has sent again on a new connection; what it really thinks follows within a round trip.
   */
  readonly finalizeAllHeardMs?: number
}

export type ElectionInput =
  /** Look for a leader; own last logged zxid and currentEpoch. */
  | { readonly kind: 'started'; readonly zxid: bigint; readonly epoch: number }
  | { readonly kind: 'received'; readonly from: ServerId; readonly notification: Notification }
  | { readonly kind: 'fired'; readonly timer: ElectionTimer }
  /** The peer has taken a role, or knows its epoch now. */
  | { readonly kind: 'settled'; readonly state: SettledState; readonly vote: Vote }
  | { readonly kind: 'configured'; readonly config: QuorumConfig; readonly lastSeen?: QuorumConfig }
  /** Nobody listens at this peer's election port. */
  | { readonly kind: 'unreachable'; readonly peer: ServerId }
  | { readonly kind: 'reachable'; readonly peer: ServerId }
export type ElectionTimer = 'resend' | 'finalize'
export type ElectionOutput =
  | { readonly kind: 'send'; readonly to: ServerId; readonly notification: Notification }
  /** Replaces an earlier one of the same name. */
  | { readonly kind: 'arm'; readonly timer: ElectionTimer; readonly ms: number }
  | { readonly kind: 'disarm'; readonly timer: ElectionTimer }
  | { readonly kind: 'decided'; readonly vote: Vote; readonly state: SettledState }
  /** A newer configuration came with a notification and counts from now on. */
  | { readonly kind: 'configSeen'; readonly config: QuorumConfig }

interface Cast {
  readonly vote: Vote
  readonly state: PeerState
  readonly version: number
}

export class Election {
  readonly serverId: ServerId
  readonly #settings: Required<Pick<ElectionSettings, 'reconfigEnabled' | 'minNotificationMs' | 'maxNotificationMs' | 'finalizeMs' | 'finalizeAllHeardMs'>>
  #configs: readonly QuorumConfig[] = []
  #voters: ReadonlySet<ServerId> = new Set()
  #state: PeerState = 'looking'
  /** The logical clock: number of the round. */
  #round = 0
  /** Own history, as a vote for oneself. */
  #initial: Vote
  /** What this peer proposes while it looks, and has settled on otherwise. */
  #vote: Vote
  #started = false
  #finalizing: 'no' | 'short' | 'long' = 'no'
  #resendMs = 0
  /** Votes of this round by voter; and what settled peers of any round said. */
  readonly #votes = new Map<ServerId, Cast>()
  readonly #settledVotes = new Map<ServerId, Cast>()
  readonly #unreachable = new Set<ServerId>()
  /** The newest notification of each voter that came before the first round. */
  readonly #early = new Map<ServerId, Notification>()

  constructor({ serverId, config, lastSeen, reconfigEnabled = false, minNotificationMs = 200, maxNotificationMs = 60_000, finalizeMs = 200, finalizeAllHeardMs = 30 }: ElectionSettings) {
    this.serverId = serverId
    this.#settings = { reconfigEnabled, minNotificationMs, maxNotificationMs, finalizeMs, finalizeAllHeardMs }
    this.#configure(config, lastSeen)
    this.#initial = this.#vote = { leader: noVote, zxid: noZxid, electionEpoch: 0, peerEpoch: noVote }
  }

  get state(): PeerState {
    return this.#state
  }
  get round(): number {
    return this.#round
  }
  get vote(): Vote {
    return this.#vote
  }

  step(input: ElectionInput): ElectionOutput[] {
    switch (input.kind) {
      case 'started': return this.#start(input.zxid, input.epoch)
      case 'received': return this.#receive(input.from, input.notification)
      case 'fired': return this.#fire(input.timer)
      case 'settled': return this.#settle(input.state, input.vote)
      case 'configured': return this.#reconfigure(input.config, input.lastSeen)
      case 'unreachable': this.#unreachable.add(input.peer); return this.#searching ? this.#conclude() : []
      case 'reachable': this.#unreachable.delete(input.peer); return []
      default: return input satisfies never
    }
  }

  // The rules that make it safe and let it end. They stand apart so that the tests can break them one by one.

  /** A peer without weight cannot lead. */
  protected isBetterVote(vote: Vote, than: Vote): boolean {
    return weightOf(this.#configs[0], vote.leader) !== 0 && isBetter(vote, than)
  }
  protected isQuorum(supporters: ReadonlySet<ServerId>): boolean {
    return hasQuorumInAll(this.#configs, supporters)
  }
  /** The answer of a settled peer to one that looks: the vote of the finished round, not a fresh one (§8 trap 41). */
  protected answerLateStarter(to: ServerId): ElectionOutput[] {
    return [this.#send(to, this.#vote)]
  }
  /** Another must have said itself that it leads; oneself leads only in the round that one is in. */
  protected isLeaderCertain(casts: ReadonlyMap<ServerId, Cast>, leader: ServerId, electionEpoch: number): boolean {
    return leader === this.serverId ? electionEpoch === this.#round : casts.get(leader)?.state === 'leading'
  }

  get #searching(): boolean {
    return this.#started && this.#state === 'looking'
  }
  get #isVoter(): boolean {
    return this.#voters.has(this.serverId)
  }

  #configure(config: QuorumConfig, lastSeen: QuorumConfig | undefined): void {
    this.#configs = lastSeen && lastSeen.version > config.version ? [config, lastSeen] : [config]
    this.#voters = votersOf(this.#configs)
  }
  #reconfigure(config: QuorumConfig, lastSeen: QuorumConfig | undefined): ElectionOutput[] {
    const before = this.#configs
    this.#configure(config, lastSeen)
    const same = before.length === this.#configs.length && before.every((old, index) => sameMembership(old, this.#configs[index]))
    return same || !this.#searching ? [] : this.#begin()
  }

  #start(zxid: bigint, epoch: number): ElectionOutput[] {
    this.#started = true
    this.#state = 'looking'
    // Who was away then may be back: the round's first send finds out.
    this.#unreachable.clear()
    this.#initial = { leader: this.serverId, zxid, electionEpoch: 0, peerEpoch: epoch }
    const outputs = this.#begin()
    const early = [...this.#early]
    this.#early.clear()
    for (const [from, notification] of early) outputs.push(...this.#receive(from, notification))
    return outputs
  }
  #begin(): ElectionOutput[] {
    this.#round++
    this.#votes.clear()
    this.#settledVotes.clear()
    this.#resendMs = this.#settings.minNotificationMs
    const outputs: ElectionOutput[] = []
    if (this.#finalizing !== 'no') outputs.push(this.#cancelFinalize())
    outputs.push({ kind: 'arm', timer: 'resend', ms: this.#resendMs }, ...this.#propose(this.#ownVote()))
    outputs.push(...this.#conclude())
    return outputs
  }
  /** Who only a proposed configuration lets vote supports others, and does not stand itself. */
  #ownVote(): Vote {
    return this.#configs[0].voters.has(this.serverId) ? this.#initial : { leader: noVote, zxid: noZxid, electionEpoch: 0, peerEpoch: noVote }
  }
  #propose(vote: Vote): ElectionOutput[] {
    this.#vote = { ...vote, electionEpoch: this.#round }
    if (this.#isVoter) this.#votes.set(this.serverId, { vote: this.#vote, state: 'looking', version: 2 })
    return this.#broadcast()
  }
  #broadcast(): ElectionOutput[] {
    const outputs: ElectionOutput[] = []
    for (const voter of this.#voters) if (voter !== this.serverId) outputs.push(this.#send(voter, this.#vote))
    return outputs
  }
  #send(to: ServerId, vote: Vote): ElectionOutput {
    return { kind: 'send', to, notification: { state: this.#state, vote, config: this.#configs[0] } }
  }

  #receive(from: ServerId, notification: Notification): ElectionOutput[] {
    this.#unreachable.delete(from)
    const outputs: ElectionOutput[] = []
    if (this.#state === 'looking' && notification.config && this.#settings.reconfigEnabled && notification.config.version > this.#configs[0].version) {
      outputs.push({ kind: 'configSeen', config: notification.config })
      outputs.push(...this.#reconfigure(notification.config, this.#configs[1]))
    }
    if (!this.#voters.has(from)) return [...outputs, this.#send(from, { ...this.#vote, electionEpoch: this.#round })]
    if (this.#state !== 'looking') return notification.state === 'looking' ? this.answerLateStarter(from) : []
    if (!this.#started) {
      this.#early.set(from, notification)
      return outputs
    }
    if (notification.state === 'looking' && notification.vote.electionEpoch < this.#round) outputs.push(this.#send(from, this.#vote))
    if (!this.#voters.has(notification.vote.leader)) return outputs
    switch (notification.state) {
      case 'looking': outputs.push(...this.#receiveProposal(from, notification)); break
      case 'following': case 'leading': outputs.push(...this.#receiveSettled(from, notification)); break
      case 'observing': break
      default: notification.state satisfies never
    }
    return outputs
  }

  #receiveProposal(from: ServerId, { vote, version = 2 }: Notification): ElectionOutput[] {
    if (vote.electionEpoch < this.#round || vote.zxid === -1n || this.#initial.zxid === -1n) return []
    const outputs: ElectionOutput[] = []
    if (vote.electionEpoch > this.#round) {
      this.#round = vote.electionEpoch
      this.#votes.clear()
      if (this.#finalizing !== 'no') outputs.push(this.#cancelFinalize())
      const own = this.#ownVote()
      outputs.push(...this.#propose(this.isBetterVote(vote, own) ? vote : own))
    } else if (this.isBetterVote(vote, this.#vote)) {
      if (this.#finalizing !== 'no') outputs.push(this.#cancelFinalize())
      outputs.push(...this.#propose(vote))
    } else if (this.#settledVotes.has(from)) {
      // It had still a leader when our vote came, and passed over it: told again, it need not wait until votes are repeated.
      outputs.push(this.#send(from, this.#vote))
    }
    this.#votes.set(from, { vote, state: 'looking', version })
    this.#settledVotes.delete(from)
    outputs.push(...this.#conclude())
    return outputs
  }

  /** Ends the round where the own proposal has a quorum, after a last look: a short one when nobody is left who could bring a better vote. */
  #conclude(): ElectionOutput[] {
    if (!this.isQuorum(supporters(this.#votes, { vote: this.#vote, state: 'looking', version: 2 }))) return []
    if (this.#voters.size === 1) return this.#decide(this.#vote)
    // Those who were heard have voted no better than the own vote, which has been raised to the best.
    const heard = [...this.#voters].every((voter) => this.#votes.has(voter) || this.#unreachable.has(voter))
    const wait = heard ? 'short' : 'long'
    if (this.#finalizing === wait || this.#finalizing === 'short') return []
    this.#finalizing = wait
    return [{ kind: 'arm', timer: 'finalize', ms: heard ? this.#settings.finalizeAllHeardMs : this.#settings.finalizeMs }]
  }
  #cancelFinalize(): ElectionOutput {
    this.#finalizing = 'no'
    return { kind: 'disarm', timer: 'finalize' }
  }

  #receiveSettled(from: ServerId, { state, vote, version = 2 }: Notification): ElectionOutput[] {
    const cast = { vote, state, version }
    if (vote.electionEpoch === this.#round) {
      this.#votes.set(from, cast)
      if (this.isQuorum(supporters(this.#votes, cast)) && this.isLeaderCertain(this.#votes, vote.leader, vote.electionEpoch)) return this.#decide(vote)
    } else this.#votes.delete(from) // It looks no more: its vote for this round, if any, was an old one.
    this.#settledVotes.set(from, cast)
    if (!this.isQuorum(supporters(this.#settledVotes, cast)) || !this.isLeaderCertain(this.#settledVotes, vote.leader, vote.electionEpoch)) return []
    this.#round = vote.electionEpoch
    return this.#decide(vote)
  }

  #decide({ leader, zxid, electionEpoch, peerEpoch }: Vote): ElectionOutput[] {
    const vote = { leader, zxid, electionEpoch, peerEpoch }
    // Who is no member follows without a vote.
    const state = leader === this.serverId ? 'leading' : this.#configs[0].servers.get(this.serverId)?.role === 'observer' ? 'observing' : 'following'
    return [...this.#settle(state, vote), { kind: 'decided', vote, state }]
  }
  #settle(state: SettledState, vote: Vote): ElectionOutput[] {
    const wasSearching = this.#searching
    this.#started = true
    this.#state = state
    this.#vote = vote
    this.#finalizing = 'no'
    return wasSearching ? [{ kind: 'disarm', timer: 'resend' }, { kind: 'disarm', timer: 'finalize' }] : []
  }

  #fire(timer: ElectionTimer): ElectionOutput[] {
    if (!this.#searching) return []
    if (timer === 'finalize') {
      if (this.#finalizing === 'no') return []
      this.#finalizing = 'no'
      return this.isQuorum(supporters(this.#votes, { vote: this.#vote, state: 'looking', version: 2 })) ? this.#decide(this.#vote) : []
    }
    this.#resendMs = Math.min(this.#resendMs * 2, this.#settings.maxNotificationMs)
    return [{ kind: 'arm', timer: 'resend', ms: this.#resendMs }, ...this.#broadcast()]
  }
}

function supporters(casts: ReadonlyMap<ServerId, Cast>, wanted: Cast): Set<ServerId> {
  const ids = new Set<ServerId>()
  for (const [id, cast] of casts) if (isSameVote(cast, wanted)) ids.add(id)
  return ids
}
/** Settled peers may know the leader's new epoch or not yet know it, and the oldest of them say nothing of epochs. */
function isSameVote(a: Cast, b: Cast): boolean {
  if (a.vote.leader !== b.vote.leader) return false
  if (a.state === 'looking' || b.state === 'looking')
    return a.vote.zxid === b.vote.zxid && a.vote.electionEpoch === b.vote.electionEpoch && a.vote.peerEpoch === b.vote.peerEpoch
  return a.version > 0 !== b.version > 0 || a.vote.peerEpoch === b.vote.peerEpoch
}
