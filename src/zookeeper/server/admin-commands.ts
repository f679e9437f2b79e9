/** The AdminServer's commands: one table of names and what each answers, by Apache's keys. */
import { ensembleCommands } from './admin-ensemble.ts'
import type { ClientConnection } from './connection.ts'
import { hex } from './connection.ts'
import type { ServerFacts } from './facts.ts'
import { hostPort } from '../../wire/host-port.ts'
import type { Latency } from './statistics.ts'
import { digestVersion } from '../znodes/digest.ts'

export interface AdminCommand {
  /** The first is the one that answers carry. */
  readonly names: readonly [string, ...string[]]
  run(server: ServerFacts, query: URLSearchParams): Record<string, unknown> | Promise<Record<string, unknown>>
}

function connectionFacts(connection: ClientConnection, isFull: boolean): Record<string, unknown> {
  const { socket, session, latency } = connection
  const brief = {
    remote_socket_address: `${socket.remoteAddress}:${socket.remotePort}`, interest_ops: connection.interest, outstanding_requests: connection.outstanding,
    packets_received: connection.received, packets_sent: connection.sent,
  }
  if (!isFull || !session) return brief
  return {
    ...brief, session_id: session.id, last_operation: connection.lastOperation, established: connection.since, session_timeout: session.timeoutMs,
    last_cxid: connection.lastCxid, last_zxid: connection.lastZxid, last_response_time: Math.floor(connection.lastResponseAt), last_latency: Math.floor(connection.lastLatency),
    min_latency: latency.min, avg_latency: latency.average, max_latency: latency.max,
  }
}
const connectionList = (server: ServerFacts, isFull: boolean): Record<string, unknown>[] => [...server.connections()].map((connection) => connectionFacts(connection, isFull))

const bufferSizes = ({ count, last, min, max }: Latency): Record<string, number> => (count === 0 ? { last_buffer_size: -1, min_buffer_size: -1, max_buffer_size: -1 } : { last_buffer_size: last, min_buffer_size: min, max_buffer_size: max })

async function serverStats(server: ServerFacts): Promise<Record<string, unknown>> {
  const { statistics, tree } = server
  const { responseSize, latency } = statistics
  const sizes = await server.store.sizes()
  const size = bufferSizes(responseSize)
  const metrics = await server.metrics()
  return {
    version: server.version,
    read_only: server.isReadOnly,
    server_stats: {
      packets_sent: statistics.sent, packets_received: statistics.received, fsync_threshold_exceed_count: metrics.get('fsync_threshold_exceed_count') ?? 0,
      client_response_stats: size, data_dir_size: sizes.dataDir, log_dir_size: sizes.dataLogDir, last_processed_zxid: tree.lastProcessedZxid,
      server_state: server.mode, outstanding_requests: server.outstanding, avg_latency: latency.average, max_latency: latency.max, min_latency: latency.min,
      num_alive_client_connections: server.connections().size, uptime: metrics.get('uptime'), auth_failed_count: statistics.authFailed,
      non_mtlsremote_conn_count: 0, non_mtlslocal_conn_count: 0, provider_null: false,
    },
    client_response: size,
    ...(server.mode === 'leader' && { proposal_stats: bufferSizes(statistics.proposalSize) }),
    node_count: tree.nodeCount,
  }
}

/** A server that is alone leads itself. */
function leaderFacts({ mode, leaderId, membership }: ServerFacts): Record<string, unknown> {
  const leader = leaderId === undefined ? undefined : membership?.config.servers.get(leaderId)
  return { is_leader: mode === 'leader' || mode === 'standalone', leader_id: leaderId ?? 0, leader_ip: leader?.addresses[0].host ?? '' }
}

