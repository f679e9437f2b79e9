/**
 * Metadata: brokers, topics, partitions and their leaders. No topics means all of them in v0; from v1 null does and an empty list
 * means none. v4 says whether a missing topic may be made, v10 knows topic ids, v12 asks by id.
 */
import { array, bool, int16, int32, string, uuid } from '../../wire/schema.ts'
import { api, type RequestOf, type ResponseOf } from './api.ts'

export const Metadata = api({
  key: 3, name: 'Metadata', versions: [0, 12], flexible: 9,
  request: {
    topics: array({ topicId: uuid.since(10), name: string.orNull(10) }).orNull(1),
    allowAutoTopicCreation: bool.since(4).or(true),
    includeClusterAuthorizedOperations: bool.since(8).until(10),
    includeTopicAuthorizedOperations: bool.since(8),
  },
  response: {
    throttleTimeMs: int32.since(3),
    brokers: array({ nodeId: int32, host: string, port: int32, rack: string.orNull().since(1).or(null) }),
    clusterId: string.orNull().since(2).or(null),
    controllerId: int32.since(1).or(-1),
    topics: array({
      errorCode: int16,
      name: string.orNull(12),
      topicId: uuid.since(10),
      isInternal: bool.since(1),
      partitions: array({
        errorCode: int16,
        partitionIndex: int32,
        leaderId: int32,
        leaderEpoch: int32.since(7).or(-1),
        replicaNodes: array(int32),
        isrNodes: array(int32),
        offlineReplicas: array(int32).since(5),
      }),
      topicAuthorizedOperations: int32.since(8).or(-0x8000_0000),
    }),
    clusterAuthorizedOperations: int32.since(8).until(10).or(-0x8000_0000),
  },
})
export type MetadataRequest = RequestOf<typeof Metadata>
export type MetadataResponse = ResponseOf<typeof Metadata>
