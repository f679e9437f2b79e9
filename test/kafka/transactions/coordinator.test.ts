import { beforeEach, expect, test } from 'vitest'
import { errors } from '../../../src/kafka/protocol/errors.ts'
import { Batch } from '../../../src/kafka/records/batch.ts'
import type { Marker, MarkerChannel } from '../../../src/kafka/transactions/marker-channel.ts'
import { TransactionCoordinator } from '../../../src/kafka/transactions/transaction-coordinator.ts'
import type { TopicPartition } from '../../../src/kafka/transactions/transaction-state.ts'
import type { TransactionStorage } from '../../../src/kafka/transactions/transaction-storage.ts'
import { VirtualHost } from '../groups/virtual-host.ts'
import { goldenBatches } from './golden.ts'

class MemoryStorage implements TransactionStorage {
  readonly batches: Buffer[] = []
  errorCode = 0
  reads = 0
  failReads = 0
  append(_partition: number, batch: Buffer): Promise<{ errorCode: number }> {
    if (this.errorCode === 0) {
      new Batch(batch).baseOffset = this.batches.length
      this.batches.push(batch)
    }
    return Promise.resolve({ errorCode: this.errorCode })
  }
  read(_partition: number, offset = 0): Promise<Buffer> {
    this.reads++
    if (this.failReads-- > 0) return Promise.reject(new Error('the disk does not answer'))
    return Promise.resolve(Buffer.concat(this.batches.slice(offset, offset + 2)))
  }
}
class MemoryMarkers implements MarkerChannel {
  readonly written: { marker: Marker; partitions: readonly TopicPartition[] }[] = []
  errorCode = 0
  write(marker: Marker, partitions: readonly TopicPartition[]) {
    this.written.push({ marker, partitions })
    return Promise.resolve(partitions.map((each) => ({ ...each, errorCode: this.errorCode })))
  }
}

const config = { timeoutMsMax: 900_000, idExpirationMs: 7 * 86_400_000, timeoutCheckIntervalMs: 10_000, expiryCheckIntervalMs: 3_600_000, loadBufferSize: 1024 }
const a0 = { topic: 'a', partition: 0 }
let host: VirtualHost
let storage: MemoryStorage
let markers: MemoryMarkers
let ids: number
beforeEach(() => {
  host = new VirtualHost()
  storage = new MemoryStorage()
  markers = new MemoryMarkers()
  ids = 0
})
async function coordinatorWith({ epoch = 5, elected = true } = {}): Promise<TransactionCoordinator> {
  const coordinator = new TransactionCoordinator(host, { config, storage, markers, producerIds: { take: async () => (ids < 0 ? undefined : ids++) }, partitionFor: () => 0 })
  coordinator.start()
  if (elected) await coordinator.elected(0, epoch)
  return coordinator
}
const all: { stateFilters: string[]; producerIdFilters: number[]; durationFilter: bigint } = { stateFilters: [], producerIdFilters: [], durationFilter: -1n }

test('before it is started, elected and loaded it says so', async () => {
  const coordinator = new TransactionCoordinator(host, { config, storage, markers, producerIds: { take: async () => 1 }, partitionFor: () => 0 })
  const code = async () => (await coordinator.initProducerId('id', 1_000)).errorCode
  expect(await code()).toBe(errors.coordinatorNotAvailable.code)
  expect(coordinator.list(all).errorCode).toBe(errors.coordinatorNotAvailable.code)
  coordinator.start()
  expect(await code()).toBe(errors.notCoordinator.code)
  const loading = coordinator.elected(0, 1)
  const early = code()
  expect(coordinator.list(all).errorCode).toBe(errors.coordinatorLoadInProgress.code)
  expect(await early).toBe(errors.coordinatorLoadInProgress.code)
  await loading
  expect(await code()).toBe(0)
  coordinator.resigned(0, 2)
  expect(await code()).toBe(errors.notCoordinator.code)
  await coordinator.stop()
  expect(await code()).toBe(errors.coordinatorNotAvailable.code)
})

