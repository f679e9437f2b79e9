import { afterEach, expect, test } from 'vitest'
import { AlterConfigs } from '../../../src/kafka/protocol/alter-configs.ts'
import { CreateTopics } from '../../../src/kafka/protocol/create-topics.ts'
import { DescribeConfigs } from '../../../src/kafka/protocol/describe-configs.ts'
import { errors } from '../../../src/kafka/protocol/errors.ts'
import { IncrementalAlterConfigs } from '../../../src/kafka/protocol/incremental-alter-configs.ts'
import { startBroker, versionsOf, type BrokerUnderTest } from './broker-under-test.ts'

let broker: BrokerUnderTest
afterEach(() => broker.stop())

const topic = 2
const brokers = 4
const makeTopic = async (name: string): Promise<void> =>
  void (await broker.ask(CreateTopics, 7, { topics: [{ name, numPartitions: 1, replicationFactor: 1, assignments: [], configs: [] }], timeoutMs: 10_000, validateOnly: false }))
const describe = async (resourceType: number, resourceName: string, configurationKeys: string[] | null = null, version = 4) =>
  (await broker.ask(DescribeConfigs, version, { resources: [{ resourceType, resourceName, configurationKeys }], includeSynonyms: version >= 1, includeDocumentation: version >= 3 })).results[0]
const value = async (resourceType: number, resourceName: string, key: string): Promise<string | null | undefined> => (await describe(resourceType, resourceName, [key])).configs[0]?.value
const change = async (resourceType: number, resourceName: string, configs: [string, number, string | null][], validateOnly = false) =>
  (await broker.ask(IncrementalAlterConfigs, 1, { resources: [{ resourceType, resourceName, configs: configs.map(([name, configOperation, text]) => ({ name, configOperation, value: text })) }], validateOnly })).responses[0]
const [set, unset, append, subtract] = [0, 1, 2, 3]

test('DescribeConfigs of a topic and of this broker, in every version', async () => {
  broker = await startBroker({ 'log.retention.ms': '12345' })
  await makeTopic('t')
  for (const version of versionsOf(DescribeConfigs)) {
    const all = await describe(topic, 't', null, version)
    expect(all).toMatchObject({ errorCode: 0, errorMessage: '', resourceType: topic, resourceName: 't' })
    expect(all.configs.length).toBeGreaterThan(25)
    const [retention] = (await describe(topic, 't', ['retention.ms'], version)).configs
    expect(retention).toMatchObject({ name: 'retention.ms', value: '12345', readOnly: false, isSensitive: false })
    if (version >= 1) expect(retention).toMatchObject({ configSource: 4, synonyms: expect.arrayContaining([{ name: 'log.retention.ms', value: '12345', source: 4 }]) })
    if (version >= 3) expect(retention).toMatchObject({ configType: 5, documentation: expect.stringMatching(/./) })
    const [ours] = (await describe(brokers, '0', ['log.retention.ms'], version)).configs
    expect(ours).toMatchObject({ name: 'log.retention.ms', value: '12345' })
    if (version === 0) expect(ours.isDefault).toBe(false)
  }
})

test('DescribeConfigs refuses what there is not', async () => {
  broker = await startBroker()
  expect((await describe(topic, 'nope')).errorCode).toBe(errors.unknownTopicOrPartition.code)
  expect((await describe(topic, 'not valid')).errorCode).toBe(errors.invalidTopicException.code)
  expect(await describe(brokers, '7')).toMatchObject({ errorCode: errors.invalidRequest.code, errorMessage: 'Unexpected broker id, expected 0 or empty string, but received 7' })
  expect((await describe(brokers, 'x')).errorCode).toBe(errors.invalidRequest.code)
  expect((await describe(99, 'x')).errorCode).toBe(errors.invalidRequest.code)
  expect((await describe(brokers, '')).configs).toEqual([])
})

test('IncrementalAlterConfigs sets, deletes, appends and subtracts; the log follows', async () => {
  broker = await startBroker()
  await makeTopic('t')
  expect(await change(topic, 't', [['retention.ms', set, '777'], ['segment.bytes', set, '1048576']])).toMatchObject({ errorCode: 0, errorMessage: null })
  expect(await value(topic, 't', 'retention.ms')).toBe('777')
  // Who was answered finds it in force on the broker that answered, not some time later.
  expect(broker.ottla.broker.services.logs.get('t', 0)?.config.segmentBytes).toBe(1_048_576)
  expect(await change(topic, 't', [['retention.ms', unset, null]])).toMatchObject({ errorCode: 0 })
  expect(await value(topic, 't', 'retention.ms')).toBe('604800000')
  expect(await value(topic, 't', 'segment.bytes')).toBe('1048576')
  expect(await change(topic, 't', [['leader.replication.throttled.replicas', append, '0:0']], true)).toBeDefined()
  expect((await change(topic, 't', [['segment.bytes', append, '1']])).errorCode).toBe(errors.invalidConfig.code)
  expect((await change(topic, 't', [['cleanup.policy', subtract, 'compact']])).errorCode).toBe(0)
})

