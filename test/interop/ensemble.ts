/** Ensembles of either maker's servers: made, looked at, compared. */
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { nodeHost } from '../../src/host/node.ts'
import { silentLogger } from '../../src/host/logger.ts'
import { ZooKeeperClient } from '../../src/zookeeper/client/client.ts'
import { isZooKeeperError } from '../../src/zookeeper/client/errors.ts'
import type { Network } from './network.ts'
import { freePort } from '../free-port.ts'
import { until } from './process.ts'
import { fourLetterWord, zookeeperServer, type ApacheRelease, type Maker, type Server, type ServerOptions } from './target.ts'

const host = nodeHost({ logger: silentLogger })

/** Who makes a server: Ottla, or one of Apache's releases. */
export type Make = 'ottla' | ApacheRelease
export const makerOf = (make: Make): { maker: Maker; release?: ApacheRelease } => (make === 'ottla' ? { maker: 'ottla' } : { maker: 'apache', release: make })
/** `TARGET=apache` runs a test of three like servers with Apache's. */
export const targetMake: Make = process.env.TARGET === 'apache' ? 'apache' : 'ottla'

export interface EnsembleOptions {
  /** More lines for every configuration file. */
  readonly config?: Record<string, string | number | boolean>
  /** Ids of servers that only observe. */
  readonly observers?: readonly number[]
  /** Servers live apart, and can be cut off from each other. */
  readonly network?: Network
  readonly directories?: readonly (string | undefined)[]
  /** Of `connect`, at most a minute; default 20 s. */
  readonly sessionTimeoutMs?: number
}

export class Ensemble {
  readonly servers: Server[] = []
  readonly #clients: ZooKeeperClient[] = []
  readonly #options: ServerOptions[] = []
  readonly #sessionTimeoutMs: number

  private constructor(sessionTimeoutMs: number) {
    this.#sessionTimeoutMs = sessionTimeoutMs
  }

  /** Prepares server 1 to n on folders of their own; none is started. */
  static async prepare(makes: readonly Make[], { config, observers = [], network, directories = [], sessionTimeoutMs = 20_000 }: EnsembleOptions = {}): Promise<Ensemble> {
    const ensemble = new Ensemble(sessionTimeoutMs)
    const lines: Record<string, string | number | boolean> = { initLimit: 60, syncLimit: 20, preAllocSize: 64, extendedTypesEnabled: false, ...config }
    for (const at of makes.keys()) {
      const address = network?.hosts[at] ?? '127.0.0.1'
      lines[`server.${at + 1}`] = `${address}:${await freePort()}:${await freePort()}${observers.includes(at + 1) ? ':observer' : ''}`
    }
    for (const [at, make] of makes.entries()) {
      const options: ServerOptions = {
        config: { ...lines, ...(observers.includes(at + 1) && { peerType: 'observer' }) },
        ...(network && { host: network.hosts[at], within: network.within(at) }),
        ...(directories[at] !== undefined && { directory: directories[at] }),
      }
      const server = await zookeeperServer({ ...options, ...makerOf(make) })
      writeFileSync(join(server.dataDirectory, 'myid'), `${at + 1}\n`)
      ensemble.servers.push(server)
      ensemble.#options.push(options)
    }
    return ensemble
  }
  static async start(makes: readonly Make[], options?: EnsembleOptions): Promise<Ensemble> {
    const ensemble = await Ensemble.prepare(makes, options)
    try {
      await Promise.all(ensemble.servers.map((server) => server.start()))
    } catch (error) {
      await ensemble.dispose()
      throw error
    }
    return ensemble
  }

