/** The configuration a coordinator takes, in its own units. */

export interface TransactionConfig {
  readonly timeoutMsMax: number
  /** An id unused for so long is forgotten. */
  readonly idExpirationMs: number
  readonly timeoutCheckIntervalMs: number
  readonly expiryCheckIntervalMs: number
  readonly loadBufferSize: number
}

/** From Kafka's own keys. */
export function transactionConfigOf(values: {
  readonly 'transaction.max.timeout.ms': number
  readonly 'transactional.id.expiration.ms': number
  readonly 'transaction.abort.timed.out.transaction.cleanup.interval.ms': number
  readonly 'transaction.remove.expired.transaction.cleanup.interval.ms': number
  readonly 'transaction.state.log.load.buffer.size': number
}): TransactionConfig {
  return {
    timeoutMsMax: values['transaction.max.timeout.ms'],
    idExpirationMs: values['transactional.id.expiration.ms'],
    timeoutCheckIntervalMs: values['transaction.abort.timed.out.transaction.cleanup.interval.ms'],
    expiryCheckIntervalMs: values['transaction.remove.expired.transaction.cleanup.interval.ms'],
    loadBufferSize: values['transaction.state.log.load.buffer.size'],
  }
}
