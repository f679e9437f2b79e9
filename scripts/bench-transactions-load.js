/**
 * Transactional producers for a broker or a cluster, run as a process of its own. Gets one job as JSON in argv[2], prints one line of JSON.
 * Each producer does what Apache's client does, in its order and with its pauses, but with frames put together beforehand:
 * AddPartitionsToTxn, one Produce for each leader (acks −1), EndTxn; CONCURRENT_TRANSACTIONS is tried again after 20 ms for the first partitions of
 * a transaction and after 100 ms for everything else.
 */
import { Batch, field, setInt32 } from '../dist/kafka/records/batch.js'
import { encodeBatch } from '../dist/kafka/records/encode.js'
import { askOnce, caller, createTopic, end, eventually, fail, frame, int16, int32, int64, quantiles, string } from './bench-wire.js'

const job = JSON.parse(process.argv[2])
const concurrentTransactions = 51
/** Tried again: the topic or its leader not known there yet, the coordinator not known or loading, NOT_ENOUGH_REPLICAS. */
const passing = new Set([3, 5, 6, 14, 15, 16, 19, concurrentTransactions])
const addRetryMs = 20
const retryMs = 100
const pause = (ms) => new Promise((done) => setTimeout(done, ms))

/** FindCoordinator v1 for a transactional id: host and port of the broker. */
async function coordinatorOf(ports, id) {
  const request = frame(10, 1, Buffer.concat([string(id), Buffer.from([1])]))
  return eventually(`the coordinator of ${id}`, 60_000, async () => {
    const answer = await askOnce(ports[0], request, 5_000)
    if (!answer || answer.readInt16BE(12) !== 0) return undefined
    let at = 14 + 2 + Math.max(0, answer.readInt16BE(14)) + 4
    at += 2 + answer.readInt16BE(at)
    return answer.readInt32BE(at)
  })
}

class Producer {
  constructor(id, topic, partitions) {
    this.id = id
    this.topic = topic
    this.partitions = partitions
    this.connections = new Map()
    this.sequence = 0
    this.retries = 0
  }
  async connect(ports, leaderPorts) {
    const coordinatorPort = await coordinatorOf(ports, this.id)
    const ofPort = async (port) => {
      if (!this.connections.has(port)) this.connections.set(port, await caller(port))
      return this.connections.get(port)
    }
    this.coordinator = await ofPort(coordinatorPort)
    // InitProducerId v1
    const init = frame(22, 1, Buffer.concat([string(this.id), int32(60_000)]))
    let answer
    while ((answer = await this.coordinator.ask(init)).readInt16BE(4) !== 0) {
      if (!passing.has(answer.readInt16BE(4))) fail(`InitProducerId answered error ${answer.readInt16BE(4)}`)
      await pause(retryMs)
    }
    const producer = { id: Number(answer.readBigInt64BE(6)), epoch: answer.readInt16BE(14) }
    const who = Buffer.concat([string(this.id), int64(producer.id), int16(producer.epoch)])
    // AddPartitionsToTxn v2, EndTxn v2
    this.add = frame(24, 2, Buffer.concat([who, int32(1), string(this.topic), int32(this.partitions.length), ...this.partitions.map(int32)]))
    this.commit = frame(26, 2, Buffer.concat([who, Buffer.from([1])]))
    // Produce v7, one for each leader; the sequences are patched in place
    const batch = encodeBatch([{ key: 'key', value: 'v'.repeat(100), timestamp: Date.now() }], { producerId: producer.id, producerEpoch: producer.epoch, baseSequence: 0, isTransactional: true })
    this.produces = []
    const leaders = new Map()
    for (const partition of this.partitions) leaders.set(leaderPorts[partition], [...(leaders.get(leaderPorts[partition]) ?? []), partition])
    for (const [port, led] of leaders) {
      const parts = [string(this.id), int16(-1), int32(30_000), int32(1), string(this.topic), int32(led.length)]
      const bytes = frame(0, 7, Buffer.concat([...parts, ...led.flatMap((partition) => [int32(partition), int32(batch.length), batch])]))
      const first = bytes.length - led.length * (8 + batch.length)
      this.produces.push({
        connection: await ofPort(port), bytes, batches: led.map((_, index) => new Batch(bytes, first + index * (8 + batch.length) + 8)),
        // [topic [partition error offset time start]] behind the size and correlation id
        errorsAt: led.map((_, index) => 4 + 2 + Buffer.byteLength(this.topic) + 4 + index * 30 + 4),
      })
    }
    const head = 4 + 4 + 2 + Buffer.byteLength(this.topic) + 4
    this.addErrorsAt = this.partitions.map((_, index) => head + index * 6 + 4)
  }
  async #until(ask, errorsAt, waitMs, what) {
    for (;;) {
      const answer = await ask()
      const wrong = errorsAt.map((at) => answer.readInt16BE(at)).find((code) => code !== 0)
      if (wrong === undefined) return
      if (!passing.has(wrong)) fail(`${what} answered error ${wrong}`)
      this.retries++
      await pause(waitMs)
    }
  }
  /** One transaction; how long its commit took, in ms. */
  async transact() {
    await this.#until(() => this.coordinator.ask(this.add), this.addErrorsAt, addRetryMs, 'AddPartitionsToTxn')
    const sequence = this.sequence++
    await Promise.all(this.produces.map(({ connection, bytes, batches, errorsAt }) => {
      for (const batch of batches) {
        setInt32(bytes, batch.at + field.baseSequence, sequence)
        setInt32(bytes, batch.at + field.crc, batch.computeCrc() | 0)
      }
      return this.#until(() => connection.ask(bytes), errorsAt, retryMs, 'Produce')
    }))
    const began = performance.now()
    await this.#until(() => this.coordinator.ask(this.commit), [4], retryMs, 'EndTxn')
    return performance.now() - began
  }
}

/** `producers` with `partitions` each, of one topic, for `seconds` after a quarter of it; one after the other, or at `rate` a second by all together. */
async function transactions({ ports, topic, name, producers: count, partitions, replicas, seconds, rate }) {
  const { leaderPorts } = await createTopic(ports, { topic, partitions: count * partitions, replicas })
  const producers = Array.from({ length: count }, (_, index) => new Producer(`${name}-${index}`, topic, Array.from({ length: partitions }, (__, at) => index * partitions + at)))
  for (const producer of producers) await producer.connect(ports, leaderPorts)
  let measuring = false
  let over = false
  const commits = []
  const wholes = []
  const everyMs = rate ? (count * 1000) / rate : 0
  const first = performance.now()
  const running = producers.map(async (producer, index) => {
    for (let due = first + (everyMs * index) / count; !over; due += everyMs) {
      if (due > performance.now()) await pause(due - performance.now())
      const began = performance.now()
      const commitMs = await producer.transact()
      if (!measuring) continue
      commits.push(commitMs)
      wholes.push(performance.now() - began)
    }
  })
  const retries = () => producers.reduce((sum, producer) => sum + producer.retries, 0)
  await Promise.race([pause((seconds * 1000) / 4), ...running])
  console.log('armed')
  measuring = true
  const began = performance.now()
  const retriesBefore = retries()
  await Promise.race([pause(seconds * 1000), ...running])
  measuring = false
  const result = { transactions: commits.length, seconds: (performance.now() - began) / 1000, retries: retries() - retriesBefore }
  over = true
  await Promise.all(running)
  end({ ...result, commit: quantiles(commits), whole: quantiles(wholes) })
}

await transactions(job)
