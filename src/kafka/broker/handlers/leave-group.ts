/** LeaveGroup: one member up to v2, several from v3 on; an administrator names static ones by their instance. */
import { LeaveGroup } from '../../protocol/leave-group.ts'
import { handler } from '../handler.ts'

export const leaveGroup = handler({
  api: LeaveGroup,
  inPlace: true,
  refuse: (errorCode) => ({ errorCode, members: [] }),
  answer: (request, { broker, version }) => broker.groups.leave(request, { version }),
})
