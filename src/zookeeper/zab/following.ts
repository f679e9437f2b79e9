/** Drives a `Learner`: the connection to its leader, its epoch files, its log and its tree. */
import type { Connection, Host, Timer } from '../../host/host.ts'
import { MalformedError } from '../../wire/reader.ts'
import type { QuorumPacket } from '../protocol/quorum.ts'
import type { Configurations } from './configurations.ts'
import { connectToFirst } from './first-connection.ts'
import { Learner, type LearnerFacts, type LearnerOutput } from './learner.ts'
import { QuorumConnection } from './quorum-connection.ts'
import type { RoleEnd } from './leading.ts'
import { hostPort } from '../../wire/host-port.ts'
import type { QuorumConfig } from './quorum-config.ts'
import { quorumAddress } from './reconfiguration.ts'
import type { FollowingDoor, Replica } from './replica.ts'

/** The leader opens its port when its own election ends, a moment before or after ours: asked soon again at first, for a second in all. */
const connectPausesMs = [2, 3, 5, 10, 15, 25, 40, ...Array.from({ length: 18 }, () => 50)]

export interface FollowingOptions {
  readonly facts: LearnerFacts
  readonly leader: { readonly id: number; readonly addresses: readonly { readonly host: string; readonly quorumPort: number }[] }
  readonly tickMs: number
  readonly initLimit: number
  readonly syncLimit: number
  readonly configurations: Configurations
  readonly onServe: (epoch: number) => void
}

export class Following implements FollowingDoor {
  readonly leader: number
  takeSessions: FollowingDoor['takeSessions']
  onSynced: FollowingDoor['onSynced']
  onRevalidated: FollowingDoor['onRevalidated']
  readonly #host: Host
  readonly #replica: Replica
  readonly #options: FollowingOptions
  readonly #machine: Learner
  #connection: QuorumConnection | undefined
  #watch: Timer | undefined
  #heardAt = 0
  #isBusy = false
  #working: Promise<void> = Promise.resolve()
  #flushing = false
  #flushWanted = false
  #isOver = false
  #isInstalling = false
  #end: (end: RoleEnd) => void = () => {}
  readonly #ended: Promise<RoleEnd>
  /** What a new configuration leaves no room for; carried out once the transaction that brought it is applied. */
  #change: RoleEnd | undefined

  constructor(host: Host, replica: Replica, options: FollowingOptions) {
    this.#host = host
    this.#replica = replica
    this.#options = options
    this.leader = options.leader.id
    this.#machine = new Learner(options.facts)
    this.#ended = new Promise((resolve) => (this.#end = resolve))
  }

  /** Resolves with the reason why it follows no longer. */
  async run(): Promise<RoleEnd> {
    const { clock, timers, logger } = this.#host
    const socket = await this.#connect()
    if (typeof socket === 'string') return { reason: socket }
    this.#heardAt = clock.monotonic()
    const connection = new QuorumConnection(socket, timers, {
      received: () => {
        this.#heardAt = clock.monotonic()
        this.#take()
      },
      closed: (error) => this.stop(`the connection to the leader ended${error ? `: ${error.message}` : ''}`),
    })
    this.#connection = connection
    logger.debug('connected to the leader', { leader: this.leader, address: connection.address })
    let watchedAt = clock.monotonic()
    this.#watch = timers.every(this.#options.tickMs / 2, () => {
      // While this process stood still, what the leader said lies unread: that time does not count.
      const now = clock.monotonic()
      const lateMs = now - watchedAt - this.#options.tickMs / 2
      if (lateMs > 0) this.#heardAt = Math.min(now, this.#heardAt + lateMs)
      watchedAt = now
      const limit = this.#isSynced ? this.#options.syncLimit : this.#options.initLimit
      // What this server itself is busy with is not the leader's silence.
      if (this.#isBusy) this.#heardAt = clock.monotonic()
      else if (clock.monotonic() - this.#heardAt > limit * this.#options.tickMs) this.stop(`nothing was heard of the leader for ${limit} ticks`)
    })
    await this.#carryOut(this.#machine.step({ kind: 'connected' }))
    const end = await this.#ended
    this.#watch.cancel()
    connection.destroy()
    await this.#working
    if (this.#isInstalling) await this.#replica.abandonInstall()
    return end
  }
  stop(reason: string, successor?: number): void {
    this.#isOver = true
    this.#end({ reason, successor })
  }
  get #isSynced(): boolean {
    return this.#machine.phase === 'newLeader' || this.#machine.phase === 'broadcast'
  }

