/** kafkajs, in this process: the client most Node programs still use. */
import { CompressionTypes, AssignerProtocol } from 'kafkajs'
import type { Consumer, KafkaMessage } from 'kafkajs'
import { afterEach, expect, test } from 'vitest'
import { asking, kafkaAt } from './kafkajs.ts'
import { until } from './process.ts'
import { describeWith, unique } from './programs.ts'
import { brokerIds, useCluster } from './target.ts'
import { makeTopics } from './topics.ts'

describeWith([], 'kafkajs', () => {
  const cluster = useCluster()
  const open: { disconnect(): Promise<void> }[] = []
  const kafka = () => kafkaAt([cluster.kafka.address])
  const opened = async <T extends { connect(): Promise<void>; disconnect(): Promise<void> }>(client: T): Promise<T> => {
    await asking('a client connects', () => client.connect())
    open.push(client)
    return client
  }
  const admin = () => opened(kafka().admin())
  afterEach(async () => {
    for (const client of open.splice(0)) await client.disconnect()
  })
  const created = async (numPartitions = 1, configEntries: { name: string; value: string }[] = []) => {
    const topic = unique('kafkajs')
    await makeTopics(cluster.brokers.map(({ address }) => address), { topic, numPartitions, configEntries })
    return topic
  }
  /** Everything a new group reads from the beginning, until `count` records have come. */
  const readAll = async (topic: string, count: number): Promise<(KafkaMessage & { partition: number })[]> => {
    const consumer = await opened(kafka().consumer({ groupId: unique('group'), maxWaitTimeInMs: 200 }))
    // What a rebalance of its own brings again under one offset counts once.
    const messages = new Map<string, KafkaMessage & { partition: number }>()
    await consumer.subscribe({ topic, fromBeginning: true })
    await consumer.run({ eachMessage: async ({ message, partition }) => void messages.set(`${partition}/${message.offset}`, { ...message, partition }) })
    await until(`${count} records`, () => messages.size >= count)
    return [...messages.values()]
  }

  test.each([
    { name: 'none', compression: CompressionTypes.None, acks: 0 },
    { name: 'none', compression: CompressionTypes.None, acks: 1 },
    { name: 'none', compression: CompressionTypes.None, acks: -1 },
    { name: 'gzip', compression: CompressionTypes.GZIP, acks: 0 },
    { name: 'gzip', compression: CompressionTypes.GZIP, acks: 1 },
    { name: 'gzip', compression: CompressionTypes.GZIP, acks: -1 },
  ])('codec $name, acks=$acks: keys, values, headers and timestamps come back as they were', async ({ compression, acks }) => {
    const topic = await created()
    const producer = await opened(kafka().producer())
    const messages = Array.from({ length: 500 }, (_, i) => ({
      key: i % 3 === 0 ? null : `k${i}`,
      value: i % 7 === 0 ? null : `value ${i} `.repeat(i % 10),
      headers: { n: String(i), twice: ['a', 'b'] },
      timestamp: String(1_700_000_000_000 + i),
    }))
    for (let from = 0; from < 500; from += 100) await producer.send({ topic, acks, compression, messages: messages.slice(from, from + 100) })
    const back = await readAll(topic, 500)
    const plain = back.map(({ key, value, headers = {}, timestamp, offset }) => ({
      key: key?.toString() ?? null,
      value: value?.toString() ?? null,
      headers: { n: String(headers.n), twice: [headers.twice].flat().map(String) },
      timestamp,
      offset,
    }))
    expect(plain).toEqual(messages.map((message, i) => ({ ...message, offset: String(i) })))
  })

  test('an idempotent producer writes in order', async () => {
    const topic = await created()
    const producer = await opened(kafka().producer({ idempotent: true, maxInFlightRequests: 1 }))
    await Promise.all(Array.from({ length: 100 }, (_, i) => producer.send({ topic, messages: [{ value: String(i) }, { value: `${i}b` }] })))
    const values = (await readAll(topic, 200)).map(({ value }) => String(value))
    expect(new Set(values).size).toBe(200)
    expect(values.slice().sort()).toEqual(Array.from({ length: 100 }, (_, i) => [String(i), `${i}b`]).flat().sort())
  })

  test('a group of three shares six partitions; a member that leaves hands its share over; each record is read once', async () => {
    const topic = await created(6)
    const groupId = unique('group')
    const producer = await opened(kafka().producer({ idempotent: true, maxInFlightRequests: 1 }))
    const asker = await admin()
    /** Each was given once, and is not given again to who gets its partition next. */
    const read = async (count: number) => {
      await until(`${count} records`, () => seen.length >= count)
      await until(`${count} records are committed`, async () => (await asker.fetchOffsets({ groupId, topics: [topic] }))[0]!.partitions.reduce((sum, { offset }) => sum + Number(offset), 0) === count)
    }
    const send = (from: number, count: number) =>
      producer.send({ topic, messages: Array.from({ length: count }, (_, i) => ({ value: String(from + i), partition: i % 6 })) })
    const seen: number[] = []
    const shares = new Map<Consumer, number[]>()
    const join = async () => {
      const consumer = await opened(kafka().consumer({ groupId, sessionTimeout: 60_000, heartbeatInterval: 200, maxWaitTimeInMs: 200, rebalanceTimeout: 60_000 }))
      consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => void shares.set(consumer, payload.memberAssignment[topic] ?? []))
      await consumer.subscribe({ topic, fromBeginning: true })
      await consumer.run({ autoCommitInterval: 50, eachMessage: async ({ message }) => void seen.push(Number(message.value)) })
      return consumer
    }
    const settled = (sizes: number[]) =>
      until(`shares of ${sizes.join(', ')}`, () => {
        const all = [...shares.values()]
        return all.map((share) => share.length).sort().join() === sizes.join() && all.flat().sort().join() === '0,1,2,3,4,5'
      })
    await send(0, 300)
    const first = await join()
    await settled([6])
    await read(300)
    await join()
    await settled([3, 3])
    await join()
    await settled([2, 2, 2])
    const description = (await asker.describeGroups([groupId])).groups[0]!
    expect({ state: description.state, protocol: description.protocol, members: description.members.map(({ memberAssignment }) => AssignerProtocol.MemberAssignment.decode(memberAssignment)?.assignment[topic]?.length) }).toEqual({ state: 'Stable', protocol: 'RoundRobinAssigner', members: [2, 2, 2] })
    await send(300, 300)
    await read(600)
    await first.disconnect()
    shares.delete(first)
    await settled([3, 3])
    await send(600, 300)
    await read(900)
    expect(seen.slice().sort((a, b) => a - b)).toEqual(Array.from({ length: 900 }, (_, i) => i))
  })

  test('administration: topics, partitions, configurations, offsets, groups, records', async () => {
    const topic = await created(2, [{ name: 'retention.ms', value: '7200000' }])
    const client = await admin()
    expect(await client.createTopics({ topics: [{ topic }] })).toBe(false)
    expect(await client.listTopics()).toContain(topic)
    await client.createPartitions({ topicPartitions: [{ topic, count: 3 }] })
    const partitions = async () => (await client.fetchTopicMetadata({ topics: [topic] })).topics[0]!.partitions
    await until('three leaders', async () => (await partitions()).filter(({ leader }) => leader > 0).length === 3)
    expect((await partitions()).map(({ partitionId, leader, replicas, isr }) => ({ partitionId, leader, replicas: replicas.toSorted(), isr: isr.toSorted() })).sort((a, b) => a.partitionId - b.partitionId))
      .toEqual([0, 1, 2].map((partitionId) => ({ partitionId, leader: expect.toBeOneOf([...brokerIds]), replicas: brokerIds, isr: brokerIds })))
    const retention = async () => (await client.describeConfigs({ includeSynonyms: false, resources: [{ type: 2, name: topic, configNames: ['retention.ms'] }] })).resources[0]?.configEntries.map(({ configName, configValue, isDefault }) => ({ configName, configValue, isDefault }))
    expect(await retention()).toEqual([{ configName: 'retention.ms', configValue: '7200000', isDefault: false }])
    await client.alterConfigs({ validateOnly: false, resources: [{ type: 2, name: topic, configEntries: [{ name: 'retention.ms', value: '60000000' }] }] })
    expect(await retention()).toEqual([{ configName: 'retention.ms', configValue: '60000000', isDefault: false }])

    const producer = await opened(kafka().producer())
    await producer.send({ topic, messages: Array.from({ length: 30 }, (_, i) => ({ value: String(i), partition: i % 3, timestamp: String(1_700_000_000_000 + i) })) })
    const ends = async () => (await client.fetchTopicOffsets(topic)).map(({ partition, low, high }) => [partition, low, high]).sort()
    expect(await ends()).toEqual([[0, '0', '10'], [1, '0', '10'], [2, '0', '10']])
    expect((await client.fetchTopicOffsetsByTimestamp(topic, 1_700_000_000_015)).map(({ partition, offset }) => [partition, offset]).sort()).toEqual([[0, '5'], [1, '5'], [2, '5']])
    await client.deleteTopicRecords({ topic, partitions: [{ partition: 1, offset: '4' }] })
    expect(await ends()).toEqual([[0, '0', '10'], [1, '4', '10'], [2, '0', '10']])

    const groupId = unique('group')
    await client.setOffsets({ groupId, topic, partitions: [{ partition: 0, offset: '3' }, { partition: 2, offset: '7' }] })
    const committed = async () => (await client.fetchOffsets({ groupId, topics: [topic] })).flatMap(({ partitions }) => partitions.map(({ partition, offset }) => [partition, offset])).sort()
    expect(await committed()).toEqual([[0, '3'], [1, '-1'], [2, '7']])
    await client.resetOffsets({ groupId, topic, earliest: false })
    expect(await committed()).toEqual([[0, '-1'], [1, '-1'], [2, '-1']])
    expect((await client.listGroups()).groups.map((group) => group.groupId)).toContain(groupId)
    await client.deleteGroups([groupId])
    expect((await client.listGroups()).groups.map((group) => group.groupId)).not.toContain(groupId)
    await client.deleteTopics({ topics: [topic] })
    await until('the topic is gone', async () => !(await client.listTopics()).includes(topic))
  })
})
