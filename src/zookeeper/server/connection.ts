/**
 * One client's connection: four-letter word or handshake, then requests in order. A read is answered at once unless a write of the
 * same connection is still on its way; then it waits behind it, and the answers leave in the order of the requests.
 */
import type { Clock, Connection, Logger } from '../../host/host.ts'
import { MalformedError, Reader } from '../../wire/reader.ts'
import type { Writer } from '../../wire/writer.ts'
import { encodeConnectResponse, readConnectRequest, type ConnectRequestMessage } from '../protocol/connect.ts'
import { errorCode } from '../protocol/errors.ts'
import { eventType, keeperState, op, permission, xid as xids } from '../protocol/op-codes.ts'
import { AuthPacket, WatcherEvent, type Acl, type Id } from '../protocol/records.ts'
import { digestOf, isAllowed, isSameSecret } from '../znodes/acl.ts'
import { passwordOf, type Session, type Sessions } from '../znodes/sessions.ts'
import type { Transaction } from '../protocol/transactions.ts'
import type { Applied } from '../znodes/tree.ts'
import type { ZooKeeperConfig } from './config.ts'
import { FrameBuffer } from './frame-buffer.ts'
import { strangerOf } from './greeting.ts'
import { needsQuorum } from './read-only.ts'
import { reads, writeNames, type Asker, type Read, type ReadContext } from './reads.ts'
import { Latency, type Statistics } from './statistics.ts'
import { writeReply } from './write-replies.ts'
import type { WhenApplied, WritePath } from './write-path.ts'

/** What a connection needs of the server it belongs to. */
export interface ConnectionOwner {
  readonly clock: Clock
  readonly logger: Logger
  readonly config: ZooKeeperConfig
  readonly adminPort: number | undefined
  readonly sessions: Sessions
  readonly writes: WritePath
  /** Whether clients are served: a member of an ensemble without a leader serves nobody. */
  readonly isServing: boolean
  /** Whether it serves without a quorum, and therefore nothing but reads, and nobody who did not ask for that. */
  readonly isReadOnly: boolean
  readonly reading: ReadContext
  readonly statistics: Statistics
  /** Requests in progress on all connections, and their bytes. */
  readonly load: { requests: number; bytes: number }
  /** Whether reading has to wait until more has been answered. */
  readonly isOverloaded: boolean
  /** The answer to a word, or undefined where these four bytes are none. */
  fourLetterWord(word: string, argument: Buffer): Promise<string> | undefined
  /** Bytes that follow this word; 0 where it is none. */
  argumentSizeOf(word: string): number
  /** A writer for answers; the connection is flushed at the end of what is being done. */
  writerFor(connection: ClientConnection): Writer
  release(writer: Writer): void
  flush(): void
  /** It stopped reading because of `isOverloaded`: to be told when that is over. */
  throttled(connection: ClientConnection): void
  /** Its session is established: it replaces whoever had that session. */
  established(connection: ClientConnection): void
  /** A new session; `then` is called once it stands, at once where no other server has to know of it. */
  open(connection: ClientConnection, timeoutMs: number, then: (session: Session) => void): void
  /** The session that a client comes back to, touched, with this timeout; undefined where it is over; `unknown`: only a quorum could say. */
  reopen(sessionId: bigint, timeoutMs: number, then: (session: Session | 'unknown' | undefined) => void): void
  /** An error code for what this session may not ask, or what the leader must not be bothered with; undefined: submit it. */
  refusalOf(session: Session, type: number, body: Buffer): number | undefined
  closeOthers(sessionId: bigint, but: ClientConnection): void
  closed(connection: ClientConnection): void
  /** Its last byte is written: close the socket if the client does not. */
  ending(socket: Connection): void
  ended(socket: Connection): void
}

/** A request that is not answered yet. */
class Queued implements WhenApplied {
  readonly xid: number
  readonly type: number
  /** Bytes of the request. */
  readonly size: number
  readonly receivedAt: number
  /** Undefined: a write. */
  readonly read: Read | undefined
  /** Of a read: what is left of its request. Writes keep nothing of theirs alive that they do not need. */
  readonly reader: Reader | undefined
  readonly #connection: ClientConnection

