/** DescribeProducers: idempotent and transactional producers that a partition remembers (KIP-664). Any replica answers. */
import { DescribeProducers } from '../../protocol/describe-producers.ts'
import { errors } from '../../protocol/errors.ts'
import { handler } from '../handler.ts'

export const describeProducers = handler({
  api: DescribeProducers,
  refuse: (errorCode, { topics }) => ({
    throttleTimeMs: 0,
    topics: topics.map(({ name, partitionIndexes }) => ({
      name,
      partitions: partitionIndexes.map((partitionIndex) => ({ partitionIndex, errorCode, activeProducers: [] })),
    })),
  }),
  answer: ({ topics }, { broker }) => ({
    throttleTimeMs: 0,
    topics: topics.map(({ name, partitionIndexes }) => ({
      name,
      partitions: partitionIndexes.map((partitionIndex) => {
        const partition = broker.replicas.find(name, partitionIndex)
        if (!partition) {
          const { code } = broker.metadata.partition(name, partitionIndex) ? errors.notLeaderOrFollower : errors.unknownTopicOrPartition
          return { partitionIndex, errorCode: code, activeProducers: [] }
        }
        if (partition.failure) return { partitionIndex, errorCode: errors.kafkaStorageError.code, errorMessage: partition.failure.message, activeProducers: [] }
        return { partitionIndex, errorCode: 0, activeProducers: partition.log.producers().map(({ currentTransactionStartOffset, ...producer }) => ({ ...producer, currentTxnStartOffset: currentTransactionStartOffset })) }
      }),
    })),
  }),
})
