/** What only the controller asks of the znodes: its election, and writes that a later controller's election makes impossible (reference §1.6). */
import type { MultiOp, MultiOutcome } from '../../zookeeper/client/client.ts'
import { isZooKeeperError, MultiError, type ZooKeeperError } from '../../zookeeper/client/errors.ts'
import { decodeControllerEpoch, decodeLogDirEvent, decodePartitions, encodeController, decodeReassignment, encodeFeature, encodeReassignment, type TopicPartition, type WantedReplicas } from './cluster-znodes.ts'
import type { KafkaZooKeeper, Office } from './kafka-zookeeper.ts'
import { encodePartitionState, type PartitionState } from './partition-state-znode.ts'
import { decodeTopic, encodeTopic, type TopicAssignment } from './topic-znode.ts'
import { ZnodeError } from './znode-json.ts'
import { paths } from './znode-paths.ts'
import type { Watcher } from '../../zookeeper/client/client.ts'

/** Another broker has been elected meanwhile: nothing was written. */
export class ControllerMovedError extends Error {
  constructor(cause?: unknown) {
    super('another broker is controller by now', { cause })
    this.name = 'ControllerMovedError'
  }
}

/** Added to the highest epoch that has left a trace. */
const traceless = 1_000

export interface Election {
  readonly epoch: number
  /** Version of /controller_epoch: what every write of this controller is checked against. */
  readonly epochVersion: number
  /** Why the last epoch had to be found elsewhere than in /controller_epoch. */
  readonly mended: ZnodeError | undefined
}
export interface StateWrite extends TopicPartition {
  readonly state: PartitionState
}
/** Of a conditional write of a partition's state: the state with its new version, or that somebody else was faster. */
export type StateWritten = { kind: 'written'; state: PartitionState } | { kind: 'conflict' } | { kind: 'failed'; error: ZooKeeperError }

export class ControllerZooKeeper {
  readonly #zookeeper: KafkaZooKeeper
  /** The version writes are checked against; −1 while not elected: then they are refused here. */
  #epochVersion = -1

  constructor(zookeeper: KafkaZooKeeper) {
    this.#zookeeper = zookeeper
  }

