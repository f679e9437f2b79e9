/** What to do about what a log directory was taken offline for. */

/** Something else lies where a partition's directory is to be made: the disk is well, and so are all other partitions. */
export class InTheWayError extends Error {
  constructor(path: string, cause: Error) {
    super(`${path} cannot be made: ${cause.message}. Something lies there that is no directory: move it away and start the broker again; the records are copied from the leader`, { cause })
  }
}
/** What `makeDirectory` says of a path that a file, a pipe or a link to nowhere holds. */
const inTheWay: ReadonlySet<string | undefined> = new Set(['EEXIST', 'ENOTDIR', 'ENOENT'])
export const isInTheWay = (error: unknown): boolean => inTheWay.has(codeOf(error))

const remedies: Readonly<Record<string, string>> = {
  EACCES: 'The user this broker runs as may not do that: give it the directory with all that is in it (chown -R, chmod -R u+rwX) and start the broker again',
  EPERM: 'The user this broker runs as may not do that: give it the directory with all that is in it (chown -R, chmod -R u+rwX; lsattr shows files that nobody may change) and start the broker again',
  EISDIR: 'A directory lies where a file belongs: move it away and start the broker again',
  ENOTDIR: 'A file lies where a directory belongs: move it away and start the broker again',
  ENOENT: 'What belongs there is gone: put it back, or mount it, and start the broker again',
  ENOTFILE: 'Move it away and start the broker again',
  EROFS: 'The file system is read-only: look for its trouble in the kernel log, mount it for writing and start the broker again',
  ENXIO: 'Something that is no file lies where a file belongs: move it away and start the broker again',
}

/** The failure, whose message says what to do where that is known. Node's own codes are looked for in its causes, too. */
export function withRemedy(failure: Error): Error {
  const code = codeOf(failure)
  const remedy = code === undefined ? undefined : remedies[code]
  if (remedy === undefined || failure.message.includes(remedy)) return failure
  return Object.assign(new Error(`${failure.message}. ${remedy}`, failure.cause === undefined ? undefined : { cause: failure.cause }), { code })
}

function codeOf(error: unknown): string | undefined {
  for (let at = error; at instanceof Error; at = at.cause) {
    const { code } = at as NodeJS.ErrnoException
    // Node's `rm` has a code of its own for a directory.
    if (code === 'ERR_FS_EISDIR') return 'EISDIR'
    if (typeof code === 'string') return code
  }
  return undefined
}
