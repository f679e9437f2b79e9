import { expect, test } from 'vitest'
import { brokerConfigs } from '../../../src/kafka/config/broker-configs.ts'
import { BrokerSettings, configSources, parseBrokerConfig, readBrokerConfig } from '../../../src/kafka/config/broker-settings.ts'
import { readValue, formatDouble, type Definition } from '../../../src/kafka/config/definition.ts'
import { endpointsOf } from '../../../src/kafka/config/endpoints.ts'
import { parseProperties } from '../../../src/wire/properties.ts'
import { checkTopicConfig } from '../../../src/kafka/config/topic-settings.ts'
import { topicConfigs, topicSynonyms } from '../../../src/kafka/config/topic-configs.ts'

const zookeeper = 'zookeeper.connect=localhost:2181\n'
const settings = (text = ''): BrokerSettings => readBrokerConfig(parseProperties(zookeeper + text, 'server.properties')).settings
const messages = (text: string): string[] => parseBrokerConfig(parseProperties(zookeeper + text, 'server.properties')).refusals.map(({ message }) => message)

test('every default is a value of its own type and range, and supported', () => {
  for (const [name, definition] of [...Object.entries(brokerConfigs), ...Object.entries(topicConfigs)] as [string, Definition][]) {
    const read = readValue(definition, definition.default)
    // A plug-in's prefix and the quorum's voters have defaults that their own rule would not take.
    if (definition.default === null) continue
    expect(read, name).toMatchObject({ ok: true })
    if (read.ok) expect(definition.unsupported(read.value), name).toBeUndefined()
  }
})

test("the file of Apache's own quick start is accepted, and what has no effect is named", () => {
  const { settings: read, refusals, notices } = parseBrokerConfig(parseProperties(`broker.id=0
num.network.threads=3
num.io.threads=8
socket.send.buffer.bytes=102400
socket.receive.buffer.bytes=102400
socket.request.max.bytes=104857600
log.dirs=/tmp/kafka-logs
num.partitions=1
num.recovery.threads.per.data.dir=1
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
log.retention.hours=168
log.retention.check.interval.ms=300000
zookeeper.connect=localhost:2181
zookeeper.connection.timeout.ms=18000
group.initial.rebalance.delay.ms=0
delete.topic.enable=true
my.own.key=1
log.retention.hour=3
port=9092`, 'server.properties'))
  expect(refusals).toEqual([])
  expect(read?.values['broker.id']).toBe(0)
  expect(read?.values['offsets.topic.replication.factor']).toBe(1)
  expect(notices.map(({ key, kind }) => `${key} ${kind}`)).toContain('num.io.threads ignored')
  expect(notices.find(({ key }) => key === 'my.own.key')?.kind).toBe('unknown')
  expect(notices.find(({ key }) => key === 'log.retention.hour')?.text).toContain('did you mean log.retention.hours?')
  expect(notices.find(({ key }) => key === 'port')?.text).toContain('listeners=PLAINTEXT://:PORT')
})

test('an invalid value is refused naming file, line, key, value and range', () => {
  expect(messages('num.partitions=0')).toEqual(['server.properties:2: Invalid value 0 for configuration num.partitions: Value must be at least 1 (wanted: int [1,...])'])
  expect(messages('log.segment.bytes=1GB')).toEqual(['server.properties:2: Invalid value 1GB for configuration log.segment.bytes: Not a number of type INT (wanted: int [14,...])'])
  expect(messages('message.max.bytes=2147483648')[0]).toContain('Not a number of type INT')
  expect(messages('delete.topic.enable=yes')[0]).toContain('either true or false')
  expect(messages('log.message.timestamp.type=Now')[0]).toContain('CreateTime, LogAppendTime')
})

test('every bad entry is named in one go', () => {
  expect(messages('num.partitions=0\nssl.keystore.location=/x\nbroker.id=abc')).toHaveLength(3)
})

