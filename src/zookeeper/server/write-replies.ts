/** The body of a write's reply, from what became of it. */
import type { Writer } from '../../wire/writer.ts'
import { writeMultiResponse, type MultiResult } from '../protocol/multi.ts'
import { op } from '../protocol/op-codes.ts'
import { Create2Response, CreateResponse, GetDataResponse, SetDataResponse } from '../protocol/records.ts'
import type { Applied } from '../znodes/tree.ts'

function multiResult({ type, err, path, stat }: Applied): MultiResult {
  switch (type) {
    case op.create: return { type, path }
    case op.create2: case op.createContainer: case op.createTTL: if (stat) return { type: op.create2, path, stat }; break
    case op.setData: if (stat) return { type, stat }; break
    case op.delete: case op.check: return { type }
    default:
  }
  return { type: op.error, err }
}
/** Answers with the header's error code; with an error nothing is written. A failed multi has none: its results say what failed. */
export function writeReply(writer: Writer, applied: Applied): number {
  if (applied.type === op.multi && applied.operations) {
    writeMultiResponse(writer, applied.operations.map((operation) => (operation.err === 0 ? multiResult(operation) : { type: op.error, err: operation.err })))
    return 0
  }
  if (applied.err !== 0) return applied.err
  switch (applied.type) {
    case op.create: CreateResponse.write(writer, applied); break
    case op.create2: case op.createContainer: case op.createTTL: if (applied.stat) Create2Response.write(writer, { path: applied.path, stat: applied.stat }); break
    case op.setData: case op.setACL: if (applied.stat) SetDataResponse.write(writer, { stat: applied.stat }); break
    case op.reconfig: if (applied.stat) GetDataResponse.write(writer, { data: applied.data ?? null, stat: applied.stat }); break
    default:
  }
  return 0
}
