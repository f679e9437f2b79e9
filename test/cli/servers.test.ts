import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'

/** The built programs, as a person runs them. */
const bin = (name: string): string => join(import.meta.dirname, '../../bin', name)
let folder: string
/** Of this run alone: kafka-server-stop.sh stops every broker of the user that has the id. */
const brokerId = 1_000_000 + process.pid
const running = new Set<ChildProcess>()
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ottla-servers-'))
})
afterAll(() => {
  for (const child of running) child.kill('SIGKILL')
  rmSync(folder, { recursive: true, force: true })
})

interface Started {
  child: ChildProcess
  text: string
  stop(signal?: NodeJS.Signals): Promise<number | null>
}
/** Starts a program and waits until it has printed what `until` matches. */
function start(name: string, args: string[], until: RegExp): Promise<Started> {
  const child = spawn(bin(name), args, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] })
  running.add(child)
  let text = ''
  return new Promise((done, failed) => {
    const exit = new Promise<number | null>((ended) => child.once('exit', (code) => {
      running.delete(child)
      ended(code)
      failed(new Error(`${name} ended with ${code}: ${text}`))
    }))
    const heard = (chunk: Buffer): void => {
      text += chunk.toString()
      if (until.test(text)) done({ child, text, stop: (signal = 'SIGTERM') => (child.kill(signal), exit) })
    }
    child.stdout.on('data', heard)
    child.stderr.on('data', heard)
  })
}
const run = (name: string, ...args: string[]): { status: number | null; stdout: string; stderr: string } => spawnSync(bin(name), args, { cwd: folder, encoding: 'utf8', timeout: 150_000, env: { ...process.env, LOG_DIR: join(folder, 'logs') } })
const up = (...args: string[]): Promise<Started> => start('ottla', ['up', '--kafka-port', '0', '--zookeeper-port', '0', '--host', '127.0.0.1', ...args], /Ctrl-C/)

test('ottla up says where it listens, answers there, keeps others off its folder and ports, and stops cleanly on SIGTERM and Ctrl-C', async () => {
  const ottla = await up('--data-dir', 'data')
  const kafka = /Kafka +(\S+)/.exec(ottla.text)?.[1] ?? ''
  const zookeeper = /ZooKeeper +(\S+)/.exec(ottla.text)?.[1] ?? ''
  expect(ottla.text).toContain(`Data       ${join(folder, 'data')}`)
  expect(await answerOf(zookeeper, 'srvr')).toContain('Mode: standalone')

  const second = run('ottla', 'up', '--data-dir', 'data', '--kafka-port', '0', '--zookeeper-port', '0')
  expect(second.status).toBe(1)
  expect(second.stderr).toContain(`locked by process ${ottla.child.pid}`)

  const port = kafka.split(':')[1]
  const taken = run('ottla', 'up', '--data-dir', 'other', '--host', '127.0.0.1', '--kafka-port', port, '--zookeeper-port', '0')
  expect(taken.status).toBe(1)
  expect(taken.stderr).toContain(`Cannot listen on 127.0.0.1:${port}: ${process.platform === 'linux' ? `process ${ottla.child.pid} (` : 'another program listens there already'}`)

  expect(await ottla.stop()).toBe(0)
  const again = await up('--data-dir', 'data')
  expect(await again.stop('SIGINT')).toBe(0)
})

test('a folder that is none, a refused configuration: one sentence, exit code 1', () => {
  writeFileSync(join(folder, 'file'), '')
  const { status, stderr } = run('ottla', 'up', '--data-dir', 'file', '--kafka-port', '0', '--zookeeper-port', '0')
  expect(status).toBe(1)
  expect(stderr).toContain('is not a folder. Choose one with --data-dir')
  const refused = run('ottla', 'up', '--data-dir', 'x', '--kafka-port', '0', '--zookeeper-port', '0', '--override', 'authorizer.class.name=kafka.security.authorizer.AclAuthorizer')
  expect(refused.status).toBe(1)
  expect(refused.stderr).toContain('authorizer.class.name=kafka.security.authorizer.AclAuthorizer is not supported')
})

test('kafka-server-start.sh in the background: found and stopped by kafka-server-stop.sh, its log in LOG_DIR', async () => {
  const ottla = await up('--data-dir', 'for-broker')
  const zookeeper = /ZooKeeper +(\S+)/.exec(ottla.text)?.[1] ?? ''
  const file = join(folder, 'server.properties')
  writeFileSync(file, `broker.id=${brokerId}\nlisteners=PLAINTEXT://127.0.0.1:0\nlog.dirs=${join(folder, 'kafka')}\nzookeeper.connect=${zookeeper}/mine\nreserved.broker.max.id=2147483647\nnum.io.threads=4\nlog.retention.hour=1\n`)
  try {
    expect(run('kafka-server-start.sh', '-daemon', file)).toMatchObject({ status: 0, stderr: '' })
    const log = readFileSync(join(folder, 'logs/server.log'), 'utf8')
    expect(log).toContain('accepted without effect: num.io.threads')
    expect(log).toContain(`${file}:7: log.retention.hour has no effect: no such key in Kafka 3.9; did you mean log.retention.hours?`)
    expect(log).toContain(`started broker=${brokerId}`)
    const twice = run('kafka-server-start.sh', file, '--override', `broker.id=${brokerId + 1}`)
    expect(twice.status).toBe(1)
    expect(twice.stderr).toContain('locked by process')
    const bad = run('kafka-server-start.sh', file, '--override', 'num.partitions=none')
    expect(bad).toMatchObject({ status: 1, stderr: '--override: Invalid value none for configuration num.partitions: Not a number of type INT (wanted: int [1,...])\n' })
    expect(run('kafka-server-stop.sh', `--node-id=${brokerId + 1}`)).toMatchObject({ status: 1, stderr: `No kafka server to stop with broker.id ${brokerId + 1}\n` })
  } finally {
    expect(run('kafka-server-stop.sh', `--node-id=${brokerId}`)).toMatchObject({ status: 0, stderr: '' })
    await expect.poll(() => readFileSync(join(folder, 'logs/server.log'), 'utf8')).toContain(`stopped broker=${brokerId}`)
    await ottla.stop()
  }
})

test('a broker whose ZooKeeper does not answer says so', () => {
  const file = join(folder, 'alone.properties')
  writeFileSync(file, `broker.id=1\nlisteners=PLAINTEXT://127.0.0.1:0\nlog.dirs=${join(folder, 'alone')}\nzookeeper.connect=127.0.0.1:1\nzookeeper.connection.timeout.ms=500\n`)
  const { status, stderr } = run('kafka-server-start.sh', file)
  expect(status).toBe(1)
  expect(stderr).toContain('127.0.0.1:1')
})

/** What a four-letter word answers. */
function answerOf(address: string, word: string): Promise<string> {
  const [host, port] = address.split(':')
  return new Promise((done, failed) => {
    const socket = connect({ host, port: Number(port) }, () => socket.write(word))
    let text = ''
    socket.on('data', (chunk) => (text += chunk.toString()))
    socket.on('close', () => done(text))
    socket.on('error', failed)
  })
}