test.each([
  'authorizer.class.name=kafka.security.authorizer.AclAuthorizer', 'super.users=User:a', 'allow.everyone.if.no.acl.found=true', 'ssl.keystore.location=/x', 'ssl.client.auth=required',
  'sasl.enabled.mechanisms=PLAIN', 'security.inter.broker.protocol=SASL_SSL', 'zookeeper.set.acl=true', 'zookeeper.ssl.client.enable=true', 
  'remote.log.storage.system.enable=true', 'rsm.config.dir=/x', 'metric.reporters=a.B', 'listener.name.plaintext.ssl.keystore.location=/x', 'listener.name.internal.scram-sha-256.sasl.jaas.config=x',
  'listeners=SSL://:9093\nsecurity.inter.broker.protocol=PLAINTEXT\ninter.broker.listener.name=SSL', 'listeners=A://:9092\nlistener.security.protocol.map=A:SASL_PLAINTEXT\ninter.broker.listener.name=A',
  'process.roles=broker', 'max.connections.per.ip=3', 'password.encoder.secret=hush', 'create.topic.policy.class.name=a.B', 'inter.broker.protocol.version=2.7', 'ssl.future.key=1',
])('%s promises what does not work yet and is refused by name', (text) => {
  const { refusals } = parseBrokerConfig(parseProperties(zookeeper + text, 'f'))
  expect(refusals.map(({ kind }) => kind)).toContain('unsupported')
  expect(refusals[0].message).toContain('f:2: ')
  expect(refusals[0].message).not.toContain('hush')
})

test.each(['log.cleanup.policy=compact', 'ssl.client.auth=none', 'zookeeper.set.acl=false', 'sasl.enabled.mechanisms=GSSAPI', 'security.inter.broker.protocol=PLAINTEXT', 'inter.broker.protocol.version=3.9', 'authorizer.class.name='])(
  '%s works, or is the default',
  (text) => expect(messages(text)).toEqual([]),
)

test('rules between keys', () => {
  expect(parseBrokerConfig([]).refusals.map(({ key }) => key)).toEqual(['zookeeper.connect'])
  expect(messages('log.retention.ms=0')[0]).toContain('log.retention.ms')
  expect(messages('log.roll.ms=0')[0]).toContain('log.roll.ms')
  expect(messages('listeners=A://:9092\nlistener.security.protocol.map=A:PLAINTEXT')[0]).toContain('inter.broker.listener.name')
  expect(messages('listeners=PLAINTEXT://:9092,PLAINTEXT://:9093')[0]).toContain('twice')
  expect(messages('advertised.listeners=PLAINTEXT://0.0.0.0:9092')[0]).toContain('0.0.0.0')
  expect(messages('advertised.listeners=OTHER://h:9092')[0]).toContain('no listener OTHER')
  expect(messages('broker.id=2000')[0]).toContain('reserved.broker.max.id')
  expect(messages('broker.id=2000\nbroker.id.generation.enable=false')).toEqual([])
  expect(messages('broker.id=1\nnode.id=2')[0]).toContain('broker.id says 1')
  expect(messages('group.coordinator.rebalance.protocols=classic,consumer')[0]).toContain('classic protocol')
})

test('node.id stands for broker.id', () => {
  expect(settings('node.id=7').values['broker.id']).toBe(7)
})

test('listeners in IPv4, IPv6 and by name, several at once', () => {
  const { values } = settings('listeners=PLAINTEXT://127.0.0.1:9092,v6://[::1]:9092,OUT://:0\nlistener.security.protocol.map=PLAINTEXT:PLAINTEXT,V6:PLAINTEXT,OUT:PLAINTEXT')
  expect(endpointsOf(values)).toEqual({
    listeners: [{ listener: 'PLAINTEXT', host: '127.0.0.1', port: 9092 }, { listener: 'V6', host: '::1', port: 9092 }, { listener: 'OUT', host: '', port: 0 }],
    advertised: undefined,
    interBroker: 'PLAINTEXT',
  })
})

