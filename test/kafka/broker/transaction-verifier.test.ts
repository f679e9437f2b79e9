import { expect, test } from 'vitest'
import type { BrokerLinks } from '../../../src/kafka/broker/broker-links.ts'
import { TransactionVerifier, type TransactionalWrite } from '../../../src/kafka/broker/transaction-verifier.ts'
import { errors, errorByCode } from '../../../src/kafka/protocol/errors.ts'

const partition = { topic: 't', partition: 0 }
const write = (more: Partial<TransactionalWrite> = {}): TransactionalWrite => ({ transactionalId: 'id', producer: { id: 7, epoch: 1 }, partition, baseSequence: 0, abortableKnown: true, ...more })
const notOpen = { hasOpenTransaction: () => false }
type Log = Parameters<TransactionVerifier['verify']>[1]
/** What is told at once. */
function atOnce(verifier: TransactionVerifier, asked: TransactionalWrite, log: Log = notOpen): number | undefined {
  let told: number | undefined
  verifier.verify(asked, log, (errorCode) => (told = errorCode))
  return told
}
const later = (verifier: TransactionVerifier, asked: TransactionalWrite, log: Log = notOpen) => new Promise<number>((resolve) => verifier.verify(asked, log, resolve))

/** `answers`: what the coordinator says, one after the other; an error is a lost connection. */
function verifierWith(answers: (number | Error)[], { coordinator = 1, isEnabled = true } = {}): TransactionVerifier {
  const next = () => answers.shift() ?? 0
  const send = async () => {
    const answer = next()
    if (answer instanceof Error) throw answer
    return { throttleTimeMs: 0, errorCode: 0, resultsByTransaction: [{ transactionalId: 'id', topicResults: [{ name: 't', resultsByPartition: [{ partitionIndex: 0, partitionErrorCode: answer }] }] }] }
  }
  return new TransactionVerifier({ brokerId: 1, isEnabled: () => isEnabled, coordinatorOf: () => coordinator, coordinator: { verify: () => next() as number }, links: { send } as unknown as BrokerLinks })
}

test('an open transaction, or a switch turned off, needs no question', () => {
  const refusing = [errors.producerFenced.code]
  expect(atOnce(verifierWith(refusing), write(), { hasOpenTransaction: (id, epoch) => id === 7 && epoch === 1 })).toBe(0)
  expect(atOnce(verifierWith(refusing, { isEnabled: false }), write())).toBe(0)
  expect(atOnce(verifierWith([]), write())).toBe(0)
})

test.each([
  [errors.concurrentTransactions, errors.notEnoughReplicas],
  [errors.notCoordinator, errors.notEnoughReplicas],
  [errors.coordinatorLoadInProgress, errors.notEnoughReplicas],
  [errors.producerFenced, errors.invalidProducerEpoch],
  [errors.invalidProducerIdMapping, errors.invalidProducerIdMapping],
  [errors.transactionAbortable, errors.transactionAbortable],
])('$name is told as an error every producer understands', async (answer, told) => {
  expect(errorByCode(atOnce(verifierWith([answer.code]), write()) as number).name).toBe(told.name)
  expect(errorByCode(await later(verifierWith([answer.code], { coordinator: 2 }), write())).name).toBe(told.name)
})
test('older clients do not know TRANSACTION_ABORTABLE; without a coordinator or a connection they try again', async () => {
  expect(atOnce(verifierWith([errors.transactionAbortable.code]), write({ abortableKnown: false }))).toBe(errors.invalidTxnState.code)
  expect(atOnce(verifierWith([], { coordinator: -1 }), write())).toBe(errors.notEnoughReplicas.code)
  expect(await later(verifierWith([new Error('gone')], { coordinator: 2 }), write())).toBe(errors.notEnoughReplicas.code)
})

test('a write does not overtake an earlier one that was refused, until a marker has ended the transaction', () => {
  const verifier = verifierWith([errors.concurrentTransactions.code])
  expect(atOnce(verifier, write({ baseSequence: 3 }))).toBe(errors.notEnoughReplicas.code)
  expect(atOnce(verifier, write({ baseSequence: 4 }))).toBe(errors.outOfOrderSequenceNumber.code)
  expect(atOnce(verifier, write({ baseSequence: 3 }))).toBe(0)
  verifier.ending(7, partition)
  expect(atOnce(verifier, write({ baseSequence: 4 }))).toBe(0)
  expect(atOnce(verifier, write({ baseSequence: 0, producer: { id: 7, epoch: 2 } }))).toBe(0)
})

test('a marker that comes while the coordinator is asked makes its answer worthless', async () => {
  const verifier = verifierWith([0], { coordinator: 2 })
  const verified = later(verifier, write())
  verifier.ending(7, partition)
  expect(await verified).toBe(errors.notEnoughReplicas.code)
})

test('two writes whose answers come together: the second finds the first in the log', async () => {
  const verifier = verifierWith([0, 0], { coordinator: 2 })
  const appended: number[] = []
  const log = { hasOpenTransaction: () => appended.length > 0 }
  const told = [3, 4].map((baseSequence) => new Promise<number>((resolve) => verifier.verify(write({ baseSequence }), log, (errorCode) => {
    if (errorCode === 0) appended.push(baseSequence)
    resolve(errorCode)
  })))
  expect(await Promise.all(told)).toEqual([0, 0])
  expect(appended).toEqual([3, 4])
})

test('partitions of one request are asked about together, each is told its own; what comes later is asked anew', async () => {
  const asked: { name: string; partitions: number[] }[][] = []
  const send = async (_: number, __: unknown, { transactions }: { transactions: { topics: { name: string; partitions: number[] }[] }[] }) => {
    asked.push(transactions[0].topics)
    return {
      throttleTimeMs: 0, errorCode: 0,
      resultsByTransaction: transactions.map(({ topics }) => ({
        transactionalId: 'id',
        topicResults: topics.map(({ name, partitions }) => ({ name, resultsByPartition: partitions.map((index) => ({ partitionIndex: index, partitionErrorCode: index === 1 ? errors.invalidTxnState.code : 0 })) })),
      })),
    }
  }
  const verifier = new TransactionVerifier({ brokerId: 1, isEnabled: () => true, coordinatorOf: () => 2, coordinator: { verify: () => 0 }, links: { send } as unknown as BrokerLinks })
  const of = (topic: string, index: number) => write({ partition: { topic, partition: index } })
  const together = [of('t', 0), of('t', 1), of('u', 0), of('t', 0)].map((each) => later(verifier, each))
  expect(await Promise.all(together)).toEqual([0, errors.invalidTxnState.code, 0, 0])
  await later(verifier, of('t', 2))
  expect(asked).toEqual([[{ name: 't', partitions: [0, 1] }, { name: 'u', partitions: [0] }], [{ name: 't', partitions: [2] }]])
})
