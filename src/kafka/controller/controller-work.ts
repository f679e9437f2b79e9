/** What the state machines of this room work with, for the time of one controllership. */
import type { Logger } from '../../host/host.ts'
import { isZooKeeperError } from '../../zookeeper/client/errors.ts'
import type { ControllerZooKeeper, StateWrite, StateWritten } from '../metadata/controller-zookeeper.ts'
import type { KafkaZooKeeper } from '../metadata/kafka-zookeeper.ts'
import type { PartitionState } from '../metadata/partition-state-znode.ts'
import { ZnodeError } from '../metadata/znode-json.ts'
import type { ControllerContext, PartitionContext } from './controller-context.ts'
import type { RequestBatch } from './request-batch.ts'

/** What a broker is told of a partition, and remembers. */
export type ToldState = Pick<PartitionState, 'leader' | 'leaderEpoch' | 'isr'>

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
  /** What the broker of this controller was told of a partition by the controllers before; undefined where it was told nothing, or of another topic of that name. */
  readonly toldBefore: (partition: PartitionContext) => ToldState | undefined
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
 * Writes new states over the known ones and takes them into the context; `decide` says what to write, or undefined for nothing. Where somebody
 * who is not the controller has changed, damaged or deleted a state, it is decided on again with what is true (`truthOf`): a broker that
 * dies meanwhile is replaced all the same.
 */
export async function changeStates(
  work: Pick<ControllerWork, 'context' | 'zookeeper' | 'writes' | 'log'>,
  partitions: readonly PartitionContext[],
  decide: (partition: PartitionContext) => StateWrite | undefined,
): Promise<{ changed: PartitionContext[]; refused: PartitionContext[] }> {
  const { context, writes, log } = work
  const changed: PartitionContext[] = []
  const refused: PartitionContext[] = []
  const missing = new Set<PartitionContext>()
  let left = partitions
  while (left.length > 0) {
    const changes: Change[] = []
    for (const partition of left) {
      const write = partition.state && decide(partition)
      if (write) changes.push({ partition, write })
      else refused.push(partition)
    }
    const conflicts: PartitionContext[] = []
    const take = (written: readonly Change[], outcomes: readonly StateWritten[]): void => {
      for (const [index, { partition }] of written.entries()) {
        const outcome = outcomes[index]
        if (outcome.kind === 'written') {
          partition.state = outcome.state
          changed.push(partition)
        } else if (outcome.kind === 'conflict' || (!missing.has(partition) && isZooKeeperError(outcome.error, 'noNode'))) conflicts.push(partition)
        else {
          log.error('the state of a partition could not be written', { partition: `${partition.topic}-${partition.index}`, error: outcome.error })
          refused.push(partition)
        }
      }
    }
    const [anew, over] = [changes.filter(({ partition }) => missing.has(partition)), changes.filter(({ partition }) => !missing.has(partition))]
    if (anew.length > 0) take(anew, await writes.createStates(anew.map(({ write }) => write)))
    take(over, await writes.updateStates(over.map(({ write }) => write)))
    const again: PartitionContext[] = []
    for (const partition of conflicts) {
      missing.delete(partition)
      if (!partition.state || context.partition(partition.topic, partition.index) !== partition) continue
      const truth = await truthOf(work, partition, partition.state)
      if (truth.isMissing) missing.add(partition)
      partition.state = truth.state
      log.error(`the state of a partition was ${truth.isMissing ? 'deleted' : 'changed'} by somebody else than the controller: it is written anew`, { partition: `${partition.topic}-${partition.index}` })
      again.push(partition)
    }
    left = again
  }
  return { changed, refused }
}

/** Above any that elections reach. */
const leaderEpochMax = 0x4000_0000

/**
 * What is true of a partition whose znode is not as this controller wrote it: what it knows, for nobody else writes states while it governs,
 * and leaders ask it for their changes of the ISR. But a state of a later leader epoch is one that was missing when this controller
 * began and has been put back: that is what the brokers know. `partitionEpoch` is the znode's version of now.
 */
async function truthOf({ context, zookeeper, log }: Pick<ControllerWork, 'context' | 'zookeeper' | 'log'>, partition: PartitionContext, known: PartitionState): Promise<{ state: PartitionState; isMissing: boolean }> {
  const { topic, index, assignment } = partition
  const version = await zookeeper.stateVersion(topic, index)
  if (version === undefined) return { state: { ...known, partitionEpoch: 0 }, isMissing: true }
  if (version === known.partitionEpoch) return { state: known, isMissing: false }
  const found = await readState({ zookeeper, log }, topic, index)
  const isLater =
    found !== undefined && found.leaderEpoch > known.leaderEpoch && found.leaderEpoch < leaderEpochMax &&
    context.isReplicaOnline(found.leader, partition) && found.isr.includes(found.leader) && [found.leader, ...found.isr].every((id) => assignment.replicas.includes(id))
  return { state: { ...(isLater ? found : known), partitionEpoch: found?.partitionEpoch ?? version }, isMissing: false }
}

/** States that somebody who is not the controller has changed are written again as they truly are, with the next leader epoch, so that leader, followers and ZooKeeper agree from then on. */
export async function rewriteStates(work: ControllerWork, partitions: readonly PartitionContext[]): Promise<void> {
  const { context, zookeeper, batch, epoch, flush } = work
  const known = partitions.filter((partition) => partition.state && context.partition(partition.topic, partition.index) === partition)
  const versions = await zookeeper.each(known, ({ topic, index }) => zookeeper.stateVersion(topic, index))
  // Where another change of this controller has been written meanwhile there is nothing wrong any more.
  const wrong = known.filter(({ state }, at) => versions[at] !== state?.partitionEpoch)
  const { changed } = await changeStates(work, wrong, ({ topic, index, state }) => state && { topic, partition: index, state: { ...state, controllerEpoch: epoch, leaderEpoch: state.leaderEpoch + 1 } })
  for (const partition of changed) batch.leaderAndIsr(partition.assignment.replicas.filter((id) => context.isReplicaOnline(id, partition)), partition, { isNew: false })
  flush()
}
