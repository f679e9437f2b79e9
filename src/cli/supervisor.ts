/**
 * Server processes that are kept running: each with a log of its own, started again when it ends unasked, stopped in order.
 *
 * A child is in a session of its own, so that Ctrl-C in the terminal reaches the supervisor alone, which knows the order. It is tied to the
 * supervisor by a pipe: when that is gone, however it ended, the child stops by itself (`daemonChild` in daemon.ts).
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { supervisedMarker } from './daemon.ts'

export interface Supervised {
  name: string
  /** The script Node runs, and its arguments. */
  script: string
  args: readonly string[]
  /** The server's own log. What the process prints besides (a crash, a refusal at start) lies next to it, in `<log>.out`. */
  logFile: string
  env?: Readonly<Record<string, string>>
}
export interface SupervisorOptions {
  /** A server that ended is started again, later and later. */
  restart: boolean
  /** One line for the terminal. */
  say(line: string): void
  /** No server is left, and none will be started again. */
  onAllEnded(): void
}

const backoffMsMin = 250
const backoffMsMax = 10_000
/** A server that ran so long had nothing to do with the failure before. */
const settledMs = 30_000
/** A stop that takes longer is ended by force: what was acknowledged is in the log, the next start recovers. */
const stopMsMax = 60_000

export class SupervisedServer {
  readonly what: Supervised
  readonly #options: SupervisorOptions
  readonly #onEnd: () => void
  #child: ChildProcess | undefined
  #ended: Promise<void> = Promise.resolve()
  #failures = 0
  #retry: NodeJS.Timeout | undefined
  #isStopping = false
  /** It has served once: its configuration is no reason to end. */
  #hasServed = false

  constructor(what: Supervised, options: SupervisorOptions, onEnd: () => void) {
    this.what = what
    this.#options = options
    this.#onEnd = onEnd
  }

  get processId(): number | undefined {
    return this.#child?.pid
  }
  /** Runs, or will again. */
  get isAlive(): boolean {
    return this.#child !== undefined || this.#retry !== undefined
  }

  /** Resolves when it says that it serves; rejects with its last words when it ends before. */
  start(): Promise<void> {
    const { script, args, logFile, env } = this.what
    mkdirSync(dirname(logFile), { recursive: true })
    const outFile = `${logFile}.out`
    const out = openSync(outFile, 'w', 0o644)
    const child = spawn(process.execPath, [...process.execArgv, script, ...args], {
      detached: true,
      stdio: ['ignore', out, out, 'ipc'],
      env: { ...process.env, ...env, [supervisedMarker]: logFile },
    })
    closeSync(out)
    this.#child = child
    const startedAt = performance.now()
    return new Promise((ready, failed) => {
      child.once('message', () => {
        this.#hasServed = true
        ready()
      })
      this.#ended = new Promise((ended) => {
        const end = (how: string): void => {
          if (this.#child !== child) return
          this.#child = undefined
          failed(new Error(`${this.what.name} ended (${how}): ${lastWords(outFile) || `its log is ${logFile}`}`))
          this.#hasEnded(child.pid, how, performance.now() - startedAt >= settledMs)
          ended()
        }
        child.once('error', (error) => end(error.message))
        child.once('exit', (code, signal) => end(signal ?? `code ${code}`))
      })
    })
  }

  #hasEnded(processId: number | undefined, how: string, wasSettled: boolean): void {
    if (this.#isStopping || !this.#hasServed) return
    const { restart, say } = this.#options
    const what = `${this.what.name} (process ${processId}) ended with ${how}; its log is ${this.what.logFile}.`
    if (!restart) {
      say(`${what} It is not started again (--no-restart)`)
      return this.#onEnd()
    }
    this.#failures = wasSettled ? 0 : this.#failures
    const waitMs = Math.min(backoffMsMin * 2 ** this.#failures++, backoffMsMax)
    say(`${what} Started again in ${waitMs / 1000} s`)
    this.#retry = setTimeout(() => {
      this.#retry = undefined
      this.start().then(
        () => say(`${this.what.name} runs again as process ${this.processId}`),
        () => {}, // Its end has been told, and the next try with it.
      )
    }, waitMs)
  }

  /** SIGTERM, and waits; SIGKILL when that takes too long. */
  async stop(): Promise<void> {
    this.#isStopping = true
    clearTimeout(this.#retry)
    this.#retry = undefined
    const child = this.#child
    if (!child) return
    child.kill('SIGTERM')
    child.kill('SIGCONT') // Somebody may have stopped it: it could not hear.
    const force = setTimeout(() => {
      this.#options.say(`${this.what.name} (process ${child.pid}) has not stopped in ${stopMsMax / 1000} s and is ended by force`)
      child.kill('SIGKILL')
    }, stopMsMax)
    await this.#ended
    clearTimeout(force)
  }
  kill(): void {
    this.#isStopping = true
    clearTimeout(this.#retry)
    this.#child?.kill('SIGKILL')
  }
}

export class Supervisor {
  readonly servers: readonly SupervisedServer[]
  constructor(wanted: readonly Supervised[], options: SupervisorOptions) {
    this.servers = wanted.map((what) => new SupervisedServer(what, options, () => {
      if (this.servers.every(({ isAlive }) => !isAlive)) options.onAllEnded()
    }))
  }
  find(name: string): SupervisedServer | undefined {
    return this.servers.find(({ what }) => what.name === name)
  }
  /** Resolves when all serve. When one ends before, all are stopped, and it rejects with that one's last words. */
  async start(): Promise<void> {
    let settled = false
    const starting = this.servers.map((server) => server.start())
    for (const one of starting) one.catch(() => {})
    try {
      await Promise.all(starting)
      settled = true
    } finally {
      if (!settled) {
        await Promise.all(this.servers.map((server) => server.stop()))
      }
    }
  }
  /** One after the other in this order; those not named at the end, together. */
  async stop(order: readonly string[]): Promise<void> {
    for (const name of order) await this.find(name)?.stop()
    await Promise.all(this.servers.map((server) => server.stop()))
  }
  kill(): void {
    for (const server of this.servers) server.kill()
  }
}

function lastWords(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim().split('\n').slice(-10).join('\n')
  } catch {
    return ''
  }
}
