/** Replicas move between the log directories of a broker, while they are written and read. */
import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { AlterReplicaLogDirs } from '../../../src/kafka/protocol/alter-replica-log-dirs.ts'
import { DescribeLogDirs } from '../../../src/kafka/protocol/describe-log-dirs.ts'
import { errors } from '../../../src/kafka/protocol/errors.ts'
import { LeaderAndIsr } from '../../../src/kafka/protocol/leader-and-isr.ts'
import { IncrementalAlterConfigs } from '../../../src/kafka/protocol/incremental-alter-configs.ts'
import { Brokers, until } from './brokers.ts'

let brokers: Brokers
afterEach(() => brokers?.stopAll())
const folder = (id: number, name: string): string => join(brokers.directory, `${id}-${name}`)
const twoFolders = (id: number): Record<string, string> => ({ 'log.dirs': `${folder(id, 'a')},${folder(id, 'b')}` })
const move = async (id: number, topic: string, path: string): Promise<number> =>
  (await brokers.ask(id, AlterReplicaLogDirs, 2, { dirs: [{ path, topics: [{ name: topic, partitions: [0] }] }] })).results[0].partitions[0].errorCode
const replica = (id: number, topic: string) => brokers.broker(id).services.replicas.find(topic, 0)!
const other = (id: number, topic: string): string => folder(id, replica(id, topic).log.logDir === folder(id, 'a') ? 'b' : 'a')
const throttle = (id: number, value: string) =>
  brokers.ask(id, IncrementalAlterConfigs, 1, { resources: [{ resourceType: 4, resourceName: String(id), configs: [{ name: 'replica.alter.log.dirs.io.max.bytes.per.second', configOperation: 0, value }] }], validateOnly: false })

test('a leader and a follower move while records come; nothing is lost, and the old copies go', async () => {
  brokers = await Brokers.start([])
  for (const id of [1, 2]) await brokers.start(id, twoFolders(id))
  await brokers.createTopic('t', { replicas: [1, 2] })
  const sent: string[] = []
  let isOver = false
  const producing = (async () => {
    while (!isOver) {
      const value = `${sent.length} ${'x'.repeat(500)}`
      await brokers.produce('t', value)
      sent.push(value)
    }
  })()
  for (const id of [1, 2]) {
    const [from, to] = [replica(id, 't').log.logDir, other(id, 't')]
    const before = sent.length
    await until(() => sent.length > before + 20)
    expect(await move(id, 't', to)).toBe(0)
    await until(() => replica(id, 't').log.logDir === to)
    await until(() => !existsSync(join(from, 't-0')))
    expect(readdirSync(to).filter((name) => name.startsWith('t-0'))).toEqual(['t-0'])
    const after = sent.length
    await until(() => sent.length > after + 20)
  }
  isOver = true
  await producing
  expect(await brokers.values('t')).toEqual(sent)
  for (const id of [1, 2]) await brokers.stop(id)
  for (const id of [1, 2]) await brokers.start(id, twoFolders(id))
  await until(() => brokers.leaderOf('t') > 0)
  await brokers.produce('t', 'last')
  expect(await brokers.values('t')).toEqual([...sent, 'last'])
})

test('a move that is held back shows as a future replica, outlives a restart, may turn round, and ends when it may', async () => {
  brokers = await Brokers.start([])
  await brokers.start(1, twoFolders(1))
  await brokers.createTopic('t', { replicas: [1] })
  for (let index = 0; index < 30; index++) await brokers.produce('t', 'x'.repeat(100_000))
  expect((await throttle(1, '1000')).responses[0].errorCode).toBe(0)
  await until(() => brokers.broker(1).services.settings.values['replica.alter.log.dirs.io.max.bytes.per.second'] === 1000)
  const [from, to] = [replica(1, 't').log.logDir, other(1, 't')]
  expect(await move(1, 't', to)).toBe(0)
  const described = async () => {
    const { results } = await brokers.ask(1, DescribeLogDirs, 4, { topics: null })
    return new Map(results.map(({ logDir, topics }) => [logDir, topics.find(({ name }) => name === 't')?.partitions[0]]))
  }
  const seen = (await described()).get(to)
  expect(seen).toMatchObject({ isFutureKey: true })
  expect(seen!.offsetLag).toBeGreaterThan(0)
  expect((await described()).get(from)).toMatchObject({ isFutureKey: false, offsetLag: 0 })
  // Back to where it is: the copy goes.
  expect(await move(1, 't', from)).toBe(0)
  expect((await described()).get(to)).toBeUndefined()
  expect(await move(1, 't', to)).toBe(0)
  await brokers.stop(1)
  await brokers.start(1, twoFolders(1))
  await until(() => brokers.leaderOf('t') === 1)
  await until(() => brokers.broker(1).services.logs.future('t', 0) !== undefined)
  await throttle(1, '100000000')
  await until(() => replica(1, 't').log.logDir === to)
  expect(await brokers.values('t')).toHaveLength(30)
})

