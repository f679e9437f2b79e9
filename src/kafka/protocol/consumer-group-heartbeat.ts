/** ConsumerGroupHeartbeat (KIP-848). A broker coordinated by ZooKeeper lists it and answers UNSUPPORTED_VERSION. */
import { array, int16, int32, string, struct, uuid } from '../../wire/schema.ts'
import { api, type RequestOf, type ResponseOf } from './api.ts'

const topicPartitions = { topicId: uuid, partitions: array(int32) }

export const ConsumerGroupHeartbeat = api({
  key: 68, name: 'ConsumerGroupHeartbeat', versions: [0, 0], flexible: 0,
  request: {
    groupId: string,
    memberId: string,
    memberEpoch: int32,
    instanceId: string.orNull().or(null),
    rackId: string.orNull().or(null),
    rebalanceTimeoutMs: int32.or(-1),
    subscribedTopicNames: array(string).orNull().or(null),
    serverAssignor: string.orNull().or(null),
    topicPartitions: array({ topicId: uuid, partitions: array(int32) }).orNull().or(null),
  },
  response: {
    throttleTimeMs: int32,
    errorCode: int16,
    errorMessage: string.orNull().or(null),
    memberId: string.orNull().or(null),
    memberEpoch: int32,
    heartbeatIntervalMs: int32,
    assignment: struct({ topicPartitions: array(topicPartitions) }).orNull().or(null),
  },
})
export type ConsumerGroupHeartbeatRequest = RequestOf<typeof ConsumerGroupHeartbeat>
export type ConsumerGroupHeartbeatResponse = ResponseOf<typeof ConsumerGroupHeartbeat>
