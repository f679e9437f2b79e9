/** Requests that change nothing durable, by op code: what each does with the tree, and what it writes as the reply's body. */
import type { Reader } from '../../wire/reader.ts'
import type { Writer } from '../../wire/writer.ts'
import { errorCode } from '../protocol/errors.ts'
import { readMultiReadRequest, writeMultiResponse, type MultiResult } from '../protocol/multi.ts'
import { addWatchMode, eventType, op, permission, watcherType } from '../protocol/op-codes.ts'
import * as records from '../protocol/records.ts'
import { isAllowed, maskedAcl, type Schemes } from '../znodes/acl.ts'
import type { ZnodeTree } from '../znodes/tree.ts'
import { watchMode, type Watcher } from '../znodes/watches.ts'
import type { Znode } from '../znodes/znode.ts'

/** What a read needs to know of its connection. */
export interface Asker extends Watcher {
  readonly ids: readonly records.Id[]
  readonly sessionId: bigint
  /** Past events, for setWatches: sent whatever the ACL says, with zxid −1. */
  sendEvent(type: number, path: string, zxid: bigint): void
  /** Whether watches may be set for it: a closed connection hears nothing. */
  readonly isOpen: boolean
}
export interface ReadContext {
  readonly tree: ZnodeTree
  readonly schemes: Schemes
  readonly skipACL: boolean
}
/** Reads the request from `reader`, writes the reply's body, and answers with an error code. With an error, nothing is written. */
export type Read = (context: ReadContext, asker: Asker, reader: Reader, writer: Writer) => number

function mayNot({ tree, schemes, skipACL }: ReadContext, node: Znode, wanted: number, asker: Asker): boolean {
  return !skipACL && !isAllowed(tree.aclOf(node), wanted, asker.ids, schemes)
}

const ping: Read = () => 0

const exists: Read = (context, asker, reader, writer) => {
  const { path, watch } = records.ExistsRequest.read(reader)
  if (path.includes('\0')) return errorCode.badArguments
  const node = context.tree.get(path)
  if (node && mayNot(context, node, permission.read, asker)) return errorCode.noAuth
  // Also where there is none: then it waits for the znode to come.
  if (watch && asker.isOpen) context.tree.watches.data.add(path, asker, watchMode.oneShot)
  if (!node) return errorCode.noNode
  node.writeStat(writer, context.tree.showsOwner(node))
  return 0
}
const getData: Read = (context, asker, reader, writer) => {
  const { path, watch } = records.GetDataRequest.read(reader)
  const node = context.tree.get(path)
  if (!node) return errorCode.noNode
  if (mayNot(context, node, permission.read, asker)) return errorCode.noAuth
  if (watch && asker.isOpen) context.tree.watches.data.add(path, asker, watchMode.oneShot)
  node.writeData(writer)
  node.writeStat(writer, context.tree.showsOwner(node))
  return 0
}
const children = (withStat: boolean): Read => (context, asker, reader, writer) => {
  const { path, watch } = records.GetChildrenRequest.read(reader)
  const node = context.tree.get(path)
  if (!node) return errorCode.noNode
  if (mayNot(context, node, permission.read, asker)) return errorCode.noAuth
  if (watch && asker.isOpen) context.tree.watches.children.add(path, asker, watchMode.oneShot)
  records.GetChildrenResponse.write(writer, { children: context.tree.childrenOf(node, path) })
  if (withStat) node.writeStat(writer, context.tree.showsOwner(node))
  return 0
}
const getACL: Read = (context, asker, reader, writer) => {
  const { path } = records.GetACLRequest.read(reader)
  const node = context.tree.get(path)
  if (!node) return errorCode.noNode
  if (mayNot(context, node, permission.read | permission.admin, asker)) return errorCode.noAuth
  const acl = context.tree.aclOf(node)
  records.GetACLResponse.write(writer, { acl: mayNot(context, node, permission.admin, asker) ? maskedAcl(acl) : acl, stat: context.tree.statOf(node) })
  return 0
}
const sync: Read = (_context, _asker, reader, writer) => {
  // Everything acknowledged is applied here: a server that is alone has nobody to ask.
  records.SyncResponse.write(writer, records.SyncRequest.read(reader))
  return 0
}
const getAllChildrenNumber: Read = (context, asker, reader, writer) => {
  const { path } = records.GetAllChildrenNumberRequest.read(reader)
  const node = context.tree.get(path)
  if (!node) return errorCode.noNode
  if (mayNot(context, node, permission.read, asker)) return errorCode.noAuth
  writer.int32(context.tree.descendantCount(path))
  return 0
}
const getEphemerals: Read = (context, asker, reader, writer) => {
  const { prefixPath } = records.GetEphemeralsRequest.read(reader)
  const all = prefixPath === '' || prefixPath === '/'
  const ephemerals: string[] = []
  for (const path of context.tree.ephemeralsOf(asker.sessionId)) if (all || path.startsWith(prefixPath)) ephemerals.push(path)
  records.GetEphemeralsResponse.write(writer, { ephemerals })
  return 0
}
const whoAmI: Read = (_context, asker, _reader, writer) => {
  records.WhoAmIResponse.write(writer, {
    clientInfo: asker.ids.map(({ scheme, id }) => ({ authScheme: scheme, user: scheme === 'digest' ? id.slice(0, Math.max(0, id.indexOf(':'))) : id })),
  })
  return 0
}
const multiRead: Read = (context, asker, reader, writer) => {
  const results = readMultiReadRequest(reader).map((operation): MultiResult => {
    const { type, path } = operation
    const node = context.tree.get(path)
    if (!node) return { type: op.error, err: errorCode.noNode }
    if (mayNot(context, node, permission.read, asker)) return { type: op.error, err: errorCode.noAuth }
    if (type === op.getData) return { type, data: node.data, stat: context.tree.statOf(node) }
    return { type, children: context.tree.childrenOf(node, path) }
  })
  writeMultiResponse(writer, results)
  return 0
}

