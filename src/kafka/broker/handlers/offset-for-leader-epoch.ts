/** OffsetForLeaderEpoch: where an epoch ended in this leader's log (KIP-101, KIP-320). */
import { errors } from '../../protocol/errors.ts'
import { OffsetForLeaderEpoch } from '../../protocol/offset-for-leader-epoch.ts'
import { handler } from '../handler.ts'

export const offsetForLeaderEpoch = handler({
  api: OffsetForLeaderEpoch,
  refuse: (errorCode, { topics }) => ({
    topics: topics.map(({ topic, partitions }) => ({ topic, partitions: partitions.map(({ partition }) => ({ errorCode, partition })) })),
  }),
  answer: ({ topics }, { broker }) => ({
    topics: topics.map(({ topic, partitions }) => ({
      topic,
      partitions: partitions.map(({ partition: index, currentLeaderEpoch, leaderEpoch }) => {
        const partition = broker.replicas.find(topic, index)
        if (!partition) {
          const { code } = broker.metadata.partition(topic, index) ? errors.notLeaderOrFollower : errors.unknownTopicOrPartition
          return { errorCode: code, partition: index }
        }
        const errorCode = partition.refusalFor({ epoch: currentLeaderEpoch })
        if (errorCode !== 0) return { errorCode, partition: index }
        const { epoch, endOffset } = partition.log.endOffsetForEpoch(leaderEpoch)
        return { errorCode: 0, partition: index, leaderEpoch: epoch, endOffset }
      }),
    })),
  }),
})
