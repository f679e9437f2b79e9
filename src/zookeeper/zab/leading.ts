/** Drives a `Leader`: its port, the connections of its learners, its epoch files and its log. */
import type { Host, ListenerSocket, Timer } from '../../host/host.ts'
import { MalformedError } from '../../wire/reader.ts'
import { snapshotSignature, type QuorumPacket } from '../protocol/quorum.ts'
import type { ErrorCode } from '../protocol/errors.ts'
import type { CommittedTransaction } from './committed-log.ts'
import type { Configurations } from './configurations.ts'
import type { QuorumConfig } from './quorum-config.ts'
import { nextConfig, type ReconfigurationRequest } from './reconfiguration.ts'
import { packetOf } from './learner.ts'
import { Leader, type LeaderFacts, type LeaderInput, type LeaderOutput } from './leader.ts'
import { QuorumConnection } from './quorum-connection.ts'
import { packetType } from '../protocol/quorum.ts'
import type { LeadingDoor, LearnerCounts, Replica } from './replica.ts'

/** Connections that have not introduced themselves are nobody's; more than these wait outside. */
const learnersMax = 1000
const complaintMs = 30_000

export interface LeadingOptions {
  readonly facts: Omit<LeaderFacts, 'committed' | 'lastProcessed' | 'now'>
  /** All of its own addresses. */
  readonly listen: readonly { readonly host: string | undefined; readonly port: number }[]
  readonly configurations: Configurations
  /** Called when the epoch is established. */
  readonly onLead: (epoch: number) => void
}
/** Why a role ended, and who shall lead next where that is decided already. */
export interface RoleEnd {
  readonly reason: string
  readonly successor?: number | undefined
}

export class Leading implements LeadingDoor {
  onRequest: LeadingDoor['onRequest']
  onRevalidate: LeadingDoor['onRevalidate']
  onAlive: LeadingDoor['onAlive']
  readonly #host: Host
  readonly #replica: Replica
  readonly #options: LeadingOptions
  readonly #machine: Leader
  readonly #connections = new Map<number, QuorumConnection>()
  #nextKey = 1
  readonly #listeners: ListenerSocket[] = []
  #ticks: Timer | undefined
  #outputs: LeaderOutput[] = []
  #isRunning = false
  #isReceiving = false
  #hasCommitted = false
  #flushing = false
  #flushWanted = false
  #ledSince = 0
  /** When it was last said that there are two servers of this number. */
  readonly #doubles = new Map<number, number>()
  #end: (end: RoleEnd) => void = () => {}
  readonly #ended: Promise<RoleEnd>
  #isOver = false

  constructor(host: Host, replica: Replica, options: LeadingOptions) {
    this.#host = host
    this.#replica = replica
    this.#options = options
    this.#machine = new Leader({ ...options.facts, committed: () => replica.committed, lastProcessed: () => replica.lastProcessed, now: host.clock.monotonic() })
    this.#ended = new Promise((resolve) => (this.#end = resolve))
  }

