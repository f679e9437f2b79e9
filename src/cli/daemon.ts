/**
 * Servers in the background: a detached process with logs that are rotated by size.
 *
 * The tool that is asked for a daemon calls `startDaemon` with its own script and the same arguments. The child finds out with
 * `daemonChild()`: it logs through `logSink(path)` and says `ready()` when it serves, which is when the parent returns. What the
 * child prints beside its log (a crash of Node, a refusal at start) is in `outFile`, begun anew at each start.
 */
import { spawn } from 'node:child_process'
import { closeSync, fstatSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import type { LogSink } from '../host/logger.ts'

const marker = 'OTTLA_DAEMON'
/** Names the log of a process that a supervisor has started (supervisor.ts). */
export const supervisedMarker = 'OTTLA_SUPERVISED'

export interface DaemonStart {
  /** The script Node runs: usually `process.argv[1]`. */
  readonly script: string
  readonly args: readonly string[]
  /** Standard output and error of the child. */
  readonly outFile: string
  /** How long the child may take until it says that it is ready; then it is taken to be on its way all the same. */
  readonly readyWaitMs?: number
}
/** `failure`: the child ended before it was ready; its last words. */
export type DaemonStarted = { readonly processId: number; readonly ready: boolean } | { readonly failure: string }

export async function startDaemon({ script, args, outFile, readyWaitMs = 30_000 }: DaemonStart): Promise<DaemonStarted> {
  mkdirSync(dirname(outFile), { recursive: true })
  const out = openSync(outFile, 'w', 0o644)
  const child = spawn(process.execPath, [...process.execArgv, script, ...args], {
    detached: true,
    stdio: ['ignore', out, out, 'ipc'],
    env: { ...process.env, [marker]: '1' },
  })
  closeSync(out)
  return new Promise((done) => {
    const timer = setTimeout(() => end({ processId: child.pid ?? 0, ready: false }), readyWaitMs)
    const end = (result: DaemonStarted): void => {
      clearTimeout(timer)
      child.removeAllListeners()
      if (child.connected) child.disconnect()
      child.unref()
      done(result)
    }
    child.on('error', (error) => end({ failure: `Node could not be started: ${error.message}` }))
    child.on('exit', (code, signal) => end({ failure: lastWords(outFile) || `the process ended at once (${signal ?? `code ${code}`}); see ${outFile}` }))
    child.on('message', (message) => {
      if (message === 'ready') end({ processId: child.pid ?? 0, ready: true })
    })
  })
}
function lastWords(outFile: string): string {
  try {
    return readFileSync(outFile, 'utf8').trim().split('\n').slice(-10).join('\n')
  } catch {
    return ''
  }
}

export interface DaemonChild {
  logSink(path: string, limits?: RotationLimits): LogSink
  /** The server serves: whoever started the daemon may go. */
  ready(): void
}
/**
 * What a daemon needs; undefined in a process that nobody started as one. One with a supervisor does not outlive it: it asks itself to stop
 * `orphanedMs` after the supervisor has gone.
 */
export function daemonChild({ orphanedMs = 0 }: { orphanedMs?: number } = {}): DaemonChild | undefined {
  const supervisedLog = process.env[supervisedMarker]
  if (supervisedLog !== undefined && supervisedLog !== '') {
    delete process.env[supervisedMarker]
    const orphaned = (): void => void setTimeout(() => process.kill(process.pid, 'SIGTERM'), orphanedMs)
    if (process.connected) process.once('disconnect', orphaned)
    else orphaned()
    return {
      logSink: (_, limits) => rotatingSink(supervisedLog, limits),
      ready: () => void (process.connected && process.send?.('ready')),
    }
  }
  if (process.env[marker] !== '1') return undefined
  // Children of this process are no daemons.
  delete process.env[marker]
  return {
    logSink: rotatingSink,
    ready() {
      if (process.send && process.connected) process.send('ready', () => process.connected && process.disconnect())
    },
  }
}

export interface RotationLimits {
  /** A file larger than this is put aside. */
  readonly sizeMax?: number
  /** Files put aside as `<path>.1` (the newest) to `<path>.<count>`. */
  readonly count?: number
}
/** Appends lines to a file, at most `(count + 1) × sizeMax` bytes in all. Written at once: the last lines before a crash matter most. */
export function rotatingSink(path: string, { sizeMax = 10 * 1024 * 1024, count = 10 }: RotationLimits = {}): LogSink {
  mkdirSync(dirname(path), { recursive: true })
  let file = openSync(path, 'a', 0o644)
  let size = fstatSync(file).size
  const rotate = (): void => {
    closeSync(file)
    rmSync(`${path}.${count}`, { force: true })
    for (let index = count - 1; index >= 0; index--) {
      try {
        renameSync(index === 0 ? path : `${path}.${index}`, `${path}.${index + 1}`)
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
      }
    }
    file = openSync(path, 'a', 0o644)
    size = 0
  }
  return (line) => {
    const bytes = Buffer.from(`${line}\n`)
    try {
      if (size > 0 && size + bytes.length > sizeMax) rotate()
      writeSync(file, bytes)
      size += bytes.length
    } catch {
      // A full disk must not stop the server; its own files will say so.
    }
  }
}
