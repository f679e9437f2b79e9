/** A ZooKeeper server as shipped, on a virtual machine, started again whenever it has died. */
import { zooKeeperConfig } from '../zookeeper/server/config.ts'
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
  readonly #violated: (violation: unknown) => void
  #failed = false

  constructor(world: World, machine: Machine, facts: { settings: Readonly<Record<string, string | number | boolean>>; violated: (violation: unknown) => void }) {
    this.#world = world
    this.machine = machine
    this.#settings = facts.settings
    this.#violated = facts.violated
  }

  start(): void {
    if (this.machine.isRunning) return
    const host = this.machine.boot()
    const config = zooKeeperConfig({ dataDir: '/data', clientPort: zooKeeperPort, clientPortAddress: '', 'admin.enableServer': false, preAllocSize: 16, ...this.#settings })
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
