/** The Java client of Kafka 4, which has dropped everything before Kafka 2.1. */
import { expect, test } from 'vitest'
import { describeWith, java, unique } from './programs.ts'
import { brokerIds, useCluster } from './target.ts'

describeWith(['kafka4'], "Kafka 4's Java client", () => {
  const cluster = useCluster()
  const client = (name: string, ...args: string[]) => java('kafka4', 'KafkaClient', name, cluster.kafka.address, unique('java4'), ...args)

  test.each([
    ['none', 'all'],
    ['none', '1'],
    ['none', '0'],
    ['gzip', 'all'],
    ['snappy', 'all'],
    ['lz4', 'all'],
    ['zstd', 'all'],
  ])('codec %s, acks=%s: keys, values, nulls, headers, timestamps and leader epochs come back as they were', async (codec, acks) => {
    expect(await client('roundtrip', codec, acks)).toEqual({ offsets: true, records: 3_000, equal: 3_000 })
  })

  test('an idempotent producer with five requests in flight; the broker knows its last sequence', async () => {
    expect(await client('idempotent')).toEqual({ 'ordered': true, 'producers': 1, 'last sequence': 19_999 })
  })

  test.each([
    ['RangeAssignor', 'range', 'dynamic'],
    ['CooperativeStickyAssignor', 'cooperative-sticky', 'dynamic'],
    ['CooperativeStickyAssignor', 'cooperative-sticky', 'static'],
    ['StickyAssignor', 'sticky', 'static'],
  ])('a group with %s (%s) and %s members rebalances and reads each record once', async (assignor, protocol, kind) => {
    expect(await client('group', assignor, kind)).toEqual({
      steps: [true, true, true, true, true, true],
      once: 600,
      state: 'Stable',
      assignor: protocol,
      instances: kind === 'static' ? ['m0', 'm1', 'm2'] : ['none', 'none', 'none'],
      committed: [100, 100, 100, 100, 100, 100],
    })
  })

  test('offsets by time, records deleted from the front, committed positions with epoch and note', async () => {
    expect(await client('offsets')).toEqual({
      listed: { earliest: 0, latest: 100, max: 99, at: 34 },
      consumer: [11, 110, 0, 100],
      deleted: 40,
      beginning: 40,
      beyond: 'OffsetOutOfRangeException',
      committed: [77, 0, 'a note'],
      resumed: [77, 23],
    })
  })

  test('topics, partitions, configurations and log directories, with every refusal by name', async () => {
    expect(await client('topics')).toEqual({
      'created': [2, brokerIds.length, '2000000', 22],
      'again': 'TopicExistsException',
      'replicas': 'InvalidReplicationFactorException',
      'by hand': null,
      'listed': 2,
      'partitions': null,
      'fewer': 'InvalidPartitionsException',
      'described': [0, 1, 2, 3].map((partition) => [partition, expect.toBeOneOf([...brokerIds]), brokerIds.length, brokerIds.length]),
      'altered': null,
      'config': [['1234567', 'DYNAMIC_TOPIC_CONFIG', false], ['1073741824', 'DEFAULT_CONFIG', false], ['producer', 'DEFAULT_CONFIG', false]],
      'invalid': 'InvalidConfigurationException',
      'unknown key': 'InvalidConfigurationException',
      'cluster': [expect.toBeOneOf([...brokerIds]), brokerIds.length, 22],
      'log dirs': [true, 0, false],
      'deleted': null,
      'gone': true,
      'unknown': 'UnknownTopicOrPartitionException',
    })
  })

  test('groups: offsets altered and deleted, refusals while members are there', async () => {
    expect(await client('groups')).toEqual({
      'altered': [[3, ''], [4, 'm']],
      'listed': ['Empty '],
      'one deleted': null,
      'left': [[4, 'm']],
      'busy': ['GroupNotEmptyException', 'UnknownMemberIdException', 'GroupSubscribedToTopicException'],
      'described': ['Stable', expect.toBeOneOf([...brokerIds]), 1],
      'deleted': null,
      'unknown': 'GroupIdNotFoundException',
    })
  })
})
