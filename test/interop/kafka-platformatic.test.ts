/** @platformatic/kafka, in this process: speaks the flexible versions of every API. */
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import * as zlib from 'node:zlib'
import { afterEach, expect, test } from 'vitest'
import { until } from './process.ts'
import { describeWith, unique, where } from './programs.ts'
import { useCluster } from './target.ts'

/** As much of the package's types as is used here: the package is not in the tree. */
interface Message {
  topic: string
  key?: string | undefined
  value?: string | undefined
  headers?: Map<string, string>
  timestamp?: bigint
  partition?: number
  offset?: bigint
}
interface Stream extends AsyncIterable<Message> {
  on(event: 'data', handler: (message: Message) => void): void
  on(event: 'error', handler: (error: Error) => void): void
  close(): Promise<void>
}
interface Closable {
  close(): Promise<void>
}
interface Producer extends Closable {
  send(options: { messages: Message[]; acks?: number; compression?: string; idempotent?: boolean }): Promise<{ offsets?: { partition: number; offset: bigint }[] }>
}
interface Consumer extends Closable {
  assignments: { topic: string; partitions: number[] }[] | null
  /** By force: with its streams. */
  close(force?: boolean): Promise<void>
  consume(options: object): Promise<Stream>
}
interface Admin extends Closable {
  [operation: string]: (options?: object) => Promise<never>
  close(): Promise<never>
}
interface Platformatic {
  Producer: new (options: object) => Producer
  Consumer: new (options: object) => Consumer
  Admin: new (options: object) => Admin
  stringSerializers: object
  stringDeserializers: object
}

/** It compresses with Node's own zstd. */
const hasZstd = 'zstdCompressSync' in zlib

