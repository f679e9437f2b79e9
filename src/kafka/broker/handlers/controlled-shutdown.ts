/** ControlledShutdown: a broker asks the controller to move its leaderships to others before it stops. v2 names the broker epoch. */
import { ControlledShutdown } from '../../protocol/controlled-shutdown.ts'
import { handler } from '../handler.ts'

export const controlledShutdown = handler({
  api: ControlledShutdown,
  refuse: (errorCode) => ({ errorCode, remainingPartitions: [] }),
  answer: (request, { broker }) => broker.controller.controlledShutdown(request),
})
