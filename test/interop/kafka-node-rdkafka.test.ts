/** node-rdkafka, librdkafka in Node: its transactions. */
import { expect, test } from 'vitest'
import { describeWith, json, unique, where } from './programs.ts'
import { useCluster } from './target.ts'
import { makeTopics } from './topics.ts'

describeWith(['node-rdkafka'], 'node-rdkafka', () => {
  const cluster = useCluster()

  test('commits, aborts, offsets; the second producer of an id fences the first', async () => {
    const topic = unique('rdkafka')
    await makeTopics([cluster.kafka.address], { topic, numPartitions: 2 })
    const each = ['round0', 'round2', 'second']
    expect(await json(process.execPath, [new URL('node/rdkafka.cjs', import.meta.url).pathname, where('node-rdkafka'), cluster.kafka.address, topic])).toEqual({
      // ERR__FENCED
      offset: 12, fenced: expect.objectContaining({ code: -144, isFatal: true }), read: [each, each], counts: [150, 150],
    })
  })
})
