/** `ottla up --brokers N --coordinators N`: the built command, its processes, and what it says. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { createServer, type AddressInfo } from 'node:net'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { plansOf, type ClusterRecord } from '../../src/cli/up-layout.ts'
import { parseUpOptions } from '../../src/cli/up-options.ts'
import { writeRecord } from '../../src/cli/up-record.ts'
import { shapeOf } from '../../src/cli/up-shape.ts'

let folder: string
const started = new Set<Up>()
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ottla-up-'))
})
afterEach(async () => {
  for (const up of started) await up.stop('SIGTERM')
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const ottla = join(import.meta.dirname, '../../bin/ottla')
const anyPorts = ['--kafka-port', '0', '--zookeeper-port', '0', '--host', '127.0.0.1']

class Up {
  readonly child: ChildProcess
  text = ''
  readonly #ended: Promise<number | null>
  constructor(args: string[]) {
    this.child = spawn(ottla, ['up', ...anyPorts, ...args], { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] })
    started.add(this)
    for (const stream of [this.child.stdout!, this.child.stderr!]) stream.on('data', (chunk: Buffer) => (this.text += chunk.toString()))
    this.#ended = new Promise((ended) => this.child.once('close', (code) => (started.delete(this), ended(code))))
  }
  /** Waits until it has printed this. */
  async says(words: RegExp): Promise<RegExpExecArray> {
    for (const deadline = Date.now() + 150_000; Date.now() < deadline; await new Promise((done) => setTimeout(done, 20))) {
      const found = words.exec(this.text)
      if (found) return found
      if (!started.has(this)) break
    }
    throw new Error(`never said ${words}:\n${this.text}`)
  }
  processOf(name: string): number {
    return Number(new RegExp(`^  ${name} .*process (\\d+)`, 'm').exec(this.text)?.[1])
  }
  stop(signal: NodeJS.Signals): Promise<number | null> {
    this.child.kill(signal)
    return this.#ended
  }
}
async function up(...args: string[]): Promise<Up> {
  const started = new Up(args)
  await started.says(/Ctrl-C/)
  return started
}
const run = (name: string, ...args: string[]) => spawnSync(join(import.meta.dirname, '../../bin', name), args, { cwd: folder, encoding: 'utf8', timeout: 150_000 })
const isAlive = (processId: number): boolean => {
  try {
    return process.kill(processId, 0) && !/^State:\s+Z/m.test(readFileSync(`/proc/${processId}/status`, 'utf8'))
  } catch {
    return false
  }
}
const servers = (up: Up): string => /Kafka +(\S+)/.exec(up.text)?.[1] ?? ''
const names = ['coordinator-1', 'coordinator-2', 'coordinator-3', 'broker-0', 'broker-1', 'broker-2']

