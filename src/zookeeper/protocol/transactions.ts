/**
 * Transactions, as they stand in logs and in proposals (reference §3.2):
 *
 *     entry  := TxnHeader(32) body [TxnDigest(12)]
 *     header := clientId:int64 cxid:int32 zxid:int64 time:int64 type:int32
 */
import { record, type Message } from '../../wire/codec.ts'
import type { Reader } from '../../wire/reader.ts'
import { array, bigint64, bool, bytes, int32, int64, string, struct, view } from '../../wire/schema.ts'
import { Reader as BytesReader } from '../../wire/reader.ts'
import { Writer } from '../../wire/writer.ts'
import { readAcls, writeAcls } from './open-acl.ts'
import { op } from './op-codes.ts'
import { PathAndData } from './records.ts'

const acls = array({ perms: int32, id: struct({ scheme: string, id: string }) }).orNull()
/** A window on the entry: the tree makes its own copy. */
const data = view.orNull()

export const TxnHeader = record('TxnHeader', { clientId: bigint64, cxid: int32, zxid: bigint64, time: int64, type: int32 })
export type TxnHeader = Message<typeof TxnHeader>
/** Digest of the whole tree after the transaction; version 2 is the one of 3.6 and later. */
export const TxnDigest = record('TxnDigest', { version: int32, treeDigest: bigint64 })
export type TxnDigest = Message<typeof TxnDigest>

export const CreateTxn = record('CreateTxn', { path: string, data, acl: acls, ephemeral: bool, parentCVersion: int32 })
export const CreateTTLTxn = record('CreateTTLTxn', { path: string, data, acl: acls, parentCVersion: int32, ttl: bigint64 })
export const CreateContainerTxn = record('CreateContainerTxn', { path: string, data, acl: acls, parentCVersion: int32 })
export const DeleteTxn = record('DeleteTxn', { path: string })
export const SetDataTxn = record('SetDataTxn', { path: string, data, version: int32 })
export const CheckVersionTxn = record('CheckVersionTxn', { path: string, version: int32 })
export const SetACLTxn = record('SetACLTxn', { path: string, acl: acls, version: int32 })
export const CreateSessionTxn = record('CreateSessionTxn', { timeOut: int32 })
export const CloseSessionTxn = record('CloseSessionTxn', { paths2Delete: array(string) })
export const ErrorTxn = record('ErrorTxn', { err: int32 })
/** One operation of a multi: `data` is the body of its own transaction. */
export const MultiTxn = record('MultiTxn', { txns: array({ type: int32, data: bytes.orNull() }) })

type Of<R, T extends number> = Message<R> & { type: T }
/** Of the znode afterwards, where whoever prepared the transaction has computed it already: not part of the bytes. */
interface WithContent {
  content?: number
}
/** A transaction's body in memory. `type` is repeated from the header, so that operations of a multi look the same. */
export type SimpleBody =
  | (Of<typeof CreateTxn, typeof op.create | typeof op.create2> & WithContent)
  | Of<typeof CreateTTLTxn, typeof op.createTTL>
  | Of<typeof CreateContainerTxn, typeof op.createContainer>
  | Of<typeof DeleteTxn, typeof op.delete | typeof op.deleteContainer>
  | (Of<typeof SetDataTxn, typeof op.setData | typeof op.reconfig> & WithContent)
  | Of<typeof SetACLTxn, typeof op.setACL>
  | Of<typeof CheckVersionTxn, typeof op.check>
  | Of<typeof ErrorTxn, typeof op.error>
export type TxnBody =
  | SimpleBody
  | Of<typeof CreateSessionTxn, typeof op.createSession>
  /** `paths2Delete` null: written with closeSessionTxn.enabled=false, the paths follow from the tree. */
  | { type: typeof op.closeSession; paths2Delete: string[] | null }
  | { type: typeof op.multi; operations: SimpleBody[] }

export interface Transaction {
  header: TxnHeader
  body: TxnBody
  digest?: TxnDigest | undefined
}

