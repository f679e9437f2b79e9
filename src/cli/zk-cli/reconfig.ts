/** Changes of an ensemble's membership, and its configuration in one line. */
import { readFileSync } from 'node:fs'
import type { ZooKeeperClient } from '../../zookeeper/client/client.ts'
import type { Stat } from '../../zookeeper/protocol/records.ts'
import { parseProperties } from '../../wire/properties.ts'
import { CommandError, type Arguments } from './words.ts'

export async function reconfigure(client: ZooKeeperClient, args: Arguments, usage: string): Promise<{ data: Buffer | null; stat: Stat }> {
  const file = args.value('file')
  const members = args.value('members')
  const joining = args.value('add')
  const leaving = args.value('remove')
  const whole = file !== undefined || members !== undefined
  const step = joining !== undefined || leaving !== undefined
  if ((!whole && !step) || args.rest.length > 0) throw new CommandError(usage)
  const version = args.value('v')
  if (version !== undefined && !/^[0-9a-fA-F]{1,16}$/.test(version)) throw new CommandError('-v must be followed by a long (configuration version)')
  if (whole && step) throw new CommandError("Can't use -file or -members together with -add or -remove (mixing incremental and non-incremental modes is not allowed)")
  if (file !== undefined && members !== undefined) throw new CommandError("Can't use -file and -members together (conflicting non-incremental modes)")
  return client.reconfig({
    ...(version !== undefined && { version: BigInt.asIntN(64, BigInt(`0x${version}`)) }),
    ...(whole ? { members: (members ?? membersOf(file!)).toLowerCase() } : { ...(joining !== undefined && { joining: joining.toLowerCase() }), ...(leaving !== undefined && { leaving: leaving.toLowerCase() }) }),
  })
}
/** The server lines of a dynamic configuration file. */
function membersOf(file: string): string {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (cause) {
    throw new CommandError(`Error processing ${file}: ${(cause as Error).message}`, 1, { cause })
  }
  const lines = parseProperties(text).filter(({ key }) => /^(server|group|weight)\.\d+$/.test(key))
  if (lines.length === 0) throw new CommandError(`Error processing ${file}: it has no line server.N=host:port1:port2;port3`)
  return lines.map(({ key, value }) => `${key}=${value}`).join(',')
}

/** `<version> host:port,…`: what a client needs to know to connect. */
export function shortConfig(text: string): string {
  let version = ''
  const servers: string[] = []
  for (const { key, value } of javaOrder(parseProperties(text))) {
    if (key === 'version') version = value
    const client = /^server\.\d+$/.test(key) ? /^([^:]+):.*;(?:(.*):)?(\d+)$/.exec(value) : null
    if (client) servers.push(`${client[2] && client[2] !== '0.0.0.0' ? client[2] : client[1]}:${client[3]}`)
  }
  return `${version} ${servers.join(',')}`
}

/** As Java's properties walk through their entries: by the hash of the key, in a table that grows when three quarters are full. */
function javaOrder<Entry extends { readonly key: string }>(entries: readonly Entry[]): Entry[] {
  let size = 16
  while (entries.length >= size * 0.75) size *= 2
  const bucketOf = (key: string): number => {
    let hash = 0
    for (let at = 0; at < key.length; at++) hash = (Math.imul(hash, 31) + key.charCodeAt(at)) | 0
    return (hash ^ (hash >>> 16)) & (size - 1)
  }
  return entries.toSorted((a, b) => bucketOf(a.key) - bucketOf(b.key))
}
