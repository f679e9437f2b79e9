/** The operations of ZooKeeper as promises, on one session. See README.md for the door. */
import { MalformedError, type Reader } from '../../wire/reader.ts'
import type { Writer } from '../../wire/writer.ts'
import type { Host } from '../../host/host.ts'
import { errorCode as errorCodes } from '../protocol/errors.ts'
import { readMultiResponse, writeMultiRequest, type MultiOperation } from '../protocol/multi.ts'
import { addWatchMode, createMode, op } from '../protocol/op-codes.ts'
import {
  AddWatchRequest, CheckWatchesRequest, Create2Response, CreateRequest, CreateResponse, CreateTTLRequest, DeleteRequest, ExistsRequest, ExistsResponse,
  GetACLRequest, GetACLResponse, GetAllChildrenNumberRequest, GetAllChildrenNumberResponse, GetChildren2Request, GetChildren2Response, GetChildrenRequest,
  GetChildrenResponse, GetDataRequest, GetDataResponse, GetEphemeralsRequest, GetEphemeralsResponse, ReconfigRequest, RemoveWatchesRequest, SetACLRequest,
  SetACLResponse, SetDataRequest, SetDataResponse, SyncRequest, SyncResponse, WhoAmIResponse, type Acl, type Stat,
} from '../protocol/records.ts'
import { isZooKeeperError, MultiError, nameOf, refusal, ZooKeeperError } from './errors.ts'
import { pathFault, withChroot, withoutChroot, type ServerAddress } from './paths.ts'
import { Session, type Credentials, type SessionEvent, type SessionOptions, type SessionState } from './session.ts'
import { removalTypes, type RemovalType, type Watcher, type WatchKind } from './watches.ts'

export type CreateMode =
  | 'persistent' | 'ephemeral' | 'persistentSequential' | 'ephemeralSequential' | 'container' | 'persistentTtl' | 'persistentSequentialTtl'
const flagsOf: Record<CreateMode, number> = {
  persistent: createMode.persistent, ephemeral: createMode.ephemeral, persistentSequential: createMode.persistentSequential,
  ephemeralSequential: createMode.ephemeralSequential, container: createMode.container, persistentTtl: createMode.persistentWithTTL,
  persistentSequentialTtl: createMode.persistentSequentialWithTTL,
}
export const openAcl: readonly Acl[] = [{ perms: 31, id: { scheme: 'world', id: 'anyone' } }]

export interface CreateOptions {
  /** Default: persistent. */
  readonly mode?: CreateMode
  /** Default: everything to everybody. */
  readonly acl?: readonly Acl[]
  /** For the two TTL modes: ms without children or change after which the server deletes the node, 1 to 2^40 − 1. */
  readonly ttlMs?: number
}
export interface Watching {
  readonly watch?: Watcher
}
export type MultiOp =
  | ({ readonly op: 'create'; readonly path: string; readonly data?: Uint8Array | string | null } & CreateOptions)
  | { readonly op: 'setData'; readonly path: string; readonly data: Uint8Array | string | null; readonly version?: number }
  | { readonly op: 'delete'; readonly path: string; readonly version?: number }
  | { readonly op: 'check'; readonly path: string; readonly version: number }
export type MultiOutcome = { readonly op: 'create'; readonly path: string; readonly stat?: Stat } | { readonly op: 'setData'; readonly stat: Stat } | { readonly op: 'delete' | 'check' }
export type ReadOp = { readonly op: 'getData' | 'getChildren'; readonly path: string }
export type ReadOutcome = { readonly data: Buffer | null; readonly stat: Stat } | { readonly children: string[] } | ZooKeeperError

export interface ConnectOptions extends SessionOptions {
  /** How long the first connection may take before `connect` rejects; default: the session timeout. */
  readonly connectTimeoutMs?: number
}

type Data = Uint8Array | string | null
const bytesOf = (data: Data): Uint8Array | null => (typeof data === 'string' ? Buffer.from(data) : data)
const configPath = '/zookeeper/config'

export class ZooKeeperClient {
  readonly #session: Session
  readonly #host: Host

  private constructor(host: Host, session: Session) {
    this.#host = host
    this.#session = session
  }

