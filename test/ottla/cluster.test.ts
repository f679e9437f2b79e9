import { existsSync } from 'node:fs'
import { Kafka, logLevel } from 'kafkajs'
import { expect, test } from 'vitest'
import { OttlaCluster } from '../../src/ottla.ts'

test('three brokers and an ensemble in one process: a topic survives a broker, and the folder goes at the end', async () => {
  const cluster = await OttlaCluster.start()
  try {
    expect([cluster.bootstrapServers.split(',').length, cluster.zookeeperConnect.split(',').length, [...cluster.brokers.keys()].sort()]).toEqual([3, 3, [0, 1, 2]])
    const kafka = new Kafka({ brokers: cluster.bootstrapServers.split(','), logLevel: logLevel.NOTHING, retry: { retries: 20, initialRetryTime: 50, maxRetryTime: 500 } })
    const admin = kafka.admin()
    await admin.connect()
    await admin.createTopics({ topics: [{ topic: 't', numPartitions: 1, replicationFactor: 3 }], waitForLeaders: true })
    const leaderAndIsr = async () => {
      const { topics: [{ partitions: [{ leader, isr }] }] } = await admin.fetchTopicMetadata({ topics: ['t'] })
      return { leader, isr: [...isr].sort() }
    }
    const { leader } = await leaderAndIsr()
    const producer = kafka.producer()
    await producer.connect()
    await producer.send({ topic: 't', acks: -1, messages: [{ value: 'before' }] })
    await cluster.stopBroker(leader)
    await expect(cluster.stopBroker(leader)).rejects.toThrow(`broker ${leader} does not run`)
    await producer.send({ topic: 't', acks: -1, messages: [{ value: 'without' }] })
    expect((await leaderAndIsr()).leader).not.toBe(leader)
    await cluster.startBroker(leader)
    await expect.poll(async () => (await leaderAndIsr()).isr).toEqual([0, 1, 2])
    expect((await admin.fetchTopicOffsets('t'))[0].high).toBe('2')
    await producer.disconnect()
    await admin.disconnect()
  } finally {
    await cluster.stop()
  }
  expect(existsSync(cluster.dataDir)).toBe(false)
})
