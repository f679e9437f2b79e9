/** Runs the election of one peer: the machine, its timers, the election port. Later rooms only see this door. */
import type { Host, Timer } from '../../host/host.ts'
import { MalformedError } from '../../wire/reader.ts'
import { Election, type ElectionOutput, type ElectionSettings, type ElectionTimer } from './election.ts'
import { ElectionNetwork, type ElectionNetworkSettings, type PeerContact } from './election-network.ts'
import { decodeNotification, encodeNotification } from './notification.ts'
import { hostPort } from '../../wire/host-port.ts'
import type { QuorumConfig } from './quorum-config.ts'
import type { PeerState, ServerId, SettledState, Vote } from './vote.ts'

export interface ElectionDriverSettings extends ElectionSettings, ElectionNetworkSettings {
  /** A newer configuration was learned from a peer while looking, and the election already goes by it. */
  readonly onNewerConfig?: (config: QuorumConfig) => void
  /** Without a leader for this long, it is said whom this server does not hear; then after twice the time, and so on. Default 10,000 ms. */
  readonly complaintMs?: number
}

/** An election ended because its peer shuts down. */
export class ElectionStopped extends Error {
  constructor() {
    super('the election was stopped')
  }
}

const complaintMsDefault = 10_000
const complaintMsMax = 300_000

interface Waiting {
  readonly resolve: (vote: Vote) => void
  readonly reject: (error: Error) => void
  readonly since: number
}

export class ElectionDriver {
  readonly #host: Host
  readonly #machine: Election
  readonly #network: ElectionNetwork
  readonly #onNewerConfig: ((config: QuorumConfig) => void) | undefined
  readonly #timers = new Map<ElectionTimer, Timer>()
  #waiting: Waiting | undefined
  #config: QuorumConfig
  readonly #complaintMs: number
  #complaint: Timer | undefined
  #stopped = false

