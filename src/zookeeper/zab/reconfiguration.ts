/** From one configuration to the next: what a client asks for, what the transaction carries, who leads afterwards (reference §5.10). */
import { errorCode, type ErrorCode } from '../protocol/errors.ts'
import { op } from '../protocol/op-codes.ts'
import { decodeTransaction } from '../protocol/transactions.ts'
import { parseProperties } from '../../wire/properties.ts'
import { hostPort } from '../../wire/host-port.ts'
import { parseQuorumConfig, parseServerLine, QuorumConfigError, quorumConfig, readQuorumLines, type QuorumConfig, type QuorumServer } from './quorum-config.ts'
import type { ServerId } from './vote.ts'

/** Where the type stands in a log entry: behind clientId, cxid, zxid and time. */
const typePosition = 28

/** The configuration that a transaction brings; undefined where it brings none. Throws MalformedError or QuorumConfigError. */
export function reconfigurationIn(bytes: Buffer): QuorumConfig | undefined {
  if (bytes.length < typePosition + 4 || bytes.readInt32BE(typePosition) !== op.reconfig) return undefined
  const { body } = decodeTransaction(bytes)
  return body.type === op.reconfig ? parseQuorumConfig((body.data ?? Buffer.alloc(0)).toString('utf8')) : undefined
}

export interface ReconfigurationRequest {
  readonly joiningServers: string | null
  readonly leavingServers: string | null
  /** The whole new membership, in place of a difference. */
  readonly newMembers: string | null
  /** Version that the asking client goes by; −1: any. */
  readonly curConfigId: bigint
}

/** The configuration that a request asks for, with `zxid` as its version; or the error code that refuses it, in Apache's order of checks. */
export function nextConfig(request: ReconfigurationRequest, { committed, lastSeen, zxid, standaloneEnabled, isSynced }: {
  committed: QuorumConfig; lastSeen: QuorumConfig; zxid: bigint
  /** With it, two voters are the fewest; without, one. */
  standaloneEnabled: boolean
  /** Whether a quorum of this configuration follows the leader and has its history. */
  isSynced: (config: QuorumConfig) => boolean
}): QuorumConfig | ErrorCode {
  if (lastSeen.version !== committed.version) return errorCode.reconfigInProgress
  if (request.curConfigId !== -1n && request.curConfigId !== lastSeen.version) return errorCode.badVersion
  let next: QuorumConfig
  try {
    next = request.newMembers === null ? difference(lastSeen, request, zxid) : wholeConfig(request.newMembers, zxid)
  } catch (error) {
    if (error instanceof NoNumber) return errorCode.marshallingError
    if (error instanceof QuorumConfigError || error instanceof SyntaxError) return errorCode.badArguments
    throw error
  }
  if (next.voters.size < (standaloneEnabled ? 2 : 1)) return errorCode.badArguments
  return isSynced(next) ? next : errorCode.newConfigNoQuorum
}

/** A server id that is none: Apache's server does not catch it as a bad argument. */
class NoNumber extends Error {}
function idOf(text: string): ServerId {
  if (!/^\d{1,15}$/.test(text)) throw new NoNumber(text)
  return Number(text)
}
const split = (text: string | null, separator: string): string[] => (text ?? '').split(separator).map((part) => part.trim()).filter(Boolean)

/** Commas stand for line ends. */
function wholeConfig(text: string, version: bigint): QuorumConfig {
  const lines = parseProperties(text.replaceAll(',', '\n'))
  // The same server twice: the last line counts, as in any properties file.
  const byKey = new Map(lines.map(({ key, value }) => [key, value]))
  byKey.delete('version')
  return readQuorumLines([...byKey].map(([key, value]) => ({ key, value })), version)
}
function difference(from: QuorumConfig, { joiningServers, leavingServers }: ReconfigurationRequest, version: bigint): QuorumConfig {
  if (from.groups.length > 0) throw new QuorumConfigError('with groups, only the whole membership can be given')
  const servers = new Map(from.servers)
  for (const id of split(leavingServers, ',')) servers.delete(idOf(id))
  for (const joining of split(joiningServers, ',')) {
    const [key, line, ...more] = split(joining, '=')
    if (line === undefined || more.length > 0) throw new QuorumConfigError(`${joining} is no server line`)
    const id = idOf(key.slice(key.lastIndexOf('.') + 1))
    const server = parseServerLine(id, line)
    if (!server.client) throw new QuorumConfigError(`server.${id} does not say where it serves clients`)
    for (const other of servers.values()) {
      const shared = other.id === id ? undefined : sharedAddress(server, other)
      if (shared !== undefined) throw new QuorumConfigError(`server.${id} and server.${other.id} both claim ${shared}`)
    }
    servers.set(id, server)
  }
  return quorumConfig({ version, servers: [...servers.values()] })
}
/** Every machine has its own loopback and wildcard addresses. */
const isOwnEverywhere = (host: string): boolean => /^(127\.\d+\.\d+\.\d+|0\.0\.0\.0|::1?|localhost)$/i.test(host)
function claimedBy({ addresses, client }: QuorumServer): string[] {
  const all = addresses.flatMap(({ host, quorumPort, electionPort }) => [{ host, port: quorumPort }, { host, port: electionPort }])
  return [...all, ...(client ? [client] : [])].filter(({ host }) => !isOwnEverywhere(host)).map(({ host, port }) => hostPort(host, port))
}
function sharedAddress(a: QuorumServer, b: QuorumServer): string | undefined {
  const taken = new Set(claimedBy(b))
  return claimedBy(a).find((address) => taken.has(address))
}

/** Whether this server can go on leading: it votes in the next configuration, and is found where it was. */
export function staysLeader(serverId: ServerId, from: QuorumConfig, to: QuorumConfig): boolean {
  return to.voters.has(serverId) && quorumAddress(from, serverId) === quorumAddress(to, serverId)
}
export function quorumAddress(config: QuorumConfig, id: ServerId): string | undefined {
  return config.servers.get(id)?.addresses.map(({ host, quorumPort }) => hostPort(host, quorumPort)).toSorted().join('|')
}
/**
 * Who should lead in place of one that does not stay: of the new voters that have acknowledged the reconfiguration, one that has
 * acknowledged the most of what was proposed after it. Undefined: none has.
 */
export function successorOf(serverId: ServerId, next: QuorumConfig, acknowledged: ReadonlySet<ServerId>, later: Iterable<ReadonlySet<ServerId>>): ServerId | undefined {
  let candidates = [...acknowledged].filter((id) => id !== serverId && next.voters.has(id))
  for (const acknowledgements of later) {
    const better = candidates.filter((id) => acknowledgements.has(id))
    if (better.length === 0) break
    candidates = better
  }
  return candidates[0]
}
