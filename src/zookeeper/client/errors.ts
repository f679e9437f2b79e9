/** What a ZooKeeper request can end with. */
import { errorCode as errorCodes, errorName, type ErrorName } from '../protocol/errors.ts'

export class ZooKeeperError extends Error {
  /** As in the protocol: −101 for a node that is not there. */
  readonly code: number
  /** As in Apache's KeeperException: `NoNode`. */
  readonly codeName: string
  readonly path: string | undefined
  constructor(code: number, message: string, path?: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'ZooKeeperError'
    this.code = code
    this.codeName = nameOf(code)
    this.path = path
  }
  is(name: ErrorName): boolean {
    return this.code === errorCodes[name]
  }
}

/** The request was not sent: servers drop the connection for its size, and again with every repetition. */
export class RequestTooLargeError extends ZooKeeperError {}

/** A multi was refused as a whole; `results` says for each operation why: ok for those before the one at fault. */
export class MultiError extends ZooKeeperError {
  readonly codes: readonly number[]
  /** Place of the operation at fault. */
  readonly index: number
  constructor(codes: readonly number[], index: number, message: string, path: string | undefined) {
    super(codes[index], message, path)
    this.codes = codes
    this.index = index
  }
}

export function isZooKeeperError(error: unknown, ...names: ErrorName[]): error is ZooKeeperError {
  return error instanceof ZooKeeperError && (names.length === 0 || names.some((name) => error.is(name)))
}

export function nameOf(code: number): string {
  const name = errorName(code)
  return name === undefined ? `code ${code}` : name[0].toUpperCase() + name.slice(1)
}
const reasons: Partial<Record<ErrorName, string>> = {
  noNode: 'the node (or the parent of a new one) does not exist',
  noAuth: 'the ACL does not allow it to this client',
  badVersion: 'the version is another one by now',
  noChildrenForEphemerals: 'an ephemeral node cannot have children',
  nodeExists: 'the node exists already',
  notEmpty: 'the node has children',
  invalidACL: 'the ACL is not valid',
  notReadOnly: 'the server is read-only',
  noWatcher: 'there is no such watch',
  unimplemented: 'the server does not know this request',
  reconfigDisabled: 'reconfiguration is disabled (reconfigEnabled)',
  quotaExceeded: 'a quota would be exceeded',
  badArguments: 'the server does not accept the arguments',
  throttledOp: 'the server is overloaded and refused it',
}
/** A refusal as a sentence: what was asked, what was found. */
export function refusal(code: number, what: string, path: string | undefined): ZooKeeperError {
  const name = errorName(code)
  const reason = name && reasons[name]
  return new ZooKeeperError(code, `${what}${path === undefined ? '' : ` ${path}`}: ${nameOf(code)}${reason ? `, ${reason}` : ''}`, path)
}
