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
  if (whole === step || (file !== undefined && members !== undefined) || args.rest.length > 0) throw new CommandError(usage)
  const version = args.value('v')
  if (version !== undefined && !/^[0-9a-fA-F]{1,16}$/.test(version)) throw new CommandError(`-v argument must be a hexadecimal version, and is '${version}'`)
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
  for (const { key, value } of parseProperties(text)) {
    if (key === 'version') version = value
    const client = /^server\.\d+$/.test(key) ? /^([^:]+):.*;(?:(.*):)?(\d+)$/.exec(value) : null
    if (client) servers.push(`${client[2] && client[2] !== '0.0.0.0' ? client[2] : client[1]}:${client[3]}`)
  }
  return `${version} ${servers.join(',')}`
}
