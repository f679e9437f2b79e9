/** Creates, expands and deletes topics, for admins and by themselves (reference §4.8). Writes the znodes; the controller does the rest. */
import type { Host } from '../../host/host.ts'
import { uuidZero } from '../../wire/schema.ts'
import { RequestTooLargeError } from '../../zookeeper/client/errors.ts'
import type { BrokerSettings } from '../config/broker-settings.ts'
import { checkTopicConfig } from '../config/topic-settings.ts'
import type { Controller } from '../controller/controller.ts'
import { NoControllerError, randomUuid, type KafkaZooKeeper } from '../metadata/kafka-zookeeper.ts'
import type { MetadataCache } from '../metadata/metadata-cache.ts'
import { assignmentFault, assignReplicas, topicPartitionsMax, type AssignableBroker } from '../metadata/replica-assignment.ts'
import { clusterMetadataTopic, collides, topicNameFault } from '../metadata/topic-names.ts'
import { assigned, isReassigning, sizeFault, type TopicAssignment } from '../metadata/topic-znode.ts'
import { errors, type KafkaError } from '../protocol/errors.ts'
import { internalTopics, transactionsTopic } from './internal-topics.ts'
import { offsetsTopic } from './offsets-storage.ts'

export interface Refusal {
  readonly errorCode: number
  /** For a person: what was asked, what was found, what to do. */
  readonly message: string
}
export interface NewTopic {
  readonly name: string
  /** −1: the broker's defaults, or what `assignments` says. */
  readonly partitions: number
  readonly replicationFactor: number
  /** Replicas by partition; empty: they are spread over the brokers. */
  readonly assignments: readonly { readonly partitionIndex: number; readonly brokerIds: readonly number[] }[]
  readonly configs: readonly { readonly name: string; readonly value: string | null }[]
}
export interface CreatedTopic {
  /** Zero for a topic that was not to be made. */
  readonly topicId: string
  readonly partitions: number
  readonly replicationFactor: number
  readonly overrides: Readonly<Record<string, string>>
}
export interface MorePartitions {
  readonly name: string
  /** The new total. */
  readonly count: number
  /** Replicas of each added partition; null: they are spread. */
  readonly assignments: readonly { readonly brokerIds: readonly number[] }[] | null
}

export interface TopicAdminRooms {
  readonly zookeeper: KafkaZooKeeper
  readonly metadata: MetadataCache
  readonly settings: BrokerSettings
  readonly controller: Controller
  readonly brokerId: number
}

/** After a topic has left everybody's view its znodes are about to go; a name is free only then. */
const lastTraceMs = 1_000
const complaintMs = 60_000
const complaintsMax = 1_000

const refuse = (error: KafkaError, message: string): Refusal => ({ errorCode: error.code, message })
export const isRefusal = (outcome: object): outcome is Refusal => 'errorCode' in outcome

/** The coordinators' topics, as Apache makes them. */
function internalTopic(name: string, values: BrokerSettings['values']): NewTopic {
  const config = (entries: Record<string, string | number>) => Object.entries(entries).map(([key, value]) => ({ name: key, value: String(value) }))
  if (name === transactionsTopic)
    return {
      name,
      partitions: values['transaction.state.log.num.partitions'],
      replicationFactor: values['transaction.state.log.replication.factor'],
      assignments: [],
      configs: config({
        'unclean.leader.election.enable': 'false',
        'compression.type': 'uncompressed',
        'cleanup.policy': 'compact',
        'min.insync.replicas': values['transaction.state.log.min.isr'],
        'segment.bytes': values['transaction.state.log.segment.bytes'],
      }),
    }
  return {
    name,
    partitions: values['offsets.topic.num.partitions'],
    replicationFactor: values['offsets.topic.replication.factor'],
    assignments: [],
    configs: config({ 'compression.type': 'producer', 'cleanup.policy': 'compact', 'segment.bytes': values['offsets.topic.segment.bytes'] }),
  }
}

export class TopicAdmin {
  readonly #host: Host
  readonly #rooms: TopicAdminRooms
  /** Topics that are being made on somebody's mention; the next to mention one waits for the same answer. */
  readonly #creating = new Map<string, Promise<number>>()
  readonly #complaints = new Map<string, number>()

  constructor(host: Host, rooms: TopicAdminRooms) {
    this.#host = host
    this.#rooms = rooms
  }

  get isController(): boolean {
    return this.#rooms.controller.isActive
  }

