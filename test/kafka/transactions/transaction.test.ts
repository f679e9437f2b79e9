import { beforeEach, expect, test } from 'vitest'
import { errorByCode, errors } from '../../../src/kafka/protocol/errors.ts'
import type { Input, Output, ProducerClaim } from '../../../src/kafka/transactions/steps.ts'
import { Transaction } from '../../../src/kafka/transactions/transaction.ts'
import type { TransactionValue } from '../../../src/kafka/transactions/transaction-state.ts'

const a0 = { topic: 'a', partition: 0 }
const a1 = { topic: 'a', partition: 1 }
type Wish<K extends Input['kind']> = Omit<Extract<Input, { kind: K }>, 'kind' | 'ticket' | 'now'>

let transaction: Transaction
let now: number
beforeEach(() => {
  transaction = new Transaction('id')
  now = 1_000
})

/** Outputs until an append is wanted; then it succeeds (or not), until nothing more is. */
function settle(outputs: Output[], errorCode = 0): Output[] {
  const rest = outputs.filter(({ kind }) => kind !== 'persist')
  return rest.length === outputs.length ? rest : [...rest, ...settle(transaction.step({ kind: 'persisted', errorCode, now }))]
}
function answerIn(outputs: Output[]): string | ProducerClaim {
  const answer = outputs.find((output) => output.kind === 'answered')
  return answer?.producer ?? (answer ? errorByCode(answer.errorCode).name : 'no answer')
}
const init = (wish: Partial<Wish<'initProducerId'>> = {}) => settle(transaction.step({ kind: 'initProducerId', ticket: 1, timeoutMs: 60_000, freshId: 100, now, ...wish }))
const add = (producer: ProducerClaim, ...partitions: { topic: string; partition: number }[]) => settle(transaction.step({ kind: 'addPartitions', ticket: 2, producer, partitions, now }))
const end = (producer: ProducerClaim, committed: boolean) => settle(transaction.step({ kind: 'end', ticket: 3, producer, committed, now }))
const markersWritten = (...outcomes: (typeof a0 & { errorCode: number; isGone?: boolean })[]) => settle(transaction.step({ kind: 'markersWritten', outcomes, now }))
const state = () => transaction.value?.state
const loaded = (value: Partial<TransactionValue>) =>
  transaction.replay({ producerId: 7, producerEpoch: 3, timeoutMs: 60_000, state: 'Empty', partitions: new Map(), lastUpdateMs: now, startMs: -1, ...value })
const p = (id: number, epoch: number): ProducerClaim => ({ id, epoch })

test('a whole life: init, two partitions, commit, markers, the next transaction', () => {
  expect(answerIn(init())).toEqual(p(100, 0))
  expect(transaction.value).toEqual({ producerId: 100, producerEpoch: 0, timeoutMs: 60_000, state: 'Empty', partitions: new Map(), lastUpdateMs: 1_000, startMs: -1 })
  now = 2_000
  expect(answerIn(add(p(100, 0), a0))).toBe('NONE')
  now = 3_000
  expect(answerIn(add(p(100, 0), a0, a1))).toBe('NONE')
  expect(transaction.value).toMatchObject({ state: 'Ongoing', startMs: 2_000, lastUpdateMs: 3_000, partitions: new Map([['a', new Set([0, 1])]]) })
  now = 4_000
  // What is in already costs no record.
  expect(transaction.step({ kind: 'addPartitions', ticket: 9, producer: p(100, 0), partitions: [a1], now })).toEqual([{ kind: 'answered', ticket: 9, errorCode: 0 }])
  expect(end(p(100, 0), true)).toEqual([
    { kind: 'answered', ticket: 3, errorCode: 0 },
    { kind: 'writeMarkers', producer: p(100, 0), committed: true, partitions: [a0, a1] },
  ])
  expect(state()).toBe('PrepareCommit')
  expect(answerIn(add(p(100, 0), a0))).toBe('CONCURRENT_TRANSACTIONS')
  expect(answerIn(end(p(100, 0), true))).toBe('CONCURRENT_TRANSACTIONS')
  expect(answerIn(end(p(100, 0), false))).toBe('INVALID_TXN_STATE')
  expect(answerIn(init())).toBe('CONCURRENT_TRANSACTIONS')
  expect(markersWritten({ ...a0, errorCode: 0 }, { ...a1, errorCode: errors.notLeaderOrFollower.code })).toEqual([{ kind: 'retrySoon' }])
  expect(transaction.step({ kind: 'retried', now })).toEqual([{ kind: 'writeMarkers', producer: p(100, 0), committed: true, partitions: [a1] }])
  expect(markersWritten({ ...a1, errorCode: 0 })).toEqual([])
  expect(transaction.value).toMatchObject({ state: 'CompleteCommit', partitions: new Map(), startMs: 2_000 })
  expect(answerIn(end(p(100, 0), true))).toBe('NONE')
  expect(answerIn(end(p(100, 0), false))).toBe('INVALID_TXN_STATE')
  expect(answerIn(add(p(100, 0), a1))).toBe('NONE')
  expect(transaction.value).toMatchObject({ state: 'Ongoing', startMs: 4_000 })
})

