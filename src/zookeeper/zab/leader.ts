/**
 * A leader: discovery of a new epoch, synchronization of each learner, broadcast (reference §5.2, §5.3, §5.5, §5.6). A machine: packets,
 * ticks and finished work come in, packets and work go out. `persist` says what must be durable before the machine goes on. Learners
 * are known by a key that the driver chooses for each connection.
 */
import { lowOf } from '../../wire/int64.ts'
import { AckSets, type AckSet } from './acknowledgements.ts'
import { Backlog } from './backlog.ts'
import type { CommittedTransaction } from './committed-log.ts'
import { LearnerInfo, packetType, type QuorumPacket } from '../protocol/quorum.ts'
import { packetOf, protocolVersion } from './learner.ts'
import { formatQuorumConfig, hasQuorumInAll, type QuorumConfig } from './quorum-config.ts'
import { reconfigurationIn, staysLeader, successorOf } from './reconfiguration.ts'
import { historyNeeded, joined, synchronizationOf } from './synchronization.ts'

export interface LeaderFacts {
  readonly serverId: number
  readonly acceptedEpoch: number
  readonly currentEpoch: number
  /** Of the last transaction in the log; all of them count as committed once a quorum has them. */
  readonly lastZxid: bigint
  /** In force. Who is in no configuration may copy the history and has no say in anything. */
  readonly config: QuorumConfig
  /** Proposed, and perhaps committed by a leader before: both have to agree until it is in force. */
  readonly lastSeen?: QuorumConfig | undefined
  /** Without it the configuration stays what it is, and has no version. */
  readonly reconfigEnabled?: boolean
  /** The latest committed transactions, ending at what is applied. Read when a learner is synchronized. */
  readonly committed: () => readonly CommittedTransaction[]
  /** Zxid of the last transaction applied here. */
  readonly lastProcessed: () => bigint
  readonly tickMs: number
  /** In ticks. */
  readonly initLimit: number
  readonly syncLimit: number
  readonly forceSnapshot?: boolean
  /** Monotonic ms. */
  readonly now: number
}
export type LearnerKey = number
export type LeaderInput =
  | { readonly kind: 'packet'; readonly from: LearnerKey; readonly packet: QuorumPacket; readonly now: number }
  | { readonly kind: 'disconnected'; readonly from: LearnerKey }
  /** What `persist` asked for is done. */
  | { readonly kind: 'persisted'; readonly name: 'acceptedEpoch' | 'currentEpoch' }
  | { readonly kind: 'propose'; readonly transaction: CommittedTransaction; readonly now: number }
  /** Own transactions up to this one are durable. */
  | { readonly kind: 'logged'; readonly zxid: bigint }
  /** What `readHistory` asked for; undefined: the logs do not hold it. */
  | { readonly kind: 'history'; readonly from: LearnerKey; readonly transactions: readonly CommittedTransaction[] | undefined }
  /** Every half tick. */
  | { readonly kind: 'ticked'; readonly now: number }
export type LeaderOutput =
  | { readonly kind: 'send'; readonly to: readonly LearnerKey[]; readonly packet: QuorumPacket }
  /** Send a SNAP with this zxid and the tree as it is now; what is sent to the learner afterwards goes behind it. */
  | { readonly kind: 'sendSnapshot'; readonly to: LearnerKey; readonly zxid: bigint }
  /** Look in the logs for what this learner lacks, from the transaction at or before `from` up to `below`; then say `history`. */
  | { readonly kind: 'readHistory'; readonly to: LearnerKey; readonly from: bigint; readonly below: bigint }
  /** Make the epoch durable, then say `persisted`. */
  | { readonly kind: 'persist'; readonly name: 'acceptedEpoch' | 'currentEpoch'; readonly epoch: number }
  /** The epoch is established: transactions are numbered from `zxid`, which counts as processed; clients may be served. */
  | { readonly kind: 'lead'; readonly epoch: number; readonly zxid: bigint }
  /** Apply the oldest proposal that is not applied. */
  | { readonly kind: 'commit'; readonly zxid: bigint }
  /** A write or a sync of a learner's client. */
  | { readonly kind: 'request'; readonly from: LearnerKey; readonly packet: QuorumPacket }
  | { readonly kind: 'revalidate'; readonly from: LearnerKey; readonly packet: QuorumPacket }
  /** Sessions that a learner has heard of since its last answer to a ping. */
  | { readonly kind: 'alive'; readonly from: LearnerKey; readonly sessions: Buffer }
  /** This learner says that it is a server which has a connection already. */
  | { readonly kind: 'double'; readonly learner: LearnerKey; readonly serverId: number }
  | { readonly kind: 'close'; readonly learner: LearnerKey; readonly reason: string }
  /** This configuration is proposed: to be durable before own transactions count as logged. */
  | { readonly kind: 'configSeen'; readonly config: QuorumConfig }
  /** This configuration is in force from here on. */
  | { readonly kind: 'configActivated'; readonly config: QuorumConfig }
  /** Lead no longer: why, and who shall lead without an election. */
  | { readonly kind: 'abdicate'; readonly reason: string; readonly successor?: number | undefined }