  private constructor(host: Host, settings: ElectionDriverSettings) {
    this.#host = { ...host, logger: host.logger.named('election') }
    this.#machine = new Election(settings)
    this.#config = settings.config
    this.#complaintMs = settings.complaintMs ?? complaintMsDefault
    this.#onNewerConfig = settings.onNewerConfig
    this.#network = new ElectionNetwork(this.#host, settings, {
      message: (from, message) => this.#receive(from, message),
      unreachable: (peer) => this.#perform(this.#machine.step({ kind: 'unreachable', peer })),
      reachable: (peer) => this.#perform(this.#machine.step({ kind: 'reachable', peer })),
    })
  }

  /** Listens at the election port of this server's line. Rejects where the port is taken. */
  static async start(host: Host, settings: ElectionDriverSettings): Promise<ElectionDriver> {
    const driver = new ElectionDriver(host, settings)
    try {
      await driver.#network.listen()
    } catch (error) {
      await driver.shutdown()
      throw error
    }
    return driver
  }

  get state(): PeerState {
    return this.#machine.state
  }
  /** What this server proposes, or has settled on. */
  get vote(): Vote {
    return this.#machine.vote
  }
  /** Which members answer at their election ports, and since when they do not. */
  contacts(): PeerContact[] {
    return this.#network.contacts()
  }

  /**
   * Elects, from now on as a LOOKING peer, with the own last logged zxid and `currentEpoch`. Resolves when there is a leader; from then on late
   * starters are answered with it. Rejects with ElectionStopped. One at a time.
   */
  lookForLeader(own: { readonly zxid: bigint; readonly epoch: number }): Promise<Vote> {
    if (this.#stopped) return Promise.reject(new ElectionStopped())
    if (this.#waiting) throw new Error('an election is in progress already')
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject, since: this.#host.clock.monotonic() }
      this.#sayLater(this.#complaintMs)
      this.#perform(this.#machine.step({ kind: 'started', ...own }))
    })
  }
  /** The role taken, or the epoch established: keep the election's `electionEpoch` and `zxid` in the vote, renew `peerEpoch`. */
  setState(state: SettledState, vote: Vote): void {
    this.#perform(this.#machine.step({ kind: 'settled', state, vote }))
  }
  /** After a reconfiguration, proposed (`lastSeen`) or committed. An election in progress begins again when membership differs. */
  setConfig(config: QuorumConfig, lastSeen?: QuorumConfig): void {
    this.#config = reachableIn(config, lastSeen)
    this.#network.configure(this.#config)
    this.#perform(this.#machine.step({ kind: 'configured', config, lastSeen }))
  }
  async shutdown(): Promise<void> {
    if (this.#stopped) return
    this.#stopped = true
    for (const timer of this.#timers.values()) timer.cancel()
    this.#complaint?.cancel()
    this.#waiting?.reject(new ElectionStopped())
    this.#waiting = undefined
    await this.#network.close()
  }

  /** While there is no leader: whom this server hears, and whom it does not, more and more seldom. */
  #sayLater(ms: number): void {
    this.#complaint?.cancel()
    this.#complaint = this.#host.timers.set(ms, () => {
      const waiting = this.#waiting
      if (!waiting) return
      const now = this.#host.clock.monotonic()
      const contacts = this.contacts()
      const silent = contacts.filter(({ connected }) => !connected)
      const addressOf = (id: ServerId): string => {
        const address = this.#config.servers.get(id)?.addresses[0]
        return address ? hostPort(address.host, address.electionPort) : 'no address'
      }
      this.#host.logger.warn(
        silent.length > 0
          ? 'there is no leader yet, and some servers cannot be reached: start them, or correct their server lines, names and firewalls'
          : 'there is no leader yet, although all servers can be reached: compare the server lines of all of them',
        {
          forMs: Math.round(now - waiting.since), connected: contacts.filter(({ connected }) => connected).map(({ id }) => id).join(' ') || 'none',
          ...(silent.length > 0 && { silent: silent.map(({ id, unreachableSince }) => `${id} (${addressOf(id)}${unreachableSince === undefined ? '' : `, for ${Math.round((now - unreachableSince) / 1000)} s`})`).join(' ') }),
        },
      )
      this.#sayLater(Math.min(ms * 2, complaintMsMax))
    })
  }
  #receive(from: ServerId, message: Buffer): void {
    if (this.#stopped) return
    let decoded: ReturnType<typeof decodeNotification>
    try {
      decoded = decodeNotification(message)
    } catch (error) {
      if (!(error instanceof MalformedError)) throw error
      return this.#host.logger.warn('a notification cannot be read', { peer: from, size: message.length, error: error.message })
    }
    if (decoded.problem !== undefined) this.#host.logger.warn('a peer sent a configuration that cannot be read', { peer: from, problem: decoded.problem })
    this.#perform(this.#machine.step({ kind: 'received', from, notification: decoded.notification }))
  }
  #perform(outputs: readonly ElectionOutput[]): void {
    if (this.#stopped) return
    for (const output of outputs)
      switch (output.kind) {
        case 'send': this.#network.send(output.to, encodeNotification(output.notification)); break
        case 'arm':
          this.#timers.get(output.timer)?.cancel()
          this.#timers.set(output.timer, this.#host.timers.set(output.ms, () => this.#perform(this.#machine.step({ kind: 'fired', timer: output.timer }))))
          break
        case 'disarm': this.#timers.get(output.timer)?.cancel(); break
        case 'decided': this.#decided(output.vote, output.state); break
        case 'configSeen':
          // What has been seen beyond it, if anything, comes back with `setConfig`.
          this.#network.configure(output.config)
          this.#onNewerConfig?.(output.config)
          break
        default: output satisfies never
      }
  }
  #decided(vote: Vote, state: SettledState): void {
    this.#network.forgetSent()
    this.#complaint?.cancel()
    const waiting = this.#waiting
    this.#waiting = undefined
    if (!waiting) return
    this.#host.logger.info('leader elected', { leader: vote.leader, state, round: vote.electionEpoch, epoch: vote.peerEpoch, zxid: `0x${BigInt.asUintN(64, vote.zxid).toString(16)}`, tookMs: Math.round(this.#host.clock.monotonic() - waiting.since) })
    waiting.resolve(vote)
  }
}

/** The addresses of both configurations; the newer one's where they differ. */
function reachableIn(config: QuorumConfig, lastSeen: QuorumConfig | undefined): QuorumConfig {
  return lastSeen && lastSeen.version > config.version ? { ...config, servers: new Map([...config.servers, ...lastSeen.servers]) } : config
}
