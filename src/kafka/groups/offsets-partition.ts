/** One partition of `__consumer_offsets` that this broker leads: its groups, and how their records are read and written. */
import { controlType, controlTypeOf } from '../records/control.ts'
import { recordsOf } from '../records/decode.ts'
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
    const { baseOffset, producerId } = batch
    if (batch.isControl) {
      const type = controlTypeOf(recordsOf(batch)[0]?.key ?? null)
      if (type !== controlType.commit && type !== controlType.abort) return
      for (const group of this.ended(producerId)) group.step({ kind: 'transactionEnded', producerId, committed: type === controlType.commit })
      return
    }
    for (const { key, value, offset } of recordsOf(batch)) {
      try {
        const read = key === null ? undefined : this.#read(key, value)
        if (!read) continue
        if (batch.isTransactional && read.record.kind !== 'offset' && read.record.kind !== 'offsetRemoved') continue
        this.groupOf(read.groupId, time).replay(read.record, baseOffset, batch.isTransactional ? producerId : -1)
        if (batch.isTransactional) this.opened(producerId, read.groupId)
      } catch (error) {
        notes.unreadable(offset, error)
      }
    }
  }
  /** All has been replayed: groups of which nothing is left go, the others come to life. */
  loaded(time: Time): { group: Group; outputs: Output[] }[] {
    this.loading = false
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
