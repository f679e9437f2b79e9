/** Clients that do what clients do with a ZooKeeper service, at random, and hand what they see to the checkers. */
import type { Host } from '../host/host.ts'
import { isZooKeeperError } from '../zookeeper/client/errors.ts'
import { ZooKeeperClient } from '../zookeeper/client/client.ts'
import type { Floor, Registers } from './checkers/registers.ts'
import type { Sequences } from './checkers/sequences.ts'
import type { SessionLaws } from './checkers/sessions.ts'
import { Violation } from './checkers/violation.ts'
import { Watches } from './checkers/watches.ts'
import type { Machine } from './machine.ts'
import { seededRandom, type SeededRandom } from './random.ts'
import type { World } from './world.ts'

export interface Laws {
  readonly registers: Registers
  /** An answer has shown this transaction. */
  readonly shown?: (zxid: bigint) => void
  readonly sequences: Sequences
  readonly sessions: SessionLaws
}
export interface ClientFacts {
  readonly world: World
  readonly machine: Machine
  readonly connect: string
  readonly laws: Laws
  readonly registerCount: number
  readonly sessionTimeoutMs: number
  /** A lone server's reads are never behind. A member of an ensemble may be; a session's reads never go back all the same. */
  readonly readsAreFresh?: boolean
  /** Longest pause between two steps, ms. */
  readonly thinkMs?: number
  /** The epoch that all members serve in; undefined: some may not know yet that theirs is over. */
  readonly settledEpoch?: () => number | undefined
  readonly violated: (violation: unknown) => void
}
type Result = { zxid: bigint; path: string; kind: 'read' | 'write' } | undefined

export const registerPath = (index: number): string => `/register-${index}`
export const sequencePrefix = '/queue/item-'

export class SimulatedClient {
  readonly machine: Machine
  readonly watches: Watches
  operations = 0
  unknown = 0
  sessions = 0
  readonly #facts: ClientFacts
  readonly #world: World
  readonly #random: SeededRandom
  readonly #host: Host
  #zk: ZooKeeperClient | undefined
  /** What this session has been shown, by path. */
  readonly #seen = new Map<string, bigint>()
  #values = 0
  #ephemerals: string[] = []
  #stopped = false

  constructor(facts: ClientFacts) {
    this.#facts = facts
    this.#world = facts.world
    this.machine = facts.machine
    this.#random = seededRandom(facts.world.random.below(0x7fff_ffff))
    this.#host = facts.machine.boot()
    this.watches = new Watches(facts.machine.name)
  }

