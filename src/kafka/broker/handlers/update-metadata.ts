/** UpdateMetadata: the controller says what the cluster looks like; everything clients are told comes from it. */
import { UpdateMetadata } from '../../protocol/update-metadata.ts'
import { handler } from '../handler.ts'

export const updateMetadata = handler({
  api: UpdateMetadata,
  refuse: (errorCode) => ({ errorCode }),
  answer: (request, { broker }) => broker.controllerRequests.updateMetadata(request),
})
