/** Topics that the brokers keep for themselves. */
export const transactionsTopic = '__transaction_state'
export const internalTopics: ReadonlySet<string> = new Set(['__consumer_offsets', transactionsTopic])