  get #readsAreFresh(): boolean {
    return this.#facts.readsAreFresh ?? true
  }
  /** What a read that begins now must not fall behind. */
  #floor(path: string): Floor {
    return this.#readsAreFresh ? this.#facts.laws.registers.begins(path) : { path, latest: this.#seen.get(path) ?? 0n, latestOfAll: 0n }
  }
  #shown(zk: ZooKeeperClient, path: string, zxid: bigint): void {
    if (this.#zk === zk && zxid > (this.#seen.get(path) ?? 0n)) this.#seen.set(path, zxid)
  }
  #changedFrom(path: string): bigint {
    return this.#readsAreFresh ? this.watches.begins(path) : -1n
  }
  get client(): ZooKeeperClient | undefined {
    return this.#zk
  }
  stop(): void {
    this.#stopped = true
  }
  async run(): Promise<void> {
    try {
      while (!this.#stopped) {
        const zk = await this.session()
        await this.#world.sleep(this.#random.chance(0.3) ? 0 : this.#random.next() * (this.#facts.thinkMs ?? 60))
        await this.#step(zk)
      }
    } catch (error) {
      this.#facts.violated(error)
    }
  }

  /** A session that stands, a new one where the last has ended. */
  async session(): Promise<ZooKeeperClient> {
    for (;;) {
      const zk = this.#zk
      if (zk && (zk.state === 'connected' || zk.state === 'connecting')) {
        try {
          await zk.connected(5_000)
          return zk
        } catch (error) {
          if (!isZooKeeperError(error)) throw error
          continue
        }
      }
      await this.#open()
    }
  }
  async #open(): Promise<void> {
    const { sessions } = this.#facts.laws
    const { connect, sessionTimeoutMs } = this.#facts
    try {
      const zk = await ZooKeeperClient.connect(this.#host, { connect, sessionTimeoutMs, connectTimeoutMs: 30_000 })
      this.#zk = zk
      this.#seen.clear()
      this.sessions++
      const { id } = zk.session
      sessions.stands(id, this.machine.name, zk.session.timeoutMs)
      zk.onState((event) => {
        try {
          if (event === 'connected') sessions.stands(id, this.machine.name)
          if (event === 'expired') this.#ended(zk, id)
        } catch (error) {
          this.#facts.violated(error)
        }
      })
    } catch (error) {
      if (!isZooKeeperError(error)) throw error
    }
  }
  #ended(zk: ZooKeeperClient, id: bigint): void {
    this.#facts.laws.sessions.ended(id)
    if (this.#zk !== zk) return
    this.#ephemerals = []
    this.watches.dropAll()
  }

  /** Several operations at once, sent one behind the other: what a later one shows must contain the earlier ones (FIFO). */
  async #step(zk: ZooKeeperClient): Promise<void> {
    const random = this.#random
    if (random.chance(0.01)) return this.#leave(zk)
    const count = random.chance(0.3) ? 2 + random.below(6) : 1
    const asked: Promise<Result>[] = []
    for (let index = 0; index < count; index++) asked.push(this.#operation(zk))
    // The first law that broke is told; what breaks behind it is nobody's unhandled rejection.
    for (const promise of asked) promise.catch(() => {})
    const latest = new Map<string, bigint>()
    let write = 0n
    for (const promise of asked) {
      const result = await promise
      this.operations++
      if (!result) continue
      this.#facts.laws.shown?.(result.zxid)
      const { path, zxid, kind } = result
      if (zxid < (latest.get(path) ?? 0n)) throw new Violation('operations of one client take effect in its order', `${this.machine.name} sees ${zxid} of ${path} after ${latest.get(path)}`)
      if (kind === 'write' && zxid <= write) throw new Violation('operations of one client take effect in its order', `${this.machine.name} wrote ${path} as ${zxid}, after ${write}`)
      latest.set(path, zxid)
      if (kind === 'write') write = zxid
    }
    this.#facts.laws.sessions.shown(zk.session.id, zk.lastZxid)
  }
  async #leave(zk: ZooKeeperClient): Promise<void> {
    const { id } = zk.session
    this.watches.dropAll()
    this.#facts.laws.sessions.leaves(id)
    if (this.#random.chance(0.5)) await zk.close(60_000)
    else zk.abandon()
    // Without an answer nobody knows whether the session has ended; its client is not heard any more.
    this.#facts.laws.sessions.abandoned(this.machine.name)
    if (this.#zk?.session.id === id) this.#zk = undefined
    this.#ephemerals = []
  }

  #operation(zk: ZooKeeperClient): Promise<Result> {
    const path = registerPath(this.#random.below(this.#facts.registerCount))
    const choice = this.#random.below(100)
    if (choice < 30) return this.#write(zk, path)
    if (choice < 55) return this.#read(zk, path)
    if (choice < 70) return this.#watch(zk, path)
    if (choice < 78) return this.#sequential(zk)
    if (choice < 85) return this.#createEphemeral(zk)
    if (choice < 90) return this.#lookAtEphemeral(zk)
    if (choice < 96) return this.#syncAndRead(zk, path)
    return this.#writeTwo(zk, path)
  }
  /** Undefined for an outcome that nobody knows; other errors are passed on. */
  async #known<T>(operation: Promise<T>): Promise<T | undefined> {
    try {
      return await operation
    } catch (error) {
      if (!isZooKeeperError(error, 'connectionLoss') && !isZooKeeperError(error, 'sessionExpired')) throw error
      this.unknown++
      return undefined
    }
  }

  async #write(zk: ZooKeeperClient, path: string): Promise<Result> {
    const { registers } = this.#facts.laws
    const value = `${this.machine.name}.${this.#values++}`
    const floor = registers.writeBegins(path, value)
    const version = this.#random.chance(0.2) ? this.#random.below(40) : -1
    try {
      const stat = await this.#known(zk.setData(path, value, version))
      if (!stat) return undefined
      registers.written(floor, value, stat.mzxid)
      this.#shown(zk, path, stat.mzxid)
      return { zxid: stat.mzxid, path, kind: 'write' }
    } catch (error) {
      if (!isZooKeeperError(error, 'badVersion')) throw error
      registers.writeRefused(floor, value)
      return undefined
    }
  }
  /** Two registers at once, or none: the second operation is a check that may fail. */
  async #writeTwo(zk: ZooKeeperClient, path: string): Promise<Result> {
    const { registers } = this.#facts.laws
    const value = `${this.machine.name}.${this.#values++}`
    const floor = registers.writeBegins(path, value)
    const checked = registerPath(this.#random.below(this.#facts.registerCount))
    try {
      const version = checked === path ? this.#random.below(60) : this.#random.below(30)
      const done = await this.#known(zk.multi([{ op: 'setData', path, data: value }, { op: 'check', path: checked, version }]))
      const [first] = done ?? []
      if (first?.op !== 'setData') return undefined
      registers.written(floor, value, first.stat.mzxid)
      this.#shown(zk, path, first.stat.mzxid)
      return { zxid: first.stat.mzxid, path, kind: 'write' }
    } catch (error) {
      if (!isZooKeeperError(error, 'badVersion')) throw error
      registers.writeRefused(floor, value)
      return undefined
    }
  }
  async #read(zk: ZooKeeperClient, path: string): Promise<Result> {
    const floor = this.#floor(path)
    const changedFrom = this.#changedFrom(path)
    const found = await this.#known(zk.getData(path))
    if (!found) return undefined
    this.#facts.laws.registers.read(floor, String(found.data), found.stat.mzxid)
    this.#shown(zk, path, found.stat.mzxid)
    if (this.#zk === zk) this.watches.read(path, changedFrom, found.stat.mzxid)
    return { zxid: found.stat.mzxid, path, kind: 'read' }
  }
  /** Sent one behind the other. Unless the leader changes meanwhile, the read shows whatever anybody had been shown before the sync was sent. */
  async #syncAndRead(zk: ZooKeeperClient, path: string): Promise<Result> {
    const epoch = this.#facts.settledEpoch?.()
    const everybody = this.#facts.laws.registers.begins(path)
    const own = this.#floor(path)
    const synced = this.#known(zk.sync(path).then(() => true))
    const found = await this.#known(zk.getData(path))
    if (!(await synced) || !found) return undefined
    const isFresh = epoch !== undefined && epoch === this.#facts.settledEpoch?.()
    this.#facts.laws.registers.read(isFresh ? everybody : own, String(found.data), found.stat.mzxid)
    this.#shown(zk, path, found.stat.mzxid)
    return { zxid: found.stat.mzxid, path, kind: 'read' }
  }
  async #watch(zk: ZooKeeperClient, path: string): Promise<Result> {
    const floor = this.#floor(path)
    const changedFrom = this.#changedFrom(path)
    let early = 0
    let set: ReturnType<Watches['set']> | undefined
    const found = await this.#known(zk.getData(path, {
      watch: ({ type }) => {
        if (type !== 'dataChanged' || this.#zk !== zk) return
        try {
          // The event may come before whoever asked has looked at the answer.
          if (set) this.watches.fires(set)
          else if (early++ > 0) throw new Violation('a watch is told once', `${this.machine.name} was told of ${path} twice`)
        } catch (error) {
          this.#facts.violated(error)
        }
      },
    }))
    if (!found) return undefined
    this.#facts.laws.registers.read(floor, String(found.data), found.stat.mzxid)
    this.#shown(zk, path, found.stat.mzxid)
    if (this.#zk === zk && zk.state !== 'expired' && zk.state !== 'closed') {
      this.watches.read(path, changedFrom, found.stat.mzxid)
      set = this.watches.set(path, found.stat.mzxid)
      if (early > 0) this.watches.fires(set)
    }
    return { zxid: found.stat.mzxid, path, kind: 'read' }
  }
  async #sequential(zk: ZooKeeperClient): Promise<Result> {
    const { sequences } = this.#facts.laws
    const floor = sequences.begins(sequencePrefix)
    const made = await this.#known(zk.createWithStat(sequencePrefix, this.machine.name, { mode: 'persistentSequential' }))
    if (!made) return undefined
    sequences.created(sequencePrefix, floor, made.path)
    return { zxid: made.stat.czxid, path: made.path, kind: 'write' }
  }
  async #createEphemeral(zk: ZooKeeperClient): Promise<Result> {
    const { sessions } = this.#facts.laws
    const path = `/ephemerals/${this.machine.name}-${this.#values++}`
    const made = await this.#known(zk.createWithStat(path, null, { mode: 'ephemeral' }))
    if (!made) return undefined
    sessions.ephemeralCreated(path, zk.session.id)
    if (this.#zk === zk && zk.state !== 'expired') this.#ephemerals.push(path)
    return { zxid: made.stat.czxid, path, kind: 'write' }
  }
  async #lookAtEphemeral(zk: ZooKeeperClient): Promise<Result> {
    const { sessions } = this.#facts.laws
    const path = this.#ephemerals[this.#random.below(this.#ephemerals.length)]
    if (path === undefined || this.#random.chance(0.3)) return this.#listEphemerals(zk)
    if (this.#random.chance(0.3)) {
      sessions.ephemeralDeleting(path)
      this.#ephemerals = this.#ephemerals.filter((other) => other !== path)
      try {
        await this.#known(zk.delete(path))
      } catch (error) {
        if (!isZooKeeperError(error, 'noNode')) throw error
      }
      return undefined
    }
    const endedBefore = sessions.begins()
    const { id } = zk.session
    const wish = this.#zk === zk
    const found = await this.#known(zk.exists(path).then((stat) => ({ stat })))
    if (!found) return undefined
    if (found.stat) {
      if (this.#readsAreFresh) sessions.ephemeralFound(path, found.stat.ephemeralOwner, endedBefore)
    } else if (wish) sessions.ephemeralMissing(path, id)
    return undefined
  }
  async #listEphemerals(zk: ZooKeeperClient): Promise<Result> {
    const { sessions } = this.#facts.laws
    const endedBefore = sessions.begins()
    const names = await this.#known(zk.listChildren('/ephemerals'))
    for (const name of (names ?? []).slice(0, 3)) {
      const stat = await this.#known(zk.exists(`/ephemerals/${name}`))
      if (stat && this.#readsAreFresh) sessions.ephemeralFound(`/ephemerals/${name}`, stat.ephemeralOwner, endedBefore)
    }
    return undefined
  }
}
