/**
 * The records of `__transaction_state`: key and value, each with a version before it.
 *
 *     key   := 0:int16 transactionalId:string
 *     value := 0:int16 producerId:int64 producerEpoch:int16 transactionTimeoutMs:int32 status:int8
 *              partitions:array?(topic:string partitionIds:array(int32)) lastUpdate:int64 start:int64
 *            | 1:int16 the same in the flexible encoding (read, never written); null removes the id
 *
 * The partitions are null in state Empty alone.
 */
import { printCodec } from '../../wire/codec.ts'
import { Reader } from '../../wire/reader.ts'
import { array, bigint64, int16, int32, int64, int8, string } from '../../wire/schema.ts'
import { Writer } from '../../wire/writer.ts'
import { encodeBatch } from '../records/encode.ts'
import { stateNames, type Partitions, type TransactionValue } from './transaction-state.ts'

const keyFields = { transactionalId: string }
const valueFields = {
  producerId: int64,
  producerEpoch: int16,
  transactionTimeoutMs: int32,
  status: int8,
  partitions: array({ topic: string, partitionIds: array(int32) }).orNull(),
  lastUpdateTimestamp: bigint64,
  startTimestamp: bigint64,
}

/** A record version this release does not know, or a value that contradicts itself. */
export class UnknownRecordError extends Error {
  constructor(reason: string) {
    super(reason)
    this.name = 'UnknownRecordError'
  }
}

const stringSizeMax = 0x7fff
/** Whether the key has room for the id; flexible requests can bring longer ones. */
export function fitsRecord(id: string): boolean {
  return id.length * 3 <= stringSizeMax || Buffer.byteLength(id) <= stringSizeMax
}

/** Stateless but for its printed codecs. */
export class TransactionRecords {
  /** One for all values without partitions, which most of those that are loaded are. */
  readonly #nothing: Partitions = new Map()
  readonly #key = printCodec('TransactionLogKey', keyFields, 0, 'classic')
  readonly #values = [printCodec('TransactionLogValue', valueFields, 0, 'classic'), printCodec('TransactionLogValue', valueFields, 1, 'compact')]

  readKey(key: Uint8Array): string {
    const reader = new Reader(key)
    const version = reader.int16()
    if (version !== 0) throw new UnknownRecordError(`TransactionLogKey of version ${version}; known is 0`)
    return this.#key.read(reader).transactionalId
  }
  writeKey(transactionalId: string): Buffer {
    const writer = new Writer()
    writer.int16(0)
    this.#key.write(writer, { transactionalId })
    return writer.toBuffer()
  }

  readValue(bytes: Uint8Array): TransactionValue {
    const reader = new Reader(bytes)
    const version = reader.int16()
    const codec = this.#values[version]
    if (!codec) throw new UnknownRecordError(`TransactionLogValue of version ${version}; known are 0 and 1`)
    const { producerId, producerEpoch, transactionTimeoutMs, status, partitions, lastUpdateTimestamp, startTimestamp } = codec.read(reader)
    const state = stateNames[status]
    if (state === undefined || state === 'Dead' || state === 'PrepareEpochFence') throw new UnknownRecordError(`TransactionLogValue of status ${status}, which is never put on record`)
    if (state === 'Empty' && partitions !== null && partitions.length > 0) throw new UnknownRecordError(`TransactionLogValue of status Empty with ${partitions.length} topics`)
    return {
      producerId, producerEpoch, timeoutMs: transactionTimeoutMs, state,
      partitions: partitions === null || partitions.length === 0 ? this.#nothing : new Map(partitions.map(({ topic, partitionIds }) => [topic, new Set(partitionIds)])),
      lastUpdateMs: Number(lastUpdateTimestamp), startMs: Number(startTimestamp),
    }
  }
  writeValue({ producerId, producerEpoch, timeoutMs, state, partitions, lastUpdateMs, startMs }: TransactionValue): Buffer {
    const writer = new Writer()
    writer.int16(0)
    this.#values[0].write(writer, {
      producerId, producerEpoch, transactionTimeoutMs: timeoutMs, status: stateNames.indexOf(state),
      partitions: state === 'Empty' ? null : [...partitions].map(([topic, indexes]) => ({ topic, partitionIds: [...indexes] })),
      lastUpdateTimestamp: BigInt(lastUpdateMs), startTimestamp: BigInt(startMs),
    })
    return writer.toBuffer()
  }

  /** A batch of one record; null removes the id. */
  encode(transactionalId: string, value: TransactionValue | null, timestamp: number): Buffer {
    return encodeBatch([{ key: this.writeKey(transactionalId), value: value === null ? null : this.writeValue(value) }], { timestamp })
  }
}
