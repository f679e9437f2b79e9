/** A whole broker whose cleaner meets damage, a disk without room, and keys of ten megabytes: contained, named, and nothing promised is lost. */
import { expect, test } from 'vitest'
import { KafkaClient } from '../../src/kafka/client/client.ts'
import { CreateTopics } from '../../src/kafka/protocol/create-topics.ts'
import { Fetch } from '../../src/kafka/protocol/fetch.ts'
import { IncrementalAlterConfigs } from '../../src/kafka/protocol/incremental-alter-configs.ts'
import { Produce } from '../../src/kafka/protocol/produce.ts'
import { decodeBatches } from '../../src/kafka/records/decode.ts'
import { encodeBatch } from '../../src/kafka/records/encode.ts'
import { kafkaPort, SimulatedBroker } from '../../src/simulation/kafka-broker.ts'
import { Machine, type LogLine } from '../../src/simulation/machine.ts'
import { SimulatedNetwork } from '../../src/simulation/network.ts'
import { World } from '../../src/simulation/world.ts'
import { SimulatedZooKeeper, zooKeeperPort } from '../../src/simulation/zookeeper-server.ts'

const never = '1.0'
const always = '0.01'

class Setup {
  readonly world = new World({ seed: 1 })
  readonly told: LogLine[] = []
  readonly #network = new SimulatedNetwork(this.world)
  readonly broker: SimulatedBroker
  readonly client: KafkaClient
  #failed: unknown

