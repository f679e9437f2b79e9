/**
 * The driver of the groups whose partition of `__consumer_offsets` this broker leads: loads and unloads partitions, hands
 * requests to groups, appends what they want on record, arms one timer for each group, resolves the waiting requests.
 */
import type { Host, Logger, Timer } from '../../host/host.ts'
import type { RequestOf, ResponseTo } from '../protocol/api.ts'
import type { DescribeGroups } from '../protocol/describe-groups.ts'
import { errors } from '../protocol/errors.ts'
import type { Heartbeat } from '../protocol/heartbeat.ts'
import type { JoinGroup } from '../protocol/join-group.ts'
import type { LeaveGroup } from '../protocol/leave-group.ts'
import type { ListGroups } from '../protocol/list-groups.ts'
import type { SyncGroup } from '../protocol/sync-group.ts'
import { batchesIn } from '../records/decode.ts'
import type { Commit, TopicPartition } from './committed-offsets.ts'
import type { GroupConfig } from './group-config.ts'
import type { GroupStorage } from './group-storage.ts'
import type { Group } from './group.ts'
import { OffsetsPartition } from './offsets-partition.ts'
import { offsetsPartitionOf } from './offsets-partition-of.ts'
import { fitsRecord, OffsetsRecords } from './offsets-records.ts'
import { refusedJoin, refusedSync, type Input, type Leaving, type MemberClaim, type Output, type Time } from './steps.ts'

/** Who asks, for member ids and for DescribeGroups. */
export interface Asker {
  readonly version: number
  readonly clientId: string | null
  /** As Java prints an address: `/10.0.0.1`. */
  readonly clientHost: string
}
export interface GroupCoordinatorOptions {
  readonly config: GroupConfig
  readonly storage: GroupStorage
  /** Partitions of `__consumer_offsets` as it exists; as it would be created while it does not. */
  readonly partitionCount: () => number
}
type Answer = Exclude<Output, { kind: 'persist' | 'noted' }>
type Describe = ResponseTo<typeof DescribeGroups>['groups'][number]
type Description = Omit<Describe, 'authorizedOperations'>

/** Groups, records or offsets handled before the loop gets its turn. */
const sliceCount = 500
/** A partition that could not be read is tried again after this long. */
const loadRetryMs = 1_000
/** The longest a timer of Node can be. */
const timerMsMax = 0x7fff_ffff
/** Which APIs may name the group "": those that only store, read and delete offsets, for old simple consumers. */
type Naming = 'any' | 'nonEmpty'

export class GroupCoordinator {
  readonly #host: Host
  readonly #logger: Logger
  readonly #config: GroupConfig
  readonly #storage: GroupStorage
  readonly #partitionCount: () => number
  readonly #records = new OffsetsRecords()
  readonly #partitions = new Map<number, OffsetsPartition>()
  /** The newest leader epoch heard of for each partition: an older election or resignation changes nothing. */
  readonly #epochs = new Map<number, number>()
  readonly #wakeUps = new Map<Group, { timer: Timer; at: number }>()
  readonly #waiting = new Map<number, (answer: Answer) => void>()
  #tickets = 0
  #active = false
  #expiry: Timer | undefined
  readonly #loads = new Set<Promise<void>>()

  constructor(host: Host, { config, storage, partitionCount }: GroupCoordinatorOptions) {
    this.#host = host
    this.#logger = host.logger.named('kafka.groups')
    this.#config = config
    this.#storage = storage
    this.#partitionCount = partitionCount
  }

