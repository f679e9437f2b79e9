/**
 * A transaction log file, Apache's version 2:
 *
 *     file    := header entry* zeros
 *     header  := 'ZKLG' version:int32=2 dbid:int64=0
 *     entry   := adler32(transaction):int64 size:int32 transaction:size bytes 'B'
 */
import { adler32 } from '../../wire/adler32.ts'
import { StorageError } from './storage-error.ts'

export const logHeaderSize = 16
const magic = 0x5a4b4c47 // ZKLG
const version = 2
const endMark = 0x42 // B
/** Checksum and size before a transaction, end mark behind it. */
export const entryHeadSize = 12
export const entryExtraSize = entryHeadSize + 1
/** Every transaction begins with its header: clientId:int64 cxid:int32 zxid:int64 time:int64 type:int32. */
const transactionSizeMin = 32
const zxidOffset = 12

export const logHeader = (): Buffer => {
  const header = Buffer.alloc(logHeaderSize)
  header.writeInt32BE(magic, 0)
  header.writeInt32BE(version, 4)
  return header
}

/** Refuses what is not a log of version 2. `size` is the whole file's. */
export function checkLogHeader(path: string, head: Buffer): void {
  if (head.length < logHeaderSize) throw new StorageError(path, 0, `a transaction log begins with ${logHeaderSize} bytes of header, and this file has ${head.length}; restore it from a copy`)
  if (head.readInt32BE(0) !== magic) throw new StorageError(path, 0, `a transaction log begins with "ZKLG", and this file with 0x${head.toString('hex', 0, 4)}; restore it from a copy`)
  if (head.readInt32BE(4) !== version) throw new StorageError(path, 4, `a transaction log of version ${head.readInt32BE(4)}, and only version ${version} is known; restore it from a copy`)
}

/** Writes one entry at `at` of `into` and returns where the next one goes. */
export function writeEntry(transaction: Uint8Array, into: Buffer, at: number): number {
  into.writeInt32BE(0, at)
  into.writeUInt32BE(adler32(transaction), at + 4)
  into.writeInt32BE(transaction.length, at + 8)
  into.set(transaction, at + entryHeadSize)
  into[at + entryHeadSize + transaction.length] = endMark
  return at + entryExtraSize + transaction.length
}

export const zxidOf = (transaction: Buffer): bigint => transaction.readBigInt64BE(zxidOffset)

/** What stands at `at` of a window on the file. */
export type EntryAt =
  | { kind: 'entry'; transaction: Buffer; next: number; endMarkDamaged: boolean }
  /** Not all of it is in the window: `size` bytes from `at` would be. */
  | { kind: 'more'; size: number }
  | { kind: 'bad'; reason: string }

export function entryAt(window: Buffer, at: number, end: number): EntryAt {
  if (end - at < entryHeadSize) return { kind: 'more', size: entryHeadSize }
  const size = window.readInt32BE(at + 8)
  if (size < transactionSizeMin) return { kind: 'bad', reason: `a transaction of ${size} bytes, which cannot hold its header` }
  if (end - at < size + entryExtraSize) return { kind: 'more', size: size + entryExtraSize }
  const transaction = window.subarray(at + entryHeadSize, at + entryHeadSize + size)
  const next = at + entryExtraSize + size
  if (window.readInt32BE(at) !== 0 || window.readUInt32BE(at + 4) !== adler32(transaction)) {
    return { kind: 'bad', reason: `the checksum says 0x${window.toString('hex', at, at + 8)}, the transaction's ${size} bytes give 0x${adler32(transaction).toString(16).padStart(16, '0')}` }
  }
  // The checksum proves the transaction whole, whatever became of the one byte behind it.
  return { kind: 'entry', transaction, next, endMarkDamaged: window[next - 1] !== endMark }
}

/** A file system gives back what reached the disk in pieces no smaller than this, and zeros for the rest. */
const sectorSize = 512
const pageSize = 4096
/** Fewer zeros than these at the end of a sector may be part of a transaction; the first bytes of one are its checksum, 0 in the upper half. */
const holeMin = 32
const holeMinFirst = 5

/**
 * Whether the bytes behind the last good entry are what a write leaves that a power cut interrupted, or damage to
 * something that had been written and acknowledged. Only the first may be cut off.
 *
 * A write that never finished lacks its end, cut off by the end of the file or still the zeros of the preallocation, or
 * lacks whole sectors in its middle. A damaged entry has all its sectors, and its end mark. `rest` are the bytes from
 * `position` up to the last one that is not zero (there is one); `fileSize` is the file's.
 */
export function judgeTail(rest: Buffer, position: number, fileSize: number): { torn: true; laterEntry: boolean } | { torn: false } {
  const later = findEntry(rest, 1)
  if (later >= 0) return hasHole(rest, position, later, pageSize) ? { torn: true, laterEntry: true } : { torn: false }
  const torn = { torn: true, laterEntry: false } as const
  // No entry is that short: damage there has hit unused space, or a write has stopped there.
  if (rest.length < entryHeadSize) return torn
  const size = rest.readInt32BE(8)
  const claimed = size >= transactionSizeMin ? size + entryExtraSize : 0
  if (claimed > rest.length || position + claimed > fileSize) {
    // When the checksum fits everything up to an end mark, then nothing is missing and the size is wrong.
    const whole = rest[rest.length - 1] === endMark && rest.readUInt32BE(4) === adler32(rest.subarray(entryHeadSize, -1))
    return whole ? { torn: false } : torn
  }
  return hasHole(rest, position, rest.length, sectorSize) ? torn : { torn: false }
}

/** Whether a whole sector, as far as it belongs to [0, end) of `rest`, is zeros. */
function hasHole(rest: Buffer, position: number, end: number, unit: number): boolean {
  for (let at = 0; at < end; ) {
    const sectorEnd = Math.min(end, at + unit - ((position + at) % unit))
    if (sectorEnd - at >= (at === 0 ? holeMinFirst : holeMin) && isZero(rest, at, sectorEnd)) return true
    at = sectorEnd
  }
  return false
}

/** Where, from `from` on, an entry stands whose checksum and end mark are right; −1 if none does. */
function findEntry(bytes: Buffer, from: number): number {
  const last = bytes.length - entryExtraSize - transactionSizeMin
  for (let at = from; at <= last; at++) {
    if (bytes[at] !== 0 || bytes[at + 1] !== 0 || bytes[at + 2] !== 0 || bytes[at + 3] !== 0) continue
    const size = bytes.readInt32BE(at + 8)
    if (size < transactionSizeMin || size > bytes.length - at - entryExtraSize) continue
    if (bytes[at + entryHeadSize + size] !== endMark) continue
    if (bytes.readUInt32BE(at + 4) === adler32(bytes.subarray(at + entryHeadSize, at + entryHeadSize + size))) return at
  }
  return -1
}

const zeros = Buffer.alloc(64 * 1024)
export function isZero(bytes: Buffer, from: number, end: number): boolean {
  for (let at = from; at < end; at += zeros.length) {
    const size = Math.min(zeros.length, end - at)
    if (bytes.compare(zeros, 0, size, at, at + size) !== 0) return false
  }
  return true
}
