/** An ensemble of Ottla servers in one process, on loopback and temporary folders. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Logger } from '../../../src/host/host.ts'
import { silentLogger } from '../../../src/host/logger.ts'
import { nodeHost } from '../../../src/host/node.ts'
import { freePort } from '../../free-port.ts'
import { ElectionDriver } from '../../../src/zookeeper/zab/election-driver.ts'
import { quorumConfig, type QuorumConfig } from '../../../src/zookeeper/zab/quorum-config.ts'
import { zooKeeperConfig } from '../../../src/zookeeper/server/config.ts'
import { ZooKeeperServer, type EnsembleOptions } from '../../../src/zookeeper/server/server.ts'

export const freePorts = (count: number): Promise<number[]> => Promise.all(Array.from({ length: count }, freePort))
export async function until(what: string, holds: () => boolean | Promise<boolean>, ms = 120_000): Promise<void> {
  for (const end = performance.now() + ms; performance.now() < end; ) {
    if (await holds()) return
    await new Promise((done) => setTimeout(done, 5))
  }
  throw new Error(`waited ${ms} ms: ${what}`)
}
/** What makes a server a member: the election over real sockets. The limits are wide: machines that run tests stand still at times. */
export function member(serverId: number, config: QuorumConfig, options: Partial<EnsembleOptions> = {}): EnsembleOptions {
  return {
    serverId, config, initLimit: 300, syncLimit: 300,
    elections: (host, configurations) => ElectionDriver.start(host, { ...configurations, serverId, reconfigEnabled: true, minNotificationMs: 20, finalizeMs: 20, handshakeTimeoutMs: 1000 }), ...options,
  }
}

export class TestEnsemble {
  readonly config: QuorumConfig
  readonly folder: string
  readonly servers = new Map<number, ZooKeeperServer>()
  readonly clientPorts: ReadonlyMap<number, number>
  readonly logger: Logger
  settings: Partial<Parameters<typeof zooKeeperConfig>[0]> = {}
  /** For every member that is started from now on. */
  membership: Partial<EnsembleOptions> = {}

  private constructor(config: QuorumConfig, folder: string, clientPorts: ReadonlyMap<number, number>, logger: Logger) {
    this.config = config
    this.folder = folder
    this.clientPorts = clientPorts
    this.logger = logger
  }
  static async create({ voters = 3, observers = 0, logger = silentLogger }: { voters?: number; observers?: number; logger?: Logger } = {}): Promise<TestEnsemble> {
    const count = voters + observers
    const ports = await freePorts(count * 3)
    const config = quorumConfig({
      servers: Array.from({ length: count }, (_, at) => ({
        id: at + 1, addresses: [{ host: '127.0.0.1', quorumPort: ports[at * 3], electionPort: ports[at * 3 + 1] }] as const,
        role: at < voters ? 'participant' as const : 'observer' as const, client: undefined,
      })),
    })
    return new TestEnsemble(config, await mkdtemp(join(tmpdir(), 'ottla-ensemble-')), new Map(Array.from({ length: count }, (_, at) => [at + 1, ports[at * 3 + 2]])), logger)
  }
  async start(...ids: number[]): Promise<void> {
    for (const id of ids.length > 0 ? ids : this.config.servers.keys()) {
      const config = zooKeeperConfig({
        dataDir: join(this.folder, String(id)), clientPort: this.clientPorts.get(id) as number, clientPortAddress: '127.0.0.1', tickTime: 100, preAllocSize: 64,
        maxSessionTimeout: 60_000, 'admin.enableServer': false, '4lw.commands.whitelist': '*', ...this.settings,
      })
      this.servers.set(id, await ZooKeeperServer.start(nodeHost({ logger: this.logger.named(`${id}`) }), config, { ensemble: member(id, this.config, this.membership) }))
    }
  }
  async stop(...ids: number[]): Promise<void> {
    await Promise.all((ids.length > 0 ? ids : [...this.servers.keys()]).map(async (id) => {
      const server = this.servers.get(id)
      this.servers.delete(id)
      await server?.stop()
    }))
  }
  /** All servers that run serve clients, under one leader. */
  async settled(): Promise<ZooKeeperServer> {
    await until('an ensemble with a leader', () => {
      const running = [...this.servers.values()]
      return running.every(({ isServing, mode }) => isServing && mode !== 'read-only') && running.filter(({ mode }) => mode === 'leader').length === 1
    })
    return [...this.servers.values()].find(({ mode }) => mode === 'leader') as ZooKeeperServer
  }
  /** All trees are the same. */
  async agreed(): Promise<void> {
    await until('the same history everywhere', () => new Set([...this.servers.values()].map(({ tree }) => `${tree.digest} ${tree.nodeCount} ${tree.sessions.size}`)).size === 1)
  }
  async remove(): Promise<void> {
    await this.stop()
    await rm(this.folder, { recursive: true, force: true })
  }
}
