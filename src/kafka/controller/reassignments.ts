/**
 * Moves partitions to other brokers (KIP-455, reference §2.6), many at once. The topic's node says what is under way, so that the next
 * controller can go on: first the new replicas are made and catch up; when all of the target are in sync, the old ones go.
 */
import { ControllerMovedError } from '../metadata/controller-zookeeper.ts'
import { noLeader } from '../metadata/partition-state-znode.ts'
import { assigned, isReassigning, movedTo, originOf, sameAssignment, targetOf, type Assignment } from '../metadata/topic-znode.ts'
import { ZnodeError } from '../metadata/znode-json.ts'
import type { TopicPartition, WantedReplicas } from '../metadata/cluster-znodes.ts'
import { errors } from '../protocol/errors.ts'
import type { ControllerContext, PartitionContext } from './controller-context.ts'
import { changeStates, type ControllerWork } from './controller-work.ts'
import { toOnline } from './partition-phases.ts'
import { toReplicaPhase, type Replica } from './replica-phases.ts'
import type { TopicDeletion } from './topic-deletion.ts'

export interface ReassignmentWish extends TopicPartition {
  /** Undefined: what is under way is taken back. */
  readonly replicas: readonly number[] | undefined
}
export interface ReassignmentResult extends TopicPartition {
  readonly errorCode: number
  readonly message: string | null
}
export interface Reassignment extends TopicPartition, Assignment {}
interface Plan {
  readonly partition: PartitionContext
  readonly assignment: Assignment
}

export class Reassignments {
  readonly #work: ControllerWork
  readonly #deletion: TopicDeletion
  readonly #znodeChanged: () => void

  /** `znodeChanged`: asks for `readZnode` to be called in its turn. */
  constructor(work: ControllerWork, deletion: TopicDeletion, znodeChanged: () => void) {
    this.#work = work
    this.#deletion = deletion
    this.#znodeChanged = znodeChanged
  }

  /** What is under way: of the partitions asked for, or all. */
  list(asked: readonly TopicPartition[] | undefined): Reassignment[] {
    const { context } = this.#work
    const partitions = asked ? asked.map(({ topic, partition }) => context.partition(topic, partition)) : context.reassigning()
    return partitions.flatMap((partition) => (partition && isReassigning(partition.assignment) ? [{ topic: partition.topic, partition: partition.index, ...partition.assignment }] : []))
  }

  /** Begins, changes or takes back reassignments. The last wish for a partition counts, also against one in the old tools' node. */
  async ask(wishes: readonly ReassignmentWish[]): Promise<ReassignmentResult[]> {
    const { context } = this.#work
    const results: ReassignmentResult[] = []
    const plans: Plan[] = []
    for (const wish of wishes) {
      const verdict = judgeReassignment(context, wish)
      if ('errorCode' in verdict) results.push({ topic: wish.topic, partition: wish.partition, ...verdict })
      else plans.push(verdict)
    }
    await this.#forgetInZnode(({ topic, partition }) => plans.some((plan) => plan.partition.topic === topic && plan.partition.index === partition))
    const failed = await this.#advance(plans)
    for (const { partition } of plans) {
      const gone = failed.has(partition)
      results.push({ topic: partition.topic, partition: partition.index, errorCode: gone ? errors.unknownTopicOrPartition.code : 0, message: gone ? noPartition : null })
    }
    return results
  }

  /** Takes up what tools before KIP-455 have put into `/admin/reassign_partitions`. What cannot be done is removed from it. */
  async readZnode(): Promise<void> {
    const { context, writes, log } = this.#work
    let wanted: WantedReplicas[] | undefined
    try {
      wanted = await writes.reassignment(this.#znodeChanged)
    } catch (error) {
      if (!(error instanceof ZnodeError)) throw error
      log.error('reassignments are left alone: their znode cannot be read; correct or delete it', { error })
      return
    }
    if (!wanted) return
    const plans: Plan[] = []
    const refused = new Set<WantedReplicas>()
    for (const wish of wanted) {
      const verdict = judgeReassignment(context, wish)
      if ('errorCode' in verdict) {
        log.warn('a reassignment in ZooKeeper is refused', { partition: `${wish.topic}-${wish.partition}`, replicas: wish.replicas, because: verdict.message })
        refused.add(wish)
      } else if (!isReassigning(verdict.partition.assignment) || !sameAssignment(verdict.partition.assignment, verdict.assignment)) plans.push(verdict)
    }
    if (refused.size > 0) await this.#forgetInZnode(({ topic, partition }) => [...refused].some((wish) => wish.topic === topic && wish.partition === partition))
    await this.#advance(plans)
  }

  /** Goes on with what an earlier controller has begun, or, with `brokers`, what waits for one of them. */
  async resume(brokers?: readonly number[]): Promise<void> {
    const waiting = this.#work.context.reassigning().filter(({ assignment }) => !brokers || targetOf(assignment).some((id) => brokers.includes(id)))
    await this.#advance(waiting.map((partition) => ({ partition, assignment: partition.assignment })))
  }

  /** Ends those of the partitions whose target is in sync now. */
  async completeReady(partitions: Iterable<PartitionContext>): Promise<void> {
    const ready = [...partitions].filter((partition) => isReassigning(partition.assignment) && isReady(partition, partition.assignment) && this.#isCurrent(partition))
    if (ready.length > 0) await this.#advance(ready.map((partition) => ({ partition, assignment: partition.assignment })))
  }
  #isCurrent(partition: PartitionContext): boolean {
    return this.#work.context.partition(partition.topic, partition.index) === partition
  }

  /** As far as each can go now. Answers with partitions whose topic is gone. */
  async #advance(plans: readonly Plan[]): Promise<Set<PartitionContext>> {
    if (plans.length === 0) return new Set()
    this.#deletion.makeIneligible(new Set(plans.map(({ partition }) => partition.topic)))
    const failed = await this.#writeDown(plans)
    const partitions = plans.map(({ partition }) => partition).filter((partition) => !failed.has(partition))
    await this.#begin(partitions.filter((partition) => !isReady(partition, partition.assignment)))
    await this.#complete(partitions.filter((partition) => isReady(partition, partition.assignment)))
    return failed
  }

