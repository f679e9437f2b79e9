/** The built program is killed and started again at once: nothing acknowledged is lost, and nobody waits for a session to expire. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Kafka, logLevel } from 'kafkajs'
import { afterEach, beforeEach, expect, test } from 'vitest'

const program = fileURLToPath(new URL('../../bin/ottla', import.meta.url))
let folder: string
let child: ChildProcess | undefined

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ottla-crash-'))
})
afterEach(async () => {
  await end('SIGKILL')
  await rm(folder, { recursive: true, force: true })
})

/** Starts the program on the folder; resolves with the broker's address when it says that it is ready. */
async function start(...options: string[]): Promise<string> {
  const started = spawn(process.execPath, [program, 'up', '--data-dir', folder, '--kafka-port', '0', '--zookeeper-port', '0', '--host', '127.0.0.1', ...options], { stdio: ['ignore', 'pipe', 'pipe'] })
  child = started
  let said = ''
  return new Promise((ready, failed) => {
    started.stdout.on('data', (chunk: Buffer) => {
      said += chunk.toString()
      const address = /Kafka +(\S+:\d+)/.exec(said)
      if (address) ready(address[1])
    })
    started.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()))
    started.once('exit', (code) => failed(new Error(`ended with ${code}: ${said}`)))
  })
}
async function end(signal: NodeJS.Signals): Promise<number | null> {
  if (!child || child.exitCode !== null || child.signalCode !== null) return child?.exitCode ?? null
  const exited = once(child, 'exit')
  child.kill(signal)
  return ((await exited) as [number | null])[0]
}
const kafkaAt = (address: string, retries = 30) => new Kafka({ brokers: [address], connectionTimeout: 30_000, logLevel: logLevel.NOTHING, retry: { initialRetryTime: 50, maxRetryTime: 500, retries } })

async function allValues(address: string, topic: string): Promise<Set<string>> {
  const kafka = kafkaAt(address)
  const admin = kafka.admin()
  await admin.connect()
  const wanted = (await admin.fetchTopicOffsets(topic)).reduce((sum, { high, low }) => sum + Number(high) - Number(low), 0)
  await admin.disconnect()
  // A record that is given twice is one.
  const values = new Map<string, string>()
  if (wanted === 0) return new Set()
  const consumer = kafka.consumer({ groupId: `reader-${wanted}` })
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  await new Promise<void>((done) => {
    void consumer.run({
      eachMessage: async ({ partition, message }) => {
        values.set(`${partition}/${message.offset}`, message.value!.toString())
        if (values.size === wanted) done()
      },
    })
  })
  await consumer.disconnect()
  return new Set(values.values())
}

test('what was acknowledged before kill -9 is there after the next start, which comes at once', async () => {
  const acknowledged = new Set<string>()
  let number = 0
  for (let round = 0; round < 3; round++) {
    const address = await start()
    const producer = kafkaAt(address, 2).producer()
    await producer.connect()
    let killed = false
    const sending = (async () => {
      while (!killed) {
        const value = `v${number++}`
        try {
          await producer.send({ topic: 'precious', acks: -1, messages: [{ value }] })
          acknowledged.add(value)
        } catch {
          // The topic is not made yet, or nobody is there any more.
        }
      }
    })()
    const target = acknowledged.size + 100
    await expect.poll(() => acknowledged.size, { interval: 5 }).toBeGreaterThan(target)
    await end('SIGKILL')
    killed = true
    await sending
    await producer.disconnect().catch(() => undefined)
  }
  const found = await allValues(await start(), 'precious')
  expect([...acknowledged].filter((value) => !found.has(value))).toEqual([])
})

test('SIGTERM stops it cleanly, with exit code 0 and marked log directories', async () => {
  const address = await start()
  const producer = kafkaAt(address).producer()
  await producer.connect()
  await producer.send({ topic: 't', messages: [{ value: 'x' }] })
  await producer.disconnect()
  expect(await end('SIGTERM')).toBe(0)
  const { access } = await import('node:fs/promises')
  await access(join(folder, 'kafka', '.kafka_cleanshutdown'))
})
