/**
 * A follower or an observer, from its first packet to its leader until they part (reference §5.2, §5.4, §5.5). A machine: packets and
 * finished work come in, packets and work go out. What has to be durable before something is said stands in `persist`: `afterwards` is sent
 * when all of it is on the device, and never before. Outputs are carried out in order; a packet is given only when the work of the one
 * before it is done.
 */
import { MalformedError } from '../../wire/reader.ts'
import { LearnerInfo, packetType, type QuorumPacket } from '../protocol/quorum.ts'
import { Backlog } from './backlog.ts'
import { parseQuorumConfig, QuorumConfigError, type QuorumConfig } from './quorum-config.ts'
import { reconfigurationIn } from './reconfiguration.ts'

export interface LearnerFacts {
  readonly serverId: number
  readonly role: 'follower' | 'observer'
  readonly acceptedEpoch: number
  readonly currentEpoch: number
  /** Of the last transaction in the log. */
  readonly lastZxid: bigint
  /** Version of the ensemble's configuration that this server knows. */
  readonly configVersion: bigint
  /** Without it what the leader says of configurations is passed over. */
  readonly reconfigEnabled?: boolean
}
export type LearnerInput =
  | { readonly kind: 'connected' }
  | { readonly kind: 'packet'; readonly packet: QuorumPacket }
  /** Everything appended up to this zxid is durable. */
  | { readonly kind: 'logged'; readonly zxid: bigint }
export type LearnerOutput =
  | { readonly kind: 'send'; readonly packet: QuorumPacket }
  /** Make the epoch durable and, where `log` is set, first everything appended; then send. */
  | { readonly kind: 'persist'; readonly log: boolean; readonly acceptedEpoch?: number; readonly currentEpoch?: number; readonly afterwards: readonly QuorumPacket[] }
  /** Cut the log behind this transaction, and make the tree what it was then. */
  | { readonly kind: 'truncate'; readonly zxid: bigint }
  /** What follows on the connection is a snapshot: replace tree and files by it, durably. */
  | { readonly kind: 'receiveSnapshot'; readonly zxid: bigint }
  /** Write a proposal to the log; say so with `logged` when it is durable. */
  | { readonly kind: 'append'; readonly zxid: bigint; readonly bytes: Buffer }
  /** Apply the oldest transaction appended and not applied. */
  | { readonly kind: 'commit'; readonly zxid: bigint }
  /** This configuration is proposed: make it durable, and only then go on. */
  | { readonly kind: 'configSeen'; readonly config: QuorumConfig }
  /** It is in force; `leader`: who leads from here on, where that is said. */
  | { readonly kind: 'configActivated'; readonly config: QuorumConfig; readonly leader: number | undefined }
  /** Clients may be served. */
  | { readonly kind: 'serve'; readonly epoch: number }
  /** The oldest sync that was asked for is done. */
  | { readonly kind: 'synced' }
  | { readonly kind: 'ping'; readonly packet: QuorumPacket }
  | { readonly kind: 'revalidated'; readonly sessionId: bigint; readonly isValid: boolean }
  /** Part from the leader: why. */
  | { readonly kind: 'abort'; readonly reason: string }

type Phase = 'connecting' | 'discovery' | 'synchronization' | 'proposals' | 'newLeader' | 'broadcast' | 'ended'

export const protocolVersion = 0x10000
const hex = (zxid: bigint): string => `0x${BigInt.asUintN(64, zxid).toString(16)}`
export const packetOf = (type: number, zxid: bigint, data: Buffer | null = null): QuorumPacket => ({ type, zxid, data, authinfo: null })
const nameOf = (type: number): string => Object.entries(packetType).find(([, value]) => value === type)?.[0] ?? String(type)

export class Learner {
  readonly #facts: LearnerFacts
  #phase: Phase = 'connecting'
  #epoch = 0
  /** Appended and not committed yet, oldest first. */
  readonly #pending = new Backlog<bigint>()
  #last: bigint
  /** Durable and not acknowledged: until UPTODATE the leader expects nothing but the acknowledgement of its epoch. */
  #unacknowledged: bigint[] = []
  /** Appended and not durable yet. */
  readonly #toLog = new Backlog<bigint>()
  /** Configurations that pending transactions bring. */
  readonly #proposed = new Map<bigint, QuorumConfig>()
  /** What came with NEWLEADER: in force with UPTODATE, unless this leader is only proposing it. */
  #leadersConfig: QuorumConfig | undefined

  constructor(facts: LearnerFacts) {
    this.#facts = facts
    this.#last = facts.lastZxid
  }

  get phase(): Phase {
    return this.#phase
  }
  get epoch(): number {
    return this.#epoch
  }