  /**
   * Opens a session, or takes over the one of `options.session`. Rejects with SessionExpired when that is gone, with AuthFailed when
   * credentials are refused, with ConnectionLoss when no server answered in `connectTimeoutMs`.
   */
  static async connect(host: Host, options: ConnectOptions): Promise<ZooKeeperClient> {
    const session = new Session(host, options)
    const client = new ZooKeeperClient(host, session)
    const waitMs = options.connectTimeoutMs ?? options.sessionTimeoutMs
    await new Promise<void>((done, failed) => {
      const timer = host.timers.set(waitMs, () => {
        const reason = session.lostReason
        off()
        session.abandon()
        failed(new ZooKeeperError(errorCodes.connectionLoss, `no ZooKeeper of '${options.connect}' gave a session within ${waitMs} ms${reason ? ` (${reason})` : ''}. Is it running, and is the address right?`))
      })
      const off = session.onState((event) => {
        if (event === 'disconnected') return
        timer.cancel()
        off()
        if (event === 'connected' || event === 'readOnly') done()
        else if (event === 'expired') failed(new ZooKeeperError(errorCodes.sessionExpired, `the session to take over has expired or its password is another`))
        else failed(new ZooKeeperError(errorCodes.authFailed, `ZooKeeper refused the credentials`))
      })
    })
    return client
  }

