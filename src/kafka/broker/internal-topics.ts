/** Topics that the brokers keep for themselves. */
export const internalTopics: ReadonlySet<string> = new Set(['__consumer_offsets', '__transaction_state'])
