/** One partition of `__consumer_offsets` that this broker leads: its groups, and how their records are read and written. */
import { controlType, controlTypeOf } from '../records/control.ts'
import { cursorOn, recordsOf } from '../records/decode.ts'
import { encodeBatch } from '../records/encode.ts'
import type { Batch } from '../records/batch.ts'
import type { CodecName } from '../records/compression.ts'
import { Group, type GroupLimits } from './group.ts'
import { OffsetsRecords, type OffsetValue } from './offsets-records.ts'
import type { Commit } from './committed-offsets.ts'
import type { GroupRecord, Output, Time } from './steps.ts'

export interface LoadNotes {
  /** A record that could not be read was passed over. */
  unreadable(offset: number, error: unknown): void
}

export class OffsetsPartition {
  readonly index: number
  readonly leaderEpoch: number
  readonly groups = new Map<string, Group>()
  /** Groups with offsets of an open transaction, by producer id. */
  readonly #groupsOfProducer = new Map<number, Set<string>>()
  readonly #records: OffsetsRecords
  readonly #limits: GroupLimits
  loading = true
  /** While loading: names of topics, one string each, and the key before the partition of the record before. */
  readonly #topics = new Map<string, string>()
  #lastKey: { readonly bytes: Buffer; readonly group: string; readonly topic: string } | undefined

  constructor(index: number, leaderEpoch: number, records: OffsetsRecords, limits: GroupLimits) {
    this.index = index
    this.leaderEpoch = leaderEpoch
    this.#records = records
    this.#limits = limits
  }

  /** The group, made if it is not there. */
  groupOf(id: string, time: Time): Group {
    let group = this.groups.get(id)
    if (!group) this.groups.set(id, (group = new Group(id, this.#limits, time)))
    return group
  }
  opened(producerId: number, groupId: string): void {
    let groups = this.#groupsOfProducer.get(producerId)
    if (!groups) this.#groupsOfProducer.set(producerId, (groups = new Set()))
    groups.add(groupId)
  }
  /** Groups that wait for the end of the producer's transaction; forgotten here. */
  ended(producerId: number): Group[] {
    const ids = this.#groupsOfProducer.get(producerId) ?? []
    this.#groupsOfProducer.delete(producerId)
    return [...ids].flatMap((id) => this.groups.get(id) ?? [])
  }

  /** Applies one batch of the log. */
  replay(batch: Batch, time: Time, notes: LoadNotes): void {
    const { producerId } = batch
    if (batch.isControl) {
      const type = controlTypeOf(recordsOf(batch)[0]?.key ?? null)
      if (type !== controlType.commit && type !== controlType.abort) return
      for (const group of this.ended(producerId)) group.step({ kind: 'transactionEnded', producerId, committed: type === controlType.commit })
      return
    }
    if (!batch.isLegacy) return this.#replayRecords(batch, time, notes)
    for (const { key, value, offset } of recordsOf(batch)) this.#replayRecord({ key, value, offset }, batch, time, notes)
  }
  #replayRecords(batch: Batch, time: Time, notes: LoadNotes): void {
    const { baseOffset, isTransactional } = batch
    const cursor = cursorOn(batch)
    const { bytes } = cursor
    while (cursor.next()) {
      if (cursor.keySize < 0) continue
      const { keyFrom, keySize, valueFrom, valueSize } = cursor
      const plain = isTransactional || valueSize < 0 ? undefined : this.#records.readPlainOffset(bytes, valueFrom, valueSize)
      const of = plain && this.#plainKey(bytes, keyFrom, keySize)
      if (plain && of)
        this.groupOf(of.group, time).replay({
          kind: 'offset', commit: {
            topic: of.topic, partition: of.partition, offset: plain.offset, leaderEpoch: plain.leaderEpoch, metadata: plain.metadata, commitTimestamp: plain.commitTimestamp, expireTimestamp: undefined,
          },
        }, baseOffset)
      else {
        const key = bytes.subarray(keyFrom, keyFrom + keySize)
        const value = valueSize < 0 ? null : bytes.subarray(valueFrom, valueFrom + valueSize)
        this.#replayRecord({ key, value, offset: baseOffset + cursor.offsetDelta }, batch, time, notes)
      }
    }
  }
  /** An offset's key, when it is written as keys are today. Neighbours mostly name the same group and topic: those are not read again, and one string serves all. */
  #plainKey(bytes: Buffer, from: number, size: number): { group: string; topic: string; partition: number } | undefined {
    if (size < 10 || bytes[from] !== 0 || bytes[from + 1] !== 1) return undefined
    const groupSize = bytes.readInt16BE(from + 2)
    if (groupSize < 0 || groupSize + 10 > size) return undefined
    const topicAt = from + 4 + groupSize
    const topicSize = bytes.readInt16BE(topicAt)
    if (topicSize < 0 || 10 + groupSize + topicSize !== size) return undefined
    const last = this.#lastKey
    if (last && bytes.compare(last.bytes, 0, last.bytes.length, from, topicAt + 2 + topicSize) === 0) return { group: last.group, topic: last.topic, partition: bytes.readInt32BE(topicAt + 2 + topicSize) }
    const group = bytes.toString('utf8', from + 4, topicAt)
    const name = bytes.toString('utf8', topicAt + 2, topicAt + 2 + topicSize)
    let topic = this.#topics.get(name)
    if (topic === undefined) this.#topics.set(name, (topic = name))
    this.#lastKey = { bytes: Buffer.from(bytes.subarray(from, topicAt + 2 + topicSize)), group, topic }
    return { group, topic, partition: bytes.readInt32BE(topicAt + 2 + topicSize) }
  }
  #replayRecord({ key, value, offset }: { key: Buffer | null; value: Buffer | null; offset: number }, batch: Batch, time: Time, notes: LoadNotes): void {
    const { baseOffset, producerId } = batch
    try {
      const read = key === null ? undefined : this.#read(key, value)
      if (!read) return
      if (batch.isTransactional && read.record.kind !== 'offset' && read.record.kind !== 'offsetRemoved') return
      this.groupOf(read.groupId, time).replay(read.record, baseOffset, batch.isTransactional ? producerId : -1)
      if (batch.isTransactional) this.opened(producerId, read.groupId)
    } catch (error) {
      notes.unreadable(offset, error)
    }
  }
  /** All has been replayed: groups of which nothing is left go, the others come to life. */
  loaded(time: Time): { group: Group; outputs: Output[] }[] {
    this.loading = false
    this.#topics.clear()
    this.#lastKey = undefined
    const live = []
    for (const group of this.groups.values())
      if (group.isVoid) this.groups.delete(group.id)
      else live.push({ group, outputs: group.step({ kind: 'loaded', time }) })
    return live
  }

