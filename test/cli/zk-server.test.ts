/** zkServer.sh and its sisters as programs, from the built package. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { freePort } from '../free-port.ts'
import { propertiesOfFlags } from '../../src/cli/jvm-flags.ts'
import { readServerPlace } from '../../src/cli/zookeeper-config-file.ts'

let folder: string
let port: number
const children: ChildProcess[] = []
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'ottla-zkserver-'))
  port = await freePort()
  configure()
})
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
  zkServer('stop')
  rmSync(folder, { recursive: true, force: true })
})
function configure(more = ''): void {
  writeFileSync(join(folder, 'zoo.cfg'), `tickTime=2000\ndataDir=${join(folder, 'data')}\nclientPort=${port}\nclientPortAddress=127.0.0.1\nadmin.enableServer=false\n${more}`)
}
const program = (name: string) => fileURLToPath(new URL(`../../bin/${name}`, import.meta.url))
const environment = () => ({ ...process.env, ZOOCFGDIR: folder, ZOO_LOG_DIR: join(folder, 'logs'), LOG_DIR: join(folder, 'logs') })
function zkServer(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(program('zkServer.sh'), args, { env: environment(), encoding: 'utf8', cwd: folder })
}

test('start, status, restart and stop say what Apache’s says, and status says why', () => {
  expect(zkServer('status')).toMatchObject({ status: 1, stderr: expect.stringContaining(`Error contacting service: nothing listens on 127.0.0.1:${port}; there is no ${join(folder, 'data', 'zookeeper_server.pid')}.`) })
  expect(zkServer('stop')).toMatchObject({ status: 0, stdout: `Stopping zookeeper ... no zookeeper to stop (could not find file ${join(folder, 'data', 'zookeeper_server.pid')})\n` })
  expect(zkServer('start')).toMatchObject({ status: 0, stdout: 'Starting zookeeper ... STARTED\n', stderr: `Using config: ${join(folder, 'zoo.cfg')}\n` })
  const processId = readFileSync(join(folder, 'data', 'zookeeper_server.pid'), 'utf8')
  expect(zkServer('start')).toMatchObject({ status: 1, stdout: `Starting zookeeper ... already running as process ${processId}.\n` })
  expect(zkServer('status')).toMatchObject({ status: 0, stdout: `Client port found: ${port}. Client address: 127.0.0.1. Client SSL: false.\nMode: standalone\n` })
  expect(readdirSync(join(folder, 'logs')).map((name) => name.replace(/^zookeeper-.*-server-.*\./, '*.'))).toEqual(['*.log', '*.out'])
  expect(zkServer('restart')).toMatchObject({ status: 0, stdout: 'Stopping zookeeper ... STOPPED\nStarting zookeeper ... STARTED\n' })
  process.kill(Number(readFileSync(join(folder, 'data', 'zookeeper_server.pid'), 'utf8')), 'SIGKILL')
  expect(zkServer('status').stderr).toMatch(/nothing listens on .*; the process of .*zookeeper_server\.pid is gone\.|process \d+ is alive/)
  expect(zkServer('start')).toMatchObject({ status: 0, stdout: 'Starting zookeeper ... STARTED\n' })
  expect(zkServer('stop')).toMatchObject({ status: 0, stdout: 'Stopping zookeeper ... STOPPED\n' })
  expect(existsSync(join(folder, 'data', 'zookeeper_server.pid'))).toBe(false)
})

test('a start that fails says so, and why', () => {
  configure('snapCount=abc\n')
  expect(zkServer('start')).toMatchObject({ status: 1, stdout: 'Starting zookeeper ... FAILED TO START\n', stderr: expect.stringMatching(/zoo\.cfg line 6: snapCount=abc/) })
  configure('secureClientPort=2281\n')
  expect(zkServer('start').stderr).toMatch(/zoo\.cfg line 6: secureClientPort=2281 is refused/)
  rmSync(join(folder, 'zoo.cfg'))
  expect(zkServer('start')).toMatchObject({ status: 1, stderr: expect.stringMatching(/zoo\.cfg does not exist/) })
  expect(zkServer('bogus')).toMatchObject({ status: 1, stderr: expect.stringMatching(/^Usage: zkServer\.sh/) })
  expect(zkServer('version').stdout).toMatch(/^Apache ZooKeeper, version \d+\.\d+\.\d+/)
})

test('in the foreground, through a link and from any folder, a signal stops it cleanly', async () => {
  const link = join(folder, 'zk')
  symlinkSync(program('zkServer.sh'), link)
  const child = spawn(link, ['start-foreground', join(folder, 'zoo.cfg')], { env: environment(), cwd: '/' })
  children.push(child)
  const code = await new Promise((done) => {
    child.on('exit', done)
    child.stdout.setEncoding('utf8').on('data', (text: string) => text.includes('serving') && child.kill('SIGTERM'))
  })
  expect(code).toBe(0)
})

test('zookeeper-server-start.sh serves a file, in the background too; a second process on its folder is refused', async () => {
  const start = (...args: string[]) => spawnSync(program('zookeeper-server-start.sh'), args, { env: environment(), encoding: 'utf8', cwd: folder })
  expect(start()).toMatchObject({ status: 1, stderr: 'USAGE: zookeeper-server-start.sh [-daemon] zookeeper.properties\n' })
  expect(start('-daemon', 'zoo.cfg')).toMatchObject({ status: 0, stdout: '', stderr: '' })
  const log = readFileSync(join(folder, 'logs', 'zookeeper.log'), 'utf8')
  expect(log).toMatch(/serving .*port=\d+/)
  const lock = readFileSync(join(folder, 'data', 'version-2', '.lock'), 'utf8').trim()
  try {
    writeFileSync(join(folder, 'other.cfg'), readFileSync(join(folder, 'zoo.cfg'), 'utf8').replace(/clientPort=\d+/, 'clientPort=0'))
    expect(start('other.cfg')).toMatchObject({ status: 1, stderr: expect.stringMatching(new RegExp(`locked by process ${lock}\\. Only one process may use this folder`)) })
    writeFileSync(join(folder, 'other.cfg'), readFileSync(join(folder, 'zoo.cfg'), 'utf8').replace(/data$/m, 'data2'))
    expect(start('other.cfg')).toMatchObject({ status: 1, stderr: expect.stringMatching(new RegExp(`127\\.0\\.0\\.1:${port}.*choose another`, 'i')) })
  } finally {
    process.kill(Number(lock), 'SIGKILL')
  }
})

test('print-cmd shows the command', () => {
  expect(zkServer('print-cmd').stdout).toMatch(/node .*zookeeper-server-start\.js .*zoo\.cfg\n$/)
})

test('flags for a JVM become keys; the client’s part of a server line is found', () => {
  expect(propertiesOfFlags({ SERVER_JVMFLAGS: '-Xmx1g -Dzookeeper.snapCount=10 "-Dzookeeper.4lw.commands.whitelist=ruok, srvr" -Dfoo=1 -Djute.maxbuffer=4194304' })).toMatchObject([
    { key: 'snapCount', value: '10' }, { key: '4lw.commands.whitelist', value: 'ruok, srvr' }, { key: 'jute.maxbuffer', value: '4194304' },
  ])
  writeFileSync(join(folder, 'zoo.cfg'), 'dataDir=/d\nserver.1=a:2888:3888;127.0.0.1:2182\n')
  expect(readServerPlace(join(folder, 'zoo.cfg'))).toEqual({ dataDir: '/d', clientPort: 2182, clientAddress: '127.0.0.1' })
})