/** Who votes, by number, and where each is found; of others than itself a server knows the client's address by their lines alone. */
function votingView({ membership, config, serverId, port }: ServerFacts): Record<string, unknown> {
  const voters = [...(membership?.config.servers.values() ?? [])].filter(({ role }) => role === 'participant')
  const own = hostPort(config.clientPortAddress ?? '0.0.0.0', port)
  return {
    current_config: Object.fromEntries(voters.map(({ id, addresses, role, client }) => [id, {
      server_addresses: addresses.map(({ host, quorumPort }) => hostPort(host, quorumPort)), election_addresses: addresses.map(({ host, electionPort }) => hostPort(host, electionPort)),
      client_address: client ? hostPort(client.host, client.port) : id === serverId ? own : '', learner_type: role,
    }])),
  }
}

const table: readonly AdminCommand[] = [
  {
    names: ['configuration', 'conf', 'config'],
    run: (server) => ({
      client_port: server.port, data_dir: server.folders.dataDir, data_log_dir: server.folders.dataLogDir, tick_time: server.config.tickTime,
      max_client_cnxns: server.config.maxClientCnxns, min_session_timeout: server.config.minSessionTimeout, max_session_timeout: server.config.maxSessionTimeout,
      server_id: server.serverId, client_port_listen_backlog: server.config.clientPortListenBacklog,
    }),
  },
  { names: ['connections', 'cons'], run: (server) => ({ connections: connectionList(server, true), secure_connections: [] }) },
  {
    names: ['connection_stat_reset', 'crst'],
    run(server) {
      for (const connection of server.connections()) connection.latency.reset()
      return {}
    },
  },
  {
    names: ['dirs'],
    async run(server) {
      const { dataDir, dataLogDir } = await server.store.sizes()
      return { datadir_size: dataDir, logdir_size: dataLogDir }
    },
  },
  {
    names: ['dump'],
    run: (server) => ({
      expiry_time_to_session_ids: Object.fromEntries(server.sessions.buckets().map(({ expiresAt, sessions }) => [String(expiresAt), sessions.map(({ id }) => id)])),
      session_id_to_ephemeral_paths: Object.fromEntries([...server.tree.ephemerals()].map(([id, paths]) => [String(id), [...paths]])),
    }),
  },
  { names: ['environment', 'env', 'envi'], run: (server) => Object.fromEntries(server.environment()) },
  {
    names: ['hash'],
    run: ({ tree }) => ({ digests: tree.digestLog.map(({ zxid, digest }) => ({ zxid, digest, digest_version: digestVersion })) }),
  },
  { names: ['is_read_only', 'isro'], run: ({ isReadOnly }) => ({ read_only: isReadOnly }) },
  { names: ['leader', 'lead'], run: leaderFacts },
  { names: ['monitor', 'mntr'], run: async (server) => Object.fromEntries(await server.metrics()) },
  { names: ['ruok'], run: () => ({}) },
  { names: ['server_stats', 'srvr'], run: serverStats },
  {
    names: ['stats', 'stat'],
    run: async (server) => ({ ...(await serverStats(server)), connections: connectionList(server, false), secure_connections: [] }),
  },
  {
    names: ['stat_reset', 'srst'],
    run({ statistics }) {
      statistics.reset()
      return {}
    },
  },
  { names: ['voting_view'], run: votingView },
  {
    names: ['watches', 'wchc'],
    run: ({ tree }) => ({
      session_id_to_watched_paths: Object.fromEntries([...tree.watches.data.byWatcher()].map(([watcher, paths]) => [hex((watcher as ClientConnection).sessionId), [...paths]])),
    }),
  },
  {
    names: ['watches_by_path', 'wchp'],
    run: ({ tree }) => ({
      path_to_session_ids: Object.fromEntries([...tree.watches.data.byPath()].map(([path, watchers]) => [path, watchers.map((watcher) => (watcher as ClientConnection).sessionId)])),
    }),
  },
  {
    names: ['watch_summary', 'wchs'],
    run: ({ tree }) => ({ num_connections: tree.watches.data.watcherCount, num_paths: tree.watches.data.pathCount, num_total_watches: tree.watches.data.size }),
  },
]

const all = [...table, ...ensembleCommands]
export const adminCommands: ReadonlyMap<string, AdminCommand> = new Map(all.flatMap((command) => command.names.map((name) => [name, command] as const)))
export function commandNames(): readonly string[] {
  return all.map(({ names }) => names[0]).sort()
}