function readSimple(type: number, reader: Reader): SimpleBody {
  switch (type) {
    case op.create: case op.create2: {
      const { path, data } = PathAndData.read(reader)
      const acl = readAcls(reader)
      const ephemeral = reader.bool()
      // Files of 3.4 and before end here.
      return { type, path, data, acl, ephemeral, parentCVersion: reader.remaining >= 4 ? reader.int32() : -1 }
    }
    case op.createTTL: return { type, ...CreateTTLTxn.read(reader) }
    case op.createContainer: return { type, ...CreateContainerTxn.read(reader) }
    case op.delete: case op.deleteContainer: return { type, ...DeleteTxn.read(reader) }
    case op.setData: case op.reconfig: return { type, ...SetDataTxn.read(reader) }
    case op.setACL: return { type, ...SetACLTxn.read(reader) }
    case op.check: return { type, ...CheckVersionTxn.read(reader) }
    case op.error: return { type, ...ErrorTxn.read(reader) }
    default: throw reader.malformed(`a transaction of unknown type ${type}`)
  }
}
/** Reads the body that follows a header of this type. Throws MalformedError where the type is unknown or bytes are missing. */
export function readTxnBody(type: number, reader: Reader): TxnBody {
  switch (type) {
    case op.createSession: return { type, ...CreateSessionTxn.read(reader) }
    case op.closeSession: return { type, paths2Delete: reader.remaining > 0 ? CloseSessionTxn.read(reader).paths2Delete : null }
    case op.multi:
      return { type, operations: MultiTxn.read(reader).txns.map((txn) => readSimple(txn.type, new BytesReader(txn.data ?? Buffer.alloc(0)))) }
    default: return readSimple(type, reader)
  }
}
function writeSimple(writer: Writer, body: SimpleBody): void {
  switch (body.type) {
    case op.create: case op.create2:
      PathAndData.write(writer, body)
      writeAcls(writer, body.acl)
      writer.bool(body.ephemeral)
      return writer.int32(body.parentCVersion)
    case op.createTTL: return CreateTTLTxn.write(writer, body)
    case op.createContainer: return CreateContainerTxn.write(writer, body)
    case op.delete: case op.deleteContainer: return DeleteTxn.write(writer, body)
    case op.setData: case op.reconfig: return SetDataTxn.write(writer, body)
    case op.setACL: return SetACLTxn.write(writer, body)
    case op.check: return CheckVersionTxn.write(writer, body)
    case op.error: return ErrorTxn.write(writer, body)
    default: return body satisfies never
  }
}
export function writeTxnBody(writer: Writer, body: TxnBody): void {
  switch (body.type) {
    case op.createSession: return CreateSessionTxn.write(writer, body)
    case op.closeSession:
      if (body.paths2Delete) CloseSessionTxn.write(writer, { paths2Delete: body.paths2Delete })
      return
    case op.multi:
      return MultiTxn.write(writer, {
        txns: body.operations.map((operation) => {
          const inner = new Writer(64)
          writeSimple(inner, operation)
          return { type: operation.type, data: inner.toBuffer() }
        }),
      })
    default: return writeSimple(writer, body)
  }
}

/** Reads one entry: header, body and, where bytes remain, the digest. */
export function decodeTransaction(entry: Uint8Array): Transaction {
  const reader = new BytesReader(entry)
  const header = TxnHeader.read(reader)
  // A create of 3.4 lacks parentCVersion, and a digest of twelve bytes cannot follow it: those files have none.
  const body = readTxnBody(header.type, reader)
  const digest = reader.remaining >= 12 ? TxnDigest.read(reader) : undefined
  return { header, body, digest }
}
/** `writer`: empty, and empty again afterwards. What it wrote stays in its memory, so that the transactions of one writer lie one behind the other. */
export function encodeTransaction({ header, body, digest }: Transaction, writer = new Writer(128)): Buffer {
  TxnHeader.write(writer, header)
  writeTxnBody(writer, body)
  if (digest) TxnDigest.write(writer, digest)
  return writer.take()
}
