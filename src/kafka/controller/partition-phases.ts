/** The states of partitions and what a change of them does (reference §2.3, §2.4). */
import type { StateWrite } from '../metadata/controller-zookeeper.ts'
import { noLeader, recoveryStates } from '../metadata/partition-state-znode.ts'
import { targetOf } from '../metadata/topic-znode.ts'
import type { ControllerContext, PartitionContext, PartitionPhase } from './controller-context.ts'
import { changeStates, readState, type ControllerWork } from './controller-work.ts'
import { electFirst, electForReassignment, electForShutdown, electKnown, electOffline, electPreferred, type Elected, type ElectionKind } from './elections.ts'

const allowedBefore: Record<PartitionPhase, readonly PartitionPhase[]> = {
  new: ['nonExistent'],
  online: ['new', 'online', 'offline'],
  offline: ['new', 'online', 'offline'],
  nonExistent: ['offline'],
}

export interface ElectionOutcome {
  readonly elected: PartitionContext[]
  readonly failed: PartitionContext[]
}

/**
 * Of partitions that the controller comes to know: states of an earlier leader epoch than its broker was told, or with an ISR that cannot be: somebody has written them by hand, and brokers would
 * obey no election by them, or none would be possible. What was told counts; who leads is elected anew.
 */
export function takeBack({ toldBefore, log }: ControllerWork, partitions: Iterable<PartitionContext>): PartitionContext[] {
  const taken: PartitionContext[] = []
  for (const partition of partitions) {
    const { state, topic, index } = partition
    const told = toldBefore(partition)
    const isPossible = state !== undefined && state.isr.length > 0 && state.isr.every((id) => partition.assignment.replicas.includes(id))
    if (!state || !told || (told.leaderEpoch <= state.leaderEpoch && isPossible)) continue
    log.error('the state of a partition was edited by somebody else than the controller: what this broker was told last counts', { partition: `${topic}-${index}`, found: state.leaderEpoch, told: told.leaderEpoch, leader: told.leader, isr: told.isr })
    partition.state = { ...state, leader: told.leader, isr: told.isr, leaderEpoch: Math.max(told.leaderEpoch, state.leaderEpoch) }
    taken.push(partition)
  }
  return taken
}

/** Where each partition stands when a controller begins. */
export function initialPhases(context: ControllerContext): void {
  for (const partition of context.partitions()) {
    const { state } = partition
    partition.phase = !state ? 'new' : context.isReplicaOnline(state.leader, partition) ? 'online' : 'offline'
  }
}

/** Changes in memory alone. */
export function toPhase({ log }: ControllerWork, partitions: Iterable<PartitionContext>, phase: 'new' | 'offline' | 'nonExistent'): void {
  for (const partition of partitions) if (mayEnter(partition, phase, log)) partition.phase = phase
}
function mayEnter(partition: PartitionContext, phase: PartitionPhase, log: ControllerWork['log']): boolean {
  const may = allowedBefore[phase].includes(partition.phase)
  if (!may) log.error('a partition cannot change its state like that', { partition: `${partition.topic}-${partition.index}`, from: partition.phase, to: phase })
  return may
}

/** Gives leaders to partitions that have none yet, or need another one. */
export async function toOnline(work: ControllerWork, partitions: Iterable<PartitionContext>, kind: ElectionKind = 'offline', uncleanAsked = false): Promise<ElectionOutcome> {
  const allowed = [...partitions].filter((partition) => mayEnter(partition, 'online', work.log))
  const fresh = allowed.filter(({ phase }) => phase === 'new')
  const others = allowed.filter(({ phase }) => phase !== 'new')
  const first = await initialise(work, fresh)
  const again = await elect(work, others, kind, uncleanAsked)
  const found = await elect(work, first.known, 'known', uncleanAsked)
  work.flush()
  return { elected: [...first.elected, ...again.elected, ...found.elected], failed: [...first.failed, ...again.failed, ...found.failed] }
}
/** Tries every partition that is new or has lost its leader, unless its topic is going. */
export async function bringOnline(work: ControllerWork, only?: ReadonlySet<string>): Promise<ElectionOutcome> {
  const { context } = work
  return toOnline(work, [...context.partitions()].filter(({ phase, topic }) => (phase === 'new' || phase === 'offline') && !context.isDeleting(topic) && (only?.has(topic) ?? true)))
}

/**
 * First leaders. Where a state was there although the controller did not know of it, as when somebody has taken partitions out of a topic's node
 * and put them back, it counts: `known` are to be elected by it, with the next leader epoch also where the leader lives, for it may wait
 * in vain for an answer of the time before.
 */