  get addresses(): string[] {
    return this.servers.map(({ address }) => address)
  }
  /** The server at this place is from now on another's, on the same folder and port. It must be stopped; it is not started. */
  async replace(at: number, make: Make): Promise<Server> {
    const old = this.servers[at]
    return (this.servers[at] = await zookeeperServer({ ...this.#options[at], ...makerOf(make), directory: old.directory, port: old.port }))
  }
  /** A session of our own client at these servers, by default at all. */
  async connect(...to: Server[]): Promise<ZooKeeperClient> {
    const at = to.length > 0 ? to : this.servers
    const client = await ZooKeeperClient.connect(host, { connect: at.map(({ address }) => address).join(','), sessionTimeoutMs: this.#sessionTimeoutMs, connectTimeoutMs: 120_000 })
    this.#clients.push(client)
    return client
  }
  async leader(): Promise<Server> {
    return until('a leader', async () => {
      for (const server of this.servers) if ((await modeOf(server)) === 'leader') return server
      return undefined
    }, 60_000)
  }
  /**
   * Makes one of the first three servers, all voters, the leader: it is the only one of the two left that has seen the last write.
   * `write` must succeed while any two of them serve.
   */
  async leads(at: number, write: () => Promise<unknown>): Promise<void> {
    const [now, wanted] = [await this.leader(), this.servers[at]]
    if (now === wanted) return
    const third = this.servers.slice(0, 3).find((server) => server !== now && server !== wanted)!
    await third.kill()
    await write()
    await now.kill()
    await third.start()
    await until('the best history leads', async () => (await modeOf(wanted)) === 'leader')
    await now.start()
    await this.allServe()
  }
  /** Waits until every server that runs serves. */
  async allServe(): Promise<void> {
    await until('all serve', async () => (await Promise.all(this.servers.filter(({ running }) => running).map(modeOf))).every((mode) => /leader|follower|observer/.test(mode)))
  }
  /** Every server that runs has applied what was committed before; nothing is written for that after this has resolved. */
  async caughtUp(): Promise<void> {
    const clients = await Promise.all(this.servers.filter(({ running }) => running).map((server) => this.connect(server)))
    await Promise.all(clients.map((client) => patiently(client, () => client.sync('/'))))
  }
  /** Every server shows the same tree, down to zxids and times. Whose connection breaks meanwhile is asked again. */
  async agreed(): Promise<void> {
    const trees = await Promise.all(this.servers.map((server) => until(`the whole tree of ${server.address}`, async () => {
      const client = await this.connect(server).catch(() => undefined)
      const tree = client && (await client.sync('/').then(() => contents(client)).catch(onLoss(undefined)))
      await client?.close()
      return tree
    })))
    for (const tree of trees.slice(1)) expect(tree).toEqual(trees[0])
  }
  async dispose(): Promise<void> {
    for (const client of this.#clients.splice(0)) client.abandon()
    for (const server of this.servers) {
      await server.dispose()
      // One that was replaced lies in the first one's folder, which is not its own to remove.
      spawnSync('rm', ['-rf', server.directory])
    }
  }
}

/** A client's server may end, or wait for the others, at any time: then this is the answer, and everything else is thrown on. */
function onLoss<T>(answer: T): (error: unknown) => T {
  return (error) => {
    if (isZooKeeperError(error, 'connectionLoss', 'sessionExpired')) return answer
    throw error
  }
}
/** Asks until it is answered, on connections that may break. Not for what must not be done twice. */
export async function patiently<T>(client: ZooKeeperClient, ask: () => Promise<T>): Promise<T> {
  const { answer } = await until('an answer of ZooKeeper', () => client.connected(60_000).then(ask).then((answer) => ({ answer })).catch(onLoss(undefined)))
  return answer
}
/** Makes a znode, also where the connection breaks after it has been made. */
export async function made(client: ZooKeeperClient, path: string, data = '', mode: 'persistent' | 'ephemeral' = 'persistent'): Promise<void> {
  await patiently(client, () => client.create(path, data, { mode }).catch((error: unknown) => {
    if (!isZooKeeperError(error, 'nodeExists')) throw error
  }))
}
/** Stops a server's process where it is; returns when none of its threads runs any more, which a busy machine takes its time for. */
export async function freeze(server: Server): Promise<void> {
  process.kill(-server.pid!, 'SIGSTOP')
  await until(`${server.address} stands still`, () => spawnSync('ps', ['-o', 'stat=', '-p', String(server.pid)], { encoding: 'utf8' }).stdout.startsWith('T'))
}
export function thaw(server: Server): void {
  process.kill(-server.pid!, 'SIGCONT')
}
export async function modeOf(server: Server): Promise<string> {
  return /Mode: (\w+)/.exec(await fourLetterWord(server, 'srvr'))?.[1] ?? 'none'
}
/** Every node below, in order, with what must be the same everywhere. */
async function contents(client: ZooKeeperClient, path = '/'): Promise<string[]> {
  const found: string[] = []
  const names = (await client.getChildren(path)).children.toSorted().filter((name) => path !== '/' || name !== 'zookeeper')
  const children = await Promise.all(names.map(async (name) => {
    const child = path === '/' ? `/${name}` : `${path}/${name}`
    return { child, ...(await client.getData(child)) }
  }))
  for (const { child, data, stat } of children) {
    found.push(`${child} ${data?.toString()} ${stat.czxid} ${stat.mzxid} ${stat.pzxid} ${stat.mtime} ${stat.version} ${stat.cversion} ${stat.ephemeralOwner}`)
    if (stat.numChildren > 0) found.push(...(await contents(client, child)))
  }
  return found
}
