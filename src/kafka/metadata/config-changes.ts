/**
 * Follows `/config/changes`: each new notification makes its entity's configuration be read anew and handed on, in order. At start, and
 * nodes older than 15 minutes are removed by whoever sees them (reference §1.7). Handlers are idempotent: notifications may come twice.
 */
import type { Host, Logger } from '../../host/host.ts'
import { isZooKeeperError } from '../../zookeeper/client/errors.ts'
import { decodeConfigChange, type ConfigChange } from './config-znodes.ts'
import type { KafkaZooKeeper } from './kafka-zookeeper.ts'
import { ZnodeError } from './znode-json.ts'
import { paths, sequenceOf } from './znode-paths.ts'

export type ConfigChangeHandler = (change: ConfigChange, overrides: Readonly<Record<string, string>>) => void | Promise<void>

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
  #last = -1
  #again = false
  #running: Promise<void> | undefined
  #stopped = false
  /** Who waits for the handling of notifications, by their number. */
  readonly #waiting = new Map<number, () => void>()

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
    const number = sequenceOf(await this.#zookeeper.notifyConfigChange(change))
    if (number <= this.#last || this.#stopped) return
    await new Promise<void>((done) => {
      const timer = this.#host.timers.set(announceWaitMs, () => {
        this.#waiting.delete(number)
        done()
      })
      this.#waiting.set(number, () => {
        timer.cancel()
        this.#waiting.delete(number)
        done()
      })
    })
  }
  #reached(number: number): void {
    this.#last = number
    for (const [awaited, done] of this.#waiting) if (awaited <= number) done()
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
    const names = (await this.#zookeeper.children(paths.configChanges, () => void this.#look())).sort((one, other) => sequenceOf(one) - sequenceOf(other))
    for (const name of names) {
      if (this.#stopped) return
      if (sequenceOf(name) <= this.#last) continue
      const node = await this.#read(name)
      if (node) await this.#apply(name, node.data)
      this.#reached(sequenceOf(name))
    }
    const now = this.#host.clock.now()
    for (const name of names) {
      const node = await this.#read(name)
      if (node && now - node.stat.ctime > expiryMs) await this.#zookeeper.run((zk) => zk.delete(`${paths.configChanges}/${name}`)).catch(ignoreMissing)
    }
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
  #read(name: string) {
    return this.#zookeeper.run((zk) => zk.getData(`${paths.configChanges}/${name}`)).catch(ignoreMissing)
  }
}

function ignoreMissing(error: unknown): undefined {
  if (isZooKeeperError(error, 'noNode')) return undefined
  throw error
}
