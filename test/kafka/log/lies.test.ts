/** Producers that lie, in every field of a batch and in every order: refused by name or stored so that it can be read; the log goes on. Seeded. */
import { describe, expect, test } from 'vitest'
import { crc32c } from '../../../src/wire/crc32c.ts'
import { field } from '../../../src/kafka/records/batch.ts'
import { encodeTransactionMarker } from '../../../src/kafka/records/control.ts'
import { encodeBatch } from '../../../src/kafka/records/encode.ts'
import { SimulatedDisk } from '../../../src/simulation/disk.ts'
import { seededRandom } from '../../../src/simulation/random.ts'
import { append, numbered, openOn, produce, readAll } from './bench.ts'

const aLog = async () => (await openOn(new SimulatedDisk(), {})).manager.create('t', 0)
const sealed = (batch: Buffer): Buffer => {
  batch.writeUInt32BE(crc32c(batch.subarray(field.attributes)), field.crc)
  return batch
}
const honest = (more = {}) => Buffer.from(encodeBatch(numbered(0, 4), { producerId: 9, producerEpoch: 2, baseSequence: 0, ...more }))

describe('one lie, with a checksum that is right', () => {
  const lies: [string, (batch: Buffer) => unknown, number][] = [
    ['more records than it has', (batch) => batch.writeInt32BE(5, field.recordCount) && batch.writeInt32BE(4, field.lastOffsetDelta), 87],
    ['fewer records than it has', (batch) => batch.writeInt32BE(3, field.recordCount) && batch.writeInt32BE(2, field.lastOffsetDelta), 87],
    ['no records', (batch) => batch.writeInt32BE(0, field.recordCount), 87],
    ['a negative number of records', (batch) => batch.writeInt32BE(-4, field.recordCount), 87],
    ['two thousand million records', (batch) => batch.writeInt32BE(0x7fff_ffff, field.recordCount) && batch.writeInt32BE(0x7fff_fffe, field.lastOffsetDelta), 87],
    ['a last offset that is not the records’', (batch) => batch.writeInt32BE(1_000_000, field.lastOffsetDelta), 87],
    ['a base offset of its own', (batch) => batch.writeBigInt64BE(77n, field.baseOffset), 87],
    ['a control batch', (batch) => batch.writeInt16BE(0x30, field.attributes), 87],
    ['a producer without sequences', (batch) => batch.writeInt32BE(-1, field.baseSequence), 87],
    ['compressed records that are not', (batch) => batch.writeInt16BE(1, field.attributes), 87],
  ]
  test.each(lies)('%s', async (_, lie, code) => {
    const log = await aLog()
    const batch = honest()
    lie(batch)
    expect(await append(log, sealed(batch), { produceVersion: 9 })).toMatchObject({ errorCode: code })
    expect(log.nextOffset).toBe(0)
    expect(log.producers()).toEqual([])
  })
})
test('a batch that decompresses to gigabytes is refused before they are there', async () => {
  const log = await aLog()
  const bomb = encodeBatch([{ key: 'k', value: Buffer.alloc(300 << 20) }], { compression: 'zstd' })
  const before = process.memoryUsage.rss()
  expect(bomb.length).toBeLessThan(1 << 20)
  expect((await append(log, bomb, { produceVersion: 9 })).errorCode).not.toBe(0)
  expect(process.memoryUsage.rss() - before).toBeLessThan(280 << 20)
  expect(log.nextOffset).toBe(0)
})
test('a marker of a coordinator that was replaced, or of an older epoch of the producer, is refused and ends nothing', async () => {
  const log = await aLog()
  const marker = (producerEpoch: number, coordinatorEpoch: number) =>
    append(log, encodeTransactionMarker({ type: 'abort', producerId: 9, producerEpoch, coordinatorEpoch, timestamp: 1_700_000_000_000 }), { origin: 'coordinator' })
  await marker(2, 7)
  await produce(log, numbered(0, 1), { producerId: 9, producerEpoch: 2, baseSequence: 0, isTransactional: true })
  expect(await marker(2, 6)).toMatchObject({ errorCode: 52 })
  expect(await marker(1, 8)).toMatchObject({ errorCode: 47 })
  log.setHighWatermark(log.logEndOffset)
  expect(log.lastStableOffset).toBe(1)
  expect((await marker(2, 7)).errorCode).toBe(0)
  log.setHighWatermark(log.logEndOffset)
  expect(log.lastStableOffset).toBe(log.logEndOffset)
})
test('any bytes changed, with the checksum made right again: refused, or read back without an error', async () => {
  for (let seed = 0; seed < 400; seed++) {
    const random = seededRandom(seed)
    const log = await aLog()
    await produce(log, numbered(0, 3))
    const batch = honest({ compression: (['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const)[seed % 5] })
    for (let change = random.below(3); change >= 0; change--) batch[field.attributes + random.below(batch.length - field.attributes)] = random.below(256)
    const { errorCode } = await append(log, sealed(batch), { produceVersion: 9 })
    await produce(log, numbered(9, 1))
    log.setHighWatermark(log.logEndOffset)
    const records = await readAll(log, 1 << 20)
    expect(records.length, `seed ${seed}`).toBe(errorCode === 0 ? 8 : 4)
    expect(records.map(({ offset }) => offset), `seed ${seed}`).toEqual(records.map((_, index) => index))
  }
})
