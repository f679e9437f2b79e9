/** Which snapshots and logs may go: autopurge, and what zkCleanup.sh does by hand (PurgeTxnLog). */
import type { Disk } from '../../host/host.ts'
import { foldersOf, listZxidFiles, type ZxidFile } from './folders.ts'
import { snapshotRefusal } from './snapshot-read.ts'

/** Apache keeps no fewer, whatever is asked. */
export const retainCountMin = 3

/**
 * Removes all but the newest `retainCount` valid snapshots, and the logs that none of these needs: a kept snapshot is
 * completed by transactions from its zxid on, and the log that holds them may have begun before it. Returns what was removed.
 */
export async function purge(disk: Disk, { dataDir, dataLogDir, retainCount }: { dataDir: string; dataLogDir?: string | undefined; retainCount: number }): Promise<string[]> {
  const folders = foldersOf(dataDir, dataLogDir)
  const kept: ZxidFile[] = []
  const snapshots = await listZxidFiles(disk, folders.snapshots, 'snapshot')
  for (const snapshot of snapshots.toReversed()) {
    if ((await snapshotRefusal(disk, snapshot.path, snapshot.suffix)) !== undefined) continue
    kept.push(snapshot)
    if (kept.length >= Math.max(retainCountMin, retainCount)) break
  }
  const oldest = kept.at(-1)
  if (!oldest) return []
  const logs = await listZxidFiles(disk, folders.logs, 'log')
  const needed = logs.findLast((log) => log.zxid <= oldest.zxid)
  const removed: string[] = []
  for (const file of [...snapshots.filter((snapshot) => snapshot.zxid < oldest.zxid), ...logs.filter((log) => needed !== undefined && log.zxid < needed.zxid)]) {
    await disk.remove(file.path)
    removed.push(file.path)
  }
  return removed
}
