/**
 * Local sessions (`localSessionsEnabled`; reference §5.8): a new session is known to its own server alone, until it creates an ephemeral
 * znode: then the leader is told of it first, or the request is refused where that is not allowed.
 */
import { MalformedError, Reader } from '../../wire/reader.ts'
import { readMultiRequest } from '../protocol/multi.ts'
import { createMode, op } from '../protocol/op-codes.ts'
import { CreateRequest } from '../protocol/records.ts'

export interface LocalSessionsConfig {
  readonly enabled: boolean
  readonly upgrading: boolean
}

const isEphemeral = (flags: number): boolean => flags === createMode.ephemeral || flags === createMode.ephemeralSequential

/** Whether this request wants something to die with its session. One that cannot be read does not. */
export function createsEphemeral(type: number, body: Buffer): boolean {
  try {
    if (type === op.create || type === op.create2) return isEphemeral(CreateRequest.read(new Reader(body)).flags)
    if (type !== op.multi) return false
    return readMultiRequest(new Reader(body)).some((operation) => (operation.type === op.create || operation.type === op.create2) && isEphemeral(operation.flags))
  } catch (error) {
    if (error instanceof MalformedError || error instanceof RangeError) return false
    throw error
  }
}

/** Which server has made a session, by its id. */
export const originOf = (sessionId: bigint): number => Number(BigInt.asUintN(64, sessionId) >> 56n)