  /** Begins to answer; until then every request gets COORDINATOR_NOT_AVAILABLE. */
  start(): void {
    this.#active = true
    this.#expiry ??= this.#host.timers.every(Math.min(this.#config.retentionCheckIntervalMs, timerMsMax), () => void this.expireOffsets())
  }
  /** Waiting requests are answered NOT_COORDINATOR, later ones COORDINATOR_NOT_AVAILABLE. */
  async stop(): Promise<void> {
    this.#active = false
    this.#expiry?.cancel()
    this.#expiry = undefined
    for (const partition of this.#partitions.values()) this.#unload(partition)
    await Promise.all(this.#loads)
  }

  partitionFor(groupId: string): number {
    return offsetsPartitionOf(groupId, this.#partitionCount())
  }
  /** Requests that wait for a group's decision or for the log. */
  get waitingCount(): number {
    return this.#waiting.size
  }
  get groupCount(): number {
    let count = 0
    for (const { groups } of this.#partitions.values()) count += groups.size
    return count
  }

  // ---- leadership

  /** This broker leads the partition from now on; resolves when its groups are loaded or the leadership is gone again. */
  elected(index: number, leaderEpoch: number): Promise<void> {
    if (leaderEpoch < (this.#epochs.get(index) ?? -1)) return Promise.resolve()
    this.#epochs.set(index, leaderEpoch)
    const before = this.#partitions.get(index)
    // Led already, and led on: what is in memory is what is on record.
    if (before) return Promise.resolve()
    const partition = new OffsetsPartition(index, leaderEpoch, this.#records, this.#config)
    this.#partitions.set(index, partition)
    const load = this.#load(partition)
    this.#loads.add(load)
    return load.finally(() => this.#loads.delete(load))
  }
  /** This broker does not lead the partition any more. Without an epoch (the partition is being deleted) it always counts. */
  resigned(index: number, leaderEpoch?: number): void {
    if (leaderEpoch !== undefined) {
      if (leaderEpoch < (this.#epochs.get(index) ?? -1)) return
      this.#epochs.set(index, leaderEpoch)
    } else this.#epochs.delete(index)
    const partition = this.#partitions.get(index)
    if (partition) this.#unload(partition)
  }

  async #load(partition: OffsetsPartition): Promise<void> {
    const since = this.#host.clock.monotonic()
    let offset: number | undefined
    let replayed = 0
    while (this.#isCurrent(partition)) {
      try {
        const bytes = await this.#storage.read(partition.index, offset, this.#config.loadBufferSize)
        if (!this.#isCurrent(partition)) return
        if (bytes.length === 0) return this.#loaded(partition, since)
        for (const batch of batchesIn(bytes)) {
          partition.replay(batch, this.#time(), {
            unreadable: (at, error) => this.#logger.warn('record passed over: it cannot be read', { partition: `__consumer_offsets-${partition.index}`, offset: at, error }),
          })
          offset = batch.nextOffset
          if (++replayed % sliceCount === 0) {
            await this.#turn()
            if (!this.#isCurrent(partition)) return
          }
        }
      } catch (error) {
        // Serving what was read so far would make clients start from scratch: rather keep them waiting.
        this.#logger.error('groups not loaded yet; trying again', { partition: `__consumer_offsets-${partition.index}`, offset, error })
        await this.#host.timers.sleep(loadRetryMs)
      }
    }
  }
  #loaded(partition: OffsetsPartition, since: number): void {
    for (const { group, outputs } of partition.loaded(this.#time())) this.#perform(partition, group, outputs)
    // Fifty partitions that hold nothing are not worth fifty lines.
    this.#logger[partition.groups.size > 0 ? 'info' : 'debug']('groups loaded', {
      partition: `__consumer_offsets-${partition.index}`, epoch: partition.leaderEpoch, groups: partition.groups.size, ms: Math.round(this.#host.clock.monotonic() - since),
    })
  }
  #unload(partition: OffsetsPartition): void {
    this.#partitions.delete(partition.index)
    for (const group of partition.groups.values()) this.#perform(partition, group, group.step({ kind: 'unloaded', errorCode: errors.notCoordinator.code }))
    this.#logger[partition.groups.size > 0 ? 'info' : 'debug']('groups unloaded', { partition: `__consumer_offsets-${partition.index}`, groups: partition.groups.size })
    partition.groups.clear()
  }
  #isCurrent(partition: OffsetsPartition): boolean {
    return this.#partitions.get(partition.index) === partition
  }

  // ---- requests of members

  async join(request: RequestOf<typeof JoinGroup>, asker: Asker): Promise<ResponseTo<typeof JoinGroup>> {
    const { memberId, sessionTimeoutMs, groupInstanceId } = request
    const found = this.#find(request.groupId)
    if (typeof found === 'number') return refusedJoin(memberId, found)
    if (sessionTimeoutMs < this.#config.sessionTimeoutMsMin || sessionTimeoutMs > this.#config.sessionTimeoutMsMax)
      return refusedJoin(memberId, errors.invalidSessionTimeout.code)
    // A member that cannot be put on record would keep the whole group from it.
    if (![request.protocolType, groupInstanceId ?? '', ...request.protocols.map(({ name }) => name)].every(fitsRecord)) return refusedJoin(memberId, errors.invalidRequest.code)
    const group = memberId === '' ? found.groupOf(request.groupId, this.#time()) : found.groups.get(request.groupId)
    if (!group) return refusedJoin(memberId, errors.unknownMemberId.code)
    const answer = await this.#ask(found, group, (ticket) => ({
      kind: 'join', ticket, memberId, instanceId: groupInstanceId, clientId: asker.clientId ?? '', clientHost: asker.clientHost,
      uuid: this.#uuid(), memberIdRequired: asker.version >= 4, canSkipAssignment: asker.version >= 9,
      protocolType: request.protocolType, protocols: request.protocols, sessionTimeoutMs,
      // Version 0 has no rebalance timeout of its own.
      rebalanceTimeoutMs: asker.version === 0 ? sessionTimeoutMs : request.rebalanceTimeoutMs, reason: request.reason, time: this.#time(),
    }))
    return answer.kind === 'joined' ? answer.answer : refusedJoin(memberId, errors.unknownServerError.code)
  }

  async sync(request: RequestOf<typeof SyncGroup>): Promise<ResponseTo<typeof SyncGroup>> {
    const found = this.#find(request.groupId)
    // Old clients do not know that a coordinator may be loading; told to rebalance they come back, too.
    if (found === errors.coordinatorLoadInProgress.code) return refusedSync(errors.rebalanceInProgress.code)
    if (typeof found === 'number') return refusedSync(found)
    const group = found.groups.get(request.groupId)
    if (!group) return refusedSync(errors.unknownMemberId.code)
    const answer = await this.#ask(found, group, (ticket) => ({
      kind: 'sync', ticket, member: claimOf(request), protocolType: request.protocolType, protocolName: request.protocolName,
      assignments: new Map(request.assignments.map(({ memberId, assignment }) => [memberId, assignment])), time: this.#time(),
    }))
    return answer.kind === 'synced' ? answer.answer : refusedSync(errors.unknownServerError.code)
  }

  async heartbeat(request: RequestOf<typeof Heartbeat>): Promise<ResponseTo<typeof Heartbeat>> {
    const found = this.#find(request.groupId)
    // A member should not give up its partitions because its coordinator is loading.
    if (found === errors.coordinatorLoadInProgress.code) return { errorCode: 0 }
    if (typeof found === 'number') return { errorCode: found }
    const group = found.groups.get(request.groupId)
    if (!group) return { errorCode: errors.unknownMemberId.code }
    return { errorCode: errorOf(await this.#ask(found, group, (ticket) => ({ kind: 'heartbeat', ticket, member: claimOf(request), time: this.#time() }))) }
  }

  /** Below version 3 the one member's error is the answer's. */
  async leave(request: RequestOf<typeof LeaveGroup>, { version }: { version: number }): Promise<ResponseTo<typeof LeaveGroup>> {
    const leaving: Leaving[] = version < 3
      ? [{ memberId: request.memberId, instanceId: null, reason: null }]
      : request.members.map(({ memberId, groupInstanceId, reason }) => ({ memberId, instanceId: groupInstanceId, reason }))
    const { errorCode, errorCodes } = await this.#leave(request.groupId, leaving)
    if (version < 3) return { errorCode: errorCode || (errorCodes[0] ?? 0), members: [] }
    const members = errorCode !== 0 ? [] : request.members.map(({ memberId, groupInstanceId }, index) => ({ memberId, groupInstanceId, errorCode: errorCodes[index] ?? 0 }))
    return { errorCode, members }
  }
  async #leave(groupId: string, leaving: readonly Leaving[]): Promise<{ errorCode: number; errorCodes: readonly number[] }> {
    const found = this.#find(groupId)
    if (typeof found === 'number') return { errorCode: found, errorCodes: [] }
    const group = found.groups.get(groupId)
    if (!group) return { errorCode: 0, errorCodes: leaving.map(() => errors.unknownMemberId.code) }
    return eachOf(await this.#ask(found, group, (ticket) => ({ kind: 'leave', ticket, leaving, time: this.#time() })))
  }

  // ---- offsets

  /** An error code for each commit, in order. A producer makes them part of its transaction. */
  async commitOffsets(
    groupId: string,
    member: MemberClaim,
    commits: readonly Commit[],
    producer?: { readonly id: number; readonly epoch: number },
  ): Promise<readonly number[]> {
    const all = (errorCode: number) => commits.map(() => errorCode)
    const found = this.#find(groupId, 'any')
    if (typeof found === 'number') return all(found)
    let group = found.groups.get(groupId)
    if (!group && member.generation >= 0 && !producer) return all(errors.illegalGeneration.code)
    group ??= found.groupOf(groupId, this.#time())
    if (producer) found.opened(producer.id, groupId)
    const { errorCode, errorCodes } = eachOf(
      await this.#ask(found, group, (ticket) => ({ kind: 'commit', ticket, member, commits, time: this.#time(), ...(producer && { producer }) })),
    )
    return errorCodes.length === commits.length ? errorCodes : all(errorCode)
  }

  /** What the group has committed of these partitions, or of all (null). −1 for what it has not. */
  fetchOffsets(
    groupId: string,
    partitions: readonly TopicPartition[] | null,
    { requireStable }: { requireStable: boolean },
  ): { errorCode: number; offsets: (TopicPartition & { offset: number; leaderEpoch: number; metadata: string; errorCode: number })[] } {
    const found = this.#find(groupId, 'any')
    if (typeof found === 'number') return { errorCode: found, offsets: [] }
    const group = found.groups.get(groupId)
    const offsets = (partitions ?? group?.committedPartitions() ?? []).map(({ topic, partition }) => ({
      topic, partition,
      ...(group?.fetchOffset({ topic, partition }, requireStable) ?? { offset: -1, leaderEpoch: -1, metadata: '', errorCode: 0 }),
    }))
    return { errorCode: 0, offsets }
  }

  /** One error for the whole, or one for each partition, in order. */
  async deleteOffsets(groupId: string, partitions: readonly TopicPartition[]): Promise<{ errorCode: number; errorCodes: readonly number[] }> {
    const found = this.#find(groupId)
    if (typeof found === 'number') return { errorCode: found, errorCodes: [] }
    const group = found.groups.get(groupId)
    if (!group) return { errorCode: errors.groupIdNotFound.code, errorCodes: [] }
    return eachOf(await this.#ask(found, group, (ticket) => ({ kind: 'deleteOffsets', ticket, partitions, time: this.#time() })))
  }

  async deleteGroup(groupId: string): Promise<number> {
    const found = this.#find(groupId, 'any')
    if (typeof found === 'number') return found
    const group = found.groups.get(groupId)
    if (!group) return errors.groupIdNotFound.code
    return errorOf(await this.#ask(found, group, (ticket) => ({ kind: 'delete', ticket, time: this.#time() })))
  }

  /** The topics' partitions are gone: so are the offsets committed for them. */
  topicPartitionsDeleted(partitions: readonly TopicPartition[]): void {
    if (partitions.length === 0) return
    this.#eachGroup((time) => ({ kind: 'partitionsDeleted', partitions, time }))
  }
  /** The marker that ends the producer's transaction is on record in that partition of `__consumer_offsets`. */
  transactionCompleted(producerId: number, index: number, committed: boolean): void {
    const partition = this.#partitions.get(index)
    if (!partition) return
    for (const group of partition.ended(producerId)) this.#step(partition, group, { kind: 'transactionEnded', producerId, committed })
  }
  /** Removes what has outlived its retention; runs by itself every `offsets.retention.check.interval.ms`. */
  async expireOffsets(): Promise<void> {
    let seen = 0
    for (const partition of this.#partitions.values()) {
      if (partition.loading) continue
      for (const group of partition.groups.values()) {
        if (!this.#isCurrent(partition)) break
        this.#step(partition, group, { kind: 'expireOffsets', retentionMs: this.#config.retentionMs, time: this.#time() })
        if (++seen % sliceCount === 0) await this.#turn()
      }
    }
  }

  // ---- what administrators see

  describe(groupId: string): Description {
    const found = this.#find(groupId, 'any')
    const nothing = { groupId, protocolType: '', protocolData: '', members: [] }
    if (typeof found === 'number') return { ...nothing, errorCode: found, groupState: '' }
    const group = found.groups.get(groupId)
    if (!group) return { ...nothing, errorCode: 0, groupState: 'Dead' }
    const { state, protocolType, protocol, members } = group.describe()
    return { errorCode: 0, groupId, groupState: state, protocolType, protocolData: protocol, members }
  }
  /** States and types are matched whatever their case; all groups here are of the type "classic". */
  list({ statesFilter, typesFilter }: RequestOf<typeof ListGroups>): ResponseTo<typeof ListGroups> {
    if (!this.#active) return { errorCode: errors.coordinatorNotAvailable.code, groups: [] }
    const states = new Set(statesFilter.map((state) => state.toLowerCase()))
    const isClassicWanted = typesFilter.length === 0 || typesFilter.some((type) => type.toLowerCase() === 'classic')
    const groups: { groupId: string; protocolType: string; groupState: string; groupType: string }[] = []
    let isLoading = false
    for (const partition of this.#partitions.values()) {
      if (partition.loading) isLoading = true
      else if (isClassicWanted)
        for (const group of partition.groups.values())
          if (states.size === 0 || states.has(group.state.toLowerCase()))
            groups.push({ groupId: group.id, protocolType: group.protocolType ?? '', groupState: group.state, groupType: 'classic' })
    }
    return { errorCode: isLoading ? errors.coordinatorLoadInProgress.code : 0, groups }
  }

  // ---- performing

  /** The loaded partition of the group, or why there is none here. */
  #find(groupId: string, naming: Naming = 'nonEmpty'): OffsetsPartition | number {
    if ((groupId === '' && naming === 'nonEmpty') || !fitsRecord(groupId)) return errors.invalidGroupId.code
    if (!this.#active) return errors.coordinatorNotAvailable.code
    const partition = this.#partitions.get(this.partitionFor(groupId))
    if (!partition) return errors.notCoordinator.code
    return partition.loading ? errors.coordinatorLoadInProgress.code : partition
  }

  #ask(partition: OffsetsPartition, group: Group, inputOf: (ticket: number) => Input): Promise<Answer> {
    const ticket = ++this.#tickets
    return new Promise((resolve) => {
      this.#waiting.set(ticket, resolve)
      this.#step(partition, group, inputOf(ticket))
    })
  }
  #step(partition: OffsetsPartition, group: Group, input: Input): void {
    this.#perform(partition, group, group.step(input))
  }
  #perform(partition: OffsetsPartition, group: Group, outputs: readonly Output[]): void {
    for (const output of outputs)
      switch (output.kind) {
        case 'persist':
          this.#persist(partition, group, output)
          break
        case 'noted':
          this.#logger.info(output.event, output.facts)
          break
        case 'joined': case 'synced': case 'answered': case 'answeredEach': {
          const resolve = this.#waiting.get(output.ticket)
          this.#waiting.delete(output.ticket)
          resolve?.(output)
          break
        }
        default: output satisfies never
      }
    if (group.state === 'Dead' || group.isVoid) this.#forget(partition, group)
    else this.#arm(partition, group)
  }
  #persist(partition: OffsetsPartition, group: Group, output: Extract<Output, { kind: 'persist' }>): void {
    const { token } = output
    const done = (errorCode: number, baseOffset: number) =>
      this.#step(partition, group, { kind: 'persisted', token, errorCode, baseOffset, time: this.#time() })
    let batch: Buffer
    try {
      batch = partition.encode(group.id, output, this.#host.clock.now(), this.#config.compression)
    } catch (error) {
      // A string of more than 32,767 bytes, which the record's format cannot hold.
      this.#logger.warn('records refused: they cannot be written in the format of __consumer_offsets', { group: group.id, error })
      return done(errors.invalidRequest.code, -1)
    }
    void this.#storage.append(partition.index, batch, this.#config.commitTimeoutMs).then(({ errorCode, baseOffset }) => {
      if (this.#isCurrent(partition)) done(errorCode, baseOffset)
    })
  }
  #forget(partition: OffsetsPartition, group: Group): void {
    this.#wakeUps.get(group)?.timer.cancel()
    this.#wakeUps.delete(group)
    if (partition.groups.get(group.id) === group) partition.groups.delete(group.id)
  }
  /** One timer for each group, for the earliest it may want; deadlines mostly move back, and an early call is harmless. */
  #arm(partition: OffsetsPartition, group: Group): void {
    const armed = this.#wakeUps.get(group)
    if (group.wakeAt === Infinity || (armed && armed.at <= group.wakeAt)) return
    armed?.timer.cancel()
    const at = group.wakeAt
    const timer = this.#host.timers.set(Math.min(Math.max(at - this.#host.clock.monotonic(), 0), timerMsMax), () => {
      this.#wakeUps.delete(group)
      if (partition.groups.get(group.id) === group) this.#step(partition, group, { kind: 'ticked', time: this.#time() })
    })
    this.#wakeUps.set(group, { timer, at })
  }
  #eachGroup(inputOf: (time: Time) => Input): void {
    for (const partition of this.#partitions.values())
      if (!partition.loading) for (const group of partition.groups.values()) this.#step(partition, group, inputOf(this.#time()))
  }

  #time(): Time {
    return { now: this.#host.clock.monotonic(), wallMs: this.#host.clock.now() }
  }
  #turn(): Promise<void> {
    return new Promise((resolve) => this.#host.timers.endOfTurn(resolve))
  }
  /** A random UUID, version 4. */
  #uuid(): string {
    const random = this.#host.random.bytes(16)
    random[6] = (random[6] & 0x0f) | 0x40
    random[8] = (random[8] & 0x3f) | 0x80
    return random.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
  }
}

function claimOf({ memberId, groupInstanceId, generationId }: { memberId: string; groupInstanceId: string | null; generationId: number }): MemberClaim {
  return { memberId, instanceId: groupInstanceId, generation: generationId }
}
const errorOf = (answer: Answer): number => (answer.kind === 'answered' || answer.kind === 'answeredEach' ? answer.errorCode : errors.unknownServerError.code)
const eachOf = (answer: Answer): { errorCode: number; errorCodes: readonly number[] } =>
  answer.kind === 'answeredEach' ? answer : { errorCode: errorOf(answer), errorCodes: [] }
