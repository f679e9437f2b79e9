/** The states of replicas and what a change of them does (reference §2.3). */
import type { ControllerContext, PartitionContext, ReplicaPhase } from './controller-context.ts'
import { changeStates, type ControllerWork } from './controller-work.ts'
import { withoutReplica } from './elections.ts'

export interface Replica {
  readonly brokerId: number
  readonly partition: PartitionContext
}

const allowedBefore: Record<ReplicaPhase | 'nonExistent', readonly (ReplicaPhase | 'nonExistent')[]> = {
  new: ['nonExistent'],
  online: ['new', 'online', 'offline', 'deletionIneligible'],
  offline: ['new', 'online', 'offline', 'deletionIneligible'],
  deletionStarted: ['offline'],
  deletionSuccessful: ['deletionStarted'],
  deletionIneligible: ['offline', 'deletionStarted'],
  nonExistent: ['deletionSuccessful'],
}

export function initialReplicaPhases(context: ControllerContext): { online: Replica[]; offline: Replica[] } {
  const online: Replica[] = []
  const offline: Replica[] = []
  for (const partition of context.partitions())
    for (const brokerId of partition.assignment.replicas) {
      const live = context.isReplicaOnline(brokerId, partition)
      partition.replicas.set(brokerId, live ? 'online' : 'deletionIneligible')
      ;(live ? online : offline).push({ brokerId, partition })
    }
  return { online, offline }
}
export function replicasOf(partitions: Iterable<PartitionContext>): Replica[] {
  return [...partitions].flatMap((partition) => partition.assignment.replicas.map((brokerId) => ({ brokerId, partition })))
}

/** Changes phases and tells brokers; ends in one flush. Changes that are not allowed are logged and left out. */
export async function toReplicaPhase(work: ControllerWork, replicas: Iterable<Replica>, phase: ReplicaPhase | 'nonExistent'): Promise<void> {
  const allowed = [...replicas].filter(({ brokerId, partition }) => {
    const from = partition.replicas.get(brokerId) ?? 'nonExistent'
    const may = allowedBefore[phase].includes(from)
    if (!may) work.log.error('a replica cannot change its state like that', { partition: `${partition.topic}-${partition.index}`, broker: brokerId, from, to: phase })
    return may
  })
  if (phase === 'offline') await toOffline(work, allowed)
  else for (const replica of allowed) change(work, replica, phase)
  work.flush()
}

function change({ batch }: ControllerWork, { brokerId, partition }: Replica, phase: Exclude<ReplicaPhase, 'offline'> | 'nonExistent'): void {
  const from = partition.replicas.get(brokerId)
  switch (phase) {
    case 'new':
      if (partition.state && partition.state.leader !== brokerId) batch.leaderAndIsr([brokerId], partition, { isNew: true })
      break
    case 'online':
      if (from === 'new') {
        if (!partition.assignment.replicas.includes(brokerId)) partition.assignment = { ...partition.assignment, replicas: [...partition.assignment.replicas, brokerId] }
      } else if (partition.state) batch.leaderAndIsr([brokerId], partition, { isNew: false })
      break
    case 'deletionStarted':
      batch.stopReplica([brokerId], partition, { deletePartition: true })
      break
    case 'nonExistent':
      partition.assignment = { ...partition.assignment, replicas: partition.assignment.replicas.filter((id) => id !== brokerId) }
      partition.replicas.delete(brokerId)
      return
    case 'deletionSuccessful':
    case 'deletionIneligible':
      break
    default:
      phase satisfies never
  }
  partition.replicas.set(brokerId, phase)
}

/** Stops the replicas; those in an ISR leave it, and the others of the partition are told. */
async function toOffline(work: ControllerWork, replicas: readonly Replica[]): Promise<void> {
  const { context, batch, epoch } = work
  for (const { brokerId, partition } of replicas) batch.stopReplica([brokerId], partition, { deletePartition: false })
  const byBroker = new Map<number, PartitionContext[]>()
  for (const { brokerId, partition } of replicas) {
    const list = byBroker.get(brokerId)
    if (list) list.push(partition)
    else byBroker.set(brokerId, [partition])
  }
  for (const [brokerId, partitions] of byBroker) {
    const inSync = partitions.filter(({ state }) => state?.isr.includes(brokerId))
    const { changed } = await changeStates(work, inSync, ({ topic, index, state }) =>
      state && state.isr.includes(brokerId)
        ? { topic, partition: index, state: { ...state, ...withoutReplica(state, brokerId), leaderEpoch: state.leaderEpoch + 1, controllerEpoch: epoch } }
        : undefined,
    )
    for (const partition of changed) {
      if (context.isDeleting(partition.topic)) continue
      const others = partition.assignment.replicas.filter((id) => id !== brokerId && context.isReplicaOnlineOrShuttingDown(id, partition))
      batch.leaderAndIsr(others, partition, { isNew: false })
    }
    for (const partition of partitions) partition.replicas.set(brokerId, 'offline')
    batch.updateMetadata(context.liveOrShuttingDownIds(), partitions)
  }
}