test("a topic's defaults come from the broker, the finer unit first", () => {
  expect(settings().topic()).toMatchObject({ 'retention.ms': 604800000, 'segment.ms': 604800000, 'flush.ms': Number(2n ** 63n - 1n), 'cleanup.policy': ['delete'] })
  expect(settings('log.retention.minutes=2\nlog.retention.hours=9\nlog.roll.hours=1').topic()).toMatchObject({ 'retention.ms': 120000, 'segment.ms': 3600000 })
  expect(settings('log.retention.ms=-1\nlog.segment.bytes=20000').topic([['segment.ms', '1000'], ['segment.bytes', 'nonsense']])).toMatchObject({ 'retention.ms': -1, 'segment.ms': 1000, 'segment.bytes': 20000 })
  expect(settings('log.message.timestamp.difference.max.ms=5').topic()).toMatchObject({ 'message.timestamp.before.max.ms': 5, 'message.timestamp.after.max.ms': 5 })
  expect(settings('log.message.timestamp.difference.max.ms=5\nlog.message.timestamp.after.max.ms=7').topic()).toMatchObject({ 'message.timestamp.before.max.ms': 5, 'message.timestamp.after.max.ms': 7 })
})

test('the tables of topic keys and their synonyms fit', () => {
  for (const key of Object.keys(topicSynonyms)) expect(topicConfigs).toHaveProperty([key])
  for (const key of Object.values(topicSynonyms)) expect(brokerConfigs).toHaveProperty([key])
})

test('a bad topic entry is refused, a protecting one by name', () => {
  const check = (...entries: [string, string][]): (string | undefined)[] => checkTopicConfig(entries).map(({ kind }) => kind)
  expect(check(['retention.ms', '1000'], ['segment.bytes', '14'])).toEqual([])
  expect(check(['retention.ms', '-2'], ['no.such', '1'], ['cleanup.policy', 'compress'], ['remote.storage.enable', 'true'])).toEqual(['invalid', 'unknown', 'invalid', 'unsupported'])
  expect(check(['min.compaction.lag.ms', '9'], ['max.compaction.lag.ms', '8'])).toEqual(['invalid'])
  expect(check(['leader.replication.throttled.replicas', '0:1,1:2']), 'replicas to throttle').toEqual([])
  expect(check(['leader.replication.throttled.replicas', '0-1'])).toEqual(['invalid'])
  expect(checkTopicConfig([['cleanup.policy', 'compact,delete']])).toEqual([])
})

test('dynamic entries win over the file, those of one broker over those of the cluster, and a bad stored one is left out', () => {
  const live = settings('log.segment.bytes=1000')
  const seen: number[] = []
  live.watch((values) => seen.push(values['log.segment.bytes']))
  expect(live.setDynamic('clusterDefault', [['log.segment.bytes', '2000']])).toEqual([])
  expect(live.setDynamic('broker', [['log.segment.bytes', '3000'], ['message.max.bytes', 'x']]).map(({ key }) => key)).toEqual(['message.max.bytes'])
  expect(live.topic()['segment.bytes']).toBe(3000)
  const [described] = live.describeBroker(['log.segment.bytes'])
  expect(described.synonyms).toEqual([
    { name: 'log.segment.bytes', value: '3000', source: configSources.dynamicBroker },
    { name: 'log.segment.bytes', value: '2000', source: configSources.dynamicDefaultBroker },
    { name: 'log.segment.bytes', value: '1000', source: configSources.staticBroker },
    { name: 'log.segment.bytes', value: '1073741824', source: configSources.default },
  ])
  expect(described).toMatchObject({ readOnly: false, type: 3, source: configSources.dynamicBroker })
  live.setDynamic('broker', [])
  live.setDynamic('clusterDefault', [])
  expect(seen).toEqual([2000, 3000, 2000, 1000])
})