test('three brokers and three coordinators: kept running, kept data, stopped in order; a killed supervisor leaves nothing behind', async () => {
  const first = await up('--brokers', '3', '--coordinators', '3', '--data-dir', 'cluster')
  const processes = names.map((name) => first.processOf(name))
  expect(processes.every(isAlive)).toBe(true)
  expect(run('kafka-topics.sh', '--bootstrap-server', servers(first), '--create', '--topic', 'kept', '--partitions', '3', '--replication-factor', '3')).toMatchObject({ status: 0, stderr: '' })

  let status = run('ottla', 'status', '--data-dir', 'cluster')
  // Brokers hear of the topic one after the other.
  await expect.poll(() => (status = run('ottla', 'status', '--data-dir', 'cluster')).status).toBe(0)
  expect([status.status, status.stdout]).toEqual([0, expect.stringMatching(/^ZooKeeper\n(.*\n)+Brokers\n(.*\n)+Partitions\n {2}3 {2}in 1 topic\n(.*\n)+Everything is in order\.\n$/)])
  expect(status.stdout.match(/ (follower|leader) +zxid 0x/g)).toHaveLength(3)

  process.kill(first.processOf('broker-1'), 'SIGKILL')
  process.kill(first.processOf('coordinator-2'), 'SIGKILL')
  const restarted = Number((await first.says(/broker-1 runs again as process (\d+)/))[1])
  await first.says(/coordinator-2 runs again as process \d+/)
  expect(first.text).toMatch(/broker-1 \(process \d+\) ended with SIGKILL; its log is \S+\/logs\/broker-1\.log\. Started again in 0\.25 s/)

  // A second one is kept off the folder, whichever shape it wants.
  expect(run('ottla', 'up', ...anyPorts, '--data-dir', 'cluster').stderr).toContain(`is locked by process ${first.child.pid}`)

  await first.stop('SIGKILL')
  const second = await up('--data-dir', 'cluster')
  expect([...processes, restarted].filter(isAlive)).toEqual([])
  expect(names.every((name) => isAlive(second.processOf(name)))).toBe(true)
  const describe = () => run('kafka-topics.sh', '--bootstrap-server', servers(second), '--describe', '--topic', 'kept').stdout
  await expect.poll(describe).toMatch(/^Topic: kept\t.*PartitionCount: 3\tReplicationFactor: 3\t/)

  expect(await second.stop('SIGINT')).toBe(0)
  for (const name of ['broker-0', 'broker-1', 'broker-2']) expect(readFileSync(join(folder, 'cluster/logs', `${name}.log`), 'utf8').trim().split('\n').at(-1), name).toContain('stopped')
})

test('--coordinators alone is an ensemble without brokers; --no-restart leaves a dead server dead; no orphan when a port is taken', async () => {
  const ensemble = await up('--coordinators', '2', '--no-restart', '--data-dir', 'ensemble')
  expect(ensemble.text).not.toContain('Kafka ')
  expect(run('zkCli.sh', '-server', /ZooKeeper +(\S+)/.exec(ensemble.text)![1], 'ls', '/').stdout).toContain('[zookeeper]')
  process.kill(ensemble.processOf('coordinator-1'), 'SIGKILL')
  await ensemble.says(/coordinator-1 \(process \d+\) ended with SIGKILL; .* It is not started again/)
  const status = run('ottla', 'status', '--data-dir', 'ensemble', '--json')
  expect([status.status, (JSON.parse(status.stdout) as { ok: boolean }).ok]).toEqual([1, false])
  expect(status.stdout).toContain('nothing listens on 127.0.0.1:')
  process.kill(ensemble.processOf('coordinator-2'), 'SIGKILL')
  await ensemble.says(/No server is left/)
  expect(await ensemble.stop('SIGTERM')).toBe(1)

  const taken = createServer().listen(0, '127.0.0.1')
  await new Promise((done) => taken.once('listening', done))
  const { port } = taken.address() as AddressInfo
  const refused = await new Promise<{ code: number | null; err: string }>((done) => {
    let err = ''
    const child = spawn(ottla, ['up', '--brokers', '2', '--data-dir', 'other', '--host', '127.0.0.1', '--kafka-port', String(port - 1), '--zookeeper-port', '0'], { cwd: folder })
    child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()))
    child.on('close', (code) => done({ code, err }))
  })
  taken.close()
  // The port before it may be somebody's too: then that one is named.
  expect(refused).toEqual({ code: 1, err: expect.stringMatching(new RegExp(`broker-[01] cannot listen on 127.0.0.1:(${port}|${port - 1}): .* listens there already`)) })
  if (process.platform === 'linux' && refused.err.includes(`:${port}:`)) expect(refused.err).toContain(`process ${process.pid} (`)
})

