/** AlterPartition: leaders ask the controller for another ISR. v2 names topics by id, v3 has the ISR with broker epochs. */
import { AlterPartition } from '../../protocol/alter-partition.ts'
import { handler } from '../handler.ts'

export const alterPartition = handler({
  api: AlterPartition,
  refuse: (errorCode) => ({ throttleTimeMs: 0, errorCode, topics: [] }),
  answer: (request, { broker, version }) => broker.controller.alterPartition(request, version),
})
