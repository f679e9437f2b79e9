/** Child processes of the interop tests: bounded in time, with everything they said. */
import { spawn } from 'node:child_process'

export interface Outcome {
  /** Exit code, or -1 when a signal ended it. */
  code: number
  stdout: string
  stderr: string
}
export interface RunOptions {
  input?: string | Uint8Array
  env?: Record<string, string>
  cwd?: string
  /** The process and what it started are killed after this long. */
  timeoutMs?: number
  /** SIGINT comes as soon as it has printed this. */
  endAt?: RegExp
}

/** Runs a program that goes on until it is told to end: with SIGINT, as soon as it has printed what is looked for. */
export function runUntil(printed: RegExp, command: string, args: readonly string[]): Promise<Outcome> {
  return run(command, args, { endAt: printed })
}

/** Runs a program to its end. Rejects only when it cannot be started or takes too long. */
export function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  const timeoutMs = options.timeoutMs ?? 300_000
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: true,
    })
    const stdout: Buffer[] = []
    const stderr: Buffer[] = []
    let isTold = options.endAt === undefined
    child.stdout.on('data', (chunk: Buffer) => {
      stdout.push(chunk)
      if (isTold || !options.endAt!.test(Buffer.concat(stdout).toString())) return
      isTold = true
      child.kill('SIGINT')
    })
    child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk))
    // A program that stops reading is no failure of ours: its exit code tells.
    child.stdin.on('error', () => {})
    child.stdin.end(options.input ?? '')
    let late = false
    const timer = setTimeout(() => {
      late = true
      killGroup(child.pid)
    }, timeoutMs)
    child.on('error', (cause) => {
      clearTimeout(timer)
      reject(new Error(`${command} could not be started`, { cause }))
    })
    child.on('close', (code) => {
      clearTimeout(timer)
      const outcome = { code: code ?? -1, stdout: Buffer.concat(stdout).toString(), stderr: Buffer.concat(stderr).toString() }
      if (late) reject(new Error(`${described(command, args)} took longer than ${timeoutMs} ms\n${tail(outcome)}`))
      else resolve(outcome)
    })
  })
}

/** Runs a program that has to end with exit code 0. */
export async function succeed(command: string, args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  const outcome = await run(command, args, options)
  if (outcome.code !== 0) throw new Error(`${described(command, args)} ended with ${outcome.code}\n${tail(outcome)}`)
  return outcome
}

/** SIGKILL for a process started in a group of its own, and for all that it started. */
export function killGroup(pid: number | undefined): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // Gone already, which is what was wanted.
  }
}

/**
 * Looks again and again (the limit says only that nothing moves, on the slowest machine) until `look` answers something other than undefined or false, and returns that.
 * A client of Kafka that gave up has not seen it yet; every other error ends the wait.
 */
export async function until<T>(what: string, look: () => Promise<T | undefined | false> | T | undefined | false, timeoutMs = 180_000): Promise<T> {
  const deadline = performance.now() + timeoutMs
  let gaveUp = ''
  for (;;) {
    try {
      const found = await look()
      if (found !== undefined && found !== false) return found
    } catch (error) {
      if (!(error instanceof Error) || !/^KafkaJS|^(Connection|RequestTimeout)Error$/.test(error.name)) throw error
      gaveUp = `; last ${error.name}: ${error.message}`
    }
    if (performance.now() > deadline) throw new Error(`waited ${timeoutMs} ms in vain for: ${what}${gaveUp}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

function described(command: string, args: readonly string[]): string {
  const whole = [command.split('/').at(-1), ...args.filter((arg) => !arg.includes('.jar'))].join(' ')
  return whole.length > 400 ? `${whole.slice(0, 400)}…` : whole
}

function tail({ stdout, stderr }: Outcome): string {
  return `stdout: …${stdout.slice(-2_000)}\nstderr: …${stderr.slice(-4_000)}`
}
