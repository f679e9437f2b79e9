/** AlterReplicaLogDirs: moves replicas between the log directories of one broker. */
import { array, int16, int32, string } from '../../wire/schema.ts'
import { api, type RequestOf, type ResponseOf } from './api.ts'

export const AlterReplicaLogDirs = api({
  key: 34, name: 'AlterReplicaLogDirs', versions: [0, 2], flexible: 2,
  request: { dirs: array({ path: string, topics: array({ name: string, partitions: array(int32) }) }) },
  response: {
    throttleTimeMs: int32,
    results: array({ topicName: string, partitions: array({ partitionIndex: int32, errorCode: int16 }) }),
  },
})
export type AlterReplicaLogDirsRequest = RequestOf<typeof AlterReplicaLogDirs>
export type AlterReplicaLogDirsResponse = ResponseOf<typeof AlterReplicaLogDirs>
