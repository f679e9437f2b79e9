/** franz-go, a client in Go that always takes the newest versions both sides know. */
import { expect, test } from 'vitest'
import { describeWith, go, unique } from './programs.ts'
import { brokerIds, useCluster } from './target.ts'

describeWith(['go'], 'franz-go', () => {
  const cluster = useCluster()
  const franz = (name: string, ...args: string[]) => go('franz', name, cluster.kafka.address, unique('franz'), ...args)

  test.each([
    ['none', '0'],
    ['none', '1'],
    ['none', 'all'],
    ['gzip', 'all'],
    ['snappy', '1'],
    ['lz4', 'all'],
    ['zstd', 'all'],
  ])('codec %s, acks=%s: keys, values, headers and timestamps come back as they were', async (codec, acks) => {
    expect(await franz('roundtrip', codec, acks)).toEqual({ failed: null, records: 3_000, equal: 3_000 })
  })

  test.each([
    ['range', 'dynamic'],
    ['roundrobin', 'dynamic'],
    ['sticky', 'dynamic'],
    ['cooperative-sticky', 'dynamic'],
    ['cooperative-sticky', 'static'],
    ['range', 'static'],
  ])('a group with %s and %s members rebalances three times and reads each record once', async (balancer, kind) => {
    expect(await franz('group', balancer, kind)).toEqual({
      steps: [true, true, true, true, true, true],
      once: 600,
      state: 'Stable',
      protocol: balancer,
      members: 3,
      committed: [100, 100, 100, 100, 100, 100],
    })
  })

  test('administration: every refusal by name, offsets, groups, producers, epochs and log directories', async () => {
    expect(await franz('administration')).toMatchObject({
      'again': 'TOPIC_ALREADY_EXISTS',
      'ends': [[0, 0], [20, 20], [20, 20]],
      'by time': [8, 8],
      'latest time': [19, 1_000_390],
      'records deleted': 5,
      'partitions': '',
      'changed': '',
      'config': ['54321', 'DYNAMIC_TOPIC_CONFIG'],
      'metadata': [3, expect.toBeOneOf([...brokerIds]), brokerIds.length, expect.toBeOneOf([...brokerIds]), 0],
      'lag': [13, 11, 0],
      'state': 'Empty',
      'group deleted': '',
      'group gone': 'GROUP_ID_NOT_FOUND',
      'log dirs': 3 * brokerIds.length,
      'producers': 2,
      'epoch end': 20,
      'deleted': '',
      'gone': true,
    })
  })
})
