/** What `kafka-topics.sh --describe` prints: one line for a topic, one for each partition. */
import type { KafkaClient, TopicMetadata } from '../kafka/client/client.ts'
import { UnsupportedVersionError } from '../kafka/client/connection.ts'
import { DescribeConfigs } from '../kafka/protocol/describe-configs.ts'
import { errors, RefusedError } from '../kafka/protocol/errors.ts'
import { ListPartitionReassignments } from '../kafka/protocol/list-partition-reassignments.ts'
import { Metadata } from '../kafka/protocol/metadata.ts'
import { uuidZero } from '../wire/schema.ts'

export interface DescribeFilters {
  underReplicated: boolean
  unavailable: boolean
  underMinIsr: boolean
  atMinIsr: boolean
  withOverrides: boolean
}
type Partition = TopicMetadata['partitions'][number]
interface Moving {
  addingReplicas: readonly number[]
  removingReplicas: readonly number[]
}
const topicResource = 2
const sourceDefault = 5
const sourceTopic = 1

export async function describeTopics(
  client: KafkaClient,
  { names, topicId, ifExists }: { names: readonly string[]; topicId?: string; ifExists: boolean },
  filters: DescribeFilters,
): Promise<string[]> {
  const topics = topicId === undefined ? await byName(client, names) : await byId(client, topicId, ifExists)
  if (topics.length === 0) return []
  const configs = await configsOf(client, topics.map(({ name }) => name!))
  const moving = await reassignments(client, topics)
  const partitionsOnly = filters.underReplicated || filters.unavailable || filters.underMinIsr || filters.atMinIsr
  const lines: string[] = []
  for (const topic of topics.sort((a, b) => (a.name! < b.name! ? -1 : 1))) {
    const own = configs.get(topic.name!) ?? []
    if (filters.withOverrides && !own.some(({ source }) => source === sourceTopic)) continue
    if (!partitionsOnly) lines.push(topicLine(topic, own, moving))
    if (filters.withOverrides) continue
    const minIsr = Number(own.find(({ name }) => name === 'min.insync.replicas')?.value ?? 1)
    for (const partition of [...topic.partitions].sort((a, b) => a.partitionIndex - b.partitionIndex))
      if (!partitionsOnly || shown(partition, filters, minIsr, client)) lines.push(partitionLine(topic, partition, moving.get(`${topic.name}-${partition.partitionIndex}`)))
  }
  return lines
}

async function byName(client: KafkaClient, names: readonly string[]): Promise<TopicMetadata[]> {
  if (names.length === 0) return []
  const answer = await client.retrying('Metadata', () => client.metadata(names))
  // A topic that was deleted since it was listed is not there any more: nothing to describe.
  return answer.topics.filter(({ name, errorCode }) => {
    if (errorCode === 0) return true
    if (errorCode === errors.unknownTopicOrPartition.code) return false
    throw new RefusedError(errorCode, `topic ${name}: ${new RefusedError(errorCode).message}`)
  })
}
async function byId(client: KafkaClient, topicId: string, ifExists: boolean): Promise<TopicMetadata[]> {
  if (!/^[A-Za-z0-9_-]{22}$/.test(topicId)) throw new Error(`'${topicId}' is not a topic id: those have 22 characters`)
  const { topics } = await client.call({ kind: 'any' }, Metadata, (version) => {
    if (version < 12) throw new UnsupportedVersionError('the broker cannot look up topics by id')
    return { topics: [{ topicId, name: null }], allowAutoTopicCreation: false }
  })
  const found = topics.filter(({ errorCode }) => errorCode === 0)
  if (found.length === 0 && !ifExists) throw new Error(`TopicId '${topicId}' does not exist as expected`)
  return found
}

type Config = { name: string; value: string | null; source: number }
async function configsOf(client: KafkaClient, names: readonly string[]): Promise<Map<string, Config[]>> {
  const resources = names.map((resourceName) => ({ resourceType: topicResource, resourceName, configurationKeys: null }))
  const { results } = await client.call({ kind: 'any' }, DescribeConfigs, { resources }, {
    errorsIn: (response) => response.results.filter(({ errorCode }) => errorCode !== errors.unknownTopicOrPartition.code),
  })
  return new Map(
    results.map(({ resourceName, configs }) => [
      resourceName,
      // v0 knows no sources, only whether a value is the default.
      configs.map(({ name, value, configSource, isDefault }) => ({ name, value, source: configSource === -1 ? (isDefault ? sourceDefault : sourceTopic) : configSource })),
    ]),
  )
}
/** By `topic-partition`; empty where the broker cannot tell. */
async function reassignments(client: KafkaClient, topics: readonly TopicMetadata[]): Promise<Map<string, Moving>> {
  const moving = new Map<string, Moving>()
  try {
    const wanted = topics.map(({ name, partitions }) => ({ name: name!, partitionIndexes: partitions.map(({ partitionIndex }) => partitionIndex) }))
    const answer = await client.call({ kind: 'controller' }, ListPartitionReassignments, { topics: wanted, timeoutMs: 30_000 })
    for (const { name, partitions } of answer.topics) for (const { partitionIndex, ...lists } of partitions) moving.set(`${name}-${partitionIndex}`, lists)
  } catch (error) {
    const denied = error instanceof RefusedError && error.error === errors.clusterAuthorizationFailed
    if (!denied && !(error instanceof UnsupportedVersionError)) throw error
  }
  return moving
}

function topicLine({ name, topicId, partitions }: TopicMetadata, configs: readonly Config[], moving: ReadonlyMap<string, Moving>): string {
  const first = partitions.find(({ partitionIndex }) => partitionIndex === 0) ?? partitions[0]
  const adding = moving.get(`${name}-${first?.partitionIndex}`)?.addingReplicas.length ?? 0
  const shownConfigs = configs
    .filter(({ source }) => source !== sourceDefault)
    .map(({ name: key, value }) => `${key}=${value}`)
    .sort()
    .join(',')
  const id = topicId === uuidZero ? '' : `\tTopicId: ${topicId}`
  return `Topic: ${name}${id}\tPartitionCount: ${partitions.length}\tReplicationFactor: ${(first?.replicaNodes.length ?? 0) - adding}\tConfigs: ${shownConfigs}`
}
function partitionLine({ name }: TopicMetadata, { partitionIndex, leaderId, replicaNodes, isrNodes }: Partition, moving: Moving | undefined): string {
  const changes = moving ? `\tAdding Replicas: ${moving.addingReplicas.join(',')}\tRemoving Replicas: ${moving.removingReplicas.join(',')}` : ''
  const leader = leaderId < 0 ? 'none' : leaderId
  return `\tTopic: ${name}\tPartition: ${partitionIndex}\tLeader: ${leader}\tReplicas: ${replicaNodes.join(',')}\tIsr: ${isrNodes.join(',')}${changes}\tElr: N/A\tLastKnownElr: N/A`
}
function shown({ leaderId, replicaNodes, isrNodes }: Partition, filters: DescribeFilters, minIsr: number, client: KafkaClient): boolean {
  return (
    (filters.underReplicated && isrNodes.length < replicaNodes.length) ||
    (filters.unavailable && !client.brokers.has(leaderId)) ||
    (filters.underMinIsr && (leaderId < 0 || isrNodes.length < minIsr)) ||
    (filters.atMinIsr && isrNodes.length === minIsr)
  )
}
