/** Who listens on a port of this machine, where the system tells (Linux): the sentence about a taken port names the process. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

export interface PortHolder {
  processId: number
  command: string
}

const listening = '0A'

/** Undefined where the system does not tell, or when the process is another user's. */
export function portHolder(port: number): PortHolder | undefined {
  const sockets = new Set(['tcp', 'tcp6'].flatMap((table) => inodesListening(table, port)).map((inode) => `socket:[${inode}]`))
  if (sockets.size === 0) return undefined
  for (const processId of namesIn('/proc').filter((name) => /^\d+$/.test(name)))
    if (namesIn(`/proc/${processId}/fd`).some((file) => sockets.has(linkOf(`/proc/${processId}/fd/${file}`)))) {
      const words = textOf(`/proc/${processId}/cmdline`).split('\0').filter((word) => word !== '')
      return { processId: Number(processId), command: words.join(' ').slice(0, 200) }
    }
  return undefined
}
/** `process 123 (node …)`, or `another program`. */
export function portHolderText(port: number): string {
  const holder = portHolder(port)
  return holder ? `process ${holder.processId} (${holder.command})` : 'another program'
}

/** Lines of /proc/net/tcp: `sl local_address rem_address st … inode`, the port in hexadecimal behind the last colon. */
function inodesListening(table: string, port: number): string[] {
  const wanted = port.toString(16).toUpperCase().padStart(4, '0')
  return textOf(`/proc/net/${table}`).split('\n').slice(1).flatMap((line) => {
    const [, local, , state, , , , , , inode] = line.trim().split(/\s+/)
    return state === listening && local?.endsWith(`:${wanted}`) && inode !== undefined ? [inode] : []
  })
}
function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory)
  } catch {
    return []
  }
}
function linkOf(path: string): string {
  try {
    return readlinkSync(path)
  } catch {
    return ''
  }
}
function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
