/**
 * OffsetFetch. Behaviour by version: v0 reads from ZooKeeper; below v2 an error of the group stands at each partition; v8 asks for several groups.
 */
import type { RequestOf, ResponseTo } from '../../protocol/api.ts'
import { errors } from '../../protocol/errors.ts'
import { OffsetFetch } from '../../protocol/offset-fetch.ts'
import { handler, type RequestContext } from '../handler.ts'

type Request = RequestOf<typeof OffsetFetch>
type Response = ResponseTo<typeof OffsetFetch>
type Topics = NonNullable<Response['topics']>
type Wishes = Request['topics']

export const offsetFetch = handler({
  api: OffsetFetch,
  inPlace: true,
  refuse: (errorCode, request, { version }) =>
    version >= 8
      ? { topics: [], groups: request.groups.map(({ groupId }) => ({ groupId, errorCode, topics: [] })) }
      : { errorCode, topics: version < 2 ? each(request.topics, () => none(errorCode)) : [] },
  answer(request, context): Response | Promise<Response> {
    const { version } = context
    if (version === 0) return fromZooKeeper(request, context)
    if (version >= 8)
      return { topics: [], groups: request.groups.map(({ groupId, topics }) => ({ groupId, ...ofGroup(groupId, topics, request.requireStable, context) })) }
    const { errorCode, topics } = ofGroup(request.groupId, request.topics, request.requireStable, context)
    return { errorCode, topics: errorCode !== 0 && version < 2 ? each(request.topics, () => none(errorCode)) : topics }
  },
})

type PartitionAnswer = Omit<Topics[number]['partitions'][number], 'partitionIndex'>
const none = (errorCode: number): PartitionAnswer => ({ committedOffset: -1, committedLeaderEpoch: -1, metadata: '', errorCode })

/** One answer for each partition asked for, in the request's order. */
function each(wishes: Wishes, answerOf: (topic: string, partition: number) => PartitionAnswer): Topics {
  return (wishes ?? []).map(({ name, partitionIndexes }) => ({
    name,
    partitions: partitionIndexes.map((partitionIndex) => ({ partitionIndex, ...answerOf(name, partitionIndex) })),
  }))
}

function ofGroup(groupId: string, wishes: Wishes, requireStable: boolean, { broker }: RequestContext): { errorCode: number; topics: Topics } {
  const asked = wishes?.flatMap(({ name, partitionIndexes }) => partitionIndexes.map((partition) => ({ topic: name, partition }))) ?? null
  const { errorCode, offsets } = broker.groups.fetchOffsets(groupId, asked, { requireStable })
  if (errorCode !== 0) return { errorCode, topics: [] }
  const topics = new Map<string, Topics[number] & { partitions: Topics[number]['partitions'][number][] }>()
  for (const { topic, partition, offset, leaderEpoch, metadata, errorCode: code } of offsets) {
    let answered = topics.get(topic)
    if (!answered) topics.set(topic, (answered = { name: topic, partitions: [] }))
    answered.partitions.push({ partitionIndex: partition, committedOffset: offset, committedLeaderEpoch: leaderEpoch, metadata, errorCode: code })
  }
  return { errorCode: 0, topics: [...topics.values()] }
}

async function fromZooKeeper({ groupId, topics }: Request, { broker }: RequestContext): Promise<Response> {
  const answers = new Map<string, PartitionAnswer>()
  const wishes = (topics ?? []).flatMap(({ name, partitionIndexes }) => partitionIndexes.map((partition) => ({ topic: name, partition })))
  await Promise.all(
    wishes.map(async ({ topic, partition }) => {
      // Such a consumer knows an offset that was never committed by the error of a partition that does not exist.
      let answer = none(errors.unknownTopicOrPartition.code)
      if (broker.metadata.partition(topic, partition))
        try {
          const offset = await broker.zookeeper.committedOffset(groupId, topic, partition)
          if (offset !== undefined) answer = { ...none(0), committedOffset: offset }
        } catch (error) {
          broker.host.logger.named('kafka.broker').warn('offset not read from ZooKeeper', { group: groupId, topic, partition, error })
          answer = none(errors.unknownServerError.code)
        }
      answers.set(`${partition}/${topic}`, answer)
    }),
  )
  return { topics: each(topics, (topic, partition) => answers.get(`${partition}/${topic}`) ?? none(errors.unknownServerError.code)) }
}
