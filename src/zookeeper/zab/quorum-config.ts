/** Who belongs to the ensemble, where each member listens, and which sets of acknowledgements are a quorum (reference §2.2, §4.5, §5.10). */
import { hostPort } from '../../wire/host-port.ts'
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
    weights: new Map([...weights].filter(([, weight]) => weight !== 1)),
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

/** Voters of all configurations together: those who are asked in an election. */
export function votersOf(configs: readonly QuorumConfig[]): Set<ServerId> {
  return new Set(configs.flatMap((config) => [...config.voters]))
}

/** Same members, roles, weights and addresses, whatever the version. */
export function sameMembership(a: QuorumConfig, b: QuorumConfig): boolean {
  return serversText(a) === serversText(b)
}

function serversText(config: QuorumConfig): string {
  return JSON.stringify([[...config.servers.values()], config.groups, [...config.weights].toSorted(([a], [b]) => a - b)])
}

/** What is wrong with a line of a configuration. The message names what was found and what is expected. */
export class QuorumConfigError extends Error {}

export interface QuorumLine {
  readonly key: string
  readonly value: string
  /** For messages: file and line. */
  readonly where?: string
}
const serverKey = /^server\.(\d{1,15})$/
const groupKey = /^group\.(\d{1,15})$/
const weightKey = /^weight\.(\d{1,15})$/
export function isQuorumKey(key: string): boolean {
  return /^(server|group|weight)\.\d+$/.test(key)
}

/** From lines `server.N`, `group.N` and `weight.N` of whatever file. Throws QuorumConfigError. */
export function readQuorumLines(lines: readonly QuorumLine[], version = 0n): QuorumConfig {
  const servers = new Map<ServerId, QuorumServer>()
  const groups: Group[] = []
  const weights = new Map<ServerId, number>()
  const groupOf = new Map<ServerId, number>()
  for (const { key, value, where } of lines) {
    const at = where === undefined ? '' : `${where}: `
    const server = serverKey.exec(key)
    const group = groupKey.exec(key)
    const weight = weightKey.exec(key)
    if (server) {
      const id = Number(server[1])
      if (servers.has(id)) throw new QuorumConfigError(`${at}${key} stands there twice; every server has an id of its own`)
      servers.set(id, parseServerLine(id, value, at))
    } else if (group) {
      const members = value.split(':').map((member) => member.trim())
      const wrong = members.find((member) => !/^\d{1,15}$/.test(member))
      if (wrong !== undefined) throw new QuorumConfigError(`${at}${key}=${value}: ${JSON.stringify(wrong)} is no server id; a group is a list of ids, as in ${key}=1:2:3`)
      const id = Number(group[1])
      if (groups.some((other) => other.id === id)) throw new QuorumConfigError(`${at}${key} stands there twice`)
      for (const member of members.map(Number)) {
        const other = groupOf.get(member)
        if (other !== undefined) throw new QuorumConfigError(`${at}${key}=${value}: server ${member} is in group.${other} already; a server belongs to one group`)
        groupOf.set(member, id)
      }
      groups.push({ id, members: members.map(Number) })
    } else if (weight) {
      if (!/^\d{1,9}$/.test(value)) throw new QuorumConfigError(`${at}${key}=${value} is not a whole number from 0 to 999999999`)
      weights.set(Number(weight[1]), Number(value))
    } else throw new QuorumConfigError(`${at}${key} does not belong here: server.N, group.N and weight.N do`)
  }
  const config = quorumConfig({ version, servers: [...servers.values()], groups: groups.toSorted((a, b) => a.id - b.id), weights })
  check(config, groupOf)
  return config
}

