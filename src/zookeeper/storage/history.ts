/** What the logs still hold of the past: for a member of an ensemble that was away longer than transactions are kept in memory. */
import type { Disk } from '../../host/host.ts'
import type { LoggedTransaction } from '../znodes/store.ts'
import { listZxidFiles, type Folders } from './folders.ts'
import { readLog } from './log-read.ts'

/** Whatever the configuration allows, no more than this is held in memory for one member. */
const historySizeMax = 128 * 1024 * 1024

/** Ends a read early; no Error, nobody sees it. */
class Enough {
  readonly isWhole: boolean
  constructor(isWhole: boolean) {
    this.isWhole = isWhole
  }
}

/**
 * The last transaction up to `from` and all behind it, up to `below` (excluded), in order; undefined where the logs do not hold all of that
 * without a gap, or it is more than `sizeMax` bytes (0: any size). `since`: what is older is another history (see installed.ts).
 */
export async function readHistory(disk: Disk, folders: Folders, { from, below, since, sizeMax }: { from: bigint; below: bigint; since: bigint; sizeMax: number }): Promise<LoggedTransaction[] | undefined> {
  if (from < since) return undefined
  const limit = sizeMax > 0 ? Math.min(sizeMax, historySizeMax) : historySizeMax
  const logs = await listZxidFiles(disk, folders.logs, 'log')
  const first = logs.findLastIndex((log) => log.zxid <= from)
  if (first < 0) return undefined
  // A snapshot between two epochs is what a leader sent: before it may stand what was never committed.
  const snapshots = (await listZxidFiles(disk, folders.snapshots, 'snapshot')).map((file) => file.zxid)
  const isContinuous = (last: bigint, next: bigint): boolean => follows(next, last) && !snapshots.some((snapshot) => snapshot > last && snapshot < next)
  let found: LoggedTransaction[] = []
  let size = 0
  try {
    for (const { path } of logs.slice(first)) {
      // What is being written at the end of the newest file is behind `below`, and looks like the file's end until it is there.
      await readLog(disk, path, false, ({ zxid, transaction }) => {
        if (zxid >= below) throw new Enough(true)
        const last = found.at(-1)
        if (last && !isContinuous(last.zxid, zxid)) throw new Enough(false)
        if (zxid <= from) {
          found = []
          size = 0
        }
        size += transaction.length
        if (size > limit) throw new Enough(false)
        found.push({ zxid, bytes: Buffer.from(transaction) })
      })
    }
  } catch (end) {
    if (!(end instanceof Enough)) throw end
    if (!end.isWhole) return undefined
  }
  const last = found.at(-1)
  // What was not asked for has to continue it too: a leader's snapshot may stand right before it.
  if (!last || !isContinuous(last.zxid, below)) return undefined
  return found[0].zxid <= from && found[0].zxid >= since ? found : undefined
}

/** Transactions are numbered without a gap; a new epoch begins at 1. */
export function follows(zxid: bigint, last: bigint): boolean {
  return zxid === last + 1n || (zxid >> 32n > last >> 32n && (zxid & 0xffff_ffffn) <= 1n)
}
