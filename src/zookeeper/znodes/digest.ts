/**
 * The digest of the whole tree, version 2 (reference §3.4): the sum, modulo 2^64, of a CRC-32 for each znode over its path, its
 * data and sixty bytes of its stat. Znodes below /zookeeper/ do not count; the root's path is ''.
 */
import { crc32 } from 'node:zlib'
import type { Znode } from './znode.ts'

export const digestVersion = 2

/** The fields of a znode that its digest covers. */
export interface Digested {
  czxid: bigint
  mzxid: bigint
  pzxid: bigint
  ctime: number
  mtime: number
  version: number
  cversion: number
  aversion: number
  ephemeralOwner: bigint
}

export function isDigested(path: string): boolean {
  return !path.startsWith('/zookeeper/')
}

/** Computes digests of znodes; owns the sixty bytes of scratch they need. */
export class Digester {
  readonly #stat = Buffer.alloc(60)
  readonly #view = new DataView(this.#stat.buffer, this.#stat.byteOffset, 60)

  /** CRC over path and data: kept with the znode, as most changes leave both alone. A signed number, which V8 keeps unboxed. */
  content(path: string, data: Uint8Array | null): number {
    const ofPath = crc32(path)
    return (data && data.length > 0 ? crc32(data, ofPath) : ofPath) | 0
  }
  /** The znode's digest, unsigned. */
  of(content: number, node: Digested): number {
    const view = this.#view
    view.setBigInt64(0, node.czxid)
    view.setBigInt64(8, node.mzxid)
    view.setBigInt64(16, node.pzxid)
    setInt64(view, 24, node.ctime)
    setInt64(view, 32, node.mtime)
    view.setInt32(40, node.version)
    view.setInt32(44, node.cversion)
    view.setInt32(48, node.aversion)
    view.setBigInt64(52, node.ephemeralOwner)
    return crc32(this.#stat, content >>> 0)
  }
  /** The same of a znode of the tree. */
  ofZnode(node: Znode): number {
    node.copyDigested(this.#view)
    return crc32(this.#stat, node.content >>> 0)
  }
}
function setInt64(view: DataView, at: number, value: number): void {
  view.setInt32(at, Math.floor(value / 0x1_0000_0000))
  view.setInt32(at + 4, value | 0)
}

/** A sum modulo 2^64 in two halves: cheaper than a bigint for every change. */
export class DigestSum {
  #high = 0
  #low = 0
  /** To put both halves together without bigints in between. */
  readonly #both = new DataView(new ArrayBuffer(8))

  add(digest: number): void {
    this.#low += digest
    if (this.#low >= 0x1_0000_0000) {
      this.#low -= 0x1_0000_0000
      this.#high = (this.#high + 1) >>> 0
    }
  }
  subtract(digest: number): void {
    this.#low -= digest
    if (this.#low < 0) {
      this.#low += 0x1_0000_0000
      this.#high = (this.#high - 1) >>> 0
    }
  }
  copyFrom(other: DigestSum): void {
    this.#high = other.#high
    this.#low = other.#low
  }
  clear(): void {
    this.#high = 0
    this.#low = 0
  }
  /** As it stands in TxnDigest: a signed int64. */
  get value(): bigint {
    this.#both.setUint32(0, this.#high)
    this.#both.setUint32(4, this.#low)
    return this.#both.getBigInt64(0)
  }
}
