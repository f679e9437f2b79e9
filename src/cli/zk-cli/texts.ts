/** How znodes, ACLs and errors look in zkCli.sh: word for word as in Apache's. */
import { errorCode, errorText } from '../../zookeeper/protocol/errors.ts'
import { permission } from '../../zookeeper/protocol/op-codes.ts'
import type { Acl, Stat } from '../../zookeeper/protocol/records.ts'
import { ZooKeeperError } from '../../zookeeper/client/errors.ts'

const hex = (value: bigint): string => `0x${BigInt.asUintN(64, value).toString(16)}`

export function statLines(stat: Stat): string[] {
  return [
    `cZxid = ${hex(stat.czxid)}`,
    `ctime = ${javaDate(stat.ctime)}`,
    `mZxid = ${hex(stat.mzxid)}`,
    `mtime = ${javaDate(stat.mtime)}`,
    `pZxid = ${hex(stat.pzxid)}`,
    `cversion = ${stat.cversion}`,
    `dataVersion = ${stat.version}`,
    `aclVersion = ${stat.aversion}`,
    `ephemeralOwner = ${hex(stat.ephemeralOwner)}`,
    `dataLength = ${stat.dataLength}`,
    `numChildren = ${stat.numChildren}`,
  ]
}

/** As java.util.Date prints itself: `Fri Nov 20 04:20:11 UTC 2026`, in the local zone. */
export function javaDate(ms: number): string {
  const date = new Date(ms)
  const [weekday, month, day, year, time] = date.toString().split(' ')
  return `${weekday} ${month} ${day} ${time} ${zoneName(date)} ${year}`
}
/** Zones have short names in the English of those who live there; elsewhere they are offsets. */
function zoneName(date: Date): string {
  let name = 'UTC'
  for (const locale of ['en-US', 'en-GB', 'en-AU', 'en-IN', 'en-ZA']) {
    name = new Intl.DateTimeFormat(locale, { timeZoneName: 'short' }).formatToParts(date).find(({ type }) => type === 'timeZoneName')?.value ?? name
    if (!/^(GMT|UTC)[+-]/.test(name)) return name
  }
  return name
}

/** Letters of permissions, and the order they are shown in. */
const letters = [['c', permission.create], ['d', permission.delete], ['r', permission.read], ['w', permission.write], ['a', permission.admin]] as const

export function permissionText(perms: number): string {
  return letters.map(([letter, bit]) => (perms & bit ? letter : '')).join('')
}
export function aclLines(acl: readonly Acl[]): string[] {
  return acl.flatMap(({ id, perms }) => [`'${id.scheme},'${id.id}`, `: ${permissionText(perms)}`])
}
/** `scheme:id:perms,…`; what cannot be read is told through `complain` and left out, as Apache's AclParser does. */
export function parseAcl(text: string, complain: (line: string) => void): Acl[] {
  const acl: Acl[] = []
  for (const entry of text.split(',')) {
    const first = entry.indexOf(':')
    const last = entry.lastIndexOf(':')
    if (first < 0 || first === last) {
      complain(`${entry} does not have the form scheme:id:perm`)
      continue
    }
    let perms = 0
    for (const letter of entry.slice(last + 1)) {
      const bit = letters.find(([known]) => known === letter)?.[1]
      if (bit === undefined) complain(`Unknown perm type: ${letter}`)
      else perms |= bit
    }
    acl.push({ perms, id: { scheme: entry.slice(0, first), id: entry.slice(first + 1, last) } })
  }
  return acl
}

const sentences = new Map<number, string>([
  [errorCode.noNode, 'Node does not exist: '],
  [errorCode.noChildrenForEphemerals, 'Ephemerals cannot have children: '],
  [errorCode.nodeExists, 'Node already exists: '],
  [errorCode.notEmpty, 'Node not empty: '],
  [errorCode.notReadOnly, 'Not a read-only call: '],
  [errorCode.invalidACL, 'Acl is not valid : '],
  [errorCode.noAuth, 'Insufficient permission : '],
  [errorCode.badArguments, 'Arguments are not valid : '],
  [errorCode.badVersion, 'version No is not valid : '],
  [errorCode.quotaExceeded, 'Quota has exceeded : '],
])
/** Java's text of the code: `KeeperErrorCode = NoAuth for /a`. */
export function keeperText({ code, path }: ZooKeeperError): string {
  return `KeeperErrorCode = ${errorText(code)}${path ? ` for ${path}` : ''}`
}
/** What a person reads when the server refused something. */
export function refusalText(error: ZooKeeperError): string {
  const sentence = sentences.get(error.code)
  if (sentence !== undefined) return `${sentence}${error.path ?? 'null'}`
  if (error.code === errorCode.reconfigInProgress) return 'Another reconfiguration is in progress -- concurrent reconfigs not supported (yet)'
  if (error.code === errorCode.newConfigNoQuorum) {
    return 'No quorum of new config is connected and up-to-date with the leader of last commmitted config - try invoking reconfiguration after new servers are connected and synced'
  }
  // The code alone would hide why there is no connection.
  return error.code === errorCode.connectionLoss ? `${keeperText(error)}: ${error.message}` : keeperText(error)
}

/** The table that Apache's `get -x` prints. */
export function hexDump(bytes: Uint8Array): string[] {
  const rule = '+--------+-------------------------------------------------+----------------+'
  const lines = ['         +-------------------------------------------------+', '         |  0  1  2  3  4  5  6  7  8  9  a  b  c  d  e  f |', rule]
  for (let at = 0; at < bytes.length; at += 16) {
    const row = [...bytes.subarray(at, at + 16)]
    const digits = row.map((byte) => byte.toString(16).padStart(2, '0')).join(' ')
    const shown = row.map((byte) => (byte > 0x1f && byte < 0x7f ? String.fromCharCode(byte) : '.')).join('')
    lines.push(`|${at.toString(16).padStart(8, '0')}| ${digits.padEnd(47)} |${shown.padEnd(16)}|`)
  }
  return [...lines, rule]
}
