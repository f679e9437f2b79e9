/** `ottla.json` in a data folder: what was started there last, so that the next start goes on with it and `ottla status` finds it. */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ClusterRecord } from './up-layout.ts'
import { UsageError } from './usage-error.ts'

const fileOf = (dataDir: string): string => join(dataDir, 'ottla.json')

/** Undefined when nothing was started there yet. Throws a UsageError for a file that says something else. */
export function readRecord(dataDir: string): ClusterRecord | undefined {
  let text: string
  try {
    text = readFileSync(fileOf(dataDir), 'utf8')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    // What is wrong with the folder itself is said by whoever uses it.
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    throw error
  }
  try {
    return checked(JSON.parse(text))
  } catch (cause) {
    throw new UsageError(`${fileOf(dataDir)} is damaged (${(cause as Error).message}). It says which ports were used last; remove it to choose them anew, and start with the --brokers and --coordinators of this folder`, { cause })
  }
}
function checked(value: unknown): ClusterRecord {
  const { host, brokers, coordinators } = value as ClusterRecord
  const isPort = (port: unknown): boolean => Number.isInteger(port) && (port as number) >= 0 && (port as number) <= 65535
  if (typeof host !== 'string' || !Array.isArray(brokers) || !Array.isArray(coordinators)) throw new Error('host, brokers and coordinators are wanted')
  for (const { id, port } of brokers) if (!Number.isInteger(id) || !isPort(port)) throw new Error('a broker has an id and a port')
  for (const { id, port, quorum, election } of coordinators) if (!Number.isInteger(id) || ![port, quorum, election].every(isPort)) throw new Error('a coordinator has an id and three ports')
  return { host, brokers, coordinators }
}

export function writeRecord(dataDir: string, record: ClusterRecord): void {
  mkdirSync(dataDir, { recursive: true })
  const file = fileOf(dataDir)
  writeFileSync(`${file}.tmp`, `${JSON.stringify(record, undefined, 2)}\n`)
  renameSync(`${file}.tmp`, file)
}
