/** DeleteGroups: empty groups with all they have committed. */
import { DeleteGroups } from '../../protocol/delete-groups.ts'
import { handler } from '../handler.ts'

export const deleteGroups = handler({
  api: DeleteGroups,
  inPlace: true,
  refuse: (errorCode, { groupsNames }) => ({ throttleTimeMs: 0, results: groupsNames.map((groupId) => ({ groupId, errorCode })) }),
  async answer({ groupsNames }, { broker }) {
    const results = await Promise.all([...new Set(groupsNames)].map(async (groupId) => ({ groupId, errorCode: await broker.groups.deleteGroup(groupId) })))
    return { throttleTimeMs: 0, results }
  },
})
