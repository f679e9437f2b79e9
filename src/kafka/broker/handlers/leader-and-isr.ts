/** LeaderAndIsr: the controller makes this broker leader or follower of partitions. All versions; the old shapes are grouped first. */
import { LeaderAndIsr } from '../../protocol/leader-and-isr.ts'
import { handler } from '../handler.ts'

export const leaderAndIsr = handler({
  api: LeaderAndIsr,
  refuse: (errorCode) => ({ errorCode, partitionErrors: [], topics: [] }),
  answer: (request, { broker }) => broker.controllerRequests.leaderAndIsr(request),
})
