/** The records of __consumer_offsets, against those Apache Kafka 3.9.1 wrote. */
import { expect, test } from 'vitest'
import { OffsetsPartition } from '../../../src/kafka/groups/offsets-partition.ts'
import { offsetsPartitionOf } from '../../../src/kafka/groups/offsets-partition-of.ts'
import { javaHashCode } from '../../../src/wire/java-hash.ts'
import { OffsetsRecords } from '../../../src/kafka/groups/offsets-records.ts'
import { Batch } from '../../../src/kafka/records/batch.ts'
import { recordsOf } from '../../../src/kafka/records/decode.ts'
import { encodeBatch } from '../../../src/kafka/records/encode.ts'
import { goldenBatches } from './golden.ts'

const limits = { sizeMax: 100, initialRebalanceDelayMs: 0, offsetMetadataMax: 4096 }
const time = { now: 0, wallMs: 0 }
const notes = { unreadable: (_: number, error: unknown) => { throw error } }
function load(partition: 0 | 2 | 3, upTo = Infinity): OffsetsPartition {
  const loaded = new OffsetsPartition(partition, 0, new OffsetsRecords(), limits)
  for (const bytes of goldenBatches(partition).slice(0, upTo)) loaded.replay(new Batch(bytes), time, notes)
  loaded.loaded(time)
  return loaded
}

test.each([0, 2, 3] as const)('every record of partition %i that Apache wrote is written back as the same bytes, and so is its batch', (partition) => {
  const records = new OffsetsRecords()
  let seen = 0
  for (const bytes of goldenBatches(partition)) {
    const batch = new Batch(bytes)
    if (batch.isControl) continue
    const again = recordsOf(batch).map(({ key, value, timestamp }) => {
      seen++
      const read = records.readKey(key!)
      if (read.kind === 'foreign') throw new Error('a foreign key')
      const keyAgain = read.kind === 'group' ? records.groupKey(read.group) : records.offsetKey(read.group, read.topic, read.partition, read.version)
      expect(keyAgain).toEqual(key)
      if (value === null) return { key: keyAgain, value, timestamp }
      const valueAgain = read.kind === 'group' ? records.groupValue(records.readGroup(value).value) : records.offsetValue(records.readOffset(value).value)
      expect(valueAgain).toEqual(Buffer.from(value))
      return { key: keyAgain, value: valueAgain, timestamp }
    })
    const { baseOffset, partitionLeaderEpoch, producerId, producerEpoch, baseSequence, isTransactional } = batch
    expect(encodeBatch(again, { baseOffset, partitionLeaderEpoch, producerId, producerEpoch, baseSequence, isTransactional })).toEqual(bytes)
  }
  expect(seen).toBeGreaterThan(2)
})

test('a group that was deleted is gone after its tombstones, and before them is there with what it had committed', () => {
  expect(load(2).groups.size).toBe(0)
  const before = load(2, 9).groups.get('g1')!
  expect([before.state, before.generation, before.protocolType]).toEqual(['Empty', 5, 'consumer'])
  expect(before.fetchOffset({ topic: 'a', partition: 1 }, false)).toEqual({ offset: 1193, leaderEpoch: 0, metadata: '', errorCode: 0 })
})

test('a group with members comes to life as Stable, with leader, protocol, subscriptions and assignments', () => {
  const group = load(2, 1).groups.get('g1')!
  expect([group.state, group.generation, group.protocolType]).toEqual(['Stable', 1, 'consumer'])
  const { members, protocol } = group.describe()
  expect(protocol).toBe('range')
  expect(members.map(({ memberId }) => memberId)).toContain(group.leader)
  expect(members[0]).toMatchObject({ clientId: 'console-consumer', clientHost: '/127.0.0.1' })
  expect(members[0].memberMetadata.length).toBeGreaterThan(4)
  expect(members[0].memberAssignment.length).toBeGreaterThan(4)
})

test('offsets of a transaction count when its commit marker is on record, and are dropped by an abort marker', () => {
  const offsetAfter = (batches: number) => load(3, batches).groups.get('g2')?.fetchOffset({ topic: 'a', partition: 0 }, false).offset
  expect([1, 2, 3, 4, 5, 6].map(offsetAfter)).toEqual([-1, 10, 10, 20, 20, 20])
  expect(offsetAfter(14)).toBe(50)
  expect(load(3, 3).groups.get('g2')?.fetchOffset({ topic: 'a', partition: 0 }, true).errorCode).toBe(88)
})

test('a group belongs to the partition that Java would choose', () => {
  expect(['gk', 'g1', 'g2'].map((id) => offsetsPartitionOf(id, 4))).toEqual([0, 2, 3])
  expect(javaHashCode('polygenelubricants')).toBe(-0x8000_0000) // Math.abs of it is negative in Java; Utils.abs makes it 0
  expect(offsetsPartitionOf('polygenelubricants', 50)).toBe(0)
  expect(javaHashCode('ä€😀')).toBe(((228 * 31 + 8364) * 31 + 0xd83d) * 31 + 0xde00 | 0)
})

test('all versions of values are read; what they lack has its default', () => {
  const records = new OffsetsRecords()
  const offset = { offset: 42, leaderEpoch: 7, metadata: 'm', commitTimestamp: 5n, expireTimestamp: 9n }
  expect([0, 1, 2, 3, 4].map((version) => records.readOffset(records.offsetValue(offset, version)).value)).toEqual([
    { ...offset, leaderEpoch: -1, expireTimestamp: -1n },
    { ...offset, leaderEpoch: -1 },
    { ...offset, leaderEpoch: -1, expireTimestamp: -1n },
    { ...offset, expireTimestamp: -1n },
    { ...offset, expireTimestamp: -1n },
  ])
  // An expiry of its own fits version 1 alone.
  expect(records.readOffset(records.offsetValue(offset)).version).toBe(1)
  const member = {
    memberId: 'm', groupInstanceId: 'i', clientId: 'c', clientHost: '/h', rebalanceTimeout: 1, sessionTimeout: 2,
    subscription: Buffer.from('s'), assignment: Buffer.from('a'),
  }
  const group = { protocolType: 'consumer', generation: 3, protocol: 'range', leader: 'm', currentStateTimestamp: 8n, members: [member] }
  expect([0, 1, 2, 3, 4].map((version) => records.readGroup(records.groupValue(group, version)).value)).toEqual([
    { ...group, currentStateTimestamp: -1n, members: [{ ...member, groupInstanceId: null, rebalanceTimeout: -1 }] },
    { ...group, currentStateTimestamp: -1n, members: [{ ...member, groupInstanceId: null }] },
    { ...group, members: [{ ...member, groupInstanceId: null }] },
    group,
    group,
  ])
})

test('records of groups of the newer protocols are passed over, unreadable ones are named and passed over', () => {
  const partition = new OffsetsPartition(0, 0, new OffsetsRecords(), limits)
  const unreadable: number[] = []
  const foreign = Buffer.from([0, 3, 0, 1, 0x67])
  const broken = new OffsetsRecords().groupKey('broken')
  const batch = encodeBatch([{ key: foreign, value: 'x' }, { key: broken, value: Buffer.from([0, 99]) }, { key: new OffsetsRecords().offsetKey('g', 't', 0), value: new OffsetsRecords().offsetValue({ offset: 1, leaderEpoch: -1, metadata: '', commitTimestamp: 0n, expireTimestamp: -1n }) }])
  partition.replay(new Batch(batch), time, { unreadable: (offset) => unreadable.push(offset) })
  expect(unreadable).toEqual([1])
  expect([...partition.groups.keys()]).toEqual(['g'])
})
