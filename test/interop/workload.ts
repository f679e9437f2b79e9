/** Clients that keep an ensemble busy and write down what they asked and what they were told, for the checker of histories. */
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { nodeHost } from '../../src/host/node.ts'
import { silentLogger } from '../../src/host/logger.ts'
import type { Operation } from '../../src/simulation/checkers/histories.ts'
import { Violation } from '../../src/simulation/checkers/violation.ts'
import { ZooKeeperClient } from '../../src/zookeeper/client/client.ts'
import { isZooKeeperError } from '../../src/zookeeper/client/errors.ts'
import { until } from './process.ts'
import { where } from './programs.ts'

const host = nodeHost({ logger: silentLogger })
const registers = [0, 1, 2, 3].map((number) => `/register${number}`)
const kazooTimeoutMs = 180_000
/** As Python's `time.monotonic_ns` has it: both are the machine's own monotonic clock. */
const now = (): number => Number(process.hrtime.bigint())

export interface WorkloadOptions {
  /** A kazoo client beside our own. */
  readonly kazoo: boolean
  /** Our own clients: one for each list of addresses it may use. */
  readonly clients: readonly (readonly string[])[]
  /** Children of one set; a new one is begun after that. */
  readonly setSize?: number
}

export class Workload {
  readonly history: Operation[] = []
  /** Requests of our own clients that were answered. */
  answered = 0
  readonly #options: WorkloadOptions
  readonly #clients = new Set<ZooKeeperClient>()
  readonly #workers: Promise<unknown>[] = []
  readonly #folder = mkdtempSync(join(tmpdir(), 'ottla-interop-workload-'))
  readonly #sets: string[] = []
  #inSet = Infinity
  #sessions = 0
  #isOver = false
  /** While they rest: resolves when they go on. */
  #rest: Promise<void> | undefined
  /** Own clients that work, those that wait for a connection among them. */
  #busy = 0
  /** Sessions that ended although their client went on. */
  expired = 0

  private constructor(options: WorkloadOptions) {
    this.#options = options
  }