test('what cannot be changed while the broker runs is refused as such', () => {
  const live = settings()
  expect(live.checkDynamic('broker', [['num.partitions', '3']])[0].kind).toBe('notDynamic')
  expect(live.checkDynamic('broker', [['advertised.listeners', 'PLAINTEXT://h:1']])[0].kind).toBe('notDynamic')
  expect(live.checkDynamic('clusterDefault', [['listeners', 'PLAINTEXT://:1']])[0].kind).toBe('notDynamic')
  expect(live.checkDynamic('clusterDefault', [['log.retention.ms', '0']])[0].kind).toBe('invalid')
  expect(live.checkDynamic('broker', [['num.io.threads', '17']])[0].message).toContain('double')
  expect(live.checkDynamic('broker', [['num.io.threads', '16']])).toEqual([])
  for (const count of ['0', '3']) expect(live.checkDynamic('clusterDefault', [['log.cleaner.threads', count]])[0].message).toContain('double')
  expect(live.checkDynamic('clusterDefault', [['log.cleaner.threads', '2']])).toEqual([])
  expect(live.checkDynamic('broker', [['listener.name.x.max.connections', '1']])[0].kind).toBe('unsupported')
  expect(live.checkDynamic('broker', [['replica.alter.log.dirs.io.max.bytes.per.second', '1']])).toEqual([])
})

test('DescribeConfigs of a topic: own entries, the file, defaults; secrets never', () => {
  const live = settings('log.segment.bytes=20000\nunknown.key=1')
  const by = new Map(live.describeTopic([['cleanup.policy', 'delete'], ['min.cleanable.dirty.ratio', '.01']]).map((entry) => [entry.name, entry]))
  expect(by.size).toBe(36)
  expect(by.get('cleanup.policy')).toMatchObject({ value: 'delete', source: 1, type: 7, readOnly: false })
  expect(by.get('min.cleanable.dirty.ratio')).toMatchObject({ value: '0.01', source: 1, type: 6 })
  expect(by.get('segment.bytes')).toMatchObject({ value: '20000', source: 4, synonyms: [{ name: 'log.segment.bytes', value: '20000', source: 4 }, { name: 'log.segment.bytes', value: '1073741824', source: 5 }] })
  expect(by.get('flush.ms')).toMatchObject({ value: '9223372036854775807', source: 5 })
  expect(live.describeBroker(['unknown.key'])).toMatchObject([{ value: null, sensitive: true, readOnly: true, type: 0 }])
})

test("DescribeConfigs lists a key's layers from its own first entry on, weaker units included, as 3.9.1 was seen to do", () => {
  const live = settings('broker.id=1\nlog.retention.hours=24')
  expect(live.describeTopic([], ['retention.ms'])).toMatchObject([{ value: '86400000', source: 5, synonyms: [] }])
  expect(live.describeBroker(['log.retention.ms', 'log.retention.hours', 'node.id'])).toMatchObject([
    { value: null, synonyms: [] },
    { value: '24', synonyms: [{ value: '24', source: 4 }, { value: '168', source: 5 }] },
    { value: '1', synonyms: [{ name: 'node.id', value: '1', source: 4 }, { name: 'node.id', value: '-1', source: 5 }] },
  ])
  const inMs = settings('broker.id=1\nlog.retention.ms=-1\nlog.roll.ms=5000')
  const ms = { name: 'log.retention.ms', value: '-1', source: 4 }
  const hours = { name: 'log.retention.hours', value: '168', source: 5 }
  expect(inMs.describeTopic([], ['retention.ms', 'segment.ms']).map(({ synonyms }) => synonyms)).toEqual([[ms, hours], [{ name: 'log.roll.ms', value: '5000', source: 4 }, { name: 'log.roll.hours', value: '168', source: 5 }]])
  inMs.setDynamic('broker', [['leader.replication.throttled.rate', '7']])
  expect(inMs.describeBroker(['leader.replication.throttled.rate'])[0].synonyms).toEqual([{ name: 'leader.replication.throttled.rate', value: '7', source: 2 }])
  expect(inMs.describeBroker(['log.retention.ms', 'log.retention.hours', 'log.retention.minutes']).map(({ synonyms }) => synonyms)).toEqual([[ms, hours], [hours], []])
})

test('doubles are printed as Java prints them', () => {
  expect([0.5, 1, 0.0001, 1e7, 1.7976931348623157e308].map(formatDouble)).toEqual(['0.5', '1.0', '1.0E-4', '1.0E7', '1.7976931348623157E308'])
})
