/** StopReplica: the controller stops replicas of this broker, or has them deleted. Below v3 one flag decided for all. */
import { StopReplica } from '../../protocol/stop-replica.ts'
import { handler } from '../handler.ts'

export const stopReplica = handler({
  api: StopReplica,
  refuse: (errorCode) => ({ errorCode, partitionErrors: [] }),
  answer: (request, { broker }) => broker.controllerRequests.stopReplica(request),
})
