/** `ottla up --brokers N --coordinators N`: a cluster on this machine, every server a supervised process, until a signal. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { silentLogger } from '../host/logger.ts'
import { nodeHost } from '../host/node.ts'
import { freePort, isFree } from '../host/ports.ts'
import { tooFewFileDescriptors } from './file-descriptors.ts'
import { askWord } from './four-letter-word.ts'
import { portHolderText } from './port-holder.ts'
import { processesRunning } from './processes.ts'
import { clusterReadyMessage } from './ready-message.ts'
import { Supervisor } from './supervisor.ts'
import { untilStopped } from './until-stopped.ts'
import { electionDistance, plansOf, quorumDistance, type ClusterRecord, type ServerPlan } from './up-layout.ts'
import type { UpOptions } from './up-options.ts'
import { readRecord, writeRecord } from './up-record.ts'
import type { Shape } from './up-shape.ts'
import { UsageError } from './usage-error.ts'
import { packageVersion } from './version.ts'

/** What `ottla up` gives each broker itself. */
const ownKeys: ReadonlySet<string> = new Set(['broker.id', 'node.id', 'listeners', 'advertised.listeners', 'log.dirs', 'log.dir', 'zookeeper.connect'])
/** The processes of a supervisor that was killed end by themselves; this is how long that is waited for. */
const orphansMsMax = 30_000
/** An election takes milliseconds; a machine that recovers large logs takes longer. */
const quorumMsMax = 60_000

export async function upCluster(options: UpOptions, shape: Shape): Promise<void> {
  const say = (line: string): void => void process.stdout.write(`${line}\n`)
  const dataDir = resolve(options.dataDir)
  const wrong = options.overrides.find(({ key }) => ownKeys.has(key))
  if (wrong) throw new UsageError(`--override ${wrong.key}: with several brokers each has its own, chosen by ottla up (see --kafka-port, --host, --advertise and --data-dir)`)
  const few = tooFewFileDescriptors()
  if (few !== undefined) process.stderr.write(`${few}\n`)
  const host = nodeHost({ logger: silentLogger })
  await host.disk.lock(join(dataDir, '.ottla.lock'))
  const before = readRecord(dataDir)
  const layout = { dataDir, listen: options.host, advertise: advertised(options), overrides: options.overrides }
  if (before) await orphansEnded(plansOf(before, layout), say)
  const record = await portsOf(options, shape, before)
  const plans = plansOf(record, layout)
  await checkPorts(plans, options)
  writeFiles(plans)
  writeRecord(dataDir, record)

  const supervisor = new Supervisor(
    plans.map(({ name, script, configFile, kind }) => ({
      name,
      script: fileURLToPath(new URL(`../cli/${script}`, import.meta.url)),
      args: [configFile],
      logFile: join(dataDir, 'logs', `${name}.log`),
      // Buffers of frames come and go by the megabyte; see bin/kafka-server-start.sh.
      ...(kind === 'broker' && { env: { MALLOC_MMAP_THRESHOLD_: '268435456', MALLOC_TRIM_THRESHOLD_: '268435456' } }),
    })),
    {
      restart: options.restart,
      say,
      onAllEnded() {
        process.stderr.write('No server is left\n')
        process.exit(1)
      },
    },
  )
  let isStopping = false
  // A second Ctrl-C ends this process at once; its children follow it.
  untilStopped({ stop: () => ((isStopping = true), supervisor.stop(plans.filter(({ kind }) => kind === 'broker').map(({ name }) => name).reverse())) }, { say })
  try {
    await supervisor.start()
    await quorum(record, options.host)
  } catch (error) {
    if (isStopping) return
    await supervisor.stop([])
    throw new UsageError((error as Error).message, { cause: error })
  }
  process.stdout.write(clusterReadyMessage({
    version: packageVersion(),
    record,
    listen: options.host,
    dataDir,
    advertised: layout.advertise && record.brokers.map((_, index) => `${layout.advertise!.host}:${layout.advertise!.port + index}`).join(','),
    bin: relative(process.cwd(), fileURLToPath(new URL('../../bin', import.meta.url))) || '.',
    seconds: process.uptime(),
    processId: (name) => supervisor.find(name)?.processId,
    restart: options.restart,
  }))
}

