/** Where clients connect: listens, and moves when the configuration of the ensemble says so. */
import type { Connection, ListenerSocket, Logger, Network } from '../../host/host.ts'

export class ClientPort {
  readonly #network: Network
  readonly #logger: Logger
  readonly #accept: (socket: Connection) => void
  #listener: ListenerSocket | undefined
  /** Undefined: every address of this machine. */
  #address: string | undefined
  /** Moves, one after the other. */
  #moving: Promise<void> = Promise.resolve()
  #isClosed = false

  constructor(network: Network, logger: Logger, accept: (socket: Connection) => void) {
    this.#network = network
    this.#logger = logger
    this.#accept = accept
  }

  /** 0 until it listens. */
  get port(): number {
    return this.#listener?.port ?? 0
  }
  /** `backlog`: connections that wait to be accepted; not above 0: the system's default. Rejects with a sentence that says what to do. */
  async listen(address: string | undefined, port: number, backlog: number): Promise<void> {
    this.#address = address
    try {
      this.#listener = await this.#network.listen({ host: address, port, ...(backlog > 0 && { backlog }) }, this.#accept)
    } catch (cause) {
      throw listenError('clientPort', address, port, cause)
    }
  }
  /** Listens elsewhere, or says in the log why it cannot; clients that are connected stay. */
  move({ host, port }: { host: string; port: number }): void {
    const address = host === '0.0.0.0' || host === '::' ? undefined : host
    this.#moving = this.#moving.then(async () => {
      const old = this.#listener
      if (this.#isClosed || !old || (this.#address === address && old.port === port)) return
      // One port cannot be bound twice, whatever the addresses.
      if (old.port === port) await old.close()
      try {
        this.#listener = await this.#network.listen({ host: address, port }, this.#accept)
        this.#address = address
        this.#logger.info('clients are served at another address', { address: address ?? 'all', port })
        if (old.port !== port) await old.close()
      } catch (cause) {
        this.#logger.error('clients cannot be served where the new configuration says', { cause: listenError('client port in the server line', address, port, cause) })
      }
    })
  }
  /** Takes nobody any more, and does not move any more. */
  async close(): Promise<void> {
    this.#isClosed = true
    await this.#moving
    await this.#listener?.close()
  }
}

/** Why nothing can be served there, and what to do. */
export function listenError(key: string, host: string | undefined, port: number, cause: unknown, otherwise = ''): Error {
  const { code } = cause as NodeJS.ErrnoException
  const at = `${host ?? '*'}:${port}`
  const found = code === 'EADDRINUSE' ? 'another process listens there' : code === 'EACCES' ? 'the system does not allow it' : code === 'EADDRNOTAVAIL' ? 'this machine does not have that address' : (cause as Error).message
  return new Error(`cannot listen on ${at} (${key}): ${found}. Stop that process, choose another ${key}${otherwise ? ` ${otherwise}` : ''}`, { cause })
}
