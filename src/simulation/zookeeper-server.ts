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
  readonly #isReconfigurable: boolean
  readonly #number: number
  readonly #onStarted: (server: ZooKeeperServer) => void
  #failed = false

  /**
   * `members`: names of all machines of the ensemble, in the order of their numbers; none: it is alone. `isReconfigurable`: members may change;
   * then `zoo.cfg` is a file, and a machine that is no member is started as one that is to be added.
   */
  constructor(world: World, machine: Machine, facts: { settings: Readonly<Record<string, string | number | boolean>>; members?: readonly string[]; number?: number; isReconfigurable?: boolean; violated: (violation: unknown) => void; onStarted?: (server: ZooKeeperServer) => void }) {
    this.#world = world
    this.machine = machine
    this.#members = facts.members ?? []
    this.#number = facts.number ?? this.#members.indexOf(machine.name) + 1
    if (this.#members.length > 0) machine.disk.plant('/data/myid', Buffer.from(`${this.#number}\n`))
    this.#settings = facts.settings
    this.#isReconfigurable = facts.isReconfigurable === true
    if (this.#isReconfigurable) this.#enlist(this.#members.map((name, index) => `server.${index + 1}=${name}:2888:3888;${zooKeeperPort}`))
    this.#violated = facts.violated
    this.#onStarted = facts.onStarted ?? (() => {})
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
        if (life !== this.starts) return
        this.server = server
        this.#onStarted(server)
      },
      (error: unknown) => {
        // A disk that fails may well keep a server from starting; one that works may not.
        if (life !== this.starts) return
        if (this.machine.disk.failure({ kind: 'write', path: '/' }) !== undefined) this.#gaveUp(life)
        else if (this.#isReconfigurable && /there is no line server/.test((error as Error).message)) {
          this.#enlist(/^dynamicConfigFile=(.*)$/m.exec(this.#read('/zoo.cfg')) ? this.#read((/^dynamicConfigFile=(.*)$/m.exec(this.#read('/zoo.cfg')) as RegExpExecArray)[1]).split('\n') : [])
          this.#gaveUp(life)
        }
        else this.#violated(new Violation('a server starts on what it has written itself', `start ${life} of ${this.machine.name}: ${(error as Error).message}`))
      },
    )
  }
  #config(): ZooKeeperConfig {
    if (this.#isReconfigurable) return parseZooCfg(this.#read('/zoo.cfg'), '/zoo.cfg', (path) => this.#read(path)).config
    const settings = this.#lines
    if (this.#members.length === 0) return zooKeeperConfig(settings)
    const lines = [...Object.entries(settings), ...this.#members.map((name, index) => [`server.${index + 1}`, `${name}:2888:3888`])]
    return parseZooCfg(lines.map(([key, value]) => `${key}=${value}`).join('\n'), 'zoo.cfg').config
  }
  get #lines(): Record<string, string | number | boolean> & { readonly dataDir: string } {
    return { dataDir: '/data', clientPort: zooKeeperPort, clientPortAddress: '', 'admin.enableServer': false, preAllocSize: 16, ...this.#settings }
  }
  #read(path: string): string {
    return this.machine.disk.peek(path).toString()
  }
  /** What a careful operator writes for a server that is no member: the members, and itself as one that does not vote. */
  #enlist(members: readonly string[]): void {
    const own = `server.${this.#number}=${this.machine.name}:2888:3888:observer;${zooKeeperPort}`
    const lines = members.some((line) => line.startsWith(`server.${this.#number}=`)) ? members : [...members, own]
    this.machine.disk.plant('/zoo.cfg', Buffer.from([...Object.entries(this.#lines).map(([key, value]) => `${key}=${value}`), ...lines].join('\n')))
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
