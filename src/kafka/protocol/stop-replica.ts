/** StopReplica: the controller stops replicas, with or without deleting them. v0 one flag for all, v1 by topic, v3 by partition. */
import { array, bigint64, bool, int16, int32, string } from '../../wire/schema.ts'
import { api, type RequestOf, type ResponseOf } from './api.ts'

export const StopReplica = api({
  key: 5, name: 'StopReplica', versions: [0, 4], flexible: 2,
  request: {
    controllerId: int32,
    isKRaftController: bool.since(4),
    controllerEpoch: int32,
    brokerEpoch: bigint64.since(1).or(-1n),
    deletePartitions: bool.until(2),
    ungroupedPartitions: array({ topicName: string, partitionIndex: int32 }).until(0),
    topics: array({ name: string, partitionIndexes: array(int32) }).since(1).until(2),
    topicStates: array({
      topicName: string,
      partitionStates: array({ partitionIndex: int32, leaderEpoch: int32.or(-1), deletePartition: bool }),
    }).since(3),
  },
  response: {
    errorCode: int16,
    partitionErrors: array({ topicName: string, partitionIndex: int32, errorCode: int16 }),
  },
})
export type StopReplicaRequest = RequestOf<typeof StopReplica>
export type StopReplicaResponse = ResponseOf<typeof StopReplica>
