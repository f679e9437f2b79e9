/** DescribeTopicPartitions (KIP-966): topics page by page. Not on a broker coordinated by ZooKeeper; tools use it when offered. */
import { array, bool, int16, int32, string, struct, uuid } from '../../wire/schema.ts'
import { api, type RequestOf, type ResponseOf } from './api.ts'

export const DescribeTopicPartitions = api({
  key: 75, name: 'DescribeTopicPartitions', versions: [0, 0], flexible: 0,
  request: {
    topics: array({ name: string }),
    responsePartitionLimit: int32.or(2000),
    cursor: struct({ topicName: string, partitionIndex: int32 }).orNull().or(null),
  },
  response: {
    throttleTimeMs: int32,
    topics: array({
      errorCode: int16,
      name: string.orNull(),
      topicId: uuid,
      isInternal: bool.or(false),
      partitions: array({
        errorCode: int16,
        partitionIndex: int32,
        leaderId: int32,
        leaderEpoch: int32.or(-1),
        replicaNodes: array(int32),
        isrNodes: array(int32),
        eligibleLeaderReplicas: array(int32).orNull().or(null),
        lastKnownElr: array(int32).orNull().or(null),
        offlineReplicas: array(int32),
      }),
      topicAuthorizedOperations: int32.or(-0x8000_0000),
    }),
    nextCursor: struct({ topicName: string, partitionIndex: int32 }).orNull().or(null),
  },
})
export type DescribeTopicPartitionsRequest = RequestOf<typeof DescribeTopicPartitions>
export type DescribeTopicPartitionsResponse = ResponseOf<typeof DescribeTopicPartitions>
