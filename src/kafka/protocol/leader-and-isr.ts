/** LeaderAndIsr: the controller makes brokers leaders and followers. v2 groups partitions by topic, v5 has topic ids. */
import { array, bigint64, bool, int16, int32, int8, string, uuid } from '../../wire/schema.ts'
import { api, type RequestOf, type ResponseOf } from './api.ts'

const leaderAndIsrPartitionState = {
  topicName: string.until(1),
  partitionIndex: int32,
  controllerEpoch: int32,
  leader: int32,
  leaderEpoch: int32,
  isr: array(int32),
  partitionEpoch: int32,
  replicas: array(int32),
  addingReplicas: array(int32).since(3),
  removingReplicas: array(int32).since(3),
  isNew: bool.since(1),
  leaderRecoveryState: int8.since(6),
}
const leaderAndIsrPartitionError = { topicName: string.until(4), partitionIndex: int32, errorCode: int16 }

export const LeaderAndIsr = api({
  key: 4, name: 'LeaderAndIsr', versions: [0, 7], flexible: 4,
  request: {
    controllerId: int32,
    isKRaftController: bool.since(7),
    controllerEpoch: int32,
    brokerEpoch: bigint64.since(2).or(-1n),
    type: int8.since(5),
    ungroupedPartitionStates: array(leaderAndIsrPartitionState).until(1),
    topicStates: array({
      topicName: string,
      topicId: uuid.since(5),
      partitionStates: array(leaderAndIsrPartitionState),
    }).since(2),
    liveLeaders: array({ brokerId: int32, hostName: string, port: int32 }),
  },
  response: {
    errorCode: int16,
    partitionErrors: array(leaderAndIsrPartitionError).until(4),
    topics: array({ topicId: uuid, partitionErrors: array(leaderAndIsrPartitionError) }).since(5),
  },
})
export type LeaderAndIsrRequest = RequestOf<typeof LeaderAndIsr>
export type LeaderAndIsrResponse = ResponseOf<typeof LeaderAndIsr>
