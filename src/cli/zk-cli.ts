/** zkCli.sh: a shell for ZooKeeper, typed into, fed by a pipe, or for a single command. */
import { appendFileSync, chmodSync, readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { silentLogger } from '../host/logger.ts'
import { nodeHost } from '../host/node.ts'
import { exitWhenWritten } from './exit.ts'
import { complete } from './zk-cli/completion.ts'
import { Shell } from './zk-cli/shell.ts'

interface Options {
  server: string
  timeoutMs: number
  readOnly: boolean
  waitForConnection: boolean
  /** A single command, or none. */
  command: string[]
}

/** Options end where the command begins; unknown ones are passed over, as Apache's does. Throws a sentence. */
function parse(args: readonly string[]): Options {
  const options: Options = { server: 'localhost:2181', timeoutMs: 30_000, readOnly: false, waitForConnection: false, command: [] }
  for (let index = 0; index < args.length; index++) {
    const word = args[index]
    const value = (): string => {
      if (index + 1 >= args.length) throw new Error(`Error: no argument found for option ${word}`)
      return args[++index]
    }
    if (word === '-server') options.server = value()
    else if (word === '-timeout') {
      const text = value()
      options.timeoutMs = Number(text)
      if (!/^\d+$/.test(text) || options.timeoutMs < 1 || options.timeoutMs > 0x7fff_ffff) throw new Error(`Error: -timeout takes milliseconds, and '${text}' is none`)
    } else if (word === '-r') options.readOnly = true
    else if (word === '-waitforconnection') options.waitForConnection = true
    else if (word === '-client-configuration') throw new Error(`Error: -client-configuration ${value()}: its settings are those of TLS and SASL, which this client does not speak yet. Leave it out to connect in the clear`)
    else if (!word.startsWith('-')) {
      options.command = args.slice(index)
      break
    } else process.stderr.write(`Unknown option ${word} is passed over\n`)
  }
  return options
}

const out = (line: string): void => void process.stdout.write(`${line}\n`)
const err = (line: string): void => void process.stderr.write(`${line}\n`)
/** Apache's remembers commands there; passwords do not belong into it. */
const historyFile = join(homedir(), '.zkcli_history')
const historySizeMax = 500

async function main(args: readonly string[]): Promise<number> {
  const options = parse(args)
  // `… | head` closes the pipe: a reason to stop, not to crash.
  process.stdout.on('error', () => process.exit(0))
  const terminal = options.command.length === 0 && process.stdin.isTTY && process.stdout.isTTY
  let show = out
  const shell = new Shell(nodeHost({ logger: silentLogger }), {
    connect: options.server, timeoutMs: options.timeoutMs, readOnly: options.readOnly, waitForConnection: options.waitForConnection, out: (line) => show(line), err,
  })
  out(`Connecting to ${options.server}`)
  shell.open()
  if (options.command.length > 0) {
    await shell.once(options.command)
    await shell.end()
    return shell.exitCode
  }
  out('Welcome to ZooKeeper!')
  out(`JLine support is ${terminal ? 'enabled' : 'disabled'}`)
  if (terminal) await interactive(shell, (shown) => (show = shown))
  else for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
    await shell.line(line)
    if (shell.over) break
  }
  await shell.end()
  return shell.exitCode
}

async function interactive(shell: Shell, setOut: (show: (line: string) => void) => void): Promise<void> {
  const terminal = createInterface({
    input: process.stdin,
    output: process.stdout,
    history: readHistory(),
    historySize: historySizeMax,
    removeHistoryDuplicates: true,
    completer: (line: string, done: (error: Error | null, result: [string[], string]) => void) =>
      void complete(line, (path) => shell.childrenOf(path)).then((found) => done(null, found), () => done(null, [[], line])),
  })
  let busy = false
  // An event between two commands goes above the line being typed.
  setOut((line) => {
    if (busy) return out(line)
    process.stdout.write(`\r\u001b[K${line}\n`)
    terminal.setPrompt(shell.prompt)
    terminal.prompt(true)
  })
  const next = (): void => {
    terminal.setPrompt(shell.prompt)
    terminal.prompt()
  }
  next()
  terminal.on('SIGINT', () => terminal.close())
  for await (const line of terminal) {
    busy = true
    remember(line)
    await shell.line(line)
    busy = false
    if (shell.over) break
    next()
  }
  terminal.close()
  setOut(out)
  if (!shell.over) out('')
}
function readHistory(): string[] {
  try {
    return readFileSync(historyFile, 'utf8').split('\n').filter(Boolean).slice(-historySizeMax).reverse()
  } catch {
    return []
  }
}
function remember(line: string): void {
  if (line.trim() === '' || /^\s*["']?addauth\b/.test(line)) return
  try {
    appendFileSync(historyFile, `${line}\n`, { mode: 0o600 })
    chmodSync(historyFile, 0o600)
  } catch {
    // A home that cannot be written to is no reason not to work.
  }
}

main(process.argv.slice(2)).then(
  exitWhenWritten,
  (error: unknown) => {
    err(error instanceof Error ? error.message : String(error))
    exitWhenWritten(1)
  },
)
