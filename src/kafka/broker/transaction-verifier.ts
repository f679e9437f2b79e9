/**
 * Asks the coordinator whether a partition is part of a producer's transaction before its first write there (KIP-890 part 1): a write that
 * comes late, after the transaction has ended, would open one that nobody ever ends.
 */
import { AddPartitionsToTxn } from '../protocol/add-partitions-to-txn.ts'
import { errors } from '../protocol/errors.ts'
import type { ProducerClaim } from '../transactions/steps.ts'
import type { TransactionCoordinator } from '../transactions/transaction-coordinator.ts'
import type { TopicPartition } from '../transactions/transaction-state.ts'
import type { BrokerLinks } from './broker-links.ts'

export interface TransactionVerifierOptions {
  readonly brokerId: number
  /** `transaction.partition.verification.enable` */
  readonly isEnabled: () => boolean
  /** Broker that coordinates the transactional id; −1 when nobody is known to. */
  readonly coordinatorOf: (transactionalId: string) => number
  readonly coordinator: Pick<TransactionCoordinator, 'verify'>
  readonly links: Pick<BrokerLinks, 'send'>
}
export interface TransactionalWrite {
  readonly transactionalId: string
  readonly producer: ProducerClaim
  readonly partition: TopicPartition
  /** −1 for writes without sequences. */
  readonly baseSequence: number
  /** Whether the client knows TRANSACTION_ABORTABLE (Produce from v11, TxnOffsetCommit from v4); else it is told INVALID_TXN_STATE. */
  readonly abortableKnown: boolean
}
interface Attempt {
  readonly epoch: number
  lowestSequence: number
}
interface Transactional {
  hasOpenTransaction(producerId: number, epoch: number): boolean
}

/** What one request asks about, and who waits for it, in the order of the writes. */
type Question = { readonly partition: TopicPartition; readonly told: (errorCode: number) => void }[]

const verifyVersion = 4
/** Producers whose first write is remembered; the oldest are forgotten beyond that. */
const attemptsMax = 50_000
const keyOf = (producerId: number, { topic, partition }: TopicPartition): string => `${producerId}/${partition}/${topic}`

export class TransactionVerifier {
  readonly #options: TransactionVerifierOptions
  /** First writes of transactions, until their marker comes. */
  readonly #attempts = new Map<string, Attempt>()
  /** Not sent yet, by coordinator and producer. */
  readonly #questions = new Map<string, Question>()

  constructor(options: TransactionVerifierOptions) {
    this.#options = options
  }

  /**
   * Tells `verified` an error code, or 0: the write is to be appended before that returns, so that the next write of the producer, whose
   * answer may have come with this one's, finds it there. At once when this broker coordinates the id.
   */
  verify(write: TransactionalWrite, log: Transactional, verified: (errorCode: number) => void): void {
    const { producer, partition, baseSequence } = write
    if (!this.#options.isEnabled() || log.hasOpenTransaction(producer.id, producer.epoch)) return verified(0)
    const key = keyOf(producer.id, partition)
    const attempt = this.#attempt(key, producer.epoch, baseSequence)
    const judge = (errorCode: number): number => {
      if (errorCode !== 0) return clientError(errorCode, write)
      if (log.hasOpenTransaction(producer.id, producer.epoch)) return 0
      // A marker came in between: the transaction that was asked about is over.
      if (this.#attempts.get(key) !== attempt) return errors.notEnoughReplicas.code
      // An earlier write was refused and will be sent again: this one must not overtake it.
      return baseSequence > attempt.lowestSequence ? errors.outOfOrderSequenceNumber.code : 0
    }
    const coordinator = this.#options.coordinatorOf(write.transactionalId)
    if (coordinator === this.#options.brokerId) return verified(judge(this.#options.coordinator.verify(write.transactionalId, producer, partition)))
    if (coordinator < 0) return verified(judge(errors.coordinatorNotAvailable.code))
    this.#ask(coordinator, write, (errorCode) => verified(judge(errorCode)))
  }
  /** A marker of the producer is about to be appended to the partition: what was verified before does not count any more. */
  ending(producerId: number, partition: TopicPartition): void {
    this.#attempts.delete(keyOf(producerId, partition))
  }

  #attempt(key: string, epoch: number, baseSequence: number): Attempt {
    let attempt = this.#attempts.get(key)
    if (!attempt || attempt.epoch !== epoch) {
      if (this.#attempts.size >= attemptsMax) for (const oldest of this.#attempts.keys()) { this.#attempts.delete(oldest); break }
      this.#attempts.set(key, (attempt = { epoch, lowestSequence: baseSequence }))
    }
    if (baseSequence < attempt.lowestSequence) attempt.lowestSequence = baseSequence
    return attempt
  }
  /** Partitions that one request of the producer writes to are asked about together. What comes when that has been sent is asked anew. */
  #ask(coordinator: number, { transactionalId, producer, partition }: TransactionalWrite, told: (errorCode: number) => void): void {
    const key = `${coordinator}/${producer.id}/${producer.epoch}/${transactionalId}`
    let question = this.#questions.get(key)
    if (!question) {
      this.#questions.set(key, (question = []))
      void Promise.resolve().then(() => {
        const asked = this.#questions.get(key)!
        this.#questions.delete(key)
        return this.#send(coordinator, transactionalId, producer, asked)
      })
    }
    question.push({ partition, told })
  }
  async #send(coordinator: number, transactionalId: string, producer: ProducerClaim, asked: Question): Promise<void> {
    const topics = new Map<string, Set<number>>()
    for (const { partition: { topic, partition } } of asked) {
      const indexes = topics.get(topic)
      if (indexes) indexes.add(partition)
      else topics.set(topic, new Set([partition]))
    }
    const transaction = {
      transactionalId, producerId: producer.id, producerEpoch: producer.epoch, verifyOnly: true,
      topics: [...topics].map(([name, partitions]) => ({ name, partitions: [...partitions] })),
    }
    const codes = new Map<string, number>()
    let whole: number = errors.unknownServerError.code
    try {
      const { errorCode, resultsByTransaction } = await this.#options.links.send(coordinator, AddPartitionsToTxn, { transactions: [transaction] }, verifyVersion)
      if (errorCode !== 0) whole = errorCode
      else
        for (const { name, resultsByPartition } of resultsByTransaction.flatMap(({ topicResults }) => topicResults))
          for (const { partitionIndex, partitionErrorCode } of resultsByPartition) codes.set(`${partitionIndex}/${name}`, partitionErrorCode)
    } catch {
      whole = errors.networkException.code
    }
    // In the order of the writes: each finds in the log what the one before has appended.
    for (const { partition: { topic, partition }, told } of asked) told(codes.get(`${partition}/${topic}`) ?? whole)
  }
}

/** As the producer is told. What passes by itself is NOT_ENOUGH_REPLICAS: every client tries that again. */
function clientError(code: number, { abortableKnown }: TransactionalWrite): number {
  switch (code) {
    case errors.concurrentTransactions.code: case errors.networkException.code: case errors.coordinatorLoadInProgress.code:
    case errors.coordinatorNotAvailable.code: case errors.notCoordinator.code:
    // Another partition of the request is not known there yet.
    case errors.operationNotAttempted.code:
      return errors.notEnoughReplicas.code
    case errors.producerFenced.code:
      return errors.invalidProducerEpoch.code
    case errors.transactionAbortable.code:
      return abortableKnown ? code : errors.invalidTxnState.code
    default:
      return code
  }
}
