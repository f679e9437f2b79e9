/** Ensembles of either maker as processes of this machine, with the same zoo.cfg: started, killed, restarted, looked at. */
import { spawn } from 'node:child_process'
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { cpuSeconds, freePort, residentMiB, sleep } from './bench-processes.js'

const bin = fileURLToPath(new URL('../bin/', import.meta.url))
/** Debian's packages zookeeper, libnetty-java and so on lie there together. */
const debian = '/usr/share/java'

/** Where Apache's jars are: KAFKA_LIBS, whose folder has ZooKeeper's too, or Debian's package. Undefined: nowhere. */
export function apacheClassPath() {
  const libs = process.env['KAFKA_LIBS']
  if (libs) return { classPath: `${libs}/*`, from: libs }
  if (!existsSync(join(debian, 'zookeeper.jar'))) return undefined
  const jars = ['zookeeper', 'zookeeper-jute', 'slf4j-api', 'slf4j-log4j12', 'log4j-1.2', 'snappy-java', 'netty-all', 'metrics-core', 'commons-cli']
  return { classPath: jars.map((jar) => join(debian, `${jar}.jar`)).join(':'), from: debian }
}

/** The answer to a four-letter word; '' where there is none. */
function say(port, word) {
  return new Promise((done) => {
    let answer = ''
    const socket = connect({ port, host: '127.0.0.1' }, () => socket.write(word))
    socket.setTimeout(2_000, () => socket.destroy())
    socket.setEncoding('utf8').on('data', (text) => (answer += text)).on('error', () => {}).on('close', () => done(answer))
  })
}

/** The servers of the moment. */
const running = new Set()
/** For the end of a bench, however it came: no server is left behind, of an ensemble that is just being started neither. */
export function killServers() {
  for (const child of running) child.kill('SIGKILL')
}

export class Ensemble {
  /** `size` 1: a server alone. `cfg`: more lines for zoo.cfg. `watchesTurns`: see `turns`. */
  static async start(maker, size, folder, { cfg = [], heap = '-Xmx1000m', watchesTurns = false } = {}) {
    const ensemble = new Ensemble(maker, folder, heap)
    ensemble.watchesTurns = watchesTurns && maker === 'ottla'
    const ports = await Promise.all(Array.from({ length: size * 3 }, freePort))
    const members = size === 1 ? [] : Array.from({ length: size }, (_, index) => `server.${index + 1}=127.0.0.1:${ports[index * 3]}:${ports[index * 3 + 1]}`)
    for (let index = 0; index < size; index++) {
      const home = join(folder, `${maker}-${size}-${index + 1}`)
      mkdirSync(home, { recursive: true })
      const lines = [
        'tickTime=2000', 'initLimit=10', 'syncLimit=5', 'maxClientCnxns=0', 'admin.enableServer=false', '4lw.commands.whitelist=srvr,mntr', `dataDir=${home}`,
        `clientPort=${ports[index * 3 + 2]}`, 'clientPortAddress=127.0.0.1', ...members, ...cfg,
      ]
      writeFileSync(join(home, 'zoo.cfg'), `${lines.join('\n')}\n`)
      if (size > 1) writeFileSync(join(home, 'myid'), `${index + 1}\n`)
      ensemble.servers.push({ id: index + 1, home, port: ports[index * 3 + 2], log: join(home, 'server.log'), child: undefined })
    }
    for (const server of ensemble.servers) ensemble.run(server)
    await ensemble.serving()
    return ensemble
  }
  constructor(maker, folder, heap) {
    this.maker = maker
    this.folder = folder
    this.heap = heap
    this.watchesTurns = false
    this.servers = []
  }

