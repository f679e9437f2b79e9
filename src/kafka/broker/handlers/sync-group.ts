/** SyncGroup: answered when the leader's assignment is on record. From v5 the member names the protocol it was told; without is refused. */
import { refusedSync } from '../../groups/steps.ts'
import { errors } from '../../protocol/errors.ts'
import { SyncGroup } from '../../protocol/sync-group.ts'
import { handler } from '../handler.ts'

export const syncGroup = handler({
  api: SyncGroup,
  inPlace: true,
  refuse: (errorCode) => refusedSync(errorCode),
  answer(request, { broker, version }) {
    if (version >= 5 && (request.protocolType === null || request.protocolName === null)) return refusedSync(errors.inconsistentGroupProtocol.code)
    return broker.groups.sync(request)
  },
})
