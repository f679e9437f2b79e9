/**
 * `meta.properties` in the root of a log directory: which broker of which cluster it belongs to.
 *
 *     #\n #<date>\n broker.id=<n>\n version=0\n cluster.id=<22 characters>\n
 */
import { javaDate } from '../../wire/java-date.ts'
import { CorruptFileError } from './corrupt-file-error.ts'

export interface MetaProperties {
  brokerId: number | undefined
  clusterId: string | undefined
}

export function parseMetaProperties(path: string, text: string): MetaProperties {
  const values = new Map<string, string>()
  for (const line of text.split(/\r?\n/)) {
    const match = /^\s*([^#!\s=:]+)\s*[=:]\s*(.*?)\s*$/.exec(line)
    if (match) values.set(match[1], match[2])
  }
  const version = values.get('version')
  if (version !== '0')
    throw new CorruptFileError(
      path,
      0,
      version === undefined ? 'it names no version. If the directory is this broker\'s, delete the file: it is written again at the start' : `version ${version}; a broker in ZooKeeper mode has version 0 (version 1 is a KRaft broker's: use another log directory)`,
    )
  const id = values.get('broker.id')
  if (id !== undefined && !/^\d{1,10}$/.test(id)) throw new CorruptFileError(path, 0, `broker.id is '${id}'`)
  return { brokerId: id === undefined ? undefined : Number(id), clusterId: values.get('cluster.id') }
}

export function metaPropertiesText({ brokerId, clusterId, now }: { brokerId: number; clusterId: string; now: number }): string {
  return `#\n#${javaDate(now)}\nbroker.id=${brokerId}\nversion=0\ncluster.id=${clusterId}\n`
}
