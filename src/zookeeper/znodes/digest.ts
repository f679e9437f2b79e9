/**
 * The digest of the whole tree, version 2 (reference §3.4): the sum, modulo 2^64, of a CRC-32 for each znode over its path, its
 * data and sixty bytes of its stat. Znodes below /zookeeper/ do not count; the root's path is ''.
 */
import { crc32, crc32OfText, crc32Word, crc32Words } from '../../wire/crc32.ts'
import { highOf, int64Of, lowOf } from '../../wire/int64.ts'

export const digestVersion = 2
/** Bytes of a stat that its digest covers. */
const digestedSize = 60

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

/** CRC over path and data: kept with the znode, as most changes leave both alone. A signed number, which V8 keeps unboxed. */
export function contentDigest(path: string, data: Uint8Array | null): number {
  const ofPath = crc32OfText(path)
  return data && data.length > 0 ? crc32(data, ofPath) : ofPath
}
/** The znode's digest, unsigned: its stat's sixty bytes behind path and data. */
export function znodeDigest(content: number, node: Digested): number {
  const { ctime, mtime } = node
  let state = crc32Words(~content, highOf(node.czxid), lowOf(node.czxid))
  state = crc32Words(state, highOf(node.mzxid), lowOf(node.mzxid))
  state = crc32Words(state, highOf(node.pzxid), lowOf(node.pzxid))
  // The lower half of an int64 is its value modulo 2^32, which is what `|` makes of a number.
  state = crc32Words(state, Math.floor(ctime / 0x1_0000_0000), ctime | 0)
  state = crc32Words(state, Math.floor(mtime / 0x1_0000_0000), mtime | 0)
  state = crc32Words(state, node.version, node.cversion)
  state = crc32Words(state, node.aversion, highOf(node.ephemeralOwner))
  return ~crc32Word(state, lowOf(node.ephemeralOwner)) >>> 0
}

/** The same of a znode whose sixty bytes lie in `view` at `at`; signed. */
export function placedDigest(content: number, view: DataView, at: number): number {
  let state = ~content
  for (let offset = 0; offset < digestedSize - 4; offset += 8) state = crc32Words(state, view.getInt32(at + offset), view.getInt32(at + offset + 4))
  return ~crc32Word(state, view.getInt32(at + digestedSize - 4))
}

/** A sum modulo 2^64 in two halves: cheaper than a bigint for every change. */
export class DigestSum {
  #high = 0
  #low = 0

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
    return int64Of(this.#high, this.#low)
  }
}