async function initialise(work: ControllerWork, partitions: readonly PartitionContext[]): Promise<ElectionOutcome & { known: PartitionContext[] }> {
  const { context, writes, batch, epoch, log } = work
  const failed: PartitionContext[] = []
  const known: PartitionContext[] = []
  const ready: { partition: PartitionContext; write: StateWrite }[] = []
  for (const partition of partitions) {
    const candidates = { assigned: partition.assignment.replicas, isOnline: (id: number) => context.isReplicaOnline(id, partition) }
    // Of a partition whose state somebody has deleted: brokers obey the next epoch alone, and only who was in sync has what was acknowledged.
    const told = work.toldBefore(partition)
    if (told) log.error('the state of a partition is gone from ZooKeeper: it is written anew as this broker was told last', { partition: `${partition.topic}-${partition.index}`, leader: told.leader, isr: told.isr, leaderEpoch: told.leaderEpoch })
    const elected = told ? electKnown(candidates, { leader: told.leader, isr: told.isr, leaderRecoveryState: recoveryStates.recovered }, false) : electFirst(candidates)
    if (elected) ready.push({ partition, write: { topic: partition.topic, partition: partition.index, state: { ...elected, leaderEpoch: told ? told.leaderEpoch + 1 : 0, controllerEpoch: epoch, partitionEpoch: 0 } } })
    else {
      log.warn('a new partition has no live replica and stays without a leader', { partition: `${partition.topic}-${partition.index}`, replicas: partition.assignment.replicas })
      failed.push(partition)
    }
  }
  const outcomes = ready.length === 0 ? [] : await writes.createStates(ready.map(({ write }) => write))
  const elected: PartitionContext[] = []
  for (const [index, { partition }] of ready.entries()) {
    const outcome = outcomes[index]
    if (outcome.kind === 'written') {
      partition.state = outcome.state
      partition.phase = 'online'
      const isNew = outcome.state.leaderEpoch === 0
      batch.leaderAndIsr(isNew ? outcome.state.isr : partition.assignment.replicas.filter((id) => context.isReplicaOnline(id, partition)), partition, { isNew })
      elected.push(partition)
      continue
    }
    const found = outcome.kind === 'conflict' ? await readState(work, partition.topic, partition.index) : undefined
    if (found) {
      partition.state = found
      partition.phase = 'offline'
      log.warn('the first state of a partition was there already: it counts', { partition: `${partition.topic}-${partition.index}`, leader: found.leader, isr: found.isr })
      known.push(partition)
      continue
    }
    log.error('the first state of a partition could not be written', { partition: `${partition.topic}-${partition.index}`, outcome: outcome.kind, error: outcome.kind === 'failed' ? outcome.error : undefined })
    failed.push(partition)
  }
  takeBack(work, known)
  return { elected, failed, known }
}

async function elect(work: ControllerWork, partitions: readonly PartitionContext[], kind: ElectionKind, uncleanAsked: boolean): Promise<ElectionOutcome> {
  const { context, batch, epoch, log } = work
  if (partitions.length === 0) return { elected: [], failed: [] }
  const uncleanTopics = (kind === 'offline' || kind === 'known') && !uncleanAsked ? await topicsWithUncleanElection(work, partitions) : new Set<string>()
  const decide = (partition: PartitionContext): StateWrite | undefined => {
    const { state } = partition
    if (!state) return undefined
    const elected = electionOf(context, partition, kind, uncleanAsked || uncleanTopics.has(partition.topic))
    if (!elected) return undefined
    const marked = work.leaderRecovery ? elected : { ...elected, leaderRecoveryState: recoveryStates.recovered }
    return { topic: partition.topic, partition: partition.index, state: { ...state, ...marked, leaderEpoch: state.leaderEpoch + 1, controllerEpoch: epoch } }
  }
  const before = new Map(partitions.map((partition) => [partition, partition.state?.isr ?? []]))
  const { changed, refused } = await changeStates(work, partitions, decide)
  for (const partition of changed) {
    partition.phase = 'online'
    const told = partition.assignment.replicas.filter((id) => context.isReplicaOnlineOrShuttingDown(id, partition))
    batch.leaderAndIsr(told, partition, { isNew: false })
    const { leader, isr, leaderEpoch } = partition.state ?? { leader: noLeader, isr: [], leaderEpoch: -1 }
    if (!before.get(partition)?.includes(leader)) log.warn('unclean election: records may be lost', { partition: `${partition.topic}-${partition.index}`, leader })
    log.debug('leader elected', { partition: `${partition.topic}-${partition.index}`, kind, leader, isr, leaderEpoch })
  }
  return { elected: changed, failed: refused }
}
function electionOf(context: ControllerContext, partition: PartitionContext, kind: ElectionKind, uncleanAllowed: boolean): Elected | undefined {
  const { state } = partition
  if (!state) return undefined
  const assigned = partition.assignment.replicas
  const isOnline = (id: number): boolean => context.isReplicaOnline(id, partition)
  switch (kind) {
    case 'offline': return electOffline({ assigned, isOnline }, state, uncleanAllowed)
    case 'known': return electKnown({ assigned, isOnline }, state, uncleanAllowed)
    case 'preferred': return electPreferred({ assigned, isOnline }, state)
    case 'reassignment': return electForReassignment({ assigned: targetOf(partition.assignment), isOnline }, state)
    case 'controlledShutdown':
      return electForShutdown({ assigned, isOnline: (id) => context.isReplicaOnlineOrShuttingDown(id, partition) }, state, context.shuttingDown)
    default: return kind satisfies never
  }
}
/** Asked only for partitions that have no clean candidate: the override in ZooKeeper counts, then the broker's default. */
async function topicsWithUncleanElection({ context, zookeeper, uncleanElectionByDefault, log }: ControllerWork, partitions: readonly PartitionContext[]): Promise<Set<string>> {
  const needed = new Set<string>()
  for (const partition of partitions) if (!electionOf(context, partition, 'offline', false)) needed.add(partition.topic)
  const answers = await zookeeper.each([...needed], async (topic) => {
    try {
      const override = (await zookeeper.entityConfig('topics', topic))['unclean.leader.election.enable']
      return { topic, unclean: override === undefined ? uncleanElectionByDefault() : override === 'true' }
    } catch (error) {
      log.error('the configuration of a topic cannot be read; no unclean election', { topic, error })
      return { topic, unclean: false }
    }
  })
  return new Set(answers.filter(({ unclean }) => unclean).map(({ topic }) => topic))
}
