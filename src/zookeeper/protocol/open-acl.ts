/** The ACL list that nearly every znode has, world:anyone with all permissions: known by its bytes, so that it is one object everywhere. */
import type { Message } from '../../wire/codec.ts'
import type { Reader } from '../../wire/reader.ts'
import type { Writer } from '../../wire/writer.ts'
import { permission } from './op-codes.ts'
import { AclList, PathAndData, type Acl, type CreateRequest } from './records.ts'

export const openAcl: readonly Acl[] = Object.freeze([Object.freeze({ perms: permission.all, id: Object.freeze({ scheme: 'world', id: 'anyone' }) })])

/** count:int32=1 perms:int32=31 'world' 'anyone' */
const openSize = 27
const openText = '\0\0\0\x01\0\0\0\x1f\0\0\0\x05world\0\0\0\x06anyone'

/** An ACL list as it stands in requests and transactions. The one open to all is read as `openAcl` itself. */
export function readAcls(reader: Reader): Acl[] | null {
  if (reader.remaining >= openSize && isOpenAt(reader.bytes, reader.offset)) {
    reader.skip(openSize)
    return openAcl as Acl[]
  }
  return AclList.read(reader).acl
}
function isOpenAt(bytes: Buffer, at: number): boolean {
  for (let index = 0; index < openSize; index++) if (bytes[at + index] !== openText.charCodeAt(index)) return false
  return true
}
export function writeAcls(writer: Writer, acl: readonly Acl[] | null): void {
  if (acl === openAcl) writer.ascii(openText)
  else AclList.write(writer, { acl: acl as Acl[] | null })
}

/** `CreateRequest.read`, but for the list that is known. */
export function readCreateRequest(reader: Reader): Message<typeof CreateRequest> {
  const { path, data } = PathAndData.read(reader)
  const acl = readAcls(reader)
  return { path, data, acl, flags: reader.int32() }
}
