import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { explain } from '../../src/cli/failure.ts'
import { fileDescriptorLimit, tooFewFileDescriptors } from '../../src/cli/file-descriptors.ts'
import { helpText } from '../../src/cli/help.ts'
import { kafkaEnvironmentNotice } from '../../src/cli/kafka-environment.ts'
import { parseKafkaServerOptions } from '../../src/cli/kafka-server-options.ts'
import { processesRunning } from '../../src/cli/processes.ts'
import { readPropertiesFile } from '../../src/cli/properties.ts'
import { readyMessage } from '../../src/cli/ready-message.ts'
import { parseUpOptions, upOptions } from '../../src/cli/up-options.ts'
import { UsageError } from '../../src/cli/usage-error.ts'
import { InUseError } from '../../src/host/host.ts'
import { ConfigError } from '../../src/kafka/config/refusal.ts'

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ottla-cli-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

test('without options ottla up has the usual ports and ./data', () => {
  expect(parseUpOptions([])).toEqual({ dataDir: 'data', kafkaPort: 9092, zookeeperPort: 2181, host: '', advertise: undefined, overrides: [], verbose: false, brokers: undefined, coordinators: undefined, restart: true })
})
test('every option of ottla up, with a blank or = before its value', () => {
  expect(parseUpOptions(['--data-dir', '/d', '--kafka-port=0', '--zookeeper-port', '2182', '--host', '::1', '--advertise=[fe80::1]:9092', '--override', 'num.partitions=3', '--override=a=b=c', '--verbose'])).toMatchObject({
    dataDir: '/d', kafkaPort: 0, zookeeperPort: 2182, host: '::1', advertise: '[fe80::1]:9092', overrides: [{ key: 'num.partitions', value: '3' }, { key: 'a', value: 'b=c' }], verbose: true,
  })
})
test.each([
  [['--data'], 'Unknown option --data'],
  [['--kafka-prot', '1'], 'did you mean --kafka-port?'],
  [['data'], 'Unknown argument data'],
  [['--kafka-port'], 'needs a value'],
  [['--kafka-port', '--verbose'], 'needs a value'],
  [['--kafka-port', '65536'], 'between 0 and 65535'],
  [['--kafka-port', '9x'], 'between 0 and 65535'],
  [['--advertise', 'host'], 'HOST:PORT'],
  [['--advertise', 'host:0'], 'HOST:PORT'],
  [['--verbose=yes'], 'takes no value'],
  [['--override', 'x'], 'key=value'],
])('%j is refused: %s', (args, words) => {
  expect(() => parseUpOptions(args)).toThrow(words)
})
test('help names every option', () => {
  for (const name of Object.keys(upOptions)) expect(helpText()).toContain(name)
})
test('the ready message has lines to copy', () => {
  const text = readyMessage({ version: '1', bootstrapServers: 'localhost:1', zookeeperConnect: 'localhost:2', dataDir: '/d', advertised: 'h:3', bin: 'bin', seconds: 0.123 })
  expect(text).toContain('bin/kafka-topics.sh --bootstrap-server localhost:1 --create --topic hello')
  expect(text).toContain('clients are told h:3')
})

test('kafka-server-start.sh: file, overrides after it, -daemon', () => {
  const file = join(folder, 'server.properties')
  writeFileSync(file, 'broker.id=1\nbröker=ü\n')
  const options = parseKafkaServerOptions(['-daemon', '-name', 'kafkaServer', '-loggc', file, '--override', 'broker.id=2'])
  expect(options).toMatchObject({ kind: 'start', daemon: true, file })
  if (options.kind === 'start') expect(options.entries.map(({ key, value }) => [key, value])).toEqual([['broker.id', '1'], ['bröker', 'ü'], ['broker.id', '2']])
})
test('a file in Latin-1 is read as Java reads it', () => {
  const file = join(folder, 'latin.properties')
  writeFileSync(file, Buffer.from('a=\xfc', 'latin1'))
  expect(readPropertiesFile(file)[0].value).toBe('ü')
})
test.each([
  [[], 'USAGE'],
  [['-daemon'], 'No properties file'],
  [['--overide', 'x=y'], 'Unknown option --overide'],
  [['/no/such/server.properties'], '/no/such/server.properties: there is no such file'],
  [[tmpdir()], 'it is a folder'],
  [['a', 'b'], 'b'],
])('kafka-server-start.sh %j: %s', (args, words) => {
  expect(() => parseKafkaServerOptions(args)).toThrow(words)
})

