import { existsSync } from 'node:fs'
import { Kafka, logLevel } from 'kafkajs'
import { expect, test } from 'vitest'
import { OttlaCluster } from '../../src/ottla.ts'

test('three brokers and an ensemble in one process: a topic survives a broker, and the folder goes at the end', async () => {
  const cluster = await OttlaCluster.start()
  try {
    expect([cluster.bootstrapServers.split(',').length, cluster.zookeeperConnect.split(',').length, [...cluster.brokers.keys()].sort()]).toEqual([3, 3, [0, 1, 2]])
    const kafka = new Kafka({ brokers: cluster.bootstrapServers.split(','), connectionTimeout: 30_000, logLevel: logLevel.NOTHING, retry: { retries: 60, initialRetryTime: 50, maxRetryTime: 500 } })
    const admin = kafka.admin()
    await admin.connect()
    // kafkajs does not ask again where a broker is late or is not the controller any more.
    await expect.poll(() => admin.createTopics({ topics: [{ topic: 't', numPartitions: 1, replicationFactor: 3 }], waitForLeaders: true, timeout: 25_000 }).then(() => true, () => false)).toBe(true)
    const leaderAndIsr = async () => {
      const topics = await admin.fetchTopicMetadata({ topics: ['t'] }).then(({ topics }) => topics, () => [])
      const { leader = -1, isr = [] } = topics[0]?.partitions[0] ?? {}
      return { leader, isr: [...isr].sort() }
    }
    let leader = -1
    await expect.poll(async () => (leader = (await leaderAndIsr()).leader)).toBeGreaterThanOrEqual(0)
    const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 })
    await producer.connect()
    await producer.send({ topic: 't', acks: -1, messages: [{ value: 'before' }] })
    await cluster.stopBroker(leader)
    await expect(cluster.stopBroker(leader)).rejects.toThrow(`broker ${leader} does not run`)
    await producer.send({ topic: 't', acks: -1, messages: [{ value: 'without' }] })
    // The broker that is asked may hear of it later than the producer's.
    await expect.poll(async () => [leader, -1].includes((await leaderAndIsr()).leader)).toBe(false)
    await cluster.startBroker(leader)
    await expect.poll(async () => (await leaderAndIsr()).isr).toEqual([0, 1, 2])
    await expect.poll(async () => (await admin.fetchTopicOffsets('t'))[0].high).toBe('2')
    await producer.disconnect()
    await admin.disconnect()
  } finally {
    await cluster.stop()
  }
  expect(existsSync(cluster.dataDir)).toBe(false)
})