test('what cannot be moved is refused by name; what is not there yet is made where it was wished', async () => {
  brokers = await Brokers.start([])
  await brokers.start(1, twoFolders(1))
  await brokers.createTopic('t', { replicas: [1] })
  expect(await move(1, 't', folder(1, 'c'))).toBe(errors.logDirNotFound.code)
  expect(await move(1, 'x'.repeat(220), folder(1, 'b'))).toBe(errors.invalidTopicException.code)
  for (const [name, wish] of [['one', 'b'], ['two', 'b'], ['three', 'a']]) {
    expect(await move(1, name, `${folder(1, wish)}/`)).toBe(errors.unknownTopicOrPartition.code)
    await brokers.createTopic(name, { replicas: [1] })
    expect(replica(1, name).log.logDir).toBe(folder(1, wish))
  }
  expect(await move(1, 'one', folder(1, 'b'))).toBe(0)
  await brokers.start(2, twoFolders(2))
  await until(() => brokers.broker(2).services.metadata.partition('one', 0) !== undefined)
  expect(await move(2, 'one', folder(2, 'b'))).toBe(errors.replicaNotAvailable.code)
})

test('a broker whose folder fails goes on with the other; the partitions in it get other leaders and are not made anew', async () => {
  brokers = await Brokers.start([])
  for (const id of [1, 2]) await brokers.start(id, twoFolders(id))
  for (const name of ['one', 'two']) await brokers.createTopic(name, { replicas: [1, 2] })
  for (const name of ['one', 'two']) await brokers.produce(name, 'before')
  const [failed, well] = [replica(1, 'one').log.logDir, replica(1, 'two').log.logDir]
  expect(failed).not.toBe(well)
  brokers.broker(1).services.logs.failDirectory(failed, new Error('the disk is gone'))
  await until(() => replica(2, 'one').leading)
  expect(replica(1, 'two').leading).toBe(true)
  for (const name of ['one', 'two']) await brokers.produce(name, 'after')
  expect(await brokers.values('one')).toEqual(['before', 'after'])
  expect(await move(1, 'two', failed)).toBe(errors.kafkaStorageError.code)
  expect(await move(1, 'one', well)).toBe(errors.kafkaStorageError.code)
  // The folder cannot be used after a restart either.
  await brokers.stop(1)
  rmSync(failed, { recursive: true })
  writeFileSync(failed, 'no directory')
  await brokers.start(1, twoFolders(1))
  await until(() => brokers.broker(1).services.replicas.find('two', 0) !== undefined)
  await brokers.produce('one', 'and after')
  expect(existsSync(join(well, 'one-0'))).toBe(false)
  expect([...(brokers.view('one', 0, brokers.controllerId)?.isr ?? [])]).toEqual([2])
  // Whatever a controller says of it: nobody knows what lies in the folder.
  const { controller, metadata } = brokers.broker(brokers.controllerId).services
  const state = { partitionIndex: 0, controllerEpoch: controller.epoch, leader: 2, leaderEpoch: metadata.partition('one', 0)!.leaderEpoch + 1, isr: [2], partitionEpoch: 99, replicas: [1, 2], addingReplicas: [], removingReplicas: [], isNew: false, leaderRecoveryState: 0 }
  const told = await brokers.ask(1, LeaderAndIsr, 7, {
    controllerId: brokers.controllerId, controllerEpoch: controller.epoch, brokerEpoch: (await brokers.broker(1).services.zookeeper.broker(1))!.epoch,
    topicStates: [{ topicName: 'one', topicId: metadata.topicId('one'), partitionStates: [state] }], liveLeaders: [],
  })
  expect(told.topics[0].partitionErrors[0].errorCode).toBe(errors.kafkaStorageError.code)
  expect(existsSync(join(well, 'one-0'))).toBe(false)
})

test('a file where a partition’s directory was costs its broker that partition alone, though it has one folder', async () => {
  brokers = await Brokers.start([1, 2])
  for (const name of ['one', 'two']) {
    await brokers.createTopic(name, { replicas: [1, 2] })
    await brokers.produce(name, 'before')
  }
  const { directory } = replica(1, 'one').log
  const isr = (name: string): number[] => [...(brokers.view(name, 0, 2)?.isr ?? [])].sort()
  await brokers.stop(1)
  for (const name of ['one', 'two']) await until(() => isr(name).join() === '2')
  rmSync(directory, { recursive: true })
  writeFileSync(directory, 'no directory')
  await brokers.start(1)
  await until(() => isr('two').join() === '1,2')
  expect(brokers.broker(1).services.logs.hasFailed).toBe(false)
  await brokers.produce('one', 'after')
  await brokers.produce('two', 'after')
  expect(isr('one')).toEqual([2])
  // Moved away, the records are copied at the next start.
  await brokers.stop(1)
  rmSync(directory)
  await brokers.start(1)
  await until(() => isr('one').join() === '1,2')
  expect(replica(1, 'one').log.logEndOffset).toBe(2)
  for (const name of ['one', 'two']) expect(await brokers.values(name)).toEqual(['before', 'after'])
})
