/** From zoo.cfg and `myid` to a member of an ensemble: who this server is, where it serves clients, and the election it takes part in. */
import { join } from 'node:path'
import type { Disk, Host } from '../../host/host.ts'
import { ElectionDriver } from '../zab/election-driver.ts'
import { hostPort } from '../../wire/host-port.ts'
import type { QuorumConfig } from '../zab/quorum-config.ts'
import type { EnsembleConfig } from './config-ensemble.ts'
import { ConfigFiles } from './config-files.ts'
import { ConfigError, type ZooKeeperConfig } from './config.ts'
import type { EnsembleOptions } from './server.ts'

/** `myid`: which of the server lines is this server. Session ids have one byte for it; TTL znodes take 255 for themselves. */
export async function readServerId(disk: Disk, dataDir: string, quorum: QuorumConfig, extendedTypes: boolean): Promise<number> {
  const path = join(dataDir, 'myid')
  const members = [...quorum.servers.values()].map(({ id, addresses }) => `${id} (${addresses[0].host})`).join(', ')
  const advice = `Write the number of this server's line into it: one of ${members}`
  if (!(await disk.facts(path))) throw new ConfigError(`${path} is missing, so this server does not know which of the server lines is its own. ${advice}`)
  const text = (await disk.readFile(path)).toString('latin1').split(/\r\n|\n|\r/)[0].trim()
  const max = extendedTypes ? 254 : 255
  if (!/^\d{1,15}$/.test(text) || Number(text) > max) throw new ConfigError(`${path} holds ${JSON.stringify(text.slice(0, 40))}, which is not a number from 0 to ${max}. ${advice}`)
  if (!quorum.servers.has(Number(text))) throw new ConfigError(`${path} holds ${text}, but there is no line server.${text}. ${advice}; a server that was removed from its ensemble, or is to be added, starts with a line of its own`)
  return Number(text)
}

/** Everything a member starts with. Rejects with ConfigError. */
export async function memberOf(host: Host, config: ZooKeeperConfig, ensemble: EnsembleConfig): Promise<{ config: ZooKeeperConfig; ensemble: EnsembleOptions }> {
  const { quorum, listenOnAll } = ensemble
  const serverId = await readServerId(host.disk, config.store.dataDir, quorum, config.extendedTypes)
  const { connectTimeoutMs, handshakeTimeoutMs, bindRetries, minNotificationMs, maxNotificationMs } = ensemble
  const settings = { serverId, config: quorum, listenOnAllIPs: listenOnAll, multiAddress: ensemble.multiAddress, connectTimeoutMs, handshakeTimeoutMs, bindRetries, minNotificationMs, maxNotificationMs }
  const { initLimit, syncLimit, commitLogCount, forceSnapshot, standaloneEnabled, readOnly, localSessions, leaderServes } = ensemble
  const keeper = config.reconfigEnabled && ensemble.file !== undefined ? new ConfigFiles(host.disk, ensemble.file, serverId) : undefined
  if (keeper && !ensemble.isDynamic) await keeper.backUp()
  const seen = ensemble.isDynamic ? await keeper?.readSeen() : undefined
  return {
    config: withClientPart(config, ensemble, serverId),
    ensemble: {
      serverId, config: quorum, lastSeen: seen, keeper, standaloneEnabled, initLimit, syncLimit, commitLogCount, forceSnapshot, listenOnAll, readOnly, localSessions, leaderServes,
      elections: (of, { lastSeen, onNewerConfig }) => ElectionDriver.start(of, { ...settings, lastSeen, reconfigEnabled: config.reconfigEnabled, onNewerConfig }),
    },
  }
}
/** The own server line may say where clients are served, and must not contradict clientPort. */
function withClientPart(config: ZooKeeperConfig, { quorum, isClientPortSaid }: EnsembleConfig, id: number): ZooKeeperConfig {
  const client = quorum.servers.get(id)?.client
  if (!client && !isClientPortSaid) throw new ConfigError(`neither clientPort nor the line server.${id} (this server) says where clients are served. Add a line clientPort=2181`)
  if (!client) return config
  const wildcard = client.host === '0.0.0.0' || client.host === '::'
  const there = hostPort(client.host, client.port)
  if (isClientPortSaid && config.clientPort !== client.port)
    throw new ConfigError(`clientPort=${config.clientPort}, but server.${id} (this server) serves clients at ${there}. Remove one or let them agree`)
  if (config.clientPortAddress !== undefined && !wildcard && config.clientPortAddress !== client.host)
    throw new ConfigError(`clientPortAddress=${config.clientPortAddress}, but server.${id} (this server) serves clients at ${there}. Remove one or let them agree`)
  return { ...config, clientPort: client.port, clientPortAddress: wildcard ? config.clientPortAddress : client.host }
}
