/** One member of an ensemble: looks for a leader, leads, follows or observes until that ends, and looks again. */
import type { Host } from '../../host/host.ts'
import { Following } from './following.ts'
import { Leading } from './leading.ts'
import type { Configurations } from './configurations.ts'
import type { QuorumConfig } from './quorum-config.ts'
import type { Replica } from './replica.ts'
import type { PeerState, ServerId, SettledState, Vote } from './vote.ts'

/** What a peer needs of the election: `ElectionDriver` is one. */
export interface Elections {
  /** From the call on this peer is looking. Rejects once the election is shut down. */
  lookForLeader(history: { zxid: bigint; epoch: number }): Promise<Vote>
  setState(state: SettledState, vote: Vote): void
  /** From now on these have to agree. */
  setConfig(config: QuorumConfig, lastSeen: QuorumConfig): void
  shutdown(): Promise<void>
}
export interface PeerOptions {
  readonly configurations: Configurations
  readonly elections: Elections
  readonly tickMs: number
  /** In ticks. */
  readonly initLimit: number
  readonly syncLimit: number
  readonly forceSnapshot?: boolean
  /** Listen on all addresses, not on the one of the server's own line (`quorumListenOnAllIPs`). */
  readonly listenOnAll?: boolean
  /** How long no leader is found before reads are served without one; undefined: never. */
  readonly readOnlyAfterMs?: number
  /** Called once when the peer cannot go on. */
  readonly onFailure: (error: unknown) => void
}

/** Whoever fails again and again before it serves tries again after a while; what it says is repeated seldom. */
const retry = { freeCount: 3, msMin: 50, msMax: 1000, repeatMs: 30_000 } as const
/** An observer that lost its leader waits at random up to this long, so that not all come back at once. */
const observerPauseMs = 200

export class Peer {
  readonly #host: Host
  readonly #replica: Replica
  readonly #options: PeerOptions
  #state: PeerState = 'looking'
  #leader: ServerId | undefined
  #role: Leading | Following | undefined
  #isStopping = false
  /** Attempts in a row that ended before clients were served. */
  #failureCount = 0
  #said: { reason: string; at: number; count: number } | undefined
  #running: Promise<void> = Promise.resolve()

  constructor(host: Host, replica: Replica, options: PeerOptions) {
    this.#host = { ...host, logger: host.logger.named('zookeeper.zab') }
    this.#replica = replica
    this.#options = options
    const { configurations, elections } = options
    configurations.onChange.push(() => elections.setConfig(configurations.committed, configurations.lastSeen))
  }