const addWatch: Read = ({ tree }, asker, reader, writer) => {
  const { path, mode } = records.AddWatchRequest.read(reader)
  if (mode !== addWatchMode.persistent && mode !== addWatchMode.persistentRecursive) return errorCode.marshallingError
  if (asker.isOpen) {
    if (mode === addWatchMode.persistentRecursive) tree.watches.data.add(path, asker, watchMode.recursive)
    else {
      tree.watches.data.add(path, asker, watchMode.persistent)
      tree.watches.children.add(path, asker, watchMode.persistent)
    }
  }
  writer.int32(0)
  return 0
}
/** Which modes in which table a watcher type means: data, then children. */
const modesOf: Readonly<Record<number, readonly [number, number]>> = {
  [watcherType.children]: [0, watchMode.oneShot],
  [watcherType.data]: [watchMode.oneShot, 0],
  [watcherType.any]: [7, 7],
  [watcherType.persistent]: [watchMode.persistent, watchMode.persistent],
  [watcherType.persistentRecursive]: [watchMode.recursive, 0],
}
const checkWatches: Read = ({ tree }, asker, reader) => {
  const { path, type } = records.CheckWatchesRequest.read(reader)
  const modes = modesOf[type]
  if (!modes) return errorCode.marshallingError
  return tree.watches.data.has(path, asker, modes[0]) || tree.watches.children.has(path, asker, modes[1]) ? 0 : errorCode.noWatcher
}
const removeWatches: Read = ({ tree }, asker, reader) => {
  const { path, type } = records.RemoveWatchesRequest.read(reader)
  const modes = modesOf[type]
  if (!modes) return errorCode.marshallingError
  const data = modes[0] !== 0 && tree.watches.data.remove(path, asker, modes[0])
  const below = modes[1] !== 0 && tree.watches.children.remove(path, asker, modes[1])
  return data || below ? 0 : errorCode.noWatcher
}
/** A client that comes back says what it watches and what it has seen: what it missed is sent at once, the rest is watched again. */
const setWatches = (two: boolean): Read => ({ tree }, asker, reader) => {
  const asked = two ? records.SetWatches2.read(reader) : { ...records.SetWatches.read(reader), persistentWatches: [], persistentRecursiveWatches: [] }
  const seen = asked.relativeZxid
  if (!asker.isOpen) return 0
  for (const path of asked.dataWatches) {
    const node = tree.get(path)
    if (!node) asker.sendEvent(eventType.nodeDeleted, path, -1n)
    else if (node.mzxid > seen) asker.sendEvent(eventType.nodeDataChanged, path, -1n)
    else tree.watches.data.add(path, asker, watchMode.oneShot)
  }
  for (const path of asked.existWatches) {
    if (tree.get(path)) asker.sendEvent(eventType.nodeCreated, path, -1n)
    else tree.watches.data.add(path, asker, watchMode.oneShot)
  }
  for (const path of asked.childWatches) {
    const node = tree.get(path)
    if (!node) asker.sendEvent(eventType.nodeDeleted, path, -1n)
    else if (node.pzxid > seen) asker.sendEvent(eventType.nodeChildrenChanged, path, -1n)
    else tree.watches.children.add(path, asker, watchMode.oneShot)
  }
  for (const path of asked.persistentWatches) {
    tree.watches.data.add(path, asker, watchMode.persistent)
    tree.watches.children.add(path, asker, watchMode.persistent)
  }
  for (const path of asked.persistentRecursiveWatches) tree.watches.data.add(path, asker, watchMode.recursive)
  return 0
}

/** `name`: what `cons` shows as the last operation. */
export const reads: ReadonlyMap<number, { readonly read: Read; readonly name: string }> = new Map([
  [op.ping, { read: ping, name: 'PING' }],
  [op.exists, { read: exists, name: 'EXIS' }],
  [op.getData, { read: getData, name: 'GETD' }],
  [op.getACL, { read: getACL, name: 'GETA' }],
  [op.getChildren, { read: children(false), name: 'GETC' }],
  [op.getChildren2, { read: children(true), name: 'GETC' }],
  [op.sync, { read: sync, name: 'SYNC' }],
  [op.checkWatches, { read: checkWatches, name: 'CHKW' }],
  [op.removeWatches, { read: removeWatches, name: 'REMW' }],
  [op.multiRead, { read: multiRead, name: 'MLTR' }],
  [op.setWatches, { read: setWatches(false), name: 'SETW' }],
  [op.setWatches2, { read: setWatches(true), name: 'STW2' }],
  [op.getEphemerals, { read: getEphemerals, name: 'GETE' }],
  [op.getAllChildrenNumber, { read: getAllChildrenNumber, name: 'GETACN' }],
  [op.addWatch, { read: addWatch, name: 'ADDW' }],
  [op.whoAmI, { read: whoAmI, name: 'HOMI' }],
])

/** Writes by op code, with the same names. */
export const writeNames: ReadonlyMap<number, string> = new Map([
  [op.create, 'CREA'], [op.create2, 'CREA'], [op.createContainer, 'CREA'], [op.createTTL, 'CREA'], [op.delete, 'DELE'], [op.setData, 'SETD'], [op.setACL, 'SETA'],
  [op.multi, 'MULT'], [op.reconfig, 'RECO'], [op.closeSession, 'CLOS'],
])
