/** Who belongs to the ensemble, where each member listens, and which sets of acknowledgements are a quorum (reference §2.2, §4.5, §5.10). */
import type { ServerId } from './vote.ts'

export type Role = 'participant' | 'observer'
export interface PeerAddress {
  /** A name or an IP address, IPv6 without brackets. */
  readonly host: string
  readonly quorumPort: number
  readonly electionPort: number
}
export interface QuorumServer {
  readonly id: ServerId
  /** One, or several where `multiAddress.enabled` is on. */
  readonly addresses: readonly [PeerAddress, ...PeerAddress[]]
  readonly role: Role
  /** Where clients are served, when the server line says it; host `0.0.0.0` where it names a port alone. */
  readonly client: { readonly host: string; readonly port: number } | undefined
}
export interface Group {
  readonly id: number
  readonly members: readonly ServerId[]
}

/** One configuration of the ensemble. `version` is the zxid of the reconfiguration that made it; 0 for a static one. */
export interface QuorumConfig {
  readonly version: bigint
  readonly servers: ReadonlyMap<ServerId, QuorumServer>
  /** Ids of participants. */
  readonly voters: ReadonlySet<ServerId>
  /** Empty: a majority of voters decides. Otherwise a majority of groups, each by a majority of its weights. */
  readonly groups: readonly Group[]
  /** Weights that are not 1. */
  readonly weights: ReadonlyMap<ServerId, number>
}

export function quorumConfig({ version = 0n, servers, groups = [], weights = new Map() }: {
  version?: bigint; servers: readonly QuorumServer[]; groups?: readonly Group[]; weights?: ReadonlyMap<ServerId, number>
}): QuorumConfig {
  return {
    version,
    servers: new Map(servers.toSorted((a, b) => a.id - b.id).map((server) => [server.id, server])),
    voters: new Set(servers.filter((server) => server.role === 'participant').map((server) => server.id)),
    groups,
    weights,
  }
}

export function weightOf(config: QuorumConfig, id: ServerId): number {
  return config.weights.get(id) ?? 1
}

/** Whether these servers decide for the whole ensemble. Who is no voter does not count. */
export function hasQuorum(config: QuorumConfig, acknowledged: ReadonlySet<ServerId>): boolean {
  if (config.groups.length === 0) {
    let count = 0
    for (const id of acknowledged) if (config.voters.has(id)) count++
    return count * 2 > config.voters.size
  }
  let counted = 0
  let satisfied = 0
  for (const { members } of config.groups) {
    let all = 0
    let present = 0
    for (const id of members) {
      if (!config.voters.has(id)) continue
      all += weightOf(config, id)
      if (acknowledged.has(id)) present += weightOf(config, id)
    }
    // A group without weight takes no part.
    if (all === 0) continue
    counted++
    if (present * 2 > all) satisfied++
  }
  return satisfied * 2 > counted
}

/** A quorum in each configuration that is active: during a reconfiguration the old and the new one must both agree. */
export function hasQuorumInAll(configs: readonly QuorumConfig[], acknowledged: ReadonlySet<ServerId>): boolean {
  return configs.every((config) => hasQuorum(config, acknowledged))
}

/** Same members, roles, weights and addresses, whatever the version. */
export function sameMembership(a: QuorumConfig, b: QuorumConfig): boolean {
  return serversText(a) === serversText(b)
}

function serversText(config: QuorumConfig): string {
  return JSON.stringify([[...config.servers.values()], config.groups, [...config.weights].toSorted(([a], [b]) => a - b)])
}