interface LearnerState {
  readonly key: LearnerKey
  serverId: number
  role: 'follower' | 'observer'
  phase: 'introduction' | 'held' | 'epoch' | 'epochAcknowledged' | 'readingHistory' | 'synchronizing' | 'synced'
  acceptedEpoch: number
  lastZxid: bigint
  hasUpToDate: boolean
  lastTick: number
  /** The half tick in which something came from it last; and since which it is held, see `#heldOnes`. */
  heardAt: number
  heldSince: number
  deadline: number
  /** Since when it has not acknowledged what follows `acknowledged`; undefined where there is no such proposal. */
  waitedSince: number | undefined
  acknowledged: bigint
  newest: bigint
}
interface Proposal {
  readonly transaction: CommittedTransaction
  acknowledged: AckSet
  /** Those in force or proposed when it was proposed: each needs a quorum. */
  readonly configs: readonly QuorumConfig[]
  /** The one that it brings. */
  readonly config: QuorumConfig | undefined
}

const hex = (zxid: bigint): string => `0x${BigInt.asUintN(64, zxid).toString(16)}`
/** The lower half of a zxid, as a signed number, whose next one would be in the next epoch. */
const counterMax = -1
const epochMax = 0x7fff_ffff

export class Leader {
  readonly #facts: LeaderFacts
  readonly #learners = new Map<LearnerKey, LearnerState>()
  #phase: 'discovery' | 'acceptedEpoch' | 'epochAcknowledgement' | 'currentEpoch' | 'synchronization' | 'broadcast' | 'handingOver' | 'ended' = 'discovery'
  #config: QuorumConfig
  #lastSeen: QuorumConfig
  /** Both, or the only one. */
  #active: readonly QuorumConfig[] = []
  #successor: number | undefined
  #handOverTick = 0
  #epoch: number
  /** Who took part in the choice of the epoch, acknowledged it, acknowledged NEWLEADER. */
  readonly #connecting: Set<number>
  readonly #electing: Set<number>
  readonly #synced: Set<number>
  /** Proposed and not committed, oldest first. */
  readonly #outstanding = new Backlog<Proposal>()
  readonly #ackSets = new AckSets()
  /** How many of the outstanding, from the oldest on, are durable here. */
  #loggedCount = 0
  #lastProposed: bigint
  #syncs = new Map<bigint, LearnerKey[]>()
  #tick = 0
  #isHalf = false
  #halfTicks = 0

  constructor(facts: LeaderFacts) {
    this.#facts = facts
    this.#epoch = facts.acceptedEpoch
    this.#config = facts.config
    this.#lastSeen = facts.lastSeen ?? facts.config
    this.#agreeing()
    this.#connecting = new Set([facts.serverId])
    this.#electing = new Set([facts.serverId])
    this.#synced = new Set([facts.serverId])
    this.#lastProposed = facts.lastZxid
  }

