/** A broker that stops, is killed, loses its session or its ZooKeeper, seen by a client that goes on working. */
import { appendFileSync } from 'node:fs'
import { afterEach, expect, test } from 'vitest'
import { kafkaAt } from './kafkajs.ts'
import { until } from './process.ts'
import { describeWith, unique } from './programs.ts'
import { Reader } from './reader.ts'
import { fourLetterWord, kafkaMaker, useCluster } from './target.ts'
import { createTopics } from './topics.ts'

describeWith([], 'a broker that goes and comes back', () => {
  // Ottla's broker does not wait for the end of its old session: were it to, it would not be there in time.
  const cluster = useCluster(kafkaMaker === 'ottla' ? { kafka: { config: { 'zookeeper.session.timeout.ms': 300_000 } }, zookeeper: { config: { maxSessionTimeout: 300_000 } } } : {})
  const open: { disconnect(): Promise<void> }[] = []
  const kafka = () => kafkaAt([cluster.kafka.address], { retry: { retries: 500, initialRetryTime: 100, maxRetryTime: 500 } })
  const opened = async <T extends { connect(): Promise<void>; disconnect(): Promise<void> }>(client: T): Promise<T> => {
    await client.connect()
    open.push(client)
    return client
  }
  afterEach(async () => {
    for (const client of open.splice(0)) await client.disconnect()
  })
  const created = async () => {
    const topic = unique('restarts')
    const admin = await opened(kafka().admin())
    await createTopics(admin, [cluster.kafka.address], { topic, numPartitions: 1 })
    return { topic, admin }
  }
  /** Sends numbered records one by one until told to stop; answers how many were acknowledged. */
  const sending = async (topic: string) => {
    const producer = await opened(kafka().producer({ idempotent: true, maxInFlightRequests: 1 }))
    let acknowledged = 0
    let going = true
    const done = (async () => {
      while (going) {
        await producer.send({ topic, acks: -1, messages: [{ value: String(acknowledged) }] })
        acknowledged++
      }
    })()
    // A test that has failed hangs up on it.
    done.catch(() => {})
    return { acknowledged: () => acknowledged, stop: () => ((going = false), done) }
  }
  const readAll = async (topic: string, count: number): Promise<number[]> => {
    const reader = await Reader.open(kafka(), topic)
    try {
      await until(`${count} records of ${topic}`, () => reader.records.length >= count)
    } finally {
      await reader.close()
    }
    return reader.values().map(Number)
  }
  const upTo = (count: number) => Array.from({ length: count }, (_, i) => i)
  /** The session that holds the broker's registration, or undefined. */
  const registration = async () => {
    // No answer says nothing.
    const dump = await until('ZooKeeper tells of its sessions', async () => (await fourLetterWord(cluster.zookeeper, 'dump')) || undefined)
    return /(0x[0-9a-f]+):\s+(?:(?!0x)\S+\s+)*?\/brokers\/ids\/1\s/.exec(`${dump}\n`)?.[1]
  }

  test.each([{ how: 'stopped' as const }, { how: 'killed' as const }])('a broker $how amid writes has every acknowledged record once and in order when it is back', async ({ how }) => {
    const { topic, admin } = await created()
    const groupId = unique('group')
    const load = await sending(topic)
    await until('100 records', () => load.acknowledged() >= 100)
    await admin.setOffsets({ groupId, topic, partitions: [{ partition: 0, offset: '42' }] })
    const session = await registration()
    if (how === 'stopped') await cluster.kafka.stop()
    else await cluster.kafka.kill()
    // Apache's broker refuses to start while its old session lives; Ottla's proves that the session was its own.
    if (kafkaMaker === 'apache' && how === 'killed') await until('the old session to expire', async () => (await registration()) !== session)
    await cluster.kafka.start()
    const before = load.acknowledged()
    await until('100 more', () => load.acknowledged() >= before + 100)
    await load.stop()
    expect(await registration()).not.toBe(session)
    expect(await readAll(topic, load.acknowledged())).toEqual(upTo(load.acknowledged()))
    expect(await admin.fetchOffsets({ groupId, topics: [topic] })).toEqual([{ topic, partitions: [expect.objectContaining({ partition: 0, offset: '42' })] }])
  })

  test.each([{ how: 'stopped' as const }, { how: 'killed' as const }])('a ZooKeeper $how and started again: the broker serves on, and then makes topics', async ({ how }) => {
    const { topic } = await created()
    const load = await sending(topic)
    await until('50 records', () => load.acknowledged() >= 50)
    if (how === 'stopped') await cluster.zookeeper.stop()
    else await cluster.zookeeper.kill()
    const without = load.acknowledged()
    await until('records without ZooKeeper', () => load.acknowledged() >= without + 50)
    await cluster.zookeeper.start()
    const { topic: later } = await created()
    const producer = await opened(kafka().producer())
    await producer.send({ topic: later, messages: [{ value: '0' }] })
    await load.stop()
    expect(await readAll(later, 1)).toEqual([0])
    expect(await readAll(topic, load.acknowledged())).toEqual(upTo(load.acknowledged()))
  })

  test('a broker that was frozen until its session expired registers anew and goes on', async () => {
    await cluster.kafka.stop()
    appendFileSync(cluster.kafka.configFile, 'zookeeper.session.timeout.ms=6000\n')
    await cluster.kafka.start()
    const { topic } = await created()
    const load = await sending(topic)
    await until('50 records', () => load.acknowledged() >= 50)
    const session = await until('the registration', registration)
    const pid = cluster.kafka.pid!
    process.kill(-pid, 'SIGSTOP')
    try {
      await until('the session to expire', async () => (await registration()) === undefined)
    } finally {
      process.kill(-pid, 'SIGCONT')
    }
    const anew = await until('a new registration', registration)
    expect(anew).not.toBe(session)
    const before = load.acknowledged()
    await until('50 more', () => load.acknowledged() >= before + 50)
    await load.stop()
    expect(await readAll(topic, load.acknowledged())).toEqual(upTo(load.acknowledged()))
    const { topic: later } = await created()
    const producer = await opened(kafka().producer())
    await producer.send({ topic: later, messages: [{ value: '0' }] })
    expect(await readAll(later, 1)).toEqual([0])
  })
})