test('variables for a JVM are named as without effect, those that protect are refused', () => {
  expect(kafkaEnvironmentNotice({ LOG_DIR: '/x', KAFKA_HEAP_OPTS: '-Xmx1G' })).toBeUndefined()
  expect(kafkaEnvironmentNotice({ JMX_PORT: '9999', KAFKA_OPTS: '-Dx=y' })).toBe('KAFKA_OPTS, JMX_PORT: no effect, there is no JVM')
  expect(() => kafkaEnvironmentNotice({ KAFKA_OPTS: '-Djava.security.auth.login.config=/etc/jaas.conf' })).toThrow(UsageError)
})

test('too few file descriptors are named', () => {
  const limits = 'Limit                     Soft Limit           Hard Limit           Units     \nMax open files            1024                 1048576              files     \n'
  expect(fileDescriptorLimit(limits)).toBe(1024)
  expect(tooFewFileDescriptors(1024)).toContain('ulimit -n')
  expect(tooFewFileDescriptors(Infinity)).toBeUndefined()
  expect(fileDescriptorLimit('Max open files            unlimited            unlimited            files')).toBe(Infinity)
})

test.each([
  [{ code: 'EADDRINUSE', address: '::', port: 9092 }, 'Cannot listen on port 9092: another program listens there already'],
  [{ code: 'EADDRINUSE', address: '127.0.0.1', port: 9092 }, 'Cannot listen on 127.0.0.1:9092'],
  [{ code: 'EADDRNOTAVAIL', address: '10.9.9.9', port: 9092 }, 'no such address'],
  [{ code: 'EACCES', address: '::', port: 80 }, 'ports below 1024'],
  [{ code: 'EACCES', path: '/var/x' }, 'No permission for /var/x'],
  [{ code: 'EROFS', path: '/mnt/x' }, '/mnt/x lies on a read-only file system'],
  [{ code: 'ENOSPC', path: '/mnt/x' }, 'No space left'],
  [{ code: 'ENOTDIR', path: '/mnt/x' }, '/mnt/x is not a folder'],
  [{ code: 'EMFILE' }, 'ulimit -n'],
  [{ code: 'ENOENT', syscall: 'mkdir', path: '/mnt/x' }, '/mnt/x cannot be made'],
])('%j is said in words, also when it is the cause of another error', (facts, words) => {
  const names = { portOption: '--port', folderOption: '--dir' }
  const error = Object.assign(new Error('listen'), facts)
  expect(explain(error, names)).toContain(words)
  expect(explain(new Error('start failed', { cause: error }), names)).toContain(words)
})
test('a second process, a refused configuration and a bug', () => {
  const names = { portOption: '--port', folderOption: '--dir' }
  expect(explain(new InUseError('locked by process 7'), names)).toBe('locked by process 7')
  expect(explain(new ConfigError([{ key: 'a', kind: 'invalid', reason: 'r', message: 'f:1: a is wrong' }]), names)).toBe('f:1: a is wrong')
  expect(explain(new Error('no ZooKeeper at localhost:2181 answered'), names)).toBe('no ZooKeeper at localhost:2181 answered')
  expect(explain(new TypeError('bug'), names)).toBeUndefined()
})

test('processes are found by the script they run, their own excluded', () => {
  expect(processesRunning('/no/such/script.js')).toEqual([])
})

test('a tool that was not built says what to do, also through a symbolic link and from any folder', () => {
  const root = join(folder, 'package')
  mkdirSync(join(root, 'bin'), { recursive: true })
  writeFileSync(join(root, 'package.json'), '{"type":"module"}')
  for (const name of ['ottla', 'kafka-server-start.sh', 'kafka-server-stop.sh']) {
    cpSync(new URL(`../../bin/${name}`, import.meta.url), join(root, 'bin', name))
    symlinkSync(join(root, 'bin', name), join(folder, name))
    const { status, stderr } = spawnSync(join(folder, name), ['x'], { cwd: tmpdir(), encoding: 'utf8' })
    expect(stderr).toContain(`run 'npm ci' in ${root}`)
    expect(status).toBe(1)
  }
})

test('the built commands: help and version succeed, anything unknown does not', () => {
  const run = (...args: string[]): string => execFileSync(process.execPath, [join(import.meta.dirname, '../../bin/ottla'), ...args], { encoding: 'utf8' })
  expect(run('version')).toMatch(/^\d+\.\d+\.\d+\n$/)
  expect(run('help')).toContain('--kafka-port')
  const { status, stderr } = spawnSync(join(import.meta.dirname, '../../bin/ottla'), ['upp'], { encoding: 'utf8' })
  expect([status, stderr]).toEqual([1, 'Unknown command upp; did you mean up?\n'])
})
