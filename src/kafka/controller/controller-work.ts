/** What the state machines of this room work with, for the time of one controllership. */
import type { Logger } from '../../host/host.ts'
import type { ControllerZooKeeper, StateWrite, StateWritten } from '../metadata/controller-zookeeper.ts'
import type { KafkaZooKeeper } from '../metadata/kafka-zookeeper.ts'
import type { PartitionState } from '../metadata/partition-state-znode.ts'
import { ZnodeError } from '../metadata/znode-json.ts'
import type { ControllerContext, PartitionContext } from './controller-context.ts'
import type { RequestBatch } from './request-batch.ts'

export interface ControllerWork {
  readonly log: Logger
  readonly context: ControllerContext
  readonly zookeeper: KafkaZooKeeper
  readonly writes: ControllerZooKeeper
  readonly batch: RequestBatch
  /** This controllership's epoch. */
  readonly epoch: number
  /** Whether a leader that was out of sync is marked until it has recovered: not before protocol version 3.2. */
  readonly leaderRecovery: boolean
  readonly uncleanElectionByDefault: () => boolean
  /** Hands what the batch holds to the brokers' queues. */
  flush(): void
}

/** A state that is missing or damaged is named and left alone: the partitions decided on with it go on. */
export async function readState({ zookeeper, log }: Pick<ControllerWork, 'zookeeper' | 'log'>, topic: string, index: number): Promise<PartitionState | undefined> {
  try {
    const state = await zookeeper.partitionState(topic, index)
    if (!state) log.error('the state of a partition is gone from ZooKeeper; it stays as it is', { partition: `${topic}-${index}` })
    return state
  } catch (error) {
    if (!(error instanceof ZnodeError)) throw error
    log.error('a partition stays as it is: its state cannot be read', { partition: `${topic}-${index}`, error })
    return undefined
  }
}

export interface Change {
  readonly partition: PartitionContext
  readonly write: StateWrite
}

/**
 * Writes new states over the known ones and takes them into the context. A partition that somebody else has changed is read
 * anew and `decide`d again; `decide` says what to write, or undefined for nothing.
 */
export async function changeStates(
  { context, zookeeper, writes, log, epoch }: ControllerWork,
  partitions: readonly PartitionContext[],
  decide: (partition: PartitionContext) => StateWrite | undefined,
): Promise<{ changed: PartitionContext[]; refused: PartitionContext[] }> {
  const changed: PartitionContext[] = []
  const refused: PartitionContext[] = []
  let left = partitions
  while (left.length > 0) {
    const changes: Change[] = []
    for (const partition of left) {
      const write = partition.state && decide(partition)
      if (write) changes.push({ partition, write })
      else refused.push(partition)
    }
    const written = await writes.updateStates(changes.map(({ write }) => write))
    const conflicts: PartitionContext[] = []
    for (const [index, { partition }] of changes.entries()) {
      const outcome: StateWritten = written[index]
      if (outcome.kind === 'written') {
        partition.state = outcome.state
        changed.push(partition)
      } else if (outcome.kind === 'conflict') conflicts.push(partition)
      else {
        log.error('the state of a partition could not be written', { partition: `${partition.topic}-${partition.index}`, error: outcome.error })
        refused.push(partition)
      }
    }
    const again: PartitionContext[] = []
    for (const partition of conflicts) {
      if (context.partition(partition.topic, partition.index) !== partition) continue
      const found = await readState({ zookeeper, log }, partition.topic, partition.index)
      partition.state = found ?? partition.state
      if (!found) refused.push(partition)
      else if (partition.state && partition.state.controllerEpoch > epoch) {
        log.error('a later controller has written the state of a partition', { partition: `${partition.topic}-${partition.index}`, controllerEpoch: partition.state.controllerEpoch })
        refused.push(partition)
      } else again.push(partition)
    }
    left = again
  }
  return { changed, refused }
}

/**
 * Somebody who is not the controller has changed, damaged or deleted these states. Nobody acts by what they wrote: what the controller knows is
 * written again, with the next leader epoch, so that leader, followers and ZooKeeper agree from then on. Whose leader asks for its changes of
 * the ISR here has not made any by itself. But a state of a later leader epoch is one that was missing when this controller began and
 * has been put back: that is what the brokers know.
 */
export async function rewriteStates({ context, zookeeper, writes, batch, log, epoch, flush }: ControllerWork, partitions: readonly PartitionContext[]): Promise<void> {
  const known = partitions.filter((partition) => partition.state && context.partition(partition.topic, partition.index) === partition)
  const versions = await zookeeper.each(known, ({ topic, index }) => zookeeper.stateVersion(topic, index))
  for (const [at, partition] of known.entries()) {
    const { topic, index, state } = partition
    const version = versions[at]
    // Another change of this controller has been written meanwhile: there is nothing wrong any more.
    if (!state || version === state.partitionEpoch) continue
    const found = version === undefined ? undefined : await readState({ zookeeper, log }, topic, index)
    const isLater = found !== undefined && found.leaderEpoch > state.leaderEpoch && context.isReplicaOnline(found.leader, partition) && [found.leader, ...found.isr].every((id) => partition.assignment.replicas.includes(id)) && found.isr.includes(found.leader)
    const right = isLater ? found : state
    const write: StateWrite = { topic, partition: index, state: { ...right, controllerEpoch: epoch, leaderEpoch: right.leaderEpoch + 1, partitionEpoch: found?.partitionEpoch ?? version ?? 0 } }
    const [outcome] = await (version === undefined ? writes.createStates([write]) : writes.updateStates([write]))
    if (outcome.kind !== 'written') {
      log.error('the state of a partition could not be written anew', { partition: `${topic}-${index}`, because: outcome.kind === 'failed' ? outcome.error : 'somebody changes it again' })
      continue
    }
    partition.state = outcome.state
    log.error(`the state of a partition was ${version === undefined ? 'deleted' : 'changed'} by somebody else than the controller: it is written anew`, { partition: `${topic}-${index}`, leader: right.leader, isr: right.isr, leaderEpoch: outcome.state.leaderEpoch })
    batch.leaderAndIsr(partition.assignment.replicas.filter((id) => context.isReplicaOnline(id, partition)), partition, { isNew: false })
  }
  flush()
}
