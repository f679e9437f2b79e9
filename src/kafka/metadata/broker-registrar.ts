/**
 * Keeps this broker registered: at start, after each new session, and after a `kill -9` without waiting for the old session to expire.
 *
 * Apache's broker refuses to start while its old registration lives. This one proves that the old session was its own: id and password
 * of each session are kept in a file (mode 0600) in a log dir, which only one process can have locked. On start it takes that session
 * over, closes it, and registers anew. A copy of the folder proves nothing: the file names the folder it was written in.
 */
import type { Host, Logger, Timer } from '../../host/host.ts'
import { ZooKeeperClient } from '../../zookeeper/client/client.ts'
import { isZooKeeperError } from '../../zookeeper/client/errors.ts'
import { encodeBroker, type BrokerRegistration } from './broker-znode.ts'
import type { KafkaZooKeeper } from './kafka-zookeeper.ts'
import { paths } from './znode-paths.ts'
import type { ZooKeeperSessionOptions } from './zookeeper-sessions.ts'

export const sessionFileName = 'zookeeper-session.json'
/** After an attempt to register in the same session that has failed. */
const againMs = 1_000

/** The registration cannot be made: another broker has the id, or the address. */
export class RegistrationRefusedError extends Error {}

export interface RegistrarOptions {
  readonly zookeeper: KafkaZooKeeper
  /** As the sessions were opened: for taking over the old one. */
  readonly connection: ZooKeeperSessionOptions
  /** A log dir this process has locked; without one an old session has to expire by itself. */
  readonly directory: string | undefined
  /** What is registered; asked for at each registration. */
  readonly registration: () => Omit<BrokerRegistration, 'timestampMs'>
}

export class BrokerRegistrar {
  readonly #host: Host
  readonly #log: Logger
  readonly #options: RegistrarOptions
  #epoch = -1n
  #lastSession: bigint | undefined
  /** What stands in the own node, and who looks after it: a watch of an earlier registration is nobody's any more. */
  #written: Buffer | undefined
  #watch = 0
  #again: Timer | undefined
  #stopped = false

  constructor(host: Host, options: RegistrarOptions) {
    this.#host = host
    this.#log = host.logger.named('kafka.metadata')
    this.#options = options
    options.zookeeper.sessions.follow({ renewed: () => this.#registerAgain() })
  }

  /** The broker epoch: czxid of the own node; −1 before the first registration. */
  get epoch(): bigint {
    return this.#epoch
  }
  get #file(): string | undefined {
    const { directory } = this.#options
    return directory === undefined ? undefined : `${directory}/${sessionFileName}`
  }

  /** Registers for the first time. Rejects with a RegistrationRefusedError when the id or an address is another's. */
  async start(): Promise<bigint> {
    await this.#endOldSession()
    await this.#rememberSession()
    try {
      return await this.#register()
    } catch (error) {
      await this.stop()
      throw error
    }
  }
  /**
   * Says that there is nothing left to take over. Call before the session is closed. Without a connection it cannot be closed, and the
   * proof stays for the next start: the registration would else stand in its way until it expires.
   */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#again?.cancel()
    if (this.#file !== undefined && this.#options.zookeeper.sessions.client.state === 'connected') await this.#host.disk.remove(this.#file)
  }
  /** Writes the registration anew in place: advertised addresses have changed. */
  async update(): Promise<void> {
    const registration = this.#options.registration()
    const data = this.#encoded(registration)
    await this.#options.zookeeper.run((zk) => zk.setData(paths.broker(registration.id), data))
  }
  /** What stands in the own node from now on. */
  #encoded(registration: Omit<BrokerRegistration, 'timestampMs'>): Buffer {
    return (this.#written = encodeBroker({ ...registration, timestampMs: this.#host.clock.now() }))
  }

  async #registerAgain(): Promise<void> {
    await this.#rememberSession()
    await this.#register()
    this.#log.info('registered again', { broker: this.#options.registration().id, epoch: this.#epoch })
  }

  /** Whatever happens to the own node while the session lasts is somebody else's doing: a broker without registration serves nobody, and does not know. */
  async #lookAfter(watch: number, session: bigint): Promise<void> {
    const { zookeeper } = this.#options
    const isEnded = (): boolean => this.#stopped || zookeeper.sessions.sessionId !== session
    const isOver = (): boolean => isEnded() || watch !== this.#watch
    if (isOver()) return
    const { id } = this.#options.registration()
    const path = paths.broker(id)
    try {
      const node = await zookeeper.run((zk) => zk.getData(path, { watch: () => void this.#lookAfter(watch, session) })).catch((error: unknown) => {
        if (!isZooKeeperError(error, 'noNode')) throw error
      })
      if (isOver()) return
      if (!node) {
        this.#log.error('the registration of this broker was deleted by somebody else: it registers again', { path })
        // Perhaps with all that is above it.
        await zookeeper.makePersistentPaths()
        await this.#registerAgain()
      } else if (this.#written && !node.data?.equals(this.#written)) {
        this.#log.error('the registration of this broker was changed by somebody else: it is written anew', { path })
        await this.update()
      }
    } catch (error) {
      // An attempt to register ends the watch before it: what counts is that the session is the same.
      if (isEnded()) return
      this.#log.error('the registration of this broker could not be looked after; trying again', { path, error })
      this.#again?.cancel()
      this.#again = this.#host.timers.set(againMs, () => void this.#lookAfter(this.#watch, session))
    }
  }

