import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { cp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { BrokerRegistrar, RegistrationRefusedError, sessionFileName } from '../../../src/kafka/metadata/broker-registrar.ts'
import { ConfigChanges } from '../../../src/kafka/metadata/config-changes.ts'
import { ControllerMovedError, ControllerZooKeeper } from '../../../src/kafka/metadata/controller-zookeeper.ts'
import { KafkaZooKeeper, NoControllerError } from '../../../src/kafka/metadata/kafka-zookeeper.ts'
import { assigned, encodeTopic } from '../../../src/kafka/metadata/topic-znode.ts'
import { paths } from '../../../src/kafka/metadata/znode-paths.ts'
import { eventually, startService, testHost, type Service } from '../../zookeeper/client/service.ts'

let service: Service
let directory: string
const open: KafkaZooKeeper[] = []
beforeEach(async () => {
  service = await startService()
  directory = mkdtempSync(join(tmpdir(), 'ottla-metadata-'))
})
afterEach(async () => {
  for (const zookeeper of open.splice(0)) await zookeeper.close()
  await service.stop()
  rmSync(directory, { recursive: true })
})
async function connect(chroot = ''): Promise<KafkaZooKeeper> {
  const zookeeper = await KafkaZooKeeper.connect(testHost, { connect: service.connect + chroot, sessionTimeoutMs: 5_000 })
  open.push(zookeeper)
  await zookeeper.makePersistentPaths()
  return zookeeper
}
const registrarOf = (zookeeper: KafkaZooKeeper, id: number, port: number, dir: string | undefined): BrokerRegistrar =>
  new BrokerRegistrar(testHost, {
    zookeeper,
    connection: { connect: service.connect, sessionTimeoutMs: 5_000 },
    directory: dir,
    registration: () => ({ id, endpoints: [{ listener: 'PLAINTEXT', host: '127.0.0.1', port, securityProtocol: 'PLAINTEXT' }], rack: undefined, jmxPort: -1 }),
  })

test('the chroot is made, and one cluster id for all', async () => {
  const one = await connect('/kafka/cluster-1')
  const other = await connect('/kafka/cluster-1')
  const [id, same] = await Promise.all([one.clusterId(), other.clusterId()])
  expect(id).toBe(same)
  expect(id).toMatch(/^[A-Za-z0-9_-]{22}$/)
  expect(await one.generateBrokerId(1_000)).toBe(1_001)
  expect(await other.generateBrokerId(1_000)).toBe(1_002)
})

test('an id of the cluster that was damaged or deleted is not given anew: what is to be done is said', async () => {
  const zookeeper = await connect('/lived')
  const id = await zookeeper.clusterId()
  await new ControllerZooKeeper(zookeeper).elect(1, { nowMs: 0, obeyed: 0 })
  await zookeeper.run((zk) => zk.setData(paths.clusterId, '{"vers'))
  await expect(zookeeper.clusterId()).rejects.toThrow(/\/cluster\/id cannot be read.*meta\.properties/)
  await zookeeper.run((zk) => zk.deleteTree('/cluster'))
  await expect(zookeeper.clusterId()).rejects.toThrow(/\/cluster\/id is missing.*meta\.properties/)
  await zookeeper.run((zk) => zk.create('/cluster'))
  await zookeeper.run((zk) => zk.create(paths.clusterId, `{"version":"1","id":"${id}"}`))
  expect(await zookeeper.clusterId()).toBe(id)
})

test('a counter of broker ids that was damaged goes on; one that was deleted gives no id that is registered or has replicas', async () => {
  const zookeeper = await connect('/ids')
  await zookeeper.makePersistentPaths()
  const next = (): Promise<number> => zookeeper.generateBrokerId(1_000)
  expect([await next(), await next()]).toEqual([1_001, 1_002])
  await zookeeper.run((zk) => zk.setData(paths.sequenceId, 'damaged'))
  expect(await next()).toBe(1_004)
  await registrarOf(zookeeper, 1_001, 9092, undefined).start()
  await zookeeper.run((zk) => zk.create(paths.topic('t'), encodeTopic({ topicId: 'l6eYaCzdRvid3t-1JT-3_g', partitions: new Map([[0, assigned([1_002, 1_004])]]) })))
  await zookeeper.run((zk) => zk.create(paths.topic('damaged'), '{"partitions":'))
  await zookeeper.run((zk) => zk.delete(paths.sequenceId))
  expect([await next(), await next()]).toEqual([1_003, 1_005])
})

test('a registration is one multi: version 1 right away, its czxid the broker epoch', async () => {
  const zookeeper = await connect()
  const epoch = await registrarOf(zookeeper, 1, 9092, directory).start()
  const broker = await zookeeper.broker(1)
  expect(broker?.epoch).toBe(epoch)
  expect((await zookeeper.run((zk) => zk.exists('/brokers/ids/1')))?.version).toBe(1)
  expect(statSync(join(directory, sessionFileName)).mode & 0o777).toBe(0o600)
})

test("another broker's id and another broker's address are refused, with what to do", async () => {
  await registrarOf(await connect(), 1, 9092, undefined).start()
  const stranger = await connect()
  await expect(registrarOf(stranger, 1, 9093, directory).start()).rejects.toThrow(/broker id 1 is registered already at PLAINTEXT:\/\/127\.0\.0\.1:9092 .* choose another broker\.id/)
  await expect(registrarOf(stranger, 2, 9092, directory).start()).rejects.toThrow(/127\.0\.0\.1:9092 is registered by broker 1 already/)
})

test('after kill -9 the broker is back at once: with proof from its folder it ends its old session', async () => {
  const killed = await connect()
  const before = await registrarOf(killed, 1, 9092, directory).start()
  open.splice(open.indexOf(killed), 1)
  killed.sessions.abandon()
  const copy = `${directory}-copy`
  await cp(directory, copy, { recursive: true })
  try {
    // A copy of the folder proves nothing, nor does another id.
    await expect(registrarOf(await connect(), 1, 9092, copy).start()).rejects.toBeInstanceOf(RegistrationRefusedError)
  } finally {
    rmSync(copy, { recursive: true })
  }
  const back = registrarOf(await connect(), 1, 9092, directory)
  expect(await back.start()).toBeGreaterThan(before)
  await back.stop()
  expect(statSync(directory).isDirectory()).toBe(true)
  expect(await testHost.disk.facts(join(directory, sessionFileName))).toBeUndefined()
})

test('a broker that stops while ZooKeeper is away leaves the proof for its next start', async () => {
  const zookeeper = await connect()
  const registrar = registrarOf(zookeeper, 1, 9092, directory)
  await registrar.start()
  await service.stop()
  await eventually('the connection is lost', () => zookeeper.sessions.client.state !== 'connected')
  await registrar.stop()
  expect((await testHost.disk.facts(join(directory, sessionFileName)))?.kind).toBe('file')
})

test('a broken session file is named and does not stop the start', async () => {
  await testHost.disk.replaceFile(join(directory, sessionFileName), '{"sessionId":')
  expect(await registrarOf(await connect(), 1, 9092, directory).start()).toBeGreaterThan(0n)
})

test('after its session has expired the broker registers with a new epoch', async () => {
  const zookeeper = await connect()
  const registrar = registrarOf(zookeeper, 1, 9092, directory)
  const before = await registrar.start()
  const thief = await service.client({ session: zookeeper.sessions.client.session })
  await thief.close()
  await eventually('registered again', () => registrar.epoch > before)
  expect((await zookeeper.broker(1))?.epoch).toBe(registrar.epoch)
})

test('a registration that somebody deletes or damages while the session lasts is made anew; what is stopped is left alone', async () => {
  const zookeeper = await connect()
  const registrar = registrarOf(zookeeper, 1, 9092, directory)
  const before = await registrar.start()
  const other = await connect()
  const good = String((await other.run((zk) => zk.getData(paths.broker(1)))).data)
  for (const round of [1, 2]) {
    const { epoch } = registrar
    await other.run((zk) => zk.setData(paths.broker(1), `damaged ${round}`))
    await eventually('written anew', async () => (await other.broker(1).catch(() => undefined))?.epoch === epoch)
    expect(JSON.parse(String((await other.run((zk) => zk.getData(paths.broker(1)))).data))).toMatchObject({ endpoints: (JSON.parse(good) as { endpoints: string[] }).endpoints })
    await other.run((zk) => zk.delete(paths.broker(1)))
    await eventually('registered again', () => registrar.epoch > epoch)
    expect((await other.broker(1))?.epoch).toBe(registrar.epoch)
  }
  expect(registrar.epoch).toBeGreaterThan(before)
  // Its own change is nobody else's.
  await registrar.update()
  await registrar.stop()
  await other.run((zk) => zk.delete(paths.broker(1)))
  // What it hears of the deletion comes before this answer.
  expect(await zookeeper.run((zk) => zk.exists(paths.broker(1)))).toBeUndefined()
})

test('configurations are written only while there is a controller; listeners hear of each change in order', async () => {
  const zookeeper = await connect()
  await expect(zookeeper.setEntityConfig('topics', 't', { 'retention.ms': '1' })).rejects.toBeInstanceOf(NoControllerError)
  await new ControllerZooKeeper(zookeeper).elect(1, { nowMs: 0, obeyed: 0 })
  await zookeeper.setEntityConfig('topics', 't', { 'retention.ms': '1' })
  await zookeeper.notifyConfigChange({ type: 'topics', entity: 't' })
  const heard: string[] = []
  const changes = new ConfigChanges(testHost, zookeeper, ({ type, entity }, overrides) => void heard.push(`${type}/${entity} ${JSON.stringify(overrides)}`))
  await changes.start()
  expect(heard).toEqual(['topics/t {"retention.ms":"1"}'])
  await zookeeper.setEntityConfig('topics', 't', {})
  await zookeeper.notifyConfigChange({ type: 'topics', entity: 't' })
  await zookeeper.setEntityConfig('users', 'u/clients/c', { producer_byte_rate: '1' })
  await zookeeper.notifyConfigChange({ type: 'users', entity: 'u/clients/c' })
  await eventually('both were heard', () => heard.length === 3)
  expect(heard.slice(1)).toEqual(['topics/t {}', 'users/u/clients/c {"producer_byte_rate":"1"}'])
  await changes.stop()
})

test('changes of configurations are heard after somebody has deleted their list, and its numbers begin anew', async () => {
  const zookeeper = await connect()
  const heard: string[] = []
  const [changes, others] = [1, 2].map((id) => new ConfigChanges(testHost, zookeeper, ({ entity }) => void heard.push(`${id} ${entity}`)))
  for (const each of [changes, others]) await each.start()
  for (const entity of ['a', 'b', 'c']) await changes.announce({ type: 'topics', entity })
  // A name that somebody has made by hand hides nothing either.
  await zookeeper.run((zk) => zk.create(`${paths.configChanges}/config_change_9999999999`, '{"version":2,"entity_path":"topics/d"}'))
  await eventually('all were heard by both', () => heard.length === 8)
  await changes.announce({ type: 'topics', entity: 'e' })
  await zookeeper.run((zk) => zk.deleteTree(paths.configChanges))
  for (const entity of ['f', 'g']) await others.announce({ type: 'topics', entity })
  expect(await zookeeper.children(paths.configChanges)).toContain('config_change_0000000000')
  await eventually('the first of the new ones were heard by both', () => heard.length === 14)
  for (const id of [1, 2]) expect(heard.filter((each) => each.startsWith(`${id}`)).join('')).toBe(['a', 'b', 'c', 'd', 'e', 'f', 'g'].map((entity) => `${id} ${entity}`).join(''))
  for (const each of [changes, others]) await each.stop()
})

test('blocks of producer ids follow one another; where it cannot be told which were given, they go on far away from those', async () => {
  const zookeeper = await connect('/producers')
  await zookeeper.clusterId()
  const take = async (by = zookeeper): Promise<number> => (await by.takeProducerIds(1)).start
  expect([await take(), await take()]).toEqual([0, 1_000])
  const path = paths.producerIds
  const wrongs = ['', 'no json', '{"version":1,"broker":1,"block_start":"0","block_end":"9007199254740991"}', '{"version":1,"broker":1,"block_start":"-2000","block_end":"-1001"}', '{"version":1,"broker":1,"block_start":"0","block_end":"999"}', undefined]
  for (const wrong of wrongs) {
    await zookeeper.run((zk) => (wrong === undefined ? zk.delete(path) : zk.setData(path, wrong).then(() => undefined)))
    const start = await take()
    expect(start).toBeGreaterThan(1_000_000_000)
    // A broker that has given none knows the same.
    expect(await take(await connect('/producers'))).toBe(start + 1_000)
    expect(await take()).toBe(start + 2_000)
  }
})

test('who announces a change waits until it is in force here, but not for ever', async () => {
  const zookeeper = await connect()
  const handled: string[] = []
  let open = (): void => {}
  const shut = new Promise<void>((resolve) => (open = resolve))
  const following = new ConfigChanges(testHost, zookeeper, async ({ entity }) => {
    await new Promise((resolve) => setImmediate(resolve))
    handled.push(entity)
  })
  await following.start()
  await Promise.all([following.announce({ type: 'topics', entity: 'one' }), following.announce({ type: 'topics', entity: 'other' })])
  expect(handled.toSorted()).toEqual(['one', 'other'])
  await following.stop()
  // Nobody follows any more: its announcements are written, and that is all.
  await following.announce({ type: 'topics', entity: 'late' })
  expect(handled).toHaveLength(2)

  let fire = (): void => {}
  const timers = { ...testHost.timers, set: (_: number, run: () => void) => ((fire = run), { cancel() {} }) }
  const stuck = new ConfigChanges({ ...testHost, timers }, zookeeper, ({ entity }) => (entity === 'stuck' ? shut : undefined))
  await stuck.start()
  const announced = stuck.announce({ type: 'topics', entity: 'stuck' }).then(() => 'answered')
  expect(await Promise.race([announced, following.announce({ type: 'topics', entity: 'meanwhile' }).then(() => 'not yet')])).toBe('not yet')
  fire()
  expect(await announced).toBe('answered')
  open()
  await new Promise((resolve) => setImmediate(resolve))
  const stopped = stuck.stop()
  fire()
  await stopped
})

test('a controller that was replaced can write nothing', async () => {
  const zookeeper = await connect()
  const first = new ControllerZooKeeper(zookeeper)
  expect(await first.elect(1, { nowMs: 0, obeyed: 0 })).toMatchObject({ epoch: 1 })
  expect(await new ControllerZooKeeper(zookeeper).elect(2, { nowMs: 0, obeyed: 0 })).toEqual({ controllerId: 1 })
  await first.setTopic('t', { topicId: undefined, partitions: new Map() }).catch((error: unknown) => expect(error).not.toBeInstanceOf(ControllerMovedError))
  await zookeeper.run((zk) => zk.delete('/controller'))
  expect(await new ControllerZooKeeper(zookeeper).elect(2, { nowMs: 0, obeyed: 0 })).toMatchObject({ epoch: 2 })
  await expect(first.deleteTopic('t')).rejects.toBeInstanceOf(ControllerMovedError)
})

test('states of partitions are written over the version they are based on', async () => {
  const zookeeper = await connect()
  const writes = new ControllerZooKeeper(zookeeper)
  await writes.elect(1, { nowMs: 0, obeyed: 0 })
  await zookeeper.createTopic('t', { topicId: undefined, partitions: new Map([[0, assigned([1])]]) }, {})
  const state = { leader: 1, leaderEpoch: 0, isr: [1], leaderRecoveryState: 0, controllerEpoch: 1, partitionEpoch: 0 }
  expect(await writes.createStates([{ topic: 't', partition: 0, state }])).toEqual([{ kind: 'written', state }])
  const [written] = await writes.updateStates([{ topic: 't', partition: 0, state: { ...state, leaderEpoch: 1 } }])
  expect(written).toEqual({ kind: 'written', state: { ...state, leaderEpoch: 1, partitionEpoch: 1 } })
  expect(await writes.updateStates([{ topic: 't', partition: 0, state: { ...state, leaderEpoch: 2 } }])).toEqual([{ kind: 'conflict' }])
})

test('offsets of old consumers are plain numbers below /consumers', async () => {
  const zookeeper = await connect()
  expect(await zookeeper.committedOffset('g', 't', 0)).toBeUndefined()
  await zookeeper.setCommittedOffset('g', 't', 0, 42)
  await zookeeper.setCommittedOffset('g', 't', 0, 43)
  expect(await zookeeper.committedOffset('g', 't', 0)).toBe(43)
})
