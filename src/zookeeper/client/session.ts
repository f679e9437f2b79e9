/**
 * The driver of one session: finds a server, shakes hands, keeps order between requests and replies, pings, and comes back
 * after a lost connection with the same session, its credentials and its watches.
 */
import { MalformedError, Reader } from '../../wire/reader.ts'
import { Writer } from '../../wire/writer.ts'
import type { Connection, Host, Logger, Timer } from '../../host/host.ts'
import { encodeConnectRequest, readConnectResponse } from '../protocol/connect.ts'
import { errorCode as errorCodes } from '../protocol/errors.ts'
import { op, xid as xids } from '../protocol/op-codes.ts'
import { AuthPacket, SetWatches, SetWatches2, WatcherEvent } from '../protocol/records.ts'
import { RequestTooLargeError, ZooKeeperError } from './errors.ts'
import { FrameReader } from './frame-reader.ts'
import { parseConnectString, withoutChroot, type ServerAddress } from './paths.ts'
import { Fifo } from './fifo.ts'
import { eventTypeOf, WatchRegistry, type Watcher, type WatchEvent } from './watches.ts'

export type SessionState = 'connecting' | 'connected' | 'readOnly' | 'closed' | 'expired' | 'authFailed'
export type SessionEvent = 'connected' | 'readOnly' | 'disconnected' | 'expired' | 'authFailed' | 'closed'

export interface SessionOptions {
  /** `host:port,host:port/chroot` */
  readonly connect: string
  readonly sessionTimeoutMs: number
  /**
   * How long one attempt at one server may take; default: the session timeout divided by the number of servers, and 4 s at first, twice as long after
   * each that was not answered. A server of Apache's that is just starting may keep a connection open and never answer there.
   */
  readonly attemptTimeoutMs?: number
  readonly auth?: readonly Credentials[]
  /** Accept a server that is read-only because it has lost its quorum. */
  readonly readOnly?: boolean
  /** An existing session to take over. */
  readonly session?: { readonly id: bigint; readonly password: Uint8Array }
  /** Largest reply in bytes; a larger one ends the connection. Default 4 MiB, as Kafka sets it. */
  readonly frameSizeMax?: number
  /** Largest request in bytes (jute.maxbuffer of the servers); a larger one is refused here, where a server would drop the connection. Default: any. */
  readonly requestSizeMax?: number
  /** Requests sent and unanswered. Default 1,000: a server stops reading there (globalOutstandingLimit). */
  readonly inFlightMax?: number
  /** Requests waiting to be sent; beyond it a request is refused at once. Default 100,000. */
  readonly queueMax?: number
}
export interface Credentials {
  readonly scheme: string
  readonly auth: Uint8Array | string
}

/** One request; `replied` runs in the order of replies, before anything later is delivered. */
export interface SessionRequest {
  readonly op: number
  readonly what: string
  readonly path: string | undefined
  write(writer: Writer): void
  replied(errorCode: number, reader: Reader): void
  failed(error: Error): void
}

interface SentCredentials {
  readonly packet: { readonly scheme: string; readonly auth: Uint8Array }
  settle?: (error: Error | undefined) => void
}

const xidMax = 0x7fff_ffff
/** Between attempts: doubling from the first to the second, at random within. */
const backoffMs = { min: 20, max: 1_000 } as const
/** How long the first attempt may take. */
const patienceMs = 4_000
const probeMs = { min: 100, max: 60_000 } as const
const pingIntervalMsMax = 10_000

export class Session {
  readonly watches = new WatchRegistry()
  readonly chroot: string
  readonly #host: Host
  readonly #log: Logger
  readonly #options: SessionOptions
  readonly #servers: ServerAddress[]
  readonly #listeners = new Set<(event: SessionEvent) => void>()
  readonly #queue = new Fifo<SessionRequest>()
  readonly #pending = new Fifo<{ xid: number; request: SessionRequest }>()
  readonly #credentials: SentCredentials[] = []
  #credentialsSent: SentCredentials[] = []
  #state: SessionState = 'connecting'
  #id: bigint
  #password: Buffer
  /** A session that only a read-only server knows ends with its connection. */
  #knownToQuorum: boolean
  #timeoutMs: number
  #lastZxid = 0n
  #nextServer = 0
  #server: ServerAddress | undefined
  #connection: Connection | undefined
  #lostReason = ''
  #full = false
  #flushing = false
  #xid = 0
  #sentAt = 0
  #heardAt = 0
  #ticking: Timer | undefined
  #wake: (() => void) | undefined
  #probeMs: number = probeMs.min
  /** Attempts one after the other that ended because no answer came. */
  #unanswered = 0

