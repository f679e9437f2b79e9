/** One sentence for a start that failed: what was asked, what was found, what to do. */
import { AssertionError } from 'node:assert'
import { ConfigError } from '../kafka/config/refusal.ts'
import { portHolderText } from './port-holder.ts'
import { UsageError } from './usage-error.ts'

type SystemError = NodeJS.ErrnoException & { address?: string; port?: number }

export interface FailureWords {
  /** How the port is chosen with this tool. */
  portOption: string
  /** How the folder is chosen with this tool. */
  folderOption: string
}

/** Undefined for a bug, which deserves a stack. */
export function explain(error: unknown, { portOption, folderOption }: FailureWords): string | undefined {
  if (error instanceof ConfigError || error instanceof UsageError) return error.message
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    const { code, address, port, path, message } = at as SystemError
    const place = address === undefined && port === undefined ? message : `${address === undefined || address === '::' ? 'port ' : `${address}:`}${port}`
    switch (code) {
      case 'EADDRINUSE': return `Cannot listen on ${place}: ${port === undefined ? 'another program' : portHolderText(port)} listens there already. Stop that one, or choose another port with ${portOption}`
      case 'EADDRNOTAVAIL': return `Cannot listen on ${place}: this machine has no such address. Name one of its own with ${portOption}`
      case 'EACCES': case 'EPERM':
        if (port !== undefined) return `Cannot listen on ${place}: ports below 1024 are for the administrator. Choose another with ${portOption}`
        return `No permission for ${path ?? message}. Allow it, or choose another folder with ${folderOption}`
      case 'EROFS': return `${path ?? message} lies on a read-only file system. Choose another folder with ${folderOption}`
      case 'ENOSPC': return `No space left on the device${path === undefined ? '' : ` of ${path}`}. Make room, or choose another folder with ${folderOption}`
      case 'ENOTDIR': case 'EEXIST': return `${path ?? message} is not a folder. Choose one with ${folderOption}`
      case 'EMFILE': case 'ENFILE': return 'Too many open files. Raise the limit with `ulimit -n`, and start again'
      case 'ENOENT':
        // What Node says of a folder to be made, parents and all, on a read-only file system.
        if ((at as SystemError).syscall === 'mkdir') return `${path ?? message} cannot be made: the file system is read-only, or not there. Choose another folder with ${folderOption}`
        break
      case 'EINUSE': return message
      case undefined: default:
    }
  }
  return error instanceof Error && !isBug(error) ? error.message : undefined
}

/** Failures of the world have words of their own. What the language or an assertion throws is a mistake in the program. */
function isBug(error: Error): boolean {
  return error instanceof TypeError || error instanceof ReferenceError || error instanceof RangeError || error instanceof AssertionError
}

/** Prints the failure and ends the process. */
export function fail(error: unknown, words: FailureWords): never {
  const sentence = explain(error, words)
  process.stderr.write(`${sentence ?? (error instanceof Error ? (error.stack ?? error.message) : String(error))}\n`)
  process.exit(1)
}
