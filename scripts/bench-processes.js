/** What the benchmarks share: processes to measure and to measure with, and the figures the system keeps of them. */
import { spawn } from 'node:child_process'
import { closeSync, existsSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { createServer } from 'node:net'
import { availableParallelism, cpus, totalmem } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const MiB = 1024 * 1024
export const here = fileURLToPath(new URL('.', import.meta.url))
export const onLinux = existsSync('/proc/self/stat')
export const machine = `Node ${process.version}, ${availableParallelism()} × ${cpus()[0]?.model ?? 'CPU'}, ${Math.round(totalmem() / 1e9)} GB`

export const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]
export const sleep = (ms) => new Promise((done) => setTimeout(done, ms))
export const freePort = () => new Promise((done) => {
  const server = createServer().listen(0, '127.0.0.1', () => {
    const { port } = server.address()
    server.close(() => done(port))
  })
})

/**
 * Whatever ends this process, `last` runs first, once: its last line, an error, a signal, or nobody reading any more what it prints (`| head`). What it does has
 * to be done when it returns.
 */
export function atTheEnd(last) {
  process.once('exit', () => {
    for (const child of loads) child.kill('SIGKILL')
    last()
  })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => process.exit(1))
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => process.exit(1))
}

/** What is started here is gone when `killAll` has been called; its words are in `servers.log` of `folder`. */
export class Processes {
  #running = new Set()
  constructor(folder) {
    this.folder = folder
  }
  start(command, args, options = {}) {
    const log = openSync(join(this.folder, 'servers.log'), 'a')
    const child = spawn(command, args, { stdio: ['ignore', log, log], ...options })
    closeSync(log)
    this.#running.add(child)
    child.on('exit', () => this.#running.delete(child))
    return child
  }
  lastWords(lines = 30) {
    const log = join(this.folder, 'servers.log')
    return existsSync(log) ? readFileSync(log, 'utf8').split('\n').slice(-lines).join('\n') : ''
  }
  killAll() {
    for (const child of this.#running) child.kill('SIGKILL')
  }
}
/**
 * Runs a bench to its end: what fails is printed with the servers' last words, and nothing is left behind, of an interrupted one neither. `main` may answer
 * false: something failed and is told already. `last` may keep something before the folder goes.
 */
export async function runToEnd(processes, main, last = () => {}) {
  atTheEnd(() => {
    processes.killAll()
    last()
    rmSync(processes.folder, { recursive: true, force: true })
  })
  let failed = false
  try {
    failed = (await main()) === false
  } catch (error) {
    failed = true
    console.error(error)
    console.error(processes.lastWords())
  }
  process.exit(failed ? 1 : 0)
}
export async function stop(child, signal = 'SIGTERM') {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = new Promise((done) => child.once('exit', done))
  child.kill(signal)
  const timer = setTimeout(() => {
    process.stderr.write(`process ${child.pid} had not ended ${stopPatienceMs / 1000} s after ${signal}: killed\n`)
    child.kill('SIGKILL')
  }, stopPatienceMs)
  await gone
  clearTimeout(timer)
}
const stopPatienceMs = 60_000

/** The load processes of the moment. */
const loads = new Set()
/** One job of a load process (`program`: its file here); rejects with its words. `armed` runs when the process is ready to begin, with what ends a job that goes on until it is told. */
export function load(job, armed = () => {}, program = 'bench-load.js') {
  return new Promise((done, failed) => {
    const child = spawn(process.execPath, [join(here, program), JSON.stringify(job)], { stdio: ['pipe', 'pipe', 'pipe'] })
    loads.add(child)
    let out = ''
    let errors = ''
    child.stdin.on('error', () => {})
    child.stdout.on('data', (text) => {
      out += text
      if (out.startsWith('armed\n')) {
        out = out.slice('armed\n'.length)
        armed(() => child.stdin.end())
      }
    })
    child.stderr.on('data', (text) => (errors += text))
    child.on('exit', () => loads.delete(child))
    child.on('exit', (code) => (code === 0 ? done(JSON.parse(out)) : failed(new Error(`${job.kind}: ${errors.trim() || `exit code ${code}`}`))))
  })
}

export const residentMiB = ({ pid }) => Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? NaN) / 1024
/** From now on the process's highest resident memory is counted anew. */
export const startPeak = ({ pid }) => writeFileSync(`/proc/${pid}/clear_refs`, '5')
export const peakMiBSince = ({ pid }) => Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? NaN) / 1024
/** CPU seconds a process has used; its clock ticks a hundred times a second on Linux. */
export function cpuSeconds({ pid }) {
  const words = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /s, '').split(' ')
  return (Number(words[11]) + Number(words[12])) / 100
}
/** Pages of memory that were never used are slow on virtual machines: touch what the page cache will need, then let it go. */
export function touchPages(folder, bytes) {
  const path = join(folder, 'pages')
  const file = openSync(path, 'w')
  const piece = Buffer.alloc(16 * MiB, 1)
  for (let written = 0; written < bytes; written += piece.length) writeSync(file, piece)
  closeSync(file)
  rmSync(path)
}

/** The options of Apache's own start scripts. */
export const javaOptions = (libs, log4j) => ['-server', '-XX:+UseG1GC', '-XX:MaxGCPauseMillis=20', '-XX:InitiatingHeapOccupancyPercent=35', '-XX:+ExplicitGCInvokesConcurrent', '-Djava.awt.headless=true', '-cp', `${libs}/*`, `-Dlog4j.configuration=file:${log4j}`]
export const log4jText = 'log4j.rootLogger=WARN, stdout\nlog4j.appender.stdout=org.apache.log4j.ConsoleAppender\nlog4j.appender.stdout.layout=org.apache.log4j.PatternLayout\n'
