/** Four-letter words: what each prints. One table; the whitelist, `srvr`'s exception and dispatch read it. Texts as Apache's. */
import type { ClientConnection } from './connection.ts'
import { hex } from './connection.ts'
import type { ServerFacts } from './facts.ts'
import { digestVersion } from '../znodes/digest.ts'
import type { Watcher } from '../znodes/watches.ts'

export interface Word {
  readonly about: string
  /** Answered whatever the whitelist says. */
  readonly always?: boolean
  /** Answered also while there is no leader. */
  readonly idle?: boolean
  /** Bytes that follow the word. */
  readonly argumentSize?: number
  readonly answer: (server: ServerFacts, argument: Buffer) => string | Promise<string>
}

const lines = (all: readonly string[]): string => all.map((line) => `${line}\n`).join('')
const sessionOf = (watcher: Watcher): string => hex((watcher as ClientConnection).sessionId)

/** A connection as `stat` prints it, or as `cons` does. */
function connectionLine(connection: ClientConnection, isFull: boolean): string {
  const { socket, session, latency } = connection
  const brief = ` /${socket.remoteAddress}:${socket.remotePort}[${connection.interest.toString(16)}](queued=${connection.outstanding},recved=${connection.received},sent=${connection.sent}`
  if (!isFull || !session) return `${brief})`
  const cxid = connection.lastCxid >= 0 ? `,lcxid=0x${connection.lastCxid.toString(16)}` : ''
  return (
    `${brief},sid=${hex(session.id)},lop=${connection.lastOperation},est=${connection.since},to=${session.timeoutMs}${cxid},lzxid=${hex(connection.lastZxid)}` +
    `,lresp=${Math.floor(connection.lastResponseAt)},llat=${Math.floor(connection.lastLatency)},minlat=${latency.min},avglat=${latency.average},maxlat=${latency.max})`
  )
}
function serverLines(server: ServerFacts): string[] {
  const { statistics } = server
  const { min, average, max } = statistics.latency
  const proposals = statistics.proposalSize
  return [
    ...(server.isReadOnly ? ['READ-ONLY mode; serving only read-only clients'] : []),
    `Latency min/avg/max: ${min}/${Number.isInteger(average) ? average.toFixed(1) : average}/${max}`,
    `Received: ${statistics.received}`,
    `Sent: ${statistics.sent}`,
    `Connections: ${server.connections().size}`,
    `Outstanding: ${server.outstanding}`,
    `Zxid: ${hex(server.tree.lastProcessedZxid)}`,
    `Mode: ${server.mode}`,
    `Node count: ${server.tree.nodeCount}`,
    ...(server.mode === 'leader' ? [`Proposal sizes last/min/max: ${proposals.count === 0 ? '-1/-1/-1' : `${proposals.last}/${proposals.min}/${proposals.max}`}`] : []),
  ]
}
async function conf(server: ServerFacts): Promise<string> {
  const { config } = server
  const own = server.membership?.config.servers.get(server.serverId)
  const quorum = server.membership && own ? [
    `initLimit=${server.membership.initLimit}`, `syncLimit=${server.membership.syncLimit}`, 'electionAlg=3', `electionPort=${own.addresses[0].electionPort}`, `quorumPort=${own.addresses[0].quorumPort}`,
    `peerType=${own.role === 'participant' ? 0 : 1}`, 'membership: ', server.membership.configText,
  ] : []
  const { dataDir, dataLogDir } = await server.store.sizes()
  const text = lines([
    `clientPort=${server.port}`, 'secureClientPort=-1', `dataDir=${server.folders.dataDir}`, `dataDirSize=${dataDir}`, `dataLogDir=${server.folders.dataLogDir}`,
    `dataLogSize=${dataLogDir}`, `tickTime=${config.tickTime}`, `maxClientCnxns=${config.maxClientCnxns}`, `minSessionTimeout=${config.minSessionTimeout}`,
    `maxSessionTimeout=${config.maxSessionTimeout}`, `clientPortListenBacklog=${config.clientPortListenBacklog}`, `serverId=${server.serverId}`, ...quorum,
  ])
  // The configuration of an ensemble ends as its text does.
  return quorum.length > 0 ? text.slice(0, -1) : text
}
/** A leader and a server that is alone track all sessions; a learner its local ones, and knows of the others. */
function sessionSets(server: ServerFacts, local: boolean): string[] {
  const buckets = server.sessions.buckets({ local })
  const count = buckets.reduce((sum, { sessions }) => sum + sessions.length, 0)
  const out = [`Session Sets (${buckets.length})/(${count}):`]
  for (const { expiresAt, sessions } of buckets) {
    out.push(`${sessions.length} expire at ${server.dateAt(expiresAt)}:`)
    for (const { id } of sessions) out.push(`\t${hex(id)}`)
  }
  return out
}
function sessionLines(server: ServerFacts): string[] {
  const { mode, tree, hasLocalSessions } = server
  const local = hasLocalSessions ? sessionSets(server, true) : []
  const prefixed = ([head, ...rest]: string[], prefix: string): string[] => (head === undefined ? [] : [`${prefix}${head}`, ...rest])
  if (mode === 'standalone') return sessionSets(server, false)
  if (mode === 'leader') return [...prefixed(local, 'Local '), ...prefixed(sessionSets(server, false), hasLocalSessions ? 'Global ' : '')]
  const all = [...tree.sessions].sort(([one], [other]) => (one < other ? -1 : 1))
  return [...prefixed(local, 'Local '), `Global Sessions(${all.length}):`, ...all.map(([id, timeoutMs]) => `${hex(id)}\t${timeoutMs}ms`)]
}
function dump(server: ServerFacts): string {
  const out = ['SessionTracker dump:', ...sessionLines(server)]
  out.push('ephemeral nodes dump:')
  const owners = [...server.tree.ephemerals()]
  out.push(`Sessions with Ephemerals (${owners.length}):`)
  for (const [id, paths] of owners) {
    out.push(`${hex(id)}:`)
    for (const path of paths) out.push(`\t${path}`)
  }
  const connections = [...server.connections()]
  out.push('Connections dump:', `Connections Sets (1)/(${connections.length}):`, `${connections.length} expire at ${server.dateAt(undefined)}:`)
  for (const { socket, sessionId } of connections) out.push(`\tip: /${socket.remoteAddress}:${socket.remotePort} sessionId: ${hex(sessionId)}`)
  return lines(out)
}
function wchc(server: ServerFacts): string {
  const out: string[] = []
  for (const [watcher, paths] of server.tree.watches.data.byWatcher()) {
    out.push(sessionOf(watcher))
    for (const path of paths) out.push(`\t${path}`)
  }
  return lines([...out, ''])
}
function wchp(server: ServerFacts): string {
  const out: string[] = []
  for (const [path, watchers] of server.tree.watches.data.byPath()) {
    out.push(path)
    for (const watcher of watchers) out.push(`\t${sessionOf(watcher)}`)
  }
  return lines([...out, ''])
}
function wchs({ tree }: ServerFacts): string {
  const { data } = tree.watches
  return `${data.watcherCount} connections watching ${data.pathCount} paths\nTotal watches:${data.size}\n`
}

