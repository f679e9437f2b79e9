/**
 * What `npm run bench -- compaction` asks of a broker, run as a process of its own: fills topics with keyed records and internal topics with a coordinator's
 * records, changes a topic's policy, waits for a coordinator that loads. Gets one job as JSON in argv[2] and prints one line of JSON.
 */
import { OffsetsRecords } from '../dist/kafka/groups/offsets-records.js'
import { encodeBatch } from '../dist/kafka/records/encode.js'
import { TransactionRecords } from '../dist/kafka/transactions/transaction-records.js'
import { askOnce, createTopic, end, eventually, fail, frame, int16, int32, open, string } from './bench-wire.js'

const job = JSON.parse(process.argv[2])
const jobs = { fill, compact, offsets, transactionalIds, offsetsLoaded, transactionsLoaded }

/** Sends what `next` makes, Produce v7 with acks −1 and some in flight, until it makes no more. Brokers let nobody but their administrators write to internal topics. */
async function send(port, topic, inFlight, next) {
  const errorAt = 4 + 4 + 4 + 2 + Buffer.byteLength(topic) + 4 + 4
  let waiting = 0
  let finished
  const done = new Promise((resolve) => (finished = resolve))
  const socket = await open(port, (answer) => {
    if (answer.readInt16BE(errorAt) !== 0) fail(`Produce to ${topic} answered error ${answer.readInt16BE(errorAt)}`)
    waiting--
    more()
  })
  const more = () => {
    while (waiting < inFlight) {
      const batch = next()
      if (!batch) break
      waiting++
      socket.write(frame(0, 7, Buffer.concat([int16(-1), int16(-1), int32(30_000), int32(1), string(topic), int32(1), int32(0), int32(batch.length), batch]), '__admin_client'))
    }
    if (waiting === 0) finished()
  }
  more()
  await done
}

/** `bytes` of records of some 200 bytes, 500 to a batch, whose keys are drawn from `keys` by a fixed sequence. */
async function fill({ port, topic, configs, bytes, keys, compression }) {
  await createTopic([port], { topic, configs })
  let state = 12345
  const draw = () => (state = (Math.imul(state, 1103515245) + 12345) >>> 0)
  const filler = Buffer.alloc(180)
  for (let index = 0; index < filler.length; index++) filler[index] = 32 + ((index * 7919) % 90)
  const now = Date.now()
  let made = 0
  let records = 0
  await send(port, topic, 5, () => {
    if (made >= bytes) return undefined
    const batch = encodeBatch(Array.from({ length: 500 }, (_, index) => {
      const drawn = draw()
      const value = Buffer.from(filler)
      // A little that differs, so that compressing is some work.
      for (let at = 0; at < 160; at += 20) value.writeUInt32LE(draw(), at)
      return { key: `key-${String((drawn >>> 8) % keys).padStart(8, '0')}`, value, timestamp: now + index }
    }), { compression })
    made += 500 * 200
    records += 500
    return batch
  })
  end({ records })
}
/** IncrementalAlterConfigs v0: cleanup.policy=compact. */
async function compact({ port, topic }) {
  const answer = await askOnce(port, frame(44, 0, Buffer.concat([int32(1), Buffer.from([2]), string(topic), int32(1), string('cleanup.policy'), Buffer.from([0]), string('compact'), Buffer.from([0])])), 10_000)
  if (!answer || answer.readInt16BE(16) !== 0) fail(`IncrementalAlterConfigs answered error ${answer?.readInt16BE(16)}`)
  end({ at: Date.now() })
}

/** FindCoordinator v1 until there is one: makes the internal topic. */
const findCoordinator = (port, key, type) => eventually(`a coordinator of ${key}`, 60_000, async () => {
  const answer = await askOnce(port, frame(10, 1, Buffer.concat([string(key), Buffer.from([type])])), 5_000)
  return answer && answer.readInt16BE(12) === 0 ? true : undefined
})
/** Committed offsets of `records / 100` groups with a hundred partitions each, a batch for each commit, as groups without members leave them. */
async function offsets({ port, records }) {
  await findCoordinator(port, 'group-0', 0)
  const encode = new OffsetsRecords()
  const now = Date.now()
  let group = 0
  await send(port, '__consumer_offsets', 20, () => {
    if (group * 100 >= records) return undefined
    const id = `group-${group++}`
    return encodeBatch(Array.from({ length: 100 }, (_, partition) => ({
      key: encode.offsetKey(id, 'some-topic', partition), value: encode.offsetValue({ offset: group * 100 + partition, leaderEpoch: 0, metadata: '', commitTimestamp: BigInt(now), expireTimestamp: -1n }),
    })), { timestamp: now, baseSequence: 0 })
  })
  end({ records })
}
/** Transactional ids whose last transaction is complete, a batch for each, as a coordinator writes them. */
async function transactionalIds({ port, records }) {
  await findCoordinator(port, 'id-0', 1)
  const encode = new TransactionRecords()
  const now = Date.now()
  let id = 0
  await send(port, '__transaction_state', 100, () => {
    if (id >= records) return undefined
    const value = { producerId: id, producerEpoch: 0, timeoutMs: 60_000, state: 'CompleteCommit', partitions: new Map(), lastUpdateMs: now, startMs: now }
    return encode.encode(`id-${id++}`, value, now)
  })
  end({ records })
}

/** Asks again and again from before the broker listens; when it first answered, and when it answered what was on record. */
async function untilLoaded({ port }, request, isLoaded) {
  console.log('armed')
  let firstAt
  const deadline = Date.now() + 120_000
  for (;;) {
    const answer = await askOnce(port, request, 60_000)
    if (answer) {
      firstAt ??= Date.now()
      if (isLoaded(answer)) end({ firstAt, loadedAt: Date.now() })
    }
    if (Date.now() > deadline) fail('the coordinator did not load within two minutes')
    await new Promise((done) => setTimeout(done, 2))
  }
}
/** OffsetFetch v2 of the last group. */
function offsetsLoaded({ port, records }) {
  return untilLoaded({ port }, frame(9, 2, Buffer.concat([string(`group-${records / 100 - 1}`), int32(1), string('some-topic'), int32(1), int32(99)])), (answer) => {
    if (answer.readInt16BE(answer.length - 2) !== 0) return false
    const offset = answer.readBigInt64BE(4 + 4 + 4 + 2 + 'some-topic'.length + 4 + 4)
    if (offset !== BigInt(records + 99)) fail(`the offset on record is ${records + 99}, the coordinator says ${offset}`)
    return true
  })
}
/** InitProducerId v1 of the last id: the epoch goes up, once it is known. */
function transactionsLoaded({ port, records }) {
  return untilLoaded({ port }, frame(22, 1, Buffer.concat([string(`id-${records - 1}`), int32(60_000)])), (answer) => {
    if (answer.readInt16BE(12) !== 0) return false
    if (answer.readBigInt64BE(14) !== BigInt(records - 1)) fail(`the producer id on record is ${records - 1}, the coordinator says ${answer.readBigInt64BE(14)}`)
    return true
  })
}

await jobs[job.kind](job)
