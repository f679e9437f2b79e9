/** DeleteTopics: answers when nobody sees the topics any more. Behaviour by version: the code for a disabled deletion (v3), ids (v6). */
import { uuidZero } from '../../../wire/schema.ts'
import type { ResponseTo } from '../../protocol/api.ts'
import { DeleteTopics } from '../../protocol/delete-topics.ts'
import { errors, type KafkaError } from '../../protocol/errors.ts'
import { handler } from '../handler.ts'

type Answer = ResponseTo<typeof DeleteTopics>['responses'][number]

export const deleteTopics = handler({
  api: DeleteTopics,
  refuse: (errorCode, request, { version }) => ({
    throttleTimeMs: 0,
    responses: version >= 6 ? request.topics.map(({ name, topicId }) => ({ name, topicId, errorCode })) : request.topicNames.map((name) => ({ name, errorCode })),
  }),
  async answer(request, { broker, version }) {
    const { metadata, topics: admin } = broker
    const say = (name: string | null, topicId: string, { code, message }: Pick<KafkaError, 'code' | 'message'>): Answer => ({ name, topicId, errorCode: code, errorMessage: code === 0 ? null : message })
    const asked = version >= 6 ? request.topics : request.topicNames.map((name) => ({ name, topicId: uuidZero }))
    if (!admin.isController) return { throttleTimeMs: 0, responses: asked.map(({ name, topicId }) => say(name, topicId, errors.notController)) }
    const responses: Answer[] = []
    const wanted = new Map<string, string>()
    for (const { name, topicId } of asked) {
      if (name !== null && topicId !== uuidZero) responses.push(say(name, topicId, { code: errors.invalidRequest.code, message: 'You may not specify both topic name and topic id.' }))
      // Asked for by name, a topic is answered by name alone.
      else if (name !== null) wanted.set(name, uuidZero)
      else if (topicId === uuidZero) responses.push(say(null, topicId, { code: errors.invalidRequest.code, message: 'Neither topic name nor id were specified.' }))
      else {
        const known = metadata.topicName(topicId)
        if (known === undefined) responses.push(say(null, topicId, errors.unknownTopicId))
        else wanted.set(known, topicId)
      }
    }
    const outcomes = await Promise.all([...wanted].map(async ([name, topicId]) => ({ name, topicId, refusal: await admin.markForDeletion(name) })))
    const marked = outcomes.filter(({ refusal }) => !refusal).map(({ name }) => name)
    const gone = marked.length === 0 || (await admin.deleted(marked, request.timeoutMs))
    const late = { code: errors.requestTimedOut.code, message: `the topic is marked for deletion, but still there after ${request.timeoutMs} ms` }
    for (const { name, topicId, refusal } of outcomes) {
      if (!refusal) responses.push(say(name, topicId, gone ? errors.none : late))
      else {
        const disabled = refusal.errorCode === errors.topicDeletionDisabled.code && version < 3
        responses.push(say(name, topicId, { code: disabled ? errors.invalidRequest.code : refusal.errorCode, message: refusal.message }))
      }
    }
    return { throttleTimeMs: 0, responses }
  },
})