test('markers leave only when the decision is on record', () => {
  loaded({ state: 'Ongoing', partitions: new Map([['a', new Set([0])]]) })
  const first = transaction.step({ kind: 'end', ticket: 3, producer: p(7, 3), committed: true, now })
  expect(first.map(({ kind }) => kind)).toEqual(['persist'])
  expect(answerIn(end(p(7, 3), true))).toBe('CONCURRENT_TRANSACTIONS')
  expect(transaction.step({ kind: 'persisted', errorCode: errors.notEnoughReplicas.code, now })).toEqual([{ kind: 'answered', ticket: 3, errorCode: errors.coordinatorNotAvailable.code }])
  expect(state()).toBe('Ongoing')
})

test.each([
  [errors.requestTimedOut, errors.coordinatorNotAvailable],
  [errors.notLeaderOrFollower, errors.notCoordinator],
  [errors.kafkaStorageError, errors.notCoordinator],
  [errors.messageTooLarge, errors.unknownServerError],
])('an append that fails with $name leaves no trace', (failure, told) => {
  expect(answerIn(settle(transaction.step({ kind: 'initProducerId', ticket: 1, timeoutMs: 1, freshId: 5, now }), failure.code))).toBe(told.name)
  expect(transaction.isVoid).toBe(true)
})

test('who is not the producer is refused', () => {
  expect(answerIn(add(p(100, 0), a0))).toBe('INVALID_PRODUCER_ID_MAPPING')
  loaded({ state: 'Ongoing', partitions: new Map([['a', new Set([0])]]) })
  expect(answerIn(add(p(8, 3), a0))).toBe('INVALID_PRODUCER_ID_MAPPING')
  expect(answerIn(end(p(8, 3), true))).toBe('INVALID_PRODUCER_ID_MAPPING')
  for (const epoch of [2, 4]) {
    expect(answerIn(add(p(7, epoch), a0))).toBe('PRODUCER_FENCED')
    expect(answerIn(end(p(7, epoch), true))).toBe('PRODUCER_FENCED')
  }
  expect(transaction.verify(p(7, 3), a0)).toBe(0)
  expect(errorByCode(transaction.verify(p(7, 3), a1)).name).toBe('TRANSACTION_ABORTABLE')
  expect(errorByCode(transaction.verify(p(7, 2), a0)).name).toBe('PRODUCER_FENCED')
  expect(errorByCode(transaction.verify(p(8, 3), a0)).name).toBe('INVALID_PRODUCER_ID_MAPPING')
})

test('a new producer fences the old one: its transaction is aborted under the next epoch, which nobody gets', () => {
  loaded({ state: 'Ongoing', partitions: new Map([['a', new Set([0])]]) })
  expect(init()).toEqual([
    { kind: 'answered', ticket: 1, errorCode: errors.concurrentTransactions.code },
    { kind: 'writeMarkers', producer: p(7, 4), committed: false, partitions: [a0] },
  ])
  expect(answerIn(end(p(7, 3), true))).toBe('PRODUCER_FENCED')
  markersWritten({ ...a0, errorCode: 0 })
  expect(transaction.value).toMatchObject({ state: 'CompleteAbort', producerEpoch: 4 })
  expect(answerIn(init())).toEqual(p(7, 5))
})

test('KIP-360: a producer that says who it is gets the next epoch once, however often it asks', () => {
  loaded({ state: 'CompleteAbort' })
  expect(answerIn(init({ expected: p(7, 3) }))).toEqual(p(7, 4))
  expect(answerIn(init({ expected: p(7, 3) }))).toEqual(p(7, 4))
  expect(answerIn(init({ expected: p(7, 2) }))).toBe('PRODUCER_FENCED')
  expect(answerIn(init({ expected: p(8, 4) }))).toBe('PRODUCER_FENCED')
  expect(answerIn(init({ expected: p(7, 4) }))).toEqual(p(7, 5))
  // Another instance begins: what the producer was before does not count any more.
  expect(answerIn(init())).toEqual(p(7, 6))
  expect(answerIn(init({ expected: p(7, 5) }))).toBe('PRODUCER_FENCED')
  add(p(7, 6), a0)
  expect(answerIn(init({ expected: p(7, 5) }))).toBe('PRODUCER_FENCED')
  expect(state()).toBe('Ongoing')
})

