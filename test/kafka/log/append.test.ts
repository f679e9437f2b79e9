/** What an append checks, answers and leaves behind (reference §6.9, §8.2–8.5). */
import { describe, expect, test } from 'vitest'
import type { AppendOutcome } from '../../../src/kafka/log/append.ts'
import type { LogConfig } from '../../../src/kafka/log/log-config.ts'
import type { PartitionLog } from '../../../src/kafka/log/partition-log.ts'
import { Batch } from '../../../src/kafka/records/batch.ts'
import { codecNames } from '../../../src/kafka/records/compression.ts'
import { encodeTransactionMarker } from '../../../src/kafka/records/control.ts'
import { decodeBatches } from '../../../src/kafka/records/decode.ts'
import { encodeBatch, sealBatch } from '../../../src/kafka/records/encode.ts'
import { encodeMessages } from '../../../src/kafka/records/legacy.ts'
import { SimulatedDisk } from '../../../src/simulation/disk.ts'
import { append, numbered, openOn, produce, readAll, textOf } from './bench.ts'

async function aLog(config: Partial<LogConfig> = {}) {
  const disk = new SimulatedDisk()
  const opened = await openOn(disk, config)
  return { disk, ...opened, log: await opened.manager.create('t', 0) }
}
async function stored(log: Awaited<ReturnType<typeof aLog>>['log'], offset = 0) {
  const read = await log.read({ offset, maxBytes: 1 << 20, minOneBatch: true, upTo: log.logEndOffset })
  if (read.errorCode !== 0) throw new Error('unreadable')
  return [...decodeBatches(Buffer.concat((read as { slices: Buffer[] }).slices))]
}

test('offsets are assigned at once and in order; done follows after the return, once the bytes are written', async () => {
  const { log } = await aLog()
  const events: string[] = []
  log.onAppend(() => events.push(`written to ${log.logEndOffset}`))
  const outcomes = [0, 1, 2].map((index) =>
    log.append(encodeBatch(numbered(index, 2)), { leaderEpoch: 4, origin: 'client', produceVersion: 9 }, () => events.push(`done ${index}`)),
  )
  expect(outcomes.map((outcome) => (outcome as { baseOffset: number }).baseOffset)).toEqual([0, 2, 4])
  expect([log.nextOffset, log.logEndOffset]).toEqual([6, 0])
  expect(events).toEqual([])
  await Promise.resolve()
  expect(events).toEqual(['written to 6', 'done 0', 'done 1', 'done 2'])
  const [first] = await stored(log)
  expect([first.batch.baseOffset, first.batch.partitionLeaderEpoch, first.batch.crc === first.batch.computeCrc()]).toEqual([0, 4, true])
})

test('appends of one turn leave in one write', async () => {
  const { log, disk } = await aLog()
  await produce(log, numbered(0, 1))
  let writes = 0
  disk.failure = ({ kind }) => void (kind === 'write' && writes++)
  await Promise.all(Array.from({ length: 20 }, (_, index) => produce(log, numbered(index, 1))))
  expect(writes).toBe(1)
})

test('with flush.messages=1 all appends of a turn share one flush, and nothing is visible before it', async () => {
  const { log, disk } = await aLog({ flushMessages: 1 })
  await produce(log, numbered(0, 1))
  let syncs = 0
  const seen: number[] = []
  disk.failure = ({ kind }) => {
    if (kind !== 'sync') return undefined
    syncs++
    seen.push(log.logEndOffset)
    return undefined
  }
  await Promise.all(Array.from({ length: 20 }, (_, index) => produce(log, numbered(index, 1))))
  expect([syncs, seen, log.logEndOffset, log.recoveryPoint]).toEqual([1, [1], 21, 21])
})

test.each(['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const)('a batch with %s passes unchanged but for offset and leader epoch, in one piece or many', async (compression) => {
  const { log } = await aLog()
  const batch = encodeBatch(numbered(0, 50), { compression, producerId: 3, producerEpoch: 0, baseSequence: 0 })
  await append(log, Buffer.from(batch), { produceVersion: 9 })
  const again = encodeBatch(numbered(0, 50), { compression })
  const pieces: Buffer[] = []
  for (let at = 0; at < again.length; at += 70) pieces.push(Buffer.from(again.subarray(at, at + 70)))
  expect(await append(log, pieces, { produceVersion: 9 })).toMatchObject({ baseOffset: 50, lastOffset: 99 })
  const [first, second] = await stored(log)
  expect(first.batch.whole.subarray(16).equals(batch.subarray(16))).toBe(true)
  expect(second.batch.whole.subarray(16).equals(again.subarray(16))).toBe(true)
  expect(textOf(await readAll(log))).toHaveLength(100)
})