  /** Starts the process of one server. */
  run(server) {
    const log = openSync(server.log, 'a')
    const config = join(server.home, 'zoo.cfg')
    let command = [join(bin, 'zkServer.sh'), 'start-foreground', config]
    // For profiles: BENCH_NODE_FLAGS='--cpu-prof --cpu-prof-dir=…'.
    if (process.env['BENCH_NODE_FLAGS'] && this.maker === 'ottla') command = ['node', ...process.env['BENCH_NODE_FLAGS'].split(' '), join(bin, '../dist/cli/zookeeper-server-start.js'), config]
    if (this.maker === 'apache') {
      const properties = join(server.home, 'log4j.properties')
      writeFileSync(properties, 'log4j.rootLogger=WARN, out\nlog4j.logger.org.apache.zookeeper.server.quorum=INFO\nlog4j.appender.out=org.apache.log4j.ConsoleAppender\nlog4j.appender.out.layout=org.apache.log4j.PatternLayout\nlog4j.appender.out.layout.ConversionPattern=[%d] %p %m%n\n')
      // The heap of Apache's own zkServer.sh.
      command = ['java', this.heap, '-cp', apacheClassPath().classPath, `-Dlog4j.configuration=file:${properties}`, 'org.apache.zookeeper.server.quorum.QuorumPeerMain', config]
    }
    const env = this.watchesTurns ? { ...process.env, NODE_OPTIONS: `--import ${new URL('bench-turns.js', import.meta.url)}`, BENCH_TURNS: join(server.home, 'turns') } : process.env
    const child = spawn(command[0], command.slice(1), { stdio: ['ignore', log, log], cwd: server.home, env })
    closeSync(log)
    running.add(child)
    child.gone = new Promise((done) => child.once('exit', done))
    child.gone.then(() => running.delete(child))
    server.child = child
  }
  async stopOne(server, signal = 'SIGTERM') {
    const { child } = server
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    child.kill(signal)
    const timer = setTimeout(() => child.kill('SIGKILL'), 60_000)
    await child.gone
    clearTimeout(timer)
  }
  async stop() {
    await Promise.all(this.servers.map((server) => this.stopOne(server)))
  }

  async modeOf(server) {
    return /^Mode: (\w+)/m.exec(await say(server.port, 'srvr'))?.[1]
  }
  /** Waits until every server serves clients. */
  async serving(patienceMs = 120_000) {
    const until = performance.now() + patienceMs
    for (const server of this.servers) {
      while (!(await this.modeOf(server))) {
        if (server.child.exitCode !== null) throw new Error(`server ${server.id} of ${this.maker} ended with ${server.child.exitCode}: ${this.tail(server)}`)
        if (performance.now() > until) throw new Error(`server ${server.id} of ${this.maker} does not serve: ${this.tail(server)}`)
        await sleep(20)
      }
    }
  }
  tail(server) {
    return readFileSync(server.log, 'utf8').split('\n').slice(-15).join('\n')
  }
  async leader() {
    for (const server of this.servers) if ((await this.modeOf(server)) === 'leader') return server
    return this.servers[0]
  }
  get ports() {
    return this.servers.map(({ port }) => port)
  }
  get alive() {
    return this.servers.filter(({ child }) => child.exitCode === null && child.signalCode === null)
  }
  cpuSeconds() {
    return this.alive.reduce((sum, { child }) => sum + cpuSeconds(child), 0)
  }
  /** MiB of each server. */
  resident() {
    return this.alive.map(({ child }) => residentMiB(child))
  }
  /** How long each server's thread computed at a stretch, in tenths of a second: `{ at, ms, wallMs }`; empty for Apache's, which have many threads. */
  turns(server) {
    return readdirSync(server.home).filter((name) => name.startsWith('turns.')).flatMap((name) => readFileSync(join(server.home, name), 'utf8').trimEnd().split('\n').map((line) => {
      const [at, ms, wallMs] = line.split(' ').map(Number)
      return { at, ms, wallMs }
    }))
  }
  /** Where the server's log ends now, for `logSince`. */
  logSize(server) {
    return statSync(server.log).size
  }
  logSince(server, size) {
    return readFileSync(server.log).subarray(size).toString('utf8')
  }
  remove() {
    for (const { home } of this.servers) rmSync(home, { recursive: true, force: true })
  }
}
