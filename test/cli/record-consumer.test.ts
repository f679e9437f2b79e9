import { expect, test } from 'vitest'
import { RecordConsumer, type Position, type PositionSource } from '../../src/cli/record-consumer.ts'
import { silentLogger } from '../../src/host/logger.ts'
import { nodeHost } from '../../src/host/node.ts'
import { ConnectionError } from '../../src/kafka/client/connection.ts'
import type { Fetched, Fetcher } from '../../src/kafka/client/fetcher.ts'
import { CorruptBatchError } from '../../src/kafka/records/corrupt-batch-error.ts'
import { encodeBatch } from '../../src/kafka/records/encode.ts'
import { encodeTransactionMarker } from '../../src/kafka/records/control.ts'

const host = nodeHost({ logger: silentLogger })
const at = { topic: 't', partition: 0 }

/** Batches at consecutive offsets: plain ones, ones of a transaction, markers. */
function log(...entries: ({ values: string[]; producerId?: number } | { marker: 'abort' | 'commit'; producerId: number })[]): Buffer {
  let offset = 0
  return Buffer.concat(
    entries.map((entry) => {
      const batch =
        'marker' in entry
          ? encodeTransactionMarker({ type: entry.marker, producerId: entry.producerId, producerEpoch: 0, coordinatorEpoch: 0, timestamp: 5 })
          : encodeBatch(entry.values.map((value) => ({ key: null, value })), {
              timestamp: 5,
              ...(entry.producerId === undefined ? {} : { producerId: entry.producerId, producerEpoch: 0, baseSequence: 0, isTransactional: true }),
            })
      batch.writeBigInt64BE(BigInt(offset), 0)
      offset += 'marker' in entry ? 1 : entry.values.length
      return batch
    }),
  )
}
function consumerOf(fetched: Omit<Fetched, 'topic' | 'partition' | 'highWatermark'>, { readCommitted = false, autoCommitMs, source = {} }: { readCommitted?: boolean; autoCommitMs?: number; source?: Partial<PositionSource> } = {}) {
  const sought: number[] = []
  const answers = [[{ ...at, highWatermark: 100, ...fetched }]]
  const fetcher = { positions: [], assign() {}, seek: (_: unknown, offset: number) => void sought.push(offset), poll: async () => answers.shift() ?? [] } as unknown as Fetcher
  const troubles: string[] = []
  const consumer = new RecordConsumer({
    host, fetcher, readCommitted, autoCommitMs,
    source: { changed: false, assign: async () => [], commit: async () => {}, close: async () => {}, ...source },
    onTrouble: ({ message }) => troubles.push(message),
  })
  return { consumer, sought, troubles }
}
const valuesOf = async (consumer: RecordConsumer) => (await consumer.poll(20)).flatMap(({ records }) => records.map(({ record }) => String(record.value)))

const transactions = log(
  { values: ['plain'] }, { values: ['aborted 1'], producerId: 1 }, { values: ['kept'], producerId: 2 }, { values: ['aborted 2'], producerId: 1 },
  { marker: 'abort', producerId: 1 }, { marker: 'commit', producerId: 2 }, { values: ['later'], producerId: 1 }, { marker: 'commit', producerId: 1 },
)
test('read_committed leaves out what was aborted, until the marker; nobody sees markers', async () => {
  const abortedTransactions = [{ producerId: 1, firstOffset: 1 }]
  expect(await valuesOf(consumerOf({ records: transactions, fetchOffset: 0, abortedTransactions }, { readCommitted: true }).consumer)).toEqual(['plain', 'kept', 'later'])
  expect(await valuesOf(consumerOf({ records: transactions, fetchOffset: 0, abortedTransactions: [] }).consumer)).toEqual(['plain', 'aborted 1', 'kept', 'aborted 2', 'later'])
})
test('records before the offset asked for are passed over, a part of a batch at the end waits', async () => {
  const records = log({ values: ['a', 'b', 'c'] }, { values: ['d', 'e'] })
  const { consumer } = consumerOf({ records: records.subarray(0, records.length - 3), fetchOffset: 1, abortedTransactions: [] })
  const [chunk] = await consumer.poll(20)
  expect(chunk.records.map(({ record }) => [record.offset, String(record.value)])).toEqual([[1, 'b'], [2, 'c']])
  expect(chunk.nextOffset).toBe(3)
})
test('markers alone move the position without showing anything', async () => {
  const { consumer, sought } = consumerOf({ records: log({ marker: 'commit', producerId: 1 }), fetchOffset: 0, abortedTransactions: [] })
  expect(await consumer.poll(20)).toEqual([])
  expect(sought).toEqual([1])
})
test('a wrong checksum is an error with partition and offset', async () => {
  const records = log({ values: ['a'] }, { values: ['b'] })
  records[records.length - 2] ^= 1
  const { consumer } = consumerOf({ records, fetchOffset: 0, abortedTransactions: [] })
  const polled = consumer.poll(20)
  await expect(polled).rejects.toThrow(CorruptBatchError)
  await expect(polled).rejects.toThrow(/t-0, offset 1: checksum \d+ stored/)
})
test('a commit that fails for now is repeated with the next one, at the newest offset', async () => {
  const commits: (readonly Position[])[] = []
  let failing = true
  const commit = async (positions: readonly Position[]) => {
    if (failing) throw new ConnectionError('away')
    commits.push(positions)
  }
  const { consumer, troubles } = consumerOf({ records: log({ values: ['a'] }), fetchOffset: 0, abortedTransactions: [] }, { autoCommitMs: 60_000, source: { commit } })
  consumer.taken(at, 1)
  await consumer.commit()
  expect(troubles).toEqual(['away'])
  consumer.taken(at, 2)
  failing = false
  await consumer.commit()
  await consumer.commit()
  expect(commits).toEqual([[{ ...at, offset: 2 }]])
})
