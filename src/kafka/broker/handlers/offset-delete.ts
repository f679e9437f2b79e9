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
    const known = topics.flatMap(({ name, partitions }) => (broker.metadata.topic(name) ? partitions.map(({ partitionIndex }) => ({ topic: name, partition: partitionIndex })) : []))
    const { errorCode, errorCodes } = await broker.groups.deleteOffsets(groupId, known)
    if (errorCode !== 0) return { errorCode, throttleTimeMs: 0, topics: [] }
    let next = 0
    return {
      errorCode: 0,
      throttleTimeMs: 0,
      topics: topics.map(({ name, partitions }) => {
        const isKnown = broker.metadata.topic(name) !== undefined
        return { name, partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, errorCode: isKnown ? errorCodes[next++] : errors.unknownTopicOrPartition.code })) }
      }),
    }
  },
})