  get state(): SessionState {
    return this.#session.state
  }
  get session(): { readonly id: bigint; readonly password: Buffer; readonly timeoutMs: number } {
    const { id, password, timeoutMs } = this.#session
    return { id, password, timeoutMs }
  }
  /** The server connected to. */
  get server(): ServerAddress | undefined {
    return this.#session.server
  }
  get chroot(): string {
    return this.#session.chroot
  }
  /** The last transaction this client has seen the effect of. */
  get lastZxid(): bigint {
    return this.#session.lastZxid
  }
  /** Paths watched, all kinds together. */
  get watchCount(): number {
    return this.#session.watches.size
  }
  onState(listener: (event: SessionEvent) => void): () => void {
    return this.#session.onState(listener)
  }
  /** Resolves when connected; rejects when the session has ended, or after `timeoutMs`. */
  async connected(timeoutMs = Infinity): Promise<void> {
    if (this.#session.live) return
    if (this.#session.ended) throw new ZooKeeperError(errorCodes.sessionExpired, `the session is ${this.#session.state}`)
    await new Promise<void>((done, failed) => {
      const timer = timeoutMs === Infinity ? undefined : this.#host.timers.set(timeoutMs, () => {
        off()
        failed(new ZooKeeperError(errorCodes.connectionLoss, `no connection to ZooKeeper within ${timeoutMs} ms (${this.#session.lostReason})`))
      })
      const off = this.#session.onState((event) => {
        if (event === 'disconnected') return
        off()
        timer?.cancel()
        if (event === 'connected' || event === 'readOnly') done()
        else failed(new ZooKeeperError(errorCodes.sessionExpired, `the session is ${event}`))
      })
    })
  }
  addAuth(scheme: string, auth: Uint8Array | string): Promise<void> {
    return this.#session.addAuth(scheme, typeof auth === 'string' ? Buffer.from(auth) : auth)
  }
  /** Ends the session: its ephemeral nodes go at once. Waits at most `waitMs` for the server to say so. */
  close(waitMs = 5_000): Promise<void> {
    return this.#session.close(waitMs)
  }
  /** Drops the connection and leaves the session to be taken over or to expire. */
  abandon(): void {
    this.#session.abandon()
  }

  /** Returns the path made, with its number if it is sequential. */
  async create(path: string, data: Data = null, options: CreateOptions = {}): Promise<string> {
    const { type, write } = this.#creation(path, data, options, false)
    // Servers answer container and TTL nodes with a Stat behind the path.
    return this.#ask(type, 'create', path, write, (reader) => this.#own(CreateResponse.read(reader).path))
  }
  async createWithStat(path: string, data: Data = null, options: CreateOptions = {}): Promise<{ path: string; stat: Stat }> {
    const { type, write } = this.#creation(path, data, options, true)
    return this.#ask(type, 'create', path, write, (reader) => {
      const made = Create2Response.read(reader)
      return { path: this.#own(made.path), stat: made.stat }
    })
  }
  #creation(path: string, data: Data, { mode = 'persistent', acl = openAcl, ttlMs }: CreateOptions, withStat: boolean): { type: number; write: (writer: Writer) => void } {
    const flags = flagsOf[mode]
    const full = this.#path(path, mode.includes('equential'))
    const request = { path: full, data: bytesOf(data), acl, flags }
    if (mode !== 'persistentTtl' && mode !== 'persistentSequentialTtl') {
      if (ttlMs !== undefined) throw new ZooKeeperError(errorCodes.badArguments, `create ${path}: a TTL is for the TTL modes, not for '${mode}'`, path)
      return { type: mode === 'container' ? op.createContainer : withStat ? op.create2 : op.create, write: (writer) => CreateRequest.write(writer, request) }
    }
    if (ttlMs === undefined || !Number.isInteger(ttlMs) || ttlMs < 1 || ttlMs > 0xff_ffff_ffff) {
      throw new ZooKeeperError(errorCodes.badArguments, `create ${path}: a TTL of ${ttlMs} ms; 1 to ${0xff_ffff_ffff} are possible`, path)
    }
    return { type: op.createTTL, write: (writer) => CreateTTLRequest.write(writer, { ...request, ttl: BigInt(ttlMs) }) }
  }

  /** Version −1 deletes whatever the version is. */
  async delete(path: string, version = -1): Promise<void> {
    const full = path === '/' ? '/' : this.#path(path)
    return this.#ask(op.delete, 'delete', path, (writer) => DeleteRequest.write(writer, { path: full, version }), () => undefined)
  }
  /** Deletes a node and everything below it, children first; what vanishes meanwhile is fine. Returns how many were there. */
  async deleteTree(path: string): Promise<number> {
    let deleted = 0
    const paths = [path]
    for (let index = 0; index < paths.length; index++) {
      const children = await this.listChildren(paths[index]).catch(ignoreNoNode<string[]>([]))
      for (const child of children) paths.push(paths[index] === '/' ? `/${child}` : `${paths[index]}/${child}`)
    }
    for (const each of paths.reverse()) {
      if (each === '/') continue
      await this.delete(each).then(() => deleted++, ignoreNoNode(0))
    }
    return deleted
  }
  /** The Stat, or undefined when there is no such node; a watch is set in both cases. */
  async exists(path: string, { watch }: Watching = {}): Promise<Stat | undefined> {
    const full = this.#path(path)
    return this.#ask(op.exists, 'exists', path, (writer) => ExistsRequest.write(writer, { path: full, watch: watch !== undefined }), (reader, code) => {
      if (watch) this.#session.watches.add(code === 0 ? 'data' : 'exists', full, watch)
      return code === 0 ? ExistsResponse.read(reader).stat : undefined
    }, errorCodes.noNode)
  }
  async getData(path: string, { watch }: Watching = {}): Promise<{ data: Buffer | null; stat: Stat }> {
    return this.#getData(path, this.#path(path), watch)
  }
  /** The ensemble's configuration; its path knows no chroot. */
  async getConfig({ watch }: Watching = {}): Promise<{ data: Buffer | null; stat: Stat }> {
    return this.#getData(configPath, configPath, watch)
  }
  #getData(path: string, full: string, watch: Watcher | undefined): Promise<{ data: Buffer | null; stat: Stat }> {
    return this.#ask(op.getData, 'getData', path, (writer) => GetDataRequest.write(writer, { path: full, watch: watch !== undefined }), (reader) => {
      if (watch) this.#session.watches.add('data', full, watch)
      return GetDataResponse.read(reader)
    })
  }
  async setData(path: string, data: Data, version = -1): Promise<Stat> {
    const full = this.#path(path)
    return this.#ask(op.setData, 'setData', path, (writer) => SetDataRequest.write(writer, { path: full, data: bytesOf(data), version }), (reader) => SetDataResponse.read(reader).stat)
  }
  async getChildren(path: string, { watch }: Watching = {}): Promise<{ children: string[]; stat: Stat }> {
    const full = this.#path(path)
    return this.#ask(op.getChildren2, 'getChildren', path, (writer) => GetChildren2Request.write(writer, { path: full, watch: watch !== undefined }), (reader) => {
      if (watch) this.#session.watches.add('child', full, watch)
      return GetChildren2Response.read(reader)
    })
  }
  async listChildren(path: string, { watch }: Watching = {}): Promise<string[]> {
    const full = this.#path(path)
    return this.#ask(op.getChildren, 'getChildren', path, (writer) => GetChildrenRequest.write(writer, { path: full, watch: watch !== undefined }), (reader) => {
      if (watch) this.#session.watches.add('child', full, watch)
      return GetChildrenResponse.read(reader).children
    })
  }
  async getAllChildrenNumber(path: string): Promise<number> {
    const full = this.#path(path)
    return this.#ask(op.getAllChildrenNumber, 'getAllChildrenNumber', path, (writer) => GetAllChildrenNumberRequest.write(writer, { path: full }), (reader) => GetAllChildrenNumberResponse.read(reader).totalNumber)
  }
  /** Paths of this session's ephemeral nodes that begin with `prefix`. */
  async getEphemerals(prefix = '/'): Promise<string[]> {
    const full = this.#path(prefix)
    return this.#ask(op.getEphemerals, 'getEphemerals', prefix, (writer) => GetEphemeralsRequest.write(writer, { prefixPath: full }), (reader) => GetEphemeralsResponse.read(reader).ephemerals.map((path) => this.#own(path)))
  }
  async getAcl(path: string): Promise<{ acl: Acl[]; stat: Stat }> {
    const full = this.#path(path)
    return this.#ask(op.getACL, 'getAcl', path, (writer) => GetACLRequest.write(writer, { path: full }), (reader) => {
      const { acl, stat } = GetACLResponse.read(reader)
      return { acl: acl ?? [], stat }
    })
  }
  /** `version` is that of the ACL (`aversion`); −1: any. */
  async setAcl(path: string, acl: readonly Acl[], version = -1): Promise<Stat> {
    const full = this.#path(path)
    return this.#ask(op.setACL, 'setAcl', path, (writer) => SetACLRequest.write(writer, { path: full, acl, version }), (reader) => SetACLResponse.read(reader).stat)
  }
  /** Resolves when this server has caught up with all that was committed before. */
  async sync(path: string): Promise<void> {
    const full = this.#path(path)
    return this.#ask(op.sync, 'sync', path, (writer) => SyncRequest.write(writer, { path: full }), (reader) => void SyncResponse.read(reader))
  }
  async whoAmI(): Promise<{ scheme: string; user: string }[]> {
    return this.#ask(op.whoAmI, 'whoAmI', undefined, () => {}, (reader) => WhoAmIResponse.read(reader).clientInfo.map(({ authScheme, user }) => ({ scheme: authScheme, user })))
  }
  /** Changes the ensemble; `version` is the configuration this is based on (its hexadecimal version), −1: any. Returns the new one. */
  async reconfig({ joining, leaving, members, version = -1n }: { joining?: string; leaving?: string; members?: string; version?: bigint }): Promise<{ data: Buffer | null; stat: Stat }> {
    const request = { joiningServers: joining ?? null, leavingServers: leaving ?? null, newMembers: members ?? null, curConfigId: version }
    return this.#ask(op.reconfig, 'reconfig', '', (writer) => ReconfigRequest.write(writer, request), (reader) => GetDataResponse.read(reader))
  }

  /** Watches a path (or with `persistentRecursive` all below it too) until removed, whatever happens there. */
  async addWatch(path: string, mode: 'persistent' | 'persistentRecursive', watch: Watcher): Promise<void> {
    const full = this.#path(path)
    const kind: WatchKind = mode
    return this.#ask(op.addWatch, 'addWatch', path, (writer) => AddWatchRequest.write(writer, { path: full, mode: addWatchMode[mode] }), () => this.#session.watches.add(kind, full, watch))
  }
  /**
   * Removes one watcher, or all, of a path. Throws NoWatcher when there is none. With `local` the watch goes here even when the server
   * cannot be told. Those removed are told with a `…WatchRemoved` event.
   */
  async removeWatches(path: string, type: RemovalType, { watcher, local = false }: { watcher?: Watcher; local?: boolean } = {}): Promise<void> {
    const full = this.#path(path)
    const { watches } = this.#session
    if (!watches.has(type, full, watcher)) throw refusal(errorCodes.noWatcher, 'removeWatches', path)
    // The server keeps one watch for all watchers of a path: it goes only with the last one, before that the server is asked to check.
    const shared = watcher !== undefined && watches.sharedWithOthers(type, full, watcher)
    const request = { path: full, type: removalTypes[type] }
    const settle = (): void => {
      for (const [each, event] of watches.remove(type, full, watcher)) this.#session.deliver([each], { type: event, path })
    }
    try {
      await this.#ask(shared ? op.checkWatches : op.removeWatches, 'removeWatches', path, (writer) => (shared ? CheckWatchesRequest : RemoveWatchesRequest).write(writer, request), () => settle())
    } catch (error) {
      if (!local || !isZooKeeperError(error)) throw error
      settle()
    }
  }

  /** All or nothing. Throws a MultiError that names the operation at fault. */
  async multi(operations: readonly MultiOp[]): Promise<MultiOutcome[]> {
    const requests = operations.map((operation) => this.#multiOperation(operation))
    return this.#ask(op.multi, 'multi', undefined, (writer) => writeMultiRequest(writer, requests), (reader) => {
      const results = readMultiResponse(reader)
      if (results.length !== operations.length) throw new MalformedError(`${results.length} results for ${operations.length} operations`, 0)
      const codes = results.map((result) => (result.type === op.error ? result.err : 0))
      // Those after the one at fault carry −2: the first other code tells.
      const index = Math.max(codes.findIndex((code) => code !== 0 && code !== errorCodes.runtimeInconsistency), 0)
      if (results.some((result) => result.type === op.error)) {
        const { op: failed, path } = operations[index]
        throw new MultiError(codes, index, `multi of ${operations.length}: operation ${index + 1} (${failed} ${path}): ${nameOf(codes[index])}`, path)
      }
      return results.map((result): MultiOutcome => {
        switch (result.type) {
          case op.create: return { op: 'create', path: this.#own(result.path) }
          case op.create2: return { op: 'create', path: this.#own(result.path), stat: result.stat }
          case op.setData: return { op: 'setData', stat: result.stat }
          case op.delete: return { op: 'delete' }
          default: return { op: 'check' }
        }
      })
    })
  }
  #multiOperation(operation: MultiOp): MultiOperation {
    const path = this.#path(operation.path, operation.op === 'create' && (operation.mode ?? '').includes('equential'))
    switch (operation.op) {
      case 'create': {
        const { mode = 'persistent', acl = openAcl, ttlMs, data = null } = operation
        const fields = { path, data: bytesOf(data) as Buffer | null, acl: [...acl], flags: flagsOf[mode] }
        if (ttlMs !== undefined) return { type: op.createTTL, ...fields, ttl: BigInt(ttlMs) }
        return { type: mode === 'container' ? op.createContainer : op.create, ...fields }
      }
      case 'setData': return { type: op.setData, path, data: bytesOf(operation.data) as Buffer | null, version: operation.version ?? -1 }
      case 'delete': return { type: op.delete, path, version: operation.version ?? -1 }
      case 'check': return { type: op.check, path, version: operation.version }
      default: return operation satisfies never
    }
  }
  /** Each result by itself: a value or the error of that read. */
  async multiRead(operations: readonly ReadOp[]): Promise<ReadOutcome[]> {
    const requests = operations.map(({ op: kind, path }): MultiOperation =>
      kind === 'getData' ? { type: op.getData, path: this.#path(path), watch: false } : { type: op.getChildren, path: this.#path(path), watch: false },
    )
    return this.#ask(op.multiRead, 'multiRead', undefined, (writer) => writeMultiRequest(writer, requests), (reader) =>
      readMultiResponse(reader).map((result, index): ReadOutcome => {
        if (result.type === op.getData) return { data: result.data, stat: result.stat }
        if (result.type === op.getChildren) return { children: result.children }
        return refusal(result.type === op.error ? result.err : errorCodes.systemError, operations[index]?.op ?? 'read', operations[index]?.path)
      }),
    )
  }

  #path(path: string, sequential = false): string {
    const fault = pathFault(path, sequential)
    if (fault !== undefined) throw new ZooKeeperError(errorCodes.badArguments, `Invalid path string "${path}" caused by ${fault}`, path)
    return withChroot(this.#session.chroot, path)
  }
  #own(path: string): string {
    return withoutChroot(this.#session.chroot, path)
  }
  #ask<T>(type: number, what: string, path: string | undefined, write: (writer: Writer) => void, read: (reader: Reader, code: number) => T, accepted?: number): Promise<T> {
    return new Promise((done, failed) => {
      this.#session.submit({
        op: type,
        what,
        path,
        write,
        failed,
        replied: (code, reader) => {
          if (code !== 0 && code !== accepted) return failed(refusal(code, what, path))
          try {
            done(read(reader, code))
          } catch (error) {
            // A refused multi is an answer like any other; bytes that make no sense end the connection.
            if (error instanceof MultiError) failed(error)
            else throw error
          }
        },
      })
    })
  }
}

function ignoreNoNode<T>(instead: T): (error: unknown) => T {
  return (error) => {
    if (isZooKeeperError(error, 'noNode')) return instead
    throw error
  }
}
export type { Acl, Credentials, RemovalType, SessionEvent, SessionState, Stat, Watcher }
export type { EventType, WatchEvent } from './watches.ts'
