/**
 * TCP between machines, on virtual time: bytes arrive late, in pieces of any size, in order or not at all. What is lost shows as it does
 * with TCP: as silence, and after a while as a broken connection; a machine without power says nothing, a dead process is reset.
 */
import { crc32 } from 'node:zlib'
import type { Connection, ListenerSocket } from '../host/host.ts'
import type { Owner, World } from './world.ts'

/** What the network sees of a machine. */
export interface Station {
  readonly name: string
  readonly address: string
  /** Without power nothing answers, not even a reset. */
  readonly hasPower: boolean
}
interface Listener {
  readonly owner: Owner
  readonly accept: (connection: Connection) => void
}
type Packet = { kind: 'data'; bytes: Buffer; at: number } | { kind: 'fin' | 'reset'; at: number }

/** Bytes that the kernels of both sides take before the writer has to wait. */
const kernelSize = 256 * 1024
const highWater = 64 * 1024
const synRetryMs = 1_000
/** TCP sends again what was not acknowledged within this time, then within twice as long. */
const retransmitMs = 200
/** Bytes that one read gets at most. */
const readSize = 64 * 1024

const fault = (code: string, text: string): Error => Object.assign(new Error(`${code}: ${text}`), { code })

export class SimulatedNetwork {
  readonly world: World
  /** How long TCP keeps trying before it gives a connection up, ms. */
  giveUpMs = 15_000
  readonly #stations = new Map<string, Station>()
  readonly #listeners = new Map<string, Listener>()
  readonly #blocked = new Set<string>()
  readonly #slow = new Map<string, number>()
  readonly #lossy = new Map<string, number>()
  readonly #waiting = new Set<Pipe>()
  readonly #open = new Set<Endpoint>()
  #ports = 30_000
  /** When bytes last arrived at a machine whose process lives, by `from>to`: for those who ask who could know what. */
  readonly heardAt = new Map<string, number>()

  constructor(world: World) {
    this.world = world
  }

  add(station: Station): void {
    this.#stations.set(station.name, station)
    this.#stations.set(station.address, station)
  }
  station(host: string): Station | undefined {
    return this.#stations.get(host)
  }

  // ---- faults

