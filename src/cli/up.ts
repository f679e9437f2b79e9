/** `ottla up`: a broker and its ZooKeeper in one process, until a signal. */
import { relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { consoleLogger } from '../host/logger.ts'
import { nodeHost } from '../host/node.ts'
import { Ottla } from '../ottla.ts'
import { tooFewFileDescriptors } from './file-descriptors.ts'
import { tuneForBroker } from './memory.ts'
import { readyMessage } from './ready-message.ts'
import { untilStopped } from './until-stopped.ts'
import type { UpOptions } from './up-options.ts'
import { writeRecord } from './up-record.ts'
import { packageVersion } from './version.ts'

export async function up(options: UpOptions): Promise<void> {
  tuneForBroker()
  const { clock } = nodeHost()
  const logger = consoleLogger({ clock, level: options.verbose ? 'info' : 'warn' })
  const few = tooFewFileDescriptors()
  if (few !== undefined) logger.warn(few)
  const dataDir = resolve(options.dataDir)
  const ottla = await Ottla.start({
    dataDir,
    kafkaPort: options.kafkaPort,
    zookeeperPort: options.zookeeperPort,
    host: options.host,
    advertise: options.advertise,
    broker: Object.fromEntries(options.overrides.map(({ key, value }) => [key, value])),
    logger,
    onFailure: (failure) => {
      logger.error('Ottla ends', { because: failure.message })
      process.exit(1)
    },
  })
  // Before the message: who reads it may send a signal at once.
  untilStopped(ottla, { say: (text) => void process.stdout.write(`${text}\n`) })
  process.stdout.write(readyMessage({
    version: packageVersion(),
    bootstrapServers: ottla.bootstrapServers,
    zookeeperConnect: ottla.zookeeperConnect,
    dataDir,
    advertised: options.advertise,
    bin: relative(process.cwd(), fileURLToPath(new URL('../../bin', import.meta.url))) || '.',
    seconds: process.uptime(),
  }))
  // What `ottla status` looks for. A disk that is full says so elsewhere.
  try {
    const [zookeeperPort, kafkaPort] = [ottla.zookeeperConnect, ottla.bootstrapServers].map((address) => Number(address.slice(address.lastIndexOf(':') + 1)))
    writeRecord(dataDir, { host: options.host === '' ? 'localhost' : options.host, brokers: [{ id: ottla.broker.brokerId, port: kafkaPort }], coordinators: [{ id: 1, port: zookeeperPort, quorum: 0, election: 0 }] })
  } catch (error) {
    logger.warn('ottla.json could not be written; `ottla status` will not find this start by its folder', { because: (error as Error).message })
  }
}