  /** Into the topics' nodes, then into memory; replicas that an earlier plan was adding and this one does not want are stopped. */
  async #writeDown(plans: readonly Plan[]): Promise<Set<PartitionContext>> {
    const news = plans.filter(({ partition, assignment }) => !sameAssignment(partition.assignment, assignment))
    const failed = await this.#writeTopics(news)
    const unneeded: Replica[] = []
    for (const { partition, assignment } of news) {
      if (failed.has(partition)) continue
      this.#work.log.info('partition is reassigned', { partition: nameOf(partition), from: originOf(assignment), to: targetOf(assignment) })
      unneeded.push(...partition.assignment.replicas.filter((id) => !assignment.replicas.includes(id)).map((brokerId) => ({ brokerId, partition })))
      partition.assignment = assignment
    }
    await this.#stop(unneeded)
    return failed
  }
  async #writeTopics(plans: readonly Plan[]): Promise<Set<PartitionContext>> {
    const byTopic = new Map<string, Plan[]>()
    for (const plan of plans) byTopic.set(plan.partition.topic, [...(byTopic.get(plan.partition.topic) ?? []), plan])
    const failed = new Set<PartitionContext>()
    await this.#work.zookeeper.each([...byTopic], async ([topic, changed]) => {
      const written = await this.#work.writes
        .changeTopic(topic, ({ topicId, partitions }) => ({ topicId, partitions: new Map([...partitions, ...changed.map(({ partition, assignment }) => [partition.index, assignment] as const)]) }))
        .catch((error: unknown) => {
          if (error instanceof ControllerMovedError || !(error instanceof ZnodeError)) throw error
          this.#work.log.error('a reassignment cannot be written down', { topic, error })
          return false
        })
      if (!written) for (const { partition } of changed) failed.add(partition)
    })
    return failed
  }

  /** Phase A: everybody learns of the new replicas with a new leader epoch; they begin to copy. */
  async #begin(partitions: readonly PartitionContext[]): Promise<void> {
    if (partitions.length === 0) return
    await this.#raiseEpochs(partitions)
    const fresh = partitions.flatMap((partition) => partition.assignment.adding.filter((id) => !partition.replicas.has(id)).map((brokerId) => ({ brokerId, partition })))
    await toReplicaPhase(this.#work, fresh, 'new')
  }
  async #raiseEpochs(partitions: readonly PartitionContext[]): Promise<void> {
    const { batch, epoch, log } = this.#work
    const { changed, refused } = await changeStates(this.#work, partitions, ({ topic, index, state }) =>
      state && state.controllerEpoch <= epoch ? { topic, partition: index, state: { ...state, leaderEpoch: state.leaderEpoch + 1, controllerEpoch: epoch } } : undefined,
    )
    for (const partition of changed) {
      batch.leaderAndIsr(originOf(partition.assignment), partition, { isNew: false })
      // Where a log dir is offline, a new replica may be made in another; an old one must not, or its records would be forgotten.
      batch.leaderAndIsr(partition.assignment.adding, partition, { isNew: true })
    }
    if (refused.length > 0) log.warn('partitions that are reassigned have no leader epoch that could be raised', { partitions: refused.map(nameOf) })
  }

  /** Phase B: the target is in sync. It takes over, the others are deleted, and what was under way is forgotten. */
  async #complete(ready: readonly PartitionContext[]): Promise<void> {
    if (ready.length === 0) return
    const { context, batch, log } = this.#work
    const joining = ready.flatMap((partition) => partition.assignment.adding.map((brokerId) => ({ brokerId, partition })))
    await toReplicaPhase(this.#work, joining.filter(({ brokerId, partition }) => partition.replicas.has(brokerId)), 'online')
    const moving = ready.map((partition) => ({ partition, before: partition.assignment }))
    const leads = ({ state, assignment }: PartitionContext): boolean => state !== undefined && targetOf(assignment).includes(state.leader)
    const isLive = (partition: PartitionContext): boolean => context.isReplicaOnline(partition.state?.leader ?? noLeader, partition)
    const staying = moving.filter(({ partition }) => leads(partition) && isLive(partition))
    const leaderless = moving.filter((each) => !staying.includes(each))
    for (const { partition, before } of moving) partition.assignment = assigned(targetOf(before))
    await this.#raiseEpochs(staying.map(({ partition }) => partition))
    const { failed } = await toOnline(this.#work, leaderless.map(({ partition }) => partition), 'reassignment')
    // A leader that still serves must not be deleted while none of the target can take over: a later event tries again.
    const held = new Set(failed.filter((partition) => isLive(partition)))
    for (const { partition, before } of moving) if (held.has(partition)) partition.assignment = before
    const moved = moving.filter(({ partition }) => !held.has(partition))
    await this.#stop(moved.flatMap(({ partition, before }) => before.removing.map((brokerId) => ({ brokerId, partition }))))
    const gone = await this.#writeTopics(moved.map(({ partition }) => ({ partition, assignment: partition.assignment })))
    for (const { partition } of moved) if (!gone.has(partition)) log.info('reassignment is complete', { partition: nameOf(partition), replicas: partition.assignment.replicas })
    await this.#forgetInZnode((wish) => {
      const partition = context.partition(wish.topic, wish.partition)
      return !partition || (moved.some((each) => each.partition === partition) && partition.assignment.replicas.join() === wish.replicas.join())
    })
    batch.updateMetadata(context.liveOrShuttingDownIds(), moved.map(({ partition }) => partition))
    this.#work.flush()
    const finished = new Set(moved.map(({ partition }) => partition.topic).filter((topic) => !context.isReassigningTopic(topic)))
    await this.#deletion.makeEligible(finished)
  }
  /** Out of the ISR, stopped, deleted, forgotten. Whether a broker that is away deletes its copy nobody waits for. */
  async #stop(replicas: readonly Replica[]): Promise<void> {
    const known = replicas.filter(({ brokerId, partition }) => partition.replicas.has(brokerId))
    if (known.length === 0) return
    for (const phase of ['offline', 'deletionStarted', 'deletionSuccessful', 'nonExistent'] as const) await toReplicaPhase(this.#work, known, phase)
  }

  /** The node of the old tools holds what is left to do; who follows a reassignment there sees it vanish. */
  async #forgetInZnode(isDone: (wish: WantedReplicas) => boolean): Promise<void> {
    const { writes, log } = this.#work
    let wanted: WantedReplicas[] | undefined
    try {
      wanted = await writes.reassignment()
    } catch (error) {
      if (!(error instanceof ZnodeError)) throw error
      log.debug('reassignments in ZooKeeper cannot be read', { error })
    }
    const left = wanted?.filter((wish) => !isDone(wish))
    if (wanted && left && left.length < wanted.length) await writes.setReassignment(left)
  }
}

