/** Error codes of replies. Source: KeeperException.Code; the texts are those that Apache's clients print. */

const table = [
  [0, 'ok', 'OK'],
  [-1, 'systemError', 'SystemError'],
  [-2, 'runtimeInconsistency', 'RuntimeInconsistency'],
  [-3, 'dataInconsistency', 'DataInconsistency'],
  [-4, 'connectionLoss', 'ConnectionLoss'],
  [-5, 'marshallingError', 'MarshallingError'],
  [-6, 'unimplemented', 'Unimplemented'],
  [-7, 'operationTimeout', 'OperationTimeout'],
  [-8, 'badArguments', 'BadArguments'],
  [-12, 'unknownSession', 'UnknownSession'],
  [-13, 'newConfigNoQuorum', 'NewConfigNoQuorum'],
  [-14, 'reconfigInProgress', 'ReconfigInProgress'],
  [-100, 'apiError', 'APIError'],
  [-101, 'noNode', 'NoNode'],
  [-102, 'noAuth', 'NoAuth'],
  [-103, 'badVersion', 'BadVersion'],
  [-108, 'noChildrenForEphemerals', 'NoChildrenForEphemerals'],
  [-110, 'nodeExists', 'NodeExists'],
  [-111, 'notEmpty', 'Directory not empty'],
  [-112, 'sessionExpired', 'Session expired'],
  [-113, 'invalidCallback', 'Invalid callback'],
  [-114, 'invalidACL', 'InvalidACL'],
  [-115, 'authFailed', 'AuthFailed'],
  [-118, 'sessionMoved', 'Session moved'],
  [-119, 'notReadOnly', 'Not a read-only call'],
  [-120, 'ephemeralOnLocalSession', 'Ephemeral node on local session'],
  [-121, 'noWatcher', 'No such watcher'],
  [-122, 'requestTimeout', 'RequestTimeout'],
  [-123, 'reconfigDisabled', 'Reconfig is disabled'],
  [-124, 'sessionClosedRequireSaslAuth', 'Session closed because client failed to authenticate'],
  [-125, 'quotaExceeded', 'Quota has exceeded'],
  [-127, 'throttledOp', 'Op throttled due to high load'],
] as const

type Row = (typeof table)[number]
export type ErrorName = Row[1]
export type ErrorCode = Row[0]

export const errorCode = Object.fromEntries(table.map(([code, name]) => [name, code])) as { readonly [R in Row as R[1]]: R[0] }

const byCode = new Map<number, Row>(table.map((row) => [row[0], row]))
export function errorName(code: number): ErrorName | undefined {
  return byCode.get(code)?.[1]
}
/** The code as Apache's tools word it: `NoNode`, `Directory not empty`; unknown codes as their number. */
export function errorText(code: number): string {
  return byCode.get(code)?.[2] ?? String(code)
}