  constructor(host: Host, options: SessionOptions) {
    const { servers, chroot } = parseConnectString(options.connect)
    if (!(options.sessionTimeoutMs > 0)) throw new RangeError(`a session timeout of ${options.sessionTimeoutMs} ms: it must be positive`)
    this.#host = host
    this.#log = host.logger.named('zookeeper.client')
    this.#options = options
    this.#servers = shuffled(servers, (below) => host.random.below(below))
    this.chroot = chroot
    this.#id = options.session?.id ?? 0n
    this.#password = Buffer.from(options.session?.password ?? Buffer.alloc(16))
    this.#knownToQuorum = options.session !== undefined
    this.#timeoutMs = options.sessionTimeoutMs
    for (const { scheme, auth } of options.auth ?? []) this.#credentials.push({ packet: { scheme, auth: typeof auth === 'string' ? Buffer.from(auth) : auth } })
    void this.#run()
  }

  get state(): SessionState {
    return this.#state
  }
  get id(): bigint {
    return this.#id
  }
  get password(): Buffer {
    return this.#password
  }
  /** The negotiated one once connected, before that the one asked for. */
  get timeoutMs(): number {
    return this.#timeoutMs
  }
  get server(): ServerAddress | undefined {
    return this.#connection && this.#server
  }
  get lastZxid(): bigint {
    return this.#lastZxid
  }
  /** Why the last attempt or connection ended, for messages. */
  get lostReason(): string {
    return this.#lostReason
  }
  get live(): boolean {
    return this.#state === 'connected' || this.#state === 'readOnly'
  }
  get ended(): boolean {
    return this.#state === 'closed' || this.#state === 'expired' || this.#state === 'authFailed'
  }
  onState(listener: (event: SessionEvent) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  submit(request: SessionRequest): void {
    if (this.ended) return request.failed(this.#endError(request))
    if (this.#queue.size >= (this.#options.queueMax ?? 100_000)) {
      return request.failed(new ZooKeeperError(errorCodes.systemError, `${request.what}: ${this.#queue.size} requests are waiting for ZooKeeper already; send fewer at once`, request.path))
    }
    this.#queue.push(request)
    this.#flushSoon()
  }

  /** Adds credentials now and after every reconnect. Rejects, and ends the session, when the server refuses them. */
  addAuth(scheme: string, auth: Uint8Array): Promise<void> {
    return new Promise((done, failed) => {
      const credentials = { packet: { scheme, auth }, settle: (error: Error | undefined) => (error ? failed(error) : done()) }
      if (this.ended) return credentials.settle(this.#endError({ what: 'addAuth', path: undefined }))
      this.#credentials.push(credentials)
      if (this.live) this.#sendAuth(credentials)
    })
  }

  /** Ends the session on the server; without a connection it is left to expire there. */
  async close(waitMs: number): Promise<void> {
    if (this.ended) return
    if (this.live) {
      await new Promise<void>((done) => {
        const timer = this.#host.timers.set(waitMs, done)
        const settle = (): void => {
          timer.cancel()
          done()
        }
        this.submit({ op: op.closeSession, what: 'close', path: undefined, write() {}, replied: settle, failed: settle })
      })
    }
    this.#end('closed')
  }
  abandon(): void {
    this.#end('closed')
  }

  async #run(): Promise<void> {
    let delayMs: number = backoffMs.min
    while (!this.ended) {
      const before = this.#connection
      if (before === undefined) {
        const connected = await this.#attempt()
        if (this.ended) return
        if (connected) delayMs = backoffMs.min
        else {
          this.#failAll()
          await this.#pause(delayMs / 2 + this.#host.random.below(Math.ceil(delayMs / 2) + 1))
          delayMs = Math.min(delayMs * 2, backoffMs.max)
        }
      } else await this.#pause(undefined)
    }
  }
  /** Waits until something changes, at most `ms`. A session that is looking for its server keeps the process alive. */
  #pause(ms: number | undefined): Promise<void> {
    return new Promise((done) => {
      const wake = (): void => {
        if (this.#wake === wake) this.#wake = undefined
        done()
      }
      this.#wake = wake
      if (ms !== undefined) void this.#host.timers.sleep(ms).then(wake)
    })
  }

  /** Tries the next server; true when the session stands there. */
  async #attempt(): Promise<boolean> {
    const server = this.#servers[this.#nextServer++ % this.#servers.length]
    const share = Math.floor(this.#timeoutMs / this.#servers.length)
    const timeoutMs = Math.max(this.#options.attemptTimeoutMs ?? Math.min(share, patienceMs * 2 ** this.#unanswered), 100)
    let connection: Connection
    try {
      connection = await this.#host.network.connect({ host: server.host, port: server.port, timeoutMs })
    } catch (error) {
      this.#lostReason = `${server.host}:${server.port}: ${(error as Error).message || (error as NodeJS.ErrnoException).code}`
      return false
    }
    if (this.ended) {
      connection.destroy()
      return false
    }
    return new Promise((settle) => {
      let open = false
      const frames = new FrameReader(this.#options.frameSizeMax ?? 4 * 1024 * 1024)
      const timer = this.#host.timers.set(timeoutMs, () => {
        this.#unanswered++
        this.#lostReason = `${server.host}:${server.port} took the connection and did not answer within ${timeoutMs} ms`
        connection.destroy()
      })
      connection.onData((chunk) => {
        try {
          for (const frame of frames.push(chunk)) {
            if (this.ended) return
            if (open) this.#received(frame)
            else {
              timer.cancel()
              open = this.#shaken(frame, server, connection)
              settle(open)
              if (!open) return connection.destroy()
            }
          }
        } catch (error) {
          if (!(error instanceof MalformedError)) throw error
          this.#lostReason = `${server.host}:${server.port} sent something that is not ZooKeeper's protocol: ${error.message}`
          this.#log.warn('connection dropped', { server: `${server.host}:${server.port}`, reason: this.#lostReason })
          connection.destroy()
        }
      })
      connection.onDrain(() => {
        this.#full = false
        this.#flushSoon()
      })
      connection.onClose((error) => {
        timer.cancel()
        if (error) this.#lostReason = `${server.host}:${server.port}: ${error.message}`
        else if (!open && !this.#lostReason.startsWith(`${server.host}:${server.port}`)) this.#lostReason = `${server.host}:${server.port} closed the connection before the session stood`
        if (open) this.#lost(connection)
        settle(false)
      })
      this.#lostReason = ''
      const id = this.#knownToQuorum ? this.#id : 0n
      const writer = new Writer()
      writer.int32(0)
      writer.raw(encodeConnectRequest({
        protocolVersion: 0,
        lastZxidSeen: this.#lastZxid,
        timeOut: this.#options.sessionTimeoutMs,
        sessionId: id,
        passwd: id === 0n ? Buffer.alloc(16) : this.#password,
        readOnly: this.#options.readOnly ?? false,
      }))
      connection.write(writer.finishFrame())
    })
  }

  /** The answer to the handshake; true when the session stands. */
  #shaken(frame: Buffer, server: ServerAddress, connection: Connection): boolean {
    const reader = new Reader(frame)
    const { timeOut, sessionId, passwd, readOnly = false } = readConnectResponse(reader)
    if (timeOut <= 0) {
      this.#log.info('session expired', { session: hexId(this.#id), server: `${server.host}:${server.port}` })
      this.#end('expired')
      return false
    }
    const before = this.#knownToQuorum && this.#id === sessionId
    this.#id = sessionId
    this.#password = passwd ?? Buffer.alloc(16)
    this.#timeoutMs = timeOut
    this.#knownToQuorum ||= !readOnly
    this.#server = server
    this.#connection = connection
    this.#full = false
    this.#sentAt = this.#heardAt = this.#host.clock.monotonic()
    this.#unanswered = 0
    this.#state = readOnly ? 'readOnly' : 'connected'
    this.#log.debug('session stands', { session: hexId(sessionId), server: `${server.host}:${server.port}`, timeoutMs: timeOut, before })
    const tickMs = Math.max(Math.floor(timeOut / 12), 5)
    this.#ticking = this.#host.timers.every(tickMs, () => this.#tick(connection, tickMs))
    for (const credentials of this.#credentials) this.#sendAuth(credentials)
    this.#setWatchesAgain()
    this.#emit(readOnly ? 'readOnly' : 'connected')
    if (readOnly && this.#servers.length > 1) void this.#findWritable(connection)
    this.#flushSoon()
    return true
  }

  #setWatchesAgain(): void {
    for (const { data, exists, child, persistent, persistentRecursive } of this.watches.batches()) {
      const old = { relativeZxid: this.#lastZxid, dataWatches: data, existWatches: exists, childWatches: child }
      const lasting = persistent.length + persistentRecursive.length > 0
      this.#send(xids.setWatches, lasting ? op.setWatches2 : op.setWatches, (writer) => {
        if (lasting) SetWatches2.write(writer, { ...old, persistentWatches: persistent, persistentRecursiveWatches: persistentRecursive })
        else SetWatches.write(writer, old)
      })
    }
  }
  #sendAuth(credentials: SentCredentials): void {
    this.#credentialsSent.push(credentials)
    this.#send(xids.auth, op.auth, (writer) => AuthPacket.write(writer, { type: 0, ...credentials.packet }))
  }
  #send(xid: number, type: number, body: (writer: Writer) => void): void {
    this.#connection?.write(framed(xid, type, body))
    this.#sentAt = this.#host.clock.monotonic()
  }