const noPartition = 'The partition does not exist.'
const nameOf = ({ topic, index }: PartitionContext): string => `${topic}-${index}`

/** All of the target are in sync, or nothing moves. */
function isReady({ state }: PartitionContext, assignment: Assignment): boolean {
  return !isReassigning(assignment) || (state !== undefined && targetOf(assignment).every((id) => state.isr.includes(id)))
}

/** What is to be done for a wish, or why not. Pure. */
export function judgeReassignment(context: ControllerContext, { topic, partition: index, replicas }: ReassignmentWish): Plan | { errorCode: number; message: string } {
  const invalid = (message: string) => ({ errorCode: errors.invalidReplicaAssignment.code, message })
  const known = context.partition(topic, index)
  const from = known?.assignment ?? assigned([])
  if (replicas) {
    if (replicas.length === 0) return invalid('Empty replica list specified in partition reassignment.')
    if (new Set(replicas).size !== replicas.length) return invalid(`Duplicate replica ids in partition reassignment replica list: ${replicas.join(', ')}`)
    if (replicas.some((id) => id < 0)) return invalid(`Invalid broker id in replica list: ${replicas.join(', ')}`)
    const dead = movedTo(from, replicas).adding.filter((id) => !context.isLive(id))
    if (dead.length > 0) return invalid(`Replica assignment has brokers that are not alive. Replica list: ${movedTo(from, replicas).adding.join(', ')}, live broker list: ${context.liveBrokerIds().join(', ')}`)
  } else if (!isReassigning(from)) return { errorCode: errors.noReassignmentInProgress.code, message: errors.noReassignmentInProgress.message }
  if (!known || context.isDeleting(topic)) return { errorCode: errors.unknownTopicOrPartition.code, message: noPartition }
  return { partition: known, assignment: movedTo(from, replicas ?? originOf(from)) }
}
