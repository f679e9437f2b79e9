/** ListGroups: the groups this broker coordinates. */
import { ListGroups } from '../../protocol/list-groups.ts'
import { handler } from '../handler.ts'

export const listGroups = handler({
  api: ListGroups,
  inPlace: true,
  refuse: (errorCode) => ({ errorCode, groups: [] }),
  answer: (request, { broker }) => broker.groups.list(request),
})
