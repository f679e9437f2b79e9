/** kafka-python, written in Python from the wire up. */
import { expect, test } from 'vitest'
import { describeWith, python, unique } from './programs.ts'
import { brokerIds, useCluster } from './target.ts'

describeWith(['python'], 'kafka-python', () => {
  const cluster = useCluster()
  const client = (name: string, ...args: string[]) => python('kafka_python_client', name, cluster.kafka.address, unique('kafka-python'), ...args)

  // The codecs of its own; snappy, lz4 and zstd would need further packages.
  test.each([
    ['none', 'all'],
    ['none', '1'],
    ['none', '0'],
    ['gzip', 'all'],
    ['gzip', '1'],
  ])('codec %s, acks=%s: keys, values, nulls, headers and timestamps come back as they were', async (codec, acks) => {
    expect(await client('roundtrip', codec, acks)).toEqual({ offsets: true, records: 1_000, equal: true })
  })

  test('a group of two shares partitions, hands over and reads each record once', async () => {
    expect(await client('group')).toEqual({ steps: [true, true, true, true, true], read: true, committed: [100, 100, 100, 100, 100, 100] })
  })

  test('offsets by time, seeking, committed positions, records deleted from the front', async () => {
    expect(await client('offsets')).toEqual({
      times: [[0, 0], [10, 100], [49, 490], null],
      ends: [0, 50],
      seek: Array.from({ length: 20 }, (_, i) => 30 + i),
      resumed: true,
      deleted: [45, 46, 47, 48, 49],
    })
  })

  test('administration', async () => {
    expect(await client('administration')).toEqual({
      'create': [null, 'TopicAlreadyExistsError'],
      'listed': true,
      'partitions': 2,
      'group': [2, 2],
      'delete group': null,
      'delete': [null, 'UnknownTopicOrPartitionError'],
      'cluster': [brokerIds.length, expect.toBeOneOf([...brokerIds])],
    })
  })
})