function advertised({ advertise }: UpOptions): { host: string; port: number } | undefined {
  if (advertise === undefined) return undefined
  const at = advertise.lastIndexOf(':')
  return { host: advertise.slice(0, at).replace(/^\[|\]$/g, ''), port: Number(advertise.slice(at + 1)) }
}

/** Consecutive ports from those asked for; with 0 the ones of last time as far as they are free, else any. */
async function portsOf(options: UpOptions, { brokers, coordinators }: Shape, before: ClusterRecord | undefined): Promise<ClusterRecord> {
  const chosen = new Set<number>()
  const choose = async (address: string, base: number, index: number, last: number | undefined): Promise<number> => {
    let port = base + index
    if (base === 0) port = last !== undefined && last > 0 && !chosen.has(last) && (await isFree(address, last)) ? last : await freePort(address, chosen)
    if (port > 65535) throw new UsageError(`The ports from ${base} on do not suffice for ${index + 1} servers: 65535 is the last one. Choose a lower --kafka-port or --zookeeper-port`)
    if (chosen.has(port)) throw new UsageError(`Port ${port} would be used twice: choose --kafka-port and --zookeeper-port further apart`)
    chosen.add(port)
    return port
  }
  const record: ClusterRecord = { host: options.host === '' ? 'localhost' : options.host, brokers: [], coordinators: [] }
  const { zookeeperPort } = options
  const among = (distance: number): number => (zookeeperPort === 0 ? 0 : zookeeperPort + distance)
  for (let index = 0; index < coordinators; index++) {
    const last = before?.coordinators[index]
    record.coordinators.push({
      id: index + 1,
      port: await choose(options.host, zookeeperPort, index, last?.port),
      quorum: coordinators === 1 ? 0 : await choose('127.0.0.1', among(quorumDistance), index, last?.quorum),
      election: coordinators === 1 ? 0 : await choose('127.0.0.1', among(electionDistance), index, last?.election),
    })
  }
  for (let index = 0; index < brokers; index++) record.brokers.push({ id: index, port: await choose(options.host, options.kafkaPort, index, before?.brokers[index]?.port) })
  return record
}

async function checkPorts(plans: readonly ServerPlan[], options: UpOptions): Promise<void> {
  for (const { name, kind, ports } of plans)
    for (const [index, port] of ports.entries()) {
      const address = index === 0 ? options.host : '127.0.0.1'
      if (await isFree(address, port)) continue
      throw new UsageError(`${name} cannot listen on ${address === '' ? 'port ' : `${address}:`}${port}: ${portHolderText(port)} listens there already. Stop that one, or choose other ports with ${kind === 'broker' ? '--kafka-port' : '--zookeeper-port'} (0: any free ones)`)
    }
}

function writeFiles(plans: readonly ServerPlan[]): void {
  for (const { configFile, configText, files } of plans)
    for (const [path, content] of Object.entries({ ...files, [configFile]: configText })) {
      mkdirSync(dirname(path), { recursive: true })
      writeFileSync(path, content)
    }
}

async function orphansEnded(plans: readonly ServerPlan[], say: (line: string) => void): Promise<void> {
  const orphans = (): string[] => plans.flatMap(({ name, script, configFile }) =>
    processesRunning(`/cli/${script}`).filter(({ arguments: words }) => words.includes(configFile)).map(({ id }) => `${name} (process ${id})`))
  let left = orphans()
  if (left.length === 0) return
  say(`Waiting for the servers of the last start to end, whose ottla up was killed: ${left.join(', ')}`)
  for (const deadline = performance.now() + orphansMsMax; left.length > 0; left = orphans()) {
    if (performance.now() > deadline) throw new UsageError(`Servers of an earlier start still run on this folder: ${left.join(', ')}. End them with kill, or choose another folder with --data-dir`)
    await new Promise((done) => setTimeout(done, 200))
  }
}

/** Waits until every coordinator leads or follows. */
async function quorum({ coordinators }: ClusterRecord, listen: string): Promise<void> {
  const deadline = performance.now() + quorumMsMax
  for (const { id, port } of coordinators)
    for (;;) {
      const answer = await askWord(listen === '' ? '127.0.0.1' : listen, port, 'srvr').catch((error: Error) => error.message)
      if (/^Mode: /m.test(answer)) break
      if (performance.now() > deadline) throw new Error(`coordinator-${id} at port ${port} has not joined the ensemble after ${quorumMsMax / 1000} s: ${answer.trim()}`)
      await new Promise((done) => setTimeout(done, 20))
    }
}