  /** Resolves with the reason why it leads no longer. */
  async run(): Promise<RoleEnd> {
    const { listen, facts } = this.#options
    for (const address of listen) {
      try {
        this.#listeners.push(await this.#host.network.listen(address, (socket) => this.#accept(socket)))
      } catch (cause) {
        await this.#closeListeners()
        return { reason: `cannot listen on ${address.host ?? '*'}:${address.port} for learners: ${(cause as Error).message}` }
      }
    }
    this.#ticks = this.#host.timers.every(facts.tickMs / 2, () => this.#step({ kind: 'ticked', now: this.#host.clock.monotonic() }))
    this.#do(this.#machine.begin())
    const end = await this.#ended
    this.#isOver = true
    this.#ticks.cancel()
    for (const connection of this.#connections.values()) connection.destroy()
    this.#connections.clear()
    await this.#closeListeners()
    return end
  }
  async #closeListeners(): Promise<void> {
    await Promise.all(this.#listeners.splice(0).map((listener) => listener.close()))
  }
  stop(reason: string, successor?: number): void {
    this.#isOver = true
    this.#end({ reason, successor })
  }

  // ---- door

  get isLeading(): boolean {
    return !this.#isOver && this.#machine.isEstablished
  }
  propose(transaction: CommittedTransaction): void {
    if (this.#isOver) return
    this.#step({ kind: 'propose', transaction, now: this.#host.clock.monotonic() })
    this.#flushSoon()
  }
  nextConfig(request: ReconfigurationRequest, zxid: bigint, standaloneEnabled: boolean): QuorumConfig | ErrorCode {
    return nextConfig(request, { ...this.#machine.configs, zxid, standaloneEnabled, isSynced: (config) => this.#machine.isSynced(config) })
  }
  sync(learner: number): void {
    this.#do(this.#machine.sync(learner))
  }
  send(learner: number, packet: QuorumPacket): void {
    this.#do([{ kind: 'send', to: [learner], packet }])
  }
  get outstanding(): number {
    return this.#machine.outstanding
  }
  readonly followers = (): LearnerCounts => {
    const all = this.#machine.learners()
    const followers = all.filter(({ role }) => role === 'follower')
    const synced = followers.filter(({ isSynced }) => isSynced)
    return {
      total: followers.length, synced: synced.length, syncedNonVoting: synced.filter(({ isVoter }) => !isVoter).length, observers: all.length - followers.length,
      syncedObservers: all.filter(({ role, isSynced }) => role === 'observer' && isSynced).map(({ key, serverId }) => {
        const connection = this.#connections.get(key)
        return { serverId, address: connection?.address ?? '', queuedSize: connection?.unsent ?? 0 }
      }),
      pendingSyncs: this.#machine.pendingSyncs, leadingMs: this.#host.clock.monotonic() - this.#ledSince,
    }
  }

  // ---- connections

  #accept(socket: Parameters<Parameters<Host['network']['listen']>[1]>[0]): void {
    if (this.#isOver || this.#connections.size >= learnersMax) {
      socket.onClose(() => {})
      socket.destroy()
      return
    }
    const key = this.#nextKey++
    const connection = new QuorumConnection(socket, this.#host.timers, {
      received: () => this.#received(key, connection),
      closed: (error) => {
        if (!this.#connections.delete(key)) return
        this.#host.logger.info('a learner has left', { address: connection.address, ...(error && { cause: error.message }) })
        this.#step({ kind: 'disconnected', from: key })
      },
    })
    this.#connections.set(key, connection)
    // Who connects and says nothing is not waited for longer than for a quorum.
    const { initLimit, tickMs } = this.#options.facts
    this.#host.timers.set(initLimit * tickMs, () => {
      if (!this.#introduced.has(key)) connection.destroy()
      this.#introduced.delete(key)
    })
  }
  readonly #introduced = new Set<number>()
  #received(key: number, connection: QuorumConnection): void {
    const now = this.#host.clock.monotonic()
    this.#isReceiving = true
    try {
      while (!this.#isOver && this.#connections.has(key)) {
        const packet = connection.input.packet()
        if (!packet) break
        this.#introduced.add(key)
        this.#step({ kind: 'packet', from: key, packet, now })
      }
    } catch (cause) {
      const error = cause as Error
      const isMalformed = cause instanceof MalformedError || cause instanceof RangeError
      if (!isMalformed) this.#host.logger.error('a learner met a bug of the leader', { address: connection.address, cause: error, stack: error.stack })
      this.#closeLearner(key, isMalformed ? `what it sent cannot be read: ${error.message}` : 'a bug of this server')
      this.#step({ kind: 'disconnected', from: key })
    } finally {
      this.#isReceiving = false
      this.#groupCommitted()
    }
  }
  #closeLearner(key: number, reason: string): void {
    const connection = this.#connections.get(key)
    if (!connection) return
    this.#connections.delete(key)
    this.#host.logger.warn('the connection of a learner is closed', { address: connection.address, reason })
    connection.destroy()
  }

  // ---- the machine

