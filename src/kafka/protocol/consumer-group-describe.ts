/** ConsumerGroupDescribe (KIP-848). A broker coordinated by ZooKeeper lists it and answers UNSUPPORTED_VERSION. */
import { array, bool, int16, int32, string, struct, uuid } from '../../wire/schema.ts'
import { api, type RequestOf, type ResponseOf } from './api.ts'

const topicPartitions = { topicId: uuid, topicName: string, partitions: array(int32) }
const assignment = { topicPartitions: array(topicPartitions) }

export const ConsumerGroupDescribe = api({
  key: 69, name: 'ConsumerGroupDescribe', versions: [0, 0], flexible: 0,
  request: { groupIds: array(string), includeAuthorizedOperations: bool },
  response: {
    throttleTimeMs: int32,
    groups: array({
      errorCode: int16,
      errorMessage: string.orNull().or(null),
      groupId: string,
      groupState: string,
      groupEpoch: int32,
      assignmentEpoch: int32,
      assignorName: string,
      members: array({
        memberId: string,
        instanceId: string.orNull().or(null),
        rackId: string.orNull().or(null),
        memberEpoch: int32,
        clientId: string,
        clientHost: string,
        subscribedTopicNames: array(string),
        subscribedTopicRegex: string.orNull().or(null),
        assignment: struct(assignment),
        targetAssignment: struct(assignment),
      }),
      authorizedOperations: int32.or(-0x8000_0000),
    }),
  },
})
export type ConsumerGroupDescribeRequest = RequestOf<typeof ConsumerGroupDescribe>
export type ConsumerGroupDescribeResponse = ResponseOf<typeof ConsumerGroupDescribe>
