/** The memory of requests is used again when followers and consumers have what was in it; never while an answer that shows it is on its way. */
import { afterEach, expect, test } from 'vitest'
import { silentLogger } from '../../../src/host/logger.ts'
import { nodeHost } from '../../../src/host/node.ts'
import { KafkaConnection } from '../../../src/kafka/client/connection.ts'
import { Fetch } from '../../../src/kafka/protocol/fetch.ts'
import { decodeResponse, encodeRequest } from '../../../src/kafka/protocol/headers.ts'
import { Produce } from '../../../src/kafka/protocol/produce.ts'
import { batchesIn, recordsOf } from '../../../src/kafka/records/decode.ts'
import { encodeBatch } from '../../../src/kafka/records/encode.ts'
import { Brokers, until } from './brokers.ts'

let brokers: Brokers
afterEach(() => brokers?.stopAll())
const host = nodeHost({ logger: silentLogger })
const MiB = 1024 * 1024
const valueSize = 250_000
/** Of each number another value. */
const valueOf = (number: number): Buffer => Buffer.alloc(valueSize, `${number} `)

/** Batches of one record each, on several connections at a time; the numbers of what they hold, by offset. */
async function produce(numbers: readonly number[]): Promise<Map<number, number>> {
  const { host: address, port } = brokers.broker(brokers.leaderOf('t')).listeners[0]
  const placed = new Map<number, number>()
  const left = [...numbers]
  await Promise.all(
    Array.from({ length: 4 }, async () => {
      const connection = await KafkaConnection.open({ host, to: { host: address, port }, clientId: 'test' })
      for (let number = left.shift(); number !== undefined; number = left.shift()) {
        const records = encodeBatch([{ key: null, value: valueOf(number), headers: [] }])
        const answer = await connection.send(Produce, { transactionalId: null, acks: -1, timeoutMs: 30_000, topicData: [{ name: 't', partitionData: [{ index: 0, records }] }] }, { version: 9 })
        const { errorCode, baseOffset } = answer.responses[0].partitionResponses[0]
        expect(errorCode).toBe(0)
        placed.set(baseOffset, number)
      }
      connection.close()
    }),
  )
  return placed
}
function expectBatches(bytes: Buffer, from: number, placed: ReadonlyMap<number, number>): number {
  let next = from
  for (const batch of batchesIn(bytes)) {
    expect(batch.baseOffset).toBe(next)
    expect(batch.computeCrc()).toBe(batch.crc)
    expect(recordsOf(batch)[0].value!.equals(valueOf(placed.get(next)!))).toBe(true)
    next++
  }
  return next
}
/** Asks for records and does not read the answer before `read` is called. */
async function slowReader(bytesMax: number): Promise<{ read: () => Promise<Buffer> }> {
  const { host: address, port } = brokers.broker(brokers.leaderOf('t')).listeners[0]
  const socket = await host.network.connect({ host: address, port })
  const chunks: Buffer[] = []
  let size = 0
  let wanted = Infinity
  let whole = (): void => {}
  socket.onData((chunk) => {
    chunks.push(Buffer.from(chunk))
    size += chunk.length
    if (wanted === Infinity && size >= 4) wanted = Buffer.concat(chunks).readInt32BE(0) + 4
    if (size >= wanted) whole()
  })
  socket.pause()
  const request = { replicaId: -1, maxWaitMs: 0, minBytes: 1, maxBytes: bytesMax, isolationLevel: 0, sessionId: 0, sessionEpoch: -1, topics: [{ topic: 't', partitions: [{ partition: 0, currentLeaderEpoch: -1, fetchOffset: 0, logStartOffset: -1, partitionMaxBytes: bytesMax }] }], forgottenTopicsData: [], rackId: '' }
  socket.write(encodeRequest(Fetch, { apiVersion: 11, correlationId: 1, clientId: 'slow' }, request))
  return {
    async read() {
      const done = new Promise<void>((resolve) => (whole = resolve))
      socket.resume()
      await done
      socket.destroy()
      return decodeResponse(Fetch, 11, Buffer.concat(chunks).subarray(4)).response.responses[0].partitions[0].records!
    },
  }
}

test('what replicas and a slow consumer are given is what was produced, however often its memory has been used since', async () => {
  brokers = await Brokers.start([1, 2, 3])
  await brokers.createTopic('t')
  const placed = await produce(Array.from({ length: 100 }, (_, index) => index))
  const leader = brokers.broker(brokers.leaderOf('t')).services.replicas.find('t', 0)!
  await until(() => leader.highWatermark === 100)
  const slow = await slowReader(24 * MiB)
  // Much more than is kept for followers: the memory of the first has long been used again.
  for (const [offset, number] of await produce(Array.from({ length: 250 }, (_, index) => 100 + index))) placed.set(offset, number)
  expect(expectBatches(await slow.read(), 0, placed)).toBe(100)
  for (const id of brokers.ids) {
    const { log } = brokers.broker(id).services.replicas.find('t', 0)!
    await until(() => log.logEndOffset === 350)
    for (let next = 0; next < 350; ) {
      const outcome = await log.read({ offset: next, maxBytes: 4 * MiB, minOneBatch: true, upTo: 350 })
      if (!('slices' in outcome)) throw new Error(outcome.message)
      next = expectBatches(Buffer.concat(outcome.slices), next, placed)
    }
  }
}, 120_000)
