/** Which strings are paths, and how a chroot is put before them and taken off again (Apache's PathUtils and ClientCnxn). */

/** Why `path` is not one, in Apache's words; undefined when it is. */
export function pathFault(path: string, sequential = false): string | undefined {
  const text = sequential ? `${path}1` : path
  if (text.length === 0) return 'Path length must be > 0'
  if (text[0] !== '/') return 'Path must start with / character'
  if (text === '/') return undefined
  if (text.endsWith('/')) return 'Path must not end with / character'
  for (let index = 1, start = 1; index <= text.length; index++) {
    const unit = index === text.length ? 0x2f : text.charCodeAt(index)
    if (unit === 0x2f) {
      const name = text.slice(start, index)
      if (name === '') return `empty node name specified @${index}`
      if (name === '.' || name === '..') return `relative paths not allowed @${index}`
      start = index + 1
    } else if (unit === 0) return `null character not allowed @${index}`
    else if (unit <= 0x1f || (unit >= 0x7f && unit <= 0x9f) || (unit >= 0xd800 && unit <= 0xf8ff) || (unit >= 0xfff0 && unit <= 0xffff)) {
      return `invalid character @${index}`
    }
  }
  return undefined
}

export interface ServerAddress {
  readonly host: string
  readonly port: number
}

/** `h1:p1,h2,[v6]:p/chroot`, port 2181 unless said. Everything from the first slash is the chroot; a lone slash is none. */
export function parseConnectString(text: string): { servers: ServerAddress[]; chroot: string } {
  const slash = text.indexOf('/')
  const chroot = slash < 0 ? '' : text.slice(slash).trim()
  const servers = (slash < 0 ? text : text.slice(0, slash))
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
    .map((part) => parseServer(part, text))
  if (servers.length === 0) throw new RangeError(`'${text}' names no ZooKeeper server: host:port,host:port/chroot is expected`)
  if (chroot === '' || chroot === '/') return { servers, chroot: '' }
  const fault = pathFault(chroot)
  if (fault) throw new RangeError(`the chroot '${chroot}' of '${text}' is not a path: ${fault}`)
  return { servers, chroot }
}

function parseServer(part: string, text: string): ServerAddress {
  const match = /^\[([^\]]+)\](?::(\d+))?$/.exec(part) ?? /^([^:]+)(?::(\d+))?$/.exec(part) ?? (part.split(':').length > 2 ? [part, part, undefined] : null)
  const port = Number(match?.[2] ?? 2181)
  if (!match?.[1] || port < 1 || port > 65_535) throw new RangeError(`'${part}' in '${text}' is not host:port with a port of 1 to 65535`)
  return { host: match[1], port }
}

export function withChroot(chroot: string, path: string): string {
  if (chroot === '') return path
  return path === '/' ? chroot : chroot + path
}
export function withoutChroot(chroot: string, path: string): string {
  if (chroot === '' || !path.startsWith(chroot)) return path
  return path.length === chroot.length ? '/' : path[chroot.length] === '/' ? path.slice(chroot.length) : path
}
