/** DescribeGroups: a group that does not exist is "Dead", without an error. v3 adds what the client may do with it. */
import { DescribeGroups } from '../../protocol/describe-groups.ts'
import { operationsOn } from '../authorized-operations.ts'
import { handler } from '../handler.ts'

export const describeGroups = handler({
  api: DescribeGroups,
  inPlace: true,
  refuse: (errorCode, { groups }) => ({
    groups: groups.map((groupId) => ({ errorCode, groupId, groupState: '', protocolType: '', protocolData: '', members: [] })),
  }),
  answer: ({ groups, includeAuthorizedOperations }, { broker }) => ({
    groups: groups.map((groupId) => {
      const described = broker.groups.describe(groupId)
      return { ...described, authorizedOperations: includeAuthorizedOperations && described.errorCode === 0 ? operationsOn.group : operationsOn.notAsked }
    }),
  }),
})
