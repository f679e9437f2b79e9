/**
 * The framing of multi (14) and multiRead (22), reference §1.13:
 *
 *     request  := { MultiHeader(type, false, -1) record(type) } MultiHeader(-1, true, -1)
 *     response := { MultiHeader(type, false, err) result(type) } MultiHeader(-1, true, -1)
 */
import type { Message } from '../../wire/codec.ts'
import type { Reader } from '../../wire/reader.ts'
import type { Writer } from '../../wire/writer.ts'
import { op } from './op-codes.ts'
import {
  CheckVersionRequest, Create2Response, CreateRequest, CreateResponse, CreateTTLRequest, DeleteRequest, ErrorResponse, GetChildrenRequest,
  GetChildrenResponse, GetDataRequest, GetDataResponse, MultiHeader, SetDataRequest, SetDataResponse, type Stat,
} from './records.ts'

type Of<R, T extends number> = Message<R> & { type: T }
export type MultiWriteOperation =
  | Of<typeof CreateRequest, typeof op.create | typeof op.create2 | typeof op.createContainer>
  | Of<typeof CreateTTLRequest, typeof op.createTTL>
  | Of<typeof DeleteRequest, typeof op.delete>
  | Of<typeof SetDataRequest, typeof op.setData>
  | Of<typeof CheckVersionRequest, typeof op.check>
export type MultiReadOperation = Of<typeof GetDataRequest, typeof op.getData> | Of<typeof GetChildrenRequest, typeof op.getChildren>
export type MultiOperation = MultiWriteOperation | MultiReadOperation

export type MultiResult =
  | { type: typeof op.create; path: string }
  | { type: typeof op.create2; path: string; stat: Stat }
  | { type: typeof op.delete | typeof op.check }
  | { type: typeof op.setData; stat: Stat }
  | { type: typeof op.getData; data: Buffer | null; stat: Stat }
  | { type: typeof op.getChildren; children: string[] }
  | { type: typeof op.error; err: number }

/** One message may not hold more operations: each costs an object, and a frame of 1 MiB could claim 100,000. */
const operationsMax = 200_000

function readOperation(type: number, reader: Reader): MultiOperation {
  switch (type) {
    case op.create: case op.create2: case op.createContainer: return { type, ...CreateRequest.read(reader) }
    case op.createTTL: return { type, ...CreateTTLRequest.read(reader) }
    case op.delete: return { type, ...DeleteRequest.read(reader) }
    case op.setData: return { type, ...SetDataRequest.read(reader) }
    case op.check: return { type, ...CheckVersionRequest.read(reader) }
    case op.getData: return { type, ...GetDataRequest.read(reader) }
    case op.getChildren: return { type, ...GetChildrenRequest.read(reader) }
    default: throw reader.malformed(`an operation of type ${type} within a multi`)
  }
}
function isRead(operation: MultiOperation): operation is MultiReadOperation {
  return operation.type === op.getData || operation.type === op.getChildren
}
function readOperations(reader: Reader): MultiOperation[] {
  const operations: MultiOperation[] = []
  for (;;) {
    const { type, done } = MultiHeader.read(reader)
    if (done) return operations
    if (operations.length === operationsMax) throw reader.malformed(`a multi of more than ${operationsMax} operations`)
    operations.push(readOperation(type, reader))
  }
}
/** Operations of a multi; throws MalformedError where one is not a write. */
export function readMultiRequest(reader: Reader): MultiWriteOperation[] {
  return readOperations(reader).map((operation) => {
    if (isRead(operation)) throw reader.malformed(`a read (${operation.type}) within a multi`)
    return operation
  })
}
/** Operations of a multiRead; throws MalformedError where one is not a read. */
export function readMultiReadRequest(reader: Reader): MultiReadOperation[] {
  return readOperations(reader).map((operation) => {
    if (!isRead(operation)) throw reader.malformed(`a write (${operation.type}) within a multiRead`)
    return operation
  })
}
export function writeMultiRequest(writer: Writer, operations: readonly MultiOperation[]): void {
  for (const operation of operations) {
    MultiHeader.write(writer, { type: operation.type, done: false, err: -1 })
    switch (operation.type) {
      case op.create: case op.create2: case op.createContainer: CreateRequest.write(writer, operation); break
      case op.createTTL: CreateTTLRequest.write(writer, operation); break
      case op.delete: DeleteRequest.write(writer, operation); break
      case op.setData: SetDataRequest.write(writer, operation); break
      case op.check: CheckVersionRequest.write(writer, operation); break
      case op.getData: GetDataRequest.write(writer, operation); break
      case op.getChildren: GetChildrenRequest.write(writer, operation); break
      default: operation satisfies never
    }
  }
  MultiHeader.write(writer, { type: -1, done: true, err: -1 })
}

function readResult(type: number, reader: Reader): MultiResult {
  switch (type) {
    case op.create: return { type, ...CreateResponse.read(reader) }
    case op.create2: return { type, ...Create2Response.read(reader) }
    case op.delete: case op.check: return { type }
    case op.setData: return { type, ...SetDataResponse.read(reader) }
    case op.getData: return { type, ...GetDataResponse.read(reader) }
    case op.getChildren: return { type, ...GetChildrenResponse.read(reader) }
    case op.error: return { type, ...ErrorResponse.read(reader) }
    default: throw reader.malformed(`a result of type ${type} within a multi`)
  }
}
export function readMultiResponse(reader: Reader): MultiResult[] {
  const results: MultiResult[] = []
  for (;;) {
    const { type, done } = MultiHeader.read(reader)
    if (done) return results
    results.push(readResult(type, reader))
  }
}
export function writeMultiResponse(writer: Writer, results: readonly MultiResult[]): void {
  for (const result of results) {
    MultiHeader.write(writer, { type: result.type, done: false, err: result.type === op.error ? result.err : 0 })
    switch (result.type) {
      case op.create: CreateResponse.write(writer, result); break
      case op.create2: Create2Response.write(writer, result); break
      case op.delete: case op.check: break
      case op.setData: SetDataResponse.write(writer, result); break
      case op.getData: GetDataResponse.write(writer, result); break
      case op.getChildren: GetChildrenResponse.write(writer, result); break
      case op.error: ErrorResponse.write(writer, result); break
      default: result satisfies never
    }
  }
  MultiHeader.write(writer, { type: -1, done: true, err: -1 })
}
