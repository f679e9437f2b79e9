/** A ZooKeeper server, alone or a member of an ensemble: storage, tree, sessions, connections, four-letter words and the AdminServer, put together. */
import type { Connection, Host, Timer } from '../../host/host.ts'
import type { Writer } from '../../wire/writer.ts'
import { javaDate } from '../../wire/java-date.ts'
import { Writer as BytesWriter } from '../../wire/writer.ts'
import { errorCode } from '../protocol/errors.ts'
import { op } from '../protocol/op-codes.ts'
import type { Transaction } from '../protocol/transactions.ts'
import { DeleteContainerRequest, type Id } from '../protocol/records.ts'
import { openStore } from '../storage/store.ts'
import { Configurations, type ConfigKeeper } from '../zab/configurations.ts'
import { formatQuorumConfig, sameMembership, type QuorumConfig } from '../zab/quorum-config.ts'
import { Peer, type Elections, type PeerOptions } from '../zab/peer.ts'
import type { LeadingDoor, LearnerCounts, ServingRole } from '../zab/replica.ts'
import { builtInSchemes } from '../znodes/acl.ts'
import { Preparation } from '../znodes/prepare.ts'
import { firstSessionId, Sessions, type Session } from '../znodes/sessions.ts'
import type { ReplicaStore, TransactionStore } from '../znodes/store.ts'
import { ZnodeTree, type Applied } from '../znodes/tree.ts'
import { AdminServer } from './admin.ts'
import { ClientPort, listenError } from './client-port.ts'
import type { ZooKeeperConfig } from './config.ts'
import { ClientConnection, hex, type ConnectionOwner } from './connection.ts'
import { Connections } from './connections.ts'
import { EnsembleReplica } from './ensemble-replica.ts'
import { memberOf } from './membership.ts'
import { environmentOf } from './environment.ts'
import type { ServerFacts } from './facts.ts'
import { answerWord, argumentSizeOf } from './four-letter-words.ts'
import { LeaderWrites, ownClients } from './leader-writes.ts'
import { LearnerWrites } from './learner-writes.ts'
import { createsEphemeral, originOf, type LocalSessionsConfig } from './local-sessions.ts'
import { metricsOf } from './metrics.ts'
import { readOnlyAfterMs, readOnlyWrites } from './read-only.ts'
import type { ReadContext } from './reads.ts'
import { reapable, startReaper } from './reaper.ts'
import { Statistics } from './statistics.ts'
import type { WhenApplied, WritePath } from './write-path.ts'
import { Writes } from './writes.ts'
import { versionText } from './version.ts'

/** What makes a server a member of an ensemble. */
export interface EnsembleOptions extends Pick<PeerOptions, 'initLimit' | 'syncLimit' | 'forceSnapshot' | 'listenOnAll'> {
  readonly serverId: number
  readonly config: QuorumConfig
  /** A configuration that was proposed when the server stopped. */
  readonly lastSeen?: QuorumConfig | undefined
  /** Keeps configurations that come later. */
  readonly keeper?: ConfigKeeper | undefined
  readonly standaloneEnabled?: boolean
  /** `onNewerConfig`: to be called with a configuration that another server goes by. */
  readonly elections: (host: Host, configurations: { readonly config: QuorumConfig; readonly lastSeen: QuorumConfig; onNewerConfig(config: QuorumConfig): void }) => Promise<Elections>
  /** How many transactions are kept in memory for learners that were away (`commitLogCount`). */
  readonly commitLogCount?: number
  /** Whether reads are served where no quorum is seen (`readonlymode.enabled`), and after how long (default and least: a tick, or two seconds). */
  readonly readOnly?: boolean
  readonly readOnlyAfterMs?: number
  readonly localSessions?: LocalSessionsConfig
  /** Whether a leader takes clients; default: it does. */
  readonly leaderServes?: boolean
}
export interface ServerOptions {
  /** Default: what the configuration and `myid` say. */
  readonly ensemble?: EnsembleOptions
  /** Default: files in the configured folders. */
  readonly openStore?: (tree: ZnodeTree) => Promise<TransactionStore | ReplicaStore>
  /** Called once when the server cannot go on (the log cannot be written): it has closed its clients and wants to be stopped. */
  readonly onFailure?: (error: unknown) => void
}

