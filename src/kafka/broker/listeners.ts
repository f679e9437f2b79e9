/** The broker's sockets: bound early, so that the real port can be registered; served when the broker is ready. */
import type { Connection, Host, ListenerSocket } from '../../host/host.ts'
import { ClientConnection } from './connection.ts'
import type { Dispatcher } from './dispatch.ts'
import { FrameMemory } from './frames.ts'

export interface ListenerWish {
  /** Name of the listener, upper case. */
  listener: string
  /** '' for every interface. */
  host: string
  /** 0 for any free port. */
  port: number
}
export interface ListenersOptions {
  host: Host
  frameSizeMax: number
  /** Negative: connections are never idle for too long. */
  idleMsMax: number
  backlog: number
  /** Bytes of large requests held at once, over all connections. */
  memoryMax: number
}

/** A connection that has sent a part of a request and no more for this long, while others wait for memory, is closed. */
const stallMsMax = 30_000
const sweepEveryMs = 5_000

export class ListenError extends Error {}

export class Listeners {
  readonly #options: ListenersOptions
  readonly #memory: FrameMemory
  readonly #sockets: ListenerSocket[] = []
  readonly #connections = new Set<ClientConnection>()
  /** Accepted before the broker was ready. One that has closed meanwhile would never say so again, and a stop would wait for it without an end. */
  readonly #early = new Map<Connection, string>()
  #dispatcher: Dispatcher | undefined
  #stopping = false
  #accepted = 0
  #sweeping: { cancel(): void } | undefined

  constructor(options: ListenersOptions) {
    this.#options = options
    this.#memory = new FrameMemory(options.memoryMax)
  }
  get connectionCount(): number {
    return this.#connections.size
  }

  /** Binds all of them; the ports really bound. Rejects with a ListenError that says which and why. */
  async bind(wishes: readonly ListenerWish[]): Promise<ListenerWish[]> {
    const bound: ListenerWish[] = []
    for (const wish of wishes) {
      try {
        const socket = await this.#options.host.network.listen({ host: wish.host || undefined, port: wish.port, backlog: this.#options.backlog, givesRoom: true }, (connection) =>
          this.#accept(wish.listener, connection),
        )
        this.#sockets.push(socket)
        bound.push({ ...wish, port: socket.port })
      } catch (cause) {
        await Promise.all(this.#sockets.map((socket) => socket.close()))
        throw new ListenError(`listener ${wish.listener}://${wish.host}:${wish.port} cannot be opened: ${reasonOf(cause)}`, { cause })
      }
    }
    return bound
  }

  /** Requests are served from now on, also those of connections that came early. */
  serve(dispatcher: Dispatcher): void {
    this.#dispatcher = dispatcher
    const early = [...this.#early]
    this.#early.clear()
    for (const [connection, listener] of early) this.#open(listener, connection)
    this.#sweeping = this.#options.host.timers.every(sweepEveryMs, () => this.#sweep())
  }

  /** Takes no connection and no request any more; what is in progress may finish within `graceMs`. */
  async stop(graceMs: number): Promise<void> {
    this.#stopping = true
    this.#sweeping?.cancel()
    for (const connection of this.#early.keys()) connection.destroy()
    this.#early.clear()
    const closed = Promise.all(this.#sockets.map((socket) => socket.close()))
    const gone = new Promise<void>((done) => (this.#onEmpty = done))
    for (const connection of this.#connections) connection.end()
    if (this.#connections.size > 0) {
      const timer = this.#options.host.timers.set(graceMs, () => {
        for (const connection of this.#connections) connection.destroy()
      })
      await gone
      timer.cancel()
    }
    await closed
  }
  #onEmpty: () => void = () => {}

  #accept(listener: string, connection: Connection): void {
    if (this.#stopping) connection.destroy()
    else if (this.#dispatcher) this.#open(listener, connection)
    else {
      connection.pause()
      this.#early.set(connection, listener)
      connection.onClose(() => this.#early.delete(connection))
    }
  }
  #open(listener: string, socket: Connection): void {
    const { host, frameSizeMax } = this.#options
    const connection = new ClientConnection(socket, {
      host,
      dispatcher: this.#dispatcher!,
      listener,
      frameSizeMax,
      memory: this.#memory,
      id: `${socket.localAddress}:${socket.localPort}-${socket.remoteAddress}:${socket.remotePort}-${this.#accepted++}`,
      closed: (gone) => {
        this.#connections.delete(gone)
        if (this.#connections.size === 0) this.#onEmpty()
      },
    })
    this.#connections.add(connection)
    socket.resume()
  }

  #sweep(): void {
    const now = this.#options.host.clock.monotonic()
    const { idleMsMax } = this.#options
    for (const connection of this.#connections) {
      const idleMs = now - connection.activeAt
      if (idleMsMax >= 0 && idleMs > idleMsMax && connection.idle) connection.destroy()
      else if (this.#memory.waiting > 0 && idleMs > stallMsMax && connection.stalled) connection.destroy()
    }
  }
}

function reasonOf(cause: unknown): string {
  const { code, message } = cause as NodeJS.ErrnoException
  if (code === 'EADDRINUSE') return 'the port is in use by another process; stop that one or choose another port'
  if (code === 'EACCES') return 'this user may not bind that port; choose one above 1023'
  if (code === 'EADDRNOTAVAIL') return 'no interface of this machine has that address'
  if (code === 'ENOTFOUND') return 'that host name is not known'
  return message
}
