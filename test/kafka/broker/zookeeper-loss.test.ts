import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { KafkaConnection } from '../../../src/kafka/client/connection.ts'
import { CreateTopics } from '../../../src/kafka/protocol/create-topics.ts'
import { errors } from '../../../src/kafka/protocol/errors.ts'
import { Metadata } from '../../../src/kafka/protocol/metadata.ts'
import { Ottla } from '../../../src/ottla.ts'
import { zooKeeperConfig } from '../../../src/zookeeper/server/config.ts'
import { ZooKeeperServer } from '../../../src/zookeeper/server/server.ts'
import { ZooKeeperClient } from '../../../src/zookeeper/client/client.ts'
import { freePort } from '../../free-port.ts'
import { eventually, testHost } from '../../zookeeper/client/service.ts'

let folder: string
let zookeeper: ZooKeeperServer
const running: Ottla[] = []
const startZooKeeper = (port: number): Promise<ZooKeeperServer> =>
  ZooKeeperServer.start(testHost, zooKeeperConfig({ dataDir: join(folder, 'zookeeper'), clientPort: port, clientPortAddress: '127.0.0.1', tickTime: 100, maxSessionTimeout: 60_000, 'admin.enableServer': false }))
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ottla-loss-'))
  zookeeper = await startZooKeeper(await freePort())
})
afterEach(async () => {
  for (const ottla of running.splice(0)) await ottla.stop()
  await zookeeper.stop()
  await rm(folder, { recursive: true })
})
async function startBroker(): Promise<Ottla> {
  const ottla = await Ottla.start({ dataDir: join(folder, 'broker'), zookeeperConnect: `127.0.0.1:${zookeeper.port}/kafka`, broker: { 'zookeeper.session.timeout.ms': '30000' } })
  running.push(ottla)
  return ottla
}
async function ask<T>(ottla: Ottla, question: (connection: KafkaConnection) => Promise<T>): Promise<T> {
  const [host, port] = ottla.bootstrapServers.split(':')
  const connection = await KafkaConnection.open({ host: testHost, to: { host, port: Number(port) }, clientId: 'test' })
  try {
    return await question(connection)
  } finally {
    connection.close()
  }
}
const create = (ottla: Ottla, name: string): Promise<number> =>
  ask(ottla, async (connection) => (await connection.send(CreateTopics, { topics: [{ name, numPartitions: 2, replicationFactor: 1, assignments: [], configs: [] }], timeoutMs: 60_000, validateOnly: false }, { timeoutMs: 120_000 })).topics[0].errorCode)
const leadersOf = (ottla: Ottla, name: string): Promise<number[]> =>
  ask(ottla, async (connection) => (await connection.send(Metadata, { topics: [{ name }], allowAutoTopicCreation: false })).topics[0].partitions.map(({ leaderId }) => leaderId))

test('a broker keeps serving while ZooKeeper is away, and is the controller of the same term when it is back', async () => {
  const ottla = await startBroker()
  expect(await create(ottla, 'before')).toBe(0)
  const { epoch } = ottla.broker.services.controller
  const { port } = zookeeper
  await zookeeper.stop()
  expect(await leadersOf(ottla, 'before')).toEqual([0, 0])
  const waiting = create(ottla, 'meanwhile')
  await testHost.timers.sleep(100)
  zookeeper = await startZooKeeper(port)
  expect(await waiting).toBe(0)
  expect(await create(ottla, 'after')).toBe(0)
  expect(ottla.broker.services.controller.epoch).toBe(epoch)
})

test('a broker whose session has expired registers anew, is elected anew, and its topics never stop being led', async () => {
  const ottla = await startBroker()
  expect(await create(ottla, 'before')).toBe(0)
  const { services } = ottla.broker
  const { epoch } = services.controller
  const thief = await ZooKeeperClient.connect(testHost, { connect: `127.0.0.1:${zookeeper.port}`, sessionTimeoutMs: 30_000, session: services.zookeeper.sessions.client.session })
  await thief.close()
  expect(await leadersOf(ottla, 'before')).toEqual([0, 0])
  await eventually('elected again', () => services.controller.isActive && services.controller.epoch > epoch)
  expect(await create(ottla, 'after')).toBe(0)
  expect(await create(ottla, 'before')).toBe(errors.topicAlreadyExists.code)
})

test('a second broker on the same ZooKeeper with the same id is refused, with where the first one is', async () => {
  const ottla = await startBroker()
  await expect(Ottla.start({ zookeeperConnect: `127.0.0.1:${zookeeper.port}/kafka` })).rejects.toThrow(new RegExp(`broker id 0 is registered already at PLAINTEXT://${ottla.bootstrapServers.replaceAll('.', String.raw`\.`)}`))
})
