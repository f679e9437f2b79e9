/**
 * The connections between election ports (reference §4.1), one for each pair of servers. The larger id dials: a smaller one introduces
 * itself, hangs up and is called back. A message for a peer replaces one that still waits; what was sent last is sent again on a new connection.
 */
import { MalformedError } from '../../wire/reader.ts'
import { InUseError, type Connection, type Host, type ListenerSocket, type LogFacts, type Timer } from '../../host/host.ts'
import { anonymousObserver, encodeInitial, frameOf, isWildcard, NotificationFrames, readInitial, type HostAndPort, type Initial } from './election-handshake.ts'
import { connectToFirst } from './first-connection.ts'
import { hostPort } from '../../wire/host-port.ts'
import type { QuorumConfig } from './quorum-config.ts'
import type { ServerId } from './vote.ts'

export interface ElectionNetworkSettings {
  readonly serverId: ServerId
  readonly config: QuorumConfig
  /** `quorumListenOnAllIPs`. */
  readonly listenOnAllIPs?: boolean
  /** `multiAddress.enabled`: tell and try several addresses. */
  readonly multiAddress?: boolean
  /** `cnxTimeout`, ms. */
  readonly connectTimeoutMs?: number
  /** How long a stranger may take to introduce itself, ms: tickTime × syncLimit. */
  readonly handshakeTimeoutMs?: number
  /** `electionPortBindRetry`: attempts to bind, a second apart; 0: for ever. */
  readonly bindRetries?: number
}
export interface ElectionNetworkEvents {
  message(from: ServerId, message: Buffer): void
  /** Nobody answers at the peer's election port; told at every failed attempt. */
  unreachable(peer: ServerId): void
  reachable(peer: ServerId): void
}

interface Peer {
  readonly id: ServerId
  link: Connection | undefined
  /** When the link was made, monotonic ms, and whether anything came over it. */
  linkedAt: number
  heard: boolean
  /** Grows while links end as soon as they are made. */
  redialMs: number
  /** The kernel does not take more for now. */
  congested: boolean
  waiting: Buffer | undefined
  last: Buffer | undefined
  dialling: boolean
  /** Runs while a peer with a larger id has time to call back. */
  introduced: Timer | undefined
  unreachableSince: number | undefined
  loggedAt: number
}
export interface PeerContact {
  readonly id: ServerId
  readonly connected: boolean
  /** Monotonic ms; undefined where it answers. */
  readonly unreachableSince: number | undefined
}

const callBackMs = 1_000
const redialMs = 10
const redialMsMax = 1_000
const shortLifeMs = 1_000
const bindPauseMs = 1_000
const complaintMs = 30_000
const strangersMax = 64
const introductionsMax = 64

export class ElectionNetwork {
  readonly #host: Host
  readonly #settings: Required<ElectionNetworkSettings>
  readonly #events: ElectionNetworkEvents
  #config: QuorumConfig
  /** By the latest configuration that has this server. */
  #own: readonly HostAndPort[]
  #isListening = false
  readonly #peers = new Map<ServerId, Peer>()
  readonly #listeners: ListenerSocket[] = []
  readonly #connections = new Set<Connection>()
  #introductions = 0
  #anonymous = 0
  #closed = false

  constructor(host: Host, settings: ElectionNetworkSettings, events: ElectionNetworkEvents) {
    this.#host = host
    this.#settings = { listenOnAllIPs: false, multiAddress: false, connectTimeoutMs: 5_000, handshakeTimeoutMs: 10_000, bindRetries: 3, ...settings }
    this.#events = events
    this.#config = settings.config
    this.#own = electionAddresses(settings.config, settings.serverId)
  }

