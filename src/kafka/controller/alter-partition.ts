/** AlterPartition: a leader proposes another ISR (reference §2.8). */
import { isZooKeeperError } from '../../zookeeper/client/errors.ts'
import type { StateWrite } from '../metadata/controller-zookeeper.ts'
import { recoveryStates, type PartitionState } from '../metadata/partition-state-znode.ts'
import type { RequestOf, ResponseTo } from '../protocol/api.ts'
import { AlterPartition } from '../protocol/alter-partition.ts'
import { errors } from '../protocol/errors.ts'
import type { PartitionContext, TopicContext } from './controller-context.ts'
import type { ControllerWork } from './controller-work.ts'

type Request = RequestOf<typeof AlterPartition>
type Response = ResponseTo<typeof AlterPartition>
interface Proposal {
  /** Who proposes it. */
  readonly brokerId: number
  readonly leaderEpoch: number
  readonly partitionEpoch: number
  readonly isr: readonly number[]
  readonly leaderRecoveryState: number
}

/**
 * The verdict on one proposal against the state known: an error code, `same` when nothing is to be written, or the state to write.
 * `mayJoin` knows the replicas that are online. That only the leader may propose, and itself among the others, is a rule of KRaft's
 * controller; Apache's in ZooKeeper mode writes what it is told.
 */
export function judge(proposal: Proposal, state: PartitionState, mayJoin: (brokerId: number) => boolean, ineligible: number): number | 'same' | PartitionState {
  // The leader knows of changes that this controller does not: this controller is the stale one.
  if (proposal.partitionEpoch > state.partitionEpoch || proposal.leaderEpoch > state.leaderEpoch) return errors.notController.code
  if (proposal.leaderEpoch < state.leaderEpoch) return errors.fencedLeaderEpoch.code
  const same = proposal.leaderRecoveryState === state.leaderRecoveryState && proposal.isr.length === state.isr.length && proposal.isr.every((id, index) => id === state.isr[index])
  if (same) return 'same'
  if (proposal.partitionEpoch < state.partitionEpoch) return errors.invalidUpdateVersion.code
  if (proposal.brokerId !== state.leader || !proposal.isr.includes(state.leader) || new Set(proposal.isr).size < proposal.isr.length) return errors.invalidRequest.code
  const { recovering, recovered } = recoveryStates
  if (proposal.leaderRecoveryState === recovering && (proposal.isr.length > 1 || state.leaderRecoveryState === recovered)) return errors.invalidRequest.code
  // A leader that shuts down and is alone in its ISR may still take in who can lead after it; Apache's is refused, and leaves the partition without a leader.
  if (!proposal.isr.every((id) => id === state.leader || mayJoin(id))) return ineligible
  return { ...state, isr: proposal.isr, leaderRecoveryState: proposal.leaderRecoveryState }
}

/**
 * The answer, the partitions that have the ISR asked for, and those whose state somebody has written who is not the controller; all live
 * brokers learn of every partition in the request.
 */
export async function alterPartition(work: ControllerWork, request: Request, version: number): Promise<{ answer: Response; accepted: PartitionContext[]; conflicts: PartitionContext[] }> {
  const { context, writes, batch } = work
  const broker = context.brokers.get(request.brokerId)
  if (!broker || broker.epoch !== request.brokerEpoch) return { answer: { throttleTimeMs: 0, errorCode: errors.staleBrokerEpoch.code, topics: [] }, accepted: [], conflicts: [] }
  const byId = version >= 2
  const ineligible = byId ? errors.ineligibleReplica.code : errors.operationNotAttempted.code
  const named: { topic: TopicContext | undefined; partitions: { index: number; partition: PartitionContext | undefined; verdict: number | 'same' | PartitionState }[] }[] = []
  const conflicts: PartitionContext[] = []
  const proposals: { partition: PartitionContext; write: StateWrite }[] = []
  for (const asked of request.topics) {
    const topic = byId ? context.topicOfId(asked.topicId) : context.topics.get(asked.topicName)
    const unknown = byId && !topic ? errors.unknownTopicId.code : errors.unknownTopicOrPartition.code
    named.push({
      topic,
      partitions: asked.partitions.map((each) => {
        const partition = topic?.partitions.get(each.partitionIndex)
        if (!partition?.state) return { index: each.partitionIndex, partition, verdict: unknown }
        const isr = version >= 3 ? each.newIsrWithEpochs.map(({ brokerId }) => brokerId) : each.newIsr
        const proposal = { brokerId: request.brokerId, leaderEpoch: each.leaderEpoch, partitionEpoch: each.partitionEpoch, isr, leaderRecoveryState: version >= 1 ? each.leaderRecoveryState : partition.state.leaderRecoveryState }
        const verdict = judge(proposal, partition.state, (id) => partition.assignment.replicas.includes(id) && context.isReplicaOnline(id, partition), ineligible)
        // Or what this controller knows is not what was: the state may have been put back since.
        if (verdict === errors.notController.code) conflicts.push(partition)
        if (typeof verdict === 'object') proposals.push({ partition, write: { topic: partition.topic, partition: partition.index, state: { ...verdict, controllerEpoch: work.epoch } } })
        return { index: each.partitionIndex, partition, verdict }
      }),
    })
  }
  const written = await writes.updateStates(proposals.map(({ write }) => write))
  const refused = new Map<PartitionContext, number>()
  for (const [index, { partition }] of proposals.entries()) {
    const outcome = written[index]
    const isChanged = outcome.kind === 'conflict' || (outcome.kind === 'failed' && isZooKeeperError(outcome.error, 'noNode'))
    if (isChanged) conflicts.push(partition)
    if (outcome.kind === 'written') partition.state = outcome.state
    else refused.set(partition, isChanged ? errors.invalidUpdateVersion.code : errors.unknownServerError.code)
  }
  batch.updateMetadata(context.liveBrokerIds(), named.flatMap(({ partitions }) => partitions.flatMap(({ partition }) => (partition ? [partition] : []))))
  work.flush()
  const accepted = named.flatMap(({ partitions }) => partitions.flatMap(({ partition, verdict }) => (partition && typeof verdict !== 'number' && !refused.has(partition) ? [partition] : [])))
  const answer: Response = {
    throttleTimeMs: 0,
    errorCode: 0,
    topics: named.map(({ partitions }, index) => ({
      topicName: request.topics[index].topicName,
      topicId: request.topics[index].topicId,
      partitions: partitions.map(({ index: partitionIndex, partition, verdict }) => {
        const errorCode = typeof verdict === 'number' ? verdict : ((partition && refused.get(partition)) ?? 0)
        const state = errorCode === 0 ? partition?.state : undefined
        return {
          partitionIndex,
          errorCode,
          leaderId: state?.leader ?? 0,
          leaderEpoch: state?.leaderEpoch ?? 0,
          isr: state?.isr ?? [],
          leaderRecoveryState: state?.leaderRecoveryState ?? 0,
          partitionEpoch: state?.partitionEpoch ?? 0,
        }
      }),
    })),
  }
  return { answer, accepted, conflicts }
}