test('requests that cannot be are refused', async () => {
  const coordinator = await coordinatorWith()
  const code = async (id: string | null, timeoutMs: number) => (await coordinator.initProducerId(id, timeoutMs)).errorCode
  expect(await code('', 1_000)).toBe(errors.invalidRequest.code)
  expect(await code('x'.repeat(40_000), 1_000)).toBe(errors.invalidRequest.code)
  expect(await code('id', 0)).toBe(errors.invalidTransactionTimeout.code)
  expect(await code('id', 900_001)).toBe(errors.invalidTransactionTimeout.code)
  expect(await code(null, -1)).toBe(0)
  expect(await coordinator.end('nobody', { id: 1, epoch: 0 }, { committed: true })).toBe(errors.invalidProducerIdMapping.code)
  expect(coordinator.describe('nobody').errorCode).toBe(errors.transactionalIdNotFound.code)
  ids = -1
  expect(await code(null, 0)).toBe(errors.coordinatorLoadInProgress.code)
  expect(await code('id', 1_000)).toBe(errors.coordinatorLoadInProgress.code)
  expect(storage.batches).toEqual([])
})

test('a commit is answered when it is on record; its markers carry the epoch in which the coordinator began and are tried until they are there', async () => {
  const coordinator = await coordinatorWith({ epoch: 9 })
  const { producer } = await coordinator.initProducerId('id', 60_000)
  // A reassignment: the leader stays.
  await coordinator.elected(0, 10)
  expect(storage.reads).toBe(1)
  expect(await coordinator.addPartitions('id', producer, [a0])).toBe(0)
  expect(coordinator.verify('id', producer, a0)).toBe(0)
  markers.errorCode = errors.notLeaderOrFollower.code
  expect(await coordinator.end('id', producer, { committed: true })).toBe(0)
  expect(coordinator.describe('id')).toMatchObject({ transactionState: 'PrepareCommit', topics: [{ topic: 'a', partitions: [0] }] })
  await host.pass(250)
  expect(markers.written.length).toBe(3)
  markers.errorCode = 0
  await host.pass(100)
  expect(markers.written[3]).toEqual({ marker: { producer, committed: true, coordinatorEpoch: 9 }, partitions: [a0] })
  expect(coordinator.describe('id')).toMatchObject({ transactionState: 'CompleteCommit', topics: [] })
  expect(storage.batches).toHaveLength(4)
})

test('new partitions wait for the end of the transaction before, for a moment; a second request does not', async () => {
  const coordinator = await coordinatorWith()
  const { producer } = await coordinator.initProducerId('id', 60_000)
  await coordinator.addPartitions('id', producer, [a0])
  markers.errorCode = errors.notLeaderOrFollower.code
  await coordinator.end('id', producer, { committed: true })
  const inVain = coordinator.addPartitions('id', producer, [a0])
  expect(await coordinator.addPartitions('id', producer, [a0])).toBe(errors.concurrentTransactions.code)
  await host.pass(99)
  markers.errorCode = 0
  await host.pass(1)
  expect(await inVain).toBe(0)
  expect(coordinator.describe('id')).toMatchObject({ transactionState: 'Ongoing', topics: [{ topic: 'a', partitions: [0] }] })
  markers.errorCode = errors.notLeaderOrFollower.code
  await coordinator.end('id', producer, { committed: true })
  const tooLong = coordinator.addPartitions('id', producer, [a0])
  await host.pass(100)
  expect(await tooLong).toBe(errors.concurrentTransactions.code)
  // Whoever waits is told when the coordinator goes.
  const left = coordinator.addPartitions('id', producer, [a0])
  coordinator.resigned(0, 6)
  expect(await left).toBe(errors.notCoordinator.code)
})

test('another coordinator takes over in the middle', async () => {
  const first = await coordinatorWith({ epoch: 1 })
  const { producer } = await first.initProducerId('id', 60_000)
  await first.addPartitions('id', producer, [a0])
  markers.errorCode = errors.networkException.code
  await first.end('id', producer, { committed: true })
  first.resigned(0, 2)
  markers.errorCode = 0
  await host.pass(1_000)
  const before = markers.written.length
  const second = await coordinatorWith({ epoch: 2 })
  await host.pass(1)
  expect(markers.written.slice(before)).toEqual([{ marker: { producer, committed: true, coordinatorEpoch: 2 }, partitions: [a0] }])
  expect(second.describe('id').transactionState).toBe('CompleteCommit')
})