  /** Nothing from one machine reaches the other; the other way may still be open. */
  block(from: string, to: string): void {
    this.#blocked.add(`${from}>${to}`)
  }
  slow(from: string, to: string, latencyMs: number): void {
    this.#slow.set(`${from}>${to}`, latencyMs)
  }
  /** So many of what is sent, of 1, is lost and comes when it is sent again, and all that is behind it with it. */
  lose(from: string, to: string, share: number): void {
    this.#lossy.set(`${from}>${to}`, share)
  }
  /** All ways are open and fast again. */
  heal(): void {
    this.#blocked.clear()
    this.#slow.clear()
    this.#lossy.clear()
    this.retry()
  }
  /** What waited for a way, or for a machine to be there again, is sent again. */
  retry(): void {
    for (const pipe of this.#waiting) pipe.pump()
  }
  /** Resets one of the open connections; false when there is none. */
  breakOne(): boolean {
    const open = [...this.#open].filter((endpoint) => !endpoint.isClosed)
    if (open.length === 0) return false
    const endpoint = open[this.world.random.below(open.length)]
    endpoint.broken(fault('ECONNRESET', 'the connection was reset'))
    endpoint.peer.broken(fault('ECONNRESET', 'the connection was reset'))
    return true
  }

  isBlocked(from: Station, to: Station): boolean {
    return !from.hasPower || !to.hasPower || this.#blocked.has(`${from.name}>${to.name}`)
  }
  latency(from: Station, to: Station): number {
    const { world } = this
    const slow = this.#slow.get(`${from.name}>${to.name}`) ?? 0
    let late = world.random.chance(0.01) ? world.between(1, 40) : 0
    const lost = this.#lossy.get(`${from.name}>${to.name}`)
    for (let again = retransmitMs; lost !== undefined && world.random.chance(lost) && again < 2_000; again *= 2) late += again
    return world.between(0.05, 0.6) + late + (slow > 0 ? world.between(slow / 2, slow) : 0)
  }
  waits(pipe: Pipe, waits: boolean): void {
    if (waits) this.#waiting.add(pipe)
    else this.#waiting.delete(pipe)
  }
  closed(endpoint: Endpoint): void {
    this.#open.delete(endpoint)
  }

  // ---- what a process asks for

  listen(at: Station, owner: Owner, port: number, host: string | undefined, accept: (connection: Connection) => void): ListenerSocket {
    const bound = port === 0 ? this.#ports++ : port
    const key = `${at.name}:${bound}`
    if (this.#listeners.get(key)?.owner.isAlive) throw fault('EADDRINUSE', `address already in use ${host ?? ''}:${bound}`)
    const listener = { owner, accept }
    this.#listeners.set(key, listener)
    return {
      host: host ?? '',
      port: bound,
      close: async () => {
        if (this.#listeners.get(key) === listener) this.#listeners.delete(key)
      },
    }
  }
  connect(from: Station, owner: Owner, { host, port, timeoutMs = 10_000 }: { host: string; port: number; timeoutMs?: number }): Promise<Connection> {
    const { world } = this
    return new Promise((done, failed) => {
      const to = host === '127.0.0.1' || host === 'localhost' ? from : this.#stations.get(host)
      if (!to) return world.schedule(1, () => failed(fault('ENOTFOUND', `getaddrinfo ENOTFOUND ${host}`)), owner)
      let settled = false
      world.schedule(timeoutMs, () => {
        if (settled) return
        settled = true
        failed(fault('ETIMEDOUT', `${host}:${port} did not answer within ${timeoutMs} ms`))
      }, owner)
      const attempt = (): void => {
        if (settled || !owner.isAlive) return
        if (this.isBlocked(from, to) || this.isBlocked(to, from)) return void world.schedule(synRetryMs, attempt)
        const listener = this.#listeners.get(`${to.name}:${port}`)
        const backMs = this.latency(to, from)
        if (!listener?.owner.isAlive) {
          return void world.schedule(backMs, () => {
            if (settled) return
            settled = true
            failed(fault('ECONNREFUSED', `connect ECONNREFUSED ${host}:${port}`))
          }, owner)
        }
        const mine = new Endpoint(this, { here: from, there: to, owner, localPort: this.#ports++, remotePort: port })
        const theirs = new Endpoint(this, { here: to, there: from, owner: listener.owner, localPort: port, remotePort: mine.localPort })
        mine.meets(theirs)
        this.#open.add(mine)
        this.#open.add(theirs)
        world.schedule(0, () => listener.accept(theirs), listener.owner)
        world.schedule(backMs, () => {
          if (settled) return mine.destroy()
          settled = true
          done(mine)
        }, owner)
      }
      world.schedule(this.latency(from, to), attempt)
    })
  }

  /** The process behind these endpoints is gone. With power its kernel resets the connections; without, nobody learns of it. */
  died(owner: Owner, saysSo: boolean): void {
    for (const endpoint of this.#open) if (endpoint.owner === owner) endpoint.vanish(saysSo)
    for (const [key, listener] of this.#listeners) if (listener.owner === owner) this.#listeners.delete(key)
  }
}

/** One direction of a connection. */
class Pipe {
  readonly #network: SimulatedNetwork
  readonly from: Endpoint
  readonly to: Endpoint
  readonly #packets: Packet[] = []
  /** Bytes written and not yet taken by the process at the other end. */
  unread = 0
  #isScheduled = false
  #lastArrival = 0
  #heldSince = -1

  constructor(network: SimulatedNetwork, from: Endpoint, to: Endpoint) {
    this.#network = network
    this.from = from
    this.to = to
  }
  send(packet: Packet): void {
    this.#packets.push(packet)
    this.pump()
  }
  /** What was on its way is lost. */
  drop(): void {
    this.#packets.length = 0
    this.#network.waits(this, false)
  }
  pump(): void {
    const head = this.#packets[0]
    if (this.#isScheduled || !head) return
    const { world } = this.#network
    this.#isScheduled = true
    const arrival = Math.max(this.#lastArrival, head.at + this.#network.latency(this.from.here, this.to.here), world.now)
    this.#lastArrival = arrival
    world.schedule(arrival - world.now, () => this.#arrive())
  }
  #arrive(): void {
    this.#isScheduled = false
    const head = this.#packets[0]
    if (!head) return
    const network = this.#network
    if (network.isBlocked(this.from.here, this.to.here)) return this.#hold()
    this.#heldSince = -1
    network.waits(this, false)
    this.#packets.shift()
    this.to.arrived(head)
    this.pump()
  }
  #hold(): void {
    const { world } = this.#network
    this.#network.waits(this, true)
    if (this.#heldSince >= 0) return
    const since = (this.#heldSince = world.now)
    world.schedule(this.#network.giveUpMs, () => {
      if (this.#heldSince !== since) return
      this.drop()
      this.from.broken(fault('ETIMEDOUT', 'the peer did not acknowledge what was sent'))
    })
  }
}

class Endpoint implements Connection {
  readonly here: Station
  readonly there: Station
  readonly owner: Owner
  readonly localPort: number
  readonly remotePort: number
  peer!: Endpoint
  readonly #network: SimulatedNetwork
  #out!: Pipe
  #in!: Pipe
  /** What the kernel has taken and the process has not. */
  readonly #inbox: Packet[] = []
  #onData: ((chunk: Buffer) => void) | undefined
  #onClose: ((error: Error | undefined) => void) | undefined
  #onDrain: (() => void) | undefined
  #missedClose: (() => void) | undefined
  #isPaused = false
  #isReading = false
  #wantsDrain = false
  #hasEnded = false
  #closed = false

  constructor(network: SimulatedNetwork, facts: { here: Station; there: Station; owner: Owner; localPort: number; remotePort: number }) {
    this.#network = network
    this.here = facts.here
    this.there = facts.there
    this.owner = facts.owner
    this.localPort = facts.localPort
    this.remotePort = facts.remotePort
  }
  meets(peer: Endpoint): void {
    this.peer = peer
    peer.peer = this
    this.#out = peer.#in = new Pipe(this.#network, this, peer)
    this.#in = peer.#out = new Pipe(this.#network, peer, this)
  }

  get localAddress(): string {
    return this.here.address
  }
  get remoteAddress(): string {
    return this.there.address
  }
  get isClosed(): boolean {
    return this.#closed
  }
  get bufferedSize(): number {
    return Math.max(0, this.#out.unread - kernelSize)
  }
  onData(handler: (chunk: Buffer) => void): void {
    this.#onData = handler
    this.#readSoon()
  }
  onClose(handler: (error: Error | undefined) => void): void {
    this.#onClose = handler
    this.#missedClose?.()
  }
  onDrain(handler: () => void): void {
    this.#onDrain = handler
  }
  write(pieces: readonly Uint8Array[], sent?: () => void): boolean {
    const bytes = Buffer.concat(pieces)
    sent?.()
    if (this.#closed || this.#hasEnded || !this.owner.isAlive) return true
    const { world } = this.#network
    if (bytes.length > 0) {
      this.#out.unread += bytes.length
      this.#out.send({ kind: 'data', bytes, at: world.now })
    }
    if (this.bufferedSize < highWater) return true
    this.#wantsDrain = true
    return false
  }
  pause(): void {
    this.#isPaused = true
  }
  resume(): void {
    this.#isPaused = false
    this.#readSoon()
  }
  end(): void {
    if (this.#closed || this.#hasEnded) return
    this.#hasEnded = true
    this.#out.send({ kind: 'fin', at: this.#network.world.now })
  }
  destroy(): void {
    if (this.#closed) return
    const { world } = this.#network
    // What the kernel has not sent yet may or may not leave before the end.
    if (world.random.chance(0.5)) {
      this.#out.drop()
      this.#out.send({ kind: 'reset', at: world.now })
    } else if (!this.#hasEnded) this.#out.send({ kind: 'fin', at: world.now })
    this.#close(undefined)
  }

  /** The network, or the other side, has ended it. */
  broken(error: Error | undefined): void {
    if (!this.#closed) this.#close(error)
  }
  /** The process is gone: no handler is called any more. */
  vanish(saysSo: boolean): void {
    if (this.#closed) return
    this.#closed = true
    this.#network.closed(this)
    if (!saysSo) return this.#out.drop()
    const { world } = this.#network
    if (world.random.chance(0.5)) this.#out.drop()
    this.#out.send({ kind: world.random.chance(0.5) ? 'reset' : 'fin', at: world.now })
  }
  #close(error: Error | undefined): void {
    this.#closed = true
    this.#network.closed(this)
    this.#inbox.length = 0
    this.#network.world.schedule(0, () => {
      // The other side may end it before whoever has dialled is told that it stands.
      if (this.#onClose) this.#onClose(error)
      else this.#missedClose = () => this.#network.world.schedule(0, () => this.#onClose?.(error), this.owner)
    }, this.owner)
  }

  arrived(packet: Packet): void {
    if (this.#closed) {
      // Nobody is here any more; the sender learns it, unless it has gone itself.
      if (packet.kind === 'data') this.#out.send({ kind: 'reset', at: this.#network.world.now })
      return
    }
    if (packet.kind === 'reset') return this.#close(fault('ECONNRESET', 'read ECONNRESET'))
    if (packet.kind === 'data') this.#network.heardAt.set(`${this.there.name}>${this.here.name}`, this.#network.world.now)
    this.#inbox.push(packet)
    this.#readSoon()
  }
  #readSoon(): void {
    if (this.#isReading || this.#isPaused || this.#closed || this.#inbox.length === 0 || !this.#onData) return
    this.#isReading = true
    this.#network.world.schedule(0, () => {
      this.#isReading = false
      this.#read()
    }, this.owner)
  }
  #read(): void {
    if (this.#closed || this.#isPaused) return
    const bytes = this.#take()
    if (bytes) {
      this.#network.world.trace(`${this.there.name}>${this.here.name} :${this.localPort} ${bytes.length} ${crc32(bytes).toString(16)}`)
      this.#in.unread -= bytes.length
      this.peer.#taken()
      this.#onData?.(bytes)
      return this.#readSoon()
    }
    if (this.#inbox.length === 0) return
    // The other side has said all it will; Node then ends this side too.
    if (!this.#hasEnded) this.end()
    this.#close(undefined)
  }
  /** All that the kernel has, as one read gets it; of a lone piece sometimes the beginning only. */
  #take(): Buffer | undefined {
    const pieces: Buffer[] = []
    let size = 0
    for (let head = this.#inbox[0]; head?.kind === 'data' && (size === 0 || size + head.bytes.length <= readSize); head = this.#inbox[0]) {
      pieces.push(head.bytes)
      size += head.bytes.length
      this.#inbox.shift()
    }
    if (size === 0) return undefined
    const { world } = this.#network
    const bytes = pieces.length === 1 ? pieces[0] : Buffer.concat(pieces)
    if (pieces.length > 1 || size === 1 || !world.random.chance(0.1)) return bytes
    const at = 1 + world.random.below(size - 1)
    this.#inbox.unshift({ kind: 'data', bytes: bytes.subarray(at), at: world.now })
    return bytes.subarray(0, at)
  }
  #taken(): void {
    if (!this.#wantsDrain || this.bufferedSize > 0 || this.#closed) return
    this.#wantsDrain = false
    this.#network.world.schedule(0, () => this.#onDrain?.(), this.owner)
  }
}