  get state(): PeerState {
    return this.#state
  }
  /** Who leads, as far as this peer knows. */
  get leader(): ServerId | undefined {
    return this.#leader
  }
  start(): void {
    this.#running = this.#run().catch((error: unknown) => {
      if (!this.#isStopping) this.#options.onFailure(error)
    })
  }
  async stop(): Promise<void> {
    this.#isStopping = true
    await this.#options.elections.shutdown()
    this.#role?.stop('this server is stopping')
    await this.#running
  }

  async #run(): Promise<void> {
    const { elections, configurations } = this.#options
    const { serverId } = configurations
    const { logger } = this.#host
    // After a reconfiguration it may be known who leads: then there is no election.
    let successor: ServerId | undefined
    let vote: Vote = { leader: serverId, zxid: 0n, electionEpoch: 0, peerEpoch: 0 }
    while (!this.#isStopping) {
      this.#state = 'looking'
      this.#leader = undefined
      await configurations.written()
      const { acceptedEpoch, currentEpoch } = await this.#replica.epochs()
      const lastZxid = this.#replica.lastProcessed
      const alone = this.#serveAloneLater()
      try {
        vote = successor === undefined ? await elections.lookForLeader({ zxid: lastZxid, epoch: currentEpoch }) : { ...vote, leader: successor, zxid: lastZxid }
      } catch (error) {
        if (this.#isStopping) return
        throw error
      } finally {
        await alone.end()
      }
      if (this.#isStopping) return
      this.#leader = vote.leader
      const settled = vote
      let hasServed = false
      const settle = (state: SettledState) => (epoch: number) => {
        hasServed = true
        elections.setState(state, { ...settled, peerEpoch: epoch })
      }
      await this.#pauseAfterFailures()
      if (this.#isStopping) return
      // Who is no member follows, and votes for nothing.
      const state = vote.leader === serverId ? 'leading' : configurations.isObserver ? 'observing' : 'following'
      if (successor !== undefined) elections.setState(state, vote)
      successor = undefined
      if (state === 'leading') this.#lead({ acceptedEpoch, currentEpoch, lastZxid }, settle('leading'))
      else {
        if (!this.#follow(vote.leader, state, { acceptedEpoch, currentEpoch, lastZxid }, settle(state))) {
          logger.warn('the elected leader is no member of the configuration here', { leader: vote.leader })
          await this.#host.timers.sleep(this.#options.tickMs)
          continue
        }
      }
      const role = this.#role as Leading | Following
      const began = this.#host.clock.monotonic()
      const { reason, successor: next } = await role.run()
      successor = next
      this.#failureCount = hasServed || next !== undefined ? 0 : this.#failureCount + 1
      this.#sayEnd(reason, vote.leader, this.#host.clock.monotonic() - began, next !== undefined)
      this.#role = undefined
      await this.#replica.stopServing()
      if (this.state === 'observing' && !this.#isStopping && successor === undefined) await this.#host.timers.sleep(this.#host.random.below(observerPauseMs))
    }
  }
  async #pauseAfterFailures(): Promise<void> {
    const beyond = this.#failureCount - retry.freeCount
    if (beyond >= 0) await this.#host.timers.sleep(Math.min(retry.msMax, retry.msMin * 2 ** beyond))
  }
  #sayEnd(reason: string, leader: ServerId, afterMs: number, isPlanned: boolean): void {
    const now = this.#host.clock.monotonic()
    const isRepeated = this.#failureCount > 1 && this.#said?.reason === reason
    if (isRepeated && this.#said) {
      this.#said.count++
      if (now - this.#said.at < retry.repeatMs) return
    }
    const count = isRepeated ? this.#said?.count : undefined
    this.#said = { reason, at: now, count: 0 }
    this.#host.logger[this.#isStopping || isPlanned ? 'info' : 'warn'](`no longer ${this.state}`, { leader, reason, afterMs: Math.round(afterMs), ...(count !== undefined && { repeated: count }) })
  }
  #serveAloneLater(): { end(): Promise<void> } {
    const { readOnlyAfterMs } = this.#options
    let isServing = false
    const timer = readOnlyAfterMs === undefined ? undefined : this.#host.timers.set(readOnlyAfterMs, () => {
      if (this.#isStopping) return
      isServing = true
      this.#replica.serveReadOnly()
    })
    return {
      end: async () => {
        timer?.cancel()
        if (isServing) await this.#replica.stopServing()
      },
    }
  }
  #lead(history: { acceptedEpoch: number; currentEpoch: number; lastZxid: bigint }, onLead: (epoch: number) => void): void {
    const { configurations, tickMs, initLimit, syncLimit, forceSnapshot, listenOnAll } = this.#options
    const { serverId, committed, lastSeen, own } = configurations
    this.#state = 'leading'
    if (!own) throw new Error(`server ${serverId} is not in the configuration`)
    this.#role = new Leading(this.#host, this.#replica, {
      facts: {
        ...history, serverId, config: committed, lastSeen, reconfigEnabled: configurations.isEnabled, tickMs, initLimit, syncLimit, ...(forceSnapshot && { forceSnapshot }),
      },
      configurations,
      listen: own.addresses.map(({ host, quorumPort: port }) => ({ host: listenOnAll ? undefined : host, port })),
      onLead,
    })
  }
  #follow(leaderId: ServerId, state: 'following' | 'observing', history: { acceptedEpoch: number; currentEpoch: number; lastZxid: bigint }, onServe: (epoch: number) => void): boolean {
    const { configurations, tickMs, initLimit, syncLimit } = this.#options
    const { serverId, committed, lastSeen } = configurations
    const leader = committed.servers.get(leaderId) ?? lastSeen.servers.get(leaderId)
    if (!leader) return false
    this.#state = state
    this.#role = new Following(this.#host, this.#replica, {
      facts: { ...history, serverId, role: state === 'following' ? 'follower' : 'observer', configVersion: committed.version, reconfigEnabled: configurations.isEnabled },
      configurations,
      leader: { id: leaderId, addresses: leader.addresses }, tickMs, initLimit, syncLimit, onServe,
    })
    return true
  }
}