  /** Makes this broker controller if there is none. Otherwise says who is, −1 where that cannot be read. `obeyed`: the highest controller epoch this broker has met. */
  async elect(brokerId: number, { nowMs, obeyed }: { nowMs: number; obeyed: number }): Promise<Election | { controllerId: number }> {
    const run = this.#zookeeper.run.bind(this.#zookeeper)
    for (;;) {
      const office = await this.#zookeeper.office()
      if (office) return { controllerId: office.node instanceof ZnodeError ? -1 : office.node.brokerId }
      const { epoch: last, version, mended } = await this.#lastEpoch(obeyed)
      const epoch = last + 1
      const data = encodeController({ brokerId, timestampMs: nowMs, kraftControllerEpoch: -1 })
      try {
        const outcome = await run((zk) =>
          zk.multi([
            { op: 'create', path: paths.controller, data, mode: 'ephemeral' },
            { op: 'setData', path: paths.controllerEpoch, data: String(epoch), version },
          ]),
        )
        const written = outcome[1] as Extract<MultiOutcome, { op: 'setData' }>
        return this.#elected(epoch, written.stat.version, mended)
      } catch (error) {
        if (!isZooKeeperError(error, 'nodeExists', 'badVersion', 'noNode')) throw error
        // A lost connection may have hidden that this very election was won.
        const [now, epochNow] = await Promise.all([this.#zookeeper.office(), run((zk) => zk.getData(paths.controllerEpoch)).catch(ignore('noNode'))])
        if (now?.isOwn && epochNow?.data?.toString() === String(epoch)) return this.#elected(epoch, epochNow.stat.version, mended)
      }
    }
  }
  #elected(epoch: number, epochVersion: number, mended: ZnodeError | undefined): Election {
    this.#epochVersion = epochVersion
    return { epoch, epochVersion, mended }
  }
  /**
   * Of the controllers before. Brokers refuse one whose epoch is below the last they have met: where somebody has damaged or deleted the
   * znode or set it back, what partitions' states and this broker know counts, and some more, for controllers who have left no trace.
   */
  async #lastEpoch(obeyed: number): Promise<{ epoch: number; version: number; mended: ZnodeError | undefined }> {
    const found = await this.#zookeeper.run((zk) => zk.getData(paths.controllerEpoch)).catch(ignore('noNode'))
    let mended: ZnodeError | undefined
    try {
      const epoch = found && decodeControllerEpoch(found.data)
      if (found && epoch !== undefined && epoch >= obeyed) return { epoch, version: found.stat.version, mended }
      mended = new ZnodeError(paths.controllerEpoch, epoch === undefined ? 'is missing' : `holds ${epoch}, and this broker has met a controller of epoch ${obeyed}`)
    } catch (error) {
      if (!(error instanceof ZnodeError)) throw error
      mended = error
    }
    const seen = Math.max(obeyed, await this.#highestEpochOfStates())
    if (found) return { epoch: seen + traceless, version: found.stat.version, mended }
    const epoch = seen === 0 ? 0 : seen + traceless
    await this.#zookeeper.run((zk) => zk.create(paths.controllerEpoch, String(epoch))).catch(ignore('nodeExists'))
    const made = await this.#zookeeper.run((zk) => zk.getData(paths.controllerEpoch))
    return { epoch: decodeControllerEpoch(made.data), version: made.stat.version, mended: epoch === 0 ? undefined : mended }
  }
  async #highestEpochOfStates(): Promise<number> {
    const zookeeper = this.#zookeeper
    const epochs = await zookeeper.each(await zookeeper.topicNames(), async (topic) => {
      const indexes = (await zookeeper.run((zk) => zk.listChildren(paths.partitions(topic))).catch(ignore('noNode'))) ?? []
      return zookeeper.each(indexes.map(Number).filter(Number.isInteger), async (index) => {
        try {
          return (await zookeeper.partitionState(topic, index))?.controllerEpoch ?? 0
        } catch (error) {
          if (!(error instanceof ZnodeError)) throw error
          return 0
        }
      })
    })
    // One that was written by hand must not use up the numbers there are.
    return epochs.flat().reduce((highest, epoch) => (epoch > highest && epoch < 0x4000_0000 ? epoch : highest), 0)
  }
  /** What stands in /controller is not what its holder has written: it is written anew. */
  async restoreOffice(brokerId: number, { nowMs, version }: { nowMs: number; version: number }): Promise<void> {
    const data = encodeController({ brokerId, timestampMs: nowMs, kraftControllerEpoch: -1 })
    await this.#checked([{ op: 'setData', path: paths.controller, data, version }]).catch(ignore('noNode', 'badVersion'))
  }
  /** Removes a /controller that nobody governs by, as it was seen. False while the cluster is being migrated to KRaft, whose controllers make lasting ones. */
  async clearOffice({ version, isPersistent }: Office): Promise<boolean> {
    if (isPersistent && (await this.#zookeeper.run((zk) => zk.exists(paths.migration)))) return false
    await this.#zookeeper.run((zk) => zk.delete(paths.controller, version)).catch(ignore('noNode', 'badVersion'))
    return true
  }
  /** No write of this controller is possible afterwards. */
  resign(): void {
    this.#epochVersion = -1
  }
  /** Gives the office back: the node goes, if it is still this controller's. */
  async leaveOffice(): Promise<void> {
    const version = this.#epochVersion
    if (version < 0) return
    await this.#checked([{ op: 'delete', path: paths.controller }]).catch((error: unknown) => {
      if (!(error instanceof ControllerMovedError) && !isZooKeeperError(error, 'noNode')) throw error
    })
    this.resign()
  }

  /** The operations, after a check that this controller is still the one. Their own outcomes, or their error. */
  async #checked(operations: readonly MultiOp[]): Promise<MultiOutcome[]> {
    const version = this.#epochVersion
    if (version < 0) throw new ControllerMovedError()
    try {
      return (await this.#zookeeper.run((zk) => zk.multi([{ op: 'check', path: paths.controllerEpoch, version }, ...operations]))).slice(1)
    } catch (error) {
      if (error instanceof MultiError && error.index === 0) throw new ControllerMovedError(error)
      throw error
    }
  }

