/** Writes at a follower or an observer: passed on to the leader as they came, answered when their transaction is applied here. */
import { writeInt32, writeInt64 } from '../../wire/int64.ts'
import { MalformedError, Reader } from '../../wire/reader.ts'
import { errorCode } from '../protocol/errors.ts'
import { readMultiRequest } from '../protocol/multi.ts'
import { op } from '../protocol/op-codes.ts'
import { packetType } from '../protocol/quorum.ts'
import { CheckVersionRequest, CreateTTLRequest, ReconfigRequest, SetACLRequest, SyncRequest, type Id } from '../protocol/records.ts'
import type { Transaction } from '../protocol/transactions.ts'
import type { FollowingDoor } from '../zab/replica.ts'
import type { WriteRequest } from '../znodes/prepare.ts'
import type { Sessions } from '../znodes/sessions.ts'
import type { Applied } from '../znodes/tree.ts'
import type { WhenApplied, WritePath } from './write-path.ts'

interface Waiting {
  readonly cxid: number
  readonly whenApplied: WhenApplied | undefined
}

const decoders: ReadonlyMap<number, (reader: Reader) => unknown> = new Map<number, (reader: Reader) => unknown>([
  ...[op.create, op.create2, op.createContainer].map((type) => [type, (reader: Reader) => walkOver(reader, 'path data acl int32')] as const),
  [op.createTTL, (reader) => CreateTTLRequest.read(reader)],
  [op.delete, (reader) => walkOver(reader, 'path int32')],
  [op.setData, (reader) => walkOver(reader, 'path data int32')],
  [op.setACL, (reader) => SetACLRequest.read(reader)],
  [op.check, (reader) => CheckVersionRequest.read(reader)],
  [op.multi, readMultiRequest],
  [op.reconfig, (reader) => ReconfigRequest.read(reader)],
  [op.sync, (reader) => SyncRequest.read(reader)],
])

/** Fails where reading the record would fail, without making anything of it: what is asked most goes on to the leader as it came. */
function walkOver(reader: Reader, fields: 'path data acl int32' | 'path data int32' | 'path int32'): void {
  skipSized(reader)
  if (fields !== 'path int32') skipSized(reader)
  if (fields === 'path data acl int32') {
    const count = reader.int32()
    if (count < -1) throw reader.malformed(`a list of ${count} entries`)
    if (count > 0) reader.claim(count, 12)
    for (let left = count; left > 0; left--) {
      reader.skip(4)
      skipSized(reader)
      skipSized(reader)
    }
  }
  reader.skip(4)
}
/** A string or bytes; −1 stands for null. */
function skipSized(reader: Reader): void {
  const size = reader.int32()
  if (size < -1) throw reader.malformed(`a length of ${size}`)
  if (size > 0) reader.skip(size)
}

export class LearnerWrites implements WritePath {
  readonly #following: FollowingDoor
  /** By session: what this server's clients wait for, in order. */
  readonly #waiting = new Map<bigint, Waiting[]>()
  #syncs: (() => void)[] = []
  readonly #revalidating = new Map<bigint, ((isValid: boolean) => void)[]>()
  #outstanding = 0

  constructor(following: FollowingDoor, sessions: Sessions) {
    this.#following = following
    following.takeSessions = () => sessionTable(sessions)
    following.onSynced = () => this.#syncs.shift()?.()
    following.onRevalidated = (id, isValid) => {
      const asked = this.#revalidating.get(id)
      const then = asked?.shift()
      if (asked?.length === 0) this.#revalidating.delete(id)
      then?.(isValid)
    }
  }

  get outstanding(): number {
    return this.#outstanding
  }
  drained(): Promise<void> {
    return Promise.resolve()
  }
  /** Leaders up to 3.9.5 stop committing for good when a body cannot be read (§8 trap 22). */
  refusalOf(type: number, body: Buffer): number | undefined {
    try {
      decoders.get(type)?.(new Reader(body))
      return undefined
    } catch (error) {
      if (error instanceof MalformedError || error instanceof RangeError) return errorCode.marshallingError
      throw error
    }
  }
  submit(request: WriteRequest, whenApplied?: WhenApplied): void {
    const { sessionId, cxid } = request
    const waiting = this.#waiting.get(sessionId)
    if (waiting) waiting.push({ cxid, whenApplied })
    else this.#waiting.set(sessionId, [{ cxid, whenApplied }])
    this.#outstanding++
    this.#send(request)
  }
  sync(request: WriteRequest, then: () => void): void {
    this.#syncs.push(then)
    this.#send(request)
  }
  #send({ sessionId, cxid, type, body, ids }: WriteRequest): void {
    const data = Buffer.allocUnsafe(16 + body.length)
    writeInt64(data, 0, sessionId)
    writeInt32(data, 8, cxid)
    writeInt32(data, 12, type)
    data.set(body, 16)
    this.#following.send({ type: packetType.request, zxid: -1n, data, authinfo: type === op.createSession ? null : (ids as Id[]) })
  }
  /** Whether the leader knows the session, which is this server's from then on. */
  revalidate(sessionId: bigint, timeoutMs: number, then: (isValid: boolean) => void): void {
    const asked = this.#revalidating.get(sessionId)
    if (asked) asked.push(then)
    else this.#revalidating.set(sessionId, [then])
    const data = Buffer.alloc(12)
    data.writeBigInt64BE(sessionId)
    data.writeInt32BE(timeoutMs, 8)
    this.#following.send({ type: packetType.revalidate, zxid: -1n, data, authinfo: null })
  }

  /** A transaction has been applied: whose was it? */
  applied(applied: Applied, transaction: Transaction): void {
    const { clientId, cxid } = transaction.header
    const waiting = this.#waiting.get(clientId)
    // Transactions of a session may also come from the server where it was before.
    if (waiting?.[0]?.cxid !== cxid) return
    const { whenApplied } = waiting.shift() as Waiting
    this.#outstanding--
    if (waiting.length === 0) this.#waiting.delete(clientId)
    whenApplied?.applied(applied, transaction)
  }
}

/** Sessions heard of since the last ping: `{ sessionId:int64 timeoutMs:int32 }`. */
function sessionTable(sessions: Sessions): Buffer {
  const touched = sessions.takeTouched()
  const table = Buffer.allocUnsafe(touched.size * 12)
  let at = 0
  for (const [id, timeoutMs] of touched) {
    table.writeBigInt64BE(id, at)
    at = table.writeInt32BE(timeoutMs, at + 8)
  }
  return table
}
