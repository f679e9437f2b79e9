/** One run of one or three brokers and the ZooKeeper server they hang on, all as shipped, under load and faults, and what must hold at its end. */
import { CreateTopics } from '../kafka/protocol/create-topics.ts'
import { RefusedError } from '../kafka/protocol/errors.ts'
import { bugIn } from './checkers/bug-in.ts'
import { GroupLaws } from './checkers/groups.ts'
import { PowerCuts, type InSync } from './checkers/power-cuts.ts'
import { LogLaws } from './checkers/logs.ts'
import { ReplicaLaws } from './checkers/replicas.ts'
import { TransactionLaws } from './checkers/transactions.ts'
import { Violation } from './checkers/violation.ts'
import { Faults, type FaultKind } from './faults.ts'
import { type Actor, Committer, Consumer, IdempotentProducer, PlainProducer, topic, type KafkaClientFacts } from './kafka-clients.ts'
import { kafkaPort, SimulatedBroker } from './kafka-broker.ts'
import { Administrator, grown } from './kafka-administrator.ts'
import { GroupMember } from './kafka-groups.ts'
import { CommittedReader, ledger, ledgerPartitions, TransactionalProducer } from './kafka-transactions.ts'
import { Machine, type LogLine } from './machine.ts'
import { SimulatedNetwork } from './network.ts'
import type { RunOptions, RunReport } from './run.ts'
import { ClusterWatch } from './watch-cluster.ts'
import { World } from './world.ts'
import { SimulatedZooKeeper, zooKeeperPort } from './zookeeper-server.ts'

const allKinds: readonly FaultKind[] = ['stop', 'stop', 'kill', 'kill', 'powerCut', 'powerCut', 'killAndPowerCut', 'pause', 'block', 'partition', 'partition', 'slowLink', 'reset', 'slowDisk', 'fullDisk', 'brokenDisk', 'clockStep']
const clusterKinds: readonly FaultKind[] = [...allKinds, 'zombie', 'zombie', 'deposed', 'lateOrders']
const partitionCount = 2

export const runKafka = (options: RunOptions): Promise<RunReport> => run(options, 1)
/** Three replicas of everything; two of them have to be in sync before a write is acknowledged. */
export const runCluster = (options: RunOptions): Promise<RunReport> => run(options, 3)

