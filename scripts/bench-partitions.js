/**
 * What a cluster of many partitions does when brokers go and come: one topic of `partitions` with three replicas each. Everything is
 * asked of the brokers, and of ZooKeeper, from this process, in the same way for both makers.
 */
import { silentLogger } from '../dist/host/logger.js'
import { nodeHost } from '../dist/host/node.js'
import { KafkaConnection } from '../dist/kafka/client/connection.js'
import { CreateTopics } from '../dist/kafka/protocol/create-topics.js'
import { ElectLeaders } from '../dist/kafka/protocol/elect-leaders.js'
import { Metadata } from '../dist/kafka/protocol/metadata.js'
import { Produce } from '../dist/kafka/protocol/produce.js'
import { encodeBatch } from '../dist/kafka/records/encode.js'
import { ZooKeeperClient } from '../dist/zookeeper/client/client.js'
import { residentMiB, sleep } from './bench-processes.js'

const host = nodeHost({ logger: silentLogger })
const topic = 'many'
const pollMs = 10
const patienceMs = 180_000
const inFlight = 4

/** `note(name, unit, cluster, value)` takes each figure. `bytes`: how much each broker holds when they begin to be stopped. */
export async function measurePartitions(cluster, { partitions, bytes, rounds, note }) {
  const view = new View(cluster)
  const zookeeper = await ZooKeeperClient.connect(host, { connect: `127.0.0.1:${cluster.zookeeperPort}`, sessionTimeoutMs: 30_000 })
  const figure = (name, value) => note(`${partitions.toLocaleString('en')} partitions, ${name}`, 'ms', cluster, value)
  const level = (states) => states.length === partitions && states.every(({ leaderId, isrNodes }) => leaderId >= 0 && isrNodes.length === 3)
  const ledWithout = (id) => (states) => states.length === partitions && states.every(({ leaderId }) => leaderId >= 0 && leaderId !== id)
  // Whoever is gone has to be seen to be out of sync before his return can be waited for.
  const outOfSync = (id) => (states) => states.length === partitions && states.every(({ isrNodes }) => !isrNodes.includes(id))
  try {
    let began = performance.now()
    await create(view, partitions)
    await view.until(level)
    figure('created, to the last replica in sync', performance.now() - began)
    await fill(view, partitions, bytes)
    await view.until(level)
    for (const { child } of cluster.brokers) note('resident with them', 'MiB', cluster, residentMiB(child))
    for (let round = 0; round < rounds; round++) {
      const controller = cluster.brokers.find(({ id }) => id === view.controllerId)
      const broker = cluster.brokers.find(({ id }) => id !== controller.id)
      began = performance.now()
      await broker.stop()
      figure('a broker told to stop, to its end', performance.now() - began)
      await view.until(outOfSync(broker.id), broker)
      await restarted(broker, 'started again, to the last replica in sync')
      await killed(broker, 'a broker killed, from its session\'s end to the last new leader')
      await restarted(broker, 'started again after kill -9, to the last replica in sync')
      await killed(controller, 'the controller killed, from its session\'s end to the last new leader')
      await restarted(controller, 'started again after kill -9, to the last replica in sync')
    }
  } finally {
    await zookeeper.close()
    view.close()
  }

  async function restarted(broker, name) {
    const began = performance.now()
    broker.start()
    await view.until(level, broker)
    figure(name, performance.now() - began)
  }
  async function killed(broker, name) {
    // Who was stopped before leads nothing since: there has to be something to take over.
    await electPreferred(view)
    await view.until((states) => states.length === partitions && states.every(({ leaderId, replicaNodes }) => leaderId === replicaNodes[0]))
    await broker.stop('SIGKILL')
    while (await zookeeper.exists(`/brokers/ids/${broker.id}`)) await sleep(1)
    const began = performance.now()
    await view.until(ledWithout(broker.id), broker)
    figure(name, performance.now() - began)
    await view.until(outOfSync(broker.id), broker)
  }
}