  #step(input: LeaderInput): void {
    if (!this.#isOver) this.#do(this.#machine.step(input))
  }
  /** Carries outputs out in order, also those that come up meanwhile. */
  #do(outputs: readonly LeaderOutput[]): void {
    if (this.#isRunning) return void this.#outputs.push(...outputs)
    if (outputs.length > 0) {
      this.#isRunning = true
      try {
        for (const output of outputs) this.#next(output)
        for (let at = 0; at < this.#outputs.length; at++) this.#next(this.#outputs[at])
      } finally {
        if (this.#outputs.length > 0) this.#outputs = []
        this.#isRunning = false
      }
    }
    if (!this.#isReceiving) this.#groupCommitted()
  }
  #next(output: LeaderOutput): void {
    if (this.#isOver) return
    if (output.kind === 'commit') this.#hasCommitted = true
    this.#carryOut(output)
  }
  /** Answers leave once for all the acknowledgements that came together. */
  #groupCommitted(): void {
    if (!this.#hasCommitted) return
    this.#hasCommitted = false
    this.#replica.committedGroup()
  }
  #carryOut(output: LeaderOutput): void {
    switch (output.kind) {
      case 'send':
        for (const key of output.to) this.#connections.get(key)?.send(output.packet)
        return
      case 'sendSnapshot': {
        const connection = this.#connections.get(output.to)
        if (connection) void this.#sendSnapshot(connection, output.zxid)
        return
      }
      case 'readHistory': return void this.#readHistory(output.to, output.from, output.below)
      case 'persist': return void this.#persist(output.name, output.epoch)
      case 'lead':
        this.#ledSince = this.#host.clock.monotonic()
        this.#host.logger.info('this server leads', { epoch: output.epoch, zxid: `0x${output.zxid.toString(16)}` })
        this.#options.onLead(output.epoch)
        this.#replica.serve({ kind: 'leader', epoch: output.epoch, zxid: output.zxid, leading: this })
        return
      case 'commit': return this.#replica.commit(output.zxid)
      case 'request': return this.onRequest?.(output.from, output.packet)
      case 'revalidate': return this.onRevalidate?.(output.from, output.packet)
      case 'alive': return this.onAlive?.(output.from, output.sessions)
      case 'double': return this.#complainOfDouble(output.learner, output.serverId)
      case 'close': return this.#closeLearner(output.learner, output.reason)
      case 'configSeen': {
        const seen = this.#options.configurations.see(output.config)
        // A history whose configuration this server does not know could be led, after a crash, by the members of before alone: the log waits, and with it
        // this server's own acknowledgement.
        this.#replica.hold(seen)
        return void seen.catch((cause: unknown) => this.stop(`the proposed configuration cannot be written: ${(cause as Error).message}`))
      }
      case 'configActivated': return void this.#options.configurations.activate(output.config)
      case 'abdicate': return this.stop(output.reason, output.successor)
      default: return output satisfies never
    }
  }
  /** Once in a while for each of them. */
  #complainOfDouble(key: number, serverId: number): void {
    const now = this.#host.clock.monotonic()
    if (now - (this.#doubles.get(serverId) ?? -Infinity) < complaintMs) return
    this.#doubles.set(serverId, now)
    const others = [...this.#connections].filter(([other]) => other !== key).map(([, { address }]) => address)
    this.#host.logger.warn('a server is connected twice: it has come back faster than its last connection ended, or two servers have the same myid; every server needs one of its own', {
      myid: serverId, address: this.#connections.get(key)?.address, others: others.join(' '),
    })
  }
  async #readHistory(to: number, from: bigint, below: bigint): Promise<void> {
    let transactions: readonly CommittedTransaction[] | undefined
    try {
      transactions = await this.#replica.history(from, below)
    } catch (cause) {
      // Damage in old logs is no reason to turn somebody away: a snapshot needs none of them.
      this.#host.logger.warn('the logs cannot be read for a learner; it is sent a snapshot', { cause: (cause as Error).message })
    }
    this.#host.logger.info('a learner was away longer than memory reaches', { last: `0x${from.toString(16)}`, fromLogs: transactions?.length ?? 'not there, or more than a snapshot' })
    this.#step({ kind: 'history', from: to, transactions })
  }
  async #persist(name: 'acceptedEpoch' | 'currentEpoch', epoch: number): Promise<void> {
    try {
      await this.#replica.writeEpoch(name, epoch)
    } catch (cause) {
      return this.stop(`${name} could not be written: ${(cause as Error).message}`)
    }
    this.#step({ kind: 'persisted', name })
  }
  async #sendSnapshot(connection: QuorumConnection, zxid: bigint): Promise<void> {
    const signature = Buffer.alloc(4 + snapshotSignature.length)
    signature.writeInt32BE(snapshotSignature.length)
    signature.write(snapshotSignature, 4, 'latin1')
    const { pieces, close } = this.#replica.beginSnapshot()
    this.#host.logger.info('a learner is sent a snapshot', { address: connection.address, zxid: `0x${zxid.toString(16)}` })
    try {
      await connection.sendSnapshot(packetOf(packetType.snap, zxid), (function* () {
        yield* pieces
        yield signature
      })())
    } finally {
      close()
    }
  }
  /** All proposals of a turn share one flush. */
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
        this.#step({ kind: 'logged', zxid })
      } while (this.#flushWanted && !this.#isOver)
    } catch (cause) {
      this.stop(`the transaction log cannot be written: ${(cause as Error).message}`)
    } finally {
      this.#flushing = false
    }
  }
}
