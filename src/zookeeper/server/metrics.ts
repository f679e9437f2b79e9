/** What `mntr` and the AdminServer's `monitor` report, by Apache's names (reference §2.4, §2.6). */
import type { Disk } from '../../host/host.ts'
import type { Latency } from './statistics.ts'
import type { ServerFacts } from './facts.ts'

export async function metricsOf(server: ServerFacts, disk: Disk, uptimeMs: number): Promise<Map<string, number | string>> {
  const { statistics, tree, store } = server
  const { watches } = tree
  const { responseSize, latency } = statistics
  const metrics = new Map<string, number | string>([
    ['version', server.version],
    ['server_state', server.mode],
    ['avg_latency', latency.average],
    ['max_latency', latency.max],
    ['min_latency', latency.min],
    ['packets_received', statistics.received],
    ['packets_sent', statistics.sent],
    ['num_alive_connections', server.connections().size],
    ['outstanding_requests', server.outstanding],
    ['uptime', Math.floor(uptimeMs)],
    ['znode_count', tree.nodeCount],
    ['watch_count', watches.data.size + watches.children.size],
    ['ephemerals_count', tree.ephemeralCount],
    ['approximate_data_size', tree.approximateDataSize],
    ['global_sessions', tree.sessions.size],
    ['local_sessions', server.sessions.localCount],
    ['last_client_response_size', responseSize.count === 0 ? -1 : responseSize.last],
    ['max_client_response_size', responseSize.count === 0 ? -1 : responseSize.max],
    ['min_client_response_size', responseSize.count === 0 ? -1 : responseSize.min],
    ['auth_failed_count', statistics.authFailed],
    ['connection_drop_probability', 0],
    ['outstanding_tls_handshake', 0],
    ['non_mtls_remote_conn_count', 0],
    ['non_mtls_local_conn_count', 0],
    ['connection_request_count', statistics.connectionRequests],
    ['connection_rejected', statistics.connectionsRejected],
    ['connection_drop_count', statistics.connectionDrops],
    ['connection_revalidate_count', statistics.revalidations],
    ['sessionless_connections_expired', statistics.sessionlessExpired],
    ['stale_sessions_expired', statistics.staleSessionsExpired],
    ['bytes_received_count', statistics.bytesReceived],
    ['response_bytes', statistics.responseBytes],
    ['commit_count', statistics.commits],
    ['malformed_requests_count', statistics.malformed],
    ['request_throttle_wait_count', statistics.throttleWaits],
    ['node_created_watch_count', statistics.watchEvents.created],
    ['node_deleted_watch_count', statistics.watchEvents.deleted],
    ['node_changed_watch_count', statistics.watchEvents.changed],
    ['node_children_watch_count', statistics.watchEvents.children],
  ])
  for (const [name, value] of Object.entries(store.metrics())) metrics.set(name, value)
  const { learners } = server
  if (learners) {
    // Followers and observers together are the learners; Apache counts the synchronized ones apart.
    metrics.set('learners', learners.total + learners.observers)
    metrics.set('synced_followers', learners.synced)
    metrics.set('synced_non_voting_followers', learners.syncedNonVoting)
    metrics.set('synced_observers', learners.syncedObservers.length)
    metrics.set('pending_syncs', learners.pendingSyncs)
    metrics.set('leader_uptime', Math.floor(learners.leadingMs))
    const { count, last, min, max } = statistics.proposalSize
    for (const [name, size] of Object.entries({ last, min, max })) metrics.set(`${name}_proposal_size`, count === 0 ? -1 : size)
  }
  if (server.mode === 'observer') metrics.set('observer_master_id', server.leaderId ?? -1)
  if (server.membership) {
    metrics.set('digest_mismatches_count', Number(metrics.get('digest_mismatches_count') ?? 0) + server.digestMismatchCount)
    metrics.set('quorum_size', server.membership.config.voters.size)
    metrics.set('peer_state', server.mode === 'leader' ? 'leading - broadcast' : server.mode === 'looking' || server.isReadOnly ? 'looking' : `${server.mode === 'follower' ? 'following' : 'observing'} - broadcast`)
  }
  const descriptors = await fileDescriptors(disk)
  if (descriptors !== undefined) for (const [name, count] of Object.entries(descriptors)) metrics.set(`${name}_file_descriptor_count`, count)
  summary(metrics, 'readlatency', statistics.readLatency)
  summary(metrics, 'updatelatency', statistics.updateLatency)
  return metrics
}

/** How many files the process has open and may open; undefined where the system does not tell. */
async function fileDescriptors(disk: Disk): Promise<{ open: number; max: number } | undefined> {
  try {
    const limits = await disk.readFile('/proc/self/limits')
    const max = Number(/^Max open files +([0-9]+)/m.exec(limits.toString())?.[1])
    if (Number.isNaN(max)) return undefined
    return { open: (await disk.list('/proc/self/fd')).length, max }
  } catch {
    return undefined
  }
}

function summary(metrics: Map<string, number | string>, name: string, { average, min, max, count, total }: Latency): void {
  metrics.set(`avg_${name}`, average)
  metrics.set(`min_${name}`, min)
  metrics.set(`max_${name}`, max)
  metrics.set(`cnt_${name}`, count)
  metrics.set(`sum_${name}`, total)
}
