import { expect, test } from 'vitest'
import { Batch } from '../../../src/kafka/records/batch.ts'
import { encodeBatch } from '../../../src/kafka/records/encode.ts'
import { OffsetsPartition } from '../../../src/kafka/groups/offsets-partition.ts'
import { OffsetsRecords } from '../../../src/kafka/groups/offsets-records.ts'

const records = new OffsetsRecords()
const at = 1_700_000_000_000
const time = { now: 0, wallMs: at }
const value = (offset: number, metadata = '') => ({ offset, leaderEpoch: 4, metadata, commitTimestamp: BigInt(at), expireTimestamp: -1n })
function loaded(...batches: { key: Buffer; value: Buffer | null }[][]) {
  const partition = new OffsetsPartition(0, 0, records, {} as never)
  const unreadable: number[] = []
  let baseOffset = 0
  for (const batch of batches) {
    partition.replay(new Batch(encodeBatch(batch, { baseOffset })), time, { unreadable: (offset) => unreadable.push(offset) })
    baseOffset += batch.length
  }
  const offsetOf = (group: string, topic: string, index: number) => {
    const found = partition.groups.get(group)?.fetchOffset({ topic, partition: index }, false)
    return found && [found.offset, found.metadata, found.leaderEpoch]
  }
  return { partition, unreadable, offsetOf }
}

test('offsets are read alike whatever the version of key and value, whoever their neighbours are', () => {
  const { partition, offsetOf, unreadable } = loaded(
    [
      { key: records.offsetKey('g', 'topic', 0), value: records.offsetValue(value(1, 'words')) },
      { key: records.offsetKey('g', 'topic', 1), value: records.offsetValue(value(2, 'größer')) },
      { key: records.offsetKey('g', 'topi', 1), value: records.offsetValue(value(3)) },
      // The same bytes in a row, divided otherwise.
      { key: records.offsetKey('gt', 'opic', 1), value: records.offsetValue(value(4)) },
      { key: records.offsetKey('größe', 'topic', 7), value: records.offsetValue(value(2 ** 40)) },
      { key: records.offsetKey('old', 'topic', 0, 0), value: records.offsetValue(value(5), 0) },
      { key: records.offsetKey('old', 'topic', 1), value: records.offsetValue({ ...value(6), expireTimestamp: BigInt(at + 1) }) },
      { key: records.offsetKey('new', 'topic', 1), value: records.offsetValue(value(7, 'm'), 4) },
    ],
    [
      { key: records.offsetKey('g', 'topic', 1), value: null },
      { key: records.offsetKey('g', 'topic', 0), value: records.offsetValue(value(10)) },
      { key: Buffer.from([0, 9, 1, 2]), value: Buffer.from('a group of another kind') },
    ],
  )
  expect(unreadable).toEqual([])
  expect([offsetOf('g', 'topic', 0), offsetOf('g', 'topic', 1), offsetOf('g', 'topi', 1), offsetOf('gt', 'opic', 1), offsetOf('größe', 'topic', 7)]).toEqual([
    [10, '', 4], [-1, '', -1], [3, '', 4], [4, '', 4], [2 ** 40, '', 4],
  ])
  expect([offsetOf('old', 'topic', 0), offsetOf('old', 'topic', 1), offsetOf('new', 'topic', 1)]).toEqual([[5, '', -1], [6, '', -1], [7, 'm', 4]])
  expect([...partition.groups.keys()]).toEqual(['g', 'gt', 'größe', 'old', 'new'])
})
test('a value that is cut short, a version nobody knows and a number beyond 2^53 are passed over by name', () => {
  const whole = records.offsetValue(value(1, 'words'))
  const huge = Buffer.from(whole)
  huge.writeBigInt64BE(2n ** 60n, 2)
  const key = (partition: number) => records.offsetKey('g', 'topic', partition)
  const { offsetOf, unreadable } = loaded([
    { key: key(0), value: whole.subarray(0, whole.length - 1) },
    { key: key(1), value: Buffer.from([0, 9, ...whole.subarray(2)]) },
    { key: key(2), value: huge },
    { key: key(3).subarray(0, 9), value: whole },
    { key: key(4), value: whole },
  ])
  expect(unreadable).toEqual([0, 1, 2, 3])
  expect(offsetOf('g', 'topic', 4)).toEqual([1, 'words', 4])
})