/** The cluster as its brokers describe it. */
class View {
  #connections = new Map()
  constructor(cluster) {
    this.cluster = cluster
    this.controllerId = -1
  }
  async to(port) {
    const known = this.#connections.get(port)
    if (known && !known.closed) return known
    const connection = await KafkaConnection.open({ host, to: { host: '127.0.0.1', port }, clientId: 'bench', requestTimeoutMs: patienceMs, connectTimeoutMs: 2_000 })
    this.#connections.set(port, connection)
    return connection
  }
  async describe(port) {
    const connection = await this.to(port)
    const answer = await connection.send(Metadata, { topics: [{ name: topic }], allowAutoTopicCreation: false }, { version: connection.versionOf(Metadata, 9), timeoutMs: 5_000 })
    this.controllerId = answer.controllerId
    return answer.topics[0]?.partitions ?? []
  }
  /** Until the other brokers say so: they are who clients ask while one is away. */
  async until(holds, without) {
    const deadline = performance.now() + patienceMs
    for (const { id, port } of this.cluster.brokers) {
      if (id === without?.id) continue
      for (;;) {
        const states = await this.describe(port).catch(() => [])
        if (holds(states)) break
        if (performance.now() > deadline) throw new Error(`broker ${id} of ${this.cluster.maker} does not describe what was waited for: ${summary(states)}`)
        await sleep(pollMs)
      }
    }
  }
  portOf(id) {
    return this.cluster.brokers.find((broker) => broker.id === id).port
  }
  close() {
    for (const connection of this.#connections.values()) connection.close()
  }
}
const summary = (states) => `${states.length} partitions, ${states.filter(({ leaderId }) => leaderId < 0).length} without a leader, ${states.filter(({ isrNodes }) => isrNodes.length < 3).length} with fewer than three in sync`

async function create(view, partitions) {
  await view.describe(view.cluster.brokers[0].port)
  const connection = await view.to(view.portOf(view.controllerId))
  const answer = await connection.send(CreateTopics, { topics: [{ name: topic, numPartitions: partitions, replicationFactor: 3, assignments: [], configs: [] }], timeoutMs: patienceMs, validateOnly: false }, { version: connection.versionOf(CreateTopics, 5), timeoutMs: patienceMs })
  const { errorCode, errorMessage } = answer.topics[0]
  if (errorCode !== 0) throw new Error(`the topic was not made: ${errorMessage ?? errorCode}`)
}
async function electPreferred(view) {
  const connection = await view.to(view.portOf(view.controllerId))
  const { errorCode } = await connection.send(ElectLeaders, { electionType: 0, topicPartitions: null, timeoutMs: patienceMs }, { version: connection.versionOf(ElectLeaders, 2), timeoutMs: patienceMs })
  if (errorCode !== 0) throw new Error(`no preferred leaders were elected: ${errorCode}`)
}
/** The same number of batches to each partition, until there are as many bytes on each broker. */
async function fill(view, partitions, bytes) {
  const value = Buffer.alloc(1_000, 'a')
  const records = 900
  const batch = encodeBatch(Array.from({ length: records }, () => ({ key: null, value, timestamp: Date.now() })))
  const rounds = Math.ceil(bytes / partitions / batch.length)
  const states = await view.describe(view.cluster.brokers[0].port)
  const byLeader = new Map()
  for (const { partitionIndex, leaderId } of states) byLeader.set(leaderId, [...(byLeader.get(leaderId) ?? []), partitionIndex])
  const lanes = [...byLeader].flatMap(([leaderId, indexes]) =>
    Array.from({ length: inFlight }, async (_, lane) => {
      const connection = await view.to(view.portOf(leaderId))
      for (let round = 0; round < rounds; round++)
        for (let at = lane; at < indexes.length; at += inFlight) {
          const request = { transactionalId: null, acks: -1, timeoutMs: patienceMs, topicData: [{ name: topic, partitionData: [{ index: indexes[at], records: batch }] }] }
          const answer = await connection.send(Produce, request, { version: 8, timeoutMs: patienceMs })
          const { errorCode } = answer.responses[0].partitionResponses[0]
          if (errorCode !== 0) throw new Error(`partition ${indexes[at]} answered error ${errorCode}`)
        }
    }))
  await Promise.all(lanes)
}
