/** The records of the internal topics as Apache's DumpLogSegments shows them (`--offsets-decoder`, `--transaction-log-decoder`). */
import { OffsetsRecords, type GroupValue, type OffsetValue } from '../kafka/groups/offsets-records.ts'
import { Assignment, Subscription } from '../kafka/protocol/consumer-protocol.ts'
import type { Record } from '../kafka/records/record.ts'
import { TransactionRecords } from '../kafka/transactions/transaction-records.ts'
import type { Partitions } from '../kafka/transactions/transaction-state.ts'
import { javaHashCode } from '../wire/java-hash.ts'
import { inScalasOrder } from './scala-order.ts'

/** A part that is undefined is not shown. */
export type RecordDecoder = (record: Pick<Record, 'offset' | 'key' | 'value'>) => { key?: string | undefined; payload?: string | undefined }

export function offsetsDecoder(): RecordDecoder {
  const records = new OffsetsRecords()
  return ({ offset, key, value }) => {
    if (key === null) throw new Error(`Failed to decode message at offset ${offset} using offset topic decoder (message had a missing key)`)
    try {
      const known = records.readKey(key)
      if (known.kind === 'foreign') return { key: `Unknown record type ${known.version} at offset ${offset}, skipping.` }
      const { kind, version, ...data } = known
      const shown = json({ type: String(version), data })
      if (value === null) return { key: shown, payload: '<DELETE>' }
      if (kind === 'offset') {
        const read = records.readOffset(value)
        return { key: shown, payload: json({ version: String(read.version), data: offsetData(read.version, read.value) }) }
      }
      const read = records.readGroup(value)
      return { key: shown, payload: json({ version: String(read.version), data: groupData(read.version, read.value) }) }
    } catch (error) {
      return { key: `Error at offset ${offset}, skipping. ${(error as Error).message}` }
    }
  }
}
function offsetData(version: number, { offset, leaderEpoch, metadata, commitTimestamp, expireTimestamp }: OffsetValue) {
  return { offset, ...(version >= 3 && { leaderEpoch }), metadata, commitTimestamp, ...(version === 1 && { expireTimestamp }) }
}
function groupData(version: number, { protocolType, generation, protocol, leader, currentStateTimestamp, members }: GroupValue) {
  const isConsumers = protocolType === 'consumer'
  return {
    protocolType, generation, protocol, leader, ...(version >= 2 && { currentStateTimestamp }),
    members: members.map(({ memberId, groupInstanceId, clientId, clientHost, rebalanceTimeout, sessionTimeout, subscription, assignment }) => ({
      memberId, ...(version >= 3 && { groupInstanceId }), clientId, clientHost, ...(version >= 1 && { rebalanceTimeout }), sessionTimeout,
      subscription: isConsumers ? subscriptionData(subscription) : subscription, assignment: isConsumers ? assignmentData(assignment) : assignment,
    })),
  }
}
/** What cannot be read stays bytes. */
function subscriptionData(bytes: Buffer): unknown {
  try {
    const { version, topics, userData, ownedPartitions, generationId, rackId } = Subscription.decode(bytes)
    return { topics, userData, ...(version >= 1 && { ownedPartitions }), ...(version >= 2 && { generationId }), ...(version >= 3 && { rackId }) }
  } catch {
    return bytes
  }
}
function assignmentData(bytes: Buffer): unknown {
  try {
    const { assignedPartitions, userData } = Assignment.decode(bytes)
    return { assignedPartitions, userData }
  } catch {
    return bytes
  }
}

export function transactionLogDecoder(): RecordDecoder {
  const records = new TransactionRecords()
  return ({ offset, key, value }) => {
    if (key === null) throw new Error(`Failed to decode message at offset ${offset} using transaction log decoder (message had a missing key)`)
    const shown = `transaction_metadata::transactionalId=${records.readKey(key)}`
    if (value === null) return { key: shown, payload: '<DELETE>' }
    const { producerId, producerEpoch, state, partitions, lastUpdateMs, timeoutMs } = records.readValue(value)
    return { key: shown, payload: `producerId:${producerId},producerEpoch:${producerEpoch},state=${state},partitions=[${partitionsText(partitions)}],txnLastUpdateTimestamp=${lastUpdateMs},txnTimeoutMs=${timeoutMs}` }
  }
}

function partitionsText(partitions: Partitions): string {
  const all = [...partitions].flatMap(([topic, indexes]) => [...indexes].map((partition) => ({ topic, partition })))
  // `TopicPartition.hashCode` of Java.
  return inScalasOrder(all, ({ topic, partition }) => (Math.imul(31, (31 + partition) | 0) + javaHashCode(topic)) | 0).map(({ topic, partition }) => `${topic}-${partition}`).join(',')
}

/** JSON as Jackson prints it: 64-bit numbers in full, bytes in base64, escapes in capitals. */
function json(value: unknown): string {
  if (typeof value === 'bigint') return String(value)
  if (typeof value === 'string') return JSON.stringify(value).replace(/\\u00[0-9a-f]{2}|\\./g, (escape) => (escape.length > 2 ? `\\u${escape.slice(2).toUpperCase()}` : escape))
  if (value instanceof Uint8Array) return `"${Buffer.from(value).toString('base64')}"`
  if (Array.isArray(value)) return `[${value.map(json).join(',')}]`
  if (typeof value === 'object' && value !== null) return `{${Object.entries(value).map(([name, part]) => `${JSON.stringify(name)}:${json(part)}`).join(',')}}`
  return JSON.stringify(value)
}
