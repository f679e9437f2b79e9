/** The clients that are connected: by address, by session, and those whose connection is about to end. */
import type { Connection, Timer, Timers } from '../../host/host.ts'
import type { ClientConnection } from './connection.ts'

/** How long a client has to close its side. */
const endingMs = 200
const checkMs = 5

export class Connections {
  readonly all: ReadonlySet<ClientConnection>
  readonly #all = new Set<ClientConnection>()
  readonly #bySession = new Map<bigint, ClientConnection>()
  readonly #countByAddress = new Map<string, number>()
  /** Sockets whose last byte is written and whose other side has not closed yet. */
  readonly #ending = new Map<Connection, Timer>()
  readonly #timers: Timers

  constructor(timers: Timers) {
    this.all = this.#all
    this.#timers = timers
  }

  countFrom(address: string): number {
    return this.#countByAddress.get(address) ?? 0
  }
  of(sessionId: bigint): ClientConnection | undefined {
    return this.#bySession.get(sessionId)
  }
  add(connection: ClientConnection): void {
    this.#all.add(connection)
    this.#countByAddress.set(connection.socket.remoteAddress, this.countFrom(connection.socket.remoteAddress) + 1)
  }
  /** Its session is established, and is from now on its own. */
  established(connection: ClientConnection): void {
    this.#bySession.set(connection.sessionId, connection)
  }
  /** Whether it was there. */
  remove(connection: ClientConnection): boolean {
    if (!this.#all.delete(connection)) return false
    if (this.of(connection.sessionId) === connection) this.#bySession.delete(connection.sessionId)
    const { remoteAddress } = connection.socket
    const left = this.countFrom(remoteAddress) - 1
    if (left > 0) this.#countByAddress.set(remoteAddress, left)
    else this.#countByAddress.delete(remoteAddress)
    return true
  }
  /** A client that has been told to go and does not is not waited for. */
  ending(socket: Connection): void {
    this.#ending.set(socket, this.#timers.set(endingMs, () => {
      this.#ending.delete(socket)
      socket.destroy()
    }))
  }
  ended(socket: Connection): void {
    this.#ending.get(socket)?.cancel()
    this.#ending.delete(socket)
  }
  /** Tells all to go, and gives them a moment for it. */
  async finish(): Promise<void> {
    for (const connection of this.#all) connection.finish()
    for (let waited = 0; this.#ending.size > 0 && waited < endingMs; waited += checkMs) await this.#timers.sleep(checkMs)
    for (const socket of this.#ending.keys()) socket.destroy()
  }
}