  #flushSoon(): void {
    if (this.#flushing || !this.live) return
    this.#flushing = true
    queueMicrotask(() => {
      this.#flushing = false
      this.#flush()
    })
  }
  #flush(): void {
    const connection = this.#connection
    if (!connection || !this.live) return
    const pieces: Uint8Array[] = []
    const inFlightMax = this.#options.inFlightMax ?? 1_000
    while (!this.#full && this.#queue.size > 0 && this.#pending.size < inFlightMax) {
      const request = this.#queue.shift() as SessionRequest
      const xid = this.#xid === xidMax ? 1 : this.#xid + 1
      try {
        const frame = framed(xid, request.op, (writer) => request.write(writer))
        this.#checkSize(request, frame)
        pieces.push(...frame)
      } catch (error) {
        request.failed(error as Error)
        continue
      }
      this.#xid = xid
      this.#pending.push({ xid, request })
    }
    if (pieces.length === 0) return
    this.#sentAt = this.#host.clock.monotonic()
    this.#full = !connection.write(pieces)
  }

  #checkSize({ what, path }: SessionRequest, frame: readonly Uint8Array[]): void {
    const sizeMax = this.#options.requestSizeMax ?? Infinity
    const size = frame.reduce((sum, piece) => sum + piece.length, -4)
    if (size > sizeMax) throw new RequestTooLargeError(errorCodes.badArguments, `${what}${path === undefined ? '' : ` ${path}`}: a request of ${size} bytes; ZooKeeper takes ${sizeMax} (jute.maxbuffer)`, path)
  }

  #received(frame: Buffer): void {
    this.#heardAt = this.#host.clock.monotonic()
    const reader = new Reader(frame)
    const xid = reader.int32()
    const zxid = reader.bigint64()
    const errorCode = reader.int32()
    switch (xid) {
      case xids.ping:
      case xids.setWatches:
        return
      case xids.notification:
        return this.#notified(reader)
      case xids.auth:
        return this.#authenticated(errorCode)
      default: {
        const head = this.#pending.shift()
        if (!head || head.xid !== xid) {
          if (head) head.request.failed(new ZooKeeperError(errorCodes.connectionLoss, `${head.request.what}: ZooKeeper answered request ${xid} in place of ${head.xid}`, head.request.path))
          throw reader.malformed(`a reply to request ${xid} where ${head ? `one to ${head.xid}` : 'none'} was expected`)
        }
        if (zxid > 0n) this.#lastZxid = zxid
        if (this.#queue.size > 0) this.#flushSoon()
        try {
          head.request.replied(errorCode, reader)
        } catch (error) {
          head.request.failed(error as Error)
          throw error
        }
      }
    }
  }
  #notified(reader: Reader): void {
    const { type, path } = WatcherEvent.read(reader)
    const known = eventTypeOf(type)
    if (known === undefined) return
    this.deliver(this.watches.fire(known, path), { type: known, path: withoutChroot(this.chroot, path) })
  }
  /** Calls watchers; one that throws keeps the others from nothing. */
  deliver(watchers: readonly Watcher[], event: WatchEvent): void {
    for (const watcher of watchers) {
      try {
        watcher(event)
      } catch (error) {
        this.#log.error('a watcher failed', { path: event.path, error })
      }
    }
  }
  #authenticated(errorCode: number): void {
    const credentials = this.#credentialsSent.shift()
    if (errorCode === 0) {
      credentials?.settle?.(undefined)
      if (credentials) credentials.settle = undefined
      return
    }
    const error = new ZooKeeperError(errorCode, `ZooKeeper refused the credentials of scheme '${credentials?.packet.scheme ?? '?'}'`)
    this.#log.warn('authentication failed', { scheme: credentials?.packet.scheme })
    credentials?.settle?.(error)
    this.#end('authFailed')
  }

  #tick(connection: Connection, tickMs: number): void {
    const now = this.#host.clock.monotonic()
    const readTimeoutMs = (this.#timeoutMs * 2) / 3
    if (now - this.#heardAt >= readTimeoutMs) {
      // When the loop was busy, what the server sent may only be unread: look again after the loop has read.
      this.#host.timers.endOfTurn(() => {
        if (this.#connection !== connection || this.#host.clock.monotonic() - this.#heardAt < readTimeoutMs) return
        this.#lostReason = `nothing heard from ${this.#server?.host}:${this.#server?.port} for ${Math.round(readTimeoutMs)} ms`
        connection.destroy()
      })
      return
    }
    if (now - this.#sentAt >= Math.min(this.#timeoutMs / 3, pingIntervalMsMax) - tickMs) this.#send(xids.ping, op.ping, () => {})
  }

  /** While on a read-only server: asks the others, one after the other, whether one of them is back in a quorum. */
  async #findWritable(connection: Connection): Promise<void> {
    while (this.#connection === connection && !this.ended) {
      await this.#host.timers.sleep(this.#probeMs)
      this.#probeMs = Math.min(this.#probeMs * 2, probeMs.max)
      const index = this.#nextServer % this.#servers.length
      if (this.#connection !== connection || this.ended) return
      if ((await this.#isWritable(this.#servers[index])) && this.#connection === connection) {
        this.#nextServer = index
        this.#probeMs = probeMs.min
        this.#lostReason = 'a server with a quorum was found'
        connection.destroy()
        return
      }
      if (this.#connection === connection) this.#nextServer++
    }
  }
  async #isWritable({ host, port }: ServerAddress): Promise<boolean> {
    try {
      const connection = await this.#host.network.connect({ host, port, timeoutMs: 1_000 })
      return await new Promise<boolean>((settle) => {
        let answer = ''
        const timer = this.#host.timers.set(1_000, () => connection.destroy())
        connection.onData((chunk) => {
          answer = (answer + chunk.toString('latin1')).slice(0, 16)
        })
        connection.onClose(() => {
          timer.cancel()
          settle(answer === 'rw')
        })
        connection.write([Buffer.from('isro')])
      })
    } catch {
      return false
    }
  }

  #lost(connection: Connection): void {
    if (this.#connection !== connection) return
    this.#connection = undefined
    this.#ticking?.cancel()
    this.#credentialsSent = []
    if (this.ended) return
    this.#state = 'connecting'
    this.#log.debug('connection lost', { session: hexId(this.#id), reason: this.#lostReason || 'closed by the server' })
    this.#failAll()
    this.#emit('disconnected')
    this.#wake?.()
  }
  #end(state: 'closed' | 'expired' | 'authFailed'): void {
    if (this.ended) return
    this.#state = state
    this.#ticking?.cancel()
    const connection = this.#connection
    this.#connection = undefined
    connection?.destroy()
    this.#failAll()
    for (const { settle } of this.#credentials) settle?.(this.#endError({ what: 'addAuth', path: undefined }))
    this.watches.clear()
    this.#emit(state)
    this.#listeners.clear()
    this.#wake?.()
  }
  #failAll(): void {
    const waiting: SessionRequest[] = []
    while (this.#pending.size > 0) waiting.push((this.#pending.shift() as { request: SessionRequest }).request)
    while (this.#queue.size > 0) waiting.push(this.#queue.shift() as SessionRequest)
    for (const request of waiting) request.failed(this.#endError(request))
  }
  #endError({ what, path }: { what: string; path: string | undefined }): ZooKeeperError {
    switch (this.#state) {
      case 'expired': return new ZooKeeperError(errorCodes.sessionExpired, `${what}: session ${hexId(this.#id)} has expired`, path)
      case 'closed': return new ZooKeeperError(errorCodes.sessionExpired, `${what}: this client has been closed`, path)
      case 'authFailed': return new ZooKeeperError(errorCodes.authFailed, `${what}: ZooKeeper refused this client's credentials`, path)
      default: return new ZooKeeperError(errorCodes.connectionLoss, `${what}: the connection to ZooKeeper was lost${this.#lostReason ? ` (${this.#lostReason})` : ''}`, path)
    }
  }
  #emit(event: SessionEvent): void {
    const listeners = [...this.#listeners] // one may take itself off while it is told
    for (const listener of listeners) listener(event)
  }
}

function framed(xid: number, type: number, body: (writer: Writer) => void): Uint8Array[] {
  const writer = new Writer()
  writer.int32(0)
  writer.int32(xid)
  writer.int32(type)
  body(writer)
  return writer.finishFrame()
}
export const hexId = (id: bigint): string => `0x${BigInt.asUintN(64, id).toString(16)}`

function shuffled<T>(items: readonly T[], below: (below: number) => number): T[] {
  const list = [...items]
  for (let index = list.length - 1; index > 0; index--) {
    const other = below(index + 1)
    ;[list[index], list[other]] = [list[other], list[index]]
  }
  return list
}
