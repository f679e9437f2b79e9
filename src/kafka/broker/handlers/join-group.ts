/** JoinGroup: answered when the generation is complete. Below v7 there is no null protocol name. */
import { refusedJoin } from '../../groups/steps.ts'
import { JoinGroup } from '../../protocol/join-group.ts'
import { javaHostOf } from '../client-host.ts'
import { handler } from '../handler.ts'

export const joinGroup = handler({
  api: JoinGroup,
  inPlace: true,
  refuse: (errorCode, { memberId }, { version }) => ({ ...refusedJoin(memberId, errorCode), protocolName: version < 7 ? '' : null }),
  async answer(request, { broker, clientId, version, remoteAddress }) {
    const answer = await broker.groups.join(request, { version, clientId, clientHost: javaHostOf(remoteAddress) })
    return version < 7 && answer.protocolName === null ? { ...answer, protocolName: '' } : answer
  },
})