  /** Listens at the own election addresses. Rejects with the address and what to do when somebody else holds it. */
  async listen(): Promise<void> {
    this.#isListening = true
    const own = this.#own
    for (const { host, port } of own) {
      for (let attempt = 1; ; attempt++) {
        try {
          const listener = await this.#host.network.listen({ host: this.#settings.listenOnAllIPs ? undefined : host, port }, (connection) => this.#accept(connection))
          // It has been closed, or has moved on, meanwhile.
          if (this.#closed || own !== this.#own) await listener.close()
          else this.#listeners.push(listener)
          break
        } catch (cause) {
          if (this.#closed || own !== this.#own) return
          if (this.#settings.bindRetries > 0 && attempt >= this.#settings.bindRetries) {
            throw new InUseError(`election port ${hostPort(host, port)} of server.${this.#settings.serverId} cannot be bound: ${(cause as Error).message}. Stop what uses it, or correct the server line`, { cause })
          }
          this.#host.logger.warn('election port is taken, trying again', { address: hostPort(host, port), attempt, error: (cause as Error).message })
          await this.#host.timers.sleep(bindPauseMs)
        }
      }
    }
  }
  /** Connections to servers that are gone stay until they close; those that have moved are called where they are now. */
  configure(config: QuorumConfig): void {
    const moved = [...this.#peers.values()].filter(({ id }) => config.servers.has(id) && textOf(electionAddresses(config, id)) !== textOf(this.#addressesOf(id)))
    this.#config = config
    for (const peer of moved) {
      const old = peer.link
      peer.link = undefined
      old?.destroy()
    }
    // Who is no member any more stays where it was.
    const own = electionAddresses(config, this.#settings.serverId)
    if (own.length === 0 || textOf(own) === textOf(this.#own)) return
    this.#own = own
    if (this.#isListening) void this.#move()
  }
  /** Listens at other addresses of its own. */
  async #move(): Promise<void> {
    const own = this.#own
    await Promise.all(this.#listeners.splice(0).map((listener) => listener.close()))
    this.#host.logger.info('the election port moves', { to: textOf(own) })
    await this.listen().catch((cause: unknown) => this.#host.logger.error('the election port of the new configuration cannot be bound: other servers cannot reach this one', { cause }))
  }

  /** Sends now, or once connected; a message that still waits for this peer is forgotten. */
  send(to: ServerId, message: Buffer): void {
    if (this.#closed) return
    const peer = this.#peers.get(to) ?? (this.#config.servers.has(to) ? this.#add(to) : undefined)
    if (!peer) return
    peer.waiting = message
    if (peer.link) this.#flush(peer)
    else this.#dial(peer)
  }
  /** What was sent in an election that is over is not repeated on new connections. */
  forgetSent(): void {
    for (const peer of this.#peers.values()) peer.last = undefined
  }
  /** For whoever asks why there is no quorum. */
  contacts(): PeerContact[] {
    return [...this.#config.servers.keys()].filter((id) => id !== this.#settings.serverId).map((id) => {
      const peer = this.#peers.get(id)
      return { id, connected: peer?.link !== undefined, unreachableSince: peer?.unreachableSince }
    })
  }
  async close(): Promise<void> {
    this.#closed = true
    for (const peer of this.#peers.values()) peer.introduced?.cancel()
    for (const connection of this.#connections) connection.destroy()
    await Promise.all(this.#listeners.splice(0).map((listener) => listener.close()))
  }

  #addressesOf(id: ServerId): HostAndPort[] {
    return electionAddresses(this.#config, id)
  }
  #add(id: ServerId): Peer {
    const peer: Peer = { id, link: undefined, linkedAt: 0, heard: false, redialMs, congested: false, waiting: undefined, last: undefined, dialling: false, introduced: undefined, unreachableSince: undefined, loggedAt: -Infinity }
    this.#peers.set(id, peer)
    return peer
  }

  #flush(peer: Peer): void {
    if (!peer.link || peer.congested || !peer.waiting) return
    peer.last = peer.waiting
    peer.waiting = undefined
    peer.congested = !peer.link.write(frameOf(peer.last))
  }

  #dial(peer: Peer, addresses: readonly HostAndPort[] = this.#addressesOf(peer.id)): void {
    if (peer.dialling || peer.link || peer.introduced || this.#closed || addresses.length === 0) return
    peer.dialling = true
    void connectToFirst(this.#host.network, addresses, this.#settings.connectTimeoutMs).then(
      (connection) => {
        peer.dialling = false
        if (this.#closed) return connection.destroy()
        this.#reached(peer)
        this.#keep(connection)
        connection.write([encodeInitial(this.#settings.serverId, this.#own, this.#settings.multiAddress)])
        if (peer.id < this.#settings.serverId) return this.#adopt(peer, connection, Buffer.alloc(0))
        // The larger id keeps the connections: it calls back. Until then, introducing oneself again would only make it hang up.
        connection.onData(() => {})
        connection.onClose(() => this.#connections.delete(connection))
        connection.end()
        if (!peer.link) peer.introduced = this.#host.timers.set(callBackMs, () => { peer.introduced = undefined })
      },
      (error: Error) => {
        peer.dialling = false
        if (this.#closed) return
        if (this.#config.servers.has(peer.id)) this.#unreached(peer, addresses, error)
        else this.#peers.delete(peer.id)
      },
    )
  }
  #reached(peer: Peer): void {
    if (peer.unreachableSince !== undefined) this.#host.logger.info('peer answers again', { peer: peer.id, afterMs: Math.round(this.#host.clock.monotonic() - peer.unreachableSince) })
    peer.unreachableSince = undefined
    this.#events.reachable(peer.id)
  }
  #unreached(peer: Peer, addresses: readonly HostAndPort[], error: Error): void {
    const now = this.#host.clock.monotonic()
    peer.unreachableSince ??= now
    this.#complain(peer, 'peer is unreachable at its election port', {
      address: addresses.map(({ host, port }) => hostPort(host, port)).join('|'), forMs: Math.round(now - peer.unreachableSince), error: error.message,
    })
    this.#events.unreachable(peer.id)
  }

  /** Once in a while for each peer. */
  #complain(peer: Peer, event: string, facts: LogFacts): void {
    const now = this.#host.clock.monotonic()
    if (now - peer.loggedAt < complaintMs) return
    peer.loggedAt = now
    this.#host.logger.warn(event, { peer: peer.id, ...facts })
  }

  #keep(connection: Connection): void {
    this.#connections.add(connection)
  }
  #accept(connection: Connection): void {
    if (this.#closed || this.#introductions >= introductionsMax) return connection.destroy()
    this.#keep(connection)
    this.#introductions++
    let received: Buffer | undefined = Buffer.alloc(0)
    const timer = this.#host.timers.set(this.#settings.handshakeTimeoutMs, () => connection.destroy())
    const introduced = (): void => {
      received = undefined
      this.#introductions--
      timer.cancel()
    }
    const link: { push: ((chunk: Buffer) => void) | undefined } = { push: undefined }
    connection.onData((chunk) => {
      if (received === undefined) return link.push?.(chunk)
      received = Buffer.concat([received, chunk])
      try {
        const initial = readInitial(received)
        if (!initial) return
        const rest = received.subarray(initial.size)
        introduced()
        this.#welcome(connection, initial, rest, link)
      } catch (error) {
        if (!(error instanceof MalformedError)) throw error
        this.#host.logger.warn('a stranger at the election port', { remote: hostPort(connection.remoteAddress, connection.remotePort), error: error.message })
        connection.destroy()
      }
    })
    connection.onClose(() => {
      if (received !== undefined) introduced()
      this.#connections.delete(connection)
      this.#closedLink(connection)
    })
  }
  #welcome(connection: Connection, { serverId, addresses }: Initial, rest: Buffer, link: { push: ((chunk: Buffer) => void) | undefined }): void {
    const remote = hostPort(connection.remoteAddress, connection.remotePort)
    if (serverId === this.#settings.serverId) {
      this.#host.logger.error('another server has the same myid; every server needs one of its own', { myid: serverId, remote, says: addresses.map(({ host, port }) => hostPort(host, port)).join('|') })
      return connection.destroy()
    }
    const id = serverId === anonymousObserver ? -++this.#anonymous : serverId
    const known = this.#peers.get(id)
    if (!known && !this.#config.servers.has(id) && this.#peers.size >= this.#config.servers.size + strangersMax) return connection.destroy()
    const peer = known ?? this.#add(id)
    if (serverId < this.#settings.serverId) {
      // It lost its side of an older connection, or never had one: call it back.
      const old = peer.link
      peer.link = undefined
      old?.destroy()
      connection.destroy()
      const told = addresses.filter(({ host, port }) => port > 0 && !isWildcard(host))
      this.#dial(peer, told.length > 0 ? told : this.#addressesOf(id))
      return
    }
    peer.introduced?.cancel()
    peer.introduced = undefined
    this.#reached(peer)
    link.push = this.#link(peer, connection)
    if (rest.length > 0) link.push(rest)
  }

  /** A connection that this server has made. */
  #adopt(peer: Peer, connection: Connection, rest: Buffer): void {
    const push = this.#link(peer, connection)
    connection.onData(push)
    connection.onClose(() => {
      this.#connections.delete(connection)
      this.#closedLink(connection)
    })
    if (rest.length > 0) push(rest)
  }
  /** From now on this is the connection of the peer; answers what takes its bytes. */
  #link(peer: Peer, connection: Connection): (chunk: Buffer) => void {
    const old = peer.link
    peer.link = connection
    peer.linkedAt = this.#host.clock.monotonic()
    peer.heard = false
    peer.congested = false
    old?.destroy()
    connection.onDrain(() => {
      if (peer.link !== connection) return
      peer.congested = false
      this.#flush(peer)
    })
    peer.waiting ??= peer.last
    this.#flush(peer)
    const frames = new NotificationFrames()
    return (chunk) => {
      if (peer.link !== connection) return
      try {
        frames.push(chunk, (message) => {
          peer.heard = true
          this.#events.message(peer.id, message)
        })
      } catch (error) {
        if (!(error instanceof MalformedError)) throw error
        this.#host.logger.warn('a peer does not speak the language of elections', { peer: peer.id, remote: hostPort(connection.remoteAddress, connection.remotePort), error: error.message })
        connection.destroy()
      }
    }
  }
  #closedLink(connection: Connection): void {
    const peer = [...this.#peers.values()].find(({ link }) => link === connection)
    if (!peer) return
    peer.link = undefined
    if (!this.#config.servers.has(peer.id)) return void this.#peers.delete(peer.id)
    const lived = this.#host.clock.monotonic() - peer.linkedAt
    if (lived >= shortLifeMs) peer.redialMs = redialMs
    else if (!peer.heard) this.#complain(peer, 'a peer hangs up at its election port without a word; another program may listen there', { remote: hostPort(connection.remoteAddress, connection.remotePort), afterMs: Math.round(lived) })
    // What went out last may not have arrived. A little later, because the peer may be opening another connection at this moment.
    if (this.#closed || !(peer.waiting ?? peer.last)) return
    this.#host.timers.set(peer.redialMs, () => { if (!peer.link && (peer.waiting ?? peer.last)) this.#dial(peer) })
    peer.redialMs = Math.min(peer.redialMs * 2, redialMsMax)
  }
}

function electionAddresses(config: QuorumConfig, id: ServerId): HostAndPort[] {
  return (config.servers.get(id)?.addresses ?? []).map(({ host, electionPort }) => ({ host, port: electionPort }))
}
function textOf(addresses: readonly HostAndPort[]): string {
  return addresses.map(({ host, port }) => hostPort(host, port)).join('|')
}