describeWith(['npm'], '@platformatic/kafka', () => {
  const cluster = useCluster()
  const open: (() => Promise<void>)[] = []
  const load = async () => (await import(pathToFileURL(createRequire(join(where('npm'), 'package.json')).resolve('@platformatic/kafka')).href)) as Platformatic
  const common = () => ({ clientId: 'interop', bootstrapBrokers: [cluster.kafka.address], timeout: 120_000, connectTimeout: 60_000, requestTimeout: 120_000, retries: 20, retryDelay: 250 })
  const opened = <T extends Closable>(client: T): T => {
    open.push(() => client.close())
    return client
  }
  const producer = async () => {
    const { Producer, stringSerializers } = await load()
    return opened(new Producer({ ...common(), serializers: stringSerializers }))
  }
  const consumer = async (groupId: string, options: object = {}) => {
    const { Consumer, stringDeserializers } = await load()
    const client = new Consumer({ ...common(), groupId, deserializers: stringDeserializers, maxWaitTime: 200, sessionTimeout: 30_000, heartbeatInterval: 300, rebalanceTimeout: 60_000, ...options })
    open.push(() => client.close(true))
    return client
  }
  const admin = async () => opened(new (await load()).Admin(common()))
  const created = async (partitions = 1) => {
    const topic = unique('platformatic')
    expect(await (await admin()).createTopics!({ topics: [topic], partitions, replicas: 1 })).toMatchObject([{ name: topic, partitions, replicas: 1 }])
    return topic
  }
  afterEach(async () => {
    for (const close of open.splice(0).reverse()) await close()
  })

  test.for(
    [
      { codec: 'none', acks: -1 },
      { codec: 'gzip', acks: 1 },
      { codec: 'snappy', acks: -1 },
      { codec: 'lz4', acks: -1 },
      { codec: 'zstd', acks: -1 },
    ].map((row) => ({ ...row, skipped: row.codec === 'zstd' && !hasZstd ? ' (SKIPPED: this Node has no zstd)' : '' })),
  )('codec $codec, acks=$acks: keys, values, headers and timestamps come back as they were$skipped', async ({ codec, acks, skipped }, { skip }) => {
    if (skipped) skip()
    const topic = await created()
    const messages = Array.from({ length: 300 }, (_, i) => ({
      topic,
      partition: 0,
      key: i % 3 === 0 ? undefined : `k${i}`,
      value: `value ${i} `.repeat(1 + (i % 10)),
      headers: new Map([['n', String(i)]]),
      timestamp: BigInt(1_700_000_000_000 + i),
    }))
    const client = await producer()
    for (let from = 0; from < 300; from += 100) {
      const { offsets } = await client.send({ messages: messages.slice(from, from + 100), acks, compression: codec })
      expect(offsets).toEqual([{ topic, partition: 0, offset: BigInt(from) }])
    }
    const stream = await (await consumer(unique('group'))).consume({ topics: [topic], mode: 'earliest', autocommit: false })
    const back: Message[] = []
    for await (const message of stream) if (back.push(message) === 300) break
    expect(back.map(({ key, value, headers, timestamp, offset }) => ({ key: key || undefined, value, n: headers?.get('n'), timestamp, offset }))).toEqual(
      messages.map(({ key, value, timestamp }, i) => ({ key, value, n: String(i), timestamp, offset: BigInt(i) })),
    )
  })

  test('an idempotent producer', async () => {
    const topic = await created()
    const client = await producer()
    for (let i = 0; i < 50; i++) expect((await client.send({ idempotent: true, acks: -1, messages: [{ topic, partition: 0, value: String(i) }] })).offsets).toEqual([{ topic, partition: 0, offset: BigInt(i) }])
  })

  test.each([{ kind: 'dynamic' }, { kind: 'static' }])('a group of $kind members shares partitions and reads every record', async ({ kind }) => {
    const topic = await created(4)
    const groupId = unique('group')
    const seen: number[] = []
    const members: Consumer[] = []
    const join = async () => {
      const member = await consumer(groupId, kind === 'static' ? { groupInstanceId: `member-${members.length}` } : {})
      members.push(member)
      const stream = await member.consume({ topics: [topic], mode: 'committed', fallbackMode: 'earliest', autocommit: 50 })
      stream.on('data', (message) => void seen.push(Number(message.value)))
      stream.on('error', () => {})
    }
    const shares = () => members.map((member) => member.assignments?.find((share) => share.topic === topic)?.partitions.length ?? 0)
    const client = await producer()
    const send = (from: number, count: number) => client.send({ messages: Array.from({ length: count }, (_, i) => ({ topic, partition: i % 4, value: String(from + i) })) })
    await send(0, 200)
    await join()
    await until('200 records', () => new Set(seen).size === 200)
    await join()
    await until('two shares of two', () => shares().join() === '2,2')
    const groups = (await (await admin()).describeGroups!({ groups: [groupId] })) as unknown as Map<string, { state: string; members: Map<string, { groupInstanceId: string | null }> }>
    const group = groups.get(groupId)!
    expect([group.state, [...group.members.values()].map(({ groupInstanceId }) => groupInstanceId).sort()]).toEqual(['STABLE', kind === 'static' ? ['member-0', 'member-1'] : [null, null]])
    await send(200, 200)
    await until('400 records', () => new Set(seen).size === 400)
    // While it is being rebalanced this client goes on with fetches under way: none is lost, some come twice.
    expect([...new Set(seen)].sort((a, b) => a - b)).toEqual(Array.from({ length: 400 }, (_, i) => i))
  })

  test('administration: topics, partitions, configurations, offsets, records, groups, log directories', async () => {
    const topic = await created(2)
    const client = (await admin()) as unknown as Record<string, (options?: object) => Promise<any>>
    await client.createPartitions!({ topics: [{ name: topic, count: 3, assignments: null }] })
    expect(await client.listTopics!()).toContain(topic)
    const producing = await producer()
    await producing.send({ messages: Array.from({ length: 30 }, (_, i) => ({ topic, partition: i % 3, value: String(i), timestamp: BigInt(1_700_000_000_000 + i) })) })
    const offsets = async (timestamp: bigint) => {
      const [listed] = await client.listOffsets!({ topics: [{ name: topic, partitions: [0, 1, 2].map((partitionIndex) => ({ partitionIndex, timestamp })) }] })
      return listed.partitions.map(({ partitionIndex, offset }: { partitionIndex: number; offset: bigint }) => [partitionIndex, Number(offset)]).sort()
    }
    expect(await offsets(-2n)).toEqual([[0, 0], [1, 0], [2, 0]])
    expect(await offsets(-1n)).toEqual([[0, 10], [1, 10], [2, 10]])
    expect(await offsets(1_700_000_000_015n)).toEqual([[0, 5], [1, 5], [2, 5]])
    expect(await client.deleteRecords!({ topics: [{ name: topic, partitions: [{ partition: 2, offset: 6n }] }] })).toEqual([{ name: topic, partitions: [{ partition: 2, lowWatermark: 6n }] }])
    expect(await offsets(-2n)).toEqual([[0, 0], [1, 0], [2, 6]])

    const config = async () => (await client.describeConfigs!({ resources: [{ resourceType: 2, resourceName: topic, configurationKeys: ['max.message.bytes'] }] }))[0].configs.map(({ name, value, configSource }: Record<string, unknown>) => [name, value, configSource])
    expect(await config()).toEqual([['max.message.bytes', '1048588', 5]])
    await client.incrementalAlterConfigs!({ resources: [{ resourceType: 2, resourceName: topic, configs: [{ name: 'max.message.bytes', configOperation: 0, value: '12345' }] }] })
    expect(await config()).toEqual([['max.message.bytes', '12345', 1]])

    const groupId = unique('group')
    await client.alterConsumerGroupOffsets!({ groupId, topics: [{ name: topic, partitionOffsets: [{ partition: 0, offset: 4n }, { partition: 1, offset: 5n }] }] })
    const committed = async () => (await client.listConsumerGroupOffsets!({ groups: [groupId] }))[0].topics.flatMap((of: { partitions: { partitionIndex: number; committedOffset: bigint }[] }) => of.partitions.map((p) => [p.partitionIndex, Number(p.committedOffset)])).sort()
    expect(await committed()).toEqual([[0, 4], [1, 5]])
    await client.deleteConsumerGroupOffsets!({ groupId, topics: [{ name: topic, partitionIndexes: [0] }] })
    expect(await committed()).toEqual([[1, 5]])
    expect([...(await client.listGroups!()).keys()]).toContain(groupId)
    await client.deleteGroups!({ groups: [groupId] })
    expect([...(await client.listGroups!()).keys()]).not.toContain(groupId)
    const described = (await client.describeLogDirs!({ topics: [{ name: topic, partitions: [0] }] })).filter(({ results }: { results: { topics: unknown[] }[] }) => results[0].topics.length > 0)
    for (const { broker, results } of described)
      expect([results.length, results[0].logDir, results[0].topics[0].partitions[0].partitionSize > 0n]).toEqual([1, cluster.brokers[broker - 1].dataDirectory, true])
    expect(described.length).toBeGreaterThan(0)
    await client.deleteTopics!({ topics: [topic] })
    await until('the topic is gone', async () => !(await client.listTopics!()).includes(topic))
  })
})
