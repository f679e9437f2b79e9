/** UpdateMetadata: the controller tells a broker what the cluster looks like. v1 endpoints, v5 partitions by topic, v7 topic ids. */
import { array, bigint64, bool, int16, int32, int8, string, uuid } from '../../wire/schema.ts'
import { api, type RequestOf, type ResponseOf } from './api.ts'

const updateMetadataPartitionState = {
  topicName: string.until(4),
  partitionIndex: int32,
  controllerEpoch: int32,
  leader: int32,
  leaderEpoch: int32,
  isr: array(int32),
  zkVersion: int32,
  replicas: array(int32),
  offlineReplicas: array(int32).since(4),
}

export const UpdateMetadata = api({
  key: 6, name: 'UpdateMetadata', versions: [0, 8], flexible: 6,
  request: {
    controllerId: int32,
    isKRaftController: bool.since(8),
    type: int8.since(8).tag(0),
    controllerEpoch: int32,
    brokerEpoch: bigint64.since(5).or(-1n),
    ungroupedPartitionStates: array(updateMetadataPartitionState).until(4),
    topicStates: array({
      topicName: string,
      topicId: uuid.since(7),
      partitionStates: array(updateMetadataPartitionState),
    }).since(5),
    liveBrokers: array({
      id: int32,
      v0Host: string.until(0),
      v0Port: int32.until(0),
      endpoints: array({ port: int32, host: string, listener: string.since(3), securityProtocol: int16 }).since(1),
      rack: string.orNull().since(2),
    }),
  },
  response: { errorCode: int16 },
})
export type UpdateMetadataRequest = RequestOf<typeof UpdateMetadata>
export type UpdateMetadataResponse = ResponseOf<typeof UpdateMetadata>
