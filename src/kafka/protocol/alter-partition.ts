/** AlterPartition: a leader asks the controller for another ISR. v2 topic ids, v3 the broker epochs of the ISR. */
import { array, bigint64, int16, int32, int8, string, uuid } from '../../wire/schema.ts'
import { api, type RequestOf, type ResponseOf } from './api.ts'

export const AlterPartition = api({
  key: 56, name: 'AlterPartition', versions: [0, 3], flexible: 0,
  request: {
    brokerId: int32,
    brokerEpoch: bigint64.or(-1n),
    topics: array({
      topicName: string.until(1),
      topicId: uuid.since(2),
      partitions: array({
        partitionIndex: int32,
        leaderEpoch: int32,
        newIsr: array(int32).until(2),
        newIsrWithEpochs: array({ brokerId: int32, brokerEpoch: bigint64.or(-1n) }).since(3),
        leaderRecoveryState: int8.since(1),
        partitionEpoch: int32,
      }),
    }),
  },
  response: {
    throttleTimeMs: int32,
    errorCode: int16,
    topics: array({
      topicName: string.until(1),
      topicId: uuid.since(2),
      partitions: array({
        partitionIndex: int32,
        errorCode: int16,
        leaderId: int32,
        leaderEpoch: int32,
        isr: array(int32),
        leaderRecoveryState: int8.since(1),
        partitionEpoch: int32,
      }),
    }),
  },
})
export type AlterPartitionRequest = RequestOf<typeof AlterPartition>
export type AlterPartitionResponse = ResponseOf<typeof AlterPartition>
