/** DescribeTransactions: what this coordinator knows of transactional ids (KIP-664). */
import { DescribeTransactions } from '../../protocol/describe-transactions.ts'
import { handler } from '../handler.ts'

export const describeTransactions = handler({
  api: DescribeTransactions,
  refuse: (errorCode, { transactionalIds }) => ({
    throttleTimeMs: 0,
    transactionStates: transactionalIds.map((transactionalId) => ({
      errorCode, transactionalId, transactionState: '', transactionTimeoutMs: 0, transactionStartTimeMs: 0n, producerId: 0, producerEpoch: 0, topics: [],
    })),
  }),
  answer: ({ transactionalIds }, { broker }) => ({ throttleTimeMs: 0, transactionStates: [...new Set(transactionalIds)].map((id) => broker.transactions.describe(id)) }),
})
