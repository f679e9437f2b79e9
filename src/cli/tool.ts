/** What every command-line tool gets of the process, and how it ends: one sentence on standard error and an exit code that tells the truth. */
import { realpathSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { silentLogger } from '../host/logger.ts'
import { nodeHost } from '../host/node.ts'
import type { Host } from '../host/host.ts'
import { exitWhenWritten } from './exit.ts'
import { helpText, OptionError, type OptionSpec } from './options.ts'
import { packageVersion } from './version.ts'

export interface ToolIo {
  readonly host: Host
  /** Standard input in chunks. */
  readonly input: AsyncIterable<Uint8Array>
  /** Somebody types: prompts are welcome. */
  readonly interactive: boolean
  /** Writes to standard output; false when nobody reads it any more. */
  out(data: string | Uint8Array): boolean
  /** Writes a line to standard error. */
  err(line: string): void
  /** Called once at the first SIGINT or SIGTERM with the exit code it asks for; a second one ends the process at once. */
  onStop(then: (exitCode: number) => void): void
}
/** Returns the exit code. A thrown error is told on standard error and ends with 1. */
export type Tool = (argv: readonly string[], io: ToolIo) => Promise<number>

/** The version that `--version` names: Ottla's own, and Apache's whose behaviour it has. */
export const versionText = (): string => `3.9.1 (Ottla ${packageVersion()})`

/**
 * Begins a tool of Apache's kind: no arguments or `--help` show the help, `--version` the version. Undefined: go on.
 * Apache's tools end with 1 after the help and write it to standard error.
 */
export function helpOrVersion(argv: readonly string[], about: string, specs: readonly OptionSpec[], io: ToolIo): number | undefined {
  const named = (name: string): boolean => argv.includes(`--${name}`) || argv.includes(`-${name}`)
  if (argv.length === 0 || named('help')) {
    io.err(`${about}\n${helpText(specs).trimEnd()}`)
    return 1
  }
  if (!named('version')) return undefined
  io.out(`${versionText()}\n`)
  return 0
}
/** Tells what is wrong with a command line, with the help where that belongs. */
export function refuseCommandLine(error: unknown, specs: readonly OptionSpec[], io: ToolIo): number {
  if (!(error instanceof OptionError)) throw error
  io.err(error.showsUsage ? `${error.message}\n${helpText(specs).trimEnd()}` : error.message)
  return 1
}

/** Runs the tool when its module is the program that was started. */
export function runAsProgram(moduleUrl: string, tool: Tool): void {
  const started = process.argv[1]
  if (started && realpathSync(started) === fileURLToPath(moduleUrl)) runTool(tool, process.argv.slice(2))
}
/** Runs the tool and ends the process with its exit code. */
export function runTool(tool: Tool, argv: readonly string[]): void {
  const io = processIo()
  // Timers of the host do not keep a process alive, nor do connections that have just been lost; the tool decides when it is over.
  setInterval(() => {}, 0x7fff_ffff)
  tool(argv, io).then(
    exitWhenWritten,
    (error: unknown) => {
      io.err(error instanceof Error ? error.message : String(error))
      exitWhenWritten(1)
    },
  )
}
function processIo(): ToolIo {
  let readable = true
  // `… | head` closes the pipe: a reason to stop, not to crash.
  process.stdout.on('error', () => (readable = false))
  const stops: ((exitCode: number) => void)[] = []
  let signals = 0
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.on(signal, () => {
      const exitCode = signal === 'SIGINT' ? 130 : 143
      if (signals++ > 0 || stops.length === 0) process.exit(exitCode)
      for (const stop of stops) stop(exitCode)
    })
  return {
    host: nodeHost({ logger: silentLogger }),
    input: process.stdin as AsyncIterable<Uint8Array>,
    interactive: process.stdin.isTTY === true,
    out(data) {
      if (readable) process.stdout.write(data)
      return readable
    },
    err: (line) => void process.stderr.write(`${line}\n`),
    onStop: (then) => void stops.push(then),
  }
}