const noLocalSessions: LocalSessionsConfig = { enabled: false, upgrading: false }
const noIds = Buffer.alloc(0)
/** Writers kept for the next turn; a burst's others are left to the garbage collector. */
const writersKept = 64
const standaloneServerId = 1
const commitLogCountDefault = 500
/** Whether it is alone, leads or follows decides about writes and sessions, and nothing else. */
type Serving =
  | { readonly mode: 'standalone'; readonly writes: Writes }
  | { readonly mode: 'leader'; readonly writes: LeaderWrites; readonly role: ServingRole & { kind: 'leader' } }
  | { readonly mode: 'follower' | 'observer'; readonly writes: LearnerWrites; readonly role: ServingRole & { kind: 'follower' | 'observer' } }
  | { readonly mode: 'read-only'; readonly writes: WritePath }
/** Takes nothing: for who asks while there is no leader. */
const noWrites: WritePath = { outstanding: 0, submit() {}, drained: () => Promise.resolve() }

export class ZooKeeperServer implements ConnectionOwner, ServerFacts {
  readonly config: ZooKeeperConfig
  readonly version = versionText
  readonly serverId: number
  readonly clock: Host['clock']
  readonly logger: Host['logger']
  readonly tree: ZnodeTree
  readonly sessions: Sessions
  readonly store: TransactionStore
  readonly reading: ReadContext
  readonly statistics = new Statistics()
  readonly load = { requests: 0, bytes: 0 }
  readonly #host: Host
  readonly #options: ServerOptions
  /** What this server is at the moment; undefined: a member of an ensemble that has no leader. */
  #serving: Serving | undefined
  #replica: EnsembleReplica | undefined
  #peer: Peer | undefined
  #configurations: Configurations | undefined
  readonly #connections: Connections
  readonly #startedAt: number
  #throttled: ClientConnection[] = []
  #dirty: ClientConnection[] = []
  #writers: Writer[] = []
  readonly #clientPort: ClientPort
  #admin: AdminServer | undefined
  #tick: Timer | undefined
  #sweep: Timer | undefined
  #stopReaper: (() => void) | undefined
  #stopped: Promise<void> | undefined
  #isStopping = false

  /** Opens the folders, restores what they hold and listens. Rejects with a message that says what to do. */
  static async start(host: Host, asked: ZooKeeperConfig, given: ServerOptions = {}): Promise<ZooKeeperServer> {
    const member = given.ensemble === undefined && asked.ensemble ? await memberOf(host, asked, asked.ensemble) : undefined
    const config = member?.config ?? asked
    const options = member ? { ...given, ensemble: member.ensemble } : given
    const { ensemble } = options
    const tree = new ZnodeTree({ extendedTypes: config.extendedTypes, emulate353: config.emulate353 })
    const logging: Host = { ...host, logger: host.logger.named('zookeeper') }
    const inEnsemble = ensemble && { recentMax: ensemble.commitLogCount ?? commitLogCountDefault, snapshotAtStart: false }
    const store = await (options.openStore?.(tree) ?? openStore(logging, { ...config.store, ...inEnsemble }, tree))
    const server = new ZooKeeperServer(logging, config, tree, store, options)
    try {
      await server.#begin()
    } catch (error) {
      await server.stop()
      throw error
    }
    return server
  }

