/** Somebody who moves partitions, asks for elections and makes a topic grow while everything else goes on. */
import { AlterPartitionReassignments } from '../kafka/protocol/alter-partition-reassignments.ts'
import { CreatePartitions } from '../kafka/protocol/create-partitions.ts'
import { ElectLeaders } from '../kafka/protocol/elect-leaders.ts'
import { errors, RefusedError } from '../kafka/protocol/errors.ts'
import type { KafkaConnection } from '../kafka/client/connection.ts'
import { Violation } from './checkers/violation.ts'
import { Actor, topic, type KafkaClientFacts } from './kafka-clients.ts'

/** A topic that nobody reads, which gets partition after partition. */
export const grown = 'grown'
const grownMax = 8
const everyMs = 3_000
const controller = { kind: 'controller' } as const
/** Codes with which a wish may be refused while brokers come and go. */
const expected: ReadonlySet<number> = new Set([errors.none, errors.notController, errors.invalidReplicaAssignment, errors.noReassignmentInProgress, errors.reassignmentInProgress, errors.requestTimedOut, errors.unknownTopicOrPartition, errors.invalidPartitions, errors.invalidReplicationFactor, errors.electionNotNeeded, errors.preferredLeaderNotAvailable].map(({ code }) => code))

export class Administrator extends Actor {
  readonly #brokerIds: readonly number[]
  #partitions = 1
  moves = 0

  constructor(facts: KafkaClientFacts, brokerIds: readonly number[]) {
    super(facts)
    this.#brokerIds = brokerIds
  }
  protected async step(): Promise<void> {
    await this.facts.world.sleep(this.facts.world.between(everyMs / 3, everyMs))
    const { random } = this
    if (random.chance(0.2)) return this.#grow()
    if (random.chance(0.3)) return this.#elect()
    const order = this.#brokerIds.map((id) => ({ id, at: random.next() })).sort((one, other) => one.at - other.at).map(({ id }) => id)
    await this.#move(random.below(this.facts.partitionCount), random.chance(0.5) ? order : order.slice(0, 2))
  }
  async #controller(): Promise<KafkaConnection> {
    try {
      return await this.client.connectionTo(controller)
    } catch (error) {
      this.client.forget(controller)
      throw error
    }
  }
  async #move(partitionIndex: number, replicas: readonly number[]): Promise<number> {
    const connection = await this.#controller()
    const { errorCode, responses } = await connection.send(AlterPartitionReassignments, { timeoutMs: 2_000, topics: [{ name: topic, partitions: [{ partitionIndex, replicas }] }] })
    const code = errorCode || responses[0].partitions[0].errorCode
    if (code === 0) this.moves++
    return this.#judge(code)
  }
  async #elect(): Promise<void> {
    const connection = await this.#controller()
    const { errorCode, replicaElectionResults } = await connection.send(ElectLeaders, { electionType: 0, topicPartitions: null, timeoutMs: 2_000 })
    for (const code of [errorCode, ...replicaElectionResults.flatMap(({ partitionResult }) => partitionResult.map((each) => each.errorCode))]) this.#judge(code)
  }
  async #grow(): Promise<void> {
    if (this.#partitions >= grownMax) return
    const connection = await this.#controller()
    const { results } = await connection.send(CreatePartitions, { topics: [{ name: grown, count: this.#partitions + 1, assignments: null }], timeoutMs: 2_000, validateOnly: false })
    // Unknown outcomes may have made it grow: it has as many already, then.
    if (results[0].errorCode === 0 || results[0].errorCode === errors.invalidPartitions.code) this.#partitions++
    this.#judge(results[0].errorCode)
  }
  #judge(code: number): number {
    if (!expected.has(code)) throw new Violation('an administrator is refused by name', `error ${code}`)
    if (code === errors.notController.code) this.client.forget(controller)
    return code
  }
  /** All faults are over: every partition has a replica on every broker again. */
  async restore(): Promise<void> {
    for (let partition = 0; partition < this.facts.partitionCount; partition++)
      await this.client.retrying('the replicas are everywhere', async () => {
        if ((await this.#move(partition, this.#brokerIds)) !== 0) throw new RefusedError(errors.notController.code)
      }, 30_000)
  }
}
