/**
 * Metadata: brokers on the client's listener, topics, leaders. Behaviour by version: v0 an empty list means all topics; v0 hides
 * replicas that are not alive; below v6 a leader without the client's listener is LEADER_NOT_AVAILABLE; v12 asks by id.
 */
import { uuidZero } from '../../../wire/schema.ts'
import type { RequestOf, ResponseTo } from '../../protocol/api.ts'
import { errors } from '../../protocol/errors.ts'
import { Metadata } from '../../protocol/metadata.ts'
import type { PartitionView, TopicView } from '../../metadata/metadata-cache.ts'
import { operationsOn } from '../authorized-operations.ts'
import { nodeFor, nodesFor } from '../endpoints.ts'
import { handler, type RequestContext } from '../handler.ts'
import { internalTopics } from '../internal-topics.ts'

type TopicAnswer = ResponseTo<typeof Metadata>['topics'][number]

/** How long the answer of a broker that has just started waits for what the controller tells it. */
const firstNewsMsMax = 3_000

export const metadata = handler({
  api: Metadata,
  inPlace: true,
  refuse: (errorCode, request) => ({
    brokers: [],
    topics: (request.topics ?? []).map(({ name, topicId }) => ({ errorCode, name: name ?? '', topicId, partitions: [] })),
  }),
  answer(request, context) {
    const { metadata: known, host } = context.broker
    const isTold = (): boolean => known.brokers.size > 0
    if (isTold()) return answer(request, context)
    // It does not know yet what there is; librdkafka would take its topics for deleted, and refuse to write to them.
    return known.until(isTold, firstNewsMsMax, host.timers).then(() => answer(request, context))
  },
})

function answer(request: RequestOf<typeof Metadata>, context: RequestContext): ResponseTo<typeof Metadata> | Promise<ResponseTo<typeof Metadata>> {
  const { broker, version } = context
  const { topics } = request
  const withOperations = version >= 8 && request.includeTopicAuthorizedOperations
  const answerOf = (topic: TopicView) => describe(topic, context, withOperations)
  const whole = (answers: TopicAnswer[]): ResponseTo<typeof Metadata> => ({
    brokers: nodesFor(context),
    clusterId: broker.clusterId,
    controllerId: broker.metadata.controllerId,
    topics: answers,
    clusterAuthorizedOperations: version >= 8 && version <= 10 && request.includeClusterAuthorizedOperations ? operationsOn.cluster : operationsOn.notAsked,
  })
  if (topics === null || (version === 0 && topics.length === 0)) return whole([...broker.metadata.topics()].map(answerOf))
  // In v10 and v11 the field exists, but asking by id does not work yet.
  if (version < 12 && topics.some(({ topicId, name }) => topicId !== uuidZero || name === null))
    return { brokers: [], topics: topics.map(({ name, topicId }) => ({ errorCode: errors.invalidRequest.code, name: name ?? '', topicId, partitions: [] })) }
  if (version >= 12 && topics.some(({ topicId }) => topicId !== uuidZero)) {
    return whole(
      topics
        .filter(({ topicId }) => topicId !== uuidZero)
        .map(({ topicId }) => {
          const known = broker.metadata.topic(broker.metadata.topicName(topicId) ?? '')
          return known ? answerOf(known) : { errorCode: errors.unknownTopicId.code, name: null, topicId, partitions: [] }
        }),
    )
  }
  const names = [...new Set(topics.map(({ name }) => name ?? ''))]
  const answers = new Map<string, TopicAnswer>()
  const unknown: string[] = []
  for (const name of names) {
    const topic = broker.metadata.topic(name)
    if (topic) answers.set(name, answerOf(topic))
    else unknown.push(name)
  }
  if (unknown.length === 0) return whole([...answers.values()])
  // As Apache's: whoever mentions a topic that is made for that is told to ask again, at once; its leaders are on the way. What is there is answered as it
  // was before: it may be deleted meanwhile.
  return broker.topics.autoCreate(unknown, { allowed: request.allowAutoTopicCreation }).then((errorCodes) => {
    for (const [name, errorCode] of errorCodes) answers.set(name, { errorCode, name, isInternal: internalTopics.has(name), partitions: [] })
    return whole(names.map((name) => answers.get(name)!))
  })
}

function describe(topic: TopicView, context: RequestContext, withOperations: boolean): TopicAnswer {
  return {
    errorCode: 0,
    name: topic.name,
    topicId: topic.topicId,
    isInternal: internalTopics.has(topic.name),
    partitions: topic.partitions.flatMap((partition) => (partition ? [describePartition(partition, context)] : [])),
    topicAuthorizedOperations: withOperations ? operationsOn.topic : operationsOn.notAsked,
  }
}
function describePartition(partition: PartitionView, context: RequestContext): TopicAnswer['partitions'][number] {
  const { brokers } = context.broker.metadata
  const alive = (id: number) => brokers.has(id)
  const shown = {
    partitionIndex: partition.index,
    leaderId: partition.leader,
    leaderEpoch: partition.leaderEpoch,
    replicaNodes: partition.replicas,
    isrNodes: partition.isr,
    offlineReplicas: partition.replicas.filter((id) => !alive(id) || partition.offlineReplicas.includes(id)),
  }
  const withoutLeader = (errorCode: number) => ({ ...shown, errorCode, leaderId: -1 })
  if (partition.leader < 0 || !alive(partition.leader)) return withoutLeader(errors.leaderNotAvailable.code)
  if (!nodeFor(context, partition.leader)) return withoutLeader(context.version >= 6 ? errors.listenerNotFound.code : errors.leaderNotAvailable.code)
  if (context.version > 0) return { ...shown, errorCode: 0 }
  const replicaNodes = partition.replicas.filter(alive)
  const isrNodes = partition.isr.filter(alive)
  const hidden = replicaNodes.length < partition.replicas.length || isrNodes.length < partition.isr.length
  return { ...shown, replicaNodes, isrNodes, errorCode: hidden ? errors.replicaNotAvailable.code : 0 }
}
