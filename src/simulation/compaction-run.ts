/** One run of one or three brokers whose cleaner never rests, under load on a compacted topic and faults, and what must hold at its end. */
import { ProducerState } from '../kafka/log/producer-state.ts'
import type { PartitionLog } from '../kafka/log/partition-log.ts'
import { controlType, controlTypeOf } from '../kafka/records/control.ts'
import { recordsOf } from '../kafka/records/decode.ts'
import { CreateTopics } from '../kafka/protocol/create-topics.ts'
import { bugIn } from './checkers/bug-in.ts'
import { CompactionLaws, type Seen } from './checkers/compaction.ts'
import { ReplicaLaws } from './checkers/replicas.ts'
import { Violation } from './checkers/violation.ts'
import { Faults, type FaultKind } from './faults.ts'
import { kafkaPort, SimulatedBroker } from './kafka-broker.ts'
import { compacted, KeyedProducer, KeyedTransactions, seenOf, ViewReader, type CompactionFacts } from './kafka-compaction.ts'
import { Machine, type LogLine } from './machine.ts'
import { SimulatedNetwork } from './network.ts'
import type { RunOptions, RunReport } from './run.ts'
import { ClusterWatch } from './watch-cluster.ts'
import { World } from './world.ts'
import { SimulatedZooKeeper, zooKeeperPort } from './zookeeper-server.ts'

const allKinds: readonly FaultKind[] = ['swap', 'swap', 'swap', 'stop', 'kill', 'powerCut', 'killAndPowerCut', 'pause', 'partition', 'slowLink', 'reset', 'slowDisk', 'fullDisk', 'brokenDisk', 'clockStep']
const clusterKinds: readonly FaultKind[] = [...allKinds, 'zombie', 'deposed', 'kill', 'stop']
const partitionCount = 2
const deleteRetentionMs = 5_000

