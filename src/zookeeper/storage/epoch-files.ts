/** `currentEpoch` and `acceptedEpoch`: what a member of an ensemble has promised, as decimal text without a newline. */
import { join } from 'node:path'
import type { Disk } from '../../host/host.ts'
import { StorageError } from './storage-error.ts'

export type EpochFile = 'currentEpoch' | 'acceptedEpoch'

/** The epoch in `<folder>/<name>`, or undefined where the file does not exist. `folder` is `<dataDir>/version-2`. */
export async function readEpoch(disk: Disk, folder: string, name: EpochFile): Promise<number | undefined> {
  const path = join(folder, name)
  if (!(await disk.facts(path))) return undefined
  const text = (await disk.readFile(path)).toString('latin1').trim()
  if (!/^\d{1,10}$/.test(text) || Number(text) > 0x7fff_ffff) throw new StorageError(path, 0, `an epoch is a decimal number up to 2147483647, and the file holds ${JSON.stringify(text.slice(0, 40))}; restore it from a copy`)
  return Number(text)
}

/** Replaces the file and makes it durable; a promise to the ensemble may be sent once this has resolved. */
export async function writeEpoch(disk: Disk, folder: string, name: EpochFile, epoch: number): Promise<void> {
  if (!Number.isInteger(epoch) || epoch < 0 || epoch > 0x7fff_ffff) throw new RangeError(`${epoch} is not an epoch`)
  await disk.replaceFile(join(folder, name), String(epoch), { durable: true, temporarySuffix: '.tmp' })
}
