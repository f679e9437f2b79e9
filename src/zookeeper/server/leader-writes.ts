/** Writes at a leader: its own clients' and its learners'. Each becomes one transaction, whatever becomes of it. */
import type { Clock } from '../../host/host.ts'
import { readInt32, readInt64 } from '../../wire/int64.ts'
import { Writer } from '../../wire/writer.ts'
import { errorCode } from '../protocol/errors.ts'
import { op } from '../protocol/op-codes.ts'
import { packetType, type QuorumPacket } from '../protocol/quorum.ts'
import { encodeTransaction, type Transaction } from '../protocol/transactions.ts'
import type { LeadingDoor } from '../zab/replica.ts'
import { createsEphemeral, originOf } from './local-sessions.ts'
import { packetOf } from '../zab/learner.ts'
import type { Preparation, WriteRequest } from '../znodes/prepare.ts'
import type { Sessions } from '../znodes/sessions.ts'
import type { WhenApplied, WritePath } from './write-path.ts'

/** Owner of the sessions of this server's own clients; learners' keys begin at 1. */
export const ownClients = 0

export class LeaderWrites implements WritePath {
  readonly #clock: Clock
  readonly #sessions: Sessions
  readonly #preparation: Preparation
  readonly #leading: LeadingDoor
  readonly #append: (transaction: Transaction, bytes: Buffer, whenApplied: WhenApplied | undefined) => void
  readonly #onMoved: (sessionId: bigint) => void
  /** This server's number where sessions may be local; undefined: every session is known here. */
  readonly #localSessionsOf: number | undefined
  readonly #onProposed: ((size: number) => void) | undefined
  readonly #writer = new Writer(16_384)
  #isOver = false

  /** `append`: to the log and to what waits to be applied. `onMoved`: a session has gone to a learner. */
  constructor(facts: {
    clock: Clock; sessions: Sessions; preparation: Preparation; leading: LeadingDoor
    append: (transaction: Transaction, bytes: Buffer, whenApplied: WhenApplied | undefined) => void; onMoved: (sessionId: bigint) => void
    localSessionsOf?: number
    onProposed?: (size: number) => void
  }) {
    this.#clock = facts.clock
    this.#sessions = facts.sessions
    this.#preparation = facts.preparation
    this.#leading = facts.leading
    this.#append = facts.append
    this.#onMoved = facts.onMoved
    this.#localSessionsOf = facts.localSessionsOf
    this.#onProposed = facts.onProposed
    facts.leading.onRequest = (learner, packet) => this.#request(learner, packet)
    facts.leading.onRevalidate = (learner, packet) => this.#revalidate(learner, packet)
    facts.leading.onAlive = (_learner, table) => this.#alive(table)
  }

  get outstanding(): number {
    return this.#preparation.outstanding
  }
  appliedUpTo(zxid: bigint): void {
    this.#preparation.appliedUpTo(zxid)
  }
  /** What is on its way is decided by the next leader; whoever waits for an answer has lost the connection. */
  end(): void {
    this.#isOver = true
  }
  drained(): Promise<void> {
    return Promise.resolve()
  }

  submit(request: WriteRequest, whenApplied?: WhenApplied): void {
    const { sessionId, type } = request
    const session = this.#sessions.get(sessionId)
    if (session && type === op.createSession) session.owner = ownClients
    const isMoved = session?.owner !== undefined && session.owner !== ownClients && type !== op.closeSession
    this.#propose(isMoved ? { ...request, refusal: errorCode.sessionMoved } : request, whenApplied)
  }
  #propose(request: WriteRequest, whenApplied?: WhenApplied): void {
    if (this.#isOver || !this.#leading.isLeading) return
    const transaction = this.#preparation.prepare(request, this.#clock.now())
    const bytes = encodeTransaction(transaction, this.#writer)
    this.#onProposed?.(bytes.length)
    this.#append(transaction, bytes, whenApplied)
    this.#leading.propose({ zxid: transaction.header.zxid, bytes })
  }

  // ---- learners

  #request(learner: number, { data, authinfo }: QuorumPacket): void {
    // Nothing can be answered, as nothing says to whom; a learner that sends this is no ZooKeeper server.
    if (!data || data.length < 16) return
    const sessionId = readInt64(data, 0)
    const cxid = readInt32(data, 8)
    const type = readInt32(data, 12)
    if (type === op.sync) return this.#leading.sync(learner)
    const request: WriteRequest = { sessionId, cxid, type, body: data.subarray(16), ids: authinfo ?? [] }
    const refusal = this.#refusalOf(learner, request)
    this.#propose(refusal === undefined ? request : { ...request, refusal })
  }
  #refusalOf(learner: number, { sessionId, type, body }: WriteRequest): number | undefined {
    const now = this.#clock.monotonic()
    if (type === op.createSession) {
      if (body.length < 4) return errorCode.marshallingError
      this.#sessions.add(sessionId, body.readInt32BE(0), now).owner = learner
      return undefined
    }
    const session = this.#sessions.get(sessionId)
    if (type === op.closeSession) {
      if (session) session.closing = true
      return undefined
    }
    // Apache's followers pass on what any client may send; only a server may ask for this, and only its own.
    if (type === op.deleteContainer) return errorCode.unimplemented
    if (!session && this.#isLocalElsewhere(sessionId)) return createsEphemeral(type, body) ? errorCode.sessionExpired : undefined
    if (!session || session.closing) return errorCode.sessionExpired
    if (session.owner !== undefined && session.owner !== learner) return errorCode.sessionMoved
    session.owner = learner
    this.#sessions.touch(session, now)
    return undefined
  }
  /** A learner's local session: it vouches for that. One of this server's own would be known here. */
  #isLocalElsewhere(sessionId: bigint): boolean {
    return this.#localSessionsOf !== undefined && originOf(sessionId) !== this.#localSessionsOf
  }
  #revalidate(learner: number, { data }: QuorumPacket): void {
    if (!data || data.length < 12) return
    const sessionId = data.readBigInt64BE(0)
    const session = this.#sessions.get(sessionId)
    let isValid = false
    if (session && !session.closing && !session.isLocal) {
      session.timeoutMs = data.readInt32BE(8)
      isValid = this.#sessions.touch(session, this.#clock.monotonic())
      if (isValid) {
        session.owner = learner
        this.#onMoved(sessionId)
      }
    }
    const answer = Buffer.alloc(9)
    answer.writeBigInt64BE(sessionId)
    answer[8] = isValid ? 1 : 0
    this.#leading.send(learner, packetOf(packetType.revalidate, -1n, answer))
  }
  #alive(table: Buffer): void {
    const now = this.#clock.monotonic()
    for (let at = 0; at + 12 <= table.length; at += 12) {
      const session = this.#sessions.get(table.readBigInt64BE(at))
      if (session) this.#sessions.touch(session, now)
    }
  }
}