test('an id that nobody knows any more is given anew, to a producer that says who it was, too', () => {
  expect(answerIn(init({ expected: p(7, 3) }))).toEqual(p(100, 0))
})

test('exhausted epochs: a new producer id, and the retry of a lost answer', () => {
  loaded({ state: 'CompleteCommit', producerEpoch: 32_766 })
  expect(transaction.needsProducerId).toBe(true)
  expect(answerIn(init({ expected: p(7, 32_765) }))).toBe('PRODUCER_FENCED')
  expect(answerIn(init({ expected: p(7, 32_766), freshId: 101 }))).toEqual(p(101, 0))
  expect(answerIn(init({ expected: p(7, 32_766) }))).toEqual(p(101, 0))
  expect(answerIn(init({ expected: p(101, 0) }))).toEqual(p(101, 1))
})
test('the last epoch is kept for fencing', () => {
  loaded({ state: 'Ongoing', producerEpoch: 32_766, partitions: new Map([['a', new Set([0])]]) })
  init()
  expect(transaction.value).toMatchObject({ state: 'PrepareAbort', producerEpoch: 32_767 })
  markersWritten({ ...a0, errorCode: 0 })
  expect(answerIn(init({ freshId: 102 }))).toEqual(p(102, 0))
})

test('time runs out: aborted under the next epoch, once', () => {
  loaded({ state: 'Ongoing', startMs: 1_000, timeoutMs: 500, partitions: new Map([['a', new Set([0])]]) })
  now = 1_500
  expect(transaction.step({ kind: 'ticked', now })).toEqual([])
  now = 1_501
  const outputs = settle(transaction.step({ kind: 'ticked', now }))
  expect(outputs.filter(({ kind }) => kind === 'writeMarkers')).toEqual([{ kind: 'writeMarkers', producer: p(7, 4), committed: false, partitions: [a0] }])
  expect(transaction.step({ kind: 'ticked', now: 9_999 })).toEqual([])
})

test('an unused id expires, one in use does not', () => {
  const expired = () => settle(transaction.step({ kind: 'expired', unusedMsMax: 100, now }))
  loaded({ state: 'Ongoing' })
  now = 5_000
  expired()
  expect(state()).toBe('Ongoing')
  loaded({ state: 'CompleteCommit', lastUpdateMs: 4_901 })
  expired()
  expect(state()).toBe('CompleteCommit')
  now = 5_001
  expired()
  expect(transaction.isVoid).toBe(true)
})

test('after loading what was decided is carried on with; without partitions it is complete', () => {
  loaded({ state: 'PrepareAbort', partitions: new Map([['a', new Set([1])]]) })
  expect(transaction.step({ kind: 'loaded' })).toEqual([{ kind: 'writeMarkers', producer: p(7, 3), committed: false, partitions: [a1] }])
  loaded({ state: 'PrepareCommit' })
  expect(transaction.step({ kind: 'loaded' })).toEqual([{ kind: 'writeMarkers', producer: p(7, 3), committed: true, partitions: [] }])
  markersWritten()
  expect(state()).toBe('CompleteCommit')
})

test('a deleted partition needs no marker; another coordinator is left alone; the last record is tried until it is there', () => {
  loaded({ state: 'PrepareCommit', partitions: new Map([['a', new Set([0, 1])]]) })
  transaction.step({ kind: 'loaded' })
  const wanted = transaction.step({ kind: 'markersWritten', outcomes: [{ ...a0, errorCode: errors.unknownTopicOrPartition.code, isGone: true }, { ...a1, errorCode: errors.unsupportedForMessageFormat.code }], now })
  expect(wanted.map(({ kind }) => kind)).toEqual(['persist'])
  expect(transaction.step({ kind: 'persisted', errorCode: errors.requestTimedOut.code, now })).toEqual([{ kind: 'retrySoon' }])
  expect(settle(transaction.step({ kind: 'retried', now }))).toEqual([])
  expect(state()).toBe('CompleteCommit')

  loaded({ state: 'PrepareCommit', partitions: new Map([['a', new Set([0])]]) })
  transaction.step({ kind: 'loaded' })
  expect(markersWritten({ ...a0, errorCode: errors.transactionCoordinatorFenced.code }).map(({ kind }) => kind)).toEqual(['noted'])
  expect(transaction.step({ kind: 'retried', now })).toEqual([])
})

test('unloading answers who waits, and nothing comes after it', () => {
  loaded({ state: 'Ongoing', partitions: new Map([['a', new Set([0])]]) })
  transaction.step({ kind: 'end', ticket: 3, producer: p(7, 3), committed: true, now })
  expect(transaction.step({ kind: 'unloaded', errorCode: 16 })).toEqual([{ kind: 'answered', ticket: 3, errorCode: 16 }])
  expect(transaction.step({ kind: 'persisted', errorCode: 0, now })).toEqual([])
})
