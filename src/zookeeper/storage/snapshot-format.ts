/**
 * A snapshot file, Apache's version 2:
 *
 *     file     := header sessions acls node* str("/") seal digest? lastZxid?
 *     header   := 'ZKSN' version:int32=2 dbid:int64=-1
 *     sessions := count:int32 { sessionId:int64 timeoutMs:int32 }
 *     acls     := count:int32 { aclId:int64 vec<ACL> }
 *     node     := path:str data:buf aclId:int64 StatPersisted      the root's path is "", parents stand before children
 *     digest   := zxid:int64 version:int32 digest:int64 seal
 *     lastZxid := zxid:int64 seal
 *     seal     := adler32:int64 str("/")                           of all bytes before it, earlier seals included
 */
import type { Acl, StatPersisted } from '../protocol/records.ts'

export const snapshotMagic = 0x5a4b534e // ZKSN
export const snapshotVersion = 2
export const snapshotHeaderSize = 16
export const sealSize = 13
/** zxid, version, digest. */
export const digestSize = 20
export const statSize = 60

/** The tree's digest as a snapshot carries it: of the state after transaction `zxid`. Version 2 is the one of 3.6 and later. */
export interface SnapshotDigest {
  readonly zxid: bigint
  readonly version: number
  readonly digest: bigint
}

/** Who is told what a snapshot holds, in the file's order. Nothing is proven before the whole file has been read. */
export interface SnapshotVisitor {
  session(id: bigint, timeoutMs: number): void
  acl(id: bigint, acl: Acl[]): void
  /** `path` of the root is ''. `data` and `stat` are the visitor's to keep. */
  node(path: string, data: Buffer | null, aclId: bigint, stat: StatPersisted): void
}
