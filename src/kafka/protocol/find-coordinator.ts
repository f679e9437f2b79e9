/** FindCoordinator: who coordinates a group (key type 0) or a transactional id (1). v4 asks for several keys at once. */
import { array, int16, int32, int8, string } from '../../wire/schema.ts'
import { api, type RequestOf, type ResponseOf } from './api.ts'

export const FindCoordinator = api({
  key: 10, name: 'FindCoordinator', versions: [0, 6], flexible: 3,
  request: { key: string.until(3), keyType: int8.since(1), coordinatorKeys: array(string).since(4) },
  response: {
    throttleTimeMs: int32.since(1),
    errorCode: int16.until(3),
    errorMessage: string.orNull().since(1).until(3),
    nodeId: int32.until(3),
    host: string.until(3),
    port: int32.until(3),
    coordinators: array({
      key: string,
      nodeId: int32,
      host: string,
      port: int32,
      errorCode: int16,
      errorMessage: string.orNull(),
    }).since(4),
  },
})
export type FindCoordinatorRequest = RequestOf<typeof FindCoordinator>
export type FindCoordinatorResponse = ResponseOf<typeof FindCoordinator>