  step(input: LearnerInput): LearnerOutput[] {
    if (this.#phase === 'ended') return []
    switch (input.kind) {
      case 'connected': return this.#connected()
      case 'packet': return this.#packet(input.packet)
      case 'logged': return this.#logged(input.zxid)
      default: return input satisfies never
    }
  }

  #connected(): LearnerOutput[] {
    const { serverId, role, acceptedEpoch, configVersion } = this.#facts
    this.#phase = 'discovery'
    const info = LearnerInfo.encode({ serverid: BigInt(serverId), protocolVersion, configVersion })
    return [{ kind: 'send', packet: packetOf(role === 'follower' ? packetType.followerInfo : packetType.observerInfo, BigInt(acceptedEpoch) << 32n, info) }]
  }
  #abort(reason: string): LearnerOutput[] {
    this.#phase = 'ended'
    return [{ kind: 'abort', reason }]
  }

  #packet(packet: QuorumPacket): LearnerOutput[] {
    try {
      return this.#understood(packet)
    } catch (error) {
      if (!(error instanceof QuorumConfigError || error instanceof MalformedError)) throw error
      return this.#abort(`the leader's configuration of the ensemble cannot be read: ${error.message}`)
    }
  }
  #understood(packet: QuorumPacket): LearnerOutput[] {
    switch (this.#phase) {
      case 'discovery': return this.#leaderInfo(packet)
      case 'synchronization': return this.#howToSynchronize(packet)
      case 'proposals': return this.#synchronizing(packet)
      case 'newLeader': return this.#beforeUpToDate(packet)
      case 'broadcast': return this.#broadcast(packet)
      default: return this.#abort(`a ${nameOf(packet.type)} before anything was asked`)
    }
  }
  #leaderInfo({ type, zxid, data }: QuorumPacket): LearnerOutput[] {
    if (type !== packetType.leaderInfo) return this.#abort(`the leader began with ${nameOf(type)} instead of LEADERINFO`)
    if (!data || data.length < 4 || data.readInt32BE(0) < protocolVersion) return this.#abort('the leader speaks a protocol of before ZooKeeper 3.4')
    const { acceptedEpoch, currentEpoch, lastZxid } = this.#facts
    const epoch = Number(zxid >> 32n)
    if (epoch < acceptedEpoch) return this.#abort(
      `the leader proposes epoch ${epoch}, and this server has accepted epoch ${acceptedEpoch} already: its files come from another ensemble, or those of the other servers were replaced by older ones. ` +
        'If the others are right, move the files of its folder version-2 away and start it again: the leader then sends everything',
    )
    this.#epoch = epoch
    this.#phase = 'synchronization'
    const answer = Buffer.alloc(4)
    // Promised already: such an answer counts for no quorum (§8 trap 27).
    answer.writeInt32BE(epoch === acceptedEpoch ? -1 : currentEpoch)
    const answerPacket = packetOf(packetType.ackEpoch, lastZxid, answer)
    return epoch > acceptedEpoch ? [{ kind: 'persist', log: false, acceptedEpoch: epoch, afterwards: [answerPacket] }] : [{ kind: 'send', packet: answerPacket }]
  }
  #howToSynchronize({ type, zxid }: QuorumPacket): LearnerOutput[] {
    switch (type) {
      case packetType.diff:
        this.#phase = 'proposals'
        return []
      case packetType.trunc:
        this.#phase = 'proposals'
        this.#last = zxid
        return [{ kind: 'truncate', zxid }]
      case packetType.snap:
        this.#phase = 'proposals'
        this.#last = zxid
        return [{ kind: 'receiveSnapshot', zxid }]
      default: return this.#abort(`the leader sent ${nameOf(type)} where DIFF, TRUNC or SNAP had to come`)
    }
  }
  #synchronizing(packet: QuorumPacket): LearnerOutput[] {
    const { type, data } = packet
    switch (type) {
      case packetType.proposal: return this.#append(packet)
      // Here Apache's own learner passes over a commit without its proposal.
      case packetType.commit: return this.#pending.first === packet.zxid ? this.#commit(packet.zxid) : []
      case packetType.commitAndActivate: return this.#pending.first === packet.zxid ? this.#commitAndActivate(packet) : []
      case packetType.inform: return this.#inform(packet)
      case packetType.informAndActivate: return this.#informAndActivate(packet)
      case packetType.newLeader: {
        this.#phase = 'newLeader'
        const outputs: LearnerOutput[] = []
        if (this.#facts.reconfigEnabled && data && data.length > 1) {
          this.#leadersConfig = parseQuorumConfig(data.toString('utf8'))
          outputs.push({ kind: 'configSeen', config: this.#leadersConfig })
        }
        const acknowledgement = packetOf(packetType.ack, packet.zxid)
        return [...outputs, { kind: 'persist', log: true, currentEpoch: this.#epoch, afterwards: [acknowledgement] }]
      }
      default: return this.#others(packet)
    }
  }
  #beforeUpToDate(packet: QuorumPacket): LearnerOutput[] {
    switch (packet.type) {
      case packetType.proposal: return this.#append(packet)
      case packetType.commit: return this.#commit(packet.zxid)
      case packetType.commitAndActivate: return this.#commitAndActivate(packet)
      case packetType.inform: return this.#inform(packet)
      case packetType.informAndActivate: return this.#informAndActivate(packet)
      case packetType.upToDate: {
        this.#phase = 'broadcast'
        const held = this.#unacknowledged
        this.#unacknowledged = []
        return [
          ...(this.#leadersConfig && !this.#isOnItsWay(this.#leadersConfig) ? [{ kind: 'configActivated', config: this.#leadersConfig, leader: undefined } as const] : []),
          { kind: 'send', packet: packetOf(packetType.ack, BigInt(this.#epoch) << 32n) },
          ...held.map((zxid): LearnerOutput => ({ kind: 'send', packet: packetOf(packetType.ack, zxid) })),
          { kind: 'serve', epoch: this.#epoch },
        ]
      }
      default: return this.#others(packet)
    }
  }
  /**
   * NEWLEADER names the latest configuration, which a leader that has been established for long may have proposed a moment ago. Were it in force here
   * already, this server could elect with members that nobody else counts; it comes again with its commit.
   */
  #isOnItsWay({ version }: QuorumConfig): boolean {
    const isOfThisLeader = version >> 32n === BigInt(this.#epoch) && (version & 0xffff_ffffn) !== 0n
    return isOfThisLeader && (version > this.#last || this.#proposed.has(version))
  }
  #broadcast(packet: QuorumPacket): LearnerOutput[] {
    switch (packet.type) {
      case packetType.proposal: return this.#append(packet)
      case packetType.commit: return this.#commit(packet.zxid)
      case packetType.commitAndActivate: return this.#commitAndActivate(packet)
      case packetType.inform: return this.#inform(packet)
      case packetType.informAndActivate: return this.#informAndActivate(packet)
      // A second one is a leader's way to say nothing.
      case packetType.upToDate: return []
      default: return this.#others(packet)
    }
  }
  #others(packet: QuorumPacket): LearnerOutput[] {
    switch (packet.type) {
      case packetType.ping: return [{ kind: 'ping', packet }]
      case packetType.sync: return [{ kind: 'synced' }]
      case packetType.revalidate: {
        const { data } = packet
        if (!data || data.length < 9) return this.#abort(`a REVALIDATE of ${data?.length ?? 0} bytes`)
        return [{ kind: 'revalidated', sessionId: data.readBigInt64BE(0), isValid: data[8] !== 0 }]
      }
      default: return this.#abort(`the leader sent ${nameOf(packet.type)} during ${this.#phase}`)
    }
  }

  #append({ zxid, data }: QuorumPacket): LearnerOutput[] {
    if (!data) return this.#abort(`proposal ${hex(zxid)} without a transaction`)
    const isNext = zxid === this.#last + 1n || (zxid >> 32n > this.#last >> 32n && zxid > this.#last)
    if (!isNext) return this.#abort(`proposal ${hex(zxid)} follows ${hex(this.#last)}: what stood between them is missing`)
    this.#last = zxid
    this.#pending.push(zxid)
    this.#toLog.push(zxid)
    const config = this.#facts.reconfigEnabled ? reconfigurationIn(data) : undefined
    if (!config) return [{ kind: 'append', zxid, bytes: data }]
    this.#proposed.set(zxid, config)
    return [{ kind: 'configSeen', config }, { kind: 'append', zxid, bytes: data }]
  }
  #commit(zxid: bigint): LearnerOutput[] {
    if (this.#pending.first !== zxid)
      return this.#abort(`the leader committed ${hex(zxid)}, and the oldest proposal here is ${this.#pending.first === undefined ? 'none' : hex(this.#pending.first)}`)
    this.#pending.shift()
    // Committed before this leader began: what is in force comes with NEWLEADER.
    if (this.#proposed.size > 0) this.#proposed.delete(zxid)
    return [{ kind: 'commit', zxid }]
  }
  /** In force before it is applied: the client that asked for it is told the new configuration. */
  #commitAndActivate({ zxid, data }: QuorumPacket): LearnerOutput[] {
    const config = this.#proposed.get(zxid)
    this.#proposed.delete(zxid)
    const committed = this.#commit(zxid)
    if (!config || committed[0].kind === 'abort') return committed
    return [{ kind: 'configActivated', config, leader: data && data.length >= 8 ? Number(data.readBigInt64BE(0)) : undefined }, ...committed]
  }
  /** An observer hears of a transaction when it is committed. */
  #inform(packet: QuorumPacket): LearnerOutput[] {
    const appended = this.#append(packet)
    return appended[0].kind === 'abort' ? appended : [...appended, ...this.#commit(packet.zxid)]
  }
  #informAndActivate(packet: QuorumPacket): LearnerOutput[] {
    if (!packet.data || packet.data.length < 8) return this.#abort('an INFORMANDACTIVATE that is too short')
    const appended = this.#append({ ...packet, data: packet.data.subarray(8) })
    return appended[0].kind === 'abort' ? appended : [...appended, ...this.#commitAndActivate(packet)]
  }

  #logged(zxid: bigint): LearnerOutput[] {
    // One acknowledgement for each proposal, in order.
    const outputs: LearnerOutput[] = []
    for (let done = this.#toLog.first; done !== undefined && done <= zxid; done = this.#toLog.first) {
      this.#toLog.drop(1)
      if (this.#facts.role === 'observer') continue
      if (this.#phase === 'broadcast') outputs.push({ kind: 'send', packet: packetOf(packetType.ack, done) })
      else this.#unacknowledged.push(done)
    }
    return outputs
  }
}
