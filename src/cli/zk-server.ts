/** zkServer.sh: start, stop and ask after a ZooKeeper server, with Apache's places for configuration, logs and process id. */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { hostname, userInfo } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { versionText } from '../zookeeper/server/version.ts'
import { startDaemon } from './daemon.ts'
import { askWord, whyNoAnswer } from './four-letter-word.ts'
import { UsageError } from './usage-error.ts'
import { readServerPlace, type ServerPlace } from './zookeeper-config-file.ts'

const usage = 'Usage: zkServer.sh [--config <conf-dir>] {start|start-foreground|stop|version|restart|status|print-cmd} [zoo.cfg]'
const base = fileURLToPath(new URL('../..', import.meta.url))
const serverScript = fileURLToPath(new URL('./zookeeper-server-start.js', import.meta.url))
const { env } = process
const say = (text: string): void => void process.stdout.write(text)
const complain = (line: string): void => void process.stderr.write(`${line}\n`)

/** ZOOCFGDIR/ZOOCFG, or the file named: a name alone is looked for in ZOOCFGDIR first, a path is taken as it is. */
function configFile(configDir: string, named: string | undefined): string {
  const name = named ?? env['ZOOCFG'] ?? 'zoo.cfg'
  const file = name.includes('/') || (named !== undefined && !existsSync(join(configDir, name)) && existsSync(name)) ? name : join(configDir, name)
  return resolve(file)
}
function defaultConfigDir(): string {
  return env['ZOOCFGDIR'] ?? [join(base, 'conf'), join(base, 'config')].find((folder) => existsSync(join(folder, 'zoo.cfg'))) ?? join(base, 'config')
}

class Control {
  readonly #file: string
  readonly #place: ServerPlace
  readonly #processIdFile: string
  constructor(file: string) {
    this.#file = file
    this.#place = readServerPlace(file)
    const named = env['ZOOPIDFILE']
    if (!named && !this.#place.dataDir) throw new UsageError(`${file}: dataDir is missing, so there is no place for the process id. Add a line dataDir=FOLDER`)
    this.#processIdFile = named || join(this.#place.dataDir!, 'zookeeper_server.pid')
  }

  /** The process of the pid file, if it lives. */
  #running(): number | undefined {
    if (!existsSync(this.#processIdFile)) return undefined
    const id = Number(readFileSync(this.#processIdFile, 'utf8').trim())
    return Number.isInteger(id) && id > 0 && lives(id) ? id : undefined
  }

  async start(): Promise<number> {
    const running = this.#running()
    say('Starting zookeeper ... ')
    if (running !== undefined) {
      say(`already running as process ${running}.\n`)
      return 1
    }
    const name = `zookeeper-${userInfo().username}-server-${hostname()}`
    const logDir = resolve(env['ZOO_LOG_DIR'] || join(base, 'logs'))
    const outFile = join(logDir, `${name}.out`)
    env['ZOO_LOG_DIR'] = logDir
    env['ZOO_LOG_FILE'] ||= `${name}.log`
    mkdirSync(dirname(this.#processIdFile), { recursive: true })
    const started = await startDaemon({ script: serverScript, args: [this.#file], outFile })
    if ('failure' in started) {
      say('FAILED TO START\n')
      complain(started.failure)
      return 1
    }
    writeFileSync(this.#processIdFile, String(started.processId))
    say('STARTED\n')
    if (!started.ready) complain(`The server is still reading its data; its log: ${join(logDir, env['ZOO_LOG_FILE'])}`)
    return 0
  }

  startInForeground(): number {
    const running = this.#running()
    if (running !== undefined) throw new UsageError(`zookeeper is already running as process ${running}`)
    // The same process: signals, terminal and exit code are the server's.
    process.argv.splice(1, process.argv.length, serverScript, this.#file)
    return -1
  }

  async stop(): Promise<number> {
    say('Stopping zookeeper ... ')
    if (!existsSync(this.#processIdFile)) {
      say(`no zookeeper to stop (could not find file ${this.#processIdFile})\n`)
      return 0
    }
    const running = this.#running()
    if (running !== undefined) {
      process.kill(running, 'SIGTERM')
      const deadline = performance.now() + 30_000
      while (lives(running)) {
        if (performance.now() > deadline) throw new UsageError(`process ${running} has not stopped within 30 seconds. Look into its log, or end it with kill -9 ${running}: what was acknowledged is safe`)
        await new Promise((done) => setTimeout(done, 20))
      }
    }
    rmSync(this.#processIdFile, { force: true })
    say('STOPPED\n')
    return 0
  }

  async status(): Promise<number> {
    const { clientPort, clientAddress } = this.#place
    if (clientPort === undefined) throw new UsageError(`${this.#file}: clientPort is missing, so there is nowhere to ask. Add a line clientPort=2181`)
    say(`Client port found: ${clientPort}. Client address: ${clientAddress}. Client SSL: false.\n`)
    const running = this.#running()
    const answer = await askWord(clientAddress, clientPort, 'srvr').catch((error: NodeJS.ErrnoException) => {
      const process = running === undefined ? (existsSync(this.#processIdFile) ? `the process of ${this.#processIdFile} is gone` : `there is no ${this.#processIdFile}`) : `process ${running} is alive`
      throw new UsageError(`Error contacting service: ${whyNoAnswer(error, clientAddress, clientPort)}; ${process}.`)
    })
    const mode = /^Mode: .*$/m.exec(answer)
    if (!mode) throw new UsageError(`Error contacting service: ${clientAddress}:${clientPort} answered ${JSON.stringify(answer.slice(0, 200))} to srvr.`)
    say(`${mode[0]}\n`)
    return 0
  }

  printCommand(): number {
    say(`${[process.execPath, ...process.execArgv, serverScript, this.#file].map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`)).join(' ')}\n`)
    return 0
  }
}

function lives(processId: number): boolean {
  try {
    process.kill(processId, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
  // An ended child that nobody has waited for yet is not alive.
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${processId}/status`, 'utf8'))
  } catch {
    return !existsSync('/proc/self') && spawnSync('ps', ['-p', String(processId)]).status === 0
  }
}

async function main(words: string[]): Promise<number> {
  let configDir: string | undefined
  if (words[0] === '--config') {
    configDir = words[1]
    if (configDir === undefined) throw new UsageError(`--config needs a folder\n${usage}`)
    words = words.slice(2)
  }
  const [command, named] = words
  if (command === 'version') {
    say(`Apache ZooKeeper, version ${versionText}\n`)
    return 0
  }
  if (command === undefined || !['start', 'start-foreground', 'stop', 'restart', 'status', 'print-cmd'].includes(command)) throw new UsageError(usage)
  const file = configFile(configDir ?? defaultConfigDir(), named)
  complain(`Using config: ${file}`)
  const control = new Control(file)
  switch (command) {
    case 'start': return control.start()
    case 'start-foreground': return control.startInForeground()
    case 'stop': return control.stop()
    case 'restart': return (await control.stop()) || control.start()
    case 'status': return control.status()
    default: return control.printCommand()
  }
}

main(process.argv.slice(2)).then(
  async (code) => {
    if (code < 0) await import('./zookeeper-server-start.ts')
    else process.exitCode = code
  },
  (error: unknown) => {
    complain(error instanceof UsageError ? error.message : error instanceof Error ? (error.stack ?? error.message) : String(error))
    process.exitCode = 1
  },
)
