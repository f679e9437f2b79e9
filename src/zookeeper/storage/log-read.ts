/** Reads one transaction log from front to back, and tells a torn tail from damage. */
import type { Disk, DiskFile } from '../../host/host.ts'
import { checkLogHeader, entryAt, entryHeadSize, isZero, judgeTail, logHeaderSize, zxidOf } from './log-format.ts'
import { hexZxid } from './folders.ts'
import { StorageError } from './storage-error.ts'

const windowSize = 256 * 1024
/** More than this behind the last good entry is not looked into: no group of waiting writes is that large. */
const tailSizeMax = 512 * 1024 * 1024

export interface LogEntry {
  readonly zxid: bigint
  /** TxnHeader, body and digest: a window on a buffer that is used again, valid during the call. */
  readonly transaction: Buffer
  /** Where in the file the entry (its checksum) begins. */
  readonly position: number
}
export interface LogEnd {
  /** Behind the last good entry; 0 when not even the header was written. */
  readonly end: number
  readonly entryCount: number
  readonly zxidLast: bigint | undefined
  /** Present when a write was interrupted: bytes behind `end` that were never acknowledged. `laterEntry`: among them whole entries. */
  readonly torn?: { readonly size: number; readonly laterEntry: boolean }
  /** Entries whose end mark is damaged, by position; their checksums prove them. */
  readonly endMarksDamaged: readonly number[]
}

/**
 * Calls `visit` for every entry, in order. In the newest file (`newest`), what stands behind the last good entry is judged:
 * a torn tail is reported, damage throws a StorageError. Older files end where Apache's reader ends them, at the first
 * thing that is no entry; what is missing then shows as a gap to the next file.
 */
export async function readLog(disk: Disk, path: string, newest: boolean, visit: (entry: LogEntry) => void): Promise<LogEnd> {
  const file = await disk.open(path, 'read')
  try {
    const fileSize = await file.size()
    const head = Buffer.alloc(logHeaderSize)
    const got = await file.read(head, 0)
    // Interrupted before the first transaction was durable: zeros, or nothing at all.
    if ((got < logHeaderSize || isZero(head, 0, got)) && (await sizeWithoutZeros(file, got, fileSize)) <= got) return { end: 0, entryCount: 0, zxidLast: undefined, endMarksDamaged: [] }
    checkLogHeader(path, head.subarray(0, got))
    return await readEntries(file, fileSize, newest, visit)
  } finally {
    await file.close()
  }
}

async function readEntries(file: DiskFile, fileSize: number, newest: boolean, visit: (entry: LogEntry) => void): Promise<LogEnd> {
  let window = Buffer.allocUnsafe(Math.min(windowSize, Math.max(fileSize, entryHeadSize)))
  /** What the window holds of the file: [start, start + filled). */
  let start = logHeaderSize
  let filled = await file.read(window, start)
  let at = 0
  let entryCount = 0
  let zxidLast: bigint | undefined
  const endMarksDamaged: number[] = []
  const done = (torn?: LogEnd['torn']): LogEnd => ({ end: start + at, entryCount, zxidLast, endMarksDamaged, ...(torn && { torn }) })
  for (;;) {
    const found = entryAt(window, at, filled)
    if (found.kind === 'entry') {
      const zxid = zxidOf(found.transaction)
      if (found.endMarkDamaged) endMarksDamaged.push(start + at)
      visit({ zxid, transaction: found.transaction, position: start + at })
      zxidLast = zxid
      entryCount++
      at = found.next
      continue
    }
    if (found.kind === 'more' && start + at + found.size <= fileSize) {
      if (found.size > window.length) {
        const larger = Buffer.allocUnsafe(found.size)
        window.copy(larger, 0, at, filled)
        window = larger
      } else window.copy(window, 0, at, filled)
      filled -= at
      start += at
      at = 0
      const read = await file.read(window.subarray(filled), start + filled)
      filled += read
      if (read > 0) continue
    }
    const position = start + at
    const end = await sizeWithoutZeros(file, position, fileSize)
    if (end <= position) return done()
    if (!newest) return done({ size: end - position, laterEntry: false })
    if (end - position > tailSizeMax) throw damaged(file.path, position, zxidLast, 'what follows is no transaction')
    const rest = Buffer.allocUnsafe(end - position)
    await file.read(rest, position)
    const verdict = judgeTail(rest, position, fileSize)
    if (!verdict.torn) throw damaged(file.path, position, zxidLast, found.kind === 'bad' ? found.reason : `a transaction of ${found.size} bytes that the file does not hold`)
    return done({ size: rest.length, laterEntry: verdict.laterEntry })
  }
}

function damaged(path: string, position: number, zxidLast: bigint | undefined, reason: string): StorageError {
  return new StorageError(
    path,
    position,
    `${reason}. The last good transaction before it is ${zxidLast === undefined ? 'none' : `0x${hexZxid(zxidLast)}`}. This is damage, not an interrupted write, and what follows may have been acknowledged: ` +
      `restore the file from a copy, or cut it at byte ${position} to give up what follows`,
  )
}

/** Position behind the last byte from `from` on that is not zero; `from` when there is none. */
async function sizeWithoutZeros(file: DiskFile, from: number, fileSize: number): Promise<number> {
  const window = Buffer.allocUnsafe(Math.min(windowSize, Math.max(1, fileSize - from)))
  let end = from
  for (let position = from; position < fileSize; ) {
    const size = await file.read(window, position)
    if (size === 0) break
    if (!isZero(window, 0, size)) {
      let last = size - 1
      while (window[last] === 0) last--
      end = position + last + 1
    }
    position += size
  }
  return end
}
