import { expect, test } from 'vitest'
import { TransactionMarkers } from '../../src/kafka/broker/transaction-markers.ts'
import { TransactionVerifier } from '../../src/kafka/broker/transaction-verifier.ts'
import { CommittedOffsets } from '../../src/kafka/groups/committed-offsets.ts'
import { PartitionLog } from '../../src/kafka/log/partition-log.ts'
import { ProducerState } from '../../src/kafka/log/producer-state.ts'
import type { Marker } from '../../src/kafka/transactions/marker-channel.ts'
import { Transaction } from '../../src/kafka/transactions/transaction.ts'
import { TransactionCoordinator } from '../../src/kafka/transactions/transaction-coordinator.ts'
import type { TopicPartition, TransactionValue } from '../../src/kafka/transactions/transaction-state.ts'
import { runCluster } from '../../src/simulation/kafka-run.ts'
import type { RunOptions } from '../../src/simulation/run.ts'
import { lawBroken, withBug } from './planted.ts'

const find = (options: Partial<RunOptions> = {}, seeds = 4) => (): Promise<string> => lawBroken(runCluster, seeds, { scenario: 'transactions', faultyMs: 1_500, kinds: ['reset'], ...options })
const planted = (bug: string, run: () => Promise<void>): void => test(`planted: ${bug}`, { timeout: 240_000 }, run)

planted('the last stable offset is the high watermark', async () => {
  const law = await withBug(PartitionLog.prototype, 'lastStableOffset', () => function (this: PartitionLog) {
    return this.highWatermark
  } as never, find())
  expect(law).toBe('only what is committed is read committed')
})
planted('readers are not told what was aborted', async () => {
  const law = await withBug(PartitionLog.prototype, 'abortedTransactions', () => () => [], find())
  expect(law).toBe('only what is committed is read committed')
})
planted('the epoch of a new instance is that of the old one', async () => {
  const law = await withBug(Transaction.prototype, 'replay', (replay) => function (this: Transaction, value: TransactionValue | null) {
    const known = this.value
    return replay.call(this as never, (value && known?.producerId === value.producerId ? { ...value, producerEpoch: known.producerEpoch } : value) as never)
  } as never, () => withBug(TransactionCoordinator.prototype, 'initProducerId', (init) => async function (this: TransactionCoordinator, id: string | null, ...rest: never[]) {
    const answer = (await init.call(this as never, id as never, ...rest)) as Awaited<ReturnType<TransactionCoordinator['initProducerId']>>
    return id === null || answer.errorCode !== 0 ? answer : { ...answer, producer: { ...answer.producer, epoch: this.describe(id).producerEpoch } }
  } as never, find()))
  expect(law).toBe('a zombie is fenced')
})
planted('partitions take what a zombie writes', async () => {
  const law = await withBug(TransactionVerifier.prototype, 'verify', () => (_write: unknown, _log: unknown, verified: (errorCode: number) => void) => verified(0), () => withBug(ProducerState.prototype, 'check', () => () => undefined, find()))
  expect(law).toBe('a zombie is fenced')
})
planted('offsets of a transaction count before it is committed', async () => {
  const law = await withBug(CommittedOffsets.prototype, 'replayTransactional', () => function (this: CommittedOffsets, _producer: number, commit: Parameters<CommittedOffsets['replay']>[0], offset: number) {
    this.replay(commit, offset)
  } as never, find())
  expect(law).toBe('offsets are committed with their transaction or not at all')
})
planted('offsets of a committed transaction are forgotten', async () => {
  const law = await withBug(CommittedOffsets.prototype, 'transactionEnded', (ended) => function (this: never, producerId: never) {
    return ended.call(this, producerId, false as never)
  }, find())
  expect(law).toBe('offsets are committed with their transaction or not at all')
})
planted('one partition has its marker, and all are believed to have it', async () => {
  const law = await withBug(TransactionMarkers.prototype, 'write', (write) => async function (this: never, marker: Marker, partitions: readonly TopicPartition[]) {
    await write.call(this, marker as never, partitions.slice(0, 1) as never)
    return partitions.map((each) => ({ ...each, errorCode: 0 }))
  } as never, find())
  expect(law).toMatch(/no transaction hangs|all of a transaction|in-sync|answered|committed/)
})
planted('an aborted transaction gets the marker of a committed one', async () => {
  const law = await withBug(TransactionMarkers.prototype, 'encoded', (encoded) => function (this: never, marker: Marker) {
    return encoded.call(this, { ...marker, committed: true } as never)
  } as never, find())
  expect(law).toBe('only what is committed is read committed')
})
