/** Gives up what a leader does not know: everything behind a transaction goes from the logs. */
import type { Host } from '../../host/host.ts'
import { hexZxid, listZxidFiles, type Folders } from './folders.ts'
import { readLog } from './log-read.ts'
import { StorageError } from './storage-error.ts'

/**
 * Durably removes all transactions behind `zxid`, and the snapshots that hold any of them. Nothing may be writing to the folders.
 * Rejects with a StorageError where no snapshot would be left: then only the leader's own can help.
 */
export async function truncateHistory({ disk, logger }: Host, folders: Folders, zxid: bigint): Promise<void> {
  const snapshots = await listZxidFiles(disk, folders.snapshots, 'snapshot')
  const later = snapshots.filter((file) => file.zxid > zxid)
  if (later.length > 0 && later.length === snapshots.length)
    throw new StorageError(folders.snapshots, undefined, `the leader asks to give up everything behind 0x${hexZxid(zxid)}, and all snapshots are later than that. Move the files of this folder away: the leader then sends a snapshot`)
  const logs = await listZxidFiles(disk, folders.logs, 'log')
  // The latest first: whatever a crash leaves is a history without a gap.
  for (const log of logs.toReversed()) {
    if (log.zxid > zxid) {
      await disk.remove(log.path)
      continue
    }
    let cut: number | undefined
    await readLog(disk, log.path, false, (entry) => {
      if (entry.zxid > zxid) cut ??= entry.position
    })
    if (cut === undefined) continue
    const file = await disk.open(log.path, 'write')
    try {
      await file.truncate(cut)
      await file.sync()
    } finally {
      await file.close()
    }
    logger.info('a log is cut', { file: log.path, position: cut, behind: `0x${hexZxid(zxid)}` })
  }
  await disk.syncDirectory(folders.logs)
  for (const { path } of later) await disk.remove(path)
  await disk.syncDirectory(folders.snapshots)
}
