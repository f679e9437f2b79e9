/** ListTransactions: the transactional ids this broker coordinates, by state, producer id and (v1) how long the transaction has run (KIP-664, 994). */
import { ListTransactions } from '../../protocol/list-transactions.ts'
import { handler } from '../handler.ts'

export const listTransactions = handler({
  api: ListTransactions,
  refuse: (errorCode) => ({ throttleTimeMs: 0, errorCode, unknownStateFilters: [], transactionStates: [] }),
  answer: (request, { broker }) => broker.transactions.list(request),
})