  #read(key: Uint8Array, value: Uint8Array | null): { groupId: string; record: GroupRecord } | undefined {
    const named = this.#records.readKey(key)
    switch (named.kind) {
      case 'foreign': return undefined
      case 'group':
        return { groupId: named.group, record: value === null ? { kind: 'groupRemoved' } : { kind: 'group', value: this.#records.readGroup(value).value } }
      case 'offset': {
        const of = { topic: named.topic, partition: named.partition }
        return { groupId: named.group, record: value === null ? { kind: 'offsetRemoved', of } : { kind: 'offset', commit: { ...of, ...commitOf(this.#records.readOffset(value).value) } } }
      }
    }
  }

  /** The batch a group's `persist` asks for. Apache gives batches of offsets the base sequence 0, others none. */
  encode(groupId: string, { purpose, records, producer }: Extract<Output, { kind: 'persist' }>, wallMs: number, compression: CodecName): Buffer {
    const encoded = records.map((record) => this.#encode(groupId, record))
    return encodeBatch(encoded, {
      timestamp: wallMs, compression, baseSequence: purpose === 'offsets' ? 0 : -1,
      ...(producer && { producerId: producer.id, producerEpoch: producer.epoch, isTransactional: true }),
    })
  }
  #encode(groupId: string, record: GroupRecord): { key: Buffer; value: Buffer | null } {
    switch (record.kind) {
      case 'offset':
        return { key: this.#records.offsetKey(groupId, record.commit.topic, record.commit.partition), value: this.#records.offsetValue(valueOf(record.commit)) }
      case 'offsetRemoved': return { key: this.#records.offsetKey(groupId, record.of.topic, record.of.partition), value: null }
      case 'group': return { key: this.#records.groupKey(groupId), value: this.#records.groupValue(record.value) }
      case 'groupRemoved': return { key: this.#records.groupKey(groupId), value: null }
    }
  }
}

function commitOf(value: OffsetValue): Omit<Commit, 'topic' | 'partition'> {
  return {
    offset: value.offset, leaderEpoch: value.leaderEpoch, metadata: value.metadata, commitTimestamp: Number(value.commitTimestamp),
    expireTimestamp: value.expireTimestamp < 0n ? undefined : Number(value.expireTimestamp),
  }
}
function valueOf(commit: Commit): OffsetValue {
  return {
    offset: commit.offset, leaderEpoch: commit.leaderEpoch, metadata: commit.metadata, commitTimestamp: BigInt(commit.commitTimestamp),
    expireTimestamp: commit.expireTimestamp === undefined ? -1n : BigInt(commit.expireTimestamp),
  }
}