  static async start(options: WorkloadOptions): Promise<Workload> {
    const workload = new Workload(options)
    const all = [...new Set(options.clients.flat())]
    const client = await workload.#connect(all)
    for (const path of registers) await workload.#ask('maker', 'write', path, 'made', async () => {
      const { stat } = await client.createWithStat(path, 'made')
      return { zxid: stat.czxid, version: stat.version }
    })
    await client.create('/kazoo', '')
    for (const addresses of options.clients) workload.#workers.push(workload.#work(addresses))
    if (options.kazoo) workload.#workers.push(workload.#kazoo(all))
    return workload
  }

  /** Waits until our own clients were answered this often more. */
  async progress(count: number): Promise<void> {
    const before = this.answered
    await until(`${count} answers more`, () => this.answered >= before + count)
  }
  /** Nobody asks anything, and everything asked has been answered or was lost, while `action` runs. */
  async atRest(action: () => Promise<void>): Promise<void> {
    let goOn!: () => void
    const [rest, resting] = [join(this.#folder, 'rest'), join(this.#folder, 'resting')]
    await until('kazoo works again', () => !existsSync(resting))
    this.#rest = new Promise((resolve) => (goOn = resolve))
    try {
      if (this.#options.kazoo) writeFileSync(rest, '')
      await until('the clients rest', () => this.#busy === 0 && (!this.#options.kazoo || existsSync(resting)), kazooTimeoutMs)
      await action()
    } finally {
      this.#rest = undefined
      rmSync(rest, { force: true })
      goOn()
    }
  }
  /** Lets the clients end; then each server, synced, shows what it has. */
  async finish(addresses: readonly string[]): Promise<readonly Operation[]> {
    this.#isOver = true
    writeFileSync(join(this.#folder, 'stop'), '')
    await Promise.all(this.#workers)
    const paths = [...new Set(this.history.filter(({ kind }) => kind === 'add').map(({ path }) => path))]
    for (const address of addresses) {
      const client = await this.#connect([address])
      const name = `the end at ${address}`
      // A connection that was lost in between is made anew.
      await until(`${address} is up to date`, () => client.sync('/').then(() => true, () => false))
      for (const path of registers) await this.#read(name, client, path, true)
      for (const path of paths) await this.#list(name, client, path, true)
    }
    return this.history
  }
  dispose(): void {
    this.#isOver = true
    try {
      writeFileSync(join(this.#folder, 'stop'), '')
    } catch {
      // It ended by itself.
    }
    for (const client of this.#clients) client.abandon()
    rmSync(this.#folder, { recursive: true, force: true })
  }

  async #connect(addresses: readonly string[]): Promise<ZooKeeperClient> {
    const client = await ZooKeeperClient.connect(host, { connect: addresses.join(','), sessionTimeoutMs: 20_000, connectTimeoutMs: 60_000 })
    this.#clients.add(client)
    return client
  }
  /** One client after the other, as sessions end. */
  async #work(addresses: readonly string[]): Promise<void> {
    while (!this.#isOver) {
      const client = await this.#connect(addresses).catch(() => undefined)
      if (!client) continue
      const name = `session ${++this.#sessions} at ${addresses.length === 1 ? addresses[0] : 'all'}`
      for (let round = 0; !this.#isOver && client.state !== 'expired' && client.state !== 'closed'; round++) {
        while (this.#rest) await this.#rest
        this.#busy++
        await this.#batch(name, client, round)
        this.#busy--
        if (client.state !== 'connected') await client.connected(10_000).catch(() => undefined)
        else await host.timers.sleep(4)
      }
      if (client.state === 'expired') this.expired++
      await client.close(1_000)
      this.#clients.delete(client)
    }
  }
  /** Reads and writes in flight together: what was asked first is done first. */
  async #batch(name: string, client: ZooKeeperClient, round: number): Promise<void> {
    const id = `${name} ${round}`
    const path = registers[round % registers.length]
    const { version } = await this.#read(name, client, path)
    const set = await this.#set(client)
    const asked = [
      this.#write(name, client, path, `${id} a`),
      this.#read(name, client, path),
      ...(set === undefined ? [] : [this.#add(name, client, set, id.replaceAll(/[ :.]/g, '-'))]),
      this.#write(name, client, registers[(round + 1) % registers.length], `${id} b`),
      this.#write(name, client, path, `${id} c`, version),
      this.#read(name, client, registers[(round + 2) % registers.length]),
    ]
    if (set !== undefined && round % 20 === 0) asked.push(this.#list(name, client, set))
    await Promise.all(asked)
  }
  /** The set in use; undefined while there is none. */
  async #set(client: ZooKeeperClient): Promise<string | undefined> {
    if (this.#inSet >= (this.#options.setSize ?? 1_500)) {
      this.#inSet = 0
      const path = `/set${this.#sets.length}`
      this.#sets.push(path)
      await client.create(path, '').catch((error: unknown) => {
        // Whether it exists does not matter to what is asked of it.
        if (!isZooKeeperError(error)) throw error
      })
    }
    this.#inSet++
    return this.#sets.at(-1)
  }
  async #write(name: string, client: ZooKeeperClient, path: string, value: string, expected?: number): Promise<void> {
    await this.#ask(name, 'write', path, value, async () => {
      const { mzxid, version } = await client.setData(path, value, expected)
      return { zxid: mzxid, version }
    }, expected === undefined ? {} : { expected })
  }
  async #add(name: string, client: ZooKeeperClient, path: string, value: string): Promise<void> {
    await this.#ask(name, 'add', path, value, async () => ({ zxid: (await client.createWithStat(`${path}/${value}`, '')).stat.czxid }))
  }
  async #read(name: string, client: ZooKeeperClient, path: string, isSynced = false): Promise<Operation> {
    return this.#ask(name, 'read', path, '', async () => {
      const { data, stat } = await client.getData(path)
      return { value: data?.toString() ?? '', zxid: stat.mzxid, version: stat.version }
    }, { isSynced })
  }
  async #list(name: string, client: ZooKeeperClient, path: string, isSynced = false): Promise<void> {
    await this.#ask(name, 'list', path, '', async () => {
      const { children, stat } = await client.getChildren(path)
      return { names: children, zxid: stat.pzxid }
    }, { isSynced })
  }
  /** Its place in the history is where it is asked. */
  async #ask(client: string, kind: Operation['kind'], path: string, value: string, send: () => Promise<Partial<Operation>>, more: Partial<Operation> = {}): Promise<Operation> {
    const at = this.history.length
    const begun = now()
    const asked: Operation = { client, kind, path, value, begun, ended: Infinity, outcome: 'unknown', zxid: 0n, ...more }
    this.history.push(asked)
    let answer: Partial<Operation>
    try {
      answer = { outcome: 'ok', ...(await send()) }
      this.answered++
    } catch (error) {
      answer = { outcome: isZooKeeperError(error, 'badVersion', 'nodeExists', 'noNode') ? 'refused' : 'unknown' }
    }
    return (this.history[at] = { ...asked, ended: now(), ...answer })
  }

  /** kazoo does the same in a process of its own, on the same registers and a set of its own. */
  async #kazoo(addresses: readonly string[]): Promise<void> {
    const child = spawn(where('python'), [new URL('python/history_client.py', import.meta.url).pathname, addresses.join(','), this.#folder, registers.join(',')], { stdio: ['ignore', 'pipe', 'pipe'] })
    const said = { stdout: '', stderr: '' }
    for (const stream of ['stdout', 'stderr'] as const) child[stream].on('data', (chunk: Buffer) => (said[stream] += chunk.toString()))
    const code = await new Promise<number | null>((resolve) => {
      child.on('close', resolve)
      const ending = setInterval(() => {
        if (!this.#isOver) return
        clearInterval(ending)
        setTimeout(() => child.kill('SIGKILL'), kazooTimeoutMs).unref()
      }, 500)
      child.on('close', () => clearInterval(ending))
    })
    if (code !== 0) throw new Error(`kazoo's part ended with ${code}\n${said.stderr.slice(-3_000)}`)
    const { operations, expired, backwards } = JSON.parse(said.stdout) as { operations: (Omit<Operation, 'zxid' | 'header'> & { zxid: number; header: number | null })[]; expired: number; backwards: number[][] }
    if (backwards.length > 0) throw new Violation('zxids never go back on a session', `kazoo was told ${backwards[0].join(' and then ')}`)
    this.expired += expired
    for (const { header, zxid, ...operation } of operations) this.history.push({ ...operation, zxid: BigInt(zxid), ...(header === null ? {} : { header: BigInt(header) }) })
  }
}
