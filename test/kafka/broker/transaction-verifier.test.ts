import { expect, test } from 'vitest'
import type { BrokerLinks } from '../../../src/kafka/broker/broker-links.ts'
import { TransactionVerifier, type TransactionalWrite } from '../../../src/kafka/broker/transaction-verifier.ts'
import { errors, errorByCode } from '../../../src/kafka/protocol/errors.ts'

const partition = { topic: 't', partition: 0 }
const write = (more: Partial<TransactionalWrite> = {}): TransactionalWrite => ({ transactionalId: 'id', producer: { id: 7, epoch: 1 }, partition, baseSequence: 0, abortableKnown: true, ...more })
const notOpen = { hasOpenTransaction: () => false }

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
  expect(verifierWith(refusing).verify(write(), { hasOpenTransaction: (id, epoch) => id === 7 && epoch === 1 })).toBe(0)
  expect(verifierWith(refusing, { isEnabled: false }).verify(write(), notOpen)).toBe(0)
  expect(verifierWith([]).verify(write(), notOpen)).toBe(0)
})

test.each([
  [errors.concurrentTransactions, errors.notEnoughReplicas],
  [errors.notCoordinator, errors.notEnoughReplicas],
  [errors.coordinatorLoadInProgress, errors.notEnoughReplicas],
  [errors.producerFenced, errors.invalidProducerEpoch],
  [errors.invalidProducerIdMapping, errors.invalidProducerIdMapping],
  [errors.transactionAbortable, errors.transactionAbortable],
])('$name is told as an error every producer understands', async (answer, told) => {
  expect(errorByCode(verifierWith([answer.code]).verify(write(), notOpen) as number).name).toBe(told.name)
  expect(errorByCode(await verifierWith([answer.code], { coordinator: 2 }).verify(write(), notOpen)).name).toBe(told.name)
})
test('older clients do not know TRANSACTION_ABORTABLE; without a coordinator or a connection they try again', async () => {
  expect(verifierWith([errors.transactionAbortable.code]).verify(write({ abortableKnown: false }), notOpen)).toBe(errors.invalidTxnState.code)
  expect(verifierWith([], { coordinator: -1 }).verify(write(), notOpen)).toBe(errors.notEnoughReplicas.code)
  expect(await verifierWith([new Error('gone')], { coordinator: 2 }).verify(write(), notOpen)).toBe(errors.notEnoughReplicas.code)
})

test('a write does not overtake an earlier one that was refused, until a marker has ended the transaction', () => {
  const verifier = verifierWith([errors.concurrentTransactions.code])
  expect(verifier.verify(write({ baseSequence: 3 }), notOpen)).toBe(errors.notEnoughReplicas.code)
  expect(verifier.verify(write({ baseSequence: 4 }), notOpen)).toBe(errors.outOfOrderSequenceNumber.code)
  expect(verifier.verify(write({ baseSequence: 3 }), notOpen)).toBe(0)
  verifier.ending(7, partition)
  expect(verifier.verify(write({ baseSequence: 4 }), notOpen)).toBe(0)
  expect(verifier.verify(write({ baseSequence: 0, producer: { id: 7, epoch: 2 } }), notOpen)).toBe(0)
})

test('a marker that comes while the coordinator is asked makes its answer worthless', async () => {
  const verifier = verifierWith([0], { coordinator: 2 })
  const verified = verifier.verify(write(), notOpen)
  verifier.ending(7, partition)
  expect(await verified).toBe(errors.notEnoughReplicas.code)
})