  /**
   * For each topic that does not exist: makes it when that is `allowed` by the request and by `auto.create.topics.enable` (internal ones
   * always), and says what Metadata would: LEADER_NOT_AVAILABLE when it was made (its leaders are on the way), else why not.
   */
  async autoCreate(names: readonly string[], { allowed }: { allowed: boolean }): Promise<Map<string, number>> {
    const codes = await Promise.all(
      names.map((name) => {
        let creating = this.#creating.get(name)
        if (!creating) this.#creating.set(name, (creating = this.#autoCreate(name, allowed).finally(() => this.#creating.delete(name))))
        return creating
      }),
    )
    return new Map(names.map((name, index) => [name, codes[index]]))
  }
  async #autoCreate(name: string, allowed: boolean): Promise<number> {
    const { values } = this.#rooms.settings
    if (topicNameFault(name) !== undefined) return errors.invalidTopicException.code
    const internal = internalTopics.has(name)
    if (!internal && (!allowed || !values['auto.create.topics.enable'])) return errors.unknownTopicOrPartition.code
    const wish = internal ? internalTopic(name, values) : { name, partitions: values['num.partitions'], replicationFactor: values['default.replication.factor'], assignments: [], configs: [] }
    const outcome = await this.create(wish, { validateOnly: false })
    if (!isRefusal(outcome) || outcome.errorCode === errors.topicAlreadyExists.code) return errors.leaderNotAvailable.code
    this.#complain(name, outcome)
    return outcome.errorCode
  }

  /** Clients ask again many times a second: one line a minute for each topic is enough. */
  #complain(name: string, { errorCode, message }: Refusal): void {
    const now = this.#host.clock.monotonic()
    if (now - (this.#complaints.get(name) ?? -Infinity) < complaintMs) return
    if (this.#complaints.size >= complaintsMax) this.#complaints.clear()
    this.#complaints.set(name, now)
    const key = name === offsetsTopic ? 'offsets.topic.replication.factor' : name === transactionsTopic ? 'transaction.state.log.replication.factor' : 'default.replication.factor'
    const advice = errorCode === errors.invalidReplicationFactor.code ? `start more brokers or set ${key} to what there are` : undefined
    this.#host.logger.named('kafka.broker').warn('a topic could not be created on demand', { topic: name, because: message, advice })
  }

  /** Makes the znodes, unless only to be validated. Its leaders come a moment later: `created` waits for them. */
  async create(wish: NewTopic, { validateOnly }: { validateOnly: boolean }): Promise<CreatedTopic | Refusal> {
    const { zookeeper } = this.#rooms
    const { name } = wish
    const nameRefusal = await this.#refuseName(name)
    if (nameRefusal) return nameRefusal
    const without = wish.configs.filter(({ value }) => value === null)
    if (without.length > 0) return refuse(errors.invalidConfig, `Null value not supported for topic configs: ${without.map((config) => config.name).join(',')}`)
    const overrides = Object.fromEntries(wish.configs.map((config) => [config.name, config.value as string]))
    const assignment = this.#assign(wish)
    if (isRefusal(assignment)) return assignment
    const [configRefusal] = checkTopicConfig(Object.entries(overrides), { internal: internalTopics.has(name) })
    if (configRefusal) return refuse(errors.invalidConfig, configRefusal.message)
    const topicId = randomUuid(this.#host)
    const topic: TopicAssignment = { topicId, partitions: new Map([...assignment].map(([index, replicas]) => [index, assigned(replicas)])) }
    const tooLarge = sizeFault(topic)
    if (tooLarge !== undefined) return refuse(errors.invalidPartitions, tooLarge)
    const created = { topicId: validateOnly ? uuidZero : topicId, partitions: assignment.size, replicationFactor: assignment.get(0)?.length ?? 0, overrides }
    if (validateOnly) return created
    try {
      return (await zookeeper.createTopic(name, topic, overrides)) ? created : refuse(errors.topicAlreadyExists, `Topic '${name}' already exists.`)
    } catch (error) {
      if (error instanceof NoControllerError) return refuse(errors.notController, error.message)
      if (error instanceof RequestTooLargeError) return refuse(errors.invalidConfig, error.message)
      throw error
    }
  }
  async #refuseName(name: string): Promise<Refusal | undefined> {
    const { zookeeper, metadata } = this.#rooms
    const fault = topicNameFault(name)
    if (fault !== undefined) return refuse(errors.invalidTopicException, `Topic name is invalid: ${fault}`)
    if (name === clusterMetadataTopic) return refuse(errors.invalidRequest, `Creation of internal topic ${name} is prohibited.`)
    const exists = (isGoing: boolean): Refusal => refuse(errors.topicAlreadyExists, `Topic '${name}' ${isGoing ? 'is marked for deletion' : 'already exists'}.`)
    if (metadata.topic(name)) return exists(false)
    // ZooKeeper knows what is under way: topics without leaders yet, and those that are going.
    if (/[._]/.test(name)) {
      const names = await zookeeper.topicNames()
      if (names.includes(name)) return exists(await zookeeper.isMarkedForDeletion(name))
      const colliding = names.filter((other) => collides(name, other))
      if (colliding.length > 0) return refuse(errors.invalidTopicException, `Topic '${name}' collides with existing topics: ${colliding.join(', ')}`)
    } else if (await zookeeper.topic(name)) return exists(await zookeeper.isMarkedForDeletion(name))
    return undefined
  }
  #assign({ partitions, replicationFactor, assignments }: NewTopic): Map<number, number[]> | Refusal {
    const { values } = this.#rooms.settings
    if (assignments.length > 0) {
      if (partitions !== -1 || replicationFactor !== -1)
        return refuse(errors.invalidRequest, 'Both numPartitions or replicationFactor and replicasAssignments were set. Both cannot be used at the same time.')
      const given = new Map(assignments.map(({ partitionIndex, brokerIds }) => [partitionIndex, [...brokerIds]]))
      return this.#refuseAssignment(given, assignments.length) ?? given
    }
    const count = partitions === -1 ? values['num.partitions'] : partitions
    const factor = replicationFactor === -1 ? values['default.replication.factor'] : replicationFactor
    const brokers = this.#brokers()
    const fault = assignmentFault(brokers, { partitions: count, replicationFactor: factor })
    if (fault === 'partitions') return refuse(errors.invalidPartitions, `Number of partitions must be larger than 0 and at most ${topicPartitionsMax}, and not ${count}.`)
    if (fault === 'replicationFactor')
      return refuse(errors.invalidReplicationFactor, factor <= 0 ? 'Replication factor must be larger than 0.' : `Replication factor: ${factor} larger than available brokers: ${brokers.length}.`)
    const { random } = this.#host
    return assignReplicas(brokers, { partitions: count, replicationFactor: factor, startIndex: random.below(brokers.length), shift: random.below(brokers.length) })
  }
  #refuseAssignment(given: ReadonlyMap<number, readonly number[]>, count: number): Refusal | undefined {
    const invalid = (message: string): Refusal => refuse(errors.invalidReplicaAssignment, message)
    const factor = given.get(0)?.length
    if (given.size !== count) return invalid('A partition is assigned twice.')
    for (let index = 0; index < given.size; index++) if (!given.has(index)) return invalid('partitions should be a consecutive 0-based integer sequence')
    for (const [index, replicas] of given) {
      if (replicas.length === 0) return invalid(`Replica assignment for partition ${index} is empty.`)
      if (new Set(replicas).size !== replicas.length) return invalid(`Duplicate replica assignment found: partition ${index} has ${replicas.join(', ')}`)
      if (replicas.some((id) => id < 0)) return invalid(`Partition ${index} names broker ${Math.min(...replicas)}; broker ids are not negative.`)
      if (replicas.length !== factor) return invalid('All partitions should have the same number of replicas')
    }
    return undefined
  }
  #brokers(): AssignableBroker[] {
    return [...this.#rooms.metadata.brokers.values()].map(({ id, rack }) => ({ id, rack: rack ?? undefined }))
  }

  /** True when every partition of the topics has a leader that this broker knows of, within the time. */
  created(names: readonly string[], timeoutMs: number): Promise<boolean> {
    const { metadata } = this.#rooms
    const usable = (name: string): boolean => metadata.topic(name)?.partitions.every((partition) => partition !== undefined && partition.leader >= 0) ?? false
    return metadata.until(() => names.every(usable), timeoutMs, this.#host.timers)
  }

  /** Adds partitions up to a new total, unless only to be validated. `expanded` waits for their leaders. */
  async expand({ name, count, assignments }: MorePartitions, { validateOnly }: { validateOnly: boolean }): Promise<Refusal | { count: number }> {
    const { zookeeper } = this.#rooms
    const topic = await zookeeper.topic(name)
    if (!topic) return refuse(errors.unknownTopicOrPartition, `The topic '${name}' does not exist.`)
    if (await zookeeper.isMarkedForDeletion(name)) return refuse(errors.invalidTopicException, `Topic '${name}' is being deleted.`)
    if ([...topic.partitions.values()].some(isReassigning)) return refuse(errors.reassignmentInProgress, `A partition reassignment is in progress for the topic '${name}'.`)
    const before = topic.partitions.size
    if (count < before) return refuse(errors.invalidPartitions, `Topic currently has ${before} partitions, which is higher than the requested ${count}.`)
    if (count === before) return refuse(errors.invalidPartitions, `Topic already has ${before} partitions.`)
    if (count > topicPartitionsMax) return refuse(errors.invalidPartitions, `A topic may have ${topicPartitionsMax} partitions, and not ${count}.`)
    const factor = topic.partitions.get(0)?.replicas.length ?? 1
    const added = assignments === null ? this.#spread(topic, count - before, factor) : this.#given(assignments, before, count, factor)
    if (isRefusal(added)) return added
    const expanded = { topicId: topic.topicId, partitions: new Map([...topic.partitions, ...[...added].map(([index, replicas]) => [index, assigned(replicas)] as const)]) }
    const tooLarge = sizeFault(expanded)
    if (tooLarge !== undefined) return refuse(errors.invalidPartitions, tooLarge)
    if (validateOnly) return { count }
    // Somebody has changed the topic meanwhile, as a reassignment does: what was decided may not hold any more.
    return (await zookeeper.replaceTopicAssignment(name, topic, expanded)) ? { count } : this.expand({ name, count, assignments }, { validateOnly })
  }
  /** As the first partition would have had it, had there been as many at once. */
  #spread(topic: TopicAssignment, more: number, factor: number): Map<number, number[]> | Refusal {
    const brokers = this.#brokers().sort((one, other) => one.id - other.id)
    if (assignmentFault(brokers, { partitions: more, replicationFactor: factor })) return refuse(errors.invalidReplicationFactor, `Replication factor: ${factor} larger than available brokers: ${brokers.length}.`)
    const first = topic.partitions.get(0)?.replicas[0] ?? -1
    const startIndex = Math.max(0, brokers.findIndex(({ id }) => id >= first))
    return assignReplicas(brokers, { partitions: more, replicationFactor: factor, startIndex, shift: startIndex, firstPartition: topic.partitions.size })
  }
  #given(assignments: readonly { readonly brokerIds: readonly number[] }[], before: number, count: number, factor: number): Map<number, number[]> | Refusal {
    const invalid = (message: string): Refusal => refuse(errors.invalidReplicaAssignment, message)
    if (assignments.length !== count - before) return invalid(`Increasing the number of partitions by ${count - before} but ${assignments.length} assignments provided.`)
    const unknown = new Set(assignments.flatMap(({ brokerIds }) => brokerIds.filter((id) => !this.#rooms.metadata.brokers.has(id))))
    if (unknown.size > 0) return invalid(`Unknown broker(s) in replica assignment: ${[...unknown].join(', ')}.`)
    for (const [index, { brokerIds }] of assignments.entries()) {
      if (brokerIds.length === 0) return invalid(`Cannot have replication factor of 0 for partition id ${before + index}.`)
      if (new Set(brokerIds).size !== brokerIds.length) return invalid(`Duplicate brokers not allowed in replica assignment: ${brokerIds.join(', ')} for partition id ${before + index}.`)
      if (brokerIds.length !== factor) return invalid(`Inconsistent replication factor between partitions, partition 0 has ${factor} while partition ${before + index} has ${brokerIds.length}.`)
    }
    return new Map(assignments.map(({ brokerIds }, index) => [before + index, [...brokerIds]]))
  }
  expanded(counts: ReadonlyMap<string, number>, timeoutMs: number): Promise<boolean> {
    const { metadata } = this.#rooms
    const usable = (name: string, count: number): boolean => {
      const partitions = metadata.topic(name)?.partitions ?? []
      return partitions.length >= count && partitions.every((partition) => partition !== undefined && partition.leader >= 0)
    }
    return metadata.until(() => [...counts].every(([name, count]) => usable(name, count)), timeoutMs, this.#host.timers)
  }

  /** Asks the controller to delete a topic. `deleted` waits until it is gone. */
  async markForDeletion(name: string): Promise<Refusal | undefined> {
    const { zookeeper, settings, metadata } = this.#rooms
    if (!settings.values['delete.topic.enable']) return refuse(errors.topicDeletionDisabled, 'Topic deletion is disabled.')
    const unknown = refuse(errors.unknownTopicOrPartition, errors.unknownTopicOrPartition.message)
    // Nobody sees it any more: its last traces wait for ZooKeeper, or for a broker that is away.
    if (!metadata.topic(name) && (await zookeeper.isMarkedForDeletion(name))) return unknown
    if (!(await zookeeper.topic(name))) return unknown
    await zookeeper.markForDeletion(name)
    return undefined
  }
  /** True when nobody sees the topics any more, within the time; then their names are free, too. */
  async deleted(names: readonly string[], timeoutMs: number): Promise<boolean> {
    const { metadata, controller } = this.#rooms
    const gone = await metadata.until(() => names.every((name) => !metadata.topic(name)), timeoutMs, this.#host.timers)
    if (gone) await controller.whenDeleted(names, Math.min(timeoutMs, lastTraceMs))
    return gone
  }
}
