/** A ZooKeeper of our own for tests: in memory, on a free port, with ticks short enough to see sessions expire. */
import { freePort } from '../../free-port.ts'
import { silentLogger } from '../../../src/host/logger.ts'
import { nodeHost } from '../../../src/host/node.ts'
import type { Host } from '../../../src/host/host.ts'
import { zooKeeperConfig } from '../../../src/zookeeper/server/config.ts'
import { ZooKeeperServer } from '../../../src/zookeeper/server/server.ts'
import { MemoryStore } from '../../../src/zookeeper/znodes/memory-store.ts'
import { ZooKeeperClient, type ConnectOptions } from '../../../src/zookeeper/client/client.ts'

export const testHost: Host = nodeHost({ logger: silentLogger })

export interface Service {
  readonly port: number
  readonly connect: string
  readonly server: ZooKeeperServer
  client(options?: Partial<ConnectOptions>): Promise<ZooKeeperClient>
  stop(): Promise<void>
}

export async function startService({ port, extendedTypes = false }: { port?: number; extendedTypes?: boolean } = {}): Promise<Service> {
  const config = zooKeeperConfig({ dataDir: '/nowhere', clientPort: port ?? (await freePort()), clientPortAddress: '127.0.0.1', tickTime: 50, minSessionTimeout: 100, maxSessionTimeout: 60_000, 'admin.enableServer': false, extendedTypesEnabled: extendedTypes })
  const server = await ZooKeeperServer.start(testHost, config, { openStore: async () => new MemoryStore() })
  const clients: ZooKeeperClient[] = []
  return {
    port: server.port,
    connect: `127.0.0.1:${server.port}`,
    server,
    async client(options = {}) {
      const client = await ZooKeeperClient.connect(testHost, { connect: `127.0.0.1:${server.port}`, sessionTimeoutMs: 30_000, ...options })
      clients.push(client)
      return client
    },
    async stop() {
      for (const client of clients) client.abandon()
      await server.stop()
    },
  }
}

/** Waits for a fact that an event will bring about; fails with `what` when it does not. */
export async function eventually(what: string, holds: () => boolean | Promise<boolean>, timeoutMs = 120_000): Promise<void> {
  const until = testHost.clock.monotonic() + timeoutMs
  while (!(await holds())) {
    if (testHost.clock.monotonic() > until) throw new Error(`never came true: ${what}`)
    await testHost.timers.sleep(5)
  }
}
