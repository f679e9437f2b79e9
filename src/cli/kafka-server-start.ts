/** kafka-server-start.sh: a broker from server.properties, in the foreground or as a daemon. */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { consoleLogger } from '../host/logger.ts'
import { nodeHost } from '../host/node.ts'
import { Broker } from '../kafka/broker/broker.ts'
import { readBrokerConfig, type ConfigNotice } from '../kafka/config/broker-settings.ts'
import { daemonChild, startDaemon } from './daemon.ts'
import { explain, fail } from './failure.ts'
import { tooFewFileDescriptors } from './file-descriptors.ts'
import { kafkaEnvironmentNotice } from './kafka-environment.ts'
import { kafkaServerUsage, parseKafkaServerOptions } from './kafka-server-options.ts'
import { tuneForBroker } from './memory.ts'
import { UsageError } from './usage-error.ts'
import { untilStopped } from './until-stopped.ts'
import { versionText } from './tool.ts'

const words = { portOption: 'listeners=', folderOption: 'log.dirs=' }

async function main(args: readonly string[]): Promise<void> {
  const options = parseKafkaServerOptions(args)
  if (options.kind === 'help') return void process.stdout.write(`${kafkaServerUsage}\n`)
  if (options.kind === 'version') return void process.stdout.write(`${versionText}\n`)
  const child = daemonChild()
  if (options.daemon && child === undefined) return startInBackground(args)
  tuneForBroker()
  const { clock } = nodeHost()
  // Apache's broker logs to standard output; scripts that wait for its "started" line read there.
  const logger = consoleLogger({ clock, sink: child ? child.logSink(join(logFolder(), 'server.log')) : (line) => void process.stdout.write(`${line}\n`) })
  const log = logger.named('kafka.server')
  const { settings, notices } = readBrokerConfig(options.entries)
  const environment = kafkaEnvironmentNotice(process.env)
  if (environment !== undefined) log.info(environment)
  for (const line of noticeLines(notices)) log[line.level](line.text)
  const few = tooFewFileDescriptors()
  if (few !== undefined) log.warn(few)
  const onFailure = (failure: Error): void => {
    log.error('the broker ends', { because: failure.message })
    process.exit(1)
  }
  const broker = await Broker.start(nodeHost({ logger }), settings, { onFailure }).catch((error: unknown) => {
    // The log is where a service's failure is looked for; standard error is what a person sees.
    log.error('the broker did not start', { because: explain(error, words) ?? error })
    throw error
  })
  untilStopped(broker, { say: (text) => log.info(text), ignoreHangup: child !== undefined })
  log.info('listening', { on: broker.listeners.map(({ listener, host, port }) => `${listener}://${host}:${port}`).join(',') })
  child?.ready()
}

/** LOG_DIR, or `logs` beside `bin`, as with Apache's. */
function logFolder(): string {
  return process.env['LOG_DIR'] || fileURLToPath(new URL('../../logs', import.meta.url))
}
async function startInBackground(args: readonly string[]): Promise<void> {
  const outFile = join(logFolder(), 'kafkaServer.out')
  const started = await startDaemon({ script: fileURLToPath(import.meta.url), args, outFile })
  if ('failure' in started) throw new UsageError(started.failure)
  if (!started.ready) process.stderr.write(`The broker (process ${started.processId}) is still starting; its log: ${join(logFolder(), 'server.log')}\n`)
}

/** Keys without effect share one quiet line; what looks like a mistake gets a line of its own. */
export function noticeLines(notices: readonly ConfigNotice[]): { level: 'info' | 'warn'; text: string }[] {
  const ignored = notices.filter(({ kind }) => kind === 'ignored').map(({ key }) => key)
  const lines = notices.filter(({ kind }) => kind !== 'ignored').map(({ kind, text }) => ({ level: kind === 'unknown' && !text.includes('did you mean') ? ('info' as const) : ('warn' as const), text }))
  return ignored.length === 0 ? lines : [{ level: 'info', text: `accepted without effect: ${ignored.join(', ')}` }, ...lines]
}

main(process.argv.slice(2)).catch((error: unknown) => fail(error, words))