  constructor(connection: ClientConnection, request: { xid: number; type: number; size: number; receivedAt: number; read?: Read; reader?: Reader }) {
    this.#connection = connection
    this.xid = request.xid
    this.type = request.type
    this.size = request.size
    this.receivedAt = request.receivedAt
    this.read = request.read
    this.reader = request.reader
  }
  applied(applied: Applied, { header }: Transaction): void {
    this.#connection.applied(this, applied, header.zxid)
  }
}
/** Before a request's body: xid:int32 type:int32. */
const requestHeadSize = 8

const noPassword = Buffer.alloc(16)
const zeroes = Buffer.alloc(0)
/** A client that does not read what it is sent is cut off here. */
const unsentMax = 256 * 1024 * 1024
/** Answers beyond this leave before more requests are looked at. */
const flushSize = 256 * 1024

export class ClientConnection implements Asker {
  readonly socket: Connection
  readonly since: number
  readonly latency = new Latency()
  ids: Id[]
  session: Session | undefined
  received = 0
  sent = 0
  lastOperation = 'NA'
  lastCxid = -1
  lastZxid = 0n
  lastResponseAt = 0
  lastLatency = 0
  #owner: ConnectionOwner
  #state: 'greeting' | 'connecting' | 'open' | 'closing' | 'closed' = 'greeting'
  #input = new FrameBuffer()
  #queue: Queued[] = []
  #queueAt = 0
  #writer: Writer | undefined
  #isSlow = false
  #isThrottled = false
  #now: number

