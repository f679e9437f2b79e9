/** Sessions with ZooKeeper, one after the other: a new one follows one that has expired; operations are repeated over lost connections. */
import type { Host, Logger } from '../../host/host.ts'
import { ZooKeeperClient, type Credentials } from '../../zookeeper/client/client.ts'
import { isZooKeeperError } from '../../zookeeper/client/errors.ts'
import { requestSizeMax } from './znode-json.ts'

export interface ZooKeeperSessionOptions {
  /** `zookeeper.connect` */
  readonly connect: string
  /** `zookeeper.session.timeout.ms` */
  readonly sessionTimeoutMs: number
  /** `zookeeper.connection.timeout.ms`; default: the session timeout. */
  readonly connectionTimeoutMs?: number
  /** `zookeeper.max.in.flight.requests` */
  readonly inFlightMax?: number
  readonly auth?: readonly Credentials[]
}

/** What has to happen around a change of session. Each is awaited before the next step. */
export interface SessionFollower {
  /** The session is gone, and with it every ephemeral node and watch. */
  expired?(): void | Promise<void>
  /** A new session stands. */
  renewed?(): void | Promise<void>
}

const retryMs = 500

export class ZooKeeperSessions {
  readonly #host: Host
  readonly #options: ZooKeeperSessionOptions
  readonly #log: Logger
  readonly #followers: SessionFollower[] = []
  #client: ZooKeeperClient
  #closed = false
  /** Resolves when the next session stands, while there is none. */
  #renewing: Promise<void> | undefined

  private constructor(host: Host, options: ZooKeeperSessionOptions, client: ZooKeeperClient) {
    this.#host = host
    this.#options = options
    this.#log = host.logger.named('kafka.metadata')
    this.#client = client
    this.#follow(client)
  }

  /** Rejects when no server gives a session within the connection timeout. Makes the chroot when it is missing. */
  static async open(host: Host, options: ZooKeeperSessionOptions): Promise<ZooKeeperSessions> {
    return new ZooKeeperSessions(host, options, await connect(host, options))
  }

  /** The current client; its session may have ended this moment. */
  get client(): ZooKeeperClient {
    return this.#client
  }
  get sessionId(): bigint {
    return this.#client.session.id
  }
  get closed(): boolean {
    return this.#closed
  }
  /** Followers are told in the order in which they were added. */
  follow(follower: SessionFollower): void {
    this.#followers.push(follower)
  }

  /**
   * Runs `operation` until it ends with anything but a lost connection. After a lost connection the outcome of a write is unknown:
   * `attempt` says whether this is a repetition, so that the operation can recognise its own earlier effect.
   */
  async run<T>(operation: (client: ZooKeeperClient, attempt: number) => Promise<T>): Promise<T> {
    for (let attempt = 0; ; attempt++) {
      const client = this.#client
      try {
        return await operation(client, attempt)
      } catch (error) {
        if (this.#closed) throw error
        if (isZooKeeperError(error, 'connectionLoss')) {
          await client.connected().catch(() => undefined)
        } else if (isZooKeeperError(error, 'sessionExpired')) {
          // The client knows before this room has acted on it; the new session follows.
          await this.#renewing
          if (this.#client === client) await this.#host.timers.sleep(1)
        } else throw error
      }
    }
  }

  /** Ends the session: ephemeral nodes go at once. */
  async close(): Promise<void> {
    this.#closed = true
    await this.#client.close()
  }
  /** Drops the connection as the end of the process would. */
  abandon(): void {
    this.#closed = true
    this.#client.abandon()
  }

  #follow(client: ZooKeeperClient): void {
    client.onState((event) => {
      if (this.#closed || this.#client !== client) return
      if (event === 'disconnected') this.#log.warn('connection to ZooKeeper lost', { connect: this.#options.connect })
      if (event === 'connected') this.#log.info('connected to ZooKeeper again', { session: hex(client.session.id) })
      if (event === 'authFailed') this.#log.error('ZooKeeper refused the credentials', { connect: this.#options.connect })
      if (event === 'expired') this.#renewing ??= this.#renew().finally(() => (this.#renewing = undefined))
    })
  }
  async #renew(): Promise<void> {
    this.#log.warn('the session with ZooKeeper has expired; a new one follows', { session: hex(this.#client.session.id) })
    for (const follower of this.#followers) await this.#tell('expired', follower)
    while (!this.#closed) {
      try {
        const client = await connect(this.#host, this.#options)
        if (this.#closed) return await client.close()
        this.#client = client
        this.#follow(client)
        break
      } catch (error) {
        this.#log.warn('no new session with ZooKeeper yet', { error })
        await this.#host.timers.sleep(retryMs)
      }
    }
    if (this.#closed) return
    this.#log.info('new session with ZooKeeper', { session: hex(this.#client.session.id) })
    // Followers use the new session themselves: nobody may wait for them to finish.
    void this.#tellRenewed(this.#client)
  }
  async #tellRenewed(client: ZooKeeperClient): Promise<void> {
    for (const follower of this.#followers) {
      if (this.#client !== client || this.#closed) return
      // A broker that cannot register again must not be elected controller either.
      if (!(await this.#tell('renewed', follower))) return
    }
  }
  async #tell(step: 'expired' | 'renewed', follower: SessionFollower): Promise<boolean> {
    try {
      await follower[step]?.()
      return true
    } catch (error) {
      if (!this.#closed) this.#log.error(step === 'expired' ? 'something could not be ended with the session' : 'the broker could not go on with the new session: restart it', { error })
      return false
    }
  }
}

async function connect(host: Host, { connect: text, sessionTimeoutMs, connectionTimeoutMs, inFlightMax, auth }: ZooKeeperSessionOptions): Promise<ZooKeeperClient> {
  const client = await ZooKeeperClient.connect(host, { connect: text, sessionTimeoutMs, connectTimeoutMs: connectionTimeoutMs, inFlightMax, auth, requestSizeMax })
  if (client.chroot !== '') await makeChroot(host, text, client.chroot, sessionTimeoutMs, auth)
  return client
}
/** The chroot's own nodes are outside of it: a short session of its own makes them. */
async function makeChroot(host: Host, text: string, chroot: string, sessionTimeoutMs: number, auth: readonly Credentials[] | undefined): Promise<void> {
  const outside = await ZooKeeperClient.connect(host, { connect: text.slice(0, text.indexOf('/')), sessionTimeoutMs, auth })
  try {
    await makePath(outside, chroot)
  } finally {
    await outside.close()
  }
}
/** Makes a persistent node and those above it, with null data; what is there already stays. */
export async function makePath(client: ZooKeeperClient, path: string): Promise<void> {
  try {
    await client.create(path)
  } catch (error) {
    if (isZooKeeperError(error, 'nodeExists')) return
    const above = path.slice(0, path.lastIndexOf('/'))
    if (!isZooKeeperError(error, 'noNode') || above === '') throw error
    await makePath(client, above)
    await makePath(client, path)
  }
}
const hex = (id: bigint): string => `0x${BigInt.asUintN(64, id).toString(16)}`
