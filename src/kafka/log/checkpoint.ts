/**
 * Checkpoint files: text, one entry a line (CheckpointFile).
 *
 *     0\n count\n entry\n …        entry := topic SP partition SP offset    or    epoch SP startOffset
 *
 * Written beside and renamed over. An empty file means no entries. Anything else wrong is an error; who reads goes on without.
 */
import type { Disk } from '../../host/host.ts'
import { CorruptFileError } from './corrupt-file-error.ts'

/** The words of each entry; undefined when there is no file. */
export async function readCheckpoint(disk: Disk, path: string, words: number): Promise<string[][] | undefined> {
  if (!(await disk.facts(path))) return undefined
  const text = (await disk.readFile(path)).toString('utf8')
  return parseCheckpoint(path, text, words)
}

export function parseCheckpoint(path: string, text: string, words: number): string[][] {
  if (text.length === 0) return []
  let position = 0
  const lines = text.split('\n')
  const lineAt = (index: number): string => {
    position = lines.slice(0, index).reduce((sum, line) => sum + line.length + 1, 0)
    return lines[index] ?? ''
  }
  if (lineAt(0) !== '0') throw new CorruptFileError(path, position, `version '${lines[0].slice(0, 40)}'; known is 0`)
  const countText = lineAt(1)
  const count = Number(countText)
  if (!/^\d{1,9}$/.test(countText)) throw new CorruptFileError(path, position, `'${countText.slice(0, 40)}' where the number of entries stands`)
  // A last line without its end is a write cut off.
  if (lines.length - 3 !== count || lines[lines.length - 1] !== '') throw new CorruptFileError(path, text.length, `${count} entries announced, ${lines.length - 3} complete lines found`)
  return lines.slice(2, -1).map((line, index) => {
    const entry = line.split(/\s+/)
    if (entry.length !== words) {
      lineAt(index + 2)
      throw new CorruptFileError(path, position, `'${line.slice(0, 80)}' has ${entry.length} words, ${words} expected`)
    }
    return entry
  })
}

export function checkpointText(entries: readonly string[]): string {
  return `0\n${entries.length}\n${entries.map((entry) => `${entry}\n`).join('')}`
}

/** Offsets by `topic-partition`, the key every map of this room uses. */
export async function readOffsets(disk: Disk, path: string): Promise<Map<string, number>> {
  const offsets = new Map<string, number>()
  for (const [topic, partition, offset] of (await readCheckpoint(disk, path, 3)) ?? []) {
    const value = Number(offset)
    if (!/^\d+$/.test(partition) || !/^-?\d+$/.test(offset) || !Number.isSafeInteger(value)) throw new CorruptFileError(path, 0, `'${topic} ${partition} ${offset}' is no topic, partition and offset`)
    offsets.set(`${topic}-${partition}`, value)
  }
  return offsets
}

export interface PartitionOffset {
  topic: string
  partition: number
  offset: number
}
export async function writeOffsets(disk: Disk, path: string, offsets: readonly PartitionOffset[]): Promise<void> {
  await disk.replaceFile(path, checkpointText(offsets.map(({ topic, partition, offset }) => `${topic} ${partition} ${offset}`)))
}