/** Seeds that are even have three brokers, the others one; `--scenario one` and `--scenario three` say so. */
export async function runCompaction({ seed, onTrace, faultyMs = 20_000, kinds, scenario }: RunOptions): Promise<RunReport> {
  const brokerCount = (scenario === undefined ? seed % 2 === 0 : scenario === 'three') ? 3 : 1
  const world = new World({ seed, onTrace })
  const network = new SimulatedNetwork(world)
  const laws = new CompactionLaws()
  const replicaLaws = new ReplicaLaws()
  let fail!: (violation: unknown) => void
  const failed = new Promise<never>((_, reject) => (fail = reject))
  failed.catch(() => {})
  let cleanings = 0
  const heard = (line: LogLine): void => {
    if (line.event === 'compacted') cleanings++
    const bug = bugIn(line)
    if (bug) fail(bug)
  }
  const machineOf = (name: string, address: string): Machine => new Machine(world, network, { name, address, onLog: heard })
  const zookeeper = new SimulatedZooKeeper(world, machineOf('zookeeper', '10.0.0.1'), { settings: { tickTime: 500, snapCount: 200, maxClientCnxns: 0 }, violated: fail })
  const replicas = String(brokerCount)
  const brokers = Array.from({ length: brokerCount }, (_, id) => new SimulatedBroker(world, machineOf(`broker-${id}`, `10.0.0.${id + 2}`), {
    id,
    settings: {
      'zookeeper.connect': `zookeeper:${zooKeeperPort}/kafka`, 'zookeeper.session.timeout.ms': String(2_000 + world.random.below(4_000)), 'zookeeper.connection.timeout.ms': '4000',
      'offsets.topic.num.partitions': '1', 'offsets.topic.replication.factor': replicas, 'transaction.state.log.num.partitions': '2', 'transaction.state.log.replication.factor': replicas, 'transaction.state.log.min.isr': String(Math.min(2, brokerCount)),
      'transaction.abort.timed.out.transaction.cleanup.interval.ms': '1000', 'min.insync.replicas': String(Math.min(2, brokerCount)), 'replica.lag.time.max.ms': '3000',
      'log.flush.interval.messages': '1', 'log.index.size.max.bytes': '400', 'log.index.interval.bytes': '200', 'transaction.state.log.segment.bytes': '2000', 'log.flush.offset.checkpoint.interval.ms': '2000',
      'group.initial.rebalance.delay.ms': '0', 'log.cleaner.dedupe.buffer.size': '2000000', 'log.cleaner.backoff.ms': String(100 + world.random.below(500)), 'log.cleaner.min.cleanable.ratio': '0.01',
      'log.cleaner.delete.retention.ms': String(deleteRetentionMs), 'log.segment.delete.delay.ms': '1000',
    },
    violated: fail,
  }))
  const watch = new ClusterWatch(world, { brokers, laws: replicaLaws, violated: fail })
  const leading = (partition: number) => brokers.find(({ broker, machine }) => machine.isRunning && broker?.services.replicas.find(compacted, partition)?.leading)
  const factsOf = (index: number, name: string): CompactionFacts => ({
    world, laws, partitionCount, deleteRetentionMs, bootstrapServers: brokers.map(({ machine }) => `${machine.name}:${kafkaPort}`).join(','), violated: fail, machine: machineOf(`${name}-${index}`, `10.0.1.${index}`),
    calmMs: () => faults.calmMs, leader: (partition) => leading(partition)?.machine.name,
  })
  const paces = [{ maxBytes: 20_000, haste: 0.8 }, { maxBytes: 400, haste: 0.3 }] as const
  const readers = [true, false].flatMap((isCommitted) => paces.map((pace) => ({ isCommitted, ...pace }))).map((options, index) => new ViewReader(factsOf(index + 1, 'reader'), options))
  const writers = [new KeyedProducer(factsOf(5, 'keyed')), new KeyedProducer(factsOf(6, 'keyed')), new KeyedTransactions(factsOf(7, 'transactional')), new KeyedTransactions(factsOf(8, 'transactional'))]
  const actors = [...readers, ...writers]
  const faults = new Faults(world, network, {
    plan: { kinds: kinds ?? (brokerCount === 1 ? allKinds : clusterKinds), coordination: zookeeper.machine, pauseMs: [50, 3_000], lastsMs: [200, 6_000] },
    // Brokers are what this is about: they fail oftener.
    servers: [...brokers, ...brokers, zookeeper].map((server) => ({ machine: server.machine, restart: () => server.start(), stop: () => server.stop(), leads: () => brokerCount > 1 && server instanceof SimulatedBroker && server.broker?.services.controller.isActive === true })),
    others: actors.map(({ facts }) => facts.machine),
  })
  async function story(): Promise<void> {
    zookeeper.start()
    for (const broker of brokers) broker.start()
    await world.sleep(brokerCount === 1 ? 0 : 3_000)
    const configs = Object.entries({ 'cleanup.policy': 'compact', 'segment.bytes': String(1_500 + world.random.below(6_000)) }).map(([name, value]) => ({ name, value }))
    await readers[0].client.call({ kind: 'controller' }, CreateTopics, { topics: [{ name: compacted, numPartitions: partitionCount, replicationFactor: brokerCount, assignments: [], configs }] }, { errorsIn: ({ topics }) => topics, callTimeoutMs: 60_000 })
    if (brokerCount > 1) watch.start()
    const running = actors.map((actor) => actor.run())
    const nemesis = faults.run()
    await world.sleep(faultyMs)
    faults.stop()
    await nemesis
    await world.sleep(6_000)
    for (const writer of writers) writer.stop()
    await world.sleep(1_000)
    for (const reader of readers) reader.stop()
    // Transactions run out; everything that is closed is cleaned.
    await Promise.all(running)
    await world.sleep(7_000)
    for (const reader of readers) for (let partition = 0; partition < partitionCount; partition++) await reader.whole(partition)
    for (let partition = 0; partition < partitionCount; partition++) {
      if (!leading(partition)) throw new Violation('a broker serves again when nothing fails any more', `nobody leads ${compacted}-${partition}`)
      for (const broker of brokers) await inspect(broker, partition)
    }
  }
  /** One replica, as it lies on its disk. */
  async function inspect({ machine, broker }: SimulatedBroker, partition: number): Promise<void> {
    const replica = broker?.services.replicas.find(compacted, partition)
    if (!replica) throw new Violation('a broker serves again when nothing fails any more', `${machine.name} has no replica of ${compacted}-${partition}`)
    const { log } = replica
    const who = `${compacted}-${partition} of ${machine.name}`
    laws.stable(who, log.lastStableOffset, log.logEndOffset)
    const { entries, producers, marked } = await contents(log)
    laws.views({ partition, position: log.logEndOffset, seen: new Map(entries.map((entry) => [entry.id, entry])), isPrompt: true, who })
    laws.cleaned(who, cleanedTo(machine, log.name), entries)
    for (const { ids, isCommitted } of marked) laws.marked(who, ids, isCommitted)
    laws.producers(who, log.producers(), producers.describe())
  }
  await world.runUntil(Promise.race([story(), failed]), faultyMs + 600_000)
  return {
    seed, virtualMs: world.now, events: world.events, traceSum: world.traceSum, faults: faults.counts,
    laws: new Map([...replicaLaws.counts, ...laws.counts]),
    operations: actors.reduce((sum, { operations }) => sum + operations, 0),
    facts: { brokers: brokerCount, cleanings, unknown: actors.reduce((sum, { unknown }) => sum + unknown, 0), starts: brokers.reduce((sum, { starts }) => sum + starts, 0), records: laws.records },
  }
}

interface Marked {
  readonly ids: readonly string[]
  readonly isCommitted: boolean
}
/** All records of a log, its producers as one who had nothing else would know them, and what lies between the markers of each. */
async function contents(log: PartitionLog): Promise<{ entries: Seen[]; producers: ProducerState; marked: Marked[] }> {
  const entries: Seen[] = []
  const producers = new ProducerState()
  const open = new Map<number, string[]>()
  const marked: Marked[] = []
  for (const segment of log.segments)
    for await (const { batch } of segment.batches(0, segment.writtenSize)) {
      const completed = producers.appended(batch)
      if (completed) producers.complete(completed)
      const records = recordsOf(batch)
      if (batch.isControl) {
        // An emptied one marks nothing any more.
        if (records.length === 0) continue
        const ids = open.get(batch.producerId)
        if (ids) marked.push({ ids, isCommitted: controlTypeOf(records[0].key) === controlType.commit })
        open.delete(batch.producerId)
        continue
      }
      const found = records.map(seenOf)
      entries.push(...found)
      if (batch.isTransactional) open.set(batch.producerId, [...(open.get(batch.producerId) ?? []), ...found.map(({ id }) => id)])
    }
  return { entries, producers, marked }
}
/** What the checkpoint says; 0 without. */
function cleanedTo({ disk }: Machine, name: string): number {
  const line = disk.factsSync('/kafka/cleaner-offset-checkpoint') && disk.readFileSync('/kafka/cleaner-offset-checkpoint').toString().split('\n').find((each) => each.startsWith(name.replace(/-(\d+)$/, ' $1 ')))
  return line ? Number(line.split(' ')[2]) : 0
}
