/** zookeeper-server-start.sh: a ZooKeeper server from zoo.cfg, in the foreground or as a daemon. zkServer.sh starts the same. */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { InUseError } from '../host/host.ts'
import { consoleLogger } from '../host/logger.ts'
import { nodeHost } from '../host/node.ts'
import { ConfigError } from '../zookeeper/server/config-error.ts'
import { ZooKeeperServer } from '../zookeeper/server/server.ts'
import { versionText } from '../zookeeper/server/version.ts'
import { StorageError } from '../zookeeper/storage/storage-error.ts'
import { daemonChild, startDaemon } from './daemon.ts'
import { fail } from './failure.ts'
import { untilStopped } from './until-stopped.ts'
import { UsageError } from './usage-error.ts'
import { readServerConfig } from './zookeeper-config-file.ts'

const words = { portOption: 'clientPort=', folderOption: 'dataDir=' }
const usage = 'USAGE: zookeeper-server-start.sh [-daemon] zookeeper.properties'

function parse(args: readonly string[]): { daemon: boolean; file: string } {
  let daemon = false
  const files: string[] = []
  for (let index = 0; index < args.length; index++) {
    const argument = args[index]
    // -loggc and -name NAME are the JVM's.
    if (argument === '-daemon') daemon = true
    else if (argument === '-loggc') continue
    else if (argument === '-name') index++
    else if (argument.startsWith('-')) throw new UsageError(`Unknown option ${argument}\n${usage}`)
    else files.push(argument)
  }
  if (files.length !== 1) throw new UsageError(files.length === 0 ? usage : `One configuration file is expected, and ${files.length} are named\n${usage}`)
  return { daemon, file: files[0] }
}

async function main(args: readonly string[]): Promise<void> {
  if (args.includes('--version')) return void process.stdout.write(`Apache ZooKeeper, version ${versionText}\n`)
  if (args.includes('--help') || args.includes('-h')) return void process.stdout.write(`${usage}\n`)
  const { daemon, file } = parse(args)
  // Brokers that lost the same supervisor end their sessions first.
  const child = daemonChild({ orphanedMs: 3_000 })
  if (daemon && child === undefined) return startInBackground(args)
  const { clock } = nodeHost()
  const toConsole = (line: string): void => void process.stdout.write(`${line}\n`)
  const logger = consoleLogger({ clock, sink: child ? child.logSink(logFile()) : toConsole })
  const log = logger.named('zookeeper')
  const { config, notices } = readServerConfig(file, process.env)
  for (const notice of notices) log.info(notice)
  const server = await ZooKeeperServer.start(nodeHost({ logger }), config, { onFailure: failed }).catch((error: unknown) => {
    const reason = error instanceof StorageError || error instanceof InUseError || error instanceof ConfigError ? new UsageError(error.message, { cause: error }) : error
    log.error('the server did not start', { because: reason instanceof UsageError ? reason.message : reason })
    throw reason
  })
  untilStopped(server, { say: (text) => log.info(text), ignoreHangup: child !== undefined })
  log.info('serving', { version: versionText, address: config.clientPortAddress ?? '*', port: server.port, dataDir: config.store.dataDir, adminPort: server.adminPort })
  child?.ready()
}

/** The log could not be written: nothing can be acknowledged any more, and only a restart finds out what the disk has kept. */
function failed(error: unknown): void {
  process.stderr.write(`The server stops: ${error instanceof Error ? `${error.message}${error.cause instanceof Error ? ` (${error.cause.message})` : ''}` : String(error)}\n`)
  process.exit(1)
}

/** zkServer.sh names folder and file; otherwise LOG_DIR as with Kafka's scripts, or `logs` beside `bin`. */
function logFile(): string {
  const { ZOO_LOG_DIR: folder, ZOO_LOG_FILE: name } = process.env
  return folder && name ? join(folder, name) : join(logFolder(), 'zookeeper.log')
}
function logFolder(): string {
  return process.env['LOG_DIR'] || fileURLToPath(new URL('../../logs', import.meta.url))
}
async function startInBackground(args: readonly string[]): Promise<void> {
  const started = await startDaemon({ script: fileURLToPath(import.meta.url), args, outFile: join(logFolder(), 'zookeeper.out') })
  if ('failure' in started) throw new UsageError(started.failure)
  if (!started.ready) process.stderr.write(`The server (process ${started.processId}) is still starting; its log: ${logFile()}\n`)
}

main(process.argv.slice(2)).catch((error: unknown) => fail(error, words))