function check(config: QuorumConfig, groupOf: ReadonlyMap<ServerId, number>): void {
  if (config.servers.size > 0 && config.voters.size === 0) throw new QuorumConfigError('every server line is an observer: somebody has to vote. Make at least one of them a participant')
  if (config.groups.length === 0 && config.weights.size > 0) throw new QuorumConfigError('there are weight lines without a group line: weights count within groups. Add group.N lines or remove the weights')
  if (config.groups.length > 0) {
    for (const id of config.voters) if (!groupOf.has(id)) throw new QuorumConfigError(`server.${id} is in no group: with groups, every participant belongs to exactly one`)
    for (const [id, group] of groupOf) if (!config.servers.has(id)) throw new QuorumConfigError(`group.${group} names server ${id}, but there is no line server.${id}`)
    if (![...config.voters].some((id) => weightOf(config, id) > 0)) throw new QuorumConfigError('all weights are 0: nobody could lead')
  }
  const claimed = new Map<string, string>()
  for (const { id, addresses } of config.servers.values())
    for (const { host, quorumPort, electionPort } of addresses)
      for (const [port, use] of [[quorumPort, 'quorum'], [electionPort, 'election']] as const) {
        const address = hostPort(host, port)
        const mine = `server.${id} as ${use} port`
        const other = claimed.get(address)
        if (other !== undefined) throw new QuorumConfigError(`${address} is claimed by ${other} and by ${mine}; every server needs two ports of its own`)
        claimed.set(address, mine)
      }
}

/** `HOST:QUORUM:ELECTION[:participant|observer][|HOST:QUORUM:ELECTION…][;[HOST:]CLIENT]`. `at` begins messages. */
export function parseServerLine(id: ServerId, value: string, at = ''): QuorumServer {
  const fail = (reason: string): QuorumConfigError =>
    new QuorumConfigError(`${at}server.${id}=${value}: ${reason}. A server line reads server.${id}=HOST:QUORUMPORT:ELECTIONPORT[:participant|observer][;[HOST:]CLIENTPORT]`)
  const [peers, client, ...more] = value.split(';')
  if (more.length > 0) throw fail('more than one ;')
  let role: Role | undefined
  const addresses = peers.split('|').map((text): PeerAddress => {
    const parts = hostAndRest(text.trim())
    if (!parts) throw fail(`${JSON.stringify(text)} has no host`)
    const [host, quorum, election, type, ...rest] = parts
    if (quorum === undefined || election === undefined) throw fail(`both ports are needed, ${quorum === undefined ? 'none is' : 'one is'} given`)
    if (rest.length > 0) throw fail(`too many parts in ${JSON.stringify(text)}`)
    if (type !== undefined) {
      const named = type.trim().toLowerCase()
      if (named !== 'participant' && named !== 'observer') throw fail(`${JSON.stringify(type)} is neither participant nor observer`)
      if (role !== undefined && role !== named) throw fail('its addresses name different roles')
      role = named
    }
    const quorumPort = portOf(quorum)
    const electionPort = portOf(election)
    if (quorumPort === undefined || electionPort === undefined) throw fail(`${quorumPort === undefined ? quorum : election} is not a port from 1 to 65535`)
    return { host, quorumPort, electionPort }
  })
  return { id, addresses: addresses as [PeerAddress, ...PeerAddress[]], role: role ?? 'participant', client: client === undefined ? undefined : parseClientPart(client.trim(), fail) }
}
function parseClientPart(text: string, fail: (reason: string) => QuorumConfigError): { host: string; port: number } {
  const parts = /^\d+$/.test(text) ? ['0.0.0.0', text] : hostAndRest(text)
  const port = parts && parts.length === 2 ? portOf(parts[1]) : undefined
  if (!parts || port === undefined) throw fail(`${JSON.stringify(text)} is no client address`)
  return { host: parts[0], port }
}
/** `host:a:b` or `[v6]:a:b` in pieces; undefined without a host. */
function hostAndRest(text: string): string[] | undefined {
  const bracketed = /^\[([^\]]+)\](?::(.*))?$/.exec(text)
  if (bracketed) return [bracketed[1], ...(bracketed[2]?.split(':') ?? [])]
  const parts = text.split(':')
  return parts[0] === '' ? undefined : parts
}
function portOf(text: string): number | undefined {
  const port = /^\s*\d{1,5}\s*$/.test(text) ? Number(text) : 0
  return port >= 1 && port <= 65_535 ? port : undefined
}