test('compression.type forces its codec, records untouched', async () => {
  for (const compressionType of ['gzip', 'snappy', 'lz4', 'zstd', 'uncompressed'] as const) {
    const { log } = await aLog({ compressionType })
    for (const compression of ['none', 'gzip', 'lz4'] as const) expect((await produce(log, numbered(log.nextOffset, 20), { compression })).errorCode).toBe(0)
    const batches = await stored(log)
    expect(batches.map(({ batch }) => codecNames[batch.codec])).toEqual(Array(3).fill(compressionType === 'uncompressed' ? 'none' : compressionType))
    expect(textOf(batches.flatMap(({ records }) => records))).toEqual(numbered(0, 60).map(({ key, value }, offset) => `${offset}:${String(key)}=${String(value)}`))
  }
})

describe('refusals', () => {
  const good = () => encodeBatch(numbered(0, 3))
  const changed = (change: (batch: Batch) => void) => {
    const batch = new Batch(good())
    change(batch)
    const { attributes, baseOffset, lastOffsetDelta, baseTimestamp, maxTimestamp, producerId, producerEpoch, baseSequence, recordCount } = batch
    return sealBatch(batch.recordBytes, { attributes, baseOffset, partitionLeaderEpoch: -1, lastOffsetDelta, baseTimestamp, maxTimestamp, producerId, producerEpoch, baseSequence, recordCount })
  }
  const flipped = good()
  flipped[70] ^= 1
  test.each<[string, Buffer, number, RegExp]>([
    ['no bytes', Buffer.alloc(0), 87, /hold no batch/],
    ['half a batch', good().subarray(0, 80), 87, /claims \d+ bytes, 80 came/],
    ['two batches', Buffer.concat([good(), good()]), 87, /more than one batch/],
    ['a wrong checksum', flipped, 2, /damaged on the way/],
    ['a base offset', changed((batch) => (batch.baseOffset = 5)), 87, /base offset 5/],
    ['a control batch', encodeTransactionMarker({ type: 'commit', producerId: 1, producerEpoch: 0, coordinatorEpoch: 0, timestamp: 1 }), 87, /control batch/],
    ['too few records announced', changed((batch) => batch.bytes.writeInt32BE(2, 57)), 87, /of 2 records has last offset delta 2/],
    ['too many', changed((batch) => (batch.bytes.writeInt32BE(4, 57), batch.bytes.writeInt32BE(3, 23))), 87, /announces 4 records and holds 3/],
    ['a producer without sequence', changed((batch) => batch.bytes.writeBigInt64BE(7n, 43)), 87, /producer 7 has base sequence -1/],
    ['compressed noise', changed((batch) => (batch.bytes[22] = 3)), 87, /not valid lz4 data/],
    ['an unknown codec', changed((batch) => (batch.bytes[22] = 6)), 76, /compression codec 6/],
    ['magic 9', Buffer.from(good()).fill(9, 16, 17), 2, /magic 9/],
    ['magic 1 in a new request', encodeMessages([{ offset: 0, timestamp: 1n, key: null, value: Buffer.from('x') }], { magic: 1 }), 87, /hold no batch|magic 1/],
  ])('%s', async (_, bytes, errorCode, message) => {
    const { log } = await aLog()
    expect(await append(log, Buffer.from(bytes), { produceVersion: 9 })).toMatchObject({ errorCode, message: expect.stringMatching(message) })
    expect([log.nextOffset, log.size]).toEqual([0, 0])
  })
  test('too large for the topic, for a segment, after recompression', async () => {
    const small = await aLog({ maxMessageBytes: 200 })
    expect(await produce(small.log, numbered(0, 50))).toMatchObject({ errorCode: 10, message: expect.stringMatching(/max.message.bytes allows 200/) })
    const segment = await aLog({ segmentBytes: 200 })
    expect(await produce(segment.log, numbered(0, 50))).toMatchObject({ errorCode: 18 })
    const zeros = Array.from({ length: 50 }, () => ({ key: null, value: Buffer.alloc(100), timestamp: 1 }))
    const plain = await aLog({ maxMessageBytes: 1000, compressionType: 'uncompressed' })
    expect(await produce(plain.log, zeros, { compression: 'gzip' })).toMatchObject({ errorCode: 10, message: expect.stringMatching(/after compression/) })
  })
  test('a compacted topic wants keys, and says which records have none', async () => {
    const { log } = await aLog({ cleanupPolicy: ['compact'] })
    const records = [{ key: 'a', value: '1' }, { key: null, value: '2' }, { key: null, value: '3' }]
    expect(await produce(log, records)).toEqual({
      errorCode: 87,
      message: 'One or more records have been rejected',
      recordErrors: [1, 2].map((batchIndex) => ({ batchIndex, batchIndexErrorMessage: 'Compacted topic cannot accept message without key in topic partition t-0.' })),
    })
    expect((await produce(log, records.slice(0, 1))).errorCode).toBe(0)
  })
  test('zstd begins with Produce 7', async () => {
    const { log } = await aLog()
    const batch = encodeBatch(numbered(0, 3), { compression: 'zstd' })
    expect(await append(log, Buffer.from(batch), { produceVersion: 6 })).toMatchObject({ errorCode: 76 })
    expect(await append(log, Buffer.from(batch), { produceVersion: 7 })).toMatchObject({ errorCode: 0 })
  })
})