test('a server that refuses its configuration ends the start with its own words', () => {
  const { status, stderr } = run('ottla', 'up', ...anyPorts, '--brokers', '2', '--data-dir', 'refused', '--override', 'num.partitions=none')
  expect([status, stderr]).toEqual([1, expect.stringMatching(/broker-[01] ended \(code 1\): .*num\.partitions/s)])
  const own = run('ottla', 'up', ...anyPorts, '--brokers', '2', '--data-dir', 'refused', '--override', 'broker.id=7')
  expect([own.status, own.stderr]).toEqual([1, expect.stringContaining('--override broker.id: with several brokers each has its own')])
})

const shape = (...args: string[]) => shapeOf(parseUpOptions(args))
test('what is asked, what the folder holds, and what does not fit', () => {
  const data = join(folder, 'shapes')
  const at = ['--data-dir', data]
  expect(shape(...at)).toBeUndefined()
  expect(shape(...at, '--brokers', '1', '--coordinators', '1')).toBeUndefined()
  expect(shape(...at, '--brokers', '3')).toEqual({ brokers: 3, coordinators: 1 })
  expect(shape(...at, '--coordinators', '5')).toEqual({ brokers: 0, coordinators: 5 })
  expect(shape(...at, '--coordinators', '1')).toEqual({ brokers: 0, coordinators: 1 })
  mkdirSync(join(data, 'zookeeper', 'version-2'), { recursive: true })
  expect(() => shape(...at, '--brokers', '3', '--coordinators', '3')).toThrow('holds the data of one coordinator, which cannot be started as 3')
  const record: ClusterRecord = { host: 'localhost', brokers: [0, 1, 2].map((id) => ({ id, port: 9092 + id })), coordinators: [{ id: 1, port: 2181, quorum: 0, election: 0 }] }
  writeRecord(data, record)
  expect(shape(...at)).toEqual({ brokers: 3, coordinators: 1 })
  expect(shape(...at, '--brokers', '5')).toEqual({ brokers: 5, coordinators: 1 })
  expect(() => shape(...at, '--brokers', '2')).toThrow('holds the data of 3 brokers')
  writeFileSync(join(data, 'ottla.json'), '{"host":"x"}')
  expect(() => shape(...at)).toThrow(/ottla\.json is damaged .* remove it/)
  expect(() => shape('--brokers', '100')).toThrow('between 0 and 99')
  expect(() => shape('--coordinators', '0')).toThrow('between 1 and 99')
})

test('the files of a cluster: ports, folders, and the copies that its size allows', () => {
  const record: ClusterRecord = {
    host: 'localhost', brokers: [{ id: 0, port: 9092 }, { id: 1, port: 9093 }],
    coordinators: [1, 2, 3].map((id) => ({ id, port: 2180 + id, quorum: 2887 + id, election: 3887 + id })),
  }
  const plans = plansOf(record, { dataDir: '/d', listen: '', advertise: { host: 'h', port: 19092 }, overrides: [{ key: 'num.partitions', value: '3' }] })
  expect(plans.map(({ name, ports }) => [name, ...ports])).toEqual([['coordinator-1', 2181, 2888, 3888], ['coordinator-2', 2182, 2889, 3889], ['coordinator-3', 2183, 2890, 3890], ['broker-0', 9092], ['broker-1', 9093]])
  expect(plans[1].files).toEqual({ '/d/zookeeper-2/myid': '2\n' })
  expect(plans[1].configText).toContain('server.3=127.0.0.1:2890:3890\n')
  expect(plans[4].configText.split('\n').slice(1, 10)).toEqual([
    'broker.id=1', 'listeners=PLAINTEXT://:9093', 'advertised.listeners=PLAINTEXT://h:19093', 'log.dirs=/d/kafka-1', 'zookeeper.connect=127.0.0.1:2181,127.0.0.1:2182,127.0.0.1:2183',
    'offsets.topic.replication.factor=2', 'transaction.state.log.replication.factor=2', 'transaction.state.log.min.isr=2', 'group.initial.rebalance.delay.ms=0',
  ])
  expect(plans[4].configText).toContain('num.partitions=3\n')
})
