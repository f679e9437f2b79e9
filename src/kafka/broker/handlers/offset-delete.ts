/** OffsetDelete: forgets what a group has committed of single partitions that no member reads. */
import type { ResponseTo } from '../../protocol/api.ts'
import { errors } from '../../protocol/errors.ts'
import { OffsetDelete } from '../../protocol/offset-delete.ts'
import { handler } from '../handler.ts'

export const offsetDelete = handler({
  api: OffsetDelete,
  inPlace: true,
  refuse: (errorCode) => ({ errorCode, throttleTimeMs: 0, topics: [] }),
  async answer({ groupId, topics }, { broker }): Promise<ResponseTo<typeof OffsetDelete>> {
    const isKnown = (topic: string, partition: number) => broker.metadata.partition(topic, partition) !== undefined
    const known = topics.flatMap(({ name, partitions }) =>
      partitions.filter(({ partitionIndex }) => isKnown(name, partitionIndex)).map(({ partitionIndex }) => ({ topic: name, partition: partitionIndex })))
    const { errorCode, errorCodes } = await broker.groups.deleteOffsets(groupId, known)
    if (errorCode !== 0) return { errorCode, throttleTimeMs: 0, topics: [] }
    let next = 0
    const codeOf = (topic: string, partition: number) => {
      const isNext = next < known.length && known[next].topic === topic && known[next].partition === partition
      return isNext ? errorCodes[next++] : errors.unknownTopicOrPartition.code
    }
    return {
      errorCode: 0,
      throttleTimeMs: 0,
      topics: topics.map(({ name, partitions }) => ({ name, partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, errorCode: codeOf(name, partitionIndex) })) })),
    }
  },
})
