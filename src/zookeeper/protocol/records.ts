/** The records of the client protocol, as zookeeper.jute declares them. Null strings read as '', null data stays null. */
import { record, type Message } from '../../wire/codec.ts'
import { array, bigint64, bool, bytes, int32, int64, string, struct, view } from '../../wire/schema.ts'

const id = { scheme: string, id: string }
const acl = { perms: int32, id: struct(id) }
/** The list of a request may be null (answered with −114), never that of a reply. */
const acls = array(acl).orNull()
const strings = array(string)
const data = bytes.orNull()
/** What a client writes, as a window on its request. */
const written = view.orNull()
const stat = {
  czxid: bigint64, mzxid: bigint64, ctime: int64, mtime: int64, version: int32, cversion: int32, aversion: int32,
  ephemeralOwner: bigint64, dataLength: int32, numChildren: int32, pzxid: bigint64,
}

export const Id = record('Id', id)
export const Acl = record('ACL', acl)
export const Stat = record('Stat', stat)
/** Parts of requests and transactions that begin alike: see open-acl.ts. */
export const AclList = record('AclList', { acl: acls })
export const PathAndData = record('PathAndData', { path: string, data: written })
export type Id = Message<typeof Id>
export type Acl = Message<typeof Acl>
export type Stat = Message<typeof Stat>
/** What snapshots keep of a Stat: `cversion` counts creations alone, lengths and counts follow from the tree. */
export const StatPersisted = record('StatPersisted', {
  czxid: bigint64, mzxid: bigint64, ctime: int64, mtime: int64, version: int32, cversion: int32, aversion: int32, ephemeralOwner: bigint64, pzxid: bigint64,
})
export type StatPersisted = Message<typeof StatPersisted>

/** `readOnly` follows as one more byte, which clients before 3.4 do not send: see connect.ts. */
export const ConnectRequest = record('ConnectRequest', { protocolVersion: int32, lastZxidSeen: bigint64, timeOut: int32, sessionId: bigint64, passwd: data })
export const ConnectResponse = record('ConnectResponse', { protocolVersion: int32, timeOut: int32, sessionId: bigint64, passwd: data })
export const RequestHeader = record('RequestHeader', { xid: int32, type: int32 })
export const ReplyHeader = record('ReplyHeader', { xid: int32, zxid: bigint64, err: int32 })

export const CreateRequest = record('CreateRequest', { path: string, data: written, acl: acls, flags: int32 })
export const CreateTTLRequest = record('CreateTTLRequest', { path: string, data: written, acl: acls, flags: int32, ttl: bigint64 })
export const CreateResponse = record('CreateResponse', { path: string })
export const Create2Response = record('Create2Response', { path: string, stat: struct(stat) })
export const DeleteRequest = record('DeleteRequest', { path: string, version: int32 })
export const DeleteContainerRequest = record('DeleteContainerRequest', { path: string })
export const ExistsRequest = record('ExistsRequest', { path: string, watch: bool })
export const ExistsResponse = record('ExistsResponse', { stat: struct(stat) })
export const GetDataRequest = record('GetDataRequest', { path: string, watch: bool })
export const GetDataResponse = record('GetDataResponse', { data, stat: struct(stat) })
export const SetDataRequest = record('SetDataRequest', { path: string, data: written, version: int32 })
export const SetDataResponse = record('SetDataResponse', { stat: struct(stat) })
export const GetACLRequest = record('GetACLRequest', { path: string })
export const GetACLResponse = record('GetACLResponse', { acl: acls, stat: struct(stat) })
export const SetACLRequest = record('SetACLRequest', { path: string, acl: acls, version: int32 })
export const SetACLResponse = record('SetACLResponse', { stat: struct(stat) })
export const GetChildrenRequest = record('GetChildrenRequest', { path: string, watch: bool })
export const GetChildrenResponse = record('GetChildrenResponse', { children: strings })
export const GetChildren2Request = record('GetChildren2Request', { path: string, watch: bool })
export const GetChildren2Response = record('GetChildren2Response', { children: strings, stat: struct(stat) })
export const GetAllChildrenNumberRequest = record('GetAllChildrenNumberRequest', { path: string })
export const GetAllChildrenNumberResponse = record('GetAllChildrenNumberResponse', { totalNumber: int32 })
export const GetEphemeralsRequest = record('GetEphemeralsRequest', { prefixPath: string })
export const GetEphemeralsResponse = record('GetEphemeralsResponse', { ephemerals: strings })
export const SyncRequest = record('SyncRequest', { path: string })
export const SyncResponse = record('SyncResponse', { path: string })
export const CheckVersionRequest = record('CheckVersionRequest', { path: string, version: int32 })
export const CheckWatchesRequest = record('CheckWatchesRequest', { path: string, type: int32 })
export const RemoveWatchesRequest = record('RemoveWatchesRequest', { path: string, type: int32 })
export const AddWatchRequest = record('AddWatchRequest', { path: string, mode: int32 })
export const SetWatches = record('SetWatches', { relativeZxid: bigint64, dataWatches: strings, existWatches: strings, childWatches: strings })
export const SetWatches2 = record('SetWatches2', {
  relativeZxid: bigint64, dataWatches: strings, existWatches: strings, childWatches: strings, persistentWatches: strings, persistentRecursiveWatches: strings,
})
export const WatcherEvent = record('WatcherEvent', { type: int32, state: int32, path: string })
export const AuthPacket = record('AuthPacket', { type: int32, scheme: string, auth: data })
export const GetSASLRequest = record('GetSASLRequest', { token: data })
export const SetSASLResponse = record('SetSASLResponse', { token: data })
export const ReconfigRequest = record('ReconfigRequest', { joiningServers: string.orNull(), leavingServers: string.orNull(), newMembers: string.orNull(), curConfigId: bigint64 })
export const WhoAmIResponse = record('WhoAmIResponse', { clientInfo: array({ authScheme: string, user: string }) })
export const MultiHeader = record('MultiHeader', { type: int32, done: bool, err: int32 })
export const ErrorResponse = record('ErrorResponse', { err: int32 })
