/**
 * Follows `/config/changes`: each new notification makes its entity's configuration be read anew and handed on, in order. At start, and
 * nodes older than 15 minutes are removed by whoever sees them (reference §1.7). Handlers are idempotent: notifications may come twice.
 *
 * What is new is told by the zxid of its creation. The numbers of their names begin anew when somebody deletes `/config/changes`, and a node
 * made by hand may have any: Apache's brokers, who go by the numbers, then pass over changes.
 */
import type { Host, Logger } from '../../host/host.ts'
import { isZooKeeperError } from '../../zookeeper/client/errors.ts'
import { decodeConfigChange, type ConfigChange } from './config-znodes.ts'
import type { KafkaZooKeeper } from './kafka-zookeeper.ts'
import { ZnodeError } from './znode-json.ts'
import { paths, sequenceOf } from './znode-paths.ts'

export type ConfigChangeHandler = (change: ConfigChange, overrides: Readonly<Record<string, string>>) => void | Promise<void>

interface Notification {
  readonly name: string
  readonly data: Buffer | null
  readonly zxid: bigint
  /** Milliseconds since 1970. */
  readonly ctime: number
}

/** By creation time on ZooKeeper's clock. */
const expiryMs = 15 * 60 * 1000
const stopWaitMs = 2_000
/** Who changed a configuration is answered after this at the latest: it is stored, and in force here as soon as ZooKeeper's watch tells. */
const announceWaitMs = 5_000

export class ConfigChanges {
  readonly #host: Host
  readonly #log: Logger
  readonly #zookeeper: KafkaZooKeeper
  readonly #handler: ConfigChangeHandler
  /** The zxid that created the newest notification that was handled, and the highest number in the name of one. */
  #last = -1n
  #highest = -1
  /** Notifications that were read, by name, below the node of that creation: none is read twice. */
  #known = { parent: -1n, notifications: new Map<string, Notification>() }
  #again = false
  #running: Promise<void> | undefined
  #stopped = false
  /** Who waits for the handling of notifications, by the zxid of their creation. */
  readonly #waiting = new Map<bigint, () => void>()

  constructor(host: Host, zookeeper: KafkaZooKeeper, handler: ConfigChangeHandler) {
    this.#host = host
    this.#log = host.logger.named('kafka.metadata')
    this.#zookeeper = zookeeper
    this.#handler = handler
    zookeeper.sessions.follow({ renewed: () => this.#look() })
  }
  /** Handles all notifications that are there, then each that comes. */
  async start(): Promise<void> {
    await this.#look()
  }
  /**
   * Tells all brokers of a change that is stored. Resolves when this one acts by it, so that who is answered then finds it in force here; on the others it comes
   * into force as they hear of it. Resolves after 5 s whether or not, and rejects when the notification cannot be written.
   */
  async announce(change: ConfigChange): Promise<void> {
    const zxid = await this.#zookeeper.notifyConfigChange(change)
    if (zxid <= this.#last || this.#stopped) return
    await new Promise<void>((done) => {
      const timer = this.#host.timers.set(announceWaitMs, () => {
        this.#waiting.delete(zxid)
        done()
      })
      this.#waiting.set(zxid, () => {
        timer.cancel()
        this.#waiting.delete(zxid)
        done()
      })
    })
  }
  #reached({ name, zxid }: { name: string; zxid: bigint }): void {
    this.#last = zxid
    const number = sequenceOf(name)
    if (number <= this.#highest)
      this.#log.warn('the numbers in /config/changes have gone back, because somebody has deleted it or made a notification by hand: brokers of Apache, if there are any, pass over changes of configurations until the numbers are above the highest they have seen. Restart those', { number, highest: this.#highest })
    if (!Number.isNaN(number)) this.#highest = number
    for (const [awaited, done] of this.#waiting) if (awaited <= zxid) done()
  }
  /** Waits for the pass that runs, but not for a ZooKeeper that is not there. */
  async stop(): Promise<void> {
    this.#stopped = true
    for (const done of this.#waiting.values()) done()
    await new Promise<void>((done) => {
      const timer = this.#host.timers.set(stopWaitMs, done)
      void Promise.resolve(this.#running).then(() => {
        timer.cancel()
        done()
      })
    })
  }

  /** One pass at a time; what comes meanwhile makes for one more. */
  #look(): Promise<void> {
    this.#again = true
    return (this.#running ??= this.#passes())
  }
  async #passes(): Promise<void> {
    await Promise.resolve()
    while (this.#again && !this.#stopped) {
      this.#again = false
      try {
        await this.#pass()
      } catch (error) {
        // The watch is set: the next notification tries this one again.
        if (!this.#stopped) this.#log.error('changes of configurations could not be applied; the next change tries again', { error })
      }
    }
    // In the same step as the last look: what comes later starts a new run.
    this.#running = undefined
  }
  async #pass(): Promise<void> {
    const zookeeper = this.#zookeeper
    const { names, parent } = await zookeeper.childrenOf(paths.configChanges, () => void this.#look())
    const known = this.#known.parent === parent ? this.#known.notifications : new Map<string, Notification>()
    const found = await zookeeper.each(names, async (name) => known.get(name) ?? this.#read(name))
    const notifications = found.filter((notification) => notification !== undefined)
    this.#known = { parent, notifications: new Map(notifications.map((notification) => [notification.name, notification])) }
    for (const notification of notifications.toSorted((one, other) => Number(one.zxid - other.zxid))) {
      if (this.#stopped) return
      if (notification.zxid <= this.#last) continue
      await this.#apply(notification.name, notification.data)
      this.#reached(notification)
    }
    const now = this.#host.clock.now()
    for (const { name, ctime } of notifications)
      if (now - ctime > expiryMs) await zookeeper.run((zk) => zk.delete(`${paths.configChanges}/${name}`)).catch(ignoreMissing)
  }
  async #read(name: string): Promise<Notification | undefined> {
    const node = await this.#zookeeper.run((zk) => zk.getData(`${paths.configChanges}/${name}`)).catch(ignoreMissing)
    return node && { name, data: node.data, zxid: node.stat.czxid, ctime: node.stat.ctime }
  }
  /** What cannot be read must not hold back what comes after it. */
  async #apply(name: string, data: Uint8Array | null): Promise<void> {
    try {
      const change = decodeConfigChange(name, data)
      await this.#handler(change, await this.#zookeeper.entityConfig(change.type, change.entity))
    } catch (error) {
      if (!(error instanceof ZnodeError)) throw error
      this.#log.error('a change of a configuration cannot be read: what was known before stays in force. Write the configuration anew with kafka-configs.sh or kafka-topics.sh', { error })
    }
  }
}

function ignoreMissing(error: unknown): undefined {
  if (isZooKeeperError(error, 'noNode')) return undefined
  throw error
}
