/** A machine of the simulation: a disk that stays, a clock that is wrong, and one process at a time, which lives on a virtual `Host`. */
import type { Host, LogFacts, Logger, LogLevel, Timer } from '../host/host.ts'
import { SimulatedDisk } from './disk.ts'
import { MachineDisk, type DiskSpeed } from './machine-disk.ts'
import type { SimulatedNetwork, Station } from './network.ts'
import { seededRandom } from './random.ts'
import type { Owner, World } from './world.ts'

/** One process from its start to its end. */
class Life implements Owner {
  isAlive = true
  pausedUntil = 0
}
export interface LogLine {
  readonly machine: string
  readonly level: LogLevel
  readonly component: string
  readonly event: string
  readonly facts: LogFacts | undefined
}

/** Virtual time begins here by every wall clock, more or less. */
const epochMs = 1_700_000_000_000

export class Machine implements Station {
  readonly name: string
  readonly address: string
  disk: SimulatedDisk
  hasPower = true
  readonly speed: DiskSpeed = { syncMsMax: 3 }
  /** Ms that its wall clock is ahead. */
  skewMs: number
  readonly #world: World
  readonly #network: SimulatedNetwork
  readonly #onLog: (line: LogLine) => void
  /** Its clocks run this much faster than the world's; and what they showed when they began to. */
  #rate: number
  #rateSince = 0
  #passedMs = 0
  readonly #bootMs: number
  #life: Life | undefined

  constructor(world: World, network: SimulatedNetwork, facts: { name: string; address: string; onLog: (line: LogLine) => void }) {
    this.#world = world
    this.#network = network
    this.#onLog = facts.onLog
    this.name = facts.name
    this.address = facts.address
    this.skewMs = world.between(-2_000, 2_000)
    this.#rate = 1 + world.between(-0.0005, 0.0005)
    this.#bootMs = world.between(1_000, 1_000_000)
    this.disk = this.#tended(new SimulatedDisk())
    network.add(this)
  }

  get isRunning(): boolean {
    return this.#life !== undefined
  }
  get monotonic(): number {
    return this.#bootMs + this.#passed
  }
  get wallClock(): number {
    return Math.floor(epochMs + this.skewMs + this.#passed)
  }
  get #passed(): number {
    return this.#passedMs + (this.#world.now - this.#rateSince) * this.#rate
  }
  get clockRate(): number {
    return this.#rate
  }
  /** From now on all its clocks run at this speed; timers that are set already fire as they would have. */
  set clockRate(rate: number) {
    this.#passedMs = this.#passed
    this.#rateSince = this.#world.now
    this.#rate = rate
  }
  #tended(disk: SimulatedDisk): SimulatedDisk {
    disk.now = () => this.wallClock
    return disk
  }

  /** Power on, and a new process on a fresh host. */
  boot(): Host {
    if (this.#life) throw new Error(`a process runs on ${this.name} already`)
    this.hasPower = true
    const life = (this.#life = new Life())
    this.#network.retry()
    return this.#host(life)
  }
  /** `kill -9`: the kernel closes its connections; its disk is as it was. */
  kill(): void {
    const life = this.#end()
    if (!life) return
    this.disk.dropLocks()
    this.#network.died(life, true)
  }
  /** The plug is pulled: what was not synced is gone, or torn, or there by chance. Nobody is told. */
  cutPower(): void {
    const life = this.#end()
    this.hasPower = false
    if (life) this.#network.died(life, false)
    const keep = this.#world.random.chance(0.5) ? 'synced' : 'some'
    this.disk = this.#tended(this.disk.afterPowerCut({ seed: this.#world.random.below(0x7fff_ffff), keep }))
  }
  /** The process stands still, and goes on as if nothing had been. */
  pause(ms: number): void {
    if (this.#life) this.#life.pausedUntil = Math.max(this.#life.pausedUntil, this.#world.now + ms)
  }
  #end(): Life | undefined {
    const life = this.#life
    this.#life = undefined
    if (life) life.isAlive = false
    return life
  }

  #host(life: Life): Host {
    const world = this.#world
    const random = seededRandom(world.random.below(0x7fff_ffff))
    const worldMs = (ms: number): number => Math.max(0, ms) / this.#rate + world.between(0.01, 0.5)
    return {
      clock: { now: () => this.wallClock, monotonic: () => this.monotonic },
      random,
      timers: {
        set: (ms, then) => world.schedule(worldMs(ms), then, life),
        every: (ms, then): Timer => {
          let current = world.schedule(worldMs(ms), fire, life)
          function fire(): void {
            current = world.schedule(worldMs(ms), fire, life)
            then()
          }
          return { cancel: () => current.cancel() }
        },
        endOfTurn: (then) => void world.schedule(0, then, life),
        // The world goes on when no promise is left to follow: what is next of this moment comes after them.
        afterPromises: (then) => void world.schedule(0, then, life),
        sleep: (ms) => world.sleep(worldMs(ms), life),
      },
      disk: new MachineDisk(world, life, this.disk, this.speed),
      network: {
        listen: async ({ host, port }, accept) => this.#network.listen(this, life, port, host, accept),
        connect: (to) => this.#network.connect(this, life, to),
        resolve: async (host) => [this.#network.station(host)?.address ?? host],
        hostName: () => this.name,
      },
      logger: this.#logger('ottla'),
    }
  }
  #logger(component: string): Logger {
    const log = (level: LogLevel) => (event: string, facts?: LogFacts) => {
      this.#world.trace(`${this.name} ${level} ${event}`)
      this.#onLog({ machine: this.name, level, component, event, facts })
    }
    return { debug: log('debug'), info: log('info'), warn: log('warn'), error: log('error'), named: (name) => this.#logger(name) }
  }
}