  get epoch(): number {
    return this.#epoch
  }
  /** In force, and the latest proposed: the same unless a reconfiguration is on its way. */
  get configs(): { readonly committed: QuorumConfig; readonly lastSeen: QuorumConfig } {
    return { committed: this.#config, lastSeen: this.#lastSeen }
  }
  /** Whether a quorum of this configuration is here and has the history. */
  isSynced(config: QuorumConfig): boolean {
    const synced = new Set([this.#facts.serverId])
    for (const { serverId, role, phase, deadline } of this.#learners.values()) if (role === 'follower' && phase === 'synced' && this.#tick <= deadline) synced.add(serverId)
    return hasQuorumInAll([config], synced)
  }
  #agreeing(): void {
    this.#active = this.#lastSeen.version > this.#config.version ? [this.#config, this.#lastSeen] : [this.#config]
  }
  /** Stands apart so that the simulation can put a bug in its place. */
  protected isQuorum(servers: ReadonlySet<number>, configs: readonly QuorumConfig[] = this.#active): boolean {
    return hasQuorumInAll(configs, servers)
  }
  #isVoter(server: number): boolean {
    return this.#active.some(({ voters }) => voters.has(server))
  }
  #isMember(server: number): boolean {
    return this.#active.some(({ servers }) => servers.has(server))
  }
  get isEstablished(): boolean {
    return this.#phase === 'broadcast'
  }
  get outstanding(): number {
    return this.#outstanding.length
  }
  get lastProposed(): bigint {
    return this.#lastProposed
  }
  /** By role, for `mntr`: those that are synchronized, and those on their way. */
  learners(): { key: LearnerKey; serverId: number; role: 'follower' | 'observer'; isSynced: boolean; isVoter: boolean }[] {
    return [...this.#learners.values()].filter(({ phase }) => phase !== 'introduction' && phase !== 'held')
      .map(({ key, serverId, role, phase }) => ({ key, serverId, role, isSynced: phase === 'synced', isVoter: this.#isVoter(serverId) }))
  }
  get pendingSyncs(): number {
    return [...this.#syncs.values()].reduce((sum, { length }) => sum + length, 0)
  }

  /** A server that is alone has its quorum at once. */
  begin(): LeaderOutput[] {
    return this.#chooseEpoch()
  }

  step(input: LeaderInput): LeaderOutput[] {
    if (this.#phase === 'ended') return []
    switch (input.kind) {
      case 'packet': return this.#packet(input.from, input.packet, input.now)
      case 'disconnected':
        this.#learners.delete(input.from)
        return this.#phase === 'handingOver' ? this.#handedOver() : this.#heldOnes()
      case 'persisted': return this.#persisted(input.name)
      case 'propose': return this.#propose(input.transaction, input.now)
      case 'history': {
        const learner = this.#learners.get(input.from)
        return learner?.phase === 'readingHistory' ? this.#send(learner, input.transactions) : []
      }
      case 'logged': return this.#logged(input.zxid)
      case 'ticked': return this.#ticked(input.now)
      default: return input satisfies never
    }
  }
  #abdicate(reason: string): LeaderOutput[] {
    this.#phase = 'ended'
    return [{ kind: 'abdicate', reason }]
  }
  #close(learner: LearnerKey, reason: string): LeaderOutput[] {
    this.#learners.delete(learner)
    return [{ kind: 'close', learner, reason }]
  }

  // ---- packets

  #packet(from: LearnerKey, packet: QuorumPacket, now: number): LeaderOutput[] {
    let learner = this.#learners.get(from)
    if (!learner) {
      learner = {
        key: from, serverId: -1, role: 'follower', phase: 'introduction', acceptedEpoch: 0, lastZxid: 0n, hasUpToDate: false, lastTick: this.#tick, heardAt: this.#halfTicks, heldSince: 0,
        deadline: this.#tick + this.#facts.initLimit + this.#facts.syncLimit, waitedSince: undefined, acknowledged: 0n, newest: 0n,
      }
      this.#learners.set(from, learner)
    }
    learner.lastTick = this.#tick
    learner.heardAt = this.#halfTicks
    if (learner.phase === 'synced') learner.deadline = this.#tick + this.#facts.syncLimit
    switch (learner.phase) {
      case 'introduction': return this.#introduced(learner, packet)
      case 'epoch': return this.#epochAcknowledged(learner, packet)
      case 'held': return this.#close(from, `packet ${packet.type} before LEADERINFO`)
      // It waits for us, and has nothing to say.
      case 'epochAcknowledged': case 'readingHistory': return this.#close(from, `packet ${packet.type} before the synchronization`)
      case 'synchronizing': case 'synced': return this.#said(learner, packet, now)
      default: return learner.phase satisfies never
    }
  }
  #introduced(learner: LearnerState, { type, zxid, data }: QuorumPacket): LeaderOutput[] {
    if (type !== packetType.followerInfo && type !== packetType.observerInfo) return this.#close(learner.key, `packet ${type} where FOLLOWERINFO or OBSERVERINFO had to come`)
    if (!data || data.length < 20) return this.#close(learner.key, 'a learner of before ZooKeeper 3.5, or no ZooKeeper server')
    const info = LearnerInfo.decode(data)
    if (info.protocolVersion < protocolVersion) return this.#close(learner.key, `protocol version ${info.protocolVersion} is older than ${protocolVersion}`)
    if (info.configVersion > this.#config.version) return this.#close(learner.key, `its configuration has version ${hex(info.configVersion)}, and ours ${hex(this.#config.version)}: it knows a later one`)
    // Only numbers that a vote can carry are compared with ours.
    learner.serverId = Number(info.serverid)
    learner.role = type === packetType.followerInfo ? 'follower' : 'observer'
    learner.acceptedEpoch = Number(zxid >> 32n)
    if (learner.acceptedEpoch < 0 || learner.acceptedEpoch >= 0x7fff_ffff) return this.#close(learner.key, `an accepted epoch of ${learner.acceptedEpoch}`)
    if (learner.serverId === this.#facts.serverId) return this.#close(learner.key, `it says that it is server ${learner.serverId}, which is this server: two servers have the same myid`)
    learner.phase = 'epoch'
    const outputs: LeaderOutput[] = []
    // A server that comes back may be faster than the end of its last connection; who goes on like this is not alone.
    const isDouble = [...this.#learners.values()].some((other) => other !== learner && other.serverId === learner.serverId && other.phase !== 'introduction')
    if (isDouble) outputs.push({ kind: 'double', learner: learner.key, serverId: learner.serverId })
    if (this.#settled(learner) && this.#phase === 'broadcast') {
      learner.phase = 'held'
      learner.heldSince = this.#halfTicks
      return outputs
    }
    return [...outputs, ...this.#nextEpoch(learner)]
  }
  /** Another connection of this server that is synchronized. */
  #settled({ key, serverId }: LearnerState): LearnerState | undefined {
    for (const other of this.#learners.values()) if (other.key !== key && other.serverId === serverId && other.phase === 'synced') return other
    return undefined
  }
  /**
   * Whoever comes as a server that is here already waits until that connection has ended, or has not answered a ping for a tick and is given up for
   * it. Where it answers, somebody else has the same number, or pretends to: the one that was there first stays. Apache's leader takes both and counts
   * what either acknowledges for the server.
   */
  #heldOnes(): LeaderOutput[] {
    const outputs: LeaderOutput[] = []
    for (const learner of this.#learners.values()) {
      if (learner.phase !== 'held') continue
      const settled = this.#settled(learner)
      if (settled && this.#halfTicks < learner.heldSince + 3) continue
      if (settled && settled.heardAt > learner.heldSince) {
        outputs.push(...this.#close(learner.key, `server ${learner.serverId} is connected already, and answers there: two servers have the same myid, or this is none of them`))
        continue
      }
      // The silent one is closed when this one is synchronized: until then it counts as present.
      learner.phase = 'epoch'
      outputs.push(...this.#nextEpoch(learner))
    }
    return outputs
  }
  #nextEpoch(learner: LearnerState): LeaderOutput[] {
    if (this.#phase !== 'discovery') return this.#phase === 'acceptedEpoch' ? [] : [this.#leaderInfo([learner.key])]
    // Epochs are few: no stranger may use them up.
    if (learner.acceptedEpoch > this.#epoch && this.#isMember(learner.serverId)) this.#epoch = learner.acceptedEpoch
    // By its number, however it introduces itself: who observes in the configuration of before may vote in the one that is on its way, and its promise is as durable.
    if (this.#isVoter(learner.serverId)) this.#connecting.add(learner.serverId)
    return this.#chooseEpoch()
  }
  #chooseEpoch(): LeaderOutput[] {
    if (this.#phase !== 'discovery' || !this.isQuorum(this.#connecting)) return []
    if (this.#epoch >= epochMax) return this.#abdicate(`epoch ${this.#epoch} has been accepted, and there is none after it`)
    this.#epoch++
    this.#phase = 'acceptedEpoch'
    return [{ kind: 'persist', name: 'acceptedEpoch', epoch: this.#epoch }]
  }
  #leaderInfo(to: readonly LearnerKey[]): LeaderOutput {
    const data = Buffer.alloc(4)
    data.writeInt32BE(protocolVersion)
    return { kind: 'send', to, packet: packetOf(packetType.leaderInfo, BigInt(this.#epoch) << 32n, data) }
  }
  #persisted(name: 'acceptedEpoch' | 'currentEpoch'): LeaderOutput[] {
    if (name === 'acceptedEpoch') {
      if (this.#phase !== 'acceptedEpoch') return []
      this.#phase = 'epochAcknowledgement'
      const waiting = [...this.#learners.values()].filter(({ phase }) => phase === 'epoch').map(({ key }) => key)
      return [...this.#firstVersion(), ...(waiting.length > 0 ? [this.#leaderInfo(waiting)] : []), ...this.#epochElected()]
    }
    if (this.#phase !== 'currentEpoch') return []
    this.#phase = 'synchronization'
    const outputs: LeaderOutput[] = []
    for (const learner of this.#learners.values()) if (learner.phase === 'epochAcknowledged') outputs.push(...this.#synchronize(learner))
    return [...outputs, ...this.#established()]
  }
  /** A configuration that nobody has agreed on yet gets a version, so that it counts for more than what newcomers bring along. */
  #firstVersion(): LeaderOutput[] {
    if (!this.#facts.reconfigEnabled || this.#config.version !== 0n || this.#lastSeen.version !== 0n) return []
    this.#lastSeen = { ...this.#config, version: BigInt(this.#epoch) << 32n }
    this.#agreeing()
    return [{ kind: 'configSeen', config: this.#lastSeen }]
  }
  #epochAcknowledged(learner: LearnerState, { type, zxid, data }: QuorumPacket): LeaderOutput[] {
    if (type !== packetType.ackEpoch) return this.#close(learner.key, `packet ${type} where ACKEPOCH had to come`)
    if (this.#phase === 'discovery' || this.#phase === 'acceptedEpoch') return this.#close(learner.key, 'an ACKEPOCH before LEADERINFO')
    if (!data || data.length < 4) return this.#close(learner.key, 'an ACKEPOCH without an epoch')
    const epoch = data.readInt32BE(0)
    const { currentEpoch, lastZxid } = this.#facts
    learner.lastZxid = zxid
    learner.phase = 'epochAcknowledged'
    const isCounted = epoch !== -1 && zxid !== -1n && this.#isVoter(learner.serverId)
    if (this.#phase !== 'epochAcknowledgement') return this.#phase === 'currentEpoch' ? [] : this.#synchronize(learner)
    // Whose history is better should lead in our place.
    if (epoch !== -1 && (epoch > currentEpoch || (epoch === currentEpoch && zxid > lastZxid)))
      return this.#abdicate(`server ${learner.serverId} has a later history (epoch ${epoch}, ${hex(zxid)}) than this one (epoch ${currentEpoch}, ${hex(lastZxid)})`)
    if (isCounted) this.#electing.add(learner.serverId)
    return this.#epochElected()
  }
  #epochElected(): LeaderOutput[] {
    if (this.#phase !== 'epochAcknowledgement' || !this.isQuorum(this.#electing)) return []
    this.#phase = 'currentEpoch'
    return [{ kind: 'persist', name: 'currentEpoch', epoch: this.#epoch }]
  }

  // ---- synchronization

  #synchronize(learner: LearnerState): LeaderOutput[] {
    const below = historyNeeded(this.#situationOf(learner))
    if (below === undefined) return this.#send(learner, undefined)
    learner.phase = 'readingHistory'
    return [{ kind: 'readHistory', to: learner.key, from: learner.lastZxid, below }]
  }
  #situationOf({ lastZxid }: LearnerState) {
    return { peerLast: lastZxid, lastProcessed: this.#facts.lastProcessed(), committed: this.#facts.committed(), ...(this.#facts.forceSnapshot && { forceSnapshot: true }) }
  }
  /** Says how the learner's history is made ours, and sends what it lacks; from then on it hears of all that is proposed. */
  #send(learner: LearnerState, history: readonly CommittedTransaction[] | undefined): LeaderOutput[] {
    learner.phase = 'synchronizing'
    const to = [learner.key]
    const situation = this.#situationOf(learner)
    const plan = synchronizationOf({ ...situation, committed: joined(history, situation.committed) })
    const outputs: LeaderOutput[] = this.#forgetAcknowledgements(learner)
    if (plan.kind === 'snap') outputs.push({ kind: 'sendSnapshot', to: learner.key, zxid: plan.zxid })
    else {
      outputs.push({ kind: 'send', to, packet: packetOf(plan.kind === 'diff' ? packetType.diff : packetType.trunc, plan.zxid) })
      for (const { zxid, bytes } of plan.transactions) {
        outputs.push({ kind: 'send', to, packet: packetOf(packetType.proposal, zxid, bytes) }, { kind: 'send', to, packet: packetOf(packetType.commit, zxid) })
      }
    }
    // From here on it hears of everything; what is proposed and not committed it has to acknowledge too.
    if (learner.role === 'follower') {
      for (const { transaction: { zxid, bytes } } of this.#outstanding) outputs.push({ kind: 'send', to, packet: packetOf(packetType.proposal, zxid, bytes) })
    }
    outputs.push({ kind: 'send', to, packet: packetOf(packetType.newLeader, BigInt(this.#epoch) << 32n, Buffer.from(formatQuorumConfig(this.#lastSeen))) })
    return outputs
  }
  /**
   * What is not committed is cut off its log if it was there, and sent again: what it acknowledged in an earlier connection counts no more, and
   * nothing may come from there any later.
   */
  #forgetAcknowledgements({ key, serverId, role }: LearnerState): LeaderOutput[] {
    if (role !== 'follower') return []
    for (const proposal of this.#outstanding) proposal.acknowledged = this.#ackSets.without(proposal.acknowledged, serverId)
    return [...this.#learners.values()].filter((other) => other.serverId === serverId && other.key !== key).flatMap((other) => this.#close(other.key, `server ${serverId} has come again`))
  }
  #established(): LeaderOutput[] {
    if (this.#phase !== 'synchronization' || !this.isQuorum(this.#synced)) return []
    this.#phase = 'broadcast'
    const zxid = BigInt(this.#epoch) << 32n
    this.#lastProposed = zxid
    const activated = this.#completeReconfiguration()
    const ready = [...this.#learners.values()].filter(({ phase }) => phase === 'synced')
    for (const learner of ready) {
      learner.hasUpToDate = true
      learner.deadline = this.#tick + this.#facts.syncLimit
    }
    const outputs: LeaderOutput[] = [...activated]
    if (this.#phase === 'broadcast') outputs.push({ kind: 'lead', epoch: this.#epoch, zxid })
    if (ready.length > 0) outputs.push({ kind: 'send', to: ready.map(({ key }) => key), packet: packetOf(packetType.upToDate, -1n) })
    return outputs
  }

  // ---- reconfiguration

  /** What a quorum of both configurations has heard of with NEWLEADER is in force. */
  #completeReconfiguration(): LeaderOutput[] {
    const next = this.#lastSeen
    if (next.version <= this.#config.version) return []
    const outputs = this.#activate(next)
    // Without a successor: those who follow learn of it with UPTODATE, and elect.
    if (!staysLeader(this.#facts.serverId, this.#facts.config, next)) this.#handOver(undefined)
    return outputs
  }
  #activate(config: QuorumConfig): LeaderOutput[] {
    this.#config = config
    if (this.#lastSeen.version < config.version) this.#lastSeen = config
    this.#agreeing()
    return [{ kind: 'configActivated', config }]
  }
  /** Nothing is committed any more. The learners part by themselves once they have read why: until then they are not cut off. */
  #handOver(successor: number | undefined): void {
    this.#phase = 'handingOver'
    this.#successor = successor
    this.#handOverTick = this.#tick
  }
  #handedOver(): LeaderOutput[] {
    if ([...this.#learners.values()].some((learner) => this.#isForwarded(learner)) && this.#tick <= this.#handOverTick + this.#facts.syncLimit) return []
    this.#phase = 'ended'
    return [{ kind: 'abdicate', reason: 'another server leads after the reconfiguration', successor: this.#successor }]
  }

  // ---- broadcast

  #said(learner: LearnerState, packet: QuorumPacket, now: number): LeaderOutput[] {
    switch (packet.type) {
      case packetType.ack: return this.#acknowledged(learner, packet.zxid, now)
      case packetType.ping: return packet.data && packet.data.length > 0 ? [{ kind: 'alive', from: learner.key, sessions: packet.data }] : []
      case packetType.request:
        // It will ask its next leader.
        if (this.#phase === 'handingOver') return []
        return this.#phase === 'broadcast' ? [{ kind: 'request', from: learner.key, packet }] : this.#close(learner.key, 'a request before UPTODATE')
      case packetType.revalidate: return [{ kind: 'revalidate', from: learner.key, packet }]
      default: return this.#close(learner.key, `packet ${packet.type}, which no learner sends`)
    }
  }
  #acknowledged(learner: LearnerState, zxid: bigint, now: number): LeaderOutput[] {
    if (learner.waitedSince !== undefined && zxid > learner.acknowledged) {
      learner.acknowledged = zxid
      learner.waitedSince = zxid >= learner.newest ? undefined : now
    }
    if (lowOf(zxid) !== 0) {
      if (learner.role === 'observer') return this.#close(learner.key, 'an observer that acknowledges a transaction')
      // 3.8.0 to 3.8.4 may acknowledge transactions before NEWLEADER (§8 trap 25).
      return this.#count(learner.serverId, zxid)
    }
    if (learner.phase !== 'synchronizing' || zxid !== BigInt(this.#epoch) << 32n) return []
    learner.phase = 'synced'
    learner.deadline = this.#tick + this.#facts.syncLimit
    if (this.#isVoter(learner.serverId)) this.#synced.add(learner.serverId)
    if (this.#phase === 'synchronization') return this.#established()
    if (this.#phase !== 'broadcast' || learner.hasUpToDate) return []
    learner.hasUpToDate = true
    return [{ kind: 'send', to: [learner.key], packet: packetOf(packetType.upToDate, -1n) }]
  }
  /** Whether this learner is sent what is proposed now. */
  #isForwarded({ phase }: LearnerState): boolean {
    return phase === 'synchronizing' || phase === 'synced'
  }
  #propose(transaction: CommittedTransaction, now: number): LeaderOutput[] {
    if (this.#phase !== 'broadcast') throw new Error('a proposal of a server that does not lead')
    if (transaction.zxid !== this.#lastProposed + 1n) throw new Error(`proposal ${hex(transaction.zxid)} after ${hex(this.#lastProposed)}`)
    this.#lastProposed = transaction.zxid
    const config = this.#facts.reconfigEnabled ? reconfigurationIn(transaction.bytes) : undefined
    const outputs: LeaderOutput[] = []
    if (config) {
      this.#lastSeen = config
      this.#agreeing()
      outputs.push({ kind: 'configSeen', config })
    }
    this.#outstanding.push({ transaction, acknowledged: this.#ackSets.none, configs: this.#active, config })
    const to: LearnerKey[] = []
    for (const learner of this.#learners.values()) {
      if (learner.role !== 'follower' || !this.#isForwarded(learner)) continue
      to.push(learner.key)
      if (learner.waitedSince === undefined) {
        learner.waitedSince = now
        learner.acknowledged = transaction.zxid - 1n
      }
      learner.newest = transaction.zxid
    }
    if (to.length > 0) outputs.push({ kind: 'send', to, packet: packetOf(packetType.proposal, transaction.zxid, transaction.bytes) })
    // The next number would be that of the next epoch.
    if (lowOf(transaction.zxid) === counterMax) return [...outputs, ...this.#abdicate('the transactions of this epoch are used up; the next leader begins a new one')]
    return outputs
  }
  #logged(zxid: bigint): LeaderOutput[] {
    for (; this.#loggedCount < this.#outstanding.length; this.#loggedCount++) {
      const proposal = this.#outstanding.at(this.#loggedCount)
      if (proposal.transaction.zxid > zxid) break
      proposal.acknowledged = this.#ackSets.with(proposal.acknowledged, this.#facts.serverId)
    }
    return this.#commit()
  }
  #count(serverId: number, zxid: bigint): LeaderOutput[] {
    const oldest = this.#outstanding.first
    if (!oldest) return []
    const at = Number(zxid - oldest.transaction.zxid)
    if (at < 0 || at >= this.#outstanding.length) return []
    const proposal = this.#outstanding.at(at)
    proposal.acknowledged = this.#ackSets.with(proposal.acknowledged, serverId)
    // Proposals are committed in their order.
    return at === 0 ? this.#commit() : []
  }
  #commit(): LeaderOutput[] {
    const outputs: LeaderOutput[] = []
    if (!this.#isCommitted(this.#outstanding.first)) return outputs
    const followers: LearnerKey[] = []
    const observers: LearnerKey[] = []
    for (const learner of this.#learners.values()) if (this.#isForwarded(learner)) (learner.role === 'follower' ? followers : observers).push(learner.key)
    for (let next = this.#outstanding.first; this.#phase === 'broadcast' && this.#isCommitted(next); next = this.#outstanding.first) {
      const { transaction: { zxid, bytes }, config, acknowledged } = next
      this.#outstanding.drop(1)
      if (this.#loggedCount > 0) this.#loggedCount--
      if (config) {
        const successor = staysLeader(this.#facts.serverId, this.#config, config) ? undefined : successorOf(this.#facts.serverId, config, acknowledged.servers, [...this.#outstanding].map((later) => later.acknowledged.servers))
        const leader = Buffer.alloc(8)
        leader.writeBigInt64BE(BigInt(successor ?? this.#facts.serverId))
        outputs.push(...this.#activate(config))
        if (followers.length > 0) outputs.push({ kind: 'send', to: followers, packet: packetOf(packetType.commitAndActivate, zxid, leader) })
        if (observers.length > 0) outputs.push({ kind: 'send', to: observers, packet: packetOf(packetType.informAndActivate, zxid, Buffer.concat([leader, bytes])) })
        if (successor !== undefined) this.#handOver(successor)
      } else {
        if (followers.length > 0) outputs.push({ kind: 'send', to: followers, packet: packetOf(packetType.commit, zxid) })
        if (observers.length > 0) outputs.push({ kind: 'send', to: observers, packet: packetOf(packetType.inform, zxid, bytes) })
      }
      outputs.push({ kind: 'commit', zxid })
      const syncing = this.#syncs.get(zxid)
      if (!syncing) continue
      this.#syncs.delete(zxid)
      for (const key of syncing) if (this.#learners.has(key)) outputs.push({ kind: 'send', to: [key], packet: packetOf(packetType.sync, 0n) })
    }
    return outputs
  }
  #isCommitted(proposal: Proposal | undefined): proposal is Proposal {
    if (!proposal) return false
    const { acknowledged, configs } = proposal
    if (acknowledged.judged?.configs !== configs) acknowledged.judged = { configs, isQuorum: this.isQuorum(acknowledged.servers, configs) }
    return acknowledged.judged.isQuorum
  }
  /** A learner's client wants to see what is decided now: answered when everything proposed so far is committed. */
  sync(from: LearnerKey): LeaderOutput[] {
    if (this.#outstanding.length === 0) return [{ kind: 'send', to: [from], packet: packetOf(packetType.sync, 0n) }]
    const waiting = this.#syncs.get(this.#lastProposed)
    if (waiting) waiting.push(from)
    else this.#syncs.set(this.#lastProposed, [from])
    return []
  }

  // ---- time

  #ticked(now: number): LeaderOutput[] {
    const { tickMs, syncLimit, initLimit } = this.#facts
    const outputs: LeaderOutput[] = []
    this.#isHalf = !this.#isHalf
    this.#halfTicks++
    if (!this.#isHalf) {
      this.#tick++
      if (this.#phase === 'handingOver') {
        const over = this.#handedOver()
        if (over.length > 0) return over
      } else if (this.#phase !== 'broadcast') {
        if (this.#tick > initLimit) return this.#abdicate(`no quorum followed within initLimit (${initLimit} ticks): ${this.#missing()}`)
      } else {
        const alive = new Set([this.#facts.serverId])
        for (const { serverId, role, phase, deadline } of this.#learners.values()) {
          if (role === 'follower' && phase === 'synced' && this.#tick <= deadline && this.#isVoter(serverId)) alive.add(serverId)
        }
        if (!this.isQuorum(alive)) return this.#abdicate(`no quorum: of the voters only ${[...alive].map((id) => `server.${id}`).join(' and ')} is left`)
      }
    }
    for (const learner of this.#learners.values()) {
      if (this.#tick > learner.deadline) outputs.push(...this.#close(learner.key, `nothing was heard of server ${learner.serverId} for ${syncLimit} ticks`))
      else if (learner.waitedSince !== undefined && now - learner.waitedSince > syncLimit * tickMs)
        outputs.push(...this.#close(learner.key, `server ${learner.serverId} has not acknowledged ${hex(learner.acknowledged + 1n)} within ${syncLimit * tickMs} ms`))
    }
    if (this.#phase === 'broadcast') outputs.push(...this.#heldOnes())
    const pinged = [...this.#learners.values()].filter((learner) => learner.phase === 'synced' || learner.phase === 'synchronizing').map(({ key }) => key)
    if (pinged.length > 0 && this.#phase === 'broadcast') outputs.push({ kind: 'send', to: pinged, packet: packetOf(packetType.ping, this.#lastProposed) })
    return outputs
  }
  #missing(): string {
    const present = this.#phase === 'discovery' ? this.#connecting : this.#phase === 'epochAcknowledgement' ? this.#electing : this.#synced
    return `${this.#phase}, with servers ${[...present].join(', ')}`
  }
}