test('what Apache wrote is loaded, also when the disk fails first', async () => {
  storage.batches.push(...goldenBatches(2))
  storage.batches.forEach((bytes, offset) => (new Batch(bytes).baseOffset = offset))
  storage.failReads = 2
  const coordinator = await coordinatorWith({ elected: false })
  const loading = coordinator.elected(0, 1)
  await host.pass(3_000)
  await loading
  const { errorCode, transactionStates } = coordinator.list(all)
  expect(errorCode).toBe(0)
  expect(transactionStates.length).toBeGreaterThan(0)
  for (const { transactionState } of transactionStates) expect(['CompleteCommit', 'CompleteAbort', 'Empty']).toContain(transactionState)
})

test('transactions out of time are aborted, ids unused for long forgotten, by themselves', async () => {
  const coordinator = await coordinatorWith()
  const { producer } = await coordinator.initProducerId('id', 15_000)
  await coordinator.addPartitions('id', producer, [a0])
  await host.pass(10_000)
  expect(coordinator.describe('id').transactionState).toBe('Ongoing')
  await host.pass(11_000)
  expect(coordinator.describe('id')).toMatchObject({ transactionState: 'CompleteAbort', producerEpoch: 1 })
  expect(await coordinator.end('id', producer, { committed: true })).toBe(errors.producerFenced.code)
  await host.pass(7 * 86_400_000 + 3_600_000)
  expect(coordinator.describe('id').errorCode).toBe(errors.transactionalIdNotFound.code)
  const again = await coordinatorWith()
  expect(again.list(all).transactionStates).toEqual([])
})

test('lists are filtered by state, producer and duration; what is no state is said', async () => {
  const coordinator = await coordinatorWith()
  for (const id of ['x', 'y']) await coordinator.initProducerId(id, 60_000)
  await coordinator.addPartitions('y', { id: 1, epoch: 0 }, [a0])
  await host.pass(5_000)
  const names = (filter: Partial<typeof all>) => coordinator.list({ ...all, ...filter }).transactionStates.map(({ transactionalId }) => transactionalId)
  expect(names({})).toEqual(['x', 'y'])
  expect(names({ stateFilters: ['Ongoing'] })).toEqual(['y'])
  expect(names({ producerIdFilters: [0] })).toEqual(['x'])
  expect(names({ stateFilters: ['Ongoing'], durationFilter: 4_999n })).toEqual(['y'])
  expect(names({ stateFilters: ['Ongoing'], durationFilter: 5_000n })).toEqual([])
  expect(coordinator.list({ ...all, stateFilters: ['Nowhere'] })).toMatchObject({ unknownStateFilters: ['Nowhere'], transactionStates: [] })
})

test('a hundred thousand ids, the longest there are among them: each keeps its producer, a successor loads them, one byte more is refused', async () => {
  const coordinator = await coordinatorWith()
  const longest = 'x'.repeat(0x7fff)
  expect((await coordinator.initProducerId(`${longest}x`, 1_000)).errorCode).toBe(errors.invalidRequest.code)
  expect((await coordinator.initProducerId('\u00fc'.repeat(0x4000), 1_000)).errorCode).toBe(errors.invalidRequest.code)
  const count = 100_000
  const known = new Map<string, number>()
  for (let index = 0; index < count; index++) {
    const id = index % 10_000 === 0 ? `${index}`.padEnd(0x7fff, 'x') : `id ${index}`
    const { errorCode, producer } = await coordinator.initProducerId(id, 1_000)
    expect(errorCode).toBe(0)
    known.set(id, producer.id)
  }
  expect(coordinator.list(all).transactionStates).toHaveLength(count)
  await coordinator.stop()
  // Read in one piece: what is looked at is how many there are.
  storage.read = async (_partition, offset = 0) => Buffer.concat(storage.batches.slice(offset, offset + 5_000))
  const successor = await coordinatorWith({ epoch: 6 })
  const { transactionStates } = successor.list(all)
  expect(new Map(transactionStates.map(({ transactionalId, producerId }) => [transactionalId, producerId]))).toEqual(known)
})