export function formatServerLine({ addresses, role, client }: QuorumServer): string {
  const peers = addresses.map(({ host, quorumPort, electionPort }) => `${hostPort(host, quorumPort)}:${electionPort}`).join('|')
  return `${peers}:${role}${client ? `;${hostPort(client.host, client.port)}` : ''}`
}

/** The lines of a dynamic configuration file, joined by line feeds, without a version (§2.3). */
export function formatQuorumLines(config: QuorumConfig): string {
  const lines = [...config.servers.values()].map((server) => `server.${server.id}=${formatServerLine(server)}`)
  if (config.groups.length > 0) {
    for (const { id, members } of config.groups) lines.push(`group.${id}=${members.join(':')}`)
    const weighted = new Set([...config.voters, ...config.weights.keys()])
    for (const id of [...weighted].toSorted((a, b) => a - b)) lines.push(`weight.${id}=${weightOf(config, id)}`)
  }
  return lines.join('\n')
}
/** As servers send it to each other and keep it in /zookeeper/config: the lines and `version=HEX`, no line feed at the end (§5.10). */
export function formatQuorumConfig(config: QuorumConfig): string {
  const lines = formatQuorumLines(config)
  return `${lines}${lines && '\n'}version=${BigInt.asUintN(64, config.version).toString(16)}`
}

/** Reads `formatQuorumConfig`'s text. Throws QuorumConfigError on anything else. */
export function parseQuorumConfig(text: string): QuorumConfig {
  let version = 0n
  const lines: QuorumLine[] = []
  for (const line of splitLines(text)) {
    if (line.key !== 'version') lines.push(line)
    else if (/^[0-9a-fA-F]{1,16}$/.test(line.value)) version = BigInt.asIntN(64, BigInt(`0x${line.value}`))
    else throw new QuorumConfigError(`version=${line.value} is not a hexadecimal number of up to 16 digits`)
  }
  return readQuorumLines(lines, version)
}

/** As a dynamic configuration file holds it: the lines sorted as text, without a line feed at the end; with `version=HEX` while it is only proposed. */
export function formatDynamicFile(config: QuorumConfig, isProposed = false): string {
  return (isProposed ? formatQuorumConfig(config) : formatQuorumLines(config)).split('\n').toSorted((a, b) => (a < b ? -1 : 1)).join('\n')
}
/** A dynamic configuration file; its version is the last part of its name (`zoo.cfg.dynamic.100000000`), 0 where that is no number. */
export function parseDynamicFile(text: string, path: string): QuorumConfig {
  const suffix = /\.([0-9a-fA-F]{1,16})$/.exec(path)
  const lines = splitLines(text, path)
  const version = lines.find((line) => line.key === 'version')
  if (version) throw new QuorumConfigError(`${version.where}: version=${version.value} does not belong into a dynamic configuration file: its version is the end of its name`)
  return readQuorumLines(lines, suffix ? BigInt(`0x${suffix[1]}`) : 0n)
}
function splitLines(text: string, file?: string): QuorumLine[] {
  return text.split(/\r\n|\n|\r/).flatMap((line, index) => {
    const trimmed = line.trim()
    if (trimmed === '' || trimmed.startsWith('#') || trimmed.startsWith('!')) return []
    const end = trimmed.indexOf('=')
    if (end < 0) throw new QuorumConfigError(`${file ?? 'configuration'} line ${index + 1}: ${JSON.stringify(trimmed)} has no =`)
    return [{ key: trimmed.slice(0, end).trim(), value: trimmed.slice(end + 1).trim(), where: `${file ?? 'configuration'} line ${index + 1}` }]
  })
}
