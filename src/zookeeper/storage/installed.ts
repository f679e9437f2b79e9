/**
 * `<dataDir>/version-2/installed`: zxid, in hexadecimal, of the last snapshot that a leader sent. Snapshots and logs of before may end with
 * transactions that the ensemble never committed, and nothing in them shows it; so they are kept, and never continued by what came after.
 * Apache's server does not know the file and needs nothing of it.
 */
import { join } from 'node:path'
import type { Disk } from '../../host/host.ts'
import { hexZxid, type Folders } from './folders.ts'
import { StorageError } from './storage-error.ts'

export const installedPath = ({ snapshots }: Folders): string => join(snapshots, 'installed')

/** −1: no leader has sent a snapshot. */
export async function readInstalled(disk: Disk, folders: Folders): Promise<bigint> {
  const path = installedPath(folders)
  if (!(await disk.facts(path))) return -1n
  const text = (await disk.readFile(path)).toString('latin1').trim()
  if (!/^[0-9a-f]{1,16}$/.test(text)) throw new StorageError(path, 0, `holds ${JSON.stringify(text.slice(0, 40))} where the zxid of a snapshot was expected. Restore it from a copy, or remove it when snapshots and logs of this folder come from one copy`)
  return BigInt.asIntN(64, BigInt(`0x${text}`))
}
export async function writeInstalled(disk: Disk, folders: Folders, zxid: bigint): Promise<void> {
  await disk.replaceFile(installedPath(folders), hexZxid(zxid), { durable: true, temporarySuffix: '.tmp' })
}
/** The leader has confirmed the history up to `zxid`: what came before a later snapshot is ours again. */
export async function forgetInstalled(disk: Disk, folders: Folders, zxid: bigint): Promise<void> {
  if ((await readInstalled(disk, folders)) <= zxid) return
  await disk.remove(installedPath(folders))
  await disk.syncDirectory(folders.snapshots)
}