describe('timestamps', () => {
  const now = 1_700_000_000_000
  test('bounds are kept, −1 is always allowed, and the records outside are listed', async () => {
    const { log } = await aLog({ messageTimestampBeforeMaxMs: 1000, messageTimestampAfterMaxMs: 10 })
    const at = (...timestamps: number[]) => timestamps.map((timestamp) => ({ key: 'k', value: 'v', timestamp }))
    expect(await produce(log, at(now, now - 1000, now + 10))).toMatchObject({ errorCode: 0 })
    expect(await produce(log, at(-1, -1))).toMatchObject({ errorCode: 0 })
    expect(await produce(log, at(now, now - 1001, now + 11))).toMatchObject({ errorCode: 32, recordErrors: [{ batchIndex: 1 }, { batchIndex: 2 }] })
  })
  test('LogAppendTime: the broker’s clock for all, its bit and a new checksum', async () => {
    const { log } = await aLog({ messageTimestampType: 'LogAppendTime' })
    expect(await produce(log, numbered(0, 3, 5))).toMatchObject({ errorCode: 0, logAppendTimeMs: BigInt(now) })
    const [{ batch, records }] = await stored(log)
    expect([batch.isLogAppendTime, batch.maxTimestamp, batch.crc === batch.computeCrc(), records.map(({ timestamp }) => timestamp)]).toEqual([true, BigInt(now), true, Array(3).fill(BigInt(now))])
    expect(await produce(log, numbered(0, 1), { timestampType: 'logAppendTime', timestamp: now })).toMatchObject({ errorCode: 32 })
  })
  test('a maximum that is not the records’ is corrected', async () => {
    const { log } = await aLog()
    await produce(log, numbered(0, 3, 100), { maxTimestamp: 999_999n })
    const [{ batch }] = await stored(log)
    expect([batch.maxTimestamp, batch.crc === batch.computeCrc()]).toEqual([102n, true])
  })
  test('nanoseconds pass unchanged and are found exactly', async () => {
    const { log } = await aLog()
    const base = 1_700_000_000_123_456_789n
    await produce(log, [0n, 1n, 5n].map((delta) => ({ key: 'k', value: 'v', timestamp: base + delta })))
    await produce(log, [{ key: 'k', value: 'v', timestamp: base * 5n }, { key: 'k', value: 'v', timestamp: -5n }])
    expect((await readAll(log)).map(({ timestamp }) => timestamp)).toEqual([base, base + 1n, base + 5n, base * 5n, -5n])
    expect(await log.offsetForTimestamp(base + 2n)).toMatchObject({ offset: 2, timestamp: base + 5n })
    expect(await log.offsetOfMaxTimestamp()).toMatchObject({ offset: 3, timestamp: base * 5n })
  })
})

