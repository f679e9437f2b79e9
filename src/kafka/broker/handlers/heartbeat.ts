/** Heartbeat of a group's member. */
import { Heartbeat } from '../../protocol/heartbeat.ts'
import { handler } from '../handler.ts'

export const heartbeat = handler({
  api: Heartbeat,
  inPlace: true,
  refuse: (errorCode) => ({ errorCode }),
  answer: (request, { broker }) => broker.groups.heartbeat(request),
})
