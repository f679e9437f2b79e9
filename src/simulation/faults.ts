/** What goes wrong, chosen by chance: every fault begins, lasts for a while, and is made good again. */
import type { Machine } from './machine.ts'
import type { SimulatedNetwork } from './network.ts'
import type { World } from './world.ts'

export type FaultKind = 'stop' | 'kill' | 'powerCut' | 'killAndPowerCut' | 'blackout' | 'pause' | 'block' | 'partition' | 'slowLink' | 'reset' | 'slowDisk' | 'fullDisk' | 'brokenDisk' | 'clockStep' | 'clockSpeed' | 'lossyLink' | 'deposed' | 'lateOrders' | 'stumble' | 'zombie' | 'swap'
export interface Process {
  readonly machine: Machine
  /** Called after the machine has lost its process: to start it again when it may. */
  readonly restart: () => void
  /** A clean stop, as on SIGTERM. */
  readonly stop: () => Promise<void>
  /** Whether the others depend on it: then it is hit oftener. */
  readonly leads?: () => boolean
}
/** How much oftener. */
const leaderShare = 0.35
export interface FaultPlan {
  /** Who ends the session of a process that does not come to it: `zombie` cuts a process off from there alone. */
  readonly coordination?: Machine
  readonly kinds: readonly FaultKind[]
  /** From the end of one fault to the beginning of the next, ms. */
  readonly pauseMs: readonly [number, number]
  /** How long a fault lasts, ms. */
  readonly lastsMs: readonly [number, number]
}

export class Faults {
  readonly counts = new Map<FaultKind, number>()
  readonly #world: World
  readonly #network: SimulatedNetwork
  readonly #plan: FaultPlan
  readonly #victims: readonly Process[]
  readonly #others: readonly Machine[]
  #stopped = false
  #calmSince: number | undefined = 0

  /** Servers are killed, cut off and so on; the links between them and the other machines fail. */
  constructor(world: World, network: SimulatedNetwork, facts: { plan: FaultPlan; servers: readonly Process[]; others: readonly Machine[] }) {
    this.#world = world
    this.#network = network
    this.#plan = facts.plan
    this.#victims = facts.servers
    this.#others = facts.others
  }

