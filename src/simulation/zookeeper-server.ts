/** A ZooKeeper server as shipped, on a virtual machine, started again whenever it has died. */
import { parseZooCfg, zooKeeperConfig, type ZooKeeperConfig } from '../zookeeper/server/config.ts'
import { ZooKeeperServer } from '../zookeeper/server/server.ts'
import { Violation } from './checkers/violation.ts'
import type { Machine } from './machine.ts'
import type { World } from './world.ts'

export const zooKeeperPort = 2181

export class SimulatedZooKeeper {
  readonly machine: Machine
  /** How often it has been started. */
  starts = 0
  startedAt = 0
  server: ZooKeeperServer | undefined
  readonly #world: World
  readonly #settings: Readonly<Record<string, string | number | boolean>>
  readonly #members: readonly string[]
  readonly #violated: (violation: unknown) => void
  #failed = false

  /** `members`: names of all machines of the ensemble, in the order of their numbers; none: it is alone. */
  constructor(world: World, machine: Machine, facts: { settings: Readonly<Record<string, string | number | boolean>>; members?: readonly string[]; violated: (violation: unknown) => void }) {
    this.#world = world
    this.machine = machine
    this.#members = facts.members ?? []
    if (this.#members.length > 0) machine.disk.plant('/data/myid', Buffer.from(`${this.#members.indexOf(machine.name) + 1}\n`))
    this.#settings = facts.settings
    this.#violated = facts.violated
  }

  start(): void {
    if (this.machine.isRunning) return
    const host = this.machine.boot()
    const config = this.#config()
    const life = ++this.starts
    this.startedAt = this.#world.now
    this.#failed = false
    this.server = undefined
    ZooKeeperServer.start(host, config, { onFailure: () => this.#gaveUp(life) }).then(
      (server) => {
        if (life === this.starts) this.server = server
      },
      (error: unknown) => {
        // A disk that fails may well keep a server from starting; one that works may not.
        if (life !== this.starts) return
        if (this.machine.disk.failure({ kind: 'write', path: '/' }) !== undefined) this.#gaveUp(life)
        else this.#violated(new Violation('a server starts on what it has written itself', `start ${life} of ${this.machine.name}: ${(error as Error).message}`))
      },
    )
  }
  #config(): ZooKeeperConfig {
    const settings = { dataDir: '/data', clientPort: zooKeeperPort, clientPortAddress: '', 'admin.enableServer': false, preAllocSize: 16, ...this.#settings }
    if (this.#members.length === 0) return zooKeeperConfig(settings)
    const lines = [...Object.entries(settings), ...this.#members.map((name, index) => [`server.${index + 1}`, `${name}:2888:3888`])]
    return parseZooCfg(lines.map(([key, value]) => `${key}=${value}`).join('\n'), 'zoo.cfg').config
  }
  async stop(): Promise<void> {
    await this.server?.stop()
  }
  /** It cannot write any more: somebody starts it again a second later. */
  #gaveUp(life: number): void {
    if (life !== this.starts || this.#failed) return
    this.#failed = true
    this.#world.schedule(1_000, () => {
      if (life !== this.starts) return
      this.machine.kill()
      this.start()
    })
  }
}
