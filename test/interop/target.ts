/** The servers under test: Ottla's or Apache's, one process each, on free loopback ports in temporary folders. */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { appendFileSync, existsSync, mkdirSync, mkdtempSync, openSync, closeSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest'
import { freePort } from '../free-port.ts'
import { killGroup, until } from './process.ts'
import { where } from './programs.ts'

export type Maker = 'ottla' | 'apache'

/** Whose broker `startCluster` starts: `TARGET`, by default Ottla's. */
export const kafkaMaker = maker('TARGET', 'ottla')
/** Whose ZooKeeper it starts: `ZOOKEEPER`, by default the broker's maker's. */
export const zookeeperMaker = maker('ZOOKEEPER', kafkaMaker)

/** Whose brokers `useCluster` starts: `BROKERS=ottla,apache,ottla`, by default one of `TARGET`'s. */
export const brokerMakers: readonly Maker[] = process.env.BROKERS ? process.env.BROKERS.split(',').map((value) => makerIn(value, 'BROKERS')) : [kafkaMaker]

/** The ids of these brokers. */
export const brokerIds: readonly number[] = brokerMakers.map((_, index) => index + 1)

function maker(variable: string, otherwise: Maker): Maker {
  return makerIn(process.env[variable] || otherwise, variable)
}
function makerIn(value: string, variable: string): Maker {
  if (value !== 'ottla' && value !== 'apache') throw new Error(`${variable}=${process.env[variable]}: say ottla or apache`)
  return value
}

export interface ServerOptions {
  maker?: Maker
  /** The server's own folder: configuration, data and log lie in it. By default a new one, removed at the end. */
  directory?: string
  port?: number
  /** Where the server listens for clients; default 127.0.0.1. */
  host?: string
  /** A command that runs the server's own, such as one that enters a network namespace. */
  within?: readonly string[]
  /** Which release of Apache's, by its line in the table of programs; default `apache`. */
  release?: ApacheRelease
  /** More lines for the configuration file, or other values for those it has. */
  config?: Record<string, string | number | boolean>
  /** Environment variables for the process. */
  env?: Record<string, string>
  /** How long `start` waits until the server answers. */
  readyMs?: number
}

/** ZooKeeper 3.8.4 (which comes with Kafka), 3.8.0 and 3.9. */
export type ApacheRelease = 'apache' | 'zookeeper-3.8.0' | 'zookeeper-3.9'

interface Recipe {
  kind: 'zookeeper' | 'kafka'
  maker: Maker
  host: string
  within: readonly string[]
  release: ApacheRelease
  directory: string
  dataDirectory: string
  port: number
  configFile: string
  command: string
  args: readonly string[]
  env: Record<string, string>
  readyMs: number
  temporary: boolean
}

/** A server as a process. The same folder and port serve after every `start`. */
export class Server {
  readonly kind: 'zookeeper' | 'kafka'
  readonly maker: Maker
  readonly port: number
  readonly host: string
  /** `host:port` */
  readonly address: string
  /** Where the server keeps its data: `dataDir`, or the only one of `log.dirs`. */
  readonly dataDirectory: string
  readonly directory: string
  readonly configFile: string
  readonly #recipe: Recipe
  #child: ChildProcess | undefined
  #exited: Promise<number> = Promise.resolve(0)
  #running = false

  constructor(recipe: Recipe) {
    this.#recipe = recipe
    this.kind = recipe.kind
    this.maker = recipe.maker
    this.port = recipe.port
    this.host = recipe.host
    this.address = `${recipe.host}:${recipe.port}`
    this.directory = recipe.directory
    this.dataDirectory = recipe.dataDirectory
    this.configFile = recipe.configFile
  }

  get pid(): number | undefined {
    return this.#child?.pid
  }
  get running(): boolean {
    return this.#running
  }

  /** Starts the process and waits until it answers clients. Rejects with the end of its log when it ends instead. */
  async start(): Promise<void> {
    await this.launch()
    await until(`${this.maker} ${this.kind} answers at ${this.address}`, async () => {
      if (!this.#running) throw new Error(`${this.maker} ${this.kind} ended with ${await this.#exited} instead of serving\n${this.log(60)}`)
      return this.kind === 'zookeeper' ? zookeeperAnswers(this.port, this.host) : kafkaAnswers(this.port, this.host)
    }, this.#recipe.readyMs).catch((cause: Error) => {
      throw new Error(`${cause.message}\n${this.log(60)}`, { cause })
    })
  }

  /** Starts the process without waiting: for servers that are meant to refuse. */
  async launch(): Promise<void> {
    if (this.#running) throw new Error(`${this.kind} at ${this.address} runs already`)
    appendFileSync(this.logFile, `--- ${this.maker} ${this.kind} at ${this.address}\n`)
    const out = openSync(this.logFile, 'a')
    const { env, directory } = this.#recipe
    const [command, ...args] = [...this.#recipe.within, this.#recipe.command, ...this.#recipe.args]
    // A group of its own, so that a kill reaches whatever a start script starts.
    const child = spawn(command, args, { cwd: directory, env: { ...process.env, ...env }, stdio: ['ignore', out, out], detached: true })
    closeSync(out)
    this.#child = child
    this.#running = true
    running.add(this)
    this.#exited = new Promise((resolve) => {
      const ended = (code: number) => {
        this.#running = false
        running.delete(this)
        resolve(code)
      }
      child.on('error', (error) => {
        appendFileSync(this.logFile, `${error.message}\n`)
        ended(-1)
      })
      child.on('exit', (code) => ended(code ?? -1))
    })
  }

  /** Waits for the process to end by itself; answers its exit code, -1 for a signal. */
  exited(): Promise<number> {
    return this.#exited
  }

  /** SIGTERM, and waits for the end. Answers the exit code (a JVM says 143). */
  async stop(timeoutMs = 180_000): Promise<number> {
    if (!this.#running) return this.#exited
    this.#child?.kill('SIGTERM')
    const late = Symbol('late')
    let timer: NodeJS.Timeout | undefined
    const code = await Promise.race([this.#exited, new Promise<typeof late>((resolve) => (timer = setTimeout(resolve, timeoutMs, late)))])
    clearTimeout(timer)
    if (code !== late) return code
    await this.kill()
    throw new Error(`${this.maker} ${this.kind} did not stop within ${timeoutMs} ms of SIGTERM\n${this.log(60)}`)
  }

  /** SIGKILL to the process and all it started. */
  async kill(): Promise<void> {
    killGroup(this.#child?.pid)
    await this.#exited
  }

  /** What the server has printed; the last `lines` of it, or all. */
  log(lines?: number): string {
    if (!existsSync(this.logFile)) return ''
    const all = readFileSync(this.logFile, 'utf8')
    return lines === undefined ? all : all.split('\n').slice(-lines - 1).join('\n')
  }

  /** Kills what still runs and removes the folder, if it was a temporary one. */
  async dispose(): Promise<void> {
    await this.kill()
    if (this.#recipe.temporary) rmSync(this.directory, { recursive: true, force: true })
  }

  get logFile(): string {
    return join(this.directory, 'server.log')
  }
}

/** No server outlives the tests, even if they break off. */
const running = new Set<Server>()
process.on('exit', () => {
  for (const server of running) killGroup(server.pid)
})

/** A ZooKeeper server for itself, answering. */
export async function startZookeeper(options: ServerOptions = {}): Promise<Server> {
  return started(await zookeeperServer(options))
}

/** A broker at the ZooKeeper of `zookeeper` (`host:port[,…][/chroot]`), answering. */
export async function startKafka(options: ServerOptions & { zookeeper: string }): Promise<Server> {
  return started(await kafkaServer(options))
}

async function started(server: Server): Promise<Server> {
  try {
    await server.start()
    return server
  } catch (error) {
    await server.dispose()
    throw error
  }
}

/** The same, not started yet. */
export async function zookeeperServer(options: ServerOptions): Promise<Server> {
  const place = await prepared('zookeeper', options)
  const config = {
    dataDir: place.dataDirectory,
    clientPort: place.port,
    clientPortAddress: place.host,
    // A short tick: sessions may be as short as a second; and long, because machines stand still at times.
    tickTime: 500,
    maxSessionTimeout: 60_000,
    maxClientCnxns: 0,
    'admin.enableServer': false,
    '4lw.commands.whitelist': '*',
    extendedTypesEnabled: true,
    ...options.config,
  }
  const launch =
    place.maker === 'apache'
      ? javaServer(place, '-Xmx256m', 'org.apache.zookeeper.server.quorum.QuorumPeerMain', place.configFile)
      : { command: program('zkServer.sh'), args: ['start-foreground', place.configFile] }
  return new Server(written({ ...place, ...launch }, config))
}

export async function kafkaServer(options: ServerOptions & { zookeeper: string }): Promise<Server> {
  const place = await prepared('kafka', options)
  const config = {
    'broker.id': 1,
    listeners: `PLAINTEXT://${place.host}:${place.port}`,
    'log.dirs': place.dataDirectory,
    'zookeeper.connect': options.zookeeper,
    // Apache's broker refuses to start after a kill until this has passed.
    'zookeeper.session.timeout.ms': 6_000,
    'num.partitions': 1,
    // Some tests write records with timestamps of long ago: the retention check must not meet them.
    'log.retention.ms': -1,
    'offsets.topic.replication.factor': 1,
    'transaction.state.log.replication.factor': 1,
    'transaction.state.log.min.isr': 1,
    'group.initial.rebalance.delay.ms': 0,
    ...options.config,
  }
  const launch =
    place.maker === 'apache'
      ? javaServer(place, '-Xmx512m', 'kafka.Kafka', place.configFile)
      : { command: program('kafka-server-start.sh'), args: [place.configFile] }
  return new Server(written({ ...place, ...launch }, config))
}

async function prepared(kind: 'zookeeper' | 'kafka', options: ServerOptions): Promise<Omit<Recipe, 'command' | 'args'>> {
  const maker = options.maker ?? (kind === 'kafka' ? kafkaMaker : zookeeperMaker)
  const directory = options.directory ?? mkdtempSync(join(tmpdir(), `ottla-interop-${kind}-`))
  const dataDirectory = join(directory, 'data')
  mkdirSync(dataDirectory, { recursive: true })
  return {
    kind,
    maker,
    host: options.host ?? '127.0.0.1',
    within: options.within ?? [],
    release: options.release ?? 'apache',
    directory,
    dataDirectory,
    port: options.port ?? (await freePort()),
    configFile: join(directory, kind === 'kafka' ? 'server.properties' : 'zoo.cfg'),
    env: { ...options.env },
    readyMs: options.readyMs ?? 240_000,
    temporary: options.directory === undefined,
  }
}

function written(recipe: Recipe, config: Record<string, string | number | boolean>): Recipe {
  const lines = Object.entries(config).map(([key, value]) => `${key}=${value}\n`)
  writeFileSync(recipe.configFile, lines.join(''))
  return recipe
}

/** A tool of the package's own `bin/`. */
export function program(name: string): string {
  return fileURLToPath(new URL(`../../bin/${name}`, import.meta.url))
}

function javaServer({ directory, release }: Pick<Recipe, 'directory' | 'release'>, heap: string, ...main: string[]): { command: string; args: string[] } {
  const log4j = join(directory, 'log4j.properties')
  writeFileSync(
    log4j,
    [
      'log4j.rootLogger=INFO, stdout',
      'log4j.appender.stdout=org.apache.log4j.ConsoleAppender',
      'log4j.appender.stdout.layout=org.apache.log4j.PatternLayout',
      'log4j.appender.stdout.layout.ConversionPattern=[%d] %p %m (%c)%n',
    ].join('\n'),
  )
  return { command: 'java', args: [heap, '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-Djava.awt.headless=true', `-Dlog4j.configuration=file:${log4j}`, '-cp', where(release), ...main] }
}

/** Sends bytes to a port and answers what comes back, until `enough`, the end, or `patienceMs` of silence. */
export function exchange(port: number, request: Uint8Array | string, enough: (answer: Buffer) => boolean = () => false, host = '127.0.0.1', patienceMs = 2_000): Promise<Buffer> {
  return new Promise((resolve) => {
    const socket = connect(port, host)
    let answer = Buffer.alloc(0)
    const finish = () => {
      socket.destroy()
      resolve(answer)
    }
    socket.setTimeout(patienceMs, finish)
    socket.on('error', finish)
    socket.on('close', finish)
    socket.on('connect', () => socket.write(request))
    socket.on('data', (chunk) => {
      answer = Buffer.concat([answer, chunk])
      if (enough(answer)) finish()
    })
  })
}

/** A four-letter word and its answer; '' from one that does not listen, or stands still for long. */
export async function fourLetterWord(server: Server, word: string): Promise<string> {
  return (await exchange(server.port, word, undefined, server.host, 30_000)).toString()
}

async function zookeeperAnswers(port: number, host: string): Promise<boolean> {
  return (await exchange(port, 'srvr', undefined, host)).includes('Mode: ')
}

/** A broker is ready when Metadata v1 names a broker and a controller. */
async function kafkaAnswers(port: number, host: string): Promise<boolean> {
  const request = Buffer.alloc(18)
  request.writeInt32BE(14, 0) // size
  request.writeInt16BE(3, 4) // Metadata
  request.writeInt16BE(1, 6)
  request.writeInt32BE(1, 8) // correlation id
  request.writeInt16BE(-1, 12) // no client id
  request.writeInt32BE(0, 14) // no topics
  const whole = (answer: Buffer) => answer.length >= 4 && answer.length >= 4 + answer.readInt32BE(0)
  const answer = await exchange(port, request, whole, host)
  if (!whole(answer)) return false
  let at = 8
  const brokers = answer.readInt32BE(at)
  at += 4
  for (let i = 0; i < brokers; i++) {
    at += 4
    at += 2 + answer.readInt16BE(at)
    at += 4
    at += 2 + Math.max(0, answer.readInt16BE(at))
  }
  return brokers > 0 && answer.readInt32BE(at) >= 0
}

/** A ZooKeeper server and brokers at it. */
export interface Cluster {
  zookeeper: Server
  /** Broker 1, by default the only one. */
  kafka: Server
  /** Broker 1 and, with `BROKERS`, those beside it. */
  brokers: readonly Server[]
}

/**
 * Servers for a whole test file: started before its first test, gone after its last. Call it at the top of a `describe`;
 * the answer's fields are there once tests run. A failing test prints the end of the servers' logs.
 */
export function useCluster(options: { kafka?: ServerOptions; zookeeper?: ServerOptions } = {}): Cluster {
  const cluster = {} as Cluster
  beforeAll(async () => {
    // A machine that stands still ends no session; Apache's broker is back after a kill only when its old one has ended.
    const session: ServerOptions['config'] = brokerMakers.includes('apache') ? {} : { 'zookeeper.session.timeout.ms': 60_000 }
    cluster.zookeeper = await startZookeeper({ ...options.zookeeper, config: { maxSessionTimeout: 60_000, ...options.zookeeper?.config } })
    const count = brokerMakers.length
    // Topics that do not say how many replicas they want have one on each broker.
    const replicas = { 'default.replication.factor': count, 'offsets.topic.replication.factor': count, 'transaction.state.log.replication.factor': count }
    const start = (maker: Maker, index: number): Promise<Server> =>
      startKafka({ zookeeper: cluster.zookeeper.address, maker, ...options.kafka, config: { 'broker.id': index + 1, ...session, ...(count > 1 && replicas), ...options.kafka?.config } })
    cluster.brokers = []
    for (const [index, maker] of brokerMakers.entries()) cluster.brokers = [...cluster.brokers, await start(maker, index)]
    cluster.kafka = cluster.brokers[0]
  })
  disposeOf(() => [...(cluster.brokers ?? []), cluster.zookeeper])
  return cluster
}

/** The same with ZooKeeper alone. */
export function useZookeeper(options: ServerOptions = {}): { zookeeper: Server } {
  const holder = {} as { zookeeper: Server }
  beforeAll(async () => {
    holder.zookeeper = await startZookeeper(options)
  })
  disposeOf(() => [holder.zookeeper])
  return holder
}

/** Prints what servers logged during a test that failed, and removes the servers after the last. */
export function disposeOf(servers: () => readonly (Server | undefined)[]): void {
  const before = new Map<Server, number>()
  beforeEach(() => {
    for (const server of servers()) if (server) before.set(server, server.log().length)
  })
  afterEach(({ task }) => {
    if (task.result?.state !== 'fail') return
    for (const server of servers()) {
      const news = server?.log().slice(before.get(server) ?? 0)
      if (server && news) console.error(`--- while "${task.name}" failed, ${server.maker} ${server.kind} said:\n${news.split('\n').slice(-40).join('\n')}`)
    }
  })
  afterAll(async () => {
    for (const server of servers()) await server?.dispose()
  })
}
