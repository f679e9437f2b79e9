/** What a fetcher asks a leader, who is on a real socket; time stands still but where the test lets it pass. */
import { expect, test } from 'vitest'
import { errors } from '../../../src/kafka/protocol/errors.ts'
import { Partition } from '../../../src/kafka/replication/partition.ts'
import { ReplicaFetcher } from '../../../src/kafka/replication/replica-fetcher.ts'
import { ReplicationQuota } from '../../../src/kafka/replication/replication-quota.ts'
import { SimulatedDisk } from '../../../src/simulation/disk.ts'
import { fakeBroker, host as realHost, type Asked } from '../client/fake-broker.ts'
import { openOn, topicId } from '../log/bench.ts'

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
  const fetcher = new ReplicaFetcher({ ...host, network: realHost.network }, {
    brokerId: 1,
    brokerEpoch: () => 1n,
    leaderId: 2,
    clientId: 'broker-1-fetcher-0',
    settings,
    endpointOf: () => ({ host: '127.0.0.1', port: leader.port }),
    quota: new ReplicationQuota({ brokerId: 1, rate: () => Infinity, listOf: () => [], windowCount: 11, windowMs: 1_000 }),
  })
  const partitions: Partition[] = []
  for (const index of [0, 1]) {
    const log = await manager.create('t', index, { topicId, isNew: true })
    const partition = new Partition({ topic: 't', index, log, brokerId: 1, clock: host.clock, timers: host.timers, minInsyncReplicas: () => 1, lagMsMax: 30_000, backoffMs: 1_000, isAlive: () => true, propose: () => {} })
    partition.becomeFollower({ leader: 2, leaderEpoch: 1, partitionEpoch: 1, isr: [1, 2], replicas: [1, 2] })
    partitions.push(partition)
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
