/** The request types of the client protocol; the same numbers name transactions. Source: ZooDefs.OpCode. */

export const op = {
  error: -1,
  notification: 0,
  create: 1,
  delete: 2,
  exists: 3,
  getData: 4,
  setData: 5,
  getACL: 6,
  setACL: 7,
  getChildren: 8,
  sync: 9,
  ping: 11,
  getChildren2: 12,
  check: 13,
  multi: 14,
  create2: 15,
  reconfig: 16,
  checkWatches: 17,
  removeWatches: 18,
  createContainer: 19,
  deleteContainer: 20,
  createTTL: 21,
  multiRead: 22,
  auth: 100,
  setWatches: 101,
  sasl: 102,
  getEphemerals: 103,
  getAllChildrenNumber: 104,
  setWatches2: 105,
  addWatch: 106,
  whoAmI: 107,
  createSession: -10,
  closeSession: -11,
} as const
export type OpName = keyof typeof op
export type OpCode = (typeof op)[OpName]

const names = new Map<number, OpName>(Object.entries(op).map(([name, code]) => [code, name as OpName]))
export function opName(code: number): OpName | undefined {
  return names.get(code)
}

/** Request numbers with a meaning of their own (reference §1.5). */
export const xid = { notification: -1, ping: -2, auth: -4, setWatches: -8 } as const

/** How long a znode lives, by the flags of a create request (CreateMode). */
export const createMode = {
  persistent: 0,
  ephemeral: 1,
  persistentSequential: 2,
  ephemeralSequential: 3,
  container: 4,
  persistentWithTTL: 5,
  persistentSequentialWithTTL: 6,
} as const

export const permission = { read: 1, write: 2, create: 4, delete: 8, admin: 16, all: 31 } as const

/** Event types of a notification; the last three exist inside clients only. */
export const eventType = {
  none: -1,
  nodeCreated: 1,
  nodeDeleted: 2,
  nodeDataChanged: 3,
  nodeChildrenChanged: 4,
  dataWatchRemoved: 5,
  childWatchRemoved: 6,
  persistentWatchRemoved: 7,
} as const
/** States of a notification; a server sends `syncConnected` alone. */
export const keeperState = {
  disconnected: 0,
  syncConnected: 3,
  authFailed: 4,
  connectedReadOnly: 5,
  saslAuthenticated: 6,
  closed: 7,
  expired: -112,
} as const
export const addWatchMode = { persistent: 0, persistentRecursive: 1 } as const
/** What checkWatches and removeWatches name; persistent and recursive since 3.9. */
export const watcherType = { children: 1, data: 2, any: 3, persistent: 4, persistentRecursive: 5 } as const
