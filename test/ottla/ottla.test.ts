import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Kafka, logLevel, type Message } from 'kafkajs'
import { afterEach, describe, expect, test } from 'vitest'
import { silentLogger } from '../../src/host/logger.ts'
import { nodeHost } from '../../src/host/node.ts'
import { KafkaConnection } from '../../src/kafka/client/connection.ts'
import { Metadata } from '../../src/kafka/protocol/metadata.ts'
import { Ottla, type OttlaOptions } from '../../src/ottla.ts'

const running: Ottla[] = []
const folders: string[] = []
async function start(options?: OttlaOptions): Promise<Ottla> {
  const ottla = await Ottla.start(options)
  running.push(ottla)
  return ottla
}
async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'ottla-test-'))
  folders.push(path)
  return path
}
afterEach(async () => {
  for (const ottla of running.splice(0)) await ottla.stop()
  for (const path of folders.splice(0)) await rm(path, { recursive: true, force: true })
})
const kafkaOf = (ottla: Ottla) => new Kafka({ brokers: [ottla.bootstrapServers], connectionTimeout: 30_000, logLevel: logLevel.NOTHING, retry: { initialRetryTime: 50, maxRetryTime: 500, retries: 60 } })

async function produce(ottla: Ottla, topic: string, messages: Message[]): Promise<void> {
  const producer = kafkaOf(ottla).producer({ idempotent: true, maxInFlightRequests: 1 })
  await producer.connect()
  await producer.send({ topic, messages, acks: -1 })
  await producer.disconnect()
}
async function consume(ottla: Ottla, topic: string, count: number, groupId = 'readers'): Promise<{ partition: number; offset: string; key?: string; value?: string }[]> {
  const consumer = kafkaOf(ottla).consumer({ groupId })
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  // What is given again, after a heartbeat that came late, is one.
  const got = new Map<string, Awaited<ReturnType<typeof consume>>[number]>()
  await new Promise<void>((done, failed) => {
    consumer
      .run({
        eachMessage: async ({ partition, message }) => {
          got.set(`${partition}/${message.offset}`, { partition, offset: message.offset, key: message.key?.toString(), value: message.value?.toString() })
          if (got.size === count) done()
        },
      })
      .catch(failed)
  })
  await consumer.disconnect()
  return [...got.values()]
}

describe('a broker with its coordination service', () => {
  test('takes records and gives them back, to a client that knows nothing of it', async () => {
    const ottla = await start()
    await produce(ottla, 'greetings', [{ key: 'a', value: 'hello' }, { key: 'a', value: 'world' }])
    expect((await consume(ottla, 'greetings', 2)).map(({ value }) => value)).toEqual(['hello', 'world'])
  })

  test('keeps records, topics, configurations and committed offsets over a restart', async () => {
    const dataDir = await folder()
    const first = await start({ dataDir })
    const admin = kafkaOf(first).admin()
    await admin.connect()
    await admin.createTopics({ timeout: 25_000, topics: [{ topic: 'kept', numPartitions: 3, configEntries: [{ name: 'retention.ms', value: '123456789' }] }] })
    await admin.disconnect()
    await produce(first, 'kept', Array.from({ length: 30 }, (_, each) => ({ partition: each % 3, value: `v${each}` })))
    expect(await consume(first, 'kept', 30)).toHaveLength(30)
    await first.stop()

    const second = await start({ dataDir })
    const again = kafkaOf(second).admin()
    await again.connect()
    expect(await again.listTopics()).toContain('kept')
    const { resources } = await again.describeConfigs({ includeSynonyms: false, resources: [{ type: 2, name: 'kept', configNames: ['retention.ms'] }] })
    expect(resources[0].configEntries[0].configValue).toBe('123456789')
    const [{ partitions }] = await again.fetchOffsets({ groupId: 'readers', topics: ['kept'] })
    expect(partitions.map(({ offset }) => offset)).toEqual(['10', '10', '10'])
    await again.disconnect()
    const all = await consume(second, 'kept', 30, 'others')
    expect(all.map(({ value }) => value).sort()).toEqual(Array.from({ length: 30 }, (_, each) => `v${each}`).sort())
  })

  test('leaves nothing behind in a temporary folder', async () => {
    const ottla = await start()
    const { dataDir } = ottla
    await ottla.stop()
    await expect(rm(dataDir, { recursive: true })).rejects.toThrow(/ENOENT/)
  })

  test('runs beside others in one process', async () => {
    const [one, other] = await Promise.all([start(), start()])
    await Promise.all([produce(one, 'mine', [{ value: '1' }]), produce(other, 'mine', [{ value: '2' }])])
    expect((await consume(one, 'mine', 1))[0].value).toBe('1')
    expect((await consume(other, 'mine', 1))[0].value).toBe('2')
  })

  test('refuses a folder that another instance uses, and names what to do', async () => {
    const dataDir = await folder()
    await start({ dataDir })
    await expect(start({ dataDir })).rejects.toThrow(/is locked by process \d+\. Only one process may use this folder/)
  })

  test('names the port that is in use', async () => {
    const ottla = await start()
    const port = Number(ottla.bootstrapServers.split(':')[1])
    await expect(start({ kafkaPort: port })).rejects.toThrow(new RegExp(`127.0.0.1:${port} cannot be opened: the port is in use by another process`))
  })

  test('tells clients the advertised address', async () => {
    const ottla = await start({ advertise: 'kafka.example.test:19092' })
    expect(await nodesOf(ottla)).toEqual([{ nodeId: 0, host: 'kafka.example.test', port: 19092, rack: null }])
  })
  test('tells clients the address they came to, when none is advertised', async () => {
    const ottla = await start()
    expect(await nodesOf(ottla)).toEqual([{ nodeId: 0, host: '127.0.0.1', port: Number(ottla.bootstrapServers.split(':')[1]), rack: null }])
  })
})

async function nodesOf(ottla: Ottla) {
  const [host, port] = ottla.bootstrapServers.split(':')
  const connection = await KafkaConnection.open({ host: nodeHost({ logger: silentLogger }), to: { host, port: Number(port) }, clientId: 'test', versions: 'negotiate' })
  const { brokers } = await connection.send(Metadata, { topics: [] })
  await connection.close()
  return brokers
}
