/** Brings leaders' proposals for their ISRs to the controller: one request at a time, what comes meanwhile leaves together in the next (reference §3.2). */
import type { Host, Logger } from '../../host/host.ts'
import { uuidZero } from '../../wire/schema.ts'
import type { RequestTo, ResponseOf } from '../protocol/api.ts'
import type { AlterPartition } from '../protocol/alter-partition.ts'
import { errorByCode, errors } from '../protocol/errors.ts'
import type { IsrProposal, Partition } from './partition.ts'

export interface IsrChangesOptions {
  brokerId: number
  brokerEpoch: () => bigint
  /** Rejects when no controller answers. `named`: some topic has no id. */
  alterPartition: (request: RequestTo<typeof AlterPartition>, how: { named: boolean }) => Promise<ResponseOf<typeof AlterPartition>>
}
interface Proposed {
  partition: Partition
  proposal: IsrProposal
}
const retryMs = 50
const reverting: ReadonlySet<number> = new Set([errors.operationNotAttempted.code, errors.ineligibleReplica.code])
/** The controller knows better, and a LeaderAndIsr is on its way; until then what was proposed may hold. */
const waiting: ReadonlySet<number> = new Set([
  errors.unknownTopicOrPartition.code,
  errors.unknownTopicId.code,
  errors.fencedLeaderEpoch.code,
  errors.invalidUpdateVersion.code,
  errors.invalidRequest.code,
  errors.newLeaderElected.code,
])

export class IsrChanges {
  readonly #host: Host
  readonly #log: Logger
  readonly #options: IsrChangesOptions
  /** By partition: a later proposal takes the place of an earlier one. */
  readonly #pending = new Map<Partition, IsrProposal>()
  #sending = false
  #stopped = false

  constructor(host: Host, options: IsrChangesOptions) {
    this.#host = host
    this.#log = host.logger.named('kafka.replication')
    this.#options = options
  }

  propose(partition: Partition, proposal: IsrProposal): void {
    this.#log.info('ISR to be changed', { partition: `${partition.topic}-${partition.index}`, from: partition.leader?.isr, to: proposal.isr })
    this.#pending.set(partition, proposal)
    if (!this.#sending && !this.#stopped) void this.#drain()
  }
  stop(): void {
    this.#stopped = true
    this.#pending.clear()
  }

  async #drain(): Promise<void> {
    this.#sending = true
    for (let failures = 0; this.#pending.size > 0 && !this.#stopped; ) {
      const batch = [...this.#pending].map(([partition, proposal]) => ({ partition, proposal }))
      this.#pending.clear()
      const why = await this.#send(batch)
      if (why === undefined) {
        failures = 0
        continue
      }
      if (failures++ === 0) this.#log.warn('the controller did not take changes of ISRs; asking again', { partitions: batch.length, because: why })
      for (const { partition, proposal } of batch) if (isCurrent(partition, proposal) && !this.#pending.has(partition)) this.#pending.set(partition, proposal)
      await this.#host.timers.sleep(retryMs)
    }
    this.#sending = false
  }

  /** Undefined when the controller has answered for each partition, else why all of it is to be asked again. */
  async #send(batch: readonly Proposed[]): Promise<string | undefined> {
    const { brokerId, brokerEpoch, alterPartition } = this.#options
    const named = batch.some(({ partition }) => partition.topicId === undefined)
    const topics = new Map<string, Proposed[]>()
    for (const each of batch) topics.set(each.partition.topic, [...(topics.get(each.partition.topic) ?? []), each])
    let answer: ResponseOf<typeof AlterPartition>
    try {
      answer = await alterPartition({ brokerId, brokerEpoch: brokerEpoch(), topics: [...topics].map(([topicName, all]) => ({ topicName, topicId: all[0].partition.topicId ?? uuidZero, partitions: all.map(wishOf) })) }, { named })
    } catch (error) {
      return (error as Error).message
    }
    if (answer.errorCode !== 0) return errorByCode(answer.errorCode).name
    const askedOf = new Map(batch.map((each) => [`${named ? each.partition.topic : each.partition.topicId}/${each.partition.index}`, each]))
    for (const topic of answer.topics)
      for (const state of topic.partitions) {
        const asked = askedOf.get(`${named ? topic.topicName : topic.topicId}/${state.partitionIndex}`)
        if (asked) this.#answered(asked, state)
      }
    return undefined
  }
  #answered({ partition, proposal }: Proposed, state: ResponseOf<typeof AlterPartition>['topics'][number]['partitions'][number]): void {
    const { errorCode } = state
    const { leaderEpoch } = proposal
    if (errorCode === 0) {
      if (state.leaderEpoch === leaderEpoch) partition.isrAnswered(leaderEpoch, { isr: state.isr, partitionEpoch: state.partitionEpoch })
      return
    }
    this.#log.info('ISR not changed', { partition: `${partition.topic}-${partition.index}`, wanted: proposal.isr, because: errorByCode(errorCode).name })
    if (reverting.has(errorCode)) partition.isrAnswered(leaderEpoch, { refused: 'revert' })
    else if (waiting.has(errorCode)) partition.isrAnswered(leaderEpoch, { refused: 'wait' })
    else if (isCurrent(partition, proposal)) this.#retryLater(partition, proposal)
  }
  #retryLater(partition: Partition, proposal: IsrProposal): void {
    this.#host.timers.set(retryMs, () => {
      if (this.#stopped || !isCurrent(partition, proposal) || this.#pending.has(partition)) return
      this.#pending.set(partition, proposal)
      if (!this.#sending) void this.#drain()
    })
  }
}

/** Epochs of the members are −1, as of all brokers with ZooKeeper. Both shapes are filled; the version takes its own. */
function wishOf({ partition, proposal: { isr, leaderEpoch, partitionEpoch } }: Proposed) {
  return { partitionIndex: partition.index, leaderEpoch, partitionEpoch, leaderRecoveryState: 0, newIsr: isr, newIsrWithEpochs: isr.map((brokerId) => ({ brokerId, brokerEpoch: -1n })) }
}
function isCurrent({ leader }: Partition, { leaderEpoch, partitionEpoch }: IsrProposal): boolean {
  return leader !== undefined && leader.leaderEpoch === leaderEpoch && leader.partitionEpoch === partitionEpoch && leader.isrIsPending
}