  get total(): number {
    let sum = 0
    for (const count of this.counts.values()) sum += count
    return sum
  }
  /** For how long nothing has been wrong, ms. */
  get calmMs(): number {
    return this.#calmSince === undefined ? 0 : this.#world.now - this.#calmSince
  }
  get #leader(): Process | undefined {
    return this.#victims.find(({ machine, leads }) => machine.isRunning && leads?.())
  }
  #victim(): Process {
    const leader = this.#leader
    if (leader && this.#world.random.chance(leaderShare)) return leader
    return this.#victims[this.#world.random.below(this.#victims.length)]
  }
  async run(): Promise<void> {
    const world = this.#world
    // Without kinds nothing ever fails.
    while (!this.#stopped && this.#plan.kinds.length > 0) {
      await world.sleep(world.between(...this.#plan.pauseMs))
      if (this.#stopped) return
      const kind = this.#plan.kinds[world.random.below(this.#plan.kinds.length)]
      const victim = this.#victim()
      this.counts.set(kind, (this.counts.get(kind) ?? 0) + 1)
      world.trace(`fault ${kind} ${victim.machine.name}`)
      this.#calmSince = undefined
      await this.#inject(kind, victim, world.between(...this.#plan.lastsMs))
      this.#calmSince = world.now
    }
  }
  /** No new ones; what lasts is made good. */
  stop(): void {
    this.#stopped = true
    this.#network.heal()
    for (const { machine, restart } of this.#victims) {
      machine.disk.failure = () => undefined
      machine.speed.syncMsMax = 3
      machine.clockRate = 1
      restart()
    }
  }

  async #inject(kind: FaultKind, { machine, restart, stop }: Process, lastsMs: number): Promise<void> {
    const world = this.#world
    const network = this.#network
    const all = [...this.#victims.map((victim) => victim.machine), ...this.#others].filter((other) => other !== machine)
    const other = all[world.random.below(all.length)]
    switch (kind) {
      case 'stop': {
        // Whoever waits for a clean stop kills in the end, and sometimes the power goes in the middle of it.
        const stopped = stop().catch(() => {})
        await Promise.race([stopped, world.sleep(world.random.chance(0.3) ? world.between(1, 300) : 20_000)])
        if (world.random.chance(0.3)) machine.cutPower()
        else machine.kill()
        await world.sleep(world.between(1, 300))
        return restart()
      }
      case 'kill':
      case 'powerCut': {
        if (kind === 'kill') machine.kill()
        else machine.cutPower()
        // Most come back at once; some stay away for longer than sessions last.
        await world.sleep(world.random.chance(0.7) ? world.between(1, 500) : lastsMs)
        return restart()
      }
      case 'killAndPowerCut': {
        // What the first life wrote and never synced is read by the second, and gone in the third.
        machine.kill()
        machine.speed.syncMsMax = world.between(3, 300)
        restart()
        await world.sleep(world.between(1, 1_000))
        machine.cutPower()
        machine.speed.syncMsMax = 3
        await world.sleep(world.between(1, 500))
        return restart()
      }
      case 'blackout': {
        // All servers at once, and none of their disks had been quick before.
        for (const victim of this.#victims) victim.machine.speed.syncMsMax = world.between(3, 500)
        await world.sleep(world.between(50, 2_000))
        for (const victim of this.#victims) {
          victim.machine.cutPower()
          victim.machine.speed.syncMsMax = 3
        }
        await world.sleep(world.between(1, 2_000))
        for (const victim of this.#victims) {
          await world.sleep(world.between(0, 500))
          victim.restart()
        }
        return
      }
      case 'pause': {
        machine.pause(lastsMs)
        return world.sleep(lastsMs)
      }
      case 'block': {
        if (world.random.chance(0.5)) network.block(machine.name, other.name)
        else network.block(other.name, machine.name)
        await world.sleep(lastsMs)
        return network.heal()
      }
      case 'partition': {
        for (const each of all) if (each === other || world.random.chance(0.5)) {
          network.block(machine.name, each.name)
          network.block(each.name, machine.name)
        }
        await world.sleep(lastsMs)
        return network.heal()
      }
      case 'slowLink': {
        network.slow(machine.name, other.name, world.between(20, 800))
        network.slow(other.name, machine.name, world.between(20, 800))
        await world.sleep(lastsMs)
        return network.heal()
      }
      case 'reset': {
        network.breakOne()
        return
      }
      case 'slowDisk': {
        machine.speed.syncMsMax = world.between(50, 1_500)
        await world.sleep(lastsMs)
        machine.speed.syncMsMax = 3
        return
      }
      case 'fullDisk':
      case 'brokenDisk': {
        const code = kind === 'fullDisk' ? 'ENOSPC' : 'EIO'
        const { disk } = machine
        disk.failure = (operation) => (operation.kind === 'write' || operation.kind === 'create' || (kind === 'brokenDisk' && operation.kind === 'sync') ? code : undefined)
        await world.sleep(lastsMs)
        disk.failure = () => undefined
        machine.disk.failure = () => undefined
        // Whoever cannot write gives up: a person starts it again.
        machine.kill()
        return restart()
      }
      case 'clockStep': {
        machine.skewMs += world.between(-60_000, 60_000)
        return
      }
      case 'clockSpeed': {
        const { clockRate } = machine
        machine.clockRate = world.between(0.5, 2)
        await world.sleep(lastsMs)
        machine.clockRate = clockRate
        return
      }
      case 'lossyLink': {
        network.lose(machine.name, other.name, world.between(0.05, 0.5))
        if (world.random.chance(0.5)) network.lose(other.name, machine.name, world.between(0.05, 0.5))
        await world.sleep(lastsMs)
        return network.heal()
      }
      case 'zombie': {
        // Its session expires, and everybody else reaches it as before: it goes on as what it is no more.
        const { coordination } = this.#plan
        if (!coordination || coordination === machine) return
        network.block(machine.name, coordination.name)
        if (world.random.chance(0.7)) network.block(coordination.name, machine.name)
        await world.sleep(world.between(5_000, 10_000))
        return network.heal()
      }
      case 'deposed': return this.#depose()
      case 'lateOrders': return this.#delayOrders()
      case 'swap': {
        // It goes down while the files of a compacted segment take the place of those it was made of.
        let left = 1 + world.random.below(16)
        let isStruck = false
        const { disk } = machine
        const struck = new Promise<void>((resolve) => {
          disk.failure = ({ path }) => {
            if (left > 0 && /\.(?:cleaned|swap)$/.test(path) && --left === 0) {
              isStruck = true
              world.schedule(0, resolve)
            }
            return undefined
          }
        })
        await Promise.race([struck, world.sleep(lastsMs)])
        disk.failure = () => undefined
        machine.disk.failure = () => undefined
        if (!isStruck || this.#stopped) return
        if (world.random.chance(0.7)) machine.cutPower()
        else machine.kill()
        await world.sleep(world.between(1, 500))
        return restart()
      }
      case 'stumble': {
        // One after the other falls and gets up again before anything is settled, and their disks are slow.
        for (const victim of this.#victims) victim.machine.speed.syncMsMax = world.between(3, 300)
        for (let falls = 3 + world.random.below(6); falls > 0; falls--) {
          const victim = this.#victim()
          if (world.random.chance(0.3)) victim.machine.cutPower()
          else victim.machine.kill()
          await world.sleep(world.between(5, 600))
          victim.restart()
          await world.sleep(world.between(5, 900))
        }
        for (const victim of this.#victims) victim.machine.speed.syncMsMax = 3
        return
      }
      default: kind satisfies never
    }
  }
  /** What the leader sends on somebody's fall stays on its way until another one leads. */
  async #delayOrders(): Promise<void> {
    const world = this.#world
    const { coordination } = this.#plan
    const old = this.#leader
    if (!old || !coordination) return
    const others = this.#victims.filter(({ machine }) => machine !== old.machine && machine !== coordination)
    const falling = others[world.random.below(others.length)]
    for (const { machine } of others) this.#network.slow(old.machine.name, machine.name, 10_000)
    falling.machine.kill()
    await world.sleep(world.between(1, 500))
    falling.restart()
    await world.sleep(world.between(300, 1_000))
    this.#network.block(old.machine.name, coordination.name)
    this.#network.block(coordination.name, old.machine.name)
    for (let waitedMs = 0; waitedMs < 9_000 && !others.some(({ leads }) => leads?.()); waitedMs += 50) await world.sleep(50)
    await world.sleep(world.between(1_000, 4_000))
    this.#network.heal()
  }
  /** The leader is left alone with its clients, who go on writing; as soon as another one leads, all fall, and all come back. */
  async #depose(): Promise<void> {
    const world = this.#world
    const old = this.#leader
    if (!old) return
    for (const { machine } of this.#victims) {
      if (machine === old.machine) continue
      this.#network.block(machine.name, old.machine.name)
      this.#network.block(old.machine.name, machine.name)
    }
    const others = this.#victims.filter((victim) => victim !== old)
    for (let waitedMs = 0; waitedMs < 8_000 && !others.some(({ leads }) => leads?.()); waitedMs += 5) await world.sleep(5)
    await world.sleep(world.random.chance(0.7) ? world.between(0, 30) : world.between(0, 500))
    const falling = world.random.chance(0.5) ? this.#victims : others
    for (const { machine } of falling) if (world.random.chance(0.5)) machine.kill()
    else machine.cutPower()
    this.#network.heal()
    for (const { restart } of falling) {
      await world.sleep(world.between(0, 300))
      restart()
    }
  }
}