export const words: ReadonlyMap<string, Word> = new Map<string, Word>([
  ['ruok', { about: 'whether the server runs', idle: true, answer: () => 'imok' }],
  ['srvr', { about: 'version, counts and mode', always: true, answer: (server) => lines([`Zookeeper version: ${server.version}`, ...serverLines(server)]) }],
  ['stat', {
    about: 'the same with the clients',
    answer: (server) => lines([`Zookeeper version: ${server.version}`, 'Clients:', ...[...server.connections()].map((connection) => connectionLine(connection, false)), '', ...serverLines(server)]),
  }],
  ['mntr', { about: 'metrics', answer: async (server) => lines([...(await server.metrics())].map(([name, value]) => `zk_${name}\t${value}`)) }],
  ['conf', { about: 'configuration', answer: conf }],
  ['cons', { about: 'connections', answer: (server) => lines([...[...server.connections()].map((connection) => connectionLine(connection, true)), '']) }],
  ['dump', { about: 'sessions and what they own', answer: dump }],
  ['envi', { about: 'environment', idle: true, answer: (server) => lines(['Environment:', ...[...server.environment()].map(([key, value]) => `${key}=${value}`)]) }],
  ['isro', { about: 'whether the server takes writes', idle: true, answer: ({ mode }) => (mode === 'looking' ? 'null' : mode === 'read-only' ? 'ro' : 'rw') }],
  ['wchs', { about: 'how many watches', answer: wchs }],
  ['wchc', { about: 'watches by session', answer: wchc }],
  ['wchp', { about: 'watches by path', answer: wchp }],
  ['dirs', {
    about: 'size of the files',
    answer: async (server) => {
      const { dataDir, dataLogDir } = await server.store.sizes()
      return `datadir_size: ${dataDir}\nlogdir_size: ${dataLogDir}\n`
    },
  }],
  ['crst', {
    about: 'set the figures of connections back',
    answer: (server) => {
      for (const connection of server.connections()) connection.latency.reset()
      return 'Connection stats reset.\n'
    },
  }],
  ['srst', {
    about: 'set the figures of the server back',
    answer: ({ statistics }) => {
      statistics.reset()
      return 'Server stats reset.\n'
    },
  }],
  ['gtmk', { about: 'the trace mask, which traces nothing here', idle: true, answer: ({ statistics }) => String(statistics.traceMask) }],
  ['stmk', {
    about: 'set it', idle: true, argumentSize: 8,
    answer: ({ statistics }, argument) => {
      statistics.traceMask = argument.readBigInt64BE(0)
      return String(statistics.traceMask)
    },
  }],
  ['hash', { about: `digests of the tree (version ${digestVersion})`, answer: ({ tree }) => lines(tree.digestLog.map(({ zxid, digest }) => `${BigInt.asUintN(64, zxid).toString(16)}: ${digest}`)) }],
])

export const argumentSizeOf = (word: string): number => words.get(word)?.argumentSize ?? 0
/** What to say to these four bytes; undefined where they are no word but the size of a frame. */
export function answerWord(word: string, server: ServerFacts, isServing = true, argument: Buffer = Buffer.alloc(0)): Promise<string> | undefined {
  const known = words.get(word)
  if (!known) return undefined
  const { fourLetterWords } = server.config
  const isAlways = known.always || (word === 'isro' && server.hasReadOnlyMode)
  if (!isAlways && !fourLetterWords.has('*') && !fourLetterWords.has(word))
    return Promise.resolve(`${word} is not executed because it is not in the whitelist.\n`)
  if (!isServing && !known.idle) return Promise.resolve('This ZooKeeper instance is not currently serving requests\n')
  return Promise.resolve(known.answer(server, argument))
}
