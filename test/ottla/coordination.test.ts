/** A broker on a ZooKeeper service of its own: restarts of the service, expiry of the session, registration after a kill. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { silentLogger } from '../../src/host/logger.ts'
import { nodeHost } from '../../src/host/node.ts'
import { KafkaClient } from '../../src/kafka/client/client.ts'
import { parseAddresses } from '../../src/kafka/client/addresses.ts'
import { errors } from '../../src/kafka/protocol/errors.ts'
import { Metadata } from '../../src/kafka/protocol/metadata.ts'
import { Ottla } from '../../src/ottla.ts'
import { ZooKeeperClient } from '../../src/zookeeper/client/client.ts'
import { zooKeeperConfig } from '../../src/zookeeper/server/config.ts'
import { ZooKeeperServer } from '../../src/zookeeper/server/server.ts'
import { freePort } from '../free-port.ts'

const host = nodeHost({ logger: silentLogger })
const running: { stop(): Promise<void> }[] = []
let folder: string
let zookeeper: ZooKeeperServer
let zk: ZooKeeperClient

const startZooKeeper = (port: number) =>
  ZooKeeperServer.start(host, zooKeeperConfig({ dataDir: join(folder, 'zookeeper'), clientPort: port, clientPortAddress: '127.0.0.1', tickTime: 100, maxSessionTimeout: 60_000, 'admin.enableServer': false }))
async function startBroker(options: { dataDir?: string; broker?: Record<string, string> } = {}): Promise<Ottla> {
  const ottla = await Ottla.start({ dataDir: options.dataDir ?? join(folder, 'broker'), zookeeperConnect: `127.0.0.1:${zookeeper.port}`, broker: options.broker })
  running.push(ottla)
  return ottla
}
/** Creates what is missing, and asks again while a topic is just coming into being or the broker without its ZooKeeper, as clients do. */
async function topicsOf(ottla: Ottla, ...names: string[]) {
  const client = new KafkaClient({ host, bootstrapServers: parseAddresses(ottla.bootstrapServers), clientId: 'test' })
  try {
    const ask = async () => (await client.call({ kind: 'any' }, Metadata, { topics: names.map((name) => ({ name, topicId: 'AAAAAAAAAAAAAAAAAAAAAA' })), allowAutoTopicCreation: true })).topics
    let topics: Awaited<ReturnType<typeof ask>> = []
    await expect.poll(async () => (topics = await ask()).map(({ errorCode }) => errorCode)).toEqual(names.map(() => 0))
    return topics.map(({ name, errorCode, partitions }) => ({ name, errorCode, leaders: partitions.map(({ leaderId }) => leaderId) }))
  } finally {
    await client.close()
  }
}
const registration = async () => (await zk.exists('/brokers/ids/0'))?.czxid

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ottla-coordination-'))
  zookeeper = await startZooKeeper(await freePort())
  zk = await ZooKeeperClient.connect(host, { connect: `127.0.0.1:${zookeeper.port}`, sessionTimeoutMs: 30_000 })
})
afterEach(async () => {
  await zk.close().catch(() => undefined)
  for (const each of running.splice(0)) await each.stop()
  await zookeeper.stop()
  await rm(folder, { recursive: true, force: true })
})

test('a broker outlives a restart of ZooKeeper with its session', async () => {
  const ottla = await startBroker()
  expect(await topicsOf(ottla, 'before')).toEqual([{ name: 'before', errorCode: 0, leaders: [0] }])
  const epoch = await registration()
  const { port } = zookeeper
  await zookeeper.stop()
  zookeeper = await startZooKeeper(port)
  await zk.connected()
  expect(await topicsOf(ottla, 'after')).toEqual([{ name: 'after', errorCode: 0, leaders: [0] }])
  expect(await registration()).toBe(epoch)
})

test('a broker whose session has expired registers anew, is controller again, and goes on', async () => {
  const ottla = await startBroker()
  await topicsOf(ottla, 'before')
  const epoch = await registration()
  const { session } = ottla.broker.services.zookeeper.sessions.client
  const thief = await ZooKeeperClient.connect(host, { connect: `127.0.0.1:${zookeeper.port}`, sessionTimeoutMs: 30_000, session })
  await thief.close()
  await expect.poll(registration).toBeGreaterThan(epoch!)
  await expect.poll(async () => (await topicsOf(ottla, 'after'))[0]).toEqual({ name: 'after', errorCode: 0, leaders: [0] })
  expect((await topicsOf(ottla, 'before'))[0]).toEqual({ name: 'before', errorCode: 0, leaders: [0] })
})

test('an id that another broker has registered is refused, and the other goes on', async () => {
  const ottla = await startBroker()
  await expect(startBroker({ dataDir: join(folder, 'second') })).rejects.toThrow(/broker id 0 is registered already at PLAINTEXT:\/\/127\.0\.0\.1:\d+.*Stop that broker, or choose another broker\.id/)
  expect((await topicsOf(ottla, 'still'))[0].errorCode).toBe(0)
})

test('a data folder of another cluster is refused by name', async () => {
  const ottla = await startBroker()
  await ottla.stop()
  await zk.deleteTree('/cluster')
  await expect(startBroker()).rejects.toThrow(/cluster/)
})

test('a topic that is deleted is gone from disk and metadata, and its name is free at once', async () => {
  const ottla = await startBroker({ broker: { 'log.segment.delete.delay.ms': '0' } })
  await topicsOf(ottla, 'phoenix')
  const { topics, metadata } = ottla.broker.services
  const before = metadata.topicId('phoenix')
  expect(await topics.markForDeletion('phoenix')).toBeUndefined()
  expect(await topics.deleted(['phoenix'], 60_000)).toBe(true)
  expect(metadata.topic('phoenix')).toBeUndefined()
  expect((await topicsOf(ottla, 'phoenix'))[0].errorCode).toBe(0)
  expect(metadata.topicId('phoenix')).not.toBe(before)
})

test('a topic that nobody sees any more is unknown to whoever deletes it again, though ZooKeeper has its last traces', async () => {
  const ottla = await startBroker()
  const { topics, metadata, controller } = ottla.broker.services
  // Somebody else holds the office, and does nothing in it.
  await zk.multi([{ op: 'delete', path: '/controller' }, { op: 'create', path: '/controller', data: '{"version":2,"brokerid":99,"timestamp":"1","kraftControllerEpoch":-1}', mode: 'ephemeral' }])
  await expect.poll(() => controller.isActive).toBe(false)
  await zk.create('/brokers/topics/ghost', '{"version":3,"topic_id":"l6eYaCzdRvid3t-1JT-3_g","partitions":{"0":[0]},"adding_replicas":{},"removing_replicas":{}}')
  await zk.create('/admin/delete_topics/ghost')
  expect(metadata.topic('ghost')).toBeUndefined()
  expect(await topics.markForDeletion('ghost')).toMatchObject({ errorCode: errors.unknownTopicOrPartition.code })
  // One that no broker has heard of yet is no such trace.
  await zk.delete('/admin/delete_topics/ghost')
  expect(await topics.markForDeletion('ghost')).toBeUndefined()
})
