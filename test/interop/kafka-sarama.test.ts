/** sarama, a client in Go that speaks as old as it is told: message sets of 2013 to record batches. */
import { expect, test } from 'vitest'
import { describeWith, go, unique } from './programs.ts'
import { useCluster } from './target.ts'

describeWith(['go'], 'sarama', () => {
  const cluster = useCluster()
  const sarama = (name: string, ...args: string[]) => go('sarama', name, cluster.kafka.address, unique('sarama'), ...args)

  test.each([
    ['0.8.2.0', 'none'],
    ['0.8.2.0', 'gzip'],
    ['0.8.2.0', 'snappy'],
    ['0.9.0.0', 'gzip'],
    ['0.10.0.0', 'lz4'],
    ['0.10.2.0', 'snappy'],
    ['0.11.0.0', 'none'],
    ['1.0.0', 'lz4'],
    ['2.1.0', 'zstd'],
    ['2.8.0', 'snappy'],
    ['3.6.0', 'gzip'],
  ])('as a client of %s with codec %s: all that its format can carry comes back', async (version, codec) => {
    expect(await sarama('roundtrip', version, codec)).toEqual({ records: 600, equal: 600 })
  })

  test.each([['range'], ['roundrobin'], ['sticky']])('a group with %s shares partitions and reads each record once', async (strategy) => {
    expect(await sarama('group', strategy)).toEqual({
      steps: [true, true, true, true, true],
      once: 240,
      state: 'Stable',
      protocol: strategy,
      members: 2,
      committed: [40, 40, 40, 40, 40, 40],
    })
  })

  test('administration', async () => {
    expect(await sarama('administration')).toEqual({
      'again': true,
      'max.message.bytes': ['1234', false, 'Topic'],
      'in force': true,
      'too large': 'kafka server: Message was too large, server rejected it to avoid allocation error',
      'offsets': [0, 20, 12],
      'oldest': 15,
      'listed': 2,
      'gone': true,
    })
  })
})