describe('old producers', () => {
  test.each([[0, 0], [1, 0], [0, 2], [1, 1], [1, 2], [0, 3], [1, 3]] as const)('a message set of magic %i with codec %i becomes one batch of today', async (magic, codec) => {
    const { log } = await aLog()
    const messages = [0, 1, 2].map((offset) => ({ offset, timestamp: 1000n + BigInt(offset), key: Buffer.from(`k${offset}`), value: offset === 1 ? null : Buffer.from(`v${offset}`) }))
    expect(await append(log, encodeMessages(messages, { magic, codec }), { produceVersion: magic === 0 ? 0 : 2 })).toMatchObject({ baseOffset: 0, lastOffset: 2 })
    const [{ batch, records }] = await stored(log)
    expect([batch.magic, batch.codec, records.map(({ timestamp }) => timestamp)]).toEqual([2, codec, magic === 0 ? [-1n, -1n, -1n] : [1000n, 1001n, 1002n]])
    expect(textOf(records)).toEqual(['0:k0=v0', '1:k1=null', '2:k2=v2'])
  })
  test('magic 2 is not for Produce 2', async () => {
    const { log } = await aLog()
    expect(await append(log, encodeBatch(numbered(0, 1)), { produceVersion: 2 })).toMatchObject({ errorCode: 87 })
  })
})

describe('idempotence', () => {
  const batch = (baseSequence: number, count = 1, producerEpoch = 0) => encodeBatch(numbered(0, count), { producerId: 9, producerEpoch, baseSequence })
  test('a repeated batch gets its first answer, for five batches back', async () => {
    const { log } = await aLog()
    for (let sequence = 0; sequence < 7; sequence++) expect(await append(log, batch(sequence))).toMatchObject({ baseOffset: sequence, duplicate: false })
    for (let sequence = 2; sequence < 7; sequence++) expect(await append(log, batch(sequence))).toMatchObject({ errorCode: 0, baseOffset: sequence, duplicate: true })
    expect(await append(log, batch(1))).toMatchObject({ errorCode: 45 })
    expect(log.logEndOffset).toBe(7)
  })
  test('what earlier leaders have written is known for longer: it may have been on its way to them while new batches came here', async () => {
    const { log, disk } = await aLog()
    const known = async (of: PartitionLog, sequence: number): Promise<boolean> => 'duplicate' in (await append(of, batch(sequence), { leaderEpoch: 9 }))
    let sequence = 0
    for (const [leaderEpoch, count] of [[1, 7], [2, 5], [3, 20]]) for (let one = 0; one < count; one++) expect(await append(log, batch(sequence++), { leaderEpoch })).toMatchObject({ errorCode: 0 })
    const after = (await openOn(disk.afterKill())).manager.get('t', 0)!
    for (const one of [log, after]) {
      const all = Array.from({ length: 32 }, (_, at) => at)
      const knows: number[] = []
      for (const at of all) if (await known(one, at)) knows.push(at)
      expect(knows).toEqual([...all.slice(2, 12), ...all.slice(27)])
      expect(one.logEndOffset).toBe(32)
    }
  })
  test('a gap is refused, an unknown producer may begin anywhere, an old epoch is fenced, a new one begins with 0', async () => {
    const { log } = await aLog()
    expect(await append(log, batch(17, 3))).toMatchObject({ errorCode: 0 })
    expect(await append(log, batch(21))).toMatchObject({ errorCode: 45, message: expect.stringMatching(/sequence 21; 19 was its last, so 20 must follow/) })
    expect(await append(log, batch(1, 1, 1))).toMatchObject({ errorCode: 45 })
    expect(await append(log, batch(0, 1, 1))).toMatchObject({ errorCode: 0 })
    expect(await append(log, batch(20))).toMatchObject({ errorCode: 47 })
  })
  test('sequences wrap from 2^31−1 to 0', async () => {
    const { log } = await aLog()
    expect(await append(log, batch(0x7fff_fffe, 3))).toMatchObject({ errorCode: 0 })
    expect(await append(log, batch(1))).toMatchObject({ errorCode: 0 })
    expect(await append(log, batch(0x7fff_fffe, 3))).toMatchObject({ duplicate: true })
  })
  test('is known after a clean stop, a kill, and a start from an old snapshot', async () => {
    for (const way of ['clean', 'killed'] as const) {
      const { log, disk, manager } = await aLog({ segmentBytes: 300 })
      for (let sequence = 0; sequence < 10; sequence++) await append(log, batch(sequence))
      expect(log.segments.length).toBeGreaterThan(2)
      if (way === 'clean') await manager.close()
      const next = await openOn(disk.afterKill(), { segmentBytes: 300 })
      const again = next.manager.get('t', 0)!
      expect(await append(again, batch(9)), way).toMatchObject({ duplicate: true, baseOffset: 9 })
      expect(await append(again, batch(11)), way).toMatchObject({ errorCode: 45 })
      expect(await append(again, batch(10)), way).toMatchObject({ baseOffset: 10, duplicate: false })
    }
  })
  test('a producer silent for its time is forgotten', async () => {
    const { log, host } = await aLog()
    await append(log, batch(5))
    log.expireProducers(host.clock.now() + 86_400_000)
    expect(log.producers()).toEqual([])
    expect(await append(log, batch(1))).toMatchObject({ errorCode: 0 })
  })
})