  /** Makes or corrects `/feature`; its version. */
  async makeFeatureNode(version: 1 | 2): Promise<number> {
    const data = encodeFeature(version)
    const known = await this.#zookeeper.run((zk) => zk.getData(paths.feature)).catch(ignore('noNode'))
    if (!known) await this.#zookeeper.run((zk) => zk.create(paths.feature, data)).catch(ignore('nodeExists'))
    else if (!known.data?.equals(data)) await this.#zookeeper.run((zk) => zk.setData(paths.feature, data, known.stat.version)).catch(ignore('badVersion'))
    else return known.stat.version
    return this.featureEpoch()
  }
  /** −1 when there is no such node. */
  async featureEpoch(): Promise<number> {
    return (await this.#zookeeper.run((zk) => zk.exists(paths.feature)))?.version ?? -1
  }

  /** Makes the nodes of new partitions with their first state: those of a topic in one multi, so that one sync of the disk does for all. */
  async createStates(writes: readonly StateWrite[]): Promise<StateWritten[]> {
    const outcomes = new Map<StateWrite, StateWritten>()
    await this.#zookeeper.each(chunksByTopic(writes), async (chunk) => {
      for (const [index, outcome] of (await this.#createTogether(chunk)).entries()) outcomes.set(chunk[index], outcome)
    })
    return writes.map((write) => outcomes.get(write) as StateWritten)
  }
  async #createTogether(chunk: readonly StateWrite[]): Promise<StateWritten[]> {
    const operations: MultiOp[] = chunk.flatMap(({ topic, partition, state }): MultiOp[] => [
      { op: 'create', path: paths.partition(topic, partition) },
      { op: 'create', path: paths.partitionState(topic, partition), data: encodePartitionState(state) },
    ])
    if (chunk.some(({ partition }) => partition === 0)) operations.unshift({ op: 'create', path: paths.partitions(chunk[0].topic) })
    try {
      await this.#checked(operations)
      return chunk.map(({ state }) => ({ kind: 'written', state: { ...state, partitionEpoch: 0 } }))
    } catch (error) {
      // Some are there already, perhaps by this very request before the connection was lost; or the one above is missing.
      if (!isZooKeeperError(error, 'nodeExists', 'noNode')) return chunk.map(() => failed(error))
      return this.#createSingly(chunk)
    }
  }
  async #createSingly(writes: readonly StateWrite[]): Promise<StateWritten[]> {
    try {
      await this.#createOnce(paths.partitions(writes[0].topic))
      await this.#zookeeper.each(writes, ({ topic, partition }) => this.#createOnce(paths.partition(topic, partition)))
    } catch (error) {
      return writes.map(() => failed(error))
    }
    return this.#zookeeper.each(writes, async ({ topic, partition, state }): Promise<StateWritten> => {
      const path = paths.partitionState(topic, partition)
      const data = encodePartitionState(state)
      try {
        await this.#checked([{ op: 'create', path, data }])
        return { kind: 'written', state: { ...state, partitionEpoch: 0 } }
      } catch (error) {
        if (!isZooKeeperError(error, 'nodeExists')) return failed(error)
        return this.#ownEarlier(topic, partition, data, 0, state)
      }
    })
  }
  async #createOnce(path: string): Promise<void> {
    await this.#checked([{ op: 'create', path }]).catch(ignore('nodeExists'))
  }
  /**
   * Writes states over those whose version is each one's `partitionEpoch`: many in one multi, so that a broker with thousands of
   * partitions fails over in a few syncs of ZooKeeper's disk. Where one of them is refused, its neighbours are written one by one.
   */
  async updateStates(writes: readonly StateWrite[]): Promise<StateWritten[]> {
    const outcomes = await this.#zookeeper.each(chunksOf(writes, statesPerMulti), (chunk) => this.#updateTogether(chunk))
    return outcomes.flat()
  }
  async #updateTogether(chunk: readonly StateWrite[]): Promise<StateWritten[]> {
    if (chunk.length > 1) {
      try {
        const written = await this.#checked(chunk.map(({ topic, partition, state }) => ({ op: 'setData', path: paths.partitionState(topic, partition), data: encodePartitionState(state), version: state.partitionEpoch })))
        return chunk.map(({ state }, index) => ({ kind: 'written', state: { ...state, partitionEpoch: (written[index] as Extract<MultiOutcome, { op: 'setData' }>).stat.version } }))
      } catch (error) {
        // Somebody else has written one of them, one is gone, or all are written by this very request before the connection was lost.
        if (error instanceof ControllerMovedError || !isZooKeeperError(error)) throw error
      }
    }
    return this.#zookeeper.each(chunk, (write) => this.#updateSingly(write))
  }
  async #updateSingly({ topic, partition, state }: StateWrite): Promise<StateWritten> {
    const path = paths.partitionState(topic, partition)
    const data = encodePartitionState(state)
    try {
      const [written] = await this.#checked([{ op: 'setData', path, data, version: state.partitionEpoch }])
      return { kind: 'written', state: { ...state, partitionEpoch: (written as Extract<MultiOutcome, { op: 'setData' }>).stat.version } }
    } catch (error) {
      if (!isZooKeeperError(error, 'badVersion')) return failed(error)
      return this.#ownEarlier(topic, partition, data, state.partitionEpoch + 1, state)
    }
  }
  /** Whether a conflict is only the own write whose acknowledgement was lost with the connection. */
  async #ownEarlier(topic: string, partition: number, data: Buffer, version: number, state: PartitionState): Promise<StateWritten> {
    const found = await this.#zookeeper.run((zk) => zk.getData(paths.partitionState(topic, partition))).catch(ignore('noNode'))
    return found?.stat.version === version && found.data?.equals(data) ? { kind: 'written', state: { ...state, partitionEpoch: version } } : { kind: 'conflict' }
  }

  async setTopic(topic: string, assignment: TopicAssignment): Promise<void> {
    await this.#checked([{ op: 'setData', path: paths.topic(topic), data: encodeTopic(assignment) }])
  }
  /**
   * Changes what the node says of a topic now, so that partitions somebody adds at the same time are kept. False when the topic is gone.
   */
  async changeTopic(topic: string, change: (found: TopicAssignment) => TopicAssignment): Promise<boolean> {
    const path = paths.topic(topic)
    for (;;) {
      const node = await this.#zookeeper.run((zk) => zk.getData(path)).catch(ignore('noNode'))
      if (!node) return false
      const data = encodeTopic(change(decodeTopic(topic, node.data)))
      if (node.data?.equals(data)) return true
      try {
        await this.#checked([{ op: 'setData', path, data, version: node.stat.version }])
        return true
      } catch (error) {
        // Somebody was faster, or it was this very write before the connection was lost: the next look tells.
        if (!isZooKeeperError(error, 'badVersion', 'noNode')) throw error
      }
    }
  }
  async topicsToDelete(watch?: Watcher): Promise<string[]> {
    return this.#zookeeper.children(paths.deletedTopics, watch)
  }
  async forgetDeletion(topic: string): Promise<void> {
    await this.#checked([{ op: 'delete', path: paths.deletedTopic(topic) }]).catch(ignore('noNode'))
  }
  /** Topic, configuration, then the mark: each node in a checked write of its own, children first. */
  async deleteTopic(topic: string): Promise<void> {
    await this.#deleteTree(paths.topic(topic))
    await this.#deleteTree(paths.entityConfig('topics', topic))
    await this.forgetDeletion(topic)
  }
  async #deleteTree(path: string): Promise<void> {
    for (;;) {
      const children = (await this.#zookeeper.run((zk) => zk.listChildren(path)).catch(ignore('noNode'))) ?? []
      await this.#zookeeper.each(children, (child) => this.#deleteTree(`${path}/${child}`))
      try {
        return void (await this.#checked([{ op: 'delete', path }]).catch(ignore('noNode')))
      } catch (error) {
        if (!isZooKeeperError(error, 'notEmpty')) throw error
      }
    }
  }

  /** Those that cannot be read are named to `damaged` and left out; they are deleted with the others. */
  async isrChanges(watch: Watcher, damaged: (error: ZnodeError) => void): Promise<{ names: string[]; partitions: TopicPartition[] }> {
    const names = await this.#zookeeper.children(paths.isrChanges, watch)
    const lists = await this.#zookeeper.each(names, (name) => this.#notification(`${paths.isrChanges}/${name}`, decodePartitions, damaged))
    return { names, partitions: lists.flatMap((list) => list ?? []) }
  }
  async logDirEvents(watch: Watcher, damaged: (error: ZnodeError) => void): Promise<{ names: string[]; brokerIds: number[] }> {
    const names = await this.#zookeeper.children(paths.logDirEvents, watch)
    const events = await this.#zookeeper.each(names, (name) => this.#notification(`${paths.logDirEvents}/${name}`, decodeLogDirEvent, damaged))
    return { names, brokerIds: events.flatMap((event) => (event ? [event.brokerId] : [])) }
  }
  async #notification<T>(path: string, decode: (path: string, data: Uint8Array | null) => T, damaged: (error: ZnodeError) => void): Promise<T | undefined> {
    const node = await this.#zookeeper.run((zk) => zk.getData(path)).catch(ignore('noNode'))
    try {
      return node && decode(path, node.data)
    } catch (error) {
      if (!(error instanceof ZnodeError)) throw error
      damaged(error)
      return undefined
    }
  }
  async deleteChildren(path: string, names: readonly string[]): Promise<void> {
    await this.#zookeeper.each(names, (name) => this.#checked([{ op: 'delete', path: `${path}/${name}` }]).catch(ignore('noNode')))
  }

  /** Preferred elections that old tools have asked for, none where they cannot be read; undefined when there is no node. */
  async preferredElection(watch: Watcher, damaged: (error: ZnodeError) => void): Promise<TopicPartition[] | undefined> {
    const exists = await this.#zookeeper.run((zk) => zk.exists(paths.preferredElection, { watch }))
    if (!exists) return undefined
    return (await this.#notification(paths.preferredElection, decodePartitions, damaged)) ?? []
  }
  async deletePreferredElection(): Promise<void> {
    await this.#checked([{ op: 'delete', path: paths.preferredElection }]).catch(ignore('noNode'))
  }

  /** Reassignments that tools before KIP-455 have asked for; undefined when there is no node. */
  async reassignment(watch?: Watcher): Promise<WantedReplicas[] | undefined> {
    const exists = await this.#zookeeper.run((zk) => zk.exists(paths.reassignment, { watch }))
    if (!exists) return undefined
    const node = await this.#zookeeper.run((zk) => zk.getData(paths.reassignment)).catch(ignore('noNode'))
    return node && decodeReassignment(node.data)
  }
  /** What is left of them; the node goes with the last. */
  async setReassignment(left: readonly WantedReplicas[]): Promise<void> {
    const path = paths.reassignment
    const operation: MultiOp = left.length === 0 ? { op: 'delete', path } : { op: 'setData', path, data: encodeReassignment(left) }
    await this.#checked([operation]).catch(ignore('noNode'))
  }
}

/** Some 200 bytes each, far below the largest request a server takes (1 MiB). */
const statesPerMulti = 500
function chunksOf<T>(items: readonly T[], countMax: number): T[][] {
  const chunks: T[][] = []
  for (let from = 0; from < items.length; from += countMax) chunks.push(items.slice(from, from + countMax))
  return chunks
}

/** Partitions of one topic, so few that a multi of them stays far below the largest request a server takes (1 MiB). */
function chunksByTopic(writes: readonly StateWrite[], countMax = 500): StateWrite[][] {
  const chunks: StateWrite[][] = []
  const open = new Map<string, StateWrite[]>()
  for (const write of writes) {
    let chunk = open.get(write.topic)
    if (!chunk || chunk.length === countMax) {
      chunks.push((chunk = []))
      open.set(write.topic, chunk)
    }
    chunk.push(write)
  }
  return chunks
}

function failed(error: unknown): StateWritten {
  if (error instanceof ControllerMovedError || !isZooKeeperError(error)) throw error
  return { kind: 'failed', error }
}
function ignore(...names: Parameters<ZooKeeperError['is']>[0][]): (error: unknown) => undefined {
  return (error) => {
    if (isZooKeeperError(error, ...names)) return undefined
    throw error
  }
}
