/** What followers and disks must not be able to do to a cluster. */
import { existsSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { consoleLogger, silentLogger } from '../../../src/host/logger.ts'
import { nodeHost } from '../../../src/host/node.ts'
import { paths } from '../../../src/kafka/metadata/znode-paths.ts'
import { DescribeConfigs } from '../../../src/kafka/protocol/describe-configs.ts'
import { Fetch } from '../../../src/kafka/protocol/fetch.ts'
import { errors } from '../../../src/kafka/protocol/errors.ts'
import { seededRandom } from '../../../src/simulation/random.ts'
import { Brokers, until } from './brokers.ts'

let brokers: Brokers
afterEach(() => brokers?.stopAll())

test('forged fetches are refused, and change neither the high watermark nor the ISR', async () => {
  brokers = await Brokers.start([1, 2, 3])
  await brokers.createTopic('t', { replicas: [1, 2], configs: { 'min.insync.replicas': '2' } })
  const sent: string[] = []
  for (let index = 0; index < 10; index++) {
    sent.push(String(index))
    await brokers.produce('t', sent[index])
  }
  const partition = brokers.broker(1).services.replicas.find('t', 0)!
  const { leaderEpoch } = partition
  const known: ReadonlySet<number> = new Set([errors.offsetOutOfRange, errors.notLeaderOrFollower, errors.unknownLeaderEpoch, errors.fencedLeaderEpoch].map(({ code }) => code))
  const random = seededRandom(5)
  const oneOf = <T>(values: readonly T[]): T => values[random.below(values.length)]
  for (let round = 0; round < 200; round++) {
    const isStranger = random.chance(0.5)
    const wish = {
      replicaId: isStranger ? oneOf([3, 9, 0x7fff_ffff]) : 2,
      currentLeaderEpoch: oneOf([-1, leaderEpoch, leaderEpoch + 1, leaderEpoch - 1, 0x7fff_ffff]),
      fetchOffset: oneOf([0, 5, 10, 11, 1_000, 2 ** 52, -1, -2]),
      lastFetchedEpoch: oneOf([-1, leaderEpoch + 5]),
    }
    // What broker 2 itself could ask is no forgery.
    if (!isStranger && wish.fetchOffset >= 0 && wish.fetchOffset <= 10 && wish.lastFetchedEpoch === -1) continue
    const { replicaId, ...target } = wish
    const answer = await brokers.ask(1, Fetch, 12, { replicaId, maxWaitMs: 0, minBytes: 1, sessionEpoch: -1, topics: [{ topic: 't', partitions: [{ partition: 0, ...target, logStartOffset: oneOf([-1, 0, 99]), partitionMaxBytes: 1 << 20 }] }], forgottenTopicsData: [], rackId: '' })
    const { errorCode, divergingEpoch, records } = answer.responses[0].partitions[0]
    const note = JSON.stringify({ round, wish, errorCode })
    expect(records?.length ?? 0, note).toBe(0)
    if (errorCode !== 0) expect(known.has(errorCode), note).toBe(true)
    else expect(divergingEpoch.endOffset, note).toBeGreaterThanOrEqual(0)
  }
  const elsewhere = await brokers.ask(1, Fetch, 12, { clusterId: 'xtzWWN4bTjitpL3kfd9s5g', replicaId: 2, maxWaitMs: 0, minBytes: 1, sessionEpoch: -1, topics: [{ topic: 't', partitions: [{ partition: 0, fetchOffset: 10, partitionMaxBytes: 1 << 20 }] }], forgottenTopicsData: [], rackId: '' })
  expect(elsewhere).toMatchObject({ errorCode: errors.inconsistentClusterId.code, responses: [] })
  expect(partition.highWatermark).toBe(10)
  expect([...partition.leader!.isr].sort()).toEqual([1, 2])
  sent.push('after')
  await brokers.produce('t', 'after')
  expect(await brokers.values('t')).toEqual(sent)
})

const damages: Record<string, (file: string, random: ReturnType<typeof seededRandom>) => void> = {
  'a flipped byte': (file, random) => {
    const bytes = readFileSync(file)
    bytes[random.below(bytes.length)] ^= 1 + random.below(255)
    writeFileSync(file, bytes)
  },
  'a lost tail': (file, random) => truncateSync(file, random.below(readFileSync(file).length)),
  'zeros in the middle': (file, random) => {
    const bytes = readFileSync(file)
    const at = random.below(bytes.length - 100)
    writeFileSync(file, bytes.fill(0, at, at + 100))
  },
  'foreign bytes behind the end': (file, random) => writeFileSync(file, Buffer.concat([readFileSync(file), random.bytes(300)])),
}
test('a replica of three whose segment is damaged in a crash cuts it off and fetches it again; nothing is lost', async () => {
  brokers = await Brokers.start([1, 2, 3])
  await brokers.createTopic('t', { replicas: [1, 2, 3], configs: { 'min.insync.replicas': '2', 'segment.bytes': '4000' } })
  const sent: string[] = []
  const produce = async (count: number): Promise<void> => {
    for (let index = 0; index < count; index++) {
      sent.push(`${sent.length} ${'x'.repeat(200)}`)
      await brokers.produce('t', sent[sent.length - 1])
    }
  }
  await produce(40)
  const contents = (id: number): string => {
    const folder = join(brokers.directory, `kafka-${id}`, 't-0')
    return readdirSync(folder).filter((name) => name.endsWith('.log')).sort().map((name) => readFileSync(join(folder, name)).toString('latin1')).join('')
  }
  for (const [round, [name, damage]] of Object.entries(damages).entries()) {
    const random = seededRandom(100 + round)
    const victim = 1 + (round % 3)
    await brokers.stop(victim)
    const folder = join(brokers.directory, `kafka-${victim}`)
    // As after a crash: nothing is known to be safe.
    for (const file of ['.kafka_cleanshutdown', 'recovery-point-offset-checkpoint']) if (existsSync(join(folder, file))) rmSync(join(folder, file))
    const segments = readdirSync(join(folder, 't-0')).filter((file) => file.endsWith('.log') && readFileSync(join(folder, 't-0', file)).length > 0)
    damage(join(folder, 't-0', segments[random.below(segments.length)]), random)
    await produce(5)
    await brokers.start(victim)
    await until(() => brokers.view('t', 0, brokers.controllerId)?.isr.length === 3)
    await produce(5)
    const ends = (): number[] => [1, 2, 3].map((id) => brokers.broker(id).services.replicas.find('t', 0)!.log.logEndOffset)
    await until(() => ends().every((end) => end === sent.length))
    for (const id of [2, 3]) expect(contents(id) === contents(1), `${name}: broker ${id} like 1`).toBe(true)
  }
  const all = contents(1)
  expect(sent.filter((value) => !all.includes(value))).toEqual([])
})

test('damaged configurations and notifications are named; brokers start, keep everything of those topics, and go on with what comes afterwards', { timeout: 120_000 }, async () => {
  const said: string[] = []
  const logger = consoleLogger({ clock: nodeHost({ logger: silentLogger }).clock, sink: (line) => void said.push(line) })
  brokers = await Brokers.start([1], { logger })
  await brokers.createTopic('damaged', { replicas: [1], configs: { 'cleanup.policy': 'compact' } })
  await brokers.createTopic('other', { replicas: [1] })
  const { zookeeper } = brokers.broker(1).services
  const spoil = (path: string) => zookeeper.run((zk) => zk.setData(path, '{"version":1,"config":'))
  const configOf = (topic: string) => brokers.broker(1).services.logs.get(topic, 0)!.config
  // While it runs, what was known stays; a notification that names it or nothing holds back none of the next.
  await spoil(paths.entityConfig('topics', 'damaged'))
  await zookeeper.notifyConfigChange({ type: 'topics', entity: 'damaged' })
  await zookeeper.run((zk) => zk.create(paths.configChange, 'no json', { mode: 'persistentSequential' }))
  await zookeeper.setEntityConfig('topics', 'other', { 'retention.ms': '12345' })
  await zookeeper.notifyConfigChange({ type: 'topics', entity: 'other' })
  await until(() => configOf('other').retentionMs === 12_345)
  expect(configOf('damaged').cleanupPolicy).toEqual(['compact'])
  // Who asks for it is told; of the other it is told all the same.
  const described = await brokers.ask(1, DescribeConfigs, 4, { resources: ['damaged', 'other'].map((resourceName) => ({ resourceType: 2, resourceName, configurationKeys: ['retention.ms'] })), includeSynonyms: false, includeDocumentation: false })
  expect(described.results.map(({ errorCode, errorMessage, configs }) => [errorCode, errorMessage, configs.map(({ value }) => value)])).toEqual([
    [errors.invalidConfig.code, expect.stringMatching(/znode \/config\/topics\/damaged holds no JSON.*Correct the node, or delete it/s), []],
    [0, '', ['12345']],
  ])
  await zookeeper.run((zk) => zk.create(`${paths.entityConfigs('brokers')}/1`, '[]'))
  await brokers.stop(1)
  await brokers.start(1)
  await until(() => brokers.leaderOf('damaged') === 1 && brokers.leaderOf('other') === 1)
  await brokers.produce('damaged', 'goes on')
  expect(configOf('damaged')).toMatchObject({ cleanupPolicy: ['delete'], retentionMs: -1, retentionBytes: -1 })
  expect(configOf('other').retentionMs).toBe(12_345)
  for (const path of ['/config/topics/damaged', '/config/changes/', '/config/brokers/1']) expect(said.some((line) => line.includes(path))).toBe(true)
  // Written anew it is as written.
  await brokers.broker(1).services.zookeeper.setEntityConfig('topics', 'damaged', { 'cleanup.policy': 'compact' })
  await brokers.broker(1).services.zookeeper.notifyConfigChange({ type: 'topics', entity: 'damaged' })
  await until(() => configOf('damaged').cleanupPolicy.includes('compact'))
})
