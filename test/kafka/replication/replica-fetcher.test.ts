/** What a fetcher asks a leader, who is on a real socket; time stands still but where the test lets it pass. */
import { expect, test } from 'vitest'
import type { LogFacts, Logger } from '../../../src/host/host.ts'
import type { PartitionLog } from '../../../src/kafka/log/partition-log.ts'
import { errors } from '../../../src/kafka/protocol/errors.ts'
import { Partition } from '../../../src/kafka/replication/partition.ts'
import { ReplicaFetcher } from '../../../src/kafka/replication/replica-fetcher.ts'
import { ReplicationQuota } from '../../../src/kafka/replication/replication-quota.ts'
import { SimulatedDisk } from '../../../src/simulation/disk.ts'
import { encodeBatch } from '../../../src/kafka/records/encode.ts'
import { fakeBroker, host as realHost, type Asked } from '../client/fake-broker.ts'
import { hostOn, numbered, openOn, topicId, type TestHost } from '../log/bench.ts'

const settings = {
  'inter.broker.protocol.version': '3.9',
  'replica.fetch.max.bytes': 1_000_000,
  'replica.fetch.response.max.bytes': 1_000_000,
  'replica.fetch.wait.max.ms': 500,
  'replica.fetch.min.bytes': 1,
  'replica.fetch.backoff.ms': 1_000,
  'replica.socket.timeout.ms': 30_000,
}
const indexesOf = ({ request }: Asked): number[] => (request['topics'] as { partitions: { partition: number }[] }[]).flatMap(({ partitions }) => partitions.map(({ partition }) => partition))

const fetcherOf = (host: TestHost, port: number): ReplicaFetcher =>
  new ReplicaFetcher({ ...host, network: realHost.network }, {
    brokerId: 1,
    brokerEpoch: () => 1n,
    leaderId: 2,
    clientId: 'broker-1-fetcher-0',
    settings,
    endpointOf: () => ({ host: '127.0.0.1', port }),
    quota: new ReplicationQuota({ brokerId: 1, rate: () => Infinity, listOf: () => [], windowCount: 11, windowMs: 1_000 }),
  })
function followerOf({ clock, timers }: TestHost, index: number, log: PartitionLog): Partition {
  const partition = new Partition({ topic: 't', index, log, brokerId: 1, clock, timers, minInsyncReplicas: () => 1, lagMsMax: 30_000, backoffMs: 1_000, isAlive: () => true, propose: () => {} })
  partition.becomeFollower({ leader: 2, leaderEpoch: 1, partitionEpoch: 1, isr: [1, 2], replicas: [1, 2] })
  return partition
}

test('a partition that was refused is asked for again in its time, although others wait for records', async () => {
  const { manager, host } = await openOn(new SimulatedDisk())
  let refused = false
  let asked = (): void => {}
  const threeTimes = new Promise<void>((done) => (asked = done))
  const leader = await fakeBroker({
    Fetch: (request) => {
      const wanted = indexesOf(request)
      const [first, second] = [!refused, refused && wanted.length === 1]
      if (first) refused = true
      else if (second) host.pass(request.request['maxWaitMs'] as number)
      else {
        asked()
        return 'silence'
      }
      // The leader of the second has not heard yet that it leads.
      const partitions = wanted.map((partitionIndex) => ({ partitionIndex, errorCode: partitionIndex === 1 ? errors.notLeaderOrFollower.code : 0, highWatermark: 0, lastStableOffset: 0, logStartOffset: 0, abortedTransactions: null, records: null }))
      return { throttleTimeMs: 0, errorCode: 0, sessionId: 0, responses: [{ topic: 't', topicId, partitions }] }
    },
  })
  const fetcher = fetcherOf(host, leader.port)
  const partitions: Partition[] = []
  for (const index of [0, 1]) {
    const log = await manager.create('t', index, { topicId, isNew: true })
    partitions.push(followerOf(host, index, log))
  }
  for (const partition of partitions) fetcher.follow(partition)
  await threeTimes
  expect(leader.requests('Fetch').map((each) => ({ partitions: indexesOf(each), waitMs: each.request['maxWaitMs'] }))).toEqual([
    { partitions: [0, 1], waitMs: 500 },
    { partitions: [0], waitMs: 20 },
    { partitions: [0, 1], waitMs: 500 },
  ])
  await fetcher.stop()
  await manager.close()
})

test.each<[string, number, string, RegExp]>([
  ['sends damaged records', 0, 'records of a partition cannot be copied; trying again', /offset 0 whose checksum is wrong.*delete the directory/],
  ['refuses', errors.kafkaStorageError.code, 'the leader gives no records of a partition; asking again. Its log may say why', /KAFKA_STORAGE_ERROR/],
])('a leader that %s again and again is said once a minute, and that it is over', { timeout: 60_000 }, async (_, errorCode, event, why) => {
  const lines: { event: string; facts: LogFacts | undefined }[] = []
  const say = (event: string, facts?: LogFacts): void => void lines.push({ event, facts })
  const logger: Logger = { debug() {}, info: say, warn: say, error: say, named: () => logger }
  const disk = new SimulatedDisk()
  const { manager, host } = await openOn(disk, {}, { host: hostOn(disk, { logger }) })
  const good = encodeBatch(numbered(0, 1))
  const bad = Buffer.from(good)
  bad[bad.length - 1] ^= 1
  let answers = 0
  let isHealed = false
  let asked = (): void => {}
  const leader = await fakeBroker({
    Fetch: ({ request }) => {
      answers++
      asked()
      const { fetchOffset } = (request['topics'] as { partitions: { fetchOffset: number }[] }[])[0]?.partitions[0] ?? { fetchOffset: 1 }
      const partition = { partitionIndex: 0, errorCode: isHealed ? 0 : errorCode, highWatermark: 1, lastStableOffset: 1, logStartOffset: 0, abortedTransactions: null, records: fetchOffset > 0 ? null : isHealed ? good : bad }
      if (isHealed && fetchOffset > 0) return 'silence'
      return { throttleTimeMs: 0, errorCode: 0, sessionId: 0, responses: [{ topic: 't', topicId, partitions: [partition] }] }
    },
  })
  const fetcher = fetcherOf(host, leader.port)
  const log = await manager.create('t', 0, { topicId, isNew: true })
  fetcher.follow(followerOf(host, 0, log))
  const said = (): typeof lines => lines.filter((line) => line.event === event)
  /** A second passes whenever the fetcher waits for it. */
  const go = async (isDone: () => boolean): Promise<void> => {
    while (!isDone()) {
      const next = new Promise<void>((done) => (asked = done))
      const turn = setInterval(() => host.pass(1_000), 1)
      await next
      clearInterval(turn)
    }
  }
  await go(() => said().length === 2)
  expect(answers).toBeGreaterThan(10)
  expect(said()[0].facts).toMatchObject({ partition: 't-0', leader: 2 })
  expect(String(said()[0].facts!['error'] ?? said()[0].facts!['because'])).toMatch(why)
  expect(said()[1].facts!['timesSince']).toBeGreaterThan(0)
  isHealed = true
  await go(() => log.logEndOffset === 1)
  expect(lines.at(-1)).toMatchObject({ event: 'records of a partition are copied again', facts: { partition: 't-0' } })
  await fetcher.stop()
  await manager.close()
})