test('transactions: the last stable offset waits for the marker and the high watermark; aborted ones are told to readers', async () => {
  const { log, manager, disk } = await aLog()
  const data = (producerId: number, baseSequence: number) => produce(log, numbered(0, 2), { producerId, producerEpoch: 0, baseSequence, isTransactional: true })
  const marker = (producerId: number, type: 'abort' | 'commit', coordinatorEpoch = 0) =>
    append(log, encodeTransactionMarker({ type, producerId, producerEpoch: 0, coordinatorEpoch, timestamp: 1_700_000_000_000 }), { origin: 'coordinator' })
  await produce(log, numbered(0, 1))
  await data(1, 0) // 1–2
  await data(2, 0) // 3–4
  log.setHighWatermark(5)
  expect(log.lastStableOffset).toBe(1)
  expect(await produce(log, numbered(0, 1), { producerId: 1, producerEpoch: 0, baseSequence: 2 })).toMatchObject({ errorCode: 48 })
  await marker(1, 'abort', 3) // 5
  expect(log.lastStableOffset).toBe(1)
  log.setHighWatermark(6)
  expect(log.lastStableOffset).toBe(3)
  expect(await marker(1, 'commit', 2)).toMatchObject({ errorCode: 52 })
  await marker(2, 'commit') // 6
  log.setHighWatermark(7)
  expect(log.lastStableOffset).toBe(7)
  const aborted = [{ producerId: 1, firstOffset: 1 }]
  expect([log.abortedTransactions(0, 7), log.abortedTransactions(6, 7), log.abortedTransactions(5, 6)]).toEqual([aborted, [], aborted])
  expect(log.activeSegment.txnIndex.entries).toEqual([expect.objectContaining({ producerId: 1, firstOffset: 1, lastOffset: 5, lastStableOffset: 3 })])
  for (const found of [disk.afterKill(), (await manager.close(), disk)]) {
    const again = (await openOn(found)).manager.get('t', 0)!
    expect(again.abortedTransactions(0, 7)).toEqual(aborted)
    expect(again.producers().map(({ producerId, lastSequence, coordinatorEpoch, currentTransactionStartOffset }) => [producerId, lastSequence, coordinatorEpoch, currentTransactionStartOffset])).toEqual([[1, 1, 3, -1], [2, 1, 0, -1]])
  }
})

test('an open transaction survives a restart', async () => {
  const { log, manager, disk } = await aLog()
  await produce(log, numbered(0, 2), { producerId: 1, producerEpoch: 0, baseSequence: 0, isTransactional: true })
  await manager.close()
  const again = (await openOn(disk)).manager.get('t', 0)!
  again.setHighWatermark(2)
  expect([again.lastStableOffset, again.producers()[0].currentTransactionStartOffset]).toEqual([0, 0])
})

test('replicated batches keep offsets and epochs, and feed the epochs', async () => {
  const { log } = await aLog()
  const batches = [encodeBatch(numbered(0, 2), { baseOffset: 5, partitionLeaderEpoch: 3 }), encodeBatch(numbered(0, 2), { baseOffset: 9, partitionLeaderEpoch: 4 })]
  expect(await append(log, Buffer.concat(batches), { origin: 'replication' })).toMatchObject({ baseOffset: 5, lastOffset: 10 } satisfies Partial<AppendOutcome>)
  expect([log.logEndOffset, log.latestEpoch, log.endOffsetForEpoch(3), log.endOffsetForEpoch(4), log.endOffsetForEpoch(2), log.epochOf(6)]).toEqual([11, 4, { epoch: 3, endOffset: 9 }, { epoch: 4, endOffset: 11 }, { epoch: 2, endOffset: 5 }, 3])
  const again = encodeBatch(numbered(0, 2), { baseOffset: 9 })
  expect(await append(log, again, { origin: 'replication' })).toMatchObject({ errorCode: 2 })
})
