/** CreatePartitions: raises the number of partitions to a new total and answers when the new ones have leaders. */
import { CreatePartitions } from '../../protocol/create-partitions.ts'
import { errors } from '../../protocol/errors.ts'
import { handler } from '../handler.ts'
import { isRefusal, type Refusal } from '../topic-admin.ts'

export const createPartitions = handler({
  api: CreatePartitions,
  refuse: (errorCode, { topics }) => ({ throttleTimeMs: 0, results: topics.map(({ name }) => ({ name, errorCode })) }),
  async answer({ topics, timeoutMs, validateOnly }, { broker }) {
    const admin = broker.topics
    const refused = (name: string, { errorCode, message }: Refusal) => ({ name, errorCode, errorMessage: message })
    const names = [...new Set(topics.map(({ name }) => name))]
    if (!admin.isController) return { throttleTimeMs: 0, results: names.map((name) => refused(name, { errorCode: errors.notController.code, message: errors.notController.message })) }
    const outcomes = await Promise.all(
      names.map(async (name) => {
        const [wish, ...more] = topics.filter((topic) => topic.name === name)
        if (more.length > 0) return { name, outcome: { errorCode: errors.invalidRequest.code, message: 'Duplicate topic in request.' } }
        return { name, outcome: await admin.expand(wish, { validateOnly }) }
      }),
    )
    const counts = new Map(outcomes.flatMap(({ name, outcome }) => (isRefusal(outcome) ? [] : [[name, outcome.count] as const])))
    const usable = validateOnly || counts.size === 0 || (await admin.expanded(counts, timeoutMs))
    const late = { errorCode: errors.requestTimedOut.code, message: `the partitions were added, but not all of them have a leader after ${timeoutMs} ms` }
    return {
      throttleTimeMs: 0,
      results: outcomes.map(({ name, outcome }) => (isRefusal(outcome) ? refused(name, outcome) : usable ? { name, errorCode: 0, errorMessage: null } : refused(name, late))),
    }
  },
})