async function run({ seed, onTrace, faultyMs = 30_000, ...options }: RunOptions, brokerCount: number): Promise<RunReport> {
  const kinds = options.kinds ?? (brokerCount > 1 ? clusterKinds : allKinds)
  const world = new World({ seed, onTrace })
  const network = new SimulatedNetwork(world)
  const laws = new LogLaws({ watermarksMayLag: brokerCount > 1 })
  let fail!: (violation: unknown) => void
  const failed = new Promise<never>((_, reject) => (fail = reject))
  failed.catch(() => {})
  const heard = (line: LogLine): void => {
    const bug = bugIn(line)
    if (bug) fail(bug)
  }
  const machineOf = (name: string, address: string): Machine => new Machine(world, network, { name, address, onLog: heard })

  const zookeeper = new SimulatedZooKeeper(world, machineOf('zookeeper', '10.0.0.1'), { settings: { tickTime: 500, snapCount: 200, maxClientCnxns: 0 }, violated: fail })
  // Every third seed of a cluster leaves it to the replicas that records outlive a power cut, as brokers do by default.
  const isUnsynced = options.scenario === undefined ? brokerCount > 1 && seed % 3 === 0 : options.scenario === 'unsynced'
  const replicas = String(brokerCount)
  const brokers = Array.from({ length: brokerCount }, (_, id) => new SimulatedBroker(world, machineOf(brokerCount === 1 ? 'broker' : `broker-${id}`, `10.0.0.${id + 2}`), {
    id,
    settings: {
      'zookeeper.connect': `zookeeper:${zooKeeperPort}/kafka`, 'zookeeper.session.timeout.ms': String(2_000 + world.random.below(4_000)), 'zookeeper.connection.timeout.ms': '4000',
      'offsets.topic.num.partitions': '2', 'offsets.topic.replication.factor': replicas, 'transaction.state.log.num.partitions': '2', 'transaction.state.log.replication.factor': replicas, 'transaction.state.log.min.isr': String(Math.min(2, brokerCount)),
      'transaction.abort.timed.out.transaction.cleanup.interval.ms': '1000', 'min.insync.replicas': String(Math.min(2, brokerCount)), 'replica.lag.time.max.ms': '3000',
      ...(isUnsynced ? {} : { 'log.flush.interval.messages': '1' }), 'log.segment.bytes': String(2_000 + world.random.below(20_000)), 'log.index.size.max.bytes': '400',
      'log.index.interval.bytes': '200', 'offsets.topic.segment.bytes': '4000', 'log.flush.offset.checkpoint.interval.ms': '3000', 'group.initial.rebalance.delay.ms': '0', 'group.min.session.timeout.ms': '1000', 'log.cleaner.dedupe.buffer.size': '2000000',
    },
    violated: fail,
  }))
  const replicaLaws = new ReplicaLaws()
  const cuts = new PowerCuts()
  const watch = new ClusterWatch(world, { brokers, laws: replicaLaws, cuts, violated: fail })
  let states: readonly InSync[] = []
  // Whose session is over is no member of any ISR any more, as the next controller will write.
  const isRegistered = (id: number): boolean => !zookeeper.server || zookeeper.server.tree.get(`/kafka/brokers/ids/${id}`) !== undefined
  for (const { id, machine } of isUnsynced ? brokers : []) {
    const goesDown = (how: 'killed' | 'powerCut'): void => {
      states = inSyncIn(zookeeper) ?? states
      const wideBefore = cuts.wide
      cuts.goesDown(id, how, { states, others: brokers.filter((other) => other.id !== id && other.machine.isRunning && isRegistered(other.id)).map((other) => other.id) })
      if (cuts.wide > wideBefore) world.trace(`${machine.name} goes down as the last that has everything`)
    }
    const kill = machine.kill.bind(machine)
    const cutPower = machine.cutPower.bind(machine)
    machine.kill = () => {
      if (machine.isRunning) goesDown('killed')
      kill()
    }
    machine.cutPower = () => {
      goesDown('powerCut')
      cutPower()
    }
  }
  const acknowledged = brokerCount === 1 ? undefined : (partition: string, offset: number): void => watch.acknowledged(partition, offset, 2)
  const factsOf = (index: number, name: string): KafkaClientFacts => ({ world, laws, partitionCount, acknowledged, bootstrapServers: brokers.map(({ machine }) => `${machine.name}:${kafkaPort}`).join(','), violated: fail, machine: machineOf(`${name}-${index}`, `10.0.1.${index}`) })
  const consumer = new Consumer(factsOf(1, 'consumer'))
  const actors: Actor[] = [
    consumer, new Consumer(factsOf(2, 'consumer')), new IdempotentProducer(factsOf(3, 'idempotent')), new IdempotentProducer(factsOf(4, 'idempotent')),
    new PlainProducer(factsOf(5, 'plain')), new Committer(factsOf(6, 'committer')),
  ]
  // Transactions come with every other seed of a cluster.
  const isTransactional = options.scenario === undefined ? brokerCount > 1 && seed % 2 === 0 : options.scenario === 'transactions'
  const transactionLaws = new TransactionLaws()
  const groupLaws = new GroupLaws()
  actors.push(...[11, 12, 13].slice(0, brokerCount === 1 ? 0 : 2 + (seed % 2)).map((index) => new GroupMember(factsOf(index, 'member'), groupLaws)))
  const writers = isTransactional ? [7, 8].map((index) => new TransactionalProducer(factsOf(index, 'transactional'), transactionLaws)) : []
  const committedReader = isTransactional ? new CommittedReader(factsOf(10, 'committed'), transactionLaws) : undefined
  actors.push(...writers, ...(committedReader ? [committedReader] : []))
  const isMoving = brokerCount > 1 && options.scenario === 'moves'
  const administrator = isMoving ? new Administrator(factsOf(14, 'administrator'), brokers.map(({ id }) => id)) : undefined
  if (administrator) actors.push(administrator)
  const faults = new Faults(world, network, {
    plan: { kinds, coordination: zookeeper.machine, pauseMs: [50, 5_000], lastsMs: [200, 10_000] },
    // Brokers are what this is about: they fail oftener.
    servers: [...brokers, ...(brokerCount === 1 ? brokers : []), zookeeper].map((server) => ({ machine: server.machine, restart: () => server.start(), stop: () => server.stop(), leads: () => brokerCount > 1 && server instanceof SimulatedBroker && server.broker?.services.controller.isActive === true })),
    others: actors.map(({ facts }) => facts.machine),
  })

  async function story(): Promise<void> {
    zookeeper.start()
    for (const broker of brokers) broker.start()
    await world.sleep(brokerCount === 1 ? 0 : 3_000)
    await consumer.client.call({ kind: 'controller' }, CreateTopics, {
      topics: [{ name: topic, numPartitions: partitionCount }, ...(isTransactional ? [{ name: ledger, numPartitions: ledgerPartitions }] : []), ...(isMoving ? [{ name: grown, numPartitions: 1 }] : [])].map((each) => ({ ...each, replicationFactor: brokerCount, assignments: [], configs: [] })),
    }, {
      errorsIn: ({ topics }) => topics, callTimeoutMs: 60_000,
    })
    if (brokerCount > 1) watch.start()
    const running = actors.map((actor) => actor.run())
    const nemesis = faults.run()
    await world.sleep(faultyMs)
    faults.stop()
    await nemesis
    // Sessions expire, registrations are made again, the controller takes over, partitions are led again.
    await world.sleep(6_000)
    for (const actor of actors) actor.stop()
    await Promise.all(running)
    await administrator?.restore()
    await world.sleep(14_000)
    for (let partition = 0; partition < partitionCount; partition++) {
      const records = await consumer.client.retrying('the whole partition', () => consumer.whole(partition), 30_000)
      laws.whole(partition, records)
    }
    if (committedReader) {
      const values: string[] = []
      for (let partition = 0; partition < ledgerPartitions; partition++) values.push(...await committedReader.whole(partition))
      const offsets = new Map<string, number>()
      for (const writer of writers) offsets.set(writer.facts.machine.name, await writer.committedOffset())
      transactionLaws.settled(values, offsets)
    }
    // Topics that are compacted are cleaned by each broker in its own time.
    await watch.agree([{ topic, partitionCount }, ...(isTransactional ? [{ topic: ledger, partitionCount: ledgerPartitions }] : [])])
    const before = laws.records
    const late = new IdempotentProducer(factsOf(9, 'late'))
    const last = late.run()
    await world.sleep(5_000)
    late.stop()
    await last
    for (const path of [...brokers.map(({ id }) => `/kafka/brokers/ids/${id}`), '/kafka/controller'])
      if (!zookeeper.server?.tree.get(path)) throw new Violation('a broker is registered as long as it lives', `${path} is missing, 25 s after the last fault`)
    if (laws.records === before) throw new Violation('a broker serves again when nothing fails any more', 'a new producer got nothing acknowledged within 5 s')
  }
  let lost: string | undefined
  try {
    await world.runUntil(Promise.race([story(), failed]), faultyMs + 600_000)
  } catch (error) {
    // Reported, not hidden: what such a cut has taken is the end of the run.
    if (!(error instanceof Violation ? cuts.explains(error.law) : error instanceof RefusedError && cuts.wide > 0)) throw error
    lost = (error as Error).message
    world.trace(`lost: ${lost}`)
  }
  return {
    lost,
    seed, virtualMs: world.now, events: world.events, traceSum: world.traceSum, faults: faults.counts,
    laws: new Map([...replicaLaws.counts, ...transactionLaws.counts, ...groupLaws.counts]),
    operations: actors.reduce((sum, { operations }) => sum + operations, 0),
    facts: { unknown: actors.reduce((sum, { unknown }) => sum + unknown, 0), starts: brokers.reduce((sum, { starts }) => sum + starts, 0), refusedStarts: brokers.reduce((sum, { refused }) => sum + refused, 0), zookeeperStarts: zookeeper.starts, records: laws.records, transactions: transactionLaws.committed, shares: groupLaws.shares, moves: administrator?.moves ?? 0, partitions: inSyncIn(zookeeper)?.length ?? 0, narrowPowerCuts: cuts.narrow, widePowerCuts: cuts.wide, losses: lost === undefined ? 0 : 1 },
  }
}

/** What the states of all partitions say; undefined while there is no ZooKeeper to say it. */
function inSyncIn({ server }: SimulatedZooKeeper): InSync[] | undefined {
  const topics = '/kafka/brokers/topics'
  if (!server?.tree.get(topics)) return undefined
  const childrenOf = (path: string): string[] => {
    const node = server.tree.get(path)
    return node ? server.tree.childrenOf(node, path) : []
  }
  return childrenOf(topics).flatMap((name) =>
    childrenOf(`${topics}/${name}/partitions`).flatMap((index) => {
      const data = server.tree.get(`${topics}/${name}/partitions/${index}/state`)?.data
      return data ? [{ partition: `${name}-${index}`, isr: (JSON.parse(Buffer.from(data).toString()) as { isr: number[] }).isr }] : []
    }),
  )
}
