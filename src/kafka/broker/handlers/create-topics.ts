/** CreateTopics: makes topics and answers when they can be used. v5 answers with the configuration, v7 with topic ids. */
import type { RequestOf, ResponseTo } from '../../protocol/api.ts'
import { CreateTopics } from '../../protocol/create-topics.ts'
import { errors } from '../../protocol/errors.ts'
import { handler, type RequestContext } from '../handler.ts'
import { isRefusal, type CreatedTopic, type Refusal } from '../topic-admin.ts'

type Wish = RequestOf<typeof CreateTopics>['topics'][number]
type Answer = ResponseTo<typeof CreateTopics>['topics'][number]

export const createTopics = handler({
  api: CreateTopics,
  refuse: (errorCode, { topics }) => ({ throttleTimeMs: 0, topics: topics.map(({ name }) => refused(name, { errorCode, message: '' })) }),
  async answer({ topics, timeoutMs, validateOnly }, context) {
    const admin = context.broker.topics
    const names = new Map<string, Wish[]>()
    for (const topic of topics) names.set(topic.name, [...(names.get(topic.name) ?? []), topic])
    if (!admin.isController) return { throttleTimeMs: 0, topics: [...names.keys()].map((name) => refused(name, { errorCode: errors.notController.code, message: errors.notController.message })) }
    const outcomes = await Promise.all(
      [...names].map(async ([name, [wish, ...more]]): Promise<{ name: string; outcome: CreatedTopic | Refusal }> => {
        if (more.length > 0) return { name, outcome: { errorCode: errors.invalidRequest.code, message: `Duplicate topic name '${name}'.` } }
        const { numPartitions, replicationFactor, assignments, configs } = wish
        return { name, outcome: await admin.create({ name, partitions: numPartitions, replicationFactor, assignments, configs }, { validateOnly }) }
      }),
    )
    const created = outcomes.filter(({ outcome }) => !isRefusal(outcome)).map(({ name }) => name)
    const usable = validateOnly || created.length === 0 || (await admin.created(created, timeoutMs))
    const late = { errorCode: errors.requestTimedOut.code, message: `the topic was created, but not all of its partitions have a leader after ${timeoutMs} ms` }
    return { throttleTimeMs: 0, topics: outcomes.map(({ name, outcome }) => (isRefusal(outcome) ? refused(name, outcome) : usable ? described(name, outcome, context) : refused(name, late))) }
  },
})

function refused(name: string, { errorCode, message }: Refusal): Answer {
  return { name, errorCode, errorMessage: message, configs: [] }
}
function described(name: string, { topicId, partitions, replicationFactor, overrides }: CreatedTopic, { broker }: RequestContext): Answer {
  return {
    name,
    topicId,
    errorCode: 0,
    errorMessage: null,
    numPartitions: partitions,
    replicationFactor,
    configs: broker.settings.describeTopic(Object.entries(overrides)).map(({ name: key, value, readOnly, source, sensitive }) => ({ name: key, value, readOnly, configSource: source, isSensitive: sensitive })),
  }
}