  constructor(owner: ConnectionOwner, socket: Connection) {
    this.#owner = owner
    this.socket = socket
    this.since = owner.clock.now()
    this.#now = owner.clock.monotonic()
    this.ids = [{ scheme: 'ip', id: socket.remoteAddress }]
    socket.onData((chunk) => this.#received(chunk))
    socket.onDrain(() => this.#drained())
    socket.onClose(() => {
      this.#gone()
      owner.ended(socket)
    })
  }

  get sessionId(): bigint {
    return this.session?.id ?? 0n
  }
  get isOpen(): boolean {
    return this.#state === 'open' || this.#state === 'connecting'
  }
  get isGreeting(): boolean {
    return this.#state === 'greeting'
  }
  get outstanding(): number {
    return this.#queue.length - this.#queueAt
  }
  get unsent(): number {
    return this.#writer?.size ?? 0
  }
  /** Java's interest ops, as `cons` shows them: 1 reads, 4 has something to write. */
  get interest(): number {
    return (this.#isBlocked ? 0 : 1) | (this.socket.bufferedSize > 0 ? 4 : 0)
  }

  // ---- receiving

  get #isBlocked(): boolean {
    return this.#isSlow || this.#isThrottled || this.#state === 'connecting'
  }
  #received(chunk: Buffer): void {
    if (this.#state === 'closing' || this.#state === 'closed') return
    this.#owner.statistics.bytesReceived += chunk.length
    this.#input.push(chunk)
    this.#process()
    this.#owner.flush()
  }
  /** Takes what is complete, as long as nothing blocks. */
  #process(): void {
    this.#now = this.#owner.clock.monotonic()
    try {
      if (this.#state === 'greeting' && !this.#greet()) return
      while (this.#state === 'open' && !this.#isBlocked) {
        const size = this.#input.peekInt32()
        if (size === undefined) return
        if (size < 0 || size > this.#owner.config.requestSizeMax) return this.#refuseSize(size)
        if (this.#input.size < 4 + size) return
        this.#request(this.#input.int32())
        if (this.#writer && this.#writer.size > flushSize) this.flush()
      }
    } catch (error) {
      if (error instanceof MalformedError) {
        this.#owner.statistics.malformed++
        this.#owner.logger.warn('a malformed request; the connection is closed', { address: this.#address, cause: error })
      } else this.#owner.logger.error('a request met a bug of the server; the connection is closed', { address: this.#address, cause: error, stack: (error as Error).stack })
      this.destroy()
    }
  }
  get #address(): string {
    return `${this.socket.remoteAddress}:${this.socket.remotePort}`
  }
  #refuseSize(size: number): void {
    this.#owner.statistics.malformed++
    this.#owner.logger.warn('a request of impossible size; the connection is closed', {
      address: this.#address, size, largest: this.#owner.config.requestSizeMax, session: this.session && hex(this.session.id),
      advice: size > 0 ? 'if it was meant, raise jute.maxbuffer here and in the client' : undefined,
    })
    this.destroy()
  }

  /** A four-letter word, a handshake or somebody lost. False: wait for more bytes, or it is over. */
  #greet(): boolean {
    const head = this.#input.peek(4)
    if (!head) return false
    const word = head.toString('latin1')
    const whole = this.#input.peek(4 + this.#owner.argumentSizeOf(word))
    if (!whole) return false
    const answer = this.#owner.fourLetterWord(word, whole.subarray(4))
    if (answer !== undefined) {
      this.#input.clear()
      this.#state = 'closing'
      void this.#say(answer)
      return false
    }
    if (!this.#owner.isServing) {
      this.destroy()
      return false
    }
    const size = head.readInt32BE(0)
    const isPossible = size >= 0 && size <= this.#owner.config.requestSizeMax
    // Of a possible frame four more bytes are needed to tell Kafka's from ours.
    if (isPossible && this.#input.size < 8) return false
    const stranger = strangerOf(this.#input.peek(Math.min(8, this.#input.size)) as Buffer, this.#owner.adminPort)
    if (stranger) {
      this.#owner.logger.warn('not a ZooKeeper client; the connection is closed', { address: this.#address, found: stranger.what })
      this.#input.clear()
      this.#state = 'closing'
      if (stranger.answer !== undefined) this.socket.write([Buffer.from(stranger.answer)])
      this.#end()
      return false
    }
    if (!isPossible) {
      this.#refuseSize(size)
      return false
    }
    if (this.#input.size < 4 + size) return false
    this.#input.take(4)
    this.#connect(readConnectRequest(new Reader(this.#input.take(size) as Buffer)))
    return this.#stateIsOpen
  }
  get #stateIsOpen(): boolean {
    return this.#state === 'open'
  }
  async #say(answer: Promise<string>): Promise<void> {
    let text: string
    try {
      text = await answer
    } catch (cause) {
      this.#owner.logger.error('a four-letter word failed', { cause })
      text = ''
    }
    if (text !== '') this.socket.write([Buffer.from(text)])
    this.#end()
  }

  // ---- handshake

  #connect(request: ConnectRequestMessage): void {
    const { config, statistics, logger } = this.#owner
    statistics.connectionRequests++
    if (this.#owner.isReadOnly && !request.readOnly) {
      logger.info('a client that wants to write is sent away: this server has no quorum and serves reads alone', { address: this.#address })
      this.destroy()
      return
    }
    const { lastProcessedZxid } = this.#owner.reading.tree
    if (request.lastZxidSeen > lastProcessedZxid) {
      logger.warn('a client has seen later transactions than this server; it has to try another one', {
        address: this.#address, seen: hex(request.lastZxidSeen), here: hex(lastProcessedZxid),
      })
      this.destroy()
      return
    }
    const timeoutMs = Math.min(Math.max(request.timeOut, config.minSessionTimeout), config.maxSessionTimeout)
    if (request.sessionId !== 0n) {
      statistics.revalidations++
      const isProved = request.passwd !== null && request.passwd.equals(passwordOf(request.sessionId))
      if (!isProved) return this.#refuseSession(request)
      this.#state = 'connecting'
      let isLater = false
      this.#owner.reopen(request.sessionId, timeoutMs, (session) => {
        if (this.#state !== 'connecting') return
        if (session === 'unknown') return this.destroy()
        if (!session) return this.#refuseSession(request)
        this.#owner.closeOthers(request.sessionId, this)
        this.#establish(session, request)
        if (!isLater) return
        this.#process()
        this.#owner.flush()
      })
      isLater = true
      return
    }
    this.#state = 'connecting'
    let isLater = false
    this.#owner.open(this, timeoutMs, (session) => {
      if (this.#state !== 'connecting') return
      this.#establish(session, request)
      if (isLater) this.#process()
    })
    isLater = true
  }
  #establish(session: Session, request: ConnectRequestMessage): void {
    this.session = session
    this.#state = 'open'
    this.lastOperation = 'SESS'
    this.#owner.established(this)
    this.#sendRaw(encodeConnectResponse({
      protocolVersion: 0, timeOut: session.timeoutMs, sessionId: session.id, passwd: passwordOf(session.id), readOnly: request.readOnly === undefined ? undefined : this.#owner.isReadOnly,
    }))
  }
  /** The client takes a timeout of zero for: your session has expired. */
  #refuseSession(request: ConnectRequestMessage): void {
    this.#owner.statistics.staleSessionsExpired++
    this.#sendRaw(encodeConnectResponse({ protocolVersion: 0, timeOut: 0, sessionId: 0n, passwd: noPassword, readOnly: request.readOnly === undefined ? undefined : false }))
    this.finish()
  }

  // ---- requests

  /** Takes a request of `size` bytes, which are there. */
  #request(size: number): void {
    const owner = this.#owner
    if (size < requestHeadSize) throw new MalformedError(`a request of ${size} bytes`, 0)
    const asked = this.#input.int32()
    const type = this.#input.int32()
    const body = this.#input.take(size - requestHeadSize) as Buffer
    // A ping is answered as a ping whatever number it came with.
    const xid = type === op.ping ? xids.ping : asked
    owner.statistics.received++
    this.received++
    if (type === op.auth) return this.#authenticate(xid, new Reader(body))
    if (type === op.sasl) {
      owner.statistics.authFailed++
      owner.logger.warn('a client wants to authenticate by SASL, which is not available yet', { address: this.#address })
      this.#reply(xid, 0n, errorCode.authFailed)
      return this.finish()
    }
    const session = this.session as Session
    const { enforcedSchemes } = owner.config
    if (enforcedSchemes && !this.ids.some(({ scheme }) => enforcedSchemes.includes(scheme))) {
      this.#reply(xid, 0n, errorCode.sessionClosedRequireSaslAuth)
      return this.finish()
    }
    // Whose session is ending is not answered any more.
    if (!owner.sessions.touch(session, this.#now)) return
    if (owner.isReadOnly && needsQuorum.has(type)) return this.#refuse(xid, type, errorCode.notReadOnly, size)
    if (type === op.sync && owner.writes.sync && this.#sync(xid, body)) return
    const read = reads.get(type)
    if (read) {
      this.lastOperation = read.name
      return this.#read(xid, type, size, read.read, new Reader(body))
    }
    const name = writeNames.get(type)
    if (name === undefined) {
      // A check outside a multi, a deletion of a container, which servers alone may ask for, or a number without a meaning.
      this.#read(xid, -1, size, () => errorCode.unimplemented, new Reader(zeroes))
      if (this.#state === 'open') this.#state = 'closing'
      return
    }
    this.lastOperation = name
    const asksFor = type === op.closeSession ? zeroes : body
    const refusal = owner.refusalOf(session, type, asksFor)
    if (refusal !== undefined) return this.#refuse(xid, type, refusal, size)
    if (type === op.closeSession && session.isLocal) return this.#closeLocal(xid, session, size)
    const queued = new Queued(this, { xid, type, size, receivedAt: this.#now })
    this.#enqueue(queued)
    owner.writes.submit({ sessionId: session.id, cxid: xid, type, body: asksFor, ids: this.ids }, queued)
    if (type === op.closeSession) session.closing = true
  }
  /** Answers at once, or behind the writes that are on their way. */
  #read(xid: number, type: number, size: number, read: Read, reader: Reader): void {
    if (this.#queueAt === this.#queue.length) this.#answerRead(xid, type, read, reader, this.#now, this.#now)
    else this.#enqueue(new Queued(this, { xid, type, size, receivedAt: this.#now, read, reader }))
  }
  /** Says no, in its turn. */
  #refuse(xid: number, type: number, code: number, size: number): void {
    this.#read(xid, type, size, () => code, new Reader(zeroes))
  }
  /** Ends behind what it still waits for; no other server has to know. */
  #closeLocal(xid: number, session: Session, size: number): void {
    session.closing = true
    this.#refuse(xid, op.closeSession, 0, size)
  }
  /** Asks the leader, and answers in its turn what it was asked. False: it cannot be read, which the answer has to say. */
  #sync(xid: number, body: Buffer): boolean {
    const { writes } = this.#owner
    if (writes.refusalOf?.(op.sync, body) !== undefined) return false
    const reader = new Reader(body)
    const queued = new Queued(this, { xid, type: op.sync, size: body.length + requestHeadSize, receivedAt: this.#now })
    this.lastOperation = 'SYNC'
    this.#enqueue(queued)
    writes.sync?.({ sessionId: this.sessionId, cxid: xid, type: op.sync, body, ids: this.ids }, () => {
      if (this.#state === 'closed') return
      this.#dequeue()
      const now = this.#owner.clock.monotonic()
      this.#answerRead(xid, op.sync, reads.get(op.sync)?.read as Read, reader, queued.receivedAt, now)
      this.#answerReads(now)
      this.#owner.flush()
    })
    return true
  }
  #enqueue(queued: Queued): void {
    const { load } = this.#owner
    this.#queue.push(queued)
    load.requests++
    load.bytes += queued.size
    if (!this.#owner.isOverloaded) return
    this.#isThrottled = true
    this.#owner.statistics.throttleWaits++
    this.socket.pause()
    this.#owner.throttled(this)
  }
  #dequeue(): Queued {
    const { load } = this.#owner
    const queued = this.#queue[this.#queueAt++]
    load.requests--
    load.bytes -= queued.size
    if (this.#queueAt === this.#queue.length) {
      this.#queue = []
      this.#queueAt = 0
    }
    return queued
  }
  /** A write of ours has been applied: it is the head of the queue, and reads behind it may now be answered. */
  applied(queued: { readonly xid: number; readonly type: number; readonly receivedAt: number }, applied: Applied, zxid: bigint): void {
    if (queued.type === op.closeSession) this.#owner.sessions.remove(this.sessionId)
    if (this.#state === 'closed') return
    // It has gone to another server with its session: nothing is said on this connection any more.
    if (applied.err === errorCode.sessionMoved) return this.destroy()
    this.#dequeue()
    const now = this.#owner.clock.monotonic()
    const writer = (this.#writer ??= this.#owner.writerFor(this))
    const at = this.#beginReply(writer, queued.xid, zxid)
    this.#endReply(writer, at, writeReply(writer, applied))
    this.#answered(queued.xid, zxid, now - queued.receivedAt, now)
    this.#owner.statistics.updateLatency.add(now - queued.receivedAt)
    if (queued.type === op.closeSession) return this.finish()
    this.#answerReads(now)
  }
  #answerReads(now: number): void {
    while (this.#queueAt < this.#queue.length && this.#queue[this.#queueAt].read) {
      const next = this.#dequeue()
      this.#answerRead(next.xid, next.type, next.read as Read, next.reader as Reader, next.receivedAt, now)
    }
  }
  #answerRead(xid: number, type: number, read: Read, reader: Reader, receivedAt: number, now: number): void {
    const { reading, statistics } = this.#owner
    // An unknown operation is answered with zxid −1, and ends the connection.
    const zxid = type === -1 ? -1n : reading.tree.lastProcessedZxid
    const run = (writer: Writer): number => {
      try {
        return read(reading, this, reader, writer)
      } catch (error) {
        if (error instanceof MalformedError) return errorCode.marshallingError
        throw error
      }
    }
    // Past events stand before the answer: they must be written before it is begun. It has no body.
    const isEventful = type === op.setWatches || type === op.setWatches2
    this.#answer(xid, zxid, receivedAt, now, isEventful ? run((this.#writer ??= this.#owner.writerFor(this))) : run)
    statistics.readLatency.add(now - receivedAt)
    if (type === op.closeSession) this.#owner.sessions.remove(this.sessionId)
    if (type === -1 || type === op.closeSession) this.finish()
  }
  #answer(xid: number, zxid: bigint, receivedAt: number, now: number, body: number | ((writer: Writer) => number)): void {
    this.#reply(xid, zxid, body)
    this.#answered(xid, zxid, now - receivedAt, now)
  }
  #answered(xid: number, zxid: bigint, ms: number, now: number): void {
    this.#owner.statistics.latency.add(ms)
    this.latency.add(ms)
    this.lastLatency = ms
    this.lastResponseAt = now
    if (xid !== xids.ping) this.lastCxid = xid
    this.lastZxid = zxid
  }
  #reply(xid: number, zxid: bigint, body: number | ((writer: Writer) => number)): void {
    const writer = (this.#writer ??= this.#owner.writerFor(this))
    const at = this.#beginReply(writer, xid, zxid)
    this.#endReply(writer, at, typeof body === 'number' ? body : body(writer))
  }
  /** Answers with where the reply begins, for its end. */
  #beginReply(writer: Writer, xid: number, zxid: bigint): number {
    const at = writer.size
    writer.int32(0)
    writer.int32(xid)
    writer.bigint64(zxid)
    writer.int32(0)
    return at
  }
  #endReply(writer: Writer, at: number, err: number): void {
    if (err !== 0) writer.patchInt32(at + 16, err)
    const size = writer.size - at - 4
    writer.patchInt32(at, size)
    this.sent++
    this.#owner.statistics.sent++
    this.#owner.statistics.responseSize.add(size)
  }
  #sendRaw(message: Buffer): void {
    const writer = (this.#writer ??= this.#owner.writerFor(this))
    writer.int32(message.length)
    writer.raw(message)
    this.sent++
    this.#owner.statistics.sent++
  }

  #authenticate(xid: number, reader: Reader): void {
    const { scheme, auth } = AuthPacket.read(reader)
    const text = auth?.toString('utf8') ?? ''
    // Apache takes any text for a digest, an empty one too; the C client's tests send it.
    if (scheme === 'digest') {
      const id = digestOf(text)
      const { superDigest } = this.#owner.config
      if (superDigest !== '' && isSameSecret(id, superDigest)) this.#addId({ scheme: 'super', id: '' })
      this.#addId({ scheme: 'digest', id })
    } else if (scheme !== 'ip') {
      this.#owner.statistics.authFailed++
      this.#owner.logger.warn('authentication failed; the connection is closed', { address: this.#address, scheme, found: 'a scheme this server does not have' })
      this.#reply(xid, 0n, errorCode.authFailed)
      return this.finish()
    }
    this.#reply(xid, 0n, 0)
  }
  #addId(id: Id): void {
    // A new list: writes that are on their way keep the one they came with.
    if (!this.ids.some((known) => known.scheme === id.scheme && known.id === id.id)) this.ids = [...this.ids, id]
  }

  // ---- watches

  notify(type: number, path: string, zxid: bigint, acl: readonly Acl[]): void {
    const { reading } = this.#owner
    if (!reading.skipACL && !isAllowed(acl, permission.read, this.ids, reading.schemes)) return
    this.sendEvent(type, path, zxid)
  }
  sendEvent(type: number, path: string, zxid: bigint): void {
    if (this.#state !== 'open') return
    const { watchEvents } = this.#owner.statistics
    if (type === eventType.nodeCreated) watchEvents.created++
    else if (type === eventType.nodeDeleted) watchEvents.deleted++
    else if (type === eventType.nodeDataChanged) watchEvents.changed++
    else watchEvents.children++
    this.#reply(xids.notification, zxid, (writer) => {
      WatcherEvent.write(writer, { type, state: keeperState.syncConnected, path })
      return 0
    })
  }

  // ---- sending

  /** Sends what has been written. */
  flush(): void {
    const writer = this.#writer
    if (!writer) return
    this.#writer = undefined
    this.#owner.statistics.responseBytes += writer.size
    const pieces = writer.finish()
    this.#owner.release(writer)
    if (this.#state === 'closed' || pieces.length === 0) return
    if (!this.socket.write(pieces) && !this.#isSlow) {
      this.#isSlow = true
      this.socket.pause()
    }
    if (this.socket.bufferedSize > unsentMax) {
      this.#owner.logger.warn('a client does not read what it is sent; the connection is closed', { address: this.#address, unsent: this.socket.bufferedSize })
      this.destroy()
    }
  }
  #drained(): void {
    if (!this.#isSlow) return
    this.#isSlow = false
    this.#resume()
  }
  /** The server has worked off enough. */
  relieved(): void {
    if (!this.#isThrottled) return
    this.#isThrottled = false
    this.#resume()
  }
  #resume(): void {
    if (this.#isSlow || this.#isThrottled || this.#state === 'closed') return
    this.socket.resume()
    this.#process()
    this.#owner.flush()
  }

  // ---- ending

  /** Sends what has been written, then closes. */
  finish(): void {
    if (this.#state === 'closed') return
    this.flush()
    this.#end()
    this.#gone()
  }
  #end(): void {
    this.#owner.ending(this.socket)
    this.socket.end()
  }
  destroy(): void {
    if (this.#state === 'closed') return
    this.socket.destroy()
    this.#gone()
  }
  #gone(): void {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    const { load } = this.#owner
    while (this.#queueAt < this.#queue.length) {
      load.requests--
      load.bytes -= this.#queue[this.#queueAt++].size
    }
    this.#queue = []
    this.#queueAt = 0
    this.#input.clear()
    if (this.#writer) {
      this.#writer.finish()
      this.#owner.release(this.#writer)
      this.#writer = undefined
    }
    this.#owner.closed(this)
  }
}

export function hex(id: bigint): string {
  return `0x${BigInt.asUintN(64, id).toString(16)}`
}