  private constructor(host: Host, config: ZooKeeperConfig, tree: ZnodeTree, store: TransactionStore, options: ServerOptions) {
    this.config = config
    this.clock = host.clock
    this.logger = host.logger
    this.tree = tree
    this.store = store
    this.#host = host
    this.#options = options
    this.#startedAt = host.clock.monotonic()
    this.#connections = new Connections(host.timers)
    this.#clientPort = new ClientPort(host.network, host.logger, (socket) => this.#accept(socket))
    // The seed is the wall clock: monotonic ones begin anew with the machine, and ids must never repeat on one folder.
    const { ensemble } = options
    this.serverId = ensemble?.serverId ?? 0
    this.sessions = new Sessions({ tickMs: config.tickTime, firstId: firstSessionId(ensemble?.serverId ?? standaloneServerId, host.clock.now()) })
    this.reading = { tree, schemes: builtInSchemes, skipACL: config.skipACL }
    if (ensemble) return
    this.#serving = {
      mode: 'standalone',
      writes: new Writes({
        clock: host.clock, timers: host.timers, tree, preparation: this.#newPreparation(), store,
        onBatch: (count) => this.#batchDone(count),
        onFailure: (error) => this.#failed(error),
      }),
    }
  }
  #newPreparation(leading?: LeadingDoor): Preparation {
    const { config } = this
    const standaloneEnabled = this.#options.ensemble?.standaloneEnabled ?? true
    return new Preparation(this.tree, {
      schemes: builtInSchemes, skipACL: config.skipACL, enforceQuota: config.enforceQuota, digests: config.digestEnabled,
      reconfigEnabled: config.reconfigEnabled, closeSessionPaths: config.closeSessionPaths,
      ...(leading && {
        reconfigure: (asked, zxid) => {
          const next = leading.nextConfig(asked, zxid, standaloneEnabled)
          return typeof next === 'number' ? next : Buffer.from(formatQuorumConfig(next))
        },
      }),
    })
  }

  get writes(): WritePath {
    return this.#serving?.writes ?? noWrites
  }
  get isServing(): boolean {
    return this.#serving !== undefined && (this.#serving.mode !== 'leader' || this.#leaderServes)
  }
  get isReadOnly(): boolean {
    return this.#serving?.mode === 'read-only'
  }
  get hasReadOnlyMode(): boolean {
    return this.#options.ensemble?.readOnly ?? false
  }
  get hasLocalSessions(): boolean {
    return this.#localSessions.enabled || this.isReadOnly
  }
  get #leaderServes(): boolean {
    return this.#options.ensemble?.leaderServes ?? true
  }
  get #localSessions(): LocalSessionsConfig {
    return this.#options.ensemble?.localSessions ?? noLocalSessions
  }
  /** `standalone`, `leader`, `follower`, `observer`; `read-only` or `looking` without a leader. */
  get mode(): string {
    return this.#serving?.mode ?? 'looking'
  }
  /** Who leads the ensemble, as far as this server knows. */
  get leaderId(): number | undefined {
    return this.#peer?.leader
  }
  /** The history of a member of an ensemble. */
  get replica(): EnsembleReplica | undefined {
    return this.#replica
  }
  /** What a member knows of who belongs to its ensemble. */
  get configurations(): Configurations | undefined {
    return this.#configurations
  }
  get digestMismatchCount(): number {
    return this.#replica?.digestMismatchCount ?? 0
  }
  get membership(): ServerFacts['membership'] {
    const { ensemble } = this.#options
    const configurations = this.#configurations
    if (!ensemble || !configurations) return undefined
    const { committed: config } = configurations
    return { serverId: ensemble.serverId, config, configText: formatQuorumConfig(config), initLimit: ensemble.initLimit, syncLimit: ensemble.syncLimit }
  }
  /** A leader's learners. */
  get learners(): LearnerCounts | undefined {
    return this.#serving?.mode === 'leader' ? this.#serving.role.leading.followers() : undefined
  }
  /** The port that clients connect to. */
  get port(): number {
    return this.#clientPort.port
  }
  /** The AdminServer's port; undefined where it is off. */
  get adminPort(): number | undefined {
    return this.#admin?.port
  }
  get outstanding(): number {
    return this.load.requests
  }
  get folders(): { dataDir: string; dataLogDir: string } {
    const { dataDir, dataLogDir } = this.config.store
    return { dataDir: `${dataDir}/version-2`, dataLogDir: `${dataLogDir ?? dataDir}/version-2` }
  }
  connections(): ReadonlySet<ClientConnection> {
    return this.#connections.all
  }
  metrics(): Promise<Map<string, number | string>> {
    return metricsOf(this, this.#host.disk, this.clock.monotonic() - this.#startedAt)
  }
  environment(): Map<string, string> {
    return environmentOf(this.version, this.#host.network.hostName())
  }
  dateAt(monotonic: number | undefined): string {
    return javaDate(this.clock.now() + (monotonic === undefined ? 0 : monotonic - this.clock.monotonic()))
  }

  async #begin(): Promise<void> {
    const { config, clock, tree, sessions } = this
    if (this.#serving) {
      this.#trackSessions()
      await this.writes.drained()
    }
    const { clientPortAddress: host, clientPort: port, clientPortListenBacklog: backlog } = config
    await this.#clientPort.listen(host, port, backlog)
    if (config.admin.enabled) {
      try {
        this.#admin = await AdminServer.start(this.#host, config.admin, this)
      } catch (cause) {
        throw listenError('admin.serverPort', config.admin.address, config.admin.port, cause, 'or set admin.enableServer=false')
      }
    }
    this.#armTick()
    this.#sweep = this.#host.timers.every(Math.min(1000, config.sessionlessTimeout), () => this.#closeSilent())
    this.#stopReaper = startReaper(this.#host.timers, config.containers, () => reapable(tree, clock.now(), config.containers.neverUsedMs), (path) => {
      if (this.#decides) this.writes.submit({ sessionId: 0n, cxid: 0, type: op.deleteContainer, body: DeleteContainerRequest.encode({ path }), ids: [] })
    })
    if (this.#options.ensemble) await this.#join(this.#options.ensemble)
    this.logger.info('ZooKeeper listens', { port: this.port, address: host ?? 'all', admin: this.adminPort, dataDir: config.store.dataDir, zxid: hex(tree.lastProcessedZxid), znodes: tree.nodeCount, sessions: sessions.size })
  }

  /** All sessions that the tree knows, each with its full timeout from now on. */
  #trackSessions(): void {
    const { tree, sessions, clock } = this
    const now = clock.monotonic()
    for (const [id, timeoutMs] of tree.sessions) sessions.add(id, timeoutMs, now)
    // Whoever owns ephemerals without a session is dead: they go as they would have gone at its end.
    if (this.#decides) for (const id of tree.ephemerals().keys()) if (!tree.sessions.has(id)) this.#endSession(id)
  }
  /** Whether this server orders the writes, and says which sessions are over. */
  get #decides(): boolean {
    return this.#serving?.mode === 'standalone' || this.#serving?.mode === 'leader'
  }

  // ---- the ensemble

  async #join(ensemble: EnsembleOptions): Promise<void> {
    const { commitLogCount = commitLogCountDefault } = ensemble
    this.#replica = new EnsembleReplica(this.#host, {
      tree: this.tree, store: this.store as ReplicaStore, folder: this.folders.dataDir, commitLogCount,
      owner: {
        serve: (role) => this.#serve(role),
        serveReadOnly: () => this.#serveReadOnly(),
        stopServing: () => this.#stopServing(),
        applied: (applied, transaction, whenApplied) => this.#applied(applied, transaction, whenApplied),
        appliedGroup: (count, zxid) => {
          if (this.#serving?.mode === 'leader') this.#serving.writes.appliedUpTo(zxid)
          this.#batchDone(count)
        },
      },
    })
    // A history that contradicts its epochs is told at once, not when a leader is found.
    await this.#replica.epochs()
    const { config, lastSeen, keeper, serverId, initLimit, syncLimit, forceSnapshot, listenOnAll } = ensemble
    const configurations = new Configurations({ serverId, config, lastSeen, keeper, isEnabled: this.config.reconfigEnabled, logger: this.logger.named('zab') })
    this.#configurations = configurations
    configurations.onChange.push(({ isActivation, previous }) => {
      if (isActivation) this.#reconfigured(previous, configurations)
    })
    const elections = await ensemble.elections(this.#host, {
      config: configurations.committed, lastSeen: configurations.lastSeen, onNewerConfig: (newer) => void configurations.activate(newer),
    })
    this.#peer = new Peer(this.#host, this.#replica, {
      configurations, elections, tickMs: this.config.tickTime, initLimit, syncLimit, ...(forceSnapshot && { forceSnapshot }), ...(listenOnAll && { listenOnAll }),
      ...(ensemble.readOnly && { readOnlyAfterMs: Math.max(ensemble.readOnlyAfterMs ?? readOnlyAfterMs, this.config.tickTime) }),
      onFailure: (error) => this.#failed(error, 'this member of the ensemble cannot go on, and stops serving'),
    })
    this.#peer.start()
  }
  /** Sessions of the ensemble are left alone: what becomes of them, only a quorum can say. */
  #serveReadOnly(): void {
    this.#serving = { mode: 'read-only', writes: readOnlyWrites }
    this.#showConfig(this.#configurations as Configurations)
    this.logger.warn('there is no quorum: clients that asked for a read-only server are served, without writes', { zxid: hex(this.tree.lastProcessedZxid) })
  }
  #showConfig({ committed }: Configurations): void {
    this.tree.configure(Buffer.from(formatQuorumConfig(committed)), { version: committed.version, time: this.clock.now() })
  }
  #reconfigured(previous: QuorumConfig, configurations: Configurations): void {
    this.#showConfig(configurations)
    const { committed, serverId } = configurations
    const own = committed.servers.get(serverId)
    if (sameMembership(previous, committed) || !own) return
    if (own.client) this.#clientPort.move(own.client)
    else if (previous.servers.get(serverId)?.client) this.logger.warn('the new configuration does not say where this server serves clients: it goes on where it is', { port: this.port })
  }
  #serve(role: ServingRole): void {
    const { sessions, clock } = this
    const replica = this.#replica as EnsembleReplica
    // A leader's snapshot brings its own.
    this.#showConfig(this.#configurations as Configurations)
    sessions.clear({ reports: role.kind !== 'leader' })
    if (role.kind === 'leader') {
      const preparation = this.#newPreparation(role.leading)
      preparation.beginEpoch(role.zxid)
      const writes = new LeaderWrites({
        clock, sessions, preparation, leading: role.leading, onProposed: (size) => this.statistics.proposalSize.add(size), ...(this.#localSessions.enabled && { localSessionsOf: this.serverId }),
        append: (transaction, bytes, whenApplied) => replica.appendOwn(transaction, bytes, whenApplied),
        onMoved: (id) => this.#connections.of(id)?.destroy(),
      })
      this.#serving = { mode: 'leader', writes, role }
    } else this.#serving = { mode: role.kind, writes: new LearnerWrites(role.following, sessions), role }
    this.#trackSessions()
    this.logger.info('clients are served', { mode: this.mode, epoch: role.epoch, zxid: hex(this.tree.lastProcessedZxid) })
  }
  #stopServing(): void {
    const serving = this.#serving
    if (!serving) return
    this.#serving = undefined
    if (serving.mode === 'leader') serving.writes.end()
    for (const connection of this.#connections.all) if (!connection.isGreeting) connection.destroy()
    this.sessions.clear()
  }
  #applied(applied: Applied, transaction: Transaction, whenApplied: WhenApplied | undefined): void {
    const serving = this.#serving
    const { type, clientId } = transaction.header
    if (serving && type === op.createSession && transaction.body.type === op.createSession) this.sessions.add(clientId, transaction.body.timeOut, this.clock.monotonic())
    if (whenApplied) whenApplied.applied(applied, transaction)
    else if (serving?.mode === 'follower' || serving?.mode === 'observer') serving.writes.applied(applied, transaction)
    if (type !== op.closeSession) return
    this.sessions.remove(clientId)
    this.#connections.of(clientId)?.finish()
  }

  /** Answers what is on its way, closes clients, files and ports. Sessions stay: their clients may come back to the next server. */
  stop(): Promise<void> {
    return (this.#stopped ??= this.#stop())
  }
  async #stop(): Promise<void> {
    this.#isStopping = true
    this.#tick?.cancel()
    this.#sweep?.cancel()
    this.#stopReaper?.()
    await this.#peer?.stop()
    await this.#configurations?.written()
    await Promise.all([this.#clientPort.close(), this.#admin?.close(), this.#closeClients()])
    await this.store.close()
  }
  async #closeClients(): Promise<void> {
    await this.writes.drained()
    await this.#connections.finish()
  }

  // ---- connections

  #accept(socket: Connection): void {
    const { config, statistics } = this
    const address = socket.remoteAddress
    const isTooMany = config.maxClientCnxns > 0 && this.#connections.countFrom(address) >= config.maxClientCnxns
    if (this.#isStopping || isTooMany || (config.maxCnxns > 0 && this.#connections.all.size >= config.maxCnxns)) {
      statistics.connectionsRejected++
      if (!this.#isStopping) this.logger.warn('too many connections', isTooMany ? { address, maxClientCnxns: config.maxClientCnxns } : { address, maxCnxns: config.maxCnxns })
      socket.onClose(() => {})
      socket.destroy()
      return
    }
    this.#connections.add(new ClientConnection(this, socket))
  }
  established(connection: ClientConnection): void {
    this.#connections.established(connection)
  }
  open(connection: ClientConnection, timeoutMs: number, then: (session: Session) => void): void {
    const { sessions, clock } = this
    const isAlone = this.#serving?.mode === 'standalone'
    if (this.isReadOnly || (this.#localSessions.enabled && !isAlone)) return then(sessions.addLocal(timeoutMs, clock.monotonic()))
    const session = sessions.add(sessions.newId(), timeoutMs, clock.monotonic())
    this.#createSession(session, connection.ids, {
      applied() {
        sessions.touch(session, clock.monotonic())
        then(session)
      },
    })
  }
  #createSession({ id, timeoutMs }: Session, ids: readonly Id[], whenApplied?: WhenApplied): void {
    const body = Buffer.alloc(4)
    body.writeInt32BE(timeoutMs)
    this.writes.submit({ sessionId: id, cxid: 0, type: op.createSession, body, ids }, whenApplied)
  }
  refusalOf(session: Session, type: number, body: Buffer): number | undefined {
    const { writes, sessions } = this
    const refusal = writes.refusalOf?.(type, body)
    if (refusal !== undefined || !session.isLocal || !createsEphemeral(type, body)) return refusal
    if (!this.#localSessions.upgrading) return errorCode.ephemeralOnLocalSession
    sessions.upgrade(session)
    this.#createSession(session, [])
    return undefined
  }
  reopen(id: bigint, timeoutMs: number, then: (session: Session | 'unknown' | undefined) => void): void {
    const serving = this.#serving
    const { sessions, clock, tree } = this
    // Only its own session can it know to be over; and one of the ensemble's may have ended behind its back.
    if (serving?.mode === 'read-only' && !sessions.get(id)) return then(tree.sessions.has(id) || originOf(id) !== this.serverId ? 'unknown' : undefined)
    if ((serving?.mode === 'follower' || serving?.mode === 'observer') && !sessions.get(id)?.isLocal) {
      serving.writes.revalidate(id, timeoutMs, (isValid) => {
        const session = isValid ? sessions.add(id, timeoutMs, clock.monotonic()) : undefined
        if (session) session.timeoutMs = timeoutMs
        then(session && !session.closing ? session : undefined)
      })
      return
    }
    const session = sessions.get(id)
    if (!session) return then(undefined)
    session.timeoutMs = timeoutMs
    if (serving?.mode === 'leader' && !session.isLocal) session.owner = ownClients
    then(sessions.touch(session, clock.monotonic()) ? session : undefined)
  }
  closeOthers(sessionId: bigint, but: ClientConnection): void {
    const other = this.#connections.of(sessionId)
    if (other && other !== but) other.destroy()
  }
  closed(connection: ClientConnection): void {
    if (!this.#connections.remove(connection)) return
    this.statistics.connectionDrops++
    this.tree.watches.removeWatcher(connection)
    // What it had in progress may have been what the others were waiting for.
    if (this.#throttled.length > 0) this.#host.timers.endOfTurn(() => this.#relieve())
  }
  ending(socket: Connection): void {
    this.#connections.ending(socket)
  }
  ended(socket: Connection): void {
    this.#connections.ended(socket)
  }
  argumentSizeOf(word: string): number {
    return argumentSizeOf(word)
  }
  fourLetterWord(word: string, argument: Buffer): Promise<string> | undefined {
    return answerWord(word, this, this.isServing, argument)
  }
  /** Those who connected and never said a word. */
  #closeSilent(): void {
    const before = this.clock.now() - this.config.sessionlessTimeout
    for (const connection of this.#connections.all) {
      if (!connection.isGreeting || connection.since > before) continue
      this.statistics.sessionlessExpired++
      connection.destroy()
    }
  }

  // ---- load

  get isOverloaded(): boolean {
    return this.load.requests > this.config.globalOutstandingLimit || this.load.bytes > this.config.requestBytesMax
  }
  throttled(connection: ClientConnection): void {
    this.#throttled.push(connection)
  }
  #relieve(): void {
    while (this.#throttled.length > 0 && !this.isOverloaded) this.#throttled.shift()?.relieved()
  }

  // ---- sending

  writerFor(connection: ClientConnection): Writer {
    this.#dirty.push(connection)
    return this.#writers.pop() ?? new BytesWriter(4096)
  }
  release(writer: Writer): void {
    if (this.#writers.length < writersKept) this.#writers.push(writer)
  }
  flush(): void {
    while (this.#dirty.length > 0) {
      const dirty = this.#dirty
      this.#dirty = []
      for (const connection of dirty) connection.flush()
    }
  }
  #batchDone(count: number): void {
    this.statistics.commits += count
    this.flush()
    this.#relieve()
  }

  // ---- sessions

  /** Ticks begin at multiples of tickTime, as buckets end there. */
  #armTick(): void {
    const { tickTime } = this.config
    const now = this.clock.monotonic()
    const due = now + tickTime - (now % tickTime)
    this.#tick = this.#host.timers.set(due - now, () => {
      // When the whole process stood still, what clients have sent meanwhile lies unread, and who wanted to reconnect could not: that
      // is heard first, and nobody is given up before the next tick.
      const lateMs = this.clock.monotonic() - due
      if (lateMs <= tickTime / 2) this.#host.timers.endOfTurn(() => this.#expireSessions())
      else this.logger.warn('this process stood still; sessions get another tick before they may expire', { lateMs: Math.round(lateMs) })
      if (!this.#isStopping) this.#armTick()
    })
  }
  #expireSessions(): void {
    if (this.#isStopping || !this.#serving) return
    for (const { id, timeoutMs } of this.sessions.expireLocal(this.clock.monotonic())) {
      this.logger.info('local session expired', { session: hex(id), timeoutMs })
      this.sessions.remove(id)
      this.#connections.of(id)?.finish()
    }
    if (!this.#decides) return
    for (const { id, timeoutMs } of this.sessions.expire(this.clock.monotonic())) {
      this.logger.info('session expired', { session: hex(id), timeoutMs })
      this.#endSession(id)
    }
  }
  #endSession(id: bigint): void {
    this.writes.submit({ sessionId: id, cxid: 0, type: op.closeSession, body: noIds, ids: [] }, {
      applied: () => {
        this.sessions.remove(id)
        this.#connections.of(id)?.finish()
      },
    })
  }

  #failed(error: unknown, event = 'the transaction log cannot be written: nothing is acknowledged any more, and the server stops serving'): void {
    this.logger.error(event, { cause: error })
    this.#isStopping = true
    for (const connection of this.#connections.all) connection.destroy()
    void this.#clientPort.close()
    this.#options.onFailure?.(error)
  }
}
