/** CreateTopics (controller). v1 can only validate, v4 knows the broker's defaults (−1), v5 answers with the configuration, v7 topic ids. */
import { array, bool, int16, int32, int8, string, uuid } from '../../wire/schema.ts'
import { api, type RequestOf, type ResponseOf } from './api.ts'

export const CreateTopics = api({
  key: 19, name: 'CreateTopics', versions: [0, 7], flexible: 5,
  request: {
    topics: array({
      name: string,
      numPartitions: int32,
      replicationFactor: int16,
      assignments: array({ partitionIndex: int32, brokerIds: array(int32) }),
      configs: array({ name: string, value: string.orNull() }),
    }),
    timeoutMs: int32.or(60_000),
    validateOnly: bool.since(1),
  },
  response: {
    throttleTimeMs: int32.since(2),
    topics: array({
      name: string,
      topicId: uuid.since(7),
      errorCode: int16,
      errorMessage: string.orNull().since(1),
      topicConfigErrorCode: int16.since(5).tag(0),
      numPartitions: int32.since(5).or(-1),
      replicationFactor: int16.since(5).or(-1),
      configs: array({
        name: string,
        value: string.orNull(),
        readOnly: bool,
        configSource: int8.or(-1),
        isSensitive: bool,
      }).orNull().since(5),
    }),
  },
})
export type CreateTopicsRequest = RequestOf<typeof CreateTopics>
export type CreateTopicsResponse = ResponseOf<typeof CreateTopics>
