/** Where files lie and how they are called: `<dataDir>/version-2/snapshot.<zxid>`, `<dataLogDir>/version-2/log.<zxid>`, zxids in lower-case hex. */
import { join } from 'node:path'
import type { Disk } from '../../host/host.ts'
import { StorageError } from './storage-error.ts'

export interface Folders {
  /** `<dataDir>/version-2`: snapshots and epoch files. */
  readonly snapshots: string
  /** `<dataLogDir>/version-2`: transaction logs. */
  readonly logs: string
  /** `<dataLogDir>`: holds the `initialize` marker. */
  readonly logRoot: string
}
export function foldersOf(dataDir: string, dataLogDir: string = dataDir): Folders {
  return { snapshots: join(dataDir, 'version-2'), logs: join(dataLogDir, 'version-2'), logRoot: dataLogDir }
}

/** A file named after a zxid. */
export interface ZxidFile {
  readonly name: string
  readonly path: string
  readonly zxid: bigint
  /** What stands behind the zxid: '' for a plain file, `gz` and `snappy` for compressed snapshots. */
  readonly suffix: string
}

/** The files `<prefix>.<hex zxid>[.<suffix>]` of a folder, oldest first. Anything else in the folder is nobody's business. */
export async function listZxidFiles(disk: Disk, folder: string, prefix: 'log' | 'snapshot'): Promise<ZxidFile[]> {
  const found: ZxidFile[] = []
  for (const name of await disk.list(folder)) {
    const match = /^([a-z]+)\.([0-9a-fA-F]{1,16})(?:\.(gz|snappy))?$/.exec(name)
    if (match?.[1] !== prefix || (prefix === 'log' && match[3])) continue
    found.push({ name, path: join(folder, name), zxid: BigInt.asIntN(64, BigInt(`0x${match[2]}`)), suffix: match[3] ?? '' })
  }
  return found.sort((a, b) => (a.zxid < b.zxid ? -1 : a.zxid > b.zxid ? 1 : 0))
}

/** What follows the dot in a file name, and what people read in messages behind `0x`. */
export const hexZxid = (zxid: bigint): string => BigInt.asUintN(64, zxid).toString(16)

/**
 * Makes both folders and checks that they were not swapped: Apache's server refuses a log folder with snapshots in it
 * and a snapshot folder with logs in it when the two are apart (FileTxnSnapLog).
 */
export async function prepareFolders(disk: Disk, folders: Folders, { create = true }: { create?: boolean } = {}): Promise<void> {
  for (const folder of new Set([folders.snapshots, folders.logs])) {
    const facts = await disk.facts(folder)
    if (facts && facts.kind !== 'directory') throw new StorageError(folder, undefined, 'is a file where a folder was expected; move it away or choose another dataDir')
    if (facts) continue
    if (!create) throw new StorageError(folder, undefined, 'does not exist, and zookeeper.datadir.autocreate=false forbids to make it; create it or correct dataDir')
    await disk.makeDirectory(folder)
  }
  if (folders.logs === folders.snapshots) return
  const strayIn = async (folder: string, prefix: 'log' | 'snapshot') => (await listZxidFiles(disk, folder, prefix))[0]
  const snapshot = await strayIn(folders.logs, 'snapshot')
  if (snapshot) throw new StorageError(snapshot.path, undefined, 'is a snapshot in the folder of the transaction logs; dataDir and dataLogDir seem to be swapped')
  const log = await strayIn(folders.snapshots, 'log')
  if (log) throw new StorageError(log.path, undefined, 'is a transaction log in the folder of the snapshots; dataLogDir is not where the logs were written')
}