test('what cannot be set is refused by name and changes nothing', async () => {
  broker = await startBroker()
  await makeTopic('t')
  const codes = async (...configs: [string, number, string | null][]): Promise<number> => (await change(topic, 't', configs)).errorCode
  expect(await codes(['nonsense', set, '1'])).toBe(errors.invalidConfig.code)
  expect(await codes(['retention.ms', set, 'long'])).toBe(errors.invalidConfig.code)
  expect(await codes(['retention.ms', set, null])).toBe(errors.invalidRequest.code)
  expect(await codes(['retention.ms', set, '1'], ['retention.ms', set, '2'])).toBe(errors.invalidRequest.code)
  expect(await codes(['retention.ms', 9, '1'])).toBe(errors.invalidRequest.code)
  expect((await change(topic, 'nope', [['retention.ms', set, '1']])).errorCode).toBe(errors.unknownTopicOrPartition.code)
  expect((await change(topic, 'not valid', [['retention.ms', set, '1']])).errorCode).toBe(errors.unknownTopicOrPartition.code)
  expect((await change(topic, '', [['retention.ms', set, '1']])).errorCode).toBe(errors.invalidRequest.code)
  expect(await change(16, 'metrics', [['interval.ms', set, '1']])).toMatchObject({ errorCode: errors.invalidRequest.code, errorMessage: 'AlterConfigs is only supported for topics and brokers, but resource type is CLIENT_METRICS' })
  expect((await change(topic, 't', [['retention.ms', set, '5']], true)).errorCode).toBe(0)
  expect(await value(topic, 't', 'retention.ms')).toBe('604800000')
  const twice = { resourceType: topic, resourceName: 't', configs: [] }
  expect((await broker.ask(IncrementalAlterConfigs, 0, { resources: [twice, twice], validateOnly: false })).responses.map(({ errorCode }) => errorCode)).toEqual([errors.invalidRequest.code, errors.invalidRequest.code])
})

test('AlterConfigs replaces all overrides, in every version', async () => {
  broker = await startBroker()
  await makeTopic('t')
  for (const version of versionsOf(AlterConfigs)) {
    await change(topic, 't', [['max.message.bytes', set, '2000']])
    const { responses } = await broker.ask(AlterConfigs, version, { resources: [{ resourceType: topic, resourceName: 't', configs: [{ name: 'retention.ms', value: String(version + 1) }] }], validateOnly: false })
    expect(responses).toMatchObject([{ errorCode: 0, resourceName: 't' }])
    expect(await value(topic, 't', 'retention.ms')).toBe(String(version + 1))
    expect(await value(topic, 't', 'max.message.bytes')).toBe('1048588')
    expect(broker.ottla.broker.services.logs.get('t', 0)?.config.retentionMs).toBe(version + 1)
  }
})

test("a broker's own and the cluster's default configuration change while it runs; what needs a restart is refused", async () => {
  broker = await startBroker()
  expect(await change(brokers, '0', [['message.max.bytes', set, '2000000']])).toMatchObject({ errorCode: 0 })
  expect(await change(brokers, '', [['message.max.bytes', set, '3000000'], ['log.retention.ms', set, '9000']])).toMatchObject({ errorCode: 0 })
  expect(await value(brokers, '0', 'message.max.bytes')).toBe('2000000')
  expect(await value(brokers, '0', 'log.retention.ms')).toBe('9000')
  expect((await describe(brokers, '')).configs.map(({ name, configSource }) => [name, configSource]).sort()).toEqual([['log.retention.ms', 3], ['message.max.bytes', 3]])
  expect(await change(brokers, '0', [['broker.id', set, '5']])).toMatchObject({ errorCode: errors.invalidRequest.code })
  expect(await change(brokers, '0', [['message.max.bytes', set, 'x']])).toMatchObject({ errorCode: errors.invalidRequest.code })
  expect(await change(brokers, '3', [['message.max.bytes', set, '1']])).toMatchObject({ errorCode: errors.invalidRequest.code })
})