  async #register(): Promise<bigint> {
    const { zookeeper } = this.#options
    const registration = this.#options.registration()
    const path = paths.broker(registration.id)
    await this.#refuseSharedAddresses(registration)
    const data = this.#encoded(registration)
    const number = ++this.#watch
    for (;;) {
      try {
        // Empty at first, then filled with version 0 expected, as Apache's: nobody ever reads an empty node.
        await zookeeper.run((zk) => zk.multi([{ op: 'create', path, mode: 'ephemeral' }, { op: 'setData', path, data, version: 0 }]))
      } catch (error) {
        if (!isZooKeeperError(error, 'nodeExists')) throw error
      }
      const stat = await zookeeper.run((zk) => zk.exists(path))
      if (stat === undefined) continue
      const own = zookeeper.sessions.sessionId
      if (stat.ephemeralOwner === own) {
        this.#lastSession = own
        this.#epoch = stat.czxid
        void this.#lookAfter(number, own)
        return this.#epoch
      }
      if (stat.ephemeralOwner !== this.#lastSession) throw await this.#refusalOf(registration.id, stat.ephemeralOwner)
      // What an earlier session of this process left behind.
      await zookeeper.run((zk) => zk.delete(path)).catch((error: unknown) => {
        if (!isZooKeeperError(error, 'noNode')) throw error
      })
    }
  }
  async #refusalOf(id: number, owner: bigint): Promise<RegistrationRefusedError> {
    const holder = await this.#options.zookeeper.broker(id).catch(() => undefined)
    const where = holder?.registration.endpoints.map(({ listener, host, port }) => `${listener}://${host}:${port}`).join(', ')
    return new RegistrationRefusedError(
      `broker id ${id} is registered already${where ? ` at ${where}` : ''} (ZooKeeper session ${hexId(owner)}). Stop that broker, or choose another broker.id. ` +
        `If it has died, its registration ends with its session, at the latest after its zookeeper.session.timeout.ms`,
    )
  }
  async #refuseSharedAddresses({ id, endpoints }: Omit<BrokerRegistration, 'timestampMs'>): Promise<void> {
    const own = new Set(endpoints.map(({ host, port }) => `${host}:${port}`))
    for (const other of await this.#options.zookeeper.brokers()) {
      const shared = other.registration.id === id ? undefined : other.registration.endpoints.find(({ host, port }) => own.has(`${host}:${port}`))
      if (shared)
        throw new RegistrationRefusedError(
          `${shared.host}:${shared.port} is registered by broker ${other.registration.id} already. Each broker needs addresses of its own: change advertised.listeners or listeners of one of the two`,
        )
    }
  }

  /** Takes over the session that the last run of this broker left, and closes it: registration and controllership go at once. */
  async #endOldSession(): Promise<void> {
    const file = this.#file
    if (file === undefined || (await this.#host.disk.facts(file)) === undefined) return
    const old = await this.#readSessionFile(file)
    if (!old) return
    try {
      const client = await ZooKeeperClient.connect(this.#host, {
        connect: this.#options.connection.connect,
        sessionTimeoutMs: this.#options.connection.sessionTimeoutMs,
        connectTimeoutMs: this.#options.connection.connectionTimeoutMs,
        auth: this.#options.connection.auth,
        session: old,
      })
      await client.close()
      this.#log.info('closed the session that the last run of this broker left behind', { session: hexId(old.id) })
    } catch (error) {
      // Expired is as good as closed. Anything else shows when the registration is refused.
      if (!isZooKeeperError(error, 'sessionExpired')) this.#log.warn('the session of the last run could not be closed', { session: hexId(old.id), error })
    }
  }
  async #readSessionFile(file: string): Promise<{ id: bigint; password: Buffer } | undefined> {
    try {
      const { sessionId, password, brokerId, directory } = JSON.parse((await this.#host.disk.readFile(file)).toString('utf8')) as Record<string, unknown>
      if (typeof sessionId !== 'string' || typeof password !== 'string') throw new Error('sessionId or password is missing')
      // Copied or restored elsewhere, or given to another broker: no proof.
      if (brokerId !== this.#options.registration().id || directory !== (await this.#directoryId())) return undefined
      return { id: BigInt.asIntN(64, BigInt(sessionId)), password: Buffer.from(password, 'hex') }
    } catch (error) {
      this.#log.warn('the file about the last session cannot be read; an old registration has to expire by itself', { file, error })
      return undefined
    }
  }
  /** Before anything ephemeral is made in it, so that a crash at any later moment can be followed up. */
  async #rememberSession(): Promise<void> {
    const file = this.#file
    if (file === undefined) return
    const { id, password } = this.#options.zookeeper.sessions.client.session
    const content = { version: 1, brokerId: this.#options.registration().id, directory: await this.#directoryId(), sessionId: hexId(id), password: password.toString('hex') }
    try {
      await this.#host.disk.replaceFile(file, `${JSON.stringify(content)}\n`, { mode: 0o600 })
    } catch (error) {
      this.#log.warn('the session could not be written down; after a crash the next start may have to wait for it to expire', { file, error })
    }
  }
  async #directoryId(): Promise<string | undefined> {
    const { directory } = this.#options
    return directory === undefined ? undefined : (await this.#host.disk.facts(directory))?.id
  }
}

const hexId = (id: bigint): string => `0x${BigInt.asUintN(64, id).toString(16)}`
