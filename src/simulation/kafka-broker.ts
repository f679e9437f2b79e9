/** A Kafka broker as shipped, on a virtual machine, started again whenever it has died. */
import { Broker } from '../kafka/broker/broker.ts'
import { readBrokerConfig } from '../kafka/config/broker-settings.ts'
import { Violation } from './checkers/violation.ts'
import type { Machine } from './machine.ts'
import type { World } from './world.ts'

export const kafkaPort = 9092
/** Between two attempts of whoever starts a broker that could not start. */
const againMs = 1_000

export class SimulatedBroker {
  readonly id: number
  readonly machine: Machine
  starts = 0
  /** Starts that were refused because of ZooKeeper: it was away, or an old registration had to expire. */
  refused = 0
  broker: Broker | undefined
  readonly #world: World
  readonly #settings: Readonly<Record<string, string>>
  readonly #violated: (violation: unknown) => void

  constructor(world: World, machine: Machine, facts: { id: number; settings: Readonly<Record<string, string>>; violated: (violation: unknown) => void }) {
    this.#world = world
    this.machine = machine
    this.id = facts.id
    this.#settings = facts.settings
    this.#violated = facts.violated
  }

  start(): void {
    if (this.machine.isRunning) return
    const host = this.machine.boot()
    const life = ++this.starts
    this.broker = undefined
    const entries = Object.entries({
      'broker.id': String(this.id), 'listeners': `PLAINTEXT://${this.machine.name}:${kafkaPort}`, 'log.dirs': '/kafka', ...this.#settings,
    }).map(([key, value]) => ({ key, value }))
    Broker.start(host, readBrokerConfig(entries).settings).then(
      (broker) => {
        if (life === this.starts) this.broker = broker
      },
      (error: Error) => {
        if (life !== this.starts) return
        const isOfZooKeeper = error.constructor.name === 'RegistrationRefusedError' || /zookeeper|session/i.test(`${error.name} ${error.constructor.name} ${error.message}`)
        if (!isOfZooKeeper && this.machine.disk.failure({ kind: 'write', path: '/' }) === undefined) {
          return this.#violated(new Violation('a broker starts on what it has written itself', `start ${life} of ${this.machine.name}: ${error.stack}`))
        }
        this.refused++
        this.#world.schedule(againMs, () => {
          if (life !== this.starts) return
          this.machine.kill()
          this.start()
        })
      },
    )
  }
  async stop(): Promise<void> {
    await this.broker?.stop()
  }
}