  async #connect(): Promise<Connection | string> {
    const { clock, timers, network } = this.#host
    const { leader, tickMs, initLimit } = this.#options
    const until = clock.monotonic() + tickMs * initLimit
    const addresses = leader.addresses.map(({ host, quorumPort: port }) => ({ host, port }))
    let last = ''
    for (const pauseMs of connectPausesMs) {
      if (this.#isOver) break
      const left = until - clock.monotonic()
      if (left <= 0) break
      try {
        return await connectToFirst(network, addresses, left)
      } catch (cause) {
        last = `${hostPort(addresses[0].host, addresses[0].port)}: ${(cause as Error).message}`
      }
      await timers.sleep(pauseMs)
    }
    return `the leader, server ${leader.id}, cannot be reached (${last})`
  }

  // ---- door

  send(packet: QuorumPacket): void {
    if (!this.#isOver) this.#connection?.send(packet)
  }

  // ---- the machine

  /** Takes packets one after the other, at once as long as their work needs no waiting. */
  #take(): void {
    const connection = this.#connection as QuorumConnection
    let commits = 0
    try {
      while (!this.#isBusy && !this.#isOver) {
        const packet = connection.input.packet()
        if (!packet) break
        const outputs = this.#machine.step({ kind: 'packet', packet })
        if (outputs.some(isSlow)) {
          this.#isBusy = true
          connection.pause()
          this.#working = this.#carryOut(outputs).then(
            () => {
              this.#isBusy = false
              this.#parted()
              if (this.#isOver) return
              connection.resume()
              this.#take()
            },
            (cause: unknown) => this.#failed(cause),
          )
        } else for (const output of outputs) {
          if (output.kind === 'commit') commits++
          this.#quick(output)
        }
        if (this.#change && !this.#isBusy) break
      }
    } catch (cause) {
      this.#failed(cause)
    }
    if (commits > 0) this.#replica.committedGroup()
    if (!this.#isBusy) this.#parted()
  }
  /** Where the reconfiguration has another leader or another role for this server, it ends here. */
  #parted(): void {
    const change = this.#change
    this.#change = undefined
    if (!change || this.#isOver) return
    this.#replica.committedGroup()
    this.stop(change.reason, change.successor)
  }
  #activated(config: QuorumConfig, leader: number | undefined): void {
    const { configurations, facts } = this.#options
    const before = configurations.committed
    if (!configurations.activate(config)) return
    const isObserver = facts.role === 'observer'
    if (leader !== undefined) {
      if (leader !== this.leader) this.#change = { reason: `server ${leader} leads after the reconfiguration`, successor: leader }
      else if (configurations.isObserver !== isObserver) this.#change = { reason: `this server has become ${isObserver ? 'a participant' : 'an observer'}`, successor: leader }
    } else if (configurations.isObserver !== isObserver || !config.voters.has(this.leader) || quorumAddress(before, this.leader) !== quorumAddress(config, this.leader))
      this.#change = { reason: 'the ensemble was reconfigured while this server was away' }
  }
  #failed(cause: unknown): void {
    this.#isBusy = false
    const error = cause as Error
    if (!(cause instanceof MalformedError || cause instanceof RangeError)) this.#host.logger.error('following the leader failed', { leader: this.leader, cause: error, stack: error.stack })
    this.stop(`${cause instanceof MalformedError ? 'what the leader sent cannot be read' : 'a failure here'}: ${error.message}`)
  }
  async #carryOut(outputs: readonly LearnerOutput[]): Promise<void> {
    for (const output of outputs) {
      if (this.#isOver) return
      switch (output.kind) {
        case 'persist':
          if (output.log) await this.#replica.flushed()
          if (output.acceptedEpoch !== undefined) await this.#replica.writeEpoch('acceptedEpoch', output.acceptedEpoch)
          if (output.currentEpoch !== undefined) await this.#replica.writeEpoch('currentEpoch', output.currentEpoch)
          for (const packet of output.afterwards) this.send(packet)
          break
        case 'truncate':
          this.#host.logger.info('the log is cut: the leader does not know what follows', { behind: `0x${output.zxid.toString(16)}` })
          await this.#replica.truncate(output.zxid)
          break
        case 'receiveSnapshot':
          await this.#receiveSnapshot(output.zxid)
          break
        case 'configSeen':
          await this.#options.configurations.see(output.config)
          break
        default:
          this.#quick(output)
      }
    }
  }
  #quick(output: LearnerOutput): void {
    switch (output.kind) {
      case 'send': return this.send(output.packet)
      case 'append':
        this.#replica.append(output)
        return this.#flushSoon()
      case 'commit': return this.#replica.commit(output.zxid)
      case 'configActivated': return this.#activated(output.config, output.leader)
      case 'serve':
        if (this.#change) return
        this.#options.onServe(output.epoch)
        return this.#replica.serve({ kind: this.#options.facts.role, epoch: output.epoch, following: this })
      case 'ping': return this.send({ ...output.packet, data: this.takeSessions?.() ?? Buffer.alloc(0), authinfo: null })
      case 'synced': return this.onSynced?.()
      case 'revalidated': return this.onRevalidated?.(output.sessionId, output.isValid)
      case 'abort': return this.stop(output.reason)
      case 'persist': case 'truncate': case 'receiveSnapshot': case 'configSeen': throw new Error(`${output.kind} needs waiting`)
      default: return output satisfies never
    }
  }
  async #receiveSnapshot(zxid: bigint): Promise<void> {
    const connection = this.#connection as QuorumConnection
    const { clock, timers, logger } = this.#host
    logger.info('the leader sends a snapshot', { zxid: `0x${zxid.toString(16)}` })
    this.#isInstalling = true
    const sink = this.#replica.beginInstall()
    connection.input.beginSnapshot()
    let heardAt = clock.monotonic()
    let seen = connection.input.received
    connection.resume()
    while (!connection.input.snapshot(sink)) {
      if (this.#isOver) return
      await new Promise<void>((done) => timers.endOfTurn(done))
      if (connection.input.received === seen) {
        if (clock.monotonic() - heardAt > this.#options.initLimit * this.#options.tickMs) return this.stop('the leader stopped in the middle of its snapshot')
        await timers.sleep(1)
      } else {
        seen = connection.input.received
        heardAt = clock.monotonic()
      }
    }
    connection.pause()
    await this.#replica.finishInstall(zxid)
    this.#isInstalling = false
  }
  #flushSoon(): void {
    if (this.#flushing) {
      this.#flushWanted = true
      return
    }
    this.#flushing = true
    this.#host.timers.endOfTurn(() => void this.#flush())
  }
  async #flush(): Promise<void> {
    try {
      do {
        this.#flushWanted = false
        const zxid = await this.#replica.flushed()
        if (this.#isOver) return
        for (const output of this.#machine.step({ kind: 'logged', zxid })) this.#quick(output)
      } while (this.#flushWanted)
    } catch (cause) {
      this.#failed(cause)
    } finally {
      this.#flushing = false
    }
  }
}

const isSlow = ({ kind }: LearnerOutput): boolean => kind === 'persist' || kind === 'truncate' || kind === 'receiveSnapshot' || kind === 'configSeen'
