/** DeleteTopics (controller). v6 by name or by topic id. */
import { array, int16, int32, string, uuid } from '../../wire/schema.ts'
import { api, type RequestOf, type ResponseOf } from './api.ts'

export const DeleteTopics = api({
  key: 20, name: 'DeleteTopics', versions: [0, 6], flexible: 4,
  request: {
    topics: array({ name: string.orNull().or(null), topicId: uuid }).since(6),
    topicNames: array(string).until(5),
    timeoutMs: int32,
  },
  response: {
    throttleTimeMs: int32.since(1),
    responses: array({
      name: string.orNull(6),
      topicId: uuid.since(6),
      errorCode: int16,
      errorMessage: string.orNull().since(5).or(null),
    }),
  },
})
export type DeleteTopicsRequest = RequestOf<typeof DeleteTopics>
export type DeleteTopicsResponse = ResponseOf<typeof DeleteTopics>
