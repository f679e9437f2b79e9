import { expect, test } from 'vitest'
import { Batch } from '../../../src/kafka/records/batch.ts'
import { recordsOf } from '../../../src/kafka/records/decode.ts'
import { fitsRecord, TransactionRecords, UnknownRecordError } from '../../../src/kafka/transactions/transaction-records.ts'
import { mayFollow, type TransactionValue } from '../../../src/kafka/transactions/transaction-state.ts'
import { goldenBatches } from './golden.ts'

const records = new TransactionRecords()

test.each([1, 2] as const)('every batch Apache wrote to __transaction_state-%i is written again, byte for byte', (partition) => {
  const batches = goldenBatches(partition)
  expect(batches.length).toBeGreaterThan(3)
  for (const bytes of batches) {
    const batch = new Batch(bytes)
    const [{ key, value, timestamp }, ...others] = recordsOf(batch)
    expect(others).toEqual([])
    const id = records.readKey(key!)
    const written = new Batch(records.encode(id, value === null ? null : records.readValue(value), Number(timestamp)))
    written.baseOffset = batch.baseOffset
    written.partitionLeaderEpoch = batch.partitionLeaderEpoch
    expect(Buffer.from(written.bytes).toString('hex')).toBe(bytes.toString('hex'))
  }
})

test('the states Apache went through are those that may follow one another', () => {
  const last = new Map<string, TransactionValue>()
  const seen = new Set<string>()
  for (const partition of [1, 2] as const)
    for (const bytes of goldenBatches(partition))
      for (const { key, value } of recordsOf(new Batch(bytes))) {
        const id = records.readKey(key!)
        const now = records.readValue(value!)
        const before = last.get(id)
        if (before) expect(mayFollow(before.state, now.state), `${before.state} → ${now.state}`).toBe(true)
        last.set(id, now)
        seen.add(now.state)
      }
  expect([...seen].sort()).toEqual(['CompleteAbort', 'CompleteCommit', 'Empty', 'Ongoing', 'PrepareAbort', 'PrepareCommit'])
})

test('versions and states that cannot be are refused by name', () => {
  const value: TransactionValue = { producerId: 1, producerEpoch: 2, timeoutMs: 3, state: 'Ongoing', partitions: new Map([['a', new Set([0, 2])]]), lastUpdateMs: 4, startMs: 5 }
  const bytes = records.writeValue(value)
  expect(records.readValue(bytes)).toEqual(value)
  const newer = Buffer.from(bytes)
  newer.writeInt16BE(2, 0)
  expect(() => records.readValue(newer)).toThrow(UnknownRecordError)
  for (const status of [6, 7, 8, -1]) {
    const odd = Buffer.from(bytes)
    odd.writeInt8(status, 16)
    expect(() => records.readValue(odd)).toThrow(`status ${status}`)
  }
  const emptyWithPartitions = Buffer.from(bytes)
  emptyWithPartitions.writeInt8(0, 16)
  expect(() => records.readValue(emptyWithPartitions)).toThrow('with 1 topics')
  expect(() => records.readKey(Buffer.from([0, 1, 0, 0]))).toThrow('version 1')
})

test('the flexible version of a value is read', () => {
  const bytes = Buffer.from('0001' + '0000000000000007' + '0003' + '0000ea60' + '01' + '02' + '0274' + '02' + '00000001' + '00' + '000001a1fc560fb2' + '000001a1fc560fb1' + '00', 'hex')
  expect(records.readValue(bytes)).toEqual({
    producerId: 7, producerEpoch: 3, timeoutMs: 60_000, state: 'Ongoing', partitions: new Map([['t', new Set([1])]]), lastUpdateMs: 0x1a1fc560fb2, startMs: 0x1a1fc560fb1,
  })
})

test('an id has to fit into its key', () => {
  expect(fitsRecord('x'.repeat(32_767))).toBe(true)
  expect(fitsRecord('x'.repeat(32_768))).toBe(false)
  expect(fitsRecord('€'.repeat(11_000))).toBe(false)
})