  constructor() {
    const violated = (violation: unknown): void => void (this.#failed ??= violation)
    new SimulatedZooKeeper(this.world, this.#machine('zookeeper', '10.0.0.1'), { settings: { tickTime: 500 }, violated }).start()
    this.broker = new SimulatedBroker(this.world, this.#machine('broker', '10.0.0.2'), {
      id: 0,
      settings: {
        'zookeeper.connect': `zookeeper:${zooKeeperPort}`, 'log.cleaner.backoff.ms': '100', 'log.cleaner.dedupe.buffer.size': '2000000', 'log.segment.delete.delay.ms': '100',
        'offsets.topic.replication.factor': '1', 'transaction.state.log.replication.factor': '1', 'transaction.state.log.min.isr': '1', 'message.max.bytes': String(32 << 20), 'log.flush.interval.messages': '1',
      },
      violated,
    })
    this.broker.start()
    this.client = new KafkaClient({ host: this.#machine('client', '10.0.1.1').boot(), bootstrapServers: `broker:${kafkaPort}`, clientId: 'client', requestTimeoutMs: 30_000, connectTimeoutMs: 2_000, callTimeoutMs: 60_000 })
  }
  #machine(name: string, address: string): Machine {
    return new Machine(this.world, this.#network, { name, address, onLog: (line) => void this.told.push(line) })
  }
  async run(story: () => Promise<void>): Promise<void> {
    await this.world.runUntil(story(), 600_000)
    if (this.#failed) throw this.#failed
  }
  async create(name: string, dirtyRatio: string, segmentBytes = 400): Promise<void> {
    const configs = Object.entries({ 'cleanup.policy': 'compact', 'min.cleanable.dirty.ratio': dirtyRatio, 'segment.bytes': String(segmentBytes) }).map(([key, value]) => ({ name: key, value }))
    await this.client.call({ kind: 'controller' }, CreateTopics, { topics: [{ name, numPartitions: 1, replicationFactor: 1, assignments: [], configs }] }, { errorsIn: ({ topics }) => topics })
  }
  /** From now on the cleaner looks at it. */
  async release(topic: string): Promise<void> {
    await this.client.call({ kind: 'controller' }, IncrementalAlterConfigs, { resources: [{ resourceType: 2, resourceName: topic, configs: [{ name: 'min.cleanable.dirty.ratio', configOperation: 0, value: always }] }], validateOnly: false }, { errorsIn: ({ responses }) => responses })
  }
  async put(topic: string, key: string, value: string): Promise<void> {
    const records = encodeBatch([{ key, value }], { timestamp: 1_700_000_000_000 })
    await this.client.call({ kind: 'leader', topic, partition: 0 }, Produce, { acks: -1, timeoutMs: 5_000, topicData: [{ name: topic, partitionData: [{ index: 0, records }] }] }, { errorsIn: ({ responses }) => responses.flatMap(({ partitionResponses }) => partitionResponses) })
  }
  async rounds(topic: string): Promise<void> {
    for (let round = 0; round < 12; round++) for (const key of ['a', 'b', 'c']) await this.put(topic, key, `${key}${round}`)
  }
  /** Offset, key (its beginning and size) and value of everything from `from` on. */
  async read(topic: string, from = 0): Promise<string[]> {
    const found: string[] = []
    for (let offset = from; ; ) {
      const answer = await this.client.call({ kind: 'leader', topic, partition: 0 }, Fetch, { maxWaitMs: 10, minBytes: 1, maxBytes: 40 << 20, topics: [{ topic, partitions: [{ partition: 0, fetchOffset: offset, partitionMaxBytes: 32 << 20 }] }] }, { versionMax: 12, errorsIn: ({ responses }) => responses.flatMap(({ partitions }) => partitions) })
      const [part] = answer.responses[0].partitions
      const batches = [...decodeBatches(part.records ?? Buffer.alloc(0))]
      for (const { records } of batches) for (const { offset: at, key, value } of records) if (at >= offset) found.push(`${at}:${key!.toString('latin1', 0, 5)}/${key!.length}=${value}`)
      if (batches.length === 0) return found
      offset = batches.at(-1)!.batch.nextOffset
    }
  }
  cleanedTo(topic: string): number {
    const path = '/kafka/cleaner-offset-checkpoint'
    const { disk } = this.broker.machine
    const line = disk.factsSync(path) && disk.readFileSync(path).toString().split('\n').find((each) => each.startsWith(`${topic} 0 `))
    return line ? Number(line.split(' ')[2]) : 0
  }
  async until(what: string, look: () => boolean): Promise<void> {
    for (let waited = 0; !look(); waited++) {
      if (waited > 1_000) throw new Error(`waited in vain for: ${what}`)
      await this.world.sleep(50)
    }
  }
  heard(event: RegExp): LogLine[] {
    return this.told.filter((line) => event.test(line.event))
  }
}

test('a damaged segment: its partition is named once and stays as it is, others are cleaned, everybody is served', { timeout: 120_000 }, async () => {
  const setup = new Setup()
  await setup.run(async () => {
    for (const topic of ['damaged', 'whole']) {
      await setup.create(topic, never)
      await setup.rounds(topic)
    }
    const { disk } = setup.broker.machine
    const segments = disk.files().filter((path) => /^\/kafka\/damaged-0\/\d+\.log$/.test(path)).sort()
    expect(segments.length).toBeGreaterThan(4)
    const bytes = Buffer.from(disk.peek(segments[2]))
    bytes[bytes.length - 2] ^= 1
    const file = disk.openSync(segments[2], 'write')
    file.writeSync([bytes], 0)
    file.closeSync()
    const before = segments.map((path) => disk.peek(path).toString('hex'))
    for (const topic of ['damaged', 'whole']) await setup.release(topic)
    await setup.until('the whole one is clean', () => setup.cleanedTo('whole') > 20)
    await setup.until('the damaged one is named', () => setup.heard(/cannot be compacted/).length > 0)
    await setup.world.sleep(2_000)
    expect(setup.heard(/cannot be compacted/).map(({ level, facts }) => [level, facts?.['partition'], String((facts?.['error'] as Error | undefined)?.message)])).toEqual([['error', 'damaged-0', expect.stringContaining(`${segments[2]} is corrupt at`)]])
    expect(segments.map((path) => disk.peek(path).toString('hex'))).toEqual(before)
    expect(disk.files().filter((path) => path.endsWith('.cleaned'))).toEqual([])
    for (const topic of ['damaged', 'whole']) await setup.put(topic, 'a', 'last')
    expect((await setup.read('whole')).slice(-3)).toEqual(['34:b/1=b11', '35:c/1=c11', '36:a/1=last'])
    expect((await setup.read('damaged', 30)).at(-1)).toBe('36:a/1=last')
  })
})

test('no room for what is cleaned: it is said, producers and consumers go on, and it is cleaned when there is room', { timeout: 120_000 }, async () => {
  const setup = new Setup()
  await setup.run(async () => {
    await setup.create('t', never)
    await setup.rounds('t')
    const { disk } = setup.broker.machine
    disk.failure = ({ kind, path }) => (path.endsWith('.cleaned') && ['create', 'write'].includes(kind) ? 'ENOSPC' : undefined)
    await setup.release('t')
    await setup.until('it is said', () => setup.heard(/compaction failed; it is tried again/).length > 2)
    expect(setup.heard(/compaction failed/)[0]).toMatchObject({ level: 'error', facts: { partition: 't-0', error: { code: 'ENOSPC' } } })
    await setup.put('t', 'a', 'meanwhile')
    expect(await setup.read('t')).toHaveLength(37)
    expect(setup.cleanedTo('t')).toBe(0)
    disk.failure = () => undefined
    await setup.until('it is clean', () => setup.cleanedTo('t') > 20)
    const found = await setup.read('t')
    expect(found.length).toBeLessThan(15)
    expect(found.slice(-3)).toEqual(['34:b/1=b11', '35:c/1=c11', '36:a/1=meanwhile'])
    expect(setup.broker.starts).toBe(1)
  })
})

test('keys of ten megabytes are compacted like any other', { timeout: 120_000 }, async () => {
  const setup = new Setup()
  await setup.run(async () => {
    await setup.create('large', always, 16 << 20)
    const key = 'k'.repeat(10 << 20)
    for (const value of ['1', '2', '3']) await setup.put('large', key, value)
    await setup.put('large', `${key.slice(1)}x`, 'another')
    await setup.put('large', key, '4')
    await setup.put('large', 'small', 'x')
    await setup.until('it is clean', () => setup.cleanedTo('large') >= 4)
    // The last two lie in the segment that takes appends, which is not cleaned.
    expect(await setup.read('large')).toEqual([`2:kkkkk/${10 << 20}=3`, `3:kkkkk/${10 << 20}=another`, `4:kkkkk/${10 << 20}=4`, '5:small/5=x'])
  })
})
