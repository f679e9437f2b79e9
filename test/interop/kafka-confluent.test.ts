/** confluent-kafka, the Python binding of librdkafka 2. */
import { expect, test } from 'vitest'
import { describeWith, python, unique } from './programs.ts'
import { brokerIds, useCluster } from './target.ts'

describeWith(['python'], 'confluent-kafka', () => {
  const cluster = useCluster()
  const confluent = (name: string, ...args: string[]) => python('confluent_client', name, cluster.kafka.address, unique('confluent'), ...args)

  test.each(['none', 'gzip', 'snappy', 'lz4', 'zstd'].map((codec, i) => ({ codec, acks: ['all', '1', 'all', '1', 'all'][i]! })))(
    'codec $codec, acks=$acks: keys, values, nulls, headers and timestamps come back as they were',
    async ({ codec, acks }) => {
      expect(await confluent('roundtrip', codec, acks)).toEqual({ reports: 1_500, errors: [], records: 1_500, equal: 1_500, offsets: true })
    },
  )

  test('an idempotent producer with five requests in flight keeps order', async () => {
    expect(await confluent('idempotent')).toEqual({ reports: true, records: true })
  })

  test('what a topic refuses is named; LogAppendTime replaces timestamps', async () => {
    expect(await confluent('refused')).toEqual({
      'large': ['MSG_SIZE_TOO_LARGE'],
      'small': [[0, 0]],
      'partition': ['_UNKNOWN_PARTITION'],
      'log append': [2, true],
    })
  })

  test.each([
    { assignor: 'range', kind: 'dynamic' },
    { assignor: 'roundrobin', kind: 'dynamic' },
    { assignor: 'cooperative-sticky', kind: 'dynamic' },
    { assignor: 'range', kind: 'static' },
    { assignor: 'cooperative-sticky', kind: 'static' },
  ])('a group of $kind members rebalances with $assignor; each record is read once', async ({ assignor, kind }) => {
    expect(await confluent('group', assignor, kind)).toEqual({
      'shares': [true, true, true],
      'described': ['STABLE', assignor, [2, 2, 2], kind === 'static' ? ['m0', 'm1', 'm2'] : ['None', 'None', 'None']],
      'after leaving': kind === 'static' ? [2, 2] : true,
      'read': true,
      'committed': [200, 200, 200, 200, 200, 200],
    })
  })

  test('offsets by time, ends, and records deleted from the front', async () => {
    expect(await confluent('offsets')).toEqual({
      times: [0, 0, 1, 1, 50, 99, -1],
      watermarks: [0, 100],
      listed: { earliest: 0, latest: 100, max: 99, at: 34 },
      deleted: [40, [40, 100], 40],
      beyond: 'OFFSET_OUT_OF_RANGE',
    })
  })

  test('group offsets are listed, altered and deleted by an administrator', async () => {
    expect(await confluent('groups_admin')).toEqual({
      'set by the member': [[0, 3], [1, 4]],
      'group': true,
      'altered': [[0, 7], [1, 4]],
      'state': 'EMPTY',
      'metadata': [[4, null], [3, 'here']],
      'deleted': null,
      'gone': true,
      'again': 'GROUP_ID_NOT_FOUND',
    })
  })

  test('topics are created, changed, described and deleted, with every refusal by name', async () => {
    expect(await confluent('topics_admin')).toEqual({
      'created': null,
      'again': 'TOPIC_ALREADY_EXISTS',
      'replicas': 'INVALID_REPLICATION_FACTOR',
      'partitions': 'INVALID_PARTITIONS',
      'name': 'TOPIC_EXCEPTION',
      'config': 'INVALID_CONFIG',
      'only checked': [null, false],
      'more': null,
      'fewer': 'INVALID_PARTITIONS',
      'now': [0, 1, 2, 3, 4],
      'set at creation': [['3600000', false], ['delete', true]],
      'altered': null,
      // The broker's own value again (see target.ts), which is not the default.
      'after': [['-1', false], ['1048576', false]],
      'invalid': 'INVALID_CONFIG',
      'broker': ['1', true],
      'cluster': [expect.toBeOneOf([...brokerIds]), true, 22],
      'described': [0, 1, 2, 3, 4].map((id) => [id, expect.toBeOneOf([...brokerIds]), brokerIds.length, brokerIds.length]),
      'deleted': null,
      'gone': true,
      'unknown': 'UNKNOWN_TOPIC_OR_PART',
    })
  })
})
